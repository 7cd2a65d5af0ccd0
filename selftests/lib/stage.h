/* SPDX-License-Identifier: GPL-2.0 */
/*
 * On top of dm_harness.h, what the tests of CPU faults, copy-on-write, huge
 * pages and driver teardown have in common: a private-memory-only set-up, a
 * tear-down that wants every page of the test off the device again, and the
 * steps "move in", "device reads", "device writes" with their proof.
 */
#ifndef _SELFTESTS_LIB_STAGE_H
#define _SELFTESTS_LIB_STAGE_H

#include <sys/utsname.h>

#include "dm_harness.h"
#include "scene.h"

/*
 * dm_setup() for FIXTURE_SETUP() of a fixture without variants: the private
 * devices. Returns from the set-up when the test is not to run.
 */
#define STAGE_PRIVATE(dmp) do {						\
	dm_setup(_metadata, dmp, DM_PRIVATE0, DM_PRIVATE1);		\
	if (_metadata->exit_code)					\
		return;							\
} while (0)

/**
 * stage_delta() - how far a counter of the device moved since set-up
 *
 * Return: the difference; 0 where there are no counters, so check
 * @dm->counters first.
 */
static inline __s64 stage_delta(struct dm_ctx *dm, const char *name)
{
	struct dm_stats now;

	if (!dm->counters || dm_stats_read(dm->index, &now))
		return 0;
	return dm_stat_delta(&dm->start, &now, name);
}

/* Kernels from 6.19 on move a 2 MiB page to a device and back as a whole. */
static inline bool thp_moves_whole(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	if (sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 19);
}

/*
 * dm_teardown() for tests that have freed all they had on the device: as many
 * pages as at set-up (or dm_restart()) are resident.
 */
static inline void stage_teardown(struct __test_metadata *_metadata,
				  struct dm_ctx *dm)
{
	__s64 left = stage_delta(dm, "vram_resident_pages");

	if (left) {
		TH_LOG("device %d: %lld more pages resident than at the start",
		       dm->index, (long long)left);
		EXPECT_EQ(0, left);
	}
	dm_teardown(_metadata, dm);
}

/* Migrate in; every page is there afterwards and the device sees the tags. */
#define ASSERT_TO_DEV(fd, b, gen, writer) do {				\
	struct hmm_dmirror_cmd res_;					\
									\
	memset((b)->mirror, 0xff, (b)->size);				\
	ASSERT_EQ(0, dm_to_dev(fd, (b)->ptr, (b)->npages, (b)->mirror, &res_)); \
	ASSERT_EQ((b)->npages, res_.cpages);				\
	ASSERT_TAGS((b)->mirror, (b)->npages, (b)->ptr, gen, writer);	\
	ASSERT_ALL(fd, (b)->ptr, (b)->npages, DM_ON_DEV);		\
} while (0)

/* The device reads these tags. */
#define ASSERT_DEV_READS(fd, b, gen, writer) do {			\
	memset((b)->mirror, 0xff, (b)->size);				\
	ASSERT_EQ(0, dm_read(fd, (b)->ptr, (b)->npages, (b)->mirror, NULL)); \
	ASSERT_TAGS((b)->mirror, (b)->npages, (b)->ptr, gen, writer);	\
} while (0)

/* The device writes these tags. */
#define ASSERT_DEV_WRITES(fd, b, gen, writer) do {			\
	dm_fill((b)->mirror, (b)->npages, (b)->ptr, gen, writer);	\
	ASSERT_EQ(0, dm_write(fd, (b)->ptr, (b)->npages, (b)->mirror, NULL)); \
} while (0)

#endif /* _SELFTESTS_LIB_STAGE_H */
