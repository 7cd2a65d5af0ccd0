// SPDX-License-Identifier: GPL-2.0
/*
 * A working set that is larger than the device: every byte stays right, the
 * device does not grow, and what does not fit goes home instead of failing.
 *
 * Owns one client and a buffer half as large again as device memory.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "dm_harness.h"
#include "race.h"
#include "scene.h"

/* What the kernel's test_hmm calls a chunk; it adds them without limit. */
#define CHUNK_PAGES	((256UL << 20) / DM_PAGE)
#define STEP		DM_2M_PAGES

FIXTURE(capacity)
{
	struct dm_ctx	dm;
	struct dm_buf	b;
	unsigned long	pages;		/* of device memory */
	unsigned long	room;		/* in the physical address space */
	char		why[DM_MSG];
};

FIXTURE_VARIANT(capacity)
{
	int		index, peer;
	int		flags;
};

FIXTURE_VARIANT_ADD(capacity, device_private)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .flags = DM_BUF_SMALL,
};

FIXTURE_VARIANT_ADD(capacity, device_private_thp)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .flags = DM_BUF_THP,
};

FIXTURE_VARIANT_ADD(capacity, device_coherent)
{
	.index = DM_COHERENT0, .peer = DM_COHERENT1, .flags = DM_BUF_SMALL,
};

FIXTURE_VARIANT_ADD(capacity, device_coherent_thp)
{
	.index = DM_COHERENT0, .peer = DM_COHERENT1, .flags = DM_BUF_THP,
};

/* Pages of physical address space that device memory occupies. */
static unsigned long iomem_pages(void)
{
	unsigned long start, end, pages = 0;
	char line[200];
	FILE *f = fopen("/proc/iomem", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "dmirror") && line[0] != ' ' &&
		    sscanf(line, "%lx-%lx", &start, &end) == 2)
			pages += (end + 1 - start) / DM_PAGE;
	if (f)
		fclose(f);
	return pages;
}

FIXTURE_SETUP(capacity)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->pages = CHUNK_PAGES;
	if (self->dm.counters)
		self->pages = dm_stat_now(variant->index,
					  "vram_capacity_pages");
	self->room = iomem_pages();
	ASSERT_EQ(0, dm_buf_anon(&self->b, (self->pages * 3 / 2 + STEP) /
				 STEP * STEP, variant->flags));
}

FIXTURE_TEARDOWN(capacity)
{
	dm_buf_free(&self->b);
	dm_teardown(_metadata, &self->dm);
}

static bool last_step_stays(struct dm_ctx *dm, const uint8_t *p)
{
	return dm_count(dm->fd, p, STEP, DM_ON_DEV) > 0;
}

/* All of it goes in, step by step, and each step is on the device at its end. */
TEST_F_TIMEOUT(capacity, working_set_exceeds_device, dm_timeout(60))
{
	struct hmm_dmirror_cmd cmd;
	struct dm_buf *b = &self->b;
	unsigned long i;

	dm_fill(b->ptr, b->npages, b->ptr, 1, DM_CPU);
	for (i = 0; i < b->npages; i += STEP) {
		ASSERT_EQ(0, dm_to_dev(self->dm.fd, b->ptr + i * DM_PAGE, STEP,
				       b->mirror, &cmd));
		ASSERT_EQ(STEP, cmd.cpages);
		ASSERT_TRUE(last_step_stays(&self->dm, b->ptr + i * DM_PAGE));
	}
	EXPECT_EQ(self->room, iomem_pages()) {
		TH_LOG("the device grew");
	}
	/* By device, wherever the pages are by now. */
	for (i = 0; i < b->npages; i += STEP) {
		ASSERT_EQ(0, dm_read(self->dm.fd, b->ptr + i * DM_PAGE, STEP,
				     b->mirror, NULL));
		ASSERT_TAGS(b->mirror, STEP, b->ptr + i * DM_PAGE, 1, DM_CPU);
	}
	for (i = 0; i < b->npages; i += STEP) {
		dm_fill(b->mirror, STEP, b->ptr + i * DM_PAGE, 2, DM_DEV);
		ASSERT_EQ(0, dm_write(self->dm.fd, b->ptr + i * DM_PAGE, STEP,
				      b->mirror, NULL));
	}
	ASSERT_TAGS(b->ptr, b->npages, b->ptr, 2, DM_DEV);
	EXPECT_MOVED_MIN(&self->dm, "evicted_pages", b->npages - self->pages);
}

TEST_HARNESS_MAIN
