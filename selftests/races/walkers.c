// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that move to the device and away from it while others, who have no business with
 * the device, look at them: readers of /proc, of the memory of processes, those who take a
 * reference for a moment because they only have a frame number, and compaction. Every
 * byte is right at any time, no page is missing, none is there twice, and the counters add
 * up. 2 MiB pages get split on the way and are made whole again.
 *
 * One thread moves, and is the only one who changes the content, by the device.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "dm_harness.h"
#include "dm_madvise.h"
#include "lookers.h"
#include "race.h"

#define NPAGES	64
#define RUN_MS	(500 * sc_longer())
#define WORDS	(DM_PAGE / sizeof(__u64))

struct world {
	struct dm_ctx	dm;
	struct dm_buf	b;
	/* Generations: written by the time it says so, and being written. */
	atomic_uint	done, begun;
	unsigned long	moved_in, split;
	bool		whole;
	__u8		*peek;
	int		pipe[2];
	int		kpageflags, kpagecount, idle;
	unsigned int	state[2];
	char		why[DM_MSG];
};

RACE_FIXTURE(walkers);
RACE_VARIANTS(walkers, NPAGES);

FIXTURE_SETUP(walkers)
{
	struct world *w;

	RACE_SETUP(w);
	w->state[0] = 2463534242U;
	w->state[1] = 88172645U;
	w->whole = variant->flags & DM_BUF_THP;
	w->kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	w->kpagecount = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
	/* Not every kernel has that. */
	w->idle = open("/sys/kernel/mm/page_idle/bitmap", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, w->kpageflags);
	ASSERT_LE(0, w->kpagecount);
	ASSERT_EQ(0, pipe2(w->pipe, O_CLOEXEC));
	ASSERT_EQ(0, dm_buf_anon(&w->b, variant->npages, variant->flags));
	w->peek = malloc(2 * DM_PAGE);
	ASSERT_NE(NULL, w->peek);
	dm_fill(w->b.ptr, w->b.npages, w->b.ptr, 0, DM_DEV);
}

FIXTURE_TEARDOWN(walkers)
{
	struct world *w = self->w;

	dm_buf_free(&w->b);
	if (w->dm.counters)
		EXPECT_EQ(0, dm_stat_now(variant->index, "vram_resident_pages"));
	dm_teardown(_metadata, &w->dm);
}

/* What a page that does not move right now is no error for. */
static bool may_be(int ret)
{
	return !ret || ret == -ENOENT || ret == -EBUSY;
}

static int dev_write(struct world *w, unsigned int gen)
{
	int i, ret = -EBUSY;

	dm_fill(w->b.mirror, w->b.npages, w->b.ptr, gen, DM_DEV);
	for (i = 0; i < 1000 && ret == -EBUSY; i++)
		ret = dm_write(w->dm.fd, w->b.ptr, w->b.npages, w->b.mirror, NULL);
	return ret;
}

/* A part of a large page comes back, so that the rest is small ones. */
static int split(struct world *w)
{
	struct hmm_dmirror_cmd res;
	int ret = dm_to_sys(w->dm.fd, w->b.ptr + w->b.size / 2, w->b.npages / 2, &res);

	if (!ret)
		w->split += res.cpages;
	return may_be(ret) ? 0 : ret;
}

static int go_home(struct world *w, unsigned int gen)
{
	int ret;

	if (gen % 2)
		ret = dm_to_sys(w->dm.fd, w->b.ptr, w->b.npages, NULL);
	else
		ret = dm_release(w->dm.fd);
	/* By now it is small pages at home: nothing that moves is zapped. */
	if (w->whole && gen % 4 == 3)
		madvise(w->b.ptr, w->b.size, MADV_COLLAPSE);
	return may_be(ret) ? 0 : ret;
}

/* In, written by the device, looked at by it or the CPU, and out again. */
static int mover(void *arg)
{
	struct world *w = arg;
	unsigned int gen = atomic_load(&w->begun) + 1;
	struct hmm_dmirror_cmd res;
	int ret;

	ret = dm_to_dev(w->dm.fd, w->b.ptr, w->b.npages, w->b.mirror, &res);
	if (!may_be(ret))
		return ret;
	w->moved_in += res.cpages;
	atomic_store(&w->begun, gen);
	ret = dev_write(w, gen);
	if (ret)
		return ret;
	atomic_store(&w->done, gen);
	if (w->whole && gen % 3 == 0)
		ret = split(w);
	if (!ret)
		ret = go_home(w, gen);
	if (!ret && gen % 4 == 0 &&
	    race_verify(w->b.ptr, w->b.npages, w->b.ptr, gen, DM_DEV, w->why))
		ret = -EILSEQ;
	return ret;
}

/* Of one generation that it may have, word by word: a copy may be made during a write. */
static int check_words(struct world *w, unsigned long page, const __u64 *seen,
		       unsigned int least)
{
	const __u8 *va = w->b.ptr + page * DM_PAGE;
	unsigned int gen, i, most = atomic_load(&w->begun);

	for (i = 0; i < WORDS; i++) {
		for (gen = least; gen <= most; gen++)
			if (seen[i] == dm_tag(va, gen, DM_DEV, i))
				break;
		if (gen <= most)
			continue;
		snprintf(w->why, sizeof(w->why),
			 "page %lu word %u is %llx, not of generation %u to %u", page,
			 i, (unsigned long long)seen[i], least, most);
		return -EILSEQ;
	}
	return 0;
}

