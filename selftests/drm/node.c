// SPDX-License-Identifier: GPL-2.0
/*
 * The node itself: found through libdrm, what it says about itself, and whom it
 * serves.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <xf86drm.h>
#include "dm_drm_harness.h"
#include "scene.h"

DMD_FIXTURE(node);

static int version_of(int fd, int *major, int *minor)
{
	drmVersionPtr v = drmGetVersion(fd);
	int ret = 0;

	if (!v)
		return -ENODEV;
	*major = v->version_major;
	*minor = v->version_minor;
	if (strcmp(v->name, DMD_NAME) || !v->desc || !*v->desc)
		ret = -EXDEV;
	drmFreeVersion(v);
	return ret;
}

TEST_F(node, version)
{
	int major = -1, minor = -1;

	EXPECT_EQ(0, version_of(self->drm, &major, &minor));
	EXPECT_EQ(HMM_DMIRROR_DRM_MAJOR, major);
	EXPECT_EQ(HMM_DMIRROR_DRM_MINOR, minor);
	EXPECT_EQ(DRM_NODE_RENDER, drmGetNodeTypeFromFd(self->drm));
}

TEST_F(node, open_by_name)
{
	int major, minor;
	__u64 device;
	int fd = drmOpenWithType(DMD_NAME, NULL, DRM_NODE_RENDER);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, version_of(fd, &major, &minor));
	EXPECT_EQ(0, dmd_param(fd, HMM_DMIRROR_PARAM_DEVICE, &device));
	EXPECT_EQ(0, close(fd));
}

/* Every device that says it is there is found, under a name of its own. */
TEST_F(node, each_device)
{
	__u64 devices, is;
	int i, fd;

	ASSERT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_DEVICES, &devices));
	EXPECT_TRUE(devices & (1ULL << self->dm.index));
	for (i = 0; i < 64; i++) {
		fd = dmd_open(i);
		if (!(devices & (1ULL << i))) {
			EXPECT_EQ(-ENODEV, fd);
			continue;
		}
		ASSERT_GE(fd, 0) {
			TH_LOG("device %d", i);
		}
		EXPECT_EQ(0, dmd_param(fd, HMM_DMIRROR_PARAM_DEVICE, &is));
		EXPECT_EQ(i, is);
		EXPECT_EQ(0, close(fd));
	}
}

/* Parameters agree with the counters and with themselves. */
TEST_F(node, params)
{
	__u64 size, free, orders, device, value;
	struct dm_buf b;

	EXPECT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_VRAM_SIZE, &size));
	EXPECT_EQ(dm_stat(&self->dm.start, "vram_capacity_pages"), size / DM_PAGE);
	EXPECT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_VRAM_FREE, &free));
	EXPECT_EQ(dm_stat_now(self->dm.index, "vram_free_pages"), free / DM_PAGE);
	EXPECT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_PAGE_ORDERS, &orders));
	EXPECT_EQ(dmd_has(self->drm, HMM_DMIRROR_FEATURE_LARGE_FOLIOS) ?
		  1 | 1 << 9 : 1, orders);
	EXPECT_EQ(sc_param("inject", 0) > 0,
		  dmd_has(self->drm, HMM_DMIRROR_FEATURE_INJECT));
	EXPECT_EQ(self->dm.coherent,
		  dmd_has(self->drm, HMM_DMIRROR_FEATURE_COHERENT));
	EXPECT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_DEVICE, &device));
	EXPECT_EQ(self->dm.index, device);

	ASSERT_EQ(0, dm_buf_anon(&b, 16, DM_BUF_SMALL));
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	EXPECT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_VRAM_FREE, &value));
	EXPECT_EQ(free - b.size, value);
	dm_buf_free(&b);

	EXPECT_EQ(-EINVAL, dmd_param(self->drm, 1000, &value));
	EXPECT_EQ(-EINVAL, dmd_param(self->drm, ~0ULL, &value));
	EXPECT_EQ(-EINVAL, dmd_param(self->drm, 1ULL << 32, &value));
}

/* As the suite loads the driver nothing can be injected, not even by root. */
TEST_F(node, no_injection)
{
	struct drm_hmm_dmirror_inject arg = {
		.point = "copy", .flags = HMM_DMIRROR_INJECT_SET,
	};

	if (dmd_has(self->drm, HMM_DMIRROR_FEATURE_INJECT))
		SKIP(return, "the driver was loaded with fault injection");
	EXPECT_EQ(-EOPNOTSUPP, dmd_inject(self->drm, &arg));
	arg.flags = 0;
	EXPECT_EQ(-EOPNOTSUPP, dmd_inject(self->drm, &arg));
}

TEST_HARNESS_MAIN
