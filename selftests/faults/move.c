// SPDX-License-Identifier: GPL-2.0
/*
 * Pages on the move, held in each window of it, while somebody writes, discards,
 * unmaps, protects, shares or moves them. Whatever comes first, every write that
 * was acknowledged is there, what was discarded is gone, and nobody sees what
 * is not his.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "lookers.h"
#include "stage.h"
#include "windows.h"

FIXTURE(move) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct hand mover, other;
};

FIXTURE_VARIANT(move) {
	const char *window;
	hand_fn mover;
	bool resident;		/* the pages are on the device at the start */
	bool evict;		/* no mmap lock is held */
	bool large;		/* a 2 MiB page */
};

#define MOVE(w, name, ...)						\
	FIXTURE_VARIANT_ADD(move, name##_##w) { #w, __VA_ARGS__ }
#define IN(w)	 MOVE(w, in, do_in, false, false)
#define OUT(w)	 MOVE(w, out, do_out, true, false)
#define FAULT(w) MOVE(w, fault, do_touch, true, false)
#define EVICT(w) MOVE(w, evict, do_release, true, true)
#define LARGE_IN(w)    MOVE(w, large_in, do_in, false, false, true)
#define LARGE_OUT(w)   MOVE(w, large_out, do_out, true, false, true)
#define LARGE_FAULT(w) MOVE(w, large_fault, do_touch, true, false, true)
#define LARGE_EVICT(w) MOVE(w, large_evict, do_release, true, true, true)

IN(reserve);
IN(collect);
IN(copy);
IN(commit);
IN(finalize);
OUT(collect);
OUT(copy);
OUT(commit);
OUT(finalize);
FAULT(collect);
FAULT(copy);
FAULT(commit);
FAULT(finalize);
EVICT(evict);
EVICT(copy);
EVICT(evict_commit);
EVICT(evict_finalize);
LARGE_IN(commit);
LARGE_IN(finalize);
LARGE_OUT(commit);
LARGE_OUT(finalize);
LARGE_FAULT(commit);
LARGE_FAULT(finalize);
LARGE_EVICT(evict_commit);
LARGE_EVICT(evict_finalize);

FIXTURE_SETUP(move)
{
	DM_INJECT_SETUP();
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, variant->large ? DM_2M_PAGES : WIN_PAGES,
				 variant->large ? DM_BUF_THP : DM_BUF_SMALL));
	dm_fill(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, hand_init(&self->mover, DM_PRIVATE0, &self->b));
	ASSERT_EQ(0, hand_init(&self->other, DM_PRIVATE0, &self->b));
	if (variant->resident)
		ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, variant->window, WIN_ARM));
}

FIXTURE_TEARDOWN(move)
{
	dm_inject_off(DM_PRIVATE0);
	hand_fini(&self->mover);
	hand_fini(&self->other);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* The mover is in the window and stays there. */
#define OPEN_WINDOW() do {						\
	hand_start(&self->mover, variant->mover);			\
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, variant->window, 1));	\
} while (0)

/* It was hit, and is left because we say so. */
#define CLOSE_WINDOW() do {						\
	ASSERT_EQ(1, dm_inject_get(DM_PRIVATE0, variant->window, "acted")); \
	ASSERT_EQ(1, dm_inject_get(DM_PRIVATE0, variant->window, "waiting")) { \
		TH_LOG("the window closed by itself");			\
	}								\
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, variant->window, ""));	\
} while (0)

/* The mover is through; what it achieved depends on what it met. */
#define JOIN_MOVER() do {						\
	int ret_ = hand_wait(&self->mover);				\
									\
	ASSERT_NE(-ETIMEDOUT, ret_);					\
	if (ret_ && ret_ != -ENOENT && ret_ != -EINVAL &&		\
	    ret_ != -EBUSY && ret_ != -EFAULT)				\
		ASSERT_EQ(0, ret_);					\
} while (0)

/* @act by the other hand while the window is open, then all is done. */
#define MEET(act) do {							\
	OPEN_WINDOW();							\
	hand_start(&self->other, act);					\
	hand_settle(&self->other);					\
	CLOSE_WINDOW();							\
	ASSERT_EQ(0, hand_wait(&self->other));				\
	JOIN_MOVER();							\
} while (0)

TEST_F(move, device_write)
{
	self->other.gen = 2;
	MEET(do_dev_write);
	EXPECT_EQ(self->b.npages, self->other.res.cpages);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 2, DM_DEV);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 2, DM_DEV);
}

TEST_F(move, device_read)
{
	MEET(do_dev_read);
	ASSERT_TAGS(self->other.scratch, self->b.npages, self->b.ptr, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

/* The mover of the fault variants reads; nobody moves a pointer for a store. */
TEST_F(move, cpu_write)
{
	self->other.gen = 3;
	MEET(do_store);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 3, DM_CPU);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 3, DM_CPU);
}

