// SPDX-License-Identifier: GPL-2.0
/*
 * INJECT, with the driver loaded so that it may: root's own, and what it arms
 * happens and is counted.
 */
#include <stdlib.h>
#include <string.h>
#include "dm_drm_harness.h"
#include "dm_inject.h"
#include "scene.h"

#define NPAGES	16UL

FIXTURE(inject) {
	struct dm_ctx dm;
	int drm;
};

DM_VARIANTS(inject);

FIXTURE_SETUP(inject)
{
	DM_INJECT_SETUP();
	DMD_SETUP(&self->dm, &self->drm, variant->index, variant->peer);
	ASSERT_TRUE(dmd_has(self->drm, HMM_DMIRROR_FEATURE_INJECT));
}

FIXTURE_TEARDOWN(inject)
{
	dm_inject_off(self->dm.index);
	dmd_teardown(_metadata, &self->dm, self->drm);
}

static int arm(int fd, const char *point, struct drm_hmm_dmirror_inject *arg)
{
	strncpy(arg->point, point, sizeof(arg->point) - 1);
	return dmd_inject(fd, arg);
}

/* Without the privilege: refused, whatever is asked. */
TEST_F(inject, not_root)
{
	struct drm_hmm_dmirror_inject arg = { .flags = HMM_DMIRROR_INJECT_SET };
	pid_t pid;
	int fd;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		fd = dmd_open(self->dm.index);
		if (fd < 0 || setuid(65534))
			_exit(1);
		_exit(arm(fd, "copy", &arg) == -EPERM ? 0 : 2);
	}
	EXPECT_EQ(0, sc_reap(pid));
}

/* The second and the fourth copy fail; all is told, and nothing is lost. */
TEST_F(inject, fails)
{
	struct drm_hmm_dmirror_inject arg = {
		.flags = HMM_DMIRROR_INJECT_SET | HMM_DMIRROR_INJECT_FAIL,
		.nth = 2, .every = 2, .times = 2,
	};
	__u64 pages[DMD_CLASSES];
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, arm(self->drm, "alloc_out_small", &arg));
	EXPECT_EQ(0, arg.hits);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	EXPECT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size,
				 HMM_DMIRROR_DEST_SYSTEM, 0, 0, pages));
	EXPECT_EQ(NPAGES, dmd_sum(pages));

	memset(&arg, 0, sizeof(arg));
	EXPECT_EQ(0, arm(self->drm, "alloc_out_small", &arg));
	EXPECT_LE(NPAGES, arg.hits);
	EXPECT_EQ(2, arg.acted);
	EXPECT_EQ(2, dm_inject_get(self->dm.index, "alloc_out_small", "acted"));
	EXPECT_EQ(0, arg.waiting);
	/* Set to nothing, it does nothing, and counts from there. */
	arg.flags = HMM_DMIRROR_INJECT_SET;
	EXPECT_EQ(0, arm(self->drm, "alloc_out_small", &arg));
	EXPECT_EQ(0, arg.hits);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

TEST_F(inject, bad_input)
{
	const struct {
		struct drm_hmm_dmirror_inject arg;
		int ret;
	} bad[] = {
		{ { .point = "copy", .flags = 4 }, -EINVAL },
		{ { .point = "copy", .flags = 1U << 31 }, -EINVAL },
		{ { .point = "copy", .nth = 1 }, -EINVAL },
		{ { .point = "copy", .flags = HMM_DMIRROR_INJECT_FAIL }, -EINVAL },
		{ { .point = "", .flags = 1 }, -ENOENT },
		{ { .point = "nowhere", .flags = 1 }, -ENOENT },
		{ { .point = "copying", .flags = 1 }, -ENOENT },
		{ { .point = "copy", .flags = 1, .delay_us = ~0U }, -EINVAL },
		{ { .point = "collect", .flags = 3, .nth = 1 }, -EINVAL },
	};
	struct drm_hmm_dmirror_inject arg;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = bad[i].arg;
		ret = dmd_inject(self->drm, &arg);
		EXPECT_EQ(bad[i].ret, ret) {
			TH_LOG("case %u", i);
		}
	}
	memset(&arg, 'x', sizeof(arg.point));
	arg.flags = 0;
	EXPECT_EQ(-EINVAL, dmd_inject(self->drm, &arg));
}

/* The program of the documentation, where it can do what it says. */
TEST_F(inject, example)
{
	if (self->dm.index)
		SKIP(return, "it takes the first device");
	ASSERT_EQ(0, dm_inject_arm(self->dm.index, "alloc_in_small", "nth=7 fail"));
	/* It has something to say only where it can do nothing. */
	EXPECT_EQ(0, system("test -z \"$(./example_inject)\""));
	/* Set by it, and cleared. */
	EXPECT_EQ(0, dm_inject_get(self->dm.index, "alloc_in_small", "nth"));
}

DM_INJECT_MAIN(1, "")
