// SPDX-License-Identifier: GPL-2.0
/*
 * A range the device has mapped for reading and writing, then something that
 * changes the process's page tables: the next device access must see the new
 * truth, and the device must have been told.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include "dm_harness.h"
#include "dm_madvise.h"

#ifndef __NR_mseal
#define __NR_mseal		462
#endif

#define NPAGES	64UL

DM_FIXTURE(mirror);

/* What a device read of the first @n pages returns; data in the mirror. */
static int device_reads(struct dm_ctx *dm, struct dm_buf *b, unsigned long n)
{
	memset(b->mirror, 0xee, n * DM_PAGE);
	return dm_read(dm->fd, b->ptr, n, b->mirror, NULL);
}

/*
 * Common start: generation 1 by the CPU, overwritten with generation 2 by the
 * device, which now has every page mapped writable.
 */
static void map_range(struct __test_metadata *_metadata, struct dm_ctx *dm,
		      struct dm_buf *b, int flags)
{
	struct hmm_dmirror_cmd res;

	ASSERT_EQ(0, dm_buf_anon(b, NPAGES, flags));
	dm_fill(b->ptr, NPAGES, b->ptr, 1, DM_CPU);
	dm_fill(b->mirror, NPAGES, b->ptr, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(dm->fd, b->ptr, NPAGES, b->mirror, &res));
	ASSERT_EQ(NPAGES, res.cpages);
	dm_restart(dm);
}

#define MAP_RANGE(b, flags) map_range(_metadata, &self->dm, b, flags)

/* The device was told at least once since MAP_RANGE(). */
#define EXPECT_TOLD() EXPECT_MOVED_MIN(&self->dm, "invalidations", 1)

