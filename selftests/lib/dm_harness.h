/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Glue between the helpers and the kernel's kselftest_harness.h: the fixture
 * for private and coherent devices, assertions on content and residency, and a
 * health gate around every single test. Include it once, in the file that has
 * TEST_HARNESS_MAIN.
 *
 * Two things to know about the harness: a check that fails in a forked child is
 * lost in plain TEST(), so use TEST_F() always; and SKIP() after a failed
 * EXPECT_*() turns the failure into a skip, so decide to skip first.
 */
#ifndef SELFTESTS_LIB_DM_HARNESS_H
#define SELFTESTS_LIB_DM_HARNESS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <kselftest_harness.h>
#include "dmirror.h"
#include "scene.h"

/*
 * Seconds a test may take, times DMIRROR_TIMEOUT_SCALE (default 4: emulated
 * machines are slow). A hung test is killed and fails.
 */
static inline int dm_timeout(int seconds)
{
	const char *s = getenv("DMIRROR_TIMEOUT_SCALE");
	int scale = s ? atoi(s) : 4;

	return seconds * (scale > 0 ? scale : 1);
}

#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT (dm_timeout(30) * sc_longer())

/* What every test has: two devices of one kind, and the state at its start. */
struct dm_ctx {
	int		index;		/* minor of fd */
	int		peer_index;	/* minor of the other device */
	int		fd;
	bool		coherent;
	bool		counters;	/* this module has counters */
	struct dm_stats	start;		/* of index */
	struct dm_health health;
};

/* Declares the variants "private" and "coherent" of a fixture. */
#define DM_VARIANTS(fixture)						\
	FIXTURE_VARIANT(fixture) { int index; int peer; };		\
	FIXTURE_VARIANT_ADD(fixture, private) {				\
		.index = DM_PRIVATE0, .peer = DM_PRIVATE1 };		\
	FIXTURE_VARIANT_ADD(fixture, coherent) {			\
		.index = DM_COHERENT0, .peer = DM_COHERENT1 }

static inline void dm_ctx_init(struct dm_ctx *dm, int index, int peer)
{
	dm->index = index;
	dm->peer_index = peer;
	dm->coherent = dm_is_coherent(index);
	dm->counters = dm_stats_read(index, &dm->start) == 0;
	dm_health_begin(&dm->health);
	dm->fd = dm_open(index);
}

/*
 * First thing in FIXTURE_SETUP(). A coherent node exists only when the module
 * was given memory for it; a private one only where the kernel can have it, so
 * its absence is no reason to skip unless a coherent one is there.
 */
static inline void dm_setup(struct __test_metadata *_metadata,
			    struct dm_ctx *dm, int index, int peer)
{
	bool coherent = dm_is_coherent(index);

	if (!dm_node_exists(index) &&
	    (coherent || dm_node_exists(DM_COHERENT0)))
		SKIP(return, "no device %d (%s memory) on this machine", index,
		     coherent ? "coherent" : "private");
	dm_ctx_init(dm, index, peer);
	ASSERT_GE(dm->fd, 0) {
		TH_LOG("cannot open /dev/hmm_dmirror%d: errno %d", index,
		       -dm->fd);
	}
	if (dm_ours())
		ASSERT_TRUE(dm->counters);
}

/* Last thing in FIXTURE_TEARDOWN(): kernel health and device memory law. */
static inline void dm_teardown(struct __test_metadata *_metadata,
			       struct dm_ctx *dm)
{
	char why[DM_MSG] = "";
	struct dm_stats s;

	if (dm->fd >= 0)
		EXPECT_EQ(0, close(dm->fd));
	if (dm->counters) {
		EXPECT_EQ(0, dm_stats_read(dm->index, &s));
		EXPECT_EQ(0, dm_stats_law(&s, why)) {
			TH_LOG("device %d: %s", dm->index, why);
		}
	}
	EXPECT_EQ(0, dm_health_end(&dm->health, why)) {
		TH_LOG("kernel health: %s", why);
	}
}

/*
 * Declares a fixture whose only member is "struct dm_ctx dm", with a private
 * and a coherent variant, set-up and teardown.
 */
