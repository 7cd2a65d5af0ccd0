/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection of the driver: loading it with the points enabled, arming
 * them, and seeing what they saw. What the points are is in
 * Documentation/fault-injection.rst.
 */
#ifndef SELFTESTS_LIB_DM_INJECT_H
#define SELFTESTS_LIB_DM_INJECT_H

#include <stdbool.h>

/* In place of a device: the points that act at load. */
#define DM_DRIVER	(-1)

#define DM_INJECT_MAX	64

/* Names of points. */
struct dm_points {
	int	n;
	char	name[DM_INJECT_MAX][32];
};

/**
 * dm_inject_begin() - load the driver afresh with fault injection
 * @level: 1 for the points, 2 also for sabotage
 * @params: more parameters, which win over those it was loaded with, or "";
 *	those in $DMIRROR_INJECT_PARAMS win over all
 *
 * Return: 0; -EOPNOTSUPP when the driver under test is not ours or its file is
 * not at hand; or the negative errno of the step that failed.
 */
int dm_inject_begin(int level, const char *params);

/**
 * dm_inject_end() - load it again as it was before dm_inject_begin()
 *
 * Return: 0 or a negative errno.
 */
int dm_inject_end(void);

/**
 * dm_inject_status() - what dm_inject_begin() returned
 *
 * Return: as dm_inject_begin(); -EOPNOTSUPP before it was called.
 */
int dm_inject_status(void);

/**
 * dm_inject_arm() - tell a point what to do; counts its hits from here
 * @index: minor number or DM_DRIVER
 * @point: name, also of a sabotage
 * @how: for example "nth=1 every=1 times=3 delay_us=100 fail"; "" for nothing
 *
 * Return: 0 or a negative errno.
 */
int dm_inject_arm(int index, const char *point, const char *how);

/**
 * dm_inject_get() - read one number of a point
 * @index: minor number or DM_DRIVER
 * @point: name
 * @key: for example "hits", "acted", "waiting"
 *
 * Return: the number or a negative errno.
 */
long dm_inject_get(int index, const char *point, const char *key);

/**
 * dm_inject_wait() - wait until tasks are in a delay of a point
 * @index: minor number
 * @point: name
 * @tasks: how many
 *
 * Return: 0, -ETIMEDOUT after sc_slow(20000) milliseconds, or another negative errno.
 */
int dm_inject_wait(int index, const char *point, int tasks);

/**
 * dm_inject_off() - all points of a device do nothing
 * @index: minor number or DM_DRIVER
 *
 * Return: 0 or a negative errno.
 */
int dm_inject_off(int index);

/**
 * dm_inject_points() - the points of a device
 * @index: minor number or DM_DRIVER
 * @p: receives their names, sorted, without the sabotage
 *
 * Return: 0 or a negative errno.
 */
int dm_inject_points(int index, struct dm_points *p);

/**
 * dm_inject_can_fail() - is it a point that can fail, and not only delay?
 * @index: minor number or DM_DRIVER
 * @point: name; it does nothing afterwards
 */
bool dm_inject_can_fail(int index, const char *point);

/*
 * In place of TEST_HARNESS_MAIN: the whole program runs on a driver that was
 * loaded for it.
 */
#define DM_INJECT_MAIN(level, params)					\
	int main(int argc, char **argv)					\
	{								\
		int ret_;						\
									\
		dm_inject_begin(level, params);				\
		ret_ = test_harness_run(argc, argv);			\
		return dm_inject_end() ? KSFT_FAIL : ret_;		\
	}

/* First thing in FIXTURE_SETUP(): is there what the tests need? */
#define DM_INJECT_SETUP() do {						\
	if (dm_inject_status() == -EOPNOTSUPP)				\
		SKIP(return, "the driver cannot be loaded with fault injection here"); \
	ASSERT_EQ(0, dm_inject_status());				\
} while (0)

#endif /* SELFTESTS_LIB_DM_INJECT_H */