/* Memory that is gone cannot be read; new memory there is not the old one. */
TEST_F(mirror, munmap_and_reuse)
{
	struct dm_buf b;

	MAP_RANGE(&b, DM_BUF_SMALL);
	ASSERT_EQ(0, munmap(b.ptr, b.size));
	EXPECT_EQ(-EFAULT, device_reads(&self->dm, &b, NPAGES));
	EXPECT_TOLD();
	ASSERT_EQ(b.ptr, mmap(b.ptr, b.size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, device_reads(&self->dm, &b, NPAGES));
	EXPECT_ZERO_PAGES(b.mirror, NPAGES);
	dm_buf_free(&b);
}

/* Memory that moved is read at its new place only. */
TEST_F(mirror, mremap_move)
{
	struct dm_buf b, to;

	MAP_RANGE(&b, DM_BUF_SMALL);
	ASSERT_EQ(0, dm_buf_anon(&to, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(to.ptr, mremap(b.ptr, b.size, b.size,
				 MREMAP_MAYMOVE | MREMAP_FIXED, to.ptr));
	EXPECT_EQ(-EFAULT, device_reads(&self->dm, &b, NPAGES));
	EXPECT_TOLD();
	EXPECT_EQ(0, device_reads(&self->dm, &to, NPAGES));
	EXPECT_TAGS(to.mirror, NPAGES, b.ptr, 2, DM_DEV);
	dm_buf_free(&to);
	dm_buf_free(&b);
}

/* MREMAP_DONTUNMAP leaves an empty mapping behind: the device reads zero. */
TEST_F(mirror, mremap_dontunmap)
{
	struct dm_buf b, to;

	MAP_RANGE(&b, DM_BUF_SMALL);
	ASSERT_EQ(0, dm_buf_anon(&to, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(to.ptr, mremap(b.ptr, b.size, b.size,
				 MREMAP_MAYMOVE | MREMAP_FIXED |
				 MREMAP_DONTUNMAP, to.ptr));
	EXPECT_EQ(0, device_reads(&self->dm, &b, NPAGES));
	EXPECT_ZERO_PAGES(b.mirror, NPAGES);
	EXPECT_TOLD();
	EXPECT_EQ(0, device_reads(&self->dm, &to, NPAGES));
	EXPECT_TAGS(to.mirror, NPAGES, b.ptr, 2, DM_DEV);
	dm_buf_free(&to);
	dm_buf_free(&b);
}

/* MADV_DONTNEED in the middle: those pages read zero, the others as before. */
TEST_F(mirror, dontneed)
{
	struct dm_buf b;

	MAP_RANGE(&b, DM_BUF_SMALL);
	ASSERT_EQ(0, madvise(b.ptr + 8 * DM_PAGE, 16 * DM_PAGE,
			     MADV_DONTNEED));
	EXPECT_EQ(0, device_reads(&self->dm, &b, NPAGES));
	EXPECT_TAGS(b.mirror, 8, b.ptr, 2, DM_DEV);
	EXPECT_ZERO_PAGES(b.mirror + 8 * DM_PAGE, 16);
	EXPECT_TAGS(b.mirror + 24 * DM_PAGE, NPAGES - 24,
		    b.ptr + 24 * DM_PAGE, 2, DM_DEV);
	EXPECT_TOLD();
	dm_buf_free(&b);
}

/*
 * MADV_FREE: a page is the old one or zero, never a mixture, and a page written
 * after it is kept.
 */
TEST_F(mirror, lazy_free)
{
	unsigned long i;
	struct dm_buf b;

	MAP_RANGE(&b, DM_BUF_SMALL);
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_FREE));
	dm_fill(b.ptr, 4, b.ptr, 3, DM_CPU);
	EXPECT_EQ(0, device_reads(&self->dm, &b, NPAGES));
	EXPECT_TAGS(b.mirror, 4, b.ptr, 3, DM_CPU);
	for (i = 4; i < NPAGES; i++) {
		const void *m = b.mirror + i * DM_PAGE;

		if (dm_verify_zero(m, 1, NULL))
			EXPECT_TAGS(m, 1, b.ptr + i * DM_PAGE, 2, DM_DEV);
	}
	EXPECT_TOLD();
	dm_buf_free(&b);
}

/* A device write after MADV_FREE makes the page one to keep, too. */
TEST_F(mirror, lazy_free_device_write)
{
	struct dm_zram z = { .id = -1 };
	struct dm_buf b;

	MAP_RANGE(&b, DM_BUF_SMALL);
	if (dm_zram_on(&z, 32 << 20)) {
		dm_zram_off(&z);
		SKIP(goto out, "no zram");
	}
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_FREE));
	dm_fill(b.mirror, NPAGES, b.ptr, 4, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	/* Reclaim would drop pages it still takes for freed. */
	EXPECT_EQ(0, dm_swap_out(b.ptr, NPAGES));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 4, DM_DEV);
	EXPECT_EQ(0, dm_zram_off(&z));
out:
	dm_buf_free(&b);
}

/* After fork the parent's write goes to a new page: the device sees that one. */
TEST_F(mirror, fork_parent_writes)
{
	struct dm_buf b;
	int go[2], status;
	char c = 0;
	pid_t pid;

	MAP_RANGE(&b, DM_BUF_SMALL);
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* The child keeps the old pages until the parent is done. */
		EXPECT_EQ(1, read(go[0], &c, 1));
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
		_exit(0);
	}
	dm_fill(b.ptr, NPAGES / 2, b.ptr, 3, DM_CPU);
	EXPECT_EQ(0, device_reads(&self->dm, &b, NPAGES));
	EXPECT_TAGS(b.mirror, NPAGES / 2, b.ptr, 3, DM_CPU);

	/* The other half is still shared: a device write has to copy it. */
	dm_fill(b.mirror, NPAGES, b.ptr, 4, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 4, DM_DEV);
	EXPECT_EQ(1, write(go[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TOLD();
	dm_buf_free(&b);
}

/* Base pages collapsed into a huge page, then the huge page written. */
TEST_F(mirror, collapse)
{
	const unsigned long n = DM_2M_PAGES;
	struct dm_buf b;
	__u8 *snap;

	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	snap = malloc(n);
	dm_fill(b.mirror, n, b.ptr, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(self->dm.fd, b.ptr, n, b.mirror, NULL));
	dm_restart(&self->dm);
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_HUGEPAGE));
	if (madvise(b.ptr, b.size, MADV_COLLAPSE))
		SKIP(goto out, "MADV_COLLAPSE: errno %d", errno);
	ASSERT_EQ(0, dm_snapshot(self->dm.fd, b.ptr, n, snap));
	EXPECT_TRUE(snap[0] & HMM_DMIRROR_PROT_PMD);
	EXPECT_EQ(0, device_reads(&self->dm, &b, n));
	EXPECT_TAGS(b.mirror, n, b.ptr, 2, DM_DEV);
	EXPECT_TOLD();

	dm_fill(b.ptr, n, b.ptr, 3, DM_CPU);
	EXPECT_EQ(0, device_reads(&self->dm, &b, n));
	EXPECT_TAGS(b.mirror, n, b.ptr, 3, DM_CPU);
out:
	free(snap);
	dm_buf_free(&b);
}

/* A huge page that loses one page in the middle. */
TEST_F(mirror, split)
{
	const unsigned long n = DM_2M_PAGES;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_THP));
	dm_fill(b.mirror, n, b.ptr, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(self->dm.fd, b.ptr, n, b.mirror, NULL));
	dm_restart(&self->dm);
	ASSERT_EQ(0, madvise(b.ptr + 100 * DM_PAGE, DM_PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, device_reads(&self->dm, &b, n));
	EXPECT_TAGS(b.mirror, 100, b.ptr, 2, DM_DEV);
	EXPECT_ZERO_PAGES(b.mirror + 100 * DM_PAGE, 1);
	EXPECT_TAGS(b.mirror + 101 * DM_PAGE, n - 101, b.ptr + 101 * DM_PAGE,
		    2, DM_DEV);
	EXPECT_TOLD();
	dm_buf_free(&b);
}

