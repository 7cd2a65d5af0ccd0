// SPDX-License-Identifier: GPL-2.0
/*
 * Pages with equal content are merged behind the device's back: a read must
 * still be right, and a device write must not reach the twin.
 */
#include <time.h>
#include "dm_harness.h"

#define KSM	"/sys/kernel/mm/ksm/"
#define NPAGES	16UL

DM_FIXTURE(mirror);

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Page frame of a page, 0 if it is not mapped. */
static __u64 frame(const void *addr)
{
	__u64 ent;

	return dm_pagemap(addr, 1, &ent) ? 0 : dm_pm_pfn(ent);
}

static unsigned long merged(struct dm_buf *a, struct dm_buf *b)
{
	unsigned long i, n = 0;

	for (i = 0; i < NPAGES; i++)
		n += frame(a->ptr + i * DM_PAGE) ==
		     frame(b->ptr + i * DM_PAGE);
	return n;
}

/* Let ksmd run until every page of both buffers has one frame, or time is up. */
static bool merge(struct dm_buf *a, struct dm_buf *b)
{
	double end = now() + dm_timeout(5);
	bool done = false;

	if (madvise(a->ptr, a->size, MADV_MERGEABLE) ||
	    madvise(b->ptr, b->size, MADV_MERGEABLE))
		return false;
	dm_write_file(KSM "pages_to_scan", "1000");
	dm_write_file(KSM "sleep_millisecs", "10");
	dm_write_file(KSM "run", "1");
	while (!done && now() < end)
		done = merged(a, b) == NPAGES;
	dm_write_file(KSM "run", "0");
	return done;
}

/* Read right after the merge; write to one copy; the other keeps its bytes. */
TEST_F(mirror, merged_pages)
{
	struct dm_buf a, b;

	if (access(KSM "run", W_OK))
		SKIP(return, "no KSM");
	ASSERT_EQ(0, dm_buf_anon(&a, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	/* Same bytes in both: tagged for a's addresses. */
	dm_fill(a.mirror, NPAGES, a.ptr, 1, DM_DEV);
	ASSERT_EQ(0, dm_write(self->dm.fd, a.ptr, NPAGES, a.mirror, NULL));
	ASSERT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, a.mirror, NULL));
	dm_restart(&self->dm);
	ASSERT_TRUE(merge(&a, &b));
	EXPECT_MOVED_MIN(&self->dm, "invalidations", 1);

	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, NPAGES, a.ptr, 1, DM_DEV);
	dm_fill(a.mirror, NPAGES, a.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, a.ptr, NPAGES, a.mirror, NULL));
	EXPECT_EQ(0, merged(&a, &b));
	EXPECT_TAGS(a.ptr, NPAGES, a.ptr, 2, DM_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, a.ptr, 1, DM_DEV);
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, NPAGES, a.ptr, 1, DM_DEV);
	dm_buf_free(&a);
	dm_buf_free(&b);
}

/*
 * Merged pages do not move: ksmd goes on comparing them, with the CPU. It still
 * can afterwards, and finds a third copy of the same bytes.
 */
TEST_F(mirror, merged_pages_stay)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf a, b, c;

	if (access(KSM "run", W_OK))
		SKIP(return, "no KSM");
	ASSERT_EQ(0, dm_buf_anon(&a, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&c, NPAGES, DM_BUF_SMALL));
	dm_fill(a.ptr, NPAGES, a.ptr, 3, DM_CPU);
	dm_fill(b.ptr, NPAGES, a.ptr, 3, DM_CPU);
	ASSERT_TRUE(merge(&a, &b));

	EXPECT_EQ(-ENOENT, dm_to_dev(self->dm.fd, a.ptr, NPAGES, a.mirror, &res));
	EXPECT_EQ(0, res.cpages);
	EXPECT_MOVED(&self->dm, "in_unsupported_pages", NPAGES);
	EXPECT_CLASSES(&self->dm, "in", NPAGES);
	EXPECT_EQ(NPAGES, merged(&a, &b));

	dm_fill(c.ptr, NPAGES, a.ptr, 3, DM_CPU);
	EXPECT_TRUE(merge(&a, &c));
	EXPECT_TAGS(a.ptr, NPAGES, a.ptr, 3, DM_CPU);
	EXPECT_TAGS(c.ptr, NPAGES, a.ptr, 3, DM_CPU);
	dm_buf_free(&a);
	dm_buf_free(&b);
	dm_buf_free(&c);
}

TEST_HARNESS_MAIN
