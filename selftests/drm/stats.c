// SPDX-License-Identifier: GPL-2.0
/*
 * STATS: numbers never change, names are those of debugfs, and a file counts
 * what it causes and nothing else.
 */
#include "dm_drm_harness.h"

#define NPAGES	32UL
#define NR	HMM_DMIRROR_NR_STATS

#define NAME(id, name, what) #name,
static const char *const names[] = { HMM_DMIRROR_STATS_LIST(NAME) };

/* Written down once more, so that a counter that moves is seen. */
static const struct { unsigned int nr; const char *name; } numbers[] = {
	{ 0, "migrate_in_pages" }, { 1, "migrate_out_pages" },
	{ 2, "migrate_in_failed_pages" }, { 3, "migrate_out_failed_pages" },
	{ 4, "in_untried_pages" }, { 5, "in_moved_pages" },
	{ 6, "in_present_pages" }, { 7, "in_hole_pages" },
	{ 8, "in_busy_pages" }, { 9, "in_elsewhere_pages" },
	{ 10, "in_unsupported_pages" }, { 11, "in_nomem_pages" },
	{ 12, "in_raced_pages" }, { 13, "out_untried_pages" },
	{ 14, "out_moved_pages" }, { 15, "out_present_pages" },
	{ 16, "out_hole_pages" }, { 17, "out_busy_pages" },
	{ 18, "out_elsewhere_pages" }, { 19, "out_unsupported_pages" },
	{ 20, "out_nomem_pages" }, { 21, "out_raced_pages" },
	{ 22, "large_in" }, { 23, "large_out" }, { 24, "large_fallbacks" },
	{ 25, "folio_splits" }, { 26, "cpu_faults" }, { 27, "cpu_fault_pages" },
	{ 28, "dev_faults" }, { 29, "dev_fault_pages" },
	{ 30, "dev_fault_retries" }, { 31, "cow_breaks" },
	{ 32, "invalidations" }, { 33, "invalidated_pages" },
	{ 34, "invalidations_nonblock_failed" }, { 35, "evictions" },
	{ 36, "evicted_pages" }, { 37, "evict_failed_pages" },
	{ 38, "exclusive_taken_pages" }, { 39, "read_pages" },
	{ 40, "write_pages" }, { 41, "leaves_pruned" },
	{ 42, "invalidations_nonblock" }, { 43, "jobs_ok" },
	{ 44, "jobs_failed" }, { 45, "jobs_canceled" },
	{ 46, "jobs_timed_out" }, { 47, "job_bytes" },
	{ 48, "queue_resets" }, { 49, "dev_fault_moved_pages" },
	{ 50, "thrash_holds" }, { 51, "thrash_held_pages" },
	{ 52, "evicted_ahead_pages" }, { 53, "peer_out_pages" },
	{ 54, "peer_in_pages" }, { 55, "engines_lent" },
};

_Static_assert(ARRAY_SIZE(numbers) == NR, "a counter is not written down");

DMD_FIXTURE(stats);

TEST_F(stats, numbers)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		EXPECT_STREQ(numbers[i].name, names[numbers[i].nr]);
}

/* Two ways to the same counters of the device. */
TEST_F(stats, as_in_debugfs)
{
	__u64 values[NR], nr;
	struct dm_stats s;
	int i;

	EXPECT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_NR_STATS, &nr));
	EXPECT_EQ(NR, nr);
	ASSERT_EQ(0, dmd_stats(self->drm, HMM_DMIRROR_STATS_DEVICE, values, NR));
	ASSERT_EQ(0, dm_stats_read(self->dm.index, &s));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(dm_stat(&s, names[i]), values[i]) {
			TH_LOG("counter %d", i);
		}
}

/* A range there and back through @fd. */
static int round_trip(int fd, struct dm_buf *b)
{
	int ret = dmd_to_vram(fd, b->ptr, b->size);

	return ret ? ret : dmd_to_system(fd, b->ptr, b->size);
}

