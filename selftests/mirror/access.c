// SPDX-License-Identifier: GPL-2.0
/*
 * Device reads and writes of anonymous memory in every state it can be in, and
 * the permissions of the process that bind the device.
 */
#include "dm_harness.h"

#define NPAGES	256UL

DM_FIXTURE(mirror);

static void touch(const void *addr, unsigned long npages)
{
	const __u8 *p = addr;
	unsigned long i;

	for (i = 0; i < npages; i++)
		__atomic_load_n(p + i * DM_PAGE, __ATOMIC_RELAXED);
}

/* One pass of the device over a range: result, pages and fault stops. */
#define EXPECT_PASS(call, result, npages, nfaults)	\
do {							\
	struct hmm_dmirror_cmd *_res = &(result);	\
	EXPECT_EQ(0, call);				\
	EXPECT_EQ(npages, _res->cpages);		\
	EXPECT_EQ(nfaults, _res->faults);		\
} while (0)

/* Memory nobody touched reads as zero, costs one stop, then none. */
TEST_F(mirror, untouched_read)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	memset(b.mirror, 0xff, b.size);
	EXPECT_PASS(dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, &res), res,
		    NPAGES, 1);
	EXPECT_ZERO_PAGES(b.mirror, NPAGES);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ZERO);
	EXPECT_MOVED_MIN(&self->dm, "dev_faults", 1);

	memset(b.mirror, 0xff, b.size);
	EXPECT_PASS(dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, &res), res,
		    NPAGES, 0);
	EXPECT_ZERO_PAGES(b.mirror, NPAGES);
	dm_buf_free(&b);
}

/* What the CPU wrote the device reads, again and again without a fault. */
TEST_F(mirror, written_read)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	for (i = 0; i < 3; i++) {
		dm_fill(b.ptr, NPAGES, b.ptr, i, DM_CPU);
		EXPECT_PASS(dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror,
				    &res), res, NPAGES, i ? 0 : 1);
		EXPECT_TAGS(b.mirror, NPAGES, b.ptr, i, DM_CPU);
	}
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	dm_buf_free(&b);
}

/* A device write to memory nobody touched is what the CPU reads. */
TEST_F(mirror, untouched_write)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	for (i = 0; i < 2; i++) {
		dm_fill(b.mirror, NPAGES, b.ptr, i, DM_DEV);
		EXPECT_PASS(dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror,
				     &res), res, NPAGES, i ? 0 : 1);
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, i, DM_DEV);
	}
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	dm_buf_free(&b);
}

/*
 * A device write to the shared zero page goes to a page of its own: whoever
 * else maps the zero page still reads zero.
 */
TEST_F(mirror, zero_page_write)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf a, b;

	ASSERT_EQ(0, dm_buf_anon(&a, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	touch(a.ptr, NPAGES);
	touch(b.ptr, NPAGES);
	ASSERT_ALL(self->dm.fd, a.ptr, NPAGES, DM_ZERO);
	EXPECT_PASS(dm_read(self->dm.fd, a.ptr, NPAGES, a.mirror, &res), res,
		    NPAGES, 1);
	EXPECT_ZERO_PAGES(a.mirror, NPAGES);

	/* The read mapping must not let the write through. */
	dm_fill(a.mirror, NPAGES, a.ptr, 1, DM_DEV);
	EXPECT_PASS(dm_write(self->dm.fd, a.ptr, NPAGES, a.mirror, &res), res,
		    NPAGES, 1);
	EXPECT_TAGS(a.ptr, NPAGES, a.ptr, 1, DM_DEV);
	EXPECT_ZERO_PAGES(b.ptr, NPAGES);
	EXPECT_ALL(self->dm.fd, a.ptr, NPAGES, DM_SYS);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ZERO);
	dm_buf_free(&a);
	dm_buf_free(&b);
}

