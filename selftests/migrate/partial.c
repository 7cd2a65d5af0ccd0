// SPDX-License-Identifier: GPL-2.0
/*
 * The destination page cannot be had: what did not move is where it was, with
 * its bytes, the rest moved, the answer says how many, and the next attempt
 * succeeds.
 */
#include "dm_harness.h"

#define NPAGES	64UL

DM_FIXTURE(migrate);

/*
 * To the device: one page finds no place. A driver may try it again in the same
 * request; the answer has to be about what is there in the end.
 */
TEST_F(migrate, no_device_page)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	long there;
	int ret;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_flags(self->dm.fd, HMM_DMIRROR_FLAG_FAIL_ALLOC));
	ret = dm_to_dev(self->dm.fd, b.ptr, NPAGES, b.mirror, &res);
	there = dm_count(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_GE(there, (long)NPAGES - 1);
	EXPECT_EQ(NPAGES - there, dm_count(self->dm.fd, b.ptr, NPAGES,
					   DM_SYS));
	EXPECT_EQ(there == NPAGES ? 0 : -ENOENT, ret);
	if (dm_ours()) {
		EXPECT_EQ(there, res.cpages);
		/* It did fail once, or this test would prove nothing. */
		EXPECT_MOVED(&self->dm, "migrate_in_failed_pages", 1);
		EXPECT_MOVED(&self->dm, "migrate_in_pages", there);
		EXPECT_MOVED(&self->dm, "in_moved_pages", there);
		EXPECT_MOVED(&self->dm, "in_nomem_pages", NPAGES - there);
		EXPECT_CLASSES(&self->dm, "in", NPAGES);
	} else {
		EXPECT_EQ(NPAGES - 1, there);
	}

	EXPECT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(NPAGES, res.cpages);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Back to the system by request: nothing is lost, the answer is true. */
TEST_F(migrate, no_system_page)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	long back;
	int ret;

	if (!dm_ours())
		SKIP(return, "test_hmm corrupts memory here");
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	ASSERT_EQ(0, dm_flags(self->dm.fd, HMM_DMIRROR_FLAG_FAIL_ALLOC));
	ret = dm_to_sys(self->dm.fd, b.ptr, NPAGES, &res);
	back = dm_count(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	EXPECT_EQ(back == NPAGES ? 0 : -ENOMEM, ret);
	EXPECT_EQ(back, res.cpages);
	EXPECT_EQ(NPAGES - back, dm_count(self->dm.fd, b.ptr, NPAGES,
					  DM_ON_DEV));
	EXPECT_MOVED(&self->dm, "migrate_out_failed_pages", 1);
	EXPECT_MOVED(&self->dm, "out_moved_pages", back);
	EXPECT_MOVED(&self->dm, "out_nomem_pages", NPAGES - back);
	EXPECT_CLASSES(&self->dm, "out", NPAGES);
	EXPECT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, NPAGES, &res));
	EXPECT_EQ(NPAGES - back, res.cpages);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* A CPU fault that finds no page once is tried again and then succeeds. */
TEST_F(migrate, no_page_for_cpu_fault)
{
	struct dm_buf b;

	if (self->dm.coherent)
		SKIP(return, "the CPU does not fault on coherent memory");
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	ASSERT_EQ(0, dm_flags(self->dm.fd, HMM_DMIRROR_FLAG_FAIL_ALLOC));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
