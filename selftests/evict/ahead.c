// SPDX-License-Identifier: GPL-2.0
/*
 * Evicting ahead: a worker keeps some pages free while clients of the render node
 * want more than there is, and at no other time.
 */
#include "dm_drm_harness.h"

#define STEP	(2 * DM_2M)

FIXTURE(ahead)
{
	struct dm_ctx	dm;
	int		drm;
	unsigned long	capacity;	/* pages of device memory */
};

DM_VARIANTS(ahead);

FIXTURE_SETUP(ahead)
{
	DMD_SETUP(&self->dm, &self->drm, variant->index, variant->peer);
	self->capacity = dm_stat(&self->dm.start, "vram_capacity_pages");
	if (self->capacity * DM_PAGE > 128UL << 20)
		SKIP(return, "too much device memory for this test");
	ASSERT_EQ(0, dmd_evict(self->drm, HMM_DMIRROR_EVICT_ALL, NULL, 0, NULL));
	/* Until the device no longer counts as short of pages. */
	usleep(1200 * 1000);
	dm_restart(&self->dm);
}

FIXTURE_TEARDOWN(ahead)
{
	dmd_teardown(_metadata, &self->dm, self->drm);
}

/* A low watermark is a sixteenth. */
static bool comes_free(int index, unsigned long npages)
{
	int i;

	for (i = 0; i < 100; i++, usleep(50 * 1000))
		if (dm_stat_now(index, "vram_free_pages") >= npages)
			return true;
	return false;
}

/* What fits stays whole, to the last page, however full that makes it. */
TEST_F(ahead, not_when_it_fits)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, self->capacity, DM_BUF_SMALL));
	dm_fill(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	usleep(300 * 1000);
	EXPECT_ALL(self->dm.fd, b.ptr, b.npages, DM_ON_DEV);
	EXPECT_MOVED(&self->dm, "evicted_pages", 0);
	EXPECT_EQ(0, dm_stat_now(self->dm.index, "vram_free_pages"));
	dm_buf_free(&b);
}

/* Who streams through the device finds room made, in time and not too much. */
TEST_F(ahead, when_short_of_pages)
{
	struct dm_buf b;
	size_t at;

	ASSERT_EQ(0, dm_buf_anon(&b, 3 * self->capacity, DM_BUF_SMALL));
	dm_fill(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	for (at = 0; at < b.size; at += STEP) {
		ASSERT_EQ(0, dmd_migrate(self->drm, b.ptr + at, STEP,
					 HMM_DMIRROR_DEST_VRAM, 0, 0, NULL));
	}
	/* Who was slow may not have been short of pages in the last second. */
	for (at = 0; at < 4 * STEP && !comes_free(self->dm.index, self->capacity / 16);
	     at += STEP)
		ASSERT_EQ(0, dmd_migrate(self->drm, b.ptr + at, STEP,
					 HMM_DMIRROR_DEST_VRAM, 0, 0, NULL));
	EXPECT_GT(4 * STEP, at);
	EXPECT_MOVED_MIN(&self->dm, "evicted_ahead_pages", 1);
	EXPECT_MOVED_MIN(&self->dm, "evicted_pages", 2 * self->capacity);
	/* Up to the high watermark, an eighth, and no further than one block. */
	EXPECT_LE(dm_stat_now(self->dm.index, "vram_free_pages"),
		  self->capacity / 8 + DM_2M_PAGES);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* The character devices know when what leaves: at once, when they need room. */
TEST_F(ahead, not_for_character_devices)
{
	struct dm_buf b;
	size_t at;

	ASSERT_EQ(0, dm_buf_anon(&b, 2 * self->capacity, DM_BUF_SMALL));
	dm_fill(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	for (at = 0; at < b.size; at += STEP) {
		ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr + at, STEP / DM_PAGE,
				       b.mirror + at, NULL));
	}
	usleep(300 * 1000);
	EXPECT_MOVED(&self->dm, "evicted_ahead_pages", 0);
	EXPECT_MOVED(&self->dm, "evicted_pages", self->capacity);
	EXPECT_EQ(0, dm_stat_now(self->dm.index, "vram_free_pages"));
	EXPECT_TAGS(b.mirror, b.npages, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
