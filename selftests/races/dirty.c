// SPDX-License-Identifier: GPL-2.0
/*
 * A device write makes a page dirty like a CPU write does. Otherwise the kernel
 * may later drop the page instead of keeping it: after MADV_FREE, or where a
 * copy from before the write is still on the swap device.
 *
 * Owns one client, one buffer and, where needed, one swap device.
 */
#include <sys/mman.h>

#include "dm_harness.h"
#include "race.h"

#define NPAGES	32

FIXTURE(dirty)
{
	struct dm_ctx	dm;
	struct dm_buf	b;
	char		why[DM_MSG];
};

FIXTURE_VARIANT(dirty)
{
	int		index, peer;
};

FIXTURE_VARIANT_ADD(dirty, device_private)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1,
};

FIXTURE_VARIANT_ADD(dirty, device_coherent)
{
	.index = DM_COHERENT0, .peer = DM_COHERENT1,
};

FIXTURE_SETUP(dirty)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(dirty)
{
	dm_buf_free(&self->b);
	dm_teardown(_metadata, &self->dm);
}

#define DEV_WRITES() do {						\
	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 2, DM_DEV);	\
	ASSERT_EQ(0, dm_write(self->dm.fd, self->b.ptr, NPAGES,		\
			      self->b.mirror, NULL));			\
} while (0)

#define EXPECT_KEPT()							\
	EXPECT_EQ(0, race_verify(self->b.ptr, NPAGES, self->b.ptr, 2,	\
				 DM_DEV, self->why)) {			\
		TH_LOG("the device's write is gone: %s", self->why);	\
	}

/* The kernel drops a clean page that was given back with MADV_FREE. */
TEST_F(dirty, write_after_madv_free)
{
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_FREE));
	DEV_WRITES();
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_PAGEOUT));
	EXPECT_KEPT();
}

/* The same with the write landing in device memory. */
TEST_F(dirty, write_on_device_after_madv_free)
{
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_FREE));
	ASSERT_EQ(0, race_to_dev_all(self->dm.fd, &self->b, self->why)) {
		TH_LOG("%s", self->why);
	}
	DEV_WRITES();
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, NULL));
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_PAGEOUT));
	EXPECT_KEPT();
}

/* A page that was swapped in by reading is clean: its copy is still there. */
TEST_F(dirty, write_after_swap_in)
{
	volatile uint8_t *p = self->b.ptr;
	struct dm_zram z;
	int i, ret = dm_zram_on(&z, 64UL << 20);

	if (ret == -ENODEV)
		SKIP(return, "no zram in this kernel");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(0, dm_swap_out(self->b.ptr, NPAGES));
	for (i = 0; i < NPAGES; i++)
		(void)p[i * DM_PAGE];
	DEV_WRITES();
	madvise(self->b.ptr, self->b.size, MADV_PAGEOUT);
	EXPECT_KEPT();
	EXPECT_EQ(0, dm_zram_off(&z));
}

TEST_HARNESS_MAIN
