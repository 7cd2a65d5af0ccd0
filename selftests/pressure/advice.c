// SPDX-License-Identifier: GPL-2.0
/*
 * What a process may tell the kernel about memory that is on the device, with a
 * group that is reclaimed from and swap behind it: what is a no-op there is one,
 * what is not has its effect to the page, and no bit is lost on the way from the
 * device through swap.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "dm_madvise.h"
#include "pressure.h"
#include "scene.h"

#ifndef UFFDIO_MOVE
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};

#define UFFDIO_MOVE		_IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE	(1 << 16)
#endif

#define NPAGES	512UL
#define HALF	(NPAGES / 2)

PR_FIXTURE_SWAP(advice);

#define E		(&self->e)
#define FD		(self->e.dm.fd)
#define AT(b, n)	((b)->ptr + (n) * DM_PAGE)

/* The first half on the device, the second in memory; all with tags. */
#define HALF_THERE(b) do {						\
	ASSERT_EQ(0, pr_buf(E, b, NPAGES, DM_BUF_SMALL));		\
	dm_fill((b)->ptr, NPAGES, (b)->ptr, 1, DM_CPU);			\
	ASSERT_EQ(0, dm_to_dev(FD, (b)->ptr, HALF, (b)->mirror, NULL));	\
	ASSERT_ALL(FD, (b)->ptr, HALF, DM_ON_DEV);			\
	dm_restart(&E->dm);						\
} while (0)

