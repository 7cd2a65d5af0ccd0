// SPDX-License-Identifier: GPL-2.0
/*
 * A 2 MiB page moves to the device and back as one page, and as 512 small ones
 * when one cannot be had; the size is read from the device, from smaps and from
 * the counters. Owns its buffers and children; no locks.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "actor.h"
#include "thp.h"

FIXTURE(thp_order) {
	struct dm_ctx dm;
	struct dm_buf b;
};

FIXTURE_SETUP(thp_order)
{
	THP_SETUP();
}

FIXTURE_TEARDOWN(thp_order)
{
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* There and back by request: one large move each way, no split. */
TEST_F(thp_order, round_trip)
{
	struct hmm_dmirror_cmd res;

	NEEDS_WHOLE();
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	ASSERT_COUNTED("large_in", 1);
	ASSERT_COUNTED("migrate_in_pages", NPAGES);
	ASSERT_COUNTED("vram_resident_pages", NPAGES);
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, &res));
	if (dm_ours())
		ASSERT_EQ(NPAGES, res.cpages);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	ASSERT_TRUE(thp_is_huge(self->b.ptr));
	ASSERT_COUNTED("large_out", 1);
	ASSERT_COUNTED("migrate_out_pages", NPAGES);
	ASSERT_COUNTED("folio_splits", 0);
	ASSERT_COUNTED("large_fallbacks", 0);
	ASSERT_COUNTED("vram_resident_pages", 0);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* One load brings the whole page back, in one fault, as one page. */
TEST_F(thp_order, fault_back)
{
	NEEDS_WHOLE();
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	(void)*(volatile __u8 *)(self->b.ptr + 300 * DM_PAGE + 5);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	ASSERT_TRUE(thp_is_huge(self->b.ptr));
	ASSERT_COUNTED("cpu_faults", 1);
	ASSERT_COUNTED("cpu_fault_pages", NPAGES);
	ASSERT_COUNTED("large_out", 1);
	ASSERT_COUNTED("folio_splits", 0);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/*
 * A client that begins in the middle of a page that is whole on the device gets
 * the middle. (The kernel names the first frame then.)
 */
TEST_F(thp_order, begin_in_the_middle)
{
	const unsigned long at = NPAGES / 4;
	__u8 *addr = self->b.ptr + at * DM_PAGE;
	int fd;

	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	fd = dm_open(self->dm.index);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, dm_read(fd, addr, 1, self->b.mirror, NULL));
	ASSERT_TAGS(self->b.mirror, 1, addr, 1, DM_CPU);
	dm_fill(self->b.mirror, at, addr + at * DM_PAGE, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(fd, addr + at * DM_PAGE, at, self->b.mirror, NULL));
	close(fd);
	ASSERT_TAGS(self->b.ptr, 2 * at, self->b.ptr, 1, DM_CPU);
	ASSERT_TAGS(addr + at * DM_PAGE, at, addr + at * DM_PAGE, 2, DM_DEV);
	ASSERT_TAGS(addr + 2 * at * DM_PAGE, at, addr + 2 * at * DM_PAGE, 1, DM_CPU);
}

/* Ten times round: the device memory stays in one piece. */
TEST_F(thp_order, many_round_trips)
{
	int i;

	NEEDS_WHOLE();
	for (i = 0; i < 10; i++) {
		ASSERT_WHOLE_TO_DEV(&self->b, i + 1, DM_CPU);
		dm_fill(self->b.ptr, NPAGES, self->b.ptr, i + 2, DM_CPU);
		ASSERT_TRUE(thp_is_huge(self->b.ptr));
	}
	ASSERT_COUNTED("large_in", 10);
	ASSERT_COUNTED("large_out", 10);
	ASSERT_COUNTED("folio_splits", 0);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 11, DM_CPU);
}

