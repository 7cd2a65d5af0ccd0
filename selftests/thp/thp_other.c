// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that are not an ordinary 2 MiB page: collapsed over device entries, the
 * huge zero page, discarded and untouched ones, folios of other sizes, hugetlb.
 * Owns its buffers and a thread; no locks.
 */
#define _GNU_SOURCE
#include <linux/mman.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "thp.h"

FIXTURE(thp_other) {
	struct dm_ctx dm;
	struct dm_buf b;
};

FIXTURE_SETUP(thp_other)
{
	STAGE_PRIVATE(&self->dm);
}

FIXTURE_TEARDOWN(thp_other)
{
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/*
 * MADV_COLLAPSE over a range of which every other 16th page is on the device:
 * refused or done, but the content is right and nothing is lost.
 */
TEST_F(thp_other, collapse_over_device_pages)
{
	unsigned long i, was = 0;
	int ret;

	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	for (i = 0; i < NPAGES; i += 64, was += 16)
		ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr + i * DM_PAGE,
				       16, self->b.mirror, NULL));
	ASSERT_COUNTED("vram_resident_pages", was);
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_HUGEPAGE));
	ret = madvise(self->b.ptr, self->b.size, MADV_COLLAPSE);
	if (ret) {
		/* Refused: then nothing has happened. */
		ASSERT_EQ(was, dm_count(self->dm.fd, self->b.ptr, NPAGES,
					DM_ON_DEV));
	} else {
		ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
		ASSERT_TRUE(thp_is_huge(self->b.ptr));
		ASSERT_COUNTED("vram_resident_pages", 0);
	}
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_COUNTED("vram_resident_pages", 0);
}

/* The same with all of the range on the device, small pages. */
TEST_F(thp_other, collapse_all_device_pages)
{
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_HUGEPAGE));
	(void)madvise(self->b.ptr, self->b.size, MADV_COLLAPSE);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* Mapped through the device's own entries, collapsed, and read again. */
TEST_F(thp_other, collapse_under_device_mapping)
{
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_HUGEPAGE));
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_COLLAPSE));
	ASSERT_TRUE(thp_is_huge(self->b.ptr));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 2, DM_CPU);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 2, DM_CPU);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 3, DM_DEV);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 3, DM_DEV);
	ASSERT_WHOLE_TO_DEV(&self->b, 3, DM_DEV);
}

/* The huge zero page: zeroes on the device, and private memory once written. */
TEST_F(thp_other, huge_zero_page)
{
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_THP));
	(void)*(volatile __u8 *)self->b.ptr;
	memset(self->b.mirror, 0xff, self->b.size);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
			       self->b.mirror, NULL));
	ASSERT_ZERO_PAGES(self->b.mirror, NPAGES);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_COUNTED("vram_resident_pages", NPAGES);
	dm_fill(self->b.mirror, 1, self->b.ptr, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(self->dm.fd, self->b.ptr, 1, self->b.mirror,
			      NULL));
	ASSERT_TAGS(self->b.ptr, 1, self->b.ptr, 2, DM_DEV);
	ASSERT_ZERO_PAGES(self->b.ptr + DM_PAGE, NPAGES - 1);
}

/* Never touched: the device gets fresh zeroed memory. */
TEST_F(thp_other, untouched)
{
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_THP));
	memset(self->b.mirror, 0xff, self->b.size);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
			       self->b.mirror, NULL));
	ASSERT_ZERO_PAGES(self->b.mirror, NPAGES);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_ZERO_PAGES(self->b.ptr, NPAGES);
}

/* A file whose allocations fail as often as another thread can ask for it. */
struct storm {
	pthread_t	thread;
	int		fd;
	atomic_bool	over;
};

static void *storm_run(void *arg)
{
	struct storm *storm = arg;

	while (!atomic_load(&storm->over))
		dm_flags(storm->fd, HMM_DMIRROR_FLAG_FAIL_ALLOC);
	return NULL;
}

/* How often an untouched 2 MiB must have been given up, of how many tries. */
#define STORM_HITS	5
#define STORM_ROUNDS	300

/*
 * Never touched, and neither the large page nor all of the small ones can be
 * had. The 2 MiB are all there or none of them is, empty in any case: the core
 * fills a hole this large without a look at whether it got every page.
 */