/* Advice to reclaim is for pages in memory. */
TEST_F(advice, pageout_and_cold)
{
	struct dm_buf b;

	HALF_THERE(&b);
	EXPECT_EQ(0, madvise(b.ptr, b.size, MADV_COLD));
	EXPECT_ALL(FD, b.ptr, HALF, DM_ON_DEV);
	EXPECT_EQ(0, dm_swap_out(AT(&b, HALF), HALF));
	EXPECT_EQ(0, madvise(b.ptr, b.size, MADV_PAGEOUT));
	pr_reclaim(E, b.size);
	EXPECT_ALL(FD, b.ptr, HALF, DM_ON_DEV);
	EXPECT_ALL(FD, AT(&b, HALF), HALF, DM_SWAPPED);
	EXPECT_MOVED(&E->dm, "vram_resident_pages", 0);
	EXPECT_MOVED(&E->dm, "migrate_out_pages", 0);
	EXPECT_SOME_SWAP_USED(E);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/*
 * Lazy freeing passes over device pages: they come home as they were, and are
 * not dropped by the reclaim that frees the others.
 */
TEST_F(advice, free)
{
	unsigned long i, freed = 0;
	struct dm_buf b;

	ONE_SWAP_WILL_DO(E);
	HALF_THERE(&b);
	EXPECT_EQ(0, madvise(b.ptr, b.size, MADV_FREE));
	ASSERT_EQ(0, dm_to_sys(FD, b.ptr, HALF, NULL));
	pr_reclaim(E, b.size);
	for (i = HALF; i < NPAGES; i++) {
		const __u8 *p = AT(&b, i);

		if (!dm_verify_zero(p, 1, NULL))
			freed++;
		else
			EXPECT_TAGS(p, 1, p, 1, DM_CPU);
	}
	EXPECT_LT(0, freed);
	EXPECT_TAGS(b.ptr, HALF, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/*
 * A page that two processes share is not dropped because one of them frees it lazily;
 * nor if only the device has written it, so that no CPU entry is dirty.
 */
TEST_F(advice, free_shared)
{
	struct sc_sync go;
	struct dm_buf b;
	pid_t kid;

	ONE_SWAP_WILL_DO(E);
	ASSERT_EQ(0, sc_sync_init(&go));
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, HALF, b.mirror, NULL));
	dm_fill(b.mirror, HALF, b.ptr, 1, DM_DEV);
	ASSERT_EQ(0, dm_write(FD, b.ptr, HALF, b.mirror, NULL));
	dm_fill(AT(&b, HALF), HALF, AT(&b, HALF), 1, DM_CPU);
	ASSERT_EQ(0, dm_to_sys(FD, b.ptr, HALF, NULL));
	kid = sc_fork();
	ASSERT_GE(kid, 0);
	if (!kid) {
		if (sc_wait(&go))
			_exit(1);
		if (dm_verify(b.ptr, HALF, b.ptr, 1, DM_DEV, NULL))
			_exit(2);
		_exit(dm_verify(AT(&b, HALF), HALF, AT(&b, HALF), 1, DM_CPU, NULL) ? 3 : 0);
	}
	EXPECT_EQ(0, madvise(b.ptr, b.size, MADV_FREE));
	pr_reclaim(E, b.size);
	pr_reclaim(E, b.size);
	EXPECT_EQ(0, sc_post(&go));
	EXPECT_EQ(0, sc_reap(kid));
	sc_sync_fini(&go);
	dm_buf_free(&b);
}

/* Guard pages take device pages away, to the page, and swapped ones. */
TEST_F(advice, guard)
{
	const unsigned long at = HALF - 20, n = 40;
	struct hmm_dmirror_cmd res;
	struct pr_mem before;
	struct dm_buf b;

	ASSERT_EQ(0, pr_own_everything(&E->cg));
	HALF_THERE(&b);
	ASSERT_EQ(0, dm_swap_out(AT(&b, HALF + 10), 10));
	pr_mem_begin(&E->cg, &before);
	EXPECT_EQ(10 * DM_PAGE, pr_stat(E, "memory.swap.current", NULL));
	if (madvise(AT(&b, at), n * DM_PAGE, MADV_GUARD_INSTALL))
		SKIP(goto out, "no guard pages");
	EXPECT_EQ(0, pr_stat(E, "memory.swap.current", NULL));
	EXPECT_MOVED(&E->dm, "vram_resident_pages", -20);
	/* Of the other twenty, ten were swapped out. */
	EXPECT_CHARGED(&E->cg, &before, -30);
	EXPECT_EQ(-EFAULT, dm_read(FD, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(at, res.cpages);
	EXPECT_EQ(-ENOENT, dm_to_dev(FD, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(NPAGES - n, res.cpages);
	pr_reclaim(E, b.size);
	ASSERT_EQ(0, madvise(AT(&b, at), n * DM_PAGE, MADV_GUARD_REMOVE));
	ASSERT_EQ(0, pr_to_dev(E, b.ptr, NPAGES, b.mirror));
	EXPECT_TAGS(b.ptr, at, b.ptr, 1, DM_CPU);
	EXPECT_ZERO_PAGES(AT(&b, at), n);
	EXPECT_TAGS(AT(&b, at + n), NPAGES - at - n, AT(&b, at + n), 1, DM_CPU);
	EXPECT_SOME_SWAP_USED(E);
out:
	dm_buf_free(&b);
}

/*
 * Locked memory is out of reclaim's reach, wherever it was when it was locked,
 * and to the page: on the device it is not on the list, back home it is.
 */
TEST_F(advice, mlock)
{
	__u64 base, locked;
	struct dm_buf b;

	ONE_SWAP_WILL_DO(E);
	HALF_THERE(&b);
	pr_fold();
	base = pr_stat(E, "memory.stat", "unevictable");
	ASSERT_EQ(0, mlock(b.ptr, b.size));
	if (!E->dm.coherent)
		EXPECT_ALL(FD, b.ptr, NPAGES, DM_SYS);
	ASSERT_EQ(0, dm_to_sys(FD, b.ptr, NPAGES, NULL));
	pr_reclaim(E, b.size);
	EXPECT_ALL(FD, b.ptr, NPAGES, DM_SYS);
	pr_fold();
	locked = pr_stat(E, "memory.stat", "unevictable") - base;
	if (!E->dm.coherent)
		EXPECT_EQ(b.size, locked);

	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, HALF, b.mirror, NULL));
	pr_reclaim(E, b.size);
	EXPECT_ALL(FD, b.ptr, HALF, DM_ON_DEV);
	EXPECT_ALL(FD, AT(&b, HALF), HALF, DM_SYS);
	ASSERT_EQ(0, dm_to_sys(FD, b.ptr, HALF, NULL));
	pr_reclaim(E, b.size);
	EXPECT_ALL(FD, b.ptr, NPAGES, DM_SYS);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, munlock(b.ptr, b.size));
	EXPECT_EQ(0, dm_swap_out(b.ptr, NPAGES));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Collapsing a range that is a third here, a third there, a third in swap. */
TEST_F(advice, collapse)
{
	const unsigned long third = NPAGES / 3;
	struct dm_buf b;

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, third, b.mirror, NULL));
	ASSERT_EQ(0, dm_swap_out(AT(&b, third), third));
	EXPECT_SOME_SWAP_USED(E);
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_HUGEPAGE));
	/* May be refused, and is; but whatever happens, nothing is lost. */
	madvise(b.ptr, b.size, MADV_COLLAPSE);
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	/* All home, all in memory: now it works as ever. */
	ASSERT_EQ(0, dm_to_sys(FD, b.ptr, NPAGES, NULL));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, madvise(b.ptr, b.size, MADV_COLLAPSE));
	ASSERT_TO_DEV(FD, &b, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Pages that are wrong about a bit: only [@from, @from + @n) are to have it. */
static unsigned long misplaced(struct dm_buf *b, __u64 bit, unsigned long from,
			       unsigned long n)
{
	unsigned long i, wrong = 0;
	__u64 ent[NPAGES];

	if (dm_pagemap(b->ptr, NPAGES, ent))
		return ~0UL;
	for (i = 0; i < NPAGES; i++)
		wrong += !!(ent[i] & bit) != (i - from < n);
	return wrong;
}

static int uffd_open(__u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int uffd_watch(int uffd, const void *addr, size_t len, __u64 mode)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)addr, .len = len },
		.mode = mode,
	};

	return ioctl(uffd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

static int uffd_protect(int uffd, const void *addr, size_t len)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)addr, .len = len },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