/*
 * A page whose frame is taken out of service moves to another frame; the device
 * follows it there, for reading and for writing.
 */
TEST_F(mirror, page_moves)
{
	__u64 before, after;
	struct dm_buf b;

	MAP_RANGE(&b, DM_BUF_SMALL);
	ASSERT_EQ(0, dm_pagemap(b.ptr, 1, &before));
	if (madvise(b.ptr, DM_PAGE, MADV_SOFT_OFFLINE))
		SKIP(goto out, "MADV_SOFT_OFFLINE: errno %d", errno);
	ASSERT_EQ(0, dm_pagemap(b.ptr, 1, &after));
	ASSERT_NE(dm_pm_pfn(before), dm_pm_pfn(after));
	EXPECT_EQ(0, device_reads(&self->dm, &b, NPAGES));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_TOLD();

	dm_fill(b.ptr, 1, b.ptr, 3, DM_CPU);
	EXPECT_EQ(0, device_reads(&self->dm, &b, 1));
	EXPECT_TAGS(b.mirror, 1, b.ptr, 3, DM_CPU);
	dm_fill(b.mirror, 1, b.ptr, 4, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, 1, b.mirror, NULL));
	EXPECT_TAGS(b.ptr, 1, b.ptr, 4, DM_DEV);
out:
	dm_buf_free(&b);
}

static void on_sigbus(int sig)
{
}

/* A poisoned page is an error for the device, its neighbours are not. */
TEST_F(mirror, poisoned_page)
{
	struct dm_buf b;

	/* The kernel tells the process, too; that is not the point here. */
	signal(SIGBUS, on_sigbus);
	MAP_RANGE(&b, DM_BUF_SMALL);
	if (madvise(b.ptr + 8 * DM_PAGE, DM_PAGE, MADV_HWPOISON))
		SKIP(goto out, "MADV_HWPOISON: errno %d", errno);
	EXPECT_EQ(-EFAULT, device_reads(&self->dm, &b, NPAGES));
	EXPECT_EQ(0, device_reads(&self->dm, &b, 8));
	EXPECT_TAGS(b.mirror, 8, b.ptr, 2, DM_DEV);
	EXPECT_TOLD();
out:
	dm_buf_free(&b);
}