static int peek_readv(struct world *w, void *at)
{
	struct iovec to = { w->peek, DM_PAGE }, from = { at, DM_PAGE };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == DM_PAGE ? 0 : -EIO;
}

/* What a debugger does when it peeks. */
static int peek_mem(struct world *w, void *at)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ssize_t n = pread(fd, w->peek, DM_PAGE, (uintptr_t)at);

	close(fd);
	return n == DM_PAGE ? 0 : -EIO;
}

static int peek_pipe(struct world *w, void *at)
{
	struct iovec iov = { at, DM_PAGE };

	if (vmsplice(w->pipe[1], &iov, 1, 0) != DM_PAGE)
		return -EIO;
	sched_yield();
	return read(w->pipe[0], w->peek, DM_PAGE) == DM_PAGE ? 0 : -EIO;
}

static int peek(struct world *w, int (*how)(struct world *w, void *at))
{
	unsigned long page = race_rand(&w->state[0]) % w->b.npages;
	unsigned int least = atomic_load(&w->done);
	int ret = how(w, w->b.ptr + page * DM_PAGE);

	return ret ? ret : check_words(w, page, (__u64 *)w->peek, least);
}

static int peeker(void *arg)
{
	int ret = peek(arg, peek_readv);

	return ret ? ret : peek(arg, peek_mem);
}

static int splicer(void *arg)
{
	return peek(arg, peek_pipe);
}

static int reader(void *arg)
{
	struct world *w = arg;

	return look_at_range(&w->b, w->why);
}

/* By frame numbers that may be anybody's by the time they are used. */
static int by_frame(void *arg)
{
	struct world *w = arg;
	__u64 ent[DM_2M_PAGES], value;
	unsigned long i;

	if (dm_pagemap(w->b.ptr, w->b.npages, ent))
		return -EIO;
	for (i = race_rand(&w->state[1]) % 8; i < w->b.npages; i += 8) {
		__u64 pfn = dm_pm_pfn(ent[i]);

		if (!(ent[i] & DM_PM_PRESENT))
			continue;
		/* Behind the end of memory there is nothing to read. */
		if (pread(w->kpageflags, &value, 8, pfn * 8) < 0 ||
		    pread(w->kpagecount, &value, 8, pfn * 8) < 0)
			return -errno;
		value = ~0ULL;
		if (w->idle >= 0 && pwrite(w->idle, &value, 8, pfn / 64 * 8) < 0 &&
		    errno != ENXIO)
			return -errno;
	}
	return 0;
}

static int compactor(void *arg)
{
	return dm_write_file("/proc/sys/vm/compact_memory", "1");
}

/* All is quiet: all of it is where it is asked to be, once, with the last bytes. */
static void check_all(struct __test_metadata *_metadata, struct world *w)
{
	unsigned int gen = atomic_load(&w->done);
	int ret;

	/* It must have been a race: whoever brought them back, they went in again. */
	EXPECT_LT(0, w->moved_in);
	EXPECT_MOVED_MIN(&w->dm, "migrate_in_pages", 2 * w->b.npages);
	EXPECT_EQ(gen, atomic_load(&w->begun));
	dm_drain_lru(w->b.ptr);
	ret = race_to_dev_all(w->dm.fd, &w->b, w->why);
	EXPECT_EQ(0, ret) {
		TH_LOG("%s", w->why);
	}
	if (w->dm.counters)
		EXPECT_EQ(w->b.npages, dm_stat_now(w->dm.index, "vram_resident_pages"));
	EXPECT_EQ(0, dm_read(w->dm.fd, w->b.ptr, w->b.npages, w->b.mirror, NULL));
	EXPECT_TAGS(w->b.mirror, w->b.npages, w->b.ptr, gen, DM_DEV);
	EXPECT_EQ(0, look_at_range(&w->b, w->why)) {
		TH_LOG("%s", w->why);
	}
	EXPECT_EQ(0, dm_release(w->dm.fd));
	EXPECT_TAGS(w->b.ptr, w->b.npages, w->b.ptr, gen, DM_DEV);
}

#define RUN(...) do {							\
	struct world *w_ = self->w;					\
	struct race_actor actors_[] = {					\
		{ "mover", mover, w_, .least = 12 }, __VA_ARGS__		\
	};								\
									\
	RACE_RUN(actors_, ARRAY_SIZE(actors_), RUN_MS);			\
	if (w_->why[0])							\
		TH_LOG("%s", w_->why);					\
	check_all(_metadata, w_);					\
} while (0)

/* /proc is read by whom it pleases. */
TEST_F(walkers, readers)
{
	struct world *w = self->w;

	RUN({ "reader", reader, w_, .least = 2 }, { "peeker", peeker, w_, .least = 8 });
	/* They would have seen that. */
	ASSERT_EQ(0, madvise(w->b.ptr + DM_PAGE, DM_PAGE, MADV_DONTNEED));
	EXPECT_EQ(-EXDEV, look_at_range(&w->b, w->why));
}

/* References that come and go, by address and by frame. */
TEST_F(walkers, references)
{
	RUN({ "splicer", splicer, w_, .least = 8 }, { "by frame", by_frame, w_, .least = 8 });
}

/* Who looks for pages to move looks at ours, whole, split and on their way. */
TEST_F(walkers, compaction)
{
	struct world *w = self->w;

	RUN({ "compactor", compactor, w_, .least = 2 }, { "by frame", by_frame, w_, .least = 8 });
	if (w->whole)
		EXPECT_LT(0, w->split);
}

TEST_HARNESS_MAIN
