// SPDX-License-Identifier: GPL-2.0
/*
 * Swap that is compressed memory of the group itself: it fills up and is written
 * back to the disk behind it, or may not be; what does not compress; and it is
 * switched off with pages in it. Half of the range is on the device meanwhile.
 */
#include "pressure.h"

#define NPAGES	512UL
#define HALF	(NPAGES / 2)

PR_FIXTURE(zswap, PR_ZSWAP);

#define E		(&self->e)
#define FD		(self->e.dm.fd)
#define REST(b)		((b)->ptr + HALF * DM_PAGE)

/* The first half on the device, the second in memory; all with tags. */
#define HALF_THERE(b) do {						\
	ASSERT_EQ(0, pr_buf(E, b, NPAGES, DM_BUF_SMALL));		\
	dm_fill((b)->ptr, NPAGES, (b)->ptr, 1, DM_CPU);			\
	ASSERT_EQ(0, dm_to_dev(FD, (b)->ptr, HALF, (b)->mirror, NULL));	\
	dm_restart(&E->dm);						\
} while (0)

/* Nothing of all this has concerned the half on the device. */
#define EXPECT_UNDISTURBED(b) do {					\
	EXPECT_ALL(FD, (b)->ptr, HALF, DM_ON_DEV);			\
	EXPECT_MOVED(&E->dm, "vram_resident_pages", 0);			\
	EXPECT_MOVED(&E->dm, "migrate_out_pages", 0);			\
} while (0)

/* All of it, by either side of the device and after going there. */
#define EXPECT_INTACT(b) do {						\
	ASSERT_DEV_READS(FD, b, 1, DM_CPU);				\
	ASSERT_EQ(0, pr_to_dev(E, (b)->ptr, NPAGES, (b)->mirror));	\
	EXPECT_ALL(FD, (b)->ptr, NPAGES, DM_ON_DEV);			\
	EXPECT_TAGS((b)->ptr, NPAGES, (b)->ptr, 1, DM_CPU);		\
	EXPECT_NO_OOM(E);						\
} while (0)

/* It is full: what was put there first goes to the disk. */
TEST_F(zswap, written_back)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.zswap.max", "64K"));
	HALF_THERE(&b);
	ASSERT_EQ(0, dm_swap_out(REST(&b), HALF));
	EXPECT_ALL(FD, REST(&b), HALF, DM_SWAPPED);
	EXPECT_TRUE(pr_happened(E, "zswpout"));
	EXPECT_TRUE(pr_happened(E, "zswpwb"));
	EXPECT_UNDISTURBED(&b);
	EXPECT_INTACT(&b);
	dm_buf_free(&b);
}

/*
 * It is full, and may not be written back: what does not fit has a place in swap,
 * no entry in the page table, and stays in memory.
 */
TEST_F(zswap, not_written_back)
{
	struct dm_buf b;

	if (dm_cg_write(&self->e.cg, "memory.zswap.writeback", "0"))
		SKIP(return, "this kernel always writes back");
	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.zswap.max", "64K"));
	HALF_THERE(&b);
	pr_reclaim(E, b.size);
	EXPECT_LT(0, dm_count(FD, REST(&b), HALF, DM_SWAPPED));
	EXPECT_TRUE(pr_happened(E, "zswpout"));
	EXPECT_TRUE(pr_happened(E, "swapcached"));
	EXPECT_GT(HALF, pr_stat(E, "memory.stat", "zswpout"));
	EXPECT_EQ(0, pr_stat(E, "memory.stat", "zswpwb"));
	EXPECT_EQ(0, pr_stat(E, "memory.stat", "pswpout"));
	EXPECT_UNDISTURBED(&b);
	EXPECT_INTACT(&b);
	dm_buf_free(&b);
}

/* xorshift: nothing that could be compressed, and the same every time. */
static void noise(void *mem, size_t len)
{
	__u64 x = 88172645463325252ULL;
	size_t i;

	for (i = 0; i < len / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		((__u64 *)mem)[i] = x;
	}
}

/* Pages that are no smaller compressed, there, in swap and back. */
TEST_F(zswap, noise)
{
	struct dm_buf b;
	__u8 *want;

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	want = malloc(b.size);
	ASSERT_NE(NULL, want);
	noise(want, b.size);
	memcpy(b.ptr, want, b.size);
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, HALF, b.mirror, NULL));
	ASSERT_EQ(0, dm_swap_out(REST(&b), HALF));
	ASSERT_EQ(0, dm_read(FD, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_EQ(0, memcmp(b.mirror, want, b.size));
	ASSERT_EQ(0, dm_to_sys(FD, b.ptr, HALF, NULL));
	ASSERT_EQ(0, dm_swap_out(b.ptr, NPAGES));
	EXPECT_EQ(0, memcmp(b.ptr, want, b.size));
	free(want);
	dm_buf_free(&b);
}

/* Switched off: what it has it keeps, what comes now goes to the disk. */
TEST_F(zswap, switched_off)
{
	struct dm_buf b;

	HALF_THERE(&b);
	ASSERT_EQ(0, dm_swap_out(REST(&b), HALF / 2));
	EXPECT_TRUE(pr_happened(E, "zswpout"));
	ASSERT_EQ(1, dm_zswap(false));
	ASSERT_EQ(0, dm_swap_out(REST(&b), HALF));
	EXPECT_ALL(FD, REST(&b), HALF, DM_SWAPPED);
	EXPECT_UNDISTURBED(&b);
	EXPECT_INTACT(&b);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