/* Pages that went to swap are brought back for the device, unchanged. */
TEST_F(mirror, swapped_out)
{
	struct hmm_dmirror_cmd res;
	struct dm_zram z = { .id = -1 };
	struct dm_buf b;

	MAP_RANGE(&b, DM_BUF_SMALL);
	if (dm_zram_on(&z, 32 << 20)) {
		dm_zram_off(&z);
		SKIP(goto out, "no zram");
	}
	ASSERT_EQ(0, dm_swap_out(b.ptr, NPAGES));
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SWAPPED);
	EXPECT_TOLD();
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(1, res.faults);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 2, DM_DEV);

	ASSERT_EQ(0, dm_swap_out(b.ptr, NPAGES));
	dm_fill(b.mirror, NPAGES, b.ptr, 3, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 3, DM_DEV);
	EXPECT_EQ(0, dm_zram_off(&z));
out:
	dm_buf_free(&b);
}

/* Guard pages stop the device; removing them leaves empty memory. */
TEST_F(mirror, guard_pages)
{
	struct dm_buf b;

	MAP_RANGE(&b, DM_BUF_SMALL);
	if (madvise(b.ptr + 8 * DM_PAGE, 8 * DM_PAGE, MADV_GUARD_INSTALL))
		SKIP(goto out, "MADV_GUARD_INSTALL: errno %d", errno);
	EXPECT_EQ(-EFAULT, device_reads(&self->dm, &b, NPAGES));
	EXPECT_TOLD();
	ASSERT_EQ(0, madvise(b.ptr + 8 * DM_PAGE, 8 * DM_PAGE,
			     MADV_GUARD_REMOVE));
	EXPECT_EQ(0, device_reads(&self->dm, &b, NPAGES));
	EXPECT_TAGS(b.mirror, 8, b.ptr, 2, DM_DEV);
	EXPECT_ZERO_PAGES(b.mirror + 8 * DM_PAGE, 8);
	EXPECT_TAGS(b.mirror + 16 * DM_PAGE, NPAGES - 16,
		    b.ptr + 16 * DM_PAGE, 2, DM_DEV);
out:
	dm_buf_free(&b);
}

/* Calls that a sealed mapping refuses do not disturb the device mapping. */
TEST_F(mirror, sealed)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	MAP_RANGE(&b, DM_BUF_SMALL);
	if (syscall(__NR_mseal, b.ptr, b.size, 0))
		SKIP(return, "mseal: errno %d", errno);
	EXPECT_EQ(-1, munmap(b.ptr, b.size));
	EXPECT_EQ(-1, mprotect(b.ptr, b.size, PROT_READ));
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(0, res.faults);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	/* The mapping lives until exit: that is what the seal means. */
}

/*
 * A device write is a write: after the soft-dirty bits were cleared it sets
 * them again, on exactly the pages it wrote. A device mapping that survived
 * the clearing would hide it.
 */
TEST_F(mirror, soft_dirty)
{
	unsigned long i;
	struct dm_buf b;

	MAP_RANGE(&b, DM_BUF_SMALL);
	ASSERT_EQ(0, dm_clear_soft_dirty());
	if (dm_is_soft_dirty(b.ptr))
		SKIP(goto out, "no soft-dirty tracking");
	dm_fill(b.mirror, NPAGES, b.ptr, 3, DM_DEV);
	ASSERT_EQ(0, dm_write(self->dm.fd, b.ptr + 8 * DM_PAGE, 16,
			      b.mirror + 8 * DM_PAGE, NULL));
	for (i = 0; i < NPAGES; i++)
		EXPECT_EQ(i >= 8 && i < 24,
			  dm_is_soft_dirty(b.ptr + i * DM_PAGE)) {
			TH_LOG("page %lu", i);
		}
	EXPECT_TOLD();
out:
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