/* The device reads and writes it in place, without taking it apart. */
TEST_F(thp_order, device_access)
{
	NEEDS_WHOLE();
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 2, DM_DEV);
	/* A part of it only. */
	dm_fill(self->b.mirror, 3, self->b.ptr + 77 * DM_PAGE, 3, DM_DEV);
	ASSERT_EQ(0, dm_write(self->dm.fd, self->b.ptr + 77 * DM_PAGE, 3,
			      self->b.mirror, NULL));
	ASSERT_EQ(NPAGES, thp_on_dev_whole(self->dm.fd, self->b.ptr, NPAGES));
	ASSERT_COUNTED("folio_splits", 0);
	ASSERT_COUNTED("migrate_out_pages", 0);
	ASSERT_TAGS(self->b.ptr + 77 * DM_PAGE, 3, self->b.ptr + 77 * DM_PAGE,
		    3, DM_DEV);
	ASSERT_TAGS(self->b.ptr, 77, self->b.ptr, 2, DM_DEV);
	ASSERT_TAGS(self->b.ptr + 80 * DM_PAGE, NPAGES - 80,
		    self->b.ptr + 80 * DM_PAGE, 2, DM_DEV);
	ASSERT_TRUE(thp_is_huge(self->b.ptr));
}

/* Asking again for what is there already moves nothing and says so. */
TEST_F(thp_order, twice)
{
	NEEDS_WHOLE();
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	ASSERT_COUNTED("large_in", 1);
	ASSERT_COUNTED("migrate_in_pages", NPAGES);
	ASSERT_COUNTED("vram_resident_pages", NPAGES);
}

/*
 * A range that covers the page in part: what was asked for is on the device,
 * the rest is not, and every byte is right.
 */
TEST_F(thp_order, part_of_a_page)
{
	__u8 *part = self->b.ptr + 100 * DM_PAGE;
	struct hmm_dmirror_cmd res;

	ASSERT_EQ(0, dm_to_dev(self->dm.fd, part, 200, self->b.mirror, &res));
	ASSERT_EQ(200, res.cpages);
	ASSERT_TAGS(self->b.mirror, 200, part, 1, DM_CPU);
	ASSERT_ALL(self->dm.fd, part, 200, DM_ON_DEV);
	ASSERT_ALL(self->dm.fd, self->b.ptr, 100, DM_SYS);
	ASSERT_ALL(self->dm.fd, part + 200 * DM_PAGE, NPAGES - 300, DM_SYS);
	ASSERT_EQ(0, thp_on_dev_whole(self->dm.fd, self->b.ptr, NPAGES));
	ASSERT_COUNTED("vram_resident_pages", 200);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* A part of a device page goes home: the rest stays, the page is split. */
TEST_F(thp_order, part_goes_home)
{
	__u8 *part = self->b.ptr + 100 * DM_PAGE;

	NEEDS_WHOLE();
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, part, 200, NULL));
	ASSERT_ALL(self->dm.fd, part, 200, DM_SYS);
	ASSERT_ALL(self->dm.fd, self->b.ptr, 100, DM_ON_DEV);
	ASSERT_ALL(self->dm.fd, part + 200 * DM_PAGE, NPAGES - 300, DM_ON_DEV);
	ASSERT_COUNTED("folio_splits", 1);
	ASSERT_COUNTED("vram_resident_pages", NPAGES - 200);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_COUNTED("vram_resident_pages", 0);
}

/* Two huge pages and two halves around them, in one request. */
TEST_F(thp_order, unaligned_range)
{
	struct dm_buf big;
	__u8 *from;
	unsigned long n = 2 * NPAGES;

	if (!thp_make(&big, 3 * NPAGES)) {
		dm_buf_free(&big);
		SKIP(return, "no huge pages to be had");
	}
	from = big.ptr + NPAGES / 2 * DM_PAGE;
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, from, n, big.mirror, NULL));
	ASSERT_TAGS(big.mirror, n, from, 1, DM_CPU);
	ASSERT_ALL(self->dm.fd, from, n, DM_ON_DEV);
	ASSERT_ALL(self->dm.fd, big.ptr, NPAGES / 2, DM_SYS);
	ASSERT_ALL(self->dm.fd, from + n * DM_PAGE, NPAGES / 2, DM_SYS);
	if (thp_moves_whole())
		ASSERT_EQ(NPAGES, thp_on_dev_whole(self->dm.fd, from, n));
	ASSERT_TAGS(big.ptr, 3 * NPAGES, big.ptr, 1, DM_CPU);
	dm_buf_free(&big);
}