/* All of it goes, and at once, unless it is on its way from zswap to the disk. */
static int all_to_dev(struct pr_env *e, struct dm_buf *b)
{
	if (e->swap == PR_ZSWAP)
		return pr_to_dev(e, b->ptr, NPAGES, b->mirror);
	return dm_to_dev(e->dm.fd, b->ptr, NPAGES, b->mirror, NULL);
}

/* Device, home, swap, home: HALF pages from @from have @bit at each stop, no others. */
#define ROUND_TRIP(b, bit, from) do {					\
	ASSERT_EQ(0, misplaced(b, bit, from, HALF));			\
	ASSERT_EQ(0, all_to_dev(E, b));					\
	ASSERT_ALL(FD, (b)->ptr, NPAGES, DM_ON_DEV);			\
	EXPECT_EQ(0, misplaced(b, bit, from, HALF));			\
	ASSERT_EQ(0, dm_to_sys(FD, (b)->ptr, NPAGES, NULL));		\
	EXPECT_EQ(0, misplaced(b, bit, from, HALF));			\
	ASSERT_EQ(0, dm_swap_out((b)->ptr, NPAGES));			\
	EXPECT_EQ(0, misplaced(b, bit, from, HALF));			\
	ASSERT_EQ(0, dm_read(FD, (b)->ptr, NPAGES, (b)->mirror, NULL));	\
	ASSERT_TAGS((b)->mirror, NPAGES, (b)->ptr, 1, DM_CPU);		\
	ASSERT_ALL(FD, (b)->ptr, NPAGES, DM_SYS);			\
	EXPECT_EQ(0, misplaced(b, bit, from, HALF));			\
} while (0)