TEST_F(move, second_cpu_fault)
{
	MEET(do_touch);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

/*
 * zap_huge_pmd() of 6.19 to 7.3 takes a migration entry of a large device page for
 * a mapping of it: it drops a reference and a mapping that the entry does not have.
 * The page is freed while it moves, its charge with it, and the kernel spins
 * forever in folio_lruvec_lock_irqsave() with what took its place. No driver can
 * prevent it. DMIRROR_HAZARDS=1 runs these tests all the same, in a machine that
 * is thrown away.
 */
#define HAZARD_OF_ZAP() do {						\
	if (variant->large && variant->resident && !getenv("DMIRROR_HAZARDS")) \
		SKIP(return, "this kernel frees a large device page zapped on its way out"); \
} while (0)

TEST_F(move, dontneed)
{
	HAZARD_OF_ZAP();
	MEET(do_dontneed);
	memset(self->b.mirror, 0xff, self->b.size);
	ASSERT_EQ(0, dm_read(self->dm.fd, self->b.ptr, self->b.npages,
			     self->b.mirror, NULL));
	/* A fault of the mover that came last has its zero page, too. */
	ASSERT_ZERO_PAGES(self->b.mirror, self->b.npages);
	ASSERT_ZERO_PAGES(self->b.ptr, self->b.npages);
}

TEST_F(move, protect)
{
	MEET(do_protect);
	dm_fill(self->b.mirror, self->b.npages, self->b.ptr, 4, DM_DEV);
	EXPECT_EQ(-EPERM, dm_write(self->dm.fd, self->b.ptr, self->b.npages,
				   self->b.mirror, NULL));
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

TEST_F(move, unmap)
{
	struct dm_buf keep = self->b;

	HAZARD_OF_ZAP();
	/* A fault in a mapping that has gone is a signal. */
	if (variant->mover == do_touch)
		return;
	MEET(do_munmap);
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, keep.ptr, self->b.npages,
				   keep.mirror, NULL));
	EXPECT_EQ(0, dm_stat_now(DM_PRIVATE0, "vram_inflight_pages"));
}

/* Moved to another address; the old one has nothing, the new one all of it. */
static int do_remap(struct hand *h)
{
	void *to = h->scratch;

	return mremap(h->b->ptr, h->b->size, h->b->size,
		      MREMAP_MAYMOVE | MREMAP_FIXED, to) == to ? 0 : -errno;
}

TEST_F(move, remap)
{
	__u8 *old = self->b.ptr;

	if (variant->mover == do_touch)
		return;
	MEET(do_remap);
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, old, self->b.npages, self->b.mirror,
				   NULL));
	ASSERT_EQ(0, dm_read(self->dm.fd, self->other.scratch, self->b.npages,
			     self->b.mirror, NULL));
	ASSERT_TAGS(self->b.mirror, self->b.npages, old, 1, DM_CPU);
	ASSERT_TAGS(self->other.scratch, self->b.npages, old, 1, DM_CPU);
}

static struct sc_sync written;

static int do_fork(struct hand *h)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		/* Until the parent's device has written. */
		if (sc_wait(&written))
			_exit(99);
		_exit(dm_verify(h->b->ptr, h->b->npages, h->b->ptr, 1, DM_CPU,
				NULL));
	}
	h->gen = pid;
	return 0;
}

TEST_F(move, fork)
{
	ASSERT_EQ(0, sc_sync_init(&written));
	MEET(do_fork);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 5, DM_DEV);
	sc_post(&written);
	EXPECT_EQ(0, sc_reap(self->other.gen));
	ASSERT_DEV_READS(self->dm.fd, &self->b, 5, DM_DEV);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 5, DM_DEV);
}

