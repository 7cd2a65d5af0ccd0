// SPDX-License-Identifier: GPL-2.0
/*
 * A device that leaves as a card that is pulled: sysfs does not know it any more,
 * its pages are home, its files are dead, and one that is plugged in its place is
 * a new one. Owns its buffers and jobs; no locks.
 */
#include "dm_drm.h"
#include "teardown.h"

#define SYSFS		"/sys/bus/platform/devices/hmm_dmirror."
/* An unplugging with all it has to do. */
#define SOON_MS		(1000LL * dm_timeout(5))

FIXTURE(td_unplug) {
	struct td td;
	struct dm_buf b;
	int fd;
};

/* @name: the number as text */
FIXTURE_VARIANT(td_unplug) { int index; int other; const char *name; const char *sysfs; };
FIXTURE_VARIANT_ADD(td_unplug, private) { DM_PRIVATE0, DM_PRIVATE1, "0", SYSFS "0" };
FIXTURE_VARIANT_ADD(td_unplug, coherent) { DM_COHERENT0, DM_COHERENT1, "2", SYSFS "2" };

FIXTURE_SETUP(td_unplug)
{
	self->fd = -1;
	TD_SETUP(&self->td);
	TD_NEEDS(variant->index);
	ASSERT_EQ(0, dm_buf_anon(&self->b, SMALL_PAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
	self->fd = dm_open(variant->index);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(td_unplug)
{
	if (self->fd >= 0)
		EXPECT_EQ(0, close(self->fd));
	dm_buf_free(&self->b);
	if (mc_loaded(MC_DMIRROR) && access(variant->sysfs, F_OK))
		EXPECT_EQ(0, mc_plug(variant->name, true));
	td_restore(_metadata, &self->td);
}

TEST_F(td_unplug, leaves)
{
	int other = dm_open(variant->other);
	struct dm_stats s;
	char why[DM_MSG], line[4];
	int ranges = mc_iomem("hmm_d"), regions = td_regions();

	ASSERT_LE(0, other);
	ASSERT_EQ(0, access(variant->sysfs, F_OK));
	ASSERT_TO_DEV(self->fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, mc_plug(variant->name, false));
	EXPECT_EQ(-1, access(variant->sysfs, F_OK));
	EXPECT_EQ(regions - 1, td_regions());
	/* That of a coherent device is there with and without it. */
	if (variant->index == DM_PRIVATE0)
		EXPECT_GT(ranges, mc_iomem("hmm_d"));
	ASSERT_HOME(&self->b, 1, DM_CPU);
	EXPECT_EQ(0, mc_wait_node(variant->index, false));
	EXPECT_EQ(-ENODEV, dm_to_dev(self->fd, self->b.ptr, 1, self->b.mirror, NULL));
	EXPECT_EQ(-ENOENT, dm_open(variant->index));
	/* There is nothing to bind or to unplug. */
	EXPECT_EQ(-ENODEV, mc_bind(variant->index, true));
	EXPECT_EQ(-ENODEV, mc_plug(variant->name, false));
	ASSERT_TO_DEV(other, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_sys(other, self->b.ptr, SMALL_PAGES, NULL));
	EXPECT_EQ(0, close(other));

	/* What was open stays dead beside the new one. */
	snprintf(line, sizeof(line), "%s\n", variant->name);
	ASSERT_EQ(0, mc_plug(line, true));
	EXPECT_EQ(0, mc_wait_node(variant->index, true));
	EXPECT_EQ(ranges, mc_iomem("hmm_d"));
	EXPECT_EQ(regions, td_regions());
	EXPECT_EQ(-ENODEV, dm_to_dev(self->fd, self->b.ptr, 1, self->b.mirror, NULL));
	EXPECT_EQ(0, close(self->fd));
	ASSERT_EQ(0, dm_stats_read(variant->index, &s));
	EXPECT_EQ(0, dm_stats_idle(&s, why)) {
		TH_LOG("%s", why);
	}
	self->fd = dm_open(variant->index);
	ASSERT_LE(0, self->fd);
	ASSERT_TO_DEV(self->fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
}

/* In the middle of a job that would not end by itself. */
TEST_F(td_unplug, while_a_job_runs)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_CHASE, .src = (uintptr_t)self->b.ptr,
		.count = ~0ULL,
	};
	__u64 seqno, *next = (__u64 *)self->b.ptr;
	long long start;
	int drm;

	if (access("/sys/module/drm", F_OK))
		SKIP(return, "this kernel has no DRM");
	drm = dmd_open(variant->index);
	ASSERT_LE(0, drm);
	*next = (uintptr_t)next;
	ASSERT_EQ(0, dmd_submit(drm, 0, &job, 1, NULL, &seqno));
	ASSERT_EQ(-ETIME, dmd_wait(drm, 0, seqno, 100, NULL));
	start = sc_now_ms();
	ASSERT_EQ(0, mc_plug(variant->name, false));
	EXPECT_GT(SOON_MS, sc_now_ms() - start);
	EXPECT_EQ(-ENODEV, dmd_wait(drm, 0, seqno, 0, NULL));
	EXPECT_EQ(-ENODEV, dmd_submit(drm, 0, &job, 1, NULL, NULL));
	EXPECT_EQ((uintptr_t)next, *next);
	EXPECT_EQ(0, close(drm));
	/* libdrm looks through all devices there are. */
	EXPECT_EQ(-ENODEV, dmd_open(variant->index));
	ASSERT_EQ(0, mc_plug(variant->name, true));
	ASSERT_EQ(0, mc_wait_node(variant->index, true));
	drm = dmd_open(variant->index);
	EXPECT_LE(0, drm);
	EXPECT_EQ(0, close(drm));
}

/* Without a driver there is still a device to unplug; what comes back has one. */
TEST_F(td_unplug, unbound)
{
	ASSERT_EQ(0, mc_bind(variant->index, false));
	ASSERT_EQ(0, mc_wait_node(variant->index, false));
	EXPECT_EQ(-EEXIST, mc_plug(variant->name, true));
	ASSERT_EQ(0, mc_plug(variant->name, false));
	ASSERT_EQ(0, mc_plug(variant->name, true));
	ASSERT_EQ(0, mc_wait_node(variant->index, true));
}

TEST_F(td_unplug, refused)
{
	static const char *const bad[] = {
		"", "\n", "x", "-1", "0 1", "10", "64", "4294967296", "0x0",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_GT(0, mc_plug(bad[i], true)) {
			TH_LOG("plugged \"%s\"", bad[i]);
		}
		EXPECT_GT(0, mc_plug(bad[i], false)) {
			TH_LOG("unplugged \"%s\"", bad[i]);
		}
	}
	EXPECT_EQ(-EINVAL, mc_plug("10", true));
	EXPECT_EQ(-EEXIST, mc_plug(variant->name, true));
	ASSERT_TO_DEV(self->fd, &self->b, 1, DM_CPU);
}

/* Whoever may still plug a device keeps the module. */
TEST_F(td_unplug, file_holds_module)
{
	int fd = open("/sys/kernel/debug/hmm_dmirror/plug", O_WRONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(self->fd));
	self->fd = -1;
	EXPECT_EQ(-EAGAIN, mc_unload(MC_DMIRROR));
	EXPECT_EQ(0, close(fd));
	ASSERT_EQ(0, mc_down(true));
}

TEST_HARNESS_MAIN