TEST_F(stats, of_a_file)
{
	__u64 mine[NR], other[NR], before[NR], after[NR];
	int fd = dmd_open(self->dm.index);
	struct dm_buf b;
	int i;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_stats(fd, HMM_DMIRROR_STATS_FILE, other, NR));
	for (i = 0; i < NR; i++)
		EXPECT_EQ(0, other[i]);

	ASSERT_EQ(0, dmd_stats(fd, HMM_DMIRROR_STATS_DEVICE, before, NR));
	ASSERT_EQ(0, round_trip(self->drm, &b));
	ASSERT_EQ(0, round_trip(fd, &b));
	ASSERT_EQ(0, round_trip(fd, &b));
	ASSERT_EQ(0, dmd_stats(fd, HMM_DMIRROR_STATS_DEVICE, after, NR));
	ASSERT_EQ(0, dmd_stats(self->drm, HMM_DMIRROR_STATS_FILE, mine, NR));
	ASSERT_EQ(0, dmd_stats(fd, HMM_DMIRROR_STATS_FILE, other, NR));

	EXPECT_EQ(NPAGES, mine[HMM_DMIRROR_STAT_MIGRATE_IN_PAGES]);
	EXPECT_EQ(NPAGES, mine[HMM_DMIRROR_STAT_OUT_MOVED]);
	EXPECT_EQ(2 * NPAGES, other[HMM_DMIRROR_STAT_MIGRATE_OUT_PAGES]);
	EXPECT_EQ(2 * NPAGES, other[HMM_DMIRROR_STAT_IN_MOVED]);
	/* Nobody else is there, so the device has the sum of both. */
	for (i = 0; i < NR; i++)
		EXPECT_EQ(after[i] - before[i], mine[i] + other[i]) {
			TH_LOG("counter %d", i);
		}
	EXPECT_EQ(0, close(fd));
	dm_buf_free(&b);
}

/* What the CPU causes is nobody's. */
TEST_F(stats, of_the_cpu)
{
	__u64 before[NR], mine[NR], after[NR];
	struct dm_buf b;

	if (self->dm.coherent)
		SKIP(return, "the CPU reaches coherent memory without a fault");
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	ASSERT_EQ(0, dmd_stats(self->drm, HMM_DMIRROR_STATS_DEVICE, before, NR));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_stats(self->drm, HMM_DMIRROR_STATS_DEVICE, after, NR));
	ASSERT_EQ(0, dmd_stats(self->drm, HMM_DMIRROR_STATS_FILE, mine, NR));
	EXPECT_LT(before[HMM_DMIRROR_STAT_CPU_FAULTS],
		  after[HMM_DMIRROR_STAT_CPU_FAULTS]);
	EXPECT_EQ(NPAGES, after[HMM_DMIRROR_STAT_MIGRATE_OUT_PAGES] -
			  before[HMM_DMIRROR_STAT_MIGRATE_OUT_PAGES]);
	EXPECT_EQ(0, mine[HMM_DMIRROR_STAT_CPU_FAULTS]);
	EXPECT_EQ(0, mine[HMM_DMIRROR_STAT_MIGRATE_OUT_PAGES]);
	dm_buf_free(&b);
}

/* What fits is written, and how many there are is always told. */
TEST_F(stats, count)
{
	__u64 values[NR + 2];
	struct drm_hmm_dmirror_stats arg = { .values = (uintptr_t)values };
	const unsigned int counts[] = { 0, 1, NR - 1, NR, NR + 2, ~0U };
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		memset(values, 0xff, sizeof(values));
		arg.count = counts[i];
		EXPECT_EQ(0, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_STATS,
				       &arg));
		EXPECT_EQ(NR, arg.count);
		n = counts[i] < NR ? counts[i] : NR;
		EXPECT_TRUE(!n || values[n - 1] != ~0ULL);
		EXPECT_EQ(~0ULL, values[n]);
	}
}

TEST_F(stats, bad_input)
{
	const struct drm_hmm_dmirror_stats bad[] = {
		{ .scope = 2 }, { .scope = ~0U }, { .flags = 1 },
		{ .flags = 1U << 31 }, { .pad = 1 }, { .pad = 1U << 31 },
	};
	struct drm_hmm_dmirror_stats arg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = bad[i];
		EXPECT_EQ(-EINVAL, dmd_ioctl(self->drm,
					     DRM_IOCTL_HMM_DMIRROR_STATS, &arg)) {
			TH_LOG("case %u", i);
		}
	}
	arg = (struct drm_hmm_dmirror_stats){ .values = 8, .count = 1 };
	EXPECT_EQ(-EFAULT, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_STATS, &arg));
	EXPECT_EQ(NR, arg.count);
}

TEST_HARNESS_MAIN