/* A few small pages of the device in use do not keep a large one from going. */
TEST_F(thp_order, beside_small_pages)
{
	struct dm_buf few;

	NEEDS_WHOLE();
	ASSERT_EQ(0, dm_buf_anon(&few, 10, DM_BUF_SMALL));
	dm_fill(few.ptr, 10, few.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(self->dm.fd, &few, 1, DM_CPU);
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	ASSERT_COUNTED("large_in", 1);
	ASSERT_COUNTED("large_fallbacks", 0);
	dm_buf_free(&few);
}

/* No room for a large page on the device: small ones instead, all of them. */
TEST_F(thp_order, no_large_page_there)
{
	ASSERT_EQ(0, dm_flags(self->dm.fd, HMM_DMIRROR_FLAG_FAIL_ALLOC));
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, thp_on_dev_whole(self->dm.fd, self->b.ptr, NPAGES));
	if (thp_moves_whole()) {
		ASSERT_COUNTED("large_fallbacks", 1);
		ASSERT_COUNTED("large_in", 0);
	}
	ASSERT_COUNTED("vram_resident_pages", NPAGES);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 2, DM_DEV);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 2, DM_DEV);
}

/* No large page of system memory: the page comes home in pieces. */
TEST_F(thp_order, no_large_page_here)
{
	NEEDS_WHOLE();
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	ASSERT_EQ(0, dm_flags(self->dm.fd, HMM_DMIRROR_FLAG_FAIL_ALLOC));
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, NULL));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	ASSERT_FALSE(thp_is_huge(self->b.ptr));
	ASSERT_COUNTED("large_fallbacks", 1);
	ASSERT_COUNTED("large_out", 0);
	ASSERT_COUNTED("vram_resident_pages", 0);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* The one-shot failure is over after one: the next page moves whole. */
TEST_F(thp_order, fails_once)
{
	NEEDS_WHOLE();
	ASSERT_EQ(0, dm_flags(self->dm.fd, HMM_DMIRROR_FLAG_FAIL_ALLOC));
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 2, DM_CPU);
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_COLLAPSE));
	ASSERT_WHOLE_TO_DEV(&self->b, 2, DM_CPU);
	ASSERT_COUNTED("large_in", 1);
}

/* fork(): the whole page is shared, and taken apart only by content. */
TEST_F(thp_order, forked)
{
	struct actor child;

	NEEDS_WHOLE();
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	ASSERT_EQ(0, actor_fork(&child, &self->b, -1));
	ASSERT_EQ(0, act_arg(&child, A_OPEN, self->dm.index));
	ASSERT_EQ(0, act_where(&child, 0, NPAGES, DM_ON_DEV));
	ASSERT_EQ(NPAGES, thp_on_dev_whole(self->dm.fd, self->b.ptr, NPAGES));
	ASSERT_COUNTED("vram_resident_pages", NPAGES);
	/* One byte of the child's costs the parent nothing but its place. */
	ASSERT_EQ(0, act(&child, A_CPU_FILL, 10, 1, 2, DM_CHILD));
	ASSERT_EQ(0, act(&child, A_DEV_CHECK, 10, 1, 2, DM_CHILD));
	ASSERT_EQ(0, act(&child, A_DEV_CHECK, 11, NPAGES - 11, 1, DM_CPU));
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, actor_end(&child));
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, NULL));
	ASSERT_COUNTED("vram_resident_pages", 0);
}

TEST_HARNESS_MAIN