#define DM_FIXTURE(fixture)						\
	FIXTURE(fixture) { struct dm_ctx dm; };				\
	DM_VARIANTS(fixture);						\
	FIXTURE_SETUP(fixture)						\
	{								\
		dm_setup(_metadata, &self->dm, variant->index,		\
			 variant->peer);				\
	}								\
	FIXTURE_TEARDOWN(fixture)					\
	{								\
		dm_teardown(_metadata, &self->dm);			\
	}

#define __DM_TAGS(check, mem, npages, va, gen, writer)			\
do {									\
	struct dm_bad _bad;						\
	char _txt[DM_MSG];						\
	int _kind = dm_verify(mem, npages, va, gen, writer, &_bad);	\
	check(DM_BAD_NONE, _kind) {					\
		TH_LOG("%s: %s", #mem, dm_bad_str(&_bad, _txt));	\
	}								\
} while (0)

/* Content checks; see dm_verify(). */
#define EXPECT_TAGS(...) __DM_TAGS(EXPECT_EQ, __VA_ARGS__)
#define ASSERT_TAGS(...) __DM_TAGS(ASSERT_EQ, __VA_ARGS__)

#define __DM_ZERO(check, mem, npages)					\
do {									\
	struct dm_bad _bad;						\
	char _txt[DM_MSG];						\
	int _kind = dm_verify_zero(mem, npages, &_bad);			\
	check(DM_BAD_NONE, _kind) {					\
		TH_LOG("%s: %s", #mem, dm_bad_str(&_bad, _txt));	\
	}								\
} while (0)

#define EXPECT_ZERO_PAGES(...) __DM_ZERO(EXPECT_EQ, __VA_ARGS__)
#define ASSERT_ZERO_PAGES(...) __DM_ZERO(ASSERT_EQ, __VA_ARGS__)

#define __DM_WHERE(check, fd, addr, npages, where)			\
do {									\
	char _why[DM_MSG] = "";						\
	int _ret = dm_all(fd, addr, npages, where, _why);		\
	check(0, _ret) {						\
		TH_LOG("%s: %s", #addr, _why);				\
	}								\
} while (0)

/* Every page of a range is where it should be, by two sources; see dm_all(). */
#define EXPECT_ALL(...) __DM_WHERE(EXPECT_EQ, __VA_ARGS__)
#define ASSERT_ALL(...) __DM_WHERE(ASSERT_EQ, __VA_ARGS__)

/* A counter of the device moved by exactly @n, or at least @n, since setup. */
#define __DM_MOVED(op, dmp, counter, n)					\
do {									\
	struct dm_ctx *_dm = (dmp);					\
	const char *_name = (counter);					\
	struct dm_stats _s;						\
	if (_dm->counters) {						\
		EXPECT_EQ(0, dm_stats_read(_dm->index, &_s));		\
		op(dm_stat_delta(&_dm->start, &_s, _name),		\
		   (__s64)(n)) {					\
			TH_LOG("counter %s", _name);			\
		}							\
	}								\
} while (0)

#define EXPECT_MOVED(dmp, name, n) __DM_MOVED(EXPECT_EQ, dmp, name, n)
#define EXPECT_MOVED_MIN(dmp, name, n) __DM_MOVED(EXPECT_GE, dmp, name, n)

/* Requests @dir ("in" or "out") since setup had @n pages, all accounted for. */
#define EXPECT_CLASSES(dmp, dir, n)					\
do {									\
	struct dm_ctx *_dm = (dmp);					\
	struct dm_stats _s;						\
	if (_dm->counters) {						\
		EXPECT_EQ(0, dm_stats_read(_dm->index, &_s));		\
		EXPECT_EQ(dm_classes_sum(&_dm->start, &_s, dir),	\
			  (__s64)(n));					\
	}								\
} while (0)

/* Make "since setup" start now. */
static inline void dm_restart(struct dm_ctx *dm)
{
	if (dm->counters)
		dm_stats_read(dm->index, &dm->start);
}

#endif /* SELFTESTS_LIB_DM_HARNESS_H */