/* Half of the pages watched for writes, then to the device, to swap, and back. */
TEST_F(advice, write_protection_through_swap)
{
	int uffd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	struct dm_buf b;

	if (uffd < 0)
		SKIP(return, "no userfaultfd write protection");
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, uffd_watch(uffd, b.ptr, b.size, UFFDIO_REGISTER_MODE_WP));
	ASSERT_EQ(0, uffd_protect(uffd, b.ptr, b.size / 2));
	ROUND_TRIP(&b, DM_PM_UFFD_WP, 0);
	ROUND_TRIP(&b, DM_PM_UFFD_WP, 0);
	EXPECT_SOME_SWAP_USED(E);
	close(uffd);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/*
 * A page that was clean is clean after the trip. Only a checkpoint can tell, so
 * a page counted as dirty by mistake costs time, and one as clean loses data:
 * what is dirty has to stay dirty.
 */
TEST_F(advice, soft_dirty_through_swap)
{
	struct dm_buf b;

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_clear_soft_dirty());
	if (misplaced(&b, DM_PM_SOFT_DIRTY, 0, 0))
		SKIP(goto out, "no soft-dirty tracking");
	dm_fill(AT(&b, HALF), HALF, AT(&b, HALF), 1, DM_CPU);
	ROUND_TRIP(&b, DM_PM_SOFT_DIRTY, HALF);
	ROUND_TRIP(&b, DM_PM_SOFT_DIRTY, HALF);
	EXPECT_SOME_SWAP_USED(E);
out:
	dm_buf_free(&b);
}

/*
 * Pages handed from one address to another: not from the device, and nothing is
 * lost when that is refused; from memory and from swap it works, and the device
 * sees each page where it is now.
 */
TEST_F(advice, userfaultfd_move)
{
	int uffd = uffd_open(UFFD_FEATURE_MOVE);
	struct uffdio_move move = { .len = NPAGES * DM_PAGE };
	struct dm_buf from, to;

	if (uffd < 0)
		SKIP(return, "no UFFDIO_MOVE");
	HALF_THERE(&from);
	ASSERT_EQ(0, pr_buf(E, &to, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, uffd_watch(uffd, to.ptr, to.size,
				UFFDIO_REGISTER_MODE_MISSING));
	move.src = (uintptr_t)from.ptr;
	move.dst = (uintptr_t)to.ptr;
	if (!E->dm.coherent) {
		EXPECT_EQ(-1, ioctl(uffd, UFFDIO_MOVE, &move));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_ALL(FD, from.ptr, HALF, DM_ON_DEV);
		EXPECT_ALL(FD, to.ptr, NPAGES, DM_NOWHERE);
	}
	ASSERT_EQ(0, dm_to_sys(FD, from.ptr, NPAGES, NULL));
	ASSERT_EQ(0, dm_read(FD, from.ptr, NPAGES, from.mirror, NULL));
	ASSERT_EQ(0, dm_swap_out(AT(&from, 100), 100));
	EXPECT_SOME_SWAP_USED(E);
	EXPECT_EQ(0, ioctl(uffd, UFFDIO_MOVE, &move));
	EXPECT_EQ(move.len, move.move);
	EXPECT_ALL(FD, from.ptr, NPAGES, DM_NOWHERE);
	memset(to.mirror, 0xee, to.size);
	ASSERT_EQ(0, dm_read(FD, to.ptr, NPAGES, to.mirror, NULL));
	EXPECT_TAGS(to.mirror, NPAGES, from.ptr, 1, DM_CPU);
	ASSERT_EQ(0, all_to_dev(E, &to));
	EXPECT_TAGS(to.ptr, NPAGES, from.ptr, 1, DM_CPU);
	close(uffd);
	dm_buf_free(&from);
	dm_buf_free(&to);
}

TEST_HARNESS_MAIN