/* Huge pages: right data both ways, and the device sees their size. */
TEST_F(mirror, huge_page)
{
	const unsigned long n = 2 * DM_2M_PAGES;
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	__u8 *snap;
	unsigned long i, huge = 0;

	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_THP));
	dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
	snap = malloc(n);
	ASSERT_EQ(0, dm_snapshot(self->dm.fd, b.ptr, n, snap));
	for (i = 0; i < n; i++)
		huge += !!(snap[i] & HMM_DMIRROR_PROT_PMD);
	free(snap);
	if (!huge)
		SKIP(goto out, "no huge page was available");
	EXPECT_EQ(0, huge % DM_2M_PAGES);

	EXPECT_PASS(dm_read(self->dm.fd, b.ptr, n, b.mirror, &res), res, n, 1);
	EXPECT_TAGS(b.mirror, n, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, n, b.ptr, 2, DM_DEV);
	EXPECT_PASS(dm_write(self->dm.fd, b.ptr, n, b.mirror, &res), res, n,
		    0);
	EXPECT_TAGS(b.ptr, n, b.ptr, 2, DM_DEV);
out:
	dm_buf_free(&b);
}

/*
 * The huge zero page: the device reads zero, its write makes a page of its own
 * and leaves the next huge page zero.
 */
TEST_F(mirror, huge_zero_page)
{
	const unsigned long n = 2 * DM_2M_PAGES;
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_THP));
	touch(b.ptr, n);
	EXPECT_PASS(dm_read(self->dm.fd, b.ptr, n, b.mirror, &res), res, n, 1);
	EXPECT_ZERO_PAGES(b.mirror, n);

	dm_fill(b.mirror, DM_2M_PAGES, b.ptr, 1, DM_DEV);
	EXPECT_PASS(dm_write(self->dm.fd, b.ptr, DM_2M_PAGES, b.mirror, &res),
		    res, DM_2M_PAGES, 1);
	EXPECT_TAGS(b.ptr, DM_2M_PAGES, b.ptr, 1, DM_DEV);
	EXPECT_ZERO_PAGES(b.ptr + DM_2M, DM_2M_PAGES);
	dm_buf_free(&b);
}

/* A device write to memory the process may only read: -EPERM, no byte moves. */
TEST_F(mirror, write_to_readonly)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_READ));
	dm_fill(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_EQ(-EPERM, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	if (dm_ours())
		EXPECT_EQ(0, res.cpages);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);

	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Memory the process may not access: -EFAULT, nothing reaches the caller. */
TEST_F(mirror, access_to_prot_none)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_NONE));
	dm_fill(b.mirror, NPAGES, b.ptr, 9, DM_DEV);
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror,
				   &res));
	if (dm_ours())
		EXPECT_EQ(0, res.cpages);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 9, DM_DEV);
	EXPECT_EQ(-EFAULT, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror,
				    &res));
	ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_READ));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/*
 * Read-only, writable, read-only again: the device may write exactly while the
 * process may, so the writable device mapping is gone after the last step.
 */
TEST_F(mirror, permission_flips)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 0, DM_DEV);
	for (i = 1; i <= 4; i++) {
		ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_READ));
		dm_fill(b.mirror, NPAGES, b.ptr, i, DM_DEV);
		EXPECT_EQ(-EPERM, dm_write(self->dm.fd, b.ptr, NPAGES,
					   b.mirror, &res));
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, i - 1, DM_DEV);

		ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_READ | PROT_WRITE));
		EXPECT_PASS(dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror,
				     &res), res, NPAGES, 1);
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, i, DM_DEV);
	}
	EXPECT_MOVED_MIN(&self->dm, "invalidations", 4);
	dm_buf_free(&b);
}

/* The device stops at the first page it may not write, and says where. */
TEST_F(mirror, write_stops_at_readonly)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 16, DM_BUF_SMALL));
	dm_fill(b.ptr, 16, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mprotect(b.ptr + 5 * DM_PAGE, 3 * DM_PAGE, PROT_READ));
	dm_fill(b.mirror, 16, b.ptr, 2, DM_DEV);
	EXPECT_EQ(-EPERM, dm_write(self->dm.fd, b.ptr, 16, b.mirror, &res));
	EXPECT_TAGS(b.ptr + 5 * DM_PAGE, 11, b.ptr + 5 * DM_PAGE, 1, DM_CPU);
	if (dm_ours()) {
		EXPECT_EQ(5, res.cpages);
		EXPECT_TAGS(b.ptr, 5, b.ptr, 2, DM_DEV);
	}
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
