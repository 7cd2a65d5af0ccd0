// SPDX-License-Identifier: GPL-2.0
/*
 * What CPU and device both want all the time moves a bounded number of times, and
 * both see every write of the other.
 */
#include <time.h>
#include "place.h"

#define TURNS	300
#define MOVES	4	/* within the window, before a hold */
#define HOLD_MS	500
/* So many pages so far apart, so often. */
#define FAR	4
#define FAR_PAGES 64UL
#define FAR_TURNS 60
#define FAR_PAGE(b, i) ((__u64 *)PAGE_AT(b, (i) * FAR_PAGES))

DMD_FIXTURE(thrash);

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static __s64 moved(struct dm_ctx *dm)
{
	struct dm_stats s;

	dm_stats_read(dm->index, &s);
	return dm_stat_delta(&dm->start, &s, "dev_fault_moved_pages");
}

/* CPU and device write a page in turns. Returns turns that went well. */
static int take_turns(int drm, __u64 *page, int turns)
{
	int i;

	for (i = 0; i < turns; i++) {
		if (dev_fill(drm, page, DM_PAGE, 2 * i + 1) || page[100] != 2 * i + 1)
			break;
		page[100] = 2 * i + 2;
	}
	return i;
}

#define SETUP_THRASH(b, n) do {						\
	if (self->dm.coherent)						\
		SKIP(return, "the CPU does not fault on coherent memory"); \
	ASSERT_EQ(0, dm_buf_anon(b, n, DM_BUF_SMALL));			\
	dm_fill((b)->ptr, n, (b)->ptr, 1, DM_CPU);			\
	ASSERT_EQ(0, ADVISE(*(b), 0, n, GRANULARITY, DM_PAGE));		\
	dm_restart(&self->dm);						\
} while (0)

/*
 * Of @turns each of which would move a page, at most so many do in @ms for @n pages. A
 * bound that they could not reach says nothing: only a slow machine may be so slow.
 */
#define EXPECT_BOUNDED(moves, n, turns, ms) do {			\
	long most_ = (n) * MOVES * ((ms) / HOLD_MS + 2);		\
									\
	if (sc_slow(1000) == 1000)					\
		EXPECT_LT(most_, turns);				\
	EXPECT_LE(moves, most_);					\
	TH_LOG("%lld of %d turns moved in %.0f ms, at most %ld may",	\
	       (long long)(moves), turns, ms, most_);			\
} while (0)

TEST_F(thrash, bounded)
{
	__u64 mine[HMM_DMIRROR_NR_STATS];
	double start, ms;
	struct dm_buf b;

	SETUP_THRASH(&b, 64);
	start = now_ms();
	EXPECT_EQ(TURNS, take_turns(self->drm, (__u64 *)b.ptr, TURNS));
	ms = now_ms() - start;
	EXPECT_BOUNDED(moved(&self->dm), 1, TURNS, ms);
	EXPECT_GE(moved(&self->dm), MOVES);
	EXPECT_MOVED_MIN(&self->dm, "thrash_holds", 1);
	EXPECT_MOVED_MIN(&self->dm, "thrash_held_pages", 1);
	/* By this file, and nobody else. */
	ASSERT_EQ(0, dmd_stats(self->drm, HMM_DMIRROR_STATS_FILE, mine,
			       HMM_DMIRROR_NR_STATS));
	EXPECT_MOVED(&self->dm, "thrash_holds", mine[HMM_DMIRROR_STAT_THRASH_HOLDS]);
	EXPECT_MOVED(&self->dm, "thrash_held_pages",
		     mine[HMM_DMIRROR_STAT_THRASH_HELD_PAGES]);
	/* Held means used where it is. */
	EXPECT_TAGS(PAGE_AT(b, 1), 63, PAGE_AT(b, 1), 1, DM_CPU);
	dm_buf_free(&b);
}

/* Each of many pages, far apart and so with a hold each, is bounded. */
TEST_F(thrash, bounded_each)
{
	double start, ms;
	struct dm_buf b;
	int i, turn;

	SETUP_THRASH(&b, FAR * FAR_PAGES);
	start = now_ms();
	/* Each by itself until it is held, then all of them in turns. */
	for (i = 0; i < FAR; i++)
		ASSERT_EQ(2 * MOVES, take_turns(self->drm, FAR_PAGE(b, i), 2 * MOVES));
	for (turn = 0; turn < FAR_TURNS; turn++)
		for (i = 0; i < FAR; i++)
			ASSERT_EQ(1, take_turns(self->drm, FAR_PAGE(b, i), 1));
	ms = now_ms() - start;
	EXPECT_BOUNDED(moved(&self->dm), FAR, FAR * (2 * MOVES + FAR_TURNS), ms);
	EXPECT_GE(moved(&self->dm), FAR * MOVES);
	EXPECT_MOVED_MIN(&self->dm, "thrash_holds", FAR);
	for (i = 0; i < FAR; i++)
		EXPECT_TAGS(PAGE_AT(b, i * FAR_PAGES + 1), FAR_PAGES - 1,
			    PAGE_AT(b, i * FAR_PAGES + 1), 1, DM_CPU);
	dm_buf_free(&b);
}

/* A hold is about 64 KiB, and about a while. */
TEST_F(thrash, hold_ends)
{
	struct dm_buf b;
	int i;

	SETUP_THRASH(&b, 64);
	for (i = 0; i < 100 && dm_stat_now(self->dm.index, "thrash_holds") ==
			       dm_stat(&self->dm.start, "thrash_holds"); i++)
		ASSERT_EQ(1, take_turns(self->drm, (__u64 *)b.ptr, 1));
	ASSERT_LT(i, 100);
	dm_restart(&self->dm);
	EXPECT_EQ(0, dev_fill(self->drm, PAGE_AT(b, 1), DM_PAGE, 1));
	EXPECT_EQ(0, dev_fill(self->drm, PAGE_AT(b, 16), DM_PAGE, 1));
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 16), 1, DM_ON_DEV);
	usleep(2 * HOLD_MS * 1000);
	EXPECT_EQ(0, dev_fill(self->drm, PAGE_AT(b, 2), DM_PAGE, 1));
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 2), 1, DM_ON_DEV);
	dm_buf_free(&b);
}

/* Who says that it belongs on the device is taken at his word. */
TEST_F(thrash, not_against_advice)
{
	struct dm_buf b;

	SETUP_THRASH(&b, 64);
	ASSERT_EQ(0, ADVISE(b, 0, 64, LOCATION, HMM_DMIRROR_LOCATION_DEVICE(self->dm.index)));
	EXPECT_EQ(50, take_turns(self->drm, (__u64 *)b.ptr, 50));
	EXPECT_EQ(50, moved(&self->dm));
	EXPECT_MOVED(&self->dm, "thrash_holds", 0);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