/* Two movers in opposite directions. */
TEST_F(move, move_in)
{
	OPEN_WINDOW();
	hand_start(&self->other, do_in);
	hand_settle(&self->other);
	CLOSE_WINDOW();
	EXPECT_NE(-ETIMEDOUT, hand_wait(&self->other));
	JOIN_MOVER();
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

TEST_F(move, move_out)
{
	MEET(do_out);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

/* RELEASE ends while the window is open, with an answer: bounded, not stuck. */
TEST_F(move, release)
{
	int ret;

	OPEN_WINDOW();
	hand_start(&self->other, do_release);
	/* One evictor at a time. */
	if (!variant->evict) {
		ret = hand_wait(&self->other);
		EXPECT_TRUE(ret == 0 || ret == -EBUSY) {
			TH_LOG("RELEASE: %d", ret);
		}
	}
	CLOSE_WINDOW();
	EXPECT_NE(-ETIMEDOUT, hand_wait(&self->other));
	JOIN_MOVER();
	ASSERT_EQ(0, dm_release(self->dm.fd));
	EXPECT_EQ(0, dm_stat_now(DM_PRIVATE0, "vram_resident_pages"));
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

static char looked[DM_MSG];

static int do_look(struct hand *h)
{
	return look_at_range(h->b, looked);
}

/* Readers of /proc need not wait for the move, and miss no page. */
TEST_F(move, readers)
{
	int ret;

	OPEN_WINDOW();
	hand_start(&self->other, do_look);
	ret = hand_wait(&self->other);
	EXPECT_EQ(0, ret) {
		TH_LOG("%s", looked);
	}
	CLOSE_WINDOW();
	JOIN_MOVER();
	EXPECT_EQ(0, do_look(&self->other)) {
		TH_LOG("%s", looked);
	}
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

/* As another process and a debugger read: the one pins, the other copies. */
static int do_peek(struct hand *h)
{
	struct iovec to = { h->scratch, h->b->size }, from = { h->b->ptr, h->b->size };
	int fd;

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != (ssize_t)h->b->size)
		return -EIO;
	if (dm_verify(h->scratch, h->b->npages, h->b->ptr, 1, DM_CPU, NULL))
		return -EILSEQ;
	fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	if (pread(fd, h->scratch, h->b->size, (uintptr_t)h->b->ptr) != (ssize_t)h->b->size)
		return -EIO;
	close(fd);
	return 0;
}

TEST_F(move, foreign_read)
{
	MEET(do_peek);
	ASSERT_TAGS(self->other.scratch, self->b.npages, self->b.ptr, 1, DM_CPU);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

/* Pages that a pipe holds: the kernel refuses to move them until it lets go. */
FIXTURE(held) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct hand mover;
	int pipe[2];
};

#define HELD	3UL	/* pages of the range */

FIXTURE_SETUP(held)
{
	struct iovec iov;

	DM_INJECT_SETUP();
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, WIN_PAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, hand_init(&self->mover, DM_PRIVATE0, &self->b));
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	iov.iov_base = self->b.ptr + DM_PAGE;
	iov.iov_len = HELD * DM_PAGE;
	ASSERT_EQ(iov.iov_len, vmsplice(self->pipe[1], &iov, 1, 0));
}

FIXTURE_TEARDOWN(held)
{
	dm_inject_off(DM_PRIVATE0);
	hand_fini(&self->mover);
	close(self->pipe[0]);
	close(self->pipe[1]);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* Let go of between two tries of the same request: all pages move, none was busy. */
TEST_F(held, for_a_moment)
{
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "collect",
				   "nth=2 every=0 delay_us=10000000"));
	hand_start(&self->mover, do_in);
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, "collect", 1));
	close(self->pipe[0]);
	close(self->pipe[1]);
	self->pipe[0] = -1;
	self->pipe[1] = -1;
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "collect", ""));
	ASSERT_EQ(0, hand_wait(&self->mover));
	EXPECT_EQ(self->b.npages, self->mover.res.cpages);
	EXPECT_MOVED(&self->dm, "in_moved_pages", self->b.npages);
	EXPECT_MOVED(&self->dm, "in_busy_pages", 0);
	EXPECT_MOVED(&self->dm, "migrate_in_pages", self->b.npages);
	EXPECT_CLASSES(&self->dm, "in", self->b.npages);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

/* Held on to: the request ends all the same, and counts each page once. */
TEST_F(held, for_long)
{
	long tries;

	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "collect", ""));
	hand_start(&self->mover, do_in);
	ASSERT_EQ(-ENOENT, hand_wait(&self->mover));
	tries = dm_inject_get(DM_PRIVATE0, "collect", "hits");
	EXPECT_LT(1, tries);
	EXPECT_GE(10, tries);
	EXPECT_MOVED(&self->dm, "in_moved_pages", self->b.npages - HELD);
	EXPECT_MOVED(&self->dm, "in_busy_pages", HELD);
	EXPECT_MOVED(&self->dm, "migrate_in_pages", self->b.npages - HELD);
	EXPECT_CLASSES(&self->dm, "in", self->b.npages);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

static int protect_half(struct hand *h)
{
	return mprotect(h->b->ptr + h->b->size / 2, h->b->size / 2, PROT_READ) ? -errno : 0;
}

/* The mapping is cut in two between two tries; what had moved before, had moved. */
TEST_F(held, cut_in_two)
{
	struct hand other;

	ASSERT_EQ(0, hand_init(&other, DM_PRIVATE0, &self->b));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "collect",
				   "nth=2 every=0 delay_us=10000000"));
	hand_start(&self->mover, do_in);
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, "collect", 1));
	hand_start(&other, protect_half);
	EXPECT_TRUE(hand_stuck(&other));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "collect", ""));
	ASSERT_EQ(0, hand_wait(&other));
	ASSERT_EQ(-ENOENT, hand_wait(&self->mover));
	/* After the cut it was tried once more at least. */
	EXPECT_LT(0, dm_inject_get(DM_PRIVATE0, "collect", "hits"));
	EXPECT_MOVED(&self->dm, "in_moved_pages", self->b.npages - HELD);
	EXPECT_MOVED(&self->dm, "in_busy_pages", HELD);
	EXPECT_CLASSES(&self->dm, "in", self->b.npages);
	hand_fini(&other);
	ASSERT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

DM_INJECT_MAIN(1, "")