TEST_F(thp_other, untouched_in_a_storm)
{
	struct storm storm = { .fd = self->dm.fd };
	struct hmm_dmirror_cmd res;
	long there, hits = 0;
	int ret, i;

	NEEDS_WHOLE();
	if (!dm_ours())
		SKIP(return, "test_hmm has one failure, not two at once");
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_THP));
	ASSERT_EQ(0, pthread_create(&storm.thread, NULL, storm_run, &storm));
	for (i = 0; i < STORM_ROUNDS && hits < STORM_HITS; i++) {
		dm_restart(&self->dm);
		ret = dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
				self->b.mirror, &res);
		there = dm_count(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
		EXPECT_EQ(there == NPAGES ? 0 : -ENOENT, ret);
		EXPECT_EQ(there, res.cpages);
		EXPECT_TRUE(there == NPAGES || !there);
		EXPECT_EQ(NPAGES - there, dm_count(self->dm.fd, self->b.ptr,
						   NPAGES, DM_NOWHERE));
		EXPECT_EQ(there, stage_delta(&self->dm, "in_moved_pages"));
		EXPECT_EQ(NPAGES - there,
			  stage_delta(&self->dm, "in_nomem_pages"));
		hits += stage_delta(&self->dm, "large_fallbacks") > 0 &&
			stage_delta(&self->dm, "migrate_in_failed_pages") > 0;
		EXPECT_ZERO_PAGES(self->b.ptr, NPAGES);
		EXPECT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_DONTNEED));
	}
	atomic_store(&storm.over, true);
	ASSERT_EQ(0, pthread_join(storm.thread, NULL));
	TH_LOG("%ld holes given up in %d rounds", hits, i);
	/* Or this test would prove nothing. */
	EXPECT_EQ(STORM_HITS, hits);
	EXPECT_EQ(0, dm_stat_now(self->dm.index, "vram_inflight_pages"));
}

/* MADV_FREE on a device page: old content or zeroes, page by page, no more. */
TEST_F(thp_other, madv_free)
{
	unsigned long i;

	if (!thp_make(&self->b, NPAGES))
		SKIP(return, "no huge page to be had");
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_FREE));
	for (i = 0; i < NPAGES; i++) {
		__u8 *p = self->b.ptr + i * DM_PAGE;

		if (dm_verify_zero(p, 1, NULL))
			ASSERT_TAGS(p, 1, p, 1, DM_CPU);
	}
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 2, DM_CPU);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 2, DM_CPU);
}

/* Room for folios of 64 KiB, set for one test; true if it was possible. */
#define MTHP	"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled"

/*
 * Folios of 64 KiB move page by page: all of it arrives, none of it claims to
 * be a 2 MiB page, the content is right both ways.
 */
TEST_F(thp_other, middle_sized_folios)
{
	char old[64] = "";
	bool large;

	if (dm_read_file(MTHP, old, sizeof(old)) < 0)
		SKIP(return, "no folios of 64 KiB");
	ASSERT_EQ(0, dm_write_file(MTHP, "always"));
	ASSERT_EQ(0, dm_buf_anon(&self->b, 64, DM_BUF_THP));
	dm_fill(self->b.ptr, 64, self->b.ptr, 1, DM_CPU);
	large = check_huge_anon(self->b.ptr, self->b.size, 4, 64 * 1024);
	EXPECT_EQ(0, dm_write_file(MTHP, "never"));
	ASSERT_TRUE(large);

	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, thp_on_dev_whole(self->dm.fd, self->b.ptr, 64));
	ASSERT_COUNTED("large_in", 0);
	ASSERT_COUNTED("vram_resident_pages", 64);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 2, DM_DEV);
	ASSERT_TAGS(self->b.ptr, 64, self->b.ptr, 2, DM_DEV);
	ASSERT_COUNTED("vram_resident_pages", 0);
}

/* Half of a 64 KiB folio is asked for: half of it moves. */
TEST_F(thp_other, half_a_folio)
{
	if (dm_write_file(MTHP, "always"))
		SKIP(return, "no folios of 64 KiB");
	ASSERT_EQ(0, dm_buf_anon(&self->b, 16, DM_BUF_THP));
	dm_fill(self->b.ptr, 16, self->b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_write_file(MTHP, "never"));
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr + 8 * DM_PAGE, 8,
			       self->b.mirror, NULL));
	ASSERT_ALL(self->dm.fd, self->b.ptr, 8, DM_SYS);
	ASSERT_ALL(self->dm.fd, self->b.ptr + 8 * DM_PAGE, 8, DM_ON_DEV);
	ASSERT_TAGS(self->b.ptr, 16, self->b.ptr, 1, DM_CPU);
}

/* hugetlb: read and written where it is, never moved, and says which error. */
TEST_F(thp_other, hugetlb)
{
	static const char pool[] = "/proc/sys/vm/nr_hugepages";
	struct hmm_dmirror_cmd res;
	__u64 old = 0;

	ASSERT_EQ(0, dm_read_u64(pool, &old));
	if (old < 2)
		ASSERT_EQ(0, dm_write_file(pool, "2"));
	if (dm_buf_map(&self->b, NPAGES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0))
		SKIP(return, "no hugetlb pages to be had");
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(-EINVAL, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
				     self->b.mirror, &res));
	if (dm_ours())
		ASSERT_EQ(0, res.cpages);
	ASSERT_EQ(-EINVAL, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, NULL));
	ASSERT_COUNTED("migrate_in_pages", 0);
	ASSERT_COUNTED("in_unsupported_pages", NPAGES);
	ASSERT_COUNTED("out_unsupported_pages", NPAGES);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 2, DM_DEV);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 2, DM_DEV);
	dm_buf_free(&self->b);
	if (old < 2)
		dm_write_file(pool, old ? "1" : "0");
}

TEST_HARNESS_MAIN
