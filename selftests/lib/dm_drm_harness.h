/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Glue between tests of the render node and the harness: what dm_harness.h has
 * (read it first), and the node. Include it instead of dm_harness.h.
 */
#ifndef SELFTESTS_LIB_DM_DRM_HARNESS_H
#define SELFTESTS_LIB_DM_DRM_HARNESS_H

#include "dm_drm.h"
#include "dm_harness.h"

/*
 * First thing in FIXTURE_SETUP(). The character device is opened, too: residency
 * is proven by its snapshots and /proc/self/pagemap. @fdp receives the node.
 */
#define DMD_SETUP(dmp, fdp, index, peer)				\
do {									\
	*(fdp) = -1;							\
	if (!dm_ours())							\
		SKIP(return, "test_hmm has no render nodes");		\
	if (access("/sys/module/drm", F_OK))				\
		SKIP(return, "this kernel has no DRM");			\
	dm_setup(_metadata, dmp, index, peer);				\
	if (_metadata->exit_code == KSFT_SKIP)				\
		return;							\
	*(fdp) = dmd_open(index);					\
	ASSERT_GE(*(fdp), 0) {						\
		TH_LOG("cannot open the render node of device %d: errno %d",	\
		       index, -*(fdp));					\
	}								\
} while (0)

/* Last thing in FIXTURE_TEARDOWN(). */
static inline void dmd_teardown(struct __test_metadata *_metadata,
				struct dm_ctx *dm, int fd)
{
	if (fd >= 0)
		EXPECT_EQ(0, close(fd));
	dm_teardown(_metadata, dm);
}

/*
 * Declares a fixture with "struct dm_ctx dm" and "int drm", the node, with a
 * private and a coherent variant, set-up and teardown.
 */
#define DMD_FIXTURE(fixture)						\
	FIXTURE(fixture) { struct dm_ctx dm; int drm; };		\
	DM_VARIANTS(fixture);						\
	FIXTURE_SETUP(fixture)						\
	{								\
		DMD_SETUP(&self->dm, &self->drm, variant->index,	\
			  variant->peer);				\
	}								\
	FIXTURE_TEARDOWN(fixture)					\
	{								\
		dmd_teardown(_metadata, &self->dm, self->drm);		\
	}

#define __DMD_WHERE(check, fd, addr, npages, where)			\
do {									\
	char _why[DM_MSG] = "";						\
	int _ret = dmd_all(fd, addr, npages,				\
			   HMM_DMIRROR_QUERY_##where, _why);		\
	check(0, _ret) {						\
		TH_LOG("%s not all %s: %s", #addr, #where, _why);	\
	}								\
} while (0)

/* Every page of a range is at @where (SYSTEM, VRAM, ...), by two sources. */
#define EXPECT_WHERE(...) __DMD_WHERE(EXPECT_EQ, __VA_ARGS__)
#define ASSERT_WHERE(...) __DMD_WHERE(ASSERT_EQ, __VA_ARGS__)

#endif /* SELFTESTS_LIB_DM_DRM_HARNESS_H */
