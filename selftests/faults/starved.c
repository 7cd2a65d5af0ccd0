// SPDX-License-Identifier: GPL-2.0
/*
 * CPU faults that find no memory: for the page itself, for its neighbours, and to work
 * with. Nothing is lost, and no fault comes again for ever.
 */
#define _GNU_SOURCE
#include <sys/uio.h>

#include "dm_inject.h"
#include "stage.h"

#define AT	5UL		/* the page that is wanted */
#define ALWAYS	"nth=1 every=1 fail"

FIXTURE(starved) {
	struct dm_ctx dm;
	struct dm_buf b;
};

FIXTURE_VARIANT(starved) {
	unsigned long npages;
	int flags;
};

FIXTURE_VARIANT_ADD(starved, small) { 16, DM_BUF_SMALL };
FIXTURE_VARIANT_ADD(starved, large) { DM_2M_PAGES, DM_BUF_THP };

FIXTURE_SETUP(starved)
{
	DM_INJECT_SETUP();
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, variant->npages, variant->flags));
	dm_fill(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
}

FIXTURE_TEARDOWN(starved)
{
	dm_inject_off(DM_PRIVATE0);
	EXPECT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* The kernel reads the page for us; it is told when there is none to be had. */
static int kernel_reads(struct dm_buf *b)
{
	struct iovec to = { b->mirror, DM_PAGE };
	struct iovec from = { b->ptr + AT * DM_PAGE, DM_PAGE };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == DM_PAGE ? 0 : -errno;
}

/* No page for the page: an error, as often as it is asked for, and it stays there. */
TEST_F(starved, page)
{
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "alloc_out_large", ALWAYS));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "alloc_out_small", ALWAYS));
	EXPECT_EQ(-EFAULT, kernel_reads(&self->b));
	EXPECT_EQ(-EFAULT, kernel_reads(&self->b));
	EXPECT_ALL(self->dm.fd, self->b.ptr, self->b.npages, DM_ON_DEV);
	ASSERT_EQ(0, dm_inject_off(DM_PRIVATE0));
	EXPECT_EQ(0, kernel_reads(&self->b));
	EXPECT_TAGS(self->b.mirror, 1, self->b.ptr + AT * DM_PAGE, 1, DM_CPU);
}

/* None for the others: it comes alone, and no error is seen. */
TEST_F(starved, neighbours)
{
	if (variant->flags == DM_BUF_THP)
		SKIP(return, "a large page has no neighbours");
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "alloc_out_small", "nth=2 every=1 fail"));
	EXPECT_EQ(0, kernel_reads(&self->b));
	EXPECT_TAGS(self->b.mirror, 1, self->b.ptr + AT * DM_PAGE, 1, DM_CPU);
	EXPECT_MOVED(&self->dm, "cpu_fault_pages", 1);
	EXPECT_MOVED(&self->dm, "cpu_faults", 1);
}

/* No memory to work with: it comes all the same, in one fault, and whole if it is. */
TEST_F(starved, buffer)
{
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "buffer", ALWAYS));
	EXPECT_EQ(0, kernel_reads(&self->b));
	EXPECT_TAGS(self->b.mirror, 1, self->b.ptr + AT * DM_PAGE, 1, DM_CPU);
	EXPECT_MOVED(&self->dm, "cpu_faults", 1);
	if (variant->flags != DM_BUF_THP || !thp_moves_whole())
		return;
	EXPECT_MOVED(&self->dm, "cpu_fault_pages", DM_2M_PAGES);
}

DM_INJECT_MAIN(1, "")
