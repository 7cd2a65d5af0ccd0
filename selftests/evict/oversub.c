// SPDX-License-Identifier: GPL-2.0
/*
 * Working sets larger than the device: every byte right, never more on the device
 * than it has, and everybody gets on.
 */
#include <signal.h>
#include <time.h>
#include "dm_drm_harness.h"

#define CHUNK	(256UL << 10)

FIXTURE(oversub)
{
	struct dm_ctx	dm;
	int		drm;
	size_t		vram;	/* bytes of device memory */
};

DM_VARIANTS(oversub);

FIXTURE_SETUP(oversub)
{
	DMD_SETUP(&self->dm, &self->drm, variant->index, variant->peer);
	self->vram = dm_stat(&self->dm.start, "vram_capacity_pages") * DM_PAGE;
	if (self->vram > 128UL << 20)
		SKIP(return, "too much device memory for this test");
}

FIXTURE_TEARDOWN(oversub)
{
	dmd_teardown(_metadata, &self->dm, self->drm);
}

static int dev_copy(int drm, void *to, const void *from, size_t size)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_COPY, .length = size,
		.dst = (__u64)(uintptr_t)to, .src = (__u64)(uintptr_t)from,
	};

	return dmd_run(drm, &job, NULL);
}

static int dev_fill(int drm, void *addr, size_t size, __u64 value)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_FILL, .length = size, .value = value,
		.dst = (__u64)(uintptr_t)addr,
	};

	return dmd_run(drm, &job, NULL);
}

/*
 * Four times device memory, in order and then in no order: the device copies one
 * half into the other, and back to where nobody expects it.
 */
TEST_F(oversub, working_set)
{
	size_t half = 2 * self->vram, n = half / CHUNK, i;
	__u8 *src, *dst;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 2 * half / DM_PAGE, DM_BUF_SMALL));
	src = b.ptr;
	dst = b.ptr + half;
	dm_fill(src, half / DM_PAGE, src, 1, DM_CPU);
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, dev_copy(self->drm, dst + i * CHUNK, src + i * CHUNK,
				      CHUNK));
	/* 37 and the power of two that is n have no common factor. */
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, dev_copy(self->drm, src + i * 37 % n * CHUNK,
				      dst + i * CHUNK, CHUNK));
	for (i = 0; i < n; i++)
		ASSERT_TAGS(src + i * 37 % n * CHUNK, CHUNK / DM_PAGE,
			    src + i * CHUNK, 1, DM_CPU);
	EXPECT_TAGS(dst, half / DM_PAGE, src, 1, DM_CPU);
	EXPECT_MOVED_MIN(&self->dm, "evicted_pages", 3 * self->vram / DM_PAGE);
	EXPECT_LE(dm_stat_now(self->dm.index, "vram_high_pages"),
		  self->vram / DM_PAGE);
	dm_buf_free(&b);
}

struct progress {
	volatile __u64 ops;
	volatile int bad;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static __u64 word(unsigned int who, size_t chunk, unsigned int round)
{
	return (__u64)(who + 1) << 56 | (__u64)round << 32 | chunk;
}

/* Fill, sweep after sweep, twice what the device has; look at what lies behind. */
static void sweep(int index, unsigned int who, size_t vram, struct progress *p)
{
	size_t n = 2 * vram / CHUNK, i;
	int drm = dmd_open(index);
	unsigned int round;
	struct dm_buf b;

	if (drm < 0 || dm_buf_anon(&b, n * CHUNK / DM_PAGE, DM_BUF_SMALL))
		_exit(1);
	for (round = 1; ; round++) {
		for (i = 0; i < n; i++) {
			volatile __u64 *back = (__u64 *)(b.ptr + (i + n / 2) % n * CHUNK);
			unsigned int was = i < n / 2 ? round - 1 : round;

			if (dev_fill(drm, b.ptr + i * CHUNK, CHUNK, word(who, i, round)))
				p->bad = 1;
			if (was && (back[0] != word(who, (i + n / 2) % n, was) ||
				    back[CHUNK / 8 - 1] != back[0]))
				p->bad = 2;
			p->ops++;
		}
	}
}

/*
 * Two processes, each larger than the device: neither stands still, nor waits. For a
 * while, and on a slow machine until both have been around twice.
 */
TEST_F(oversub, two_processes)
{
	double start = now(), moved[2], gap[2] = { 0, 0 };
	__u64 ops[2] = { 0, 0 }, twice = 2 * self->vram / CHUNK;
	struct progress *p;
	pid_t pid[2];
	int i, status;

	p = mmap(NULL, DM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	for (i = 0; i < 2; i++) {
		pid[i] = sc_fork();
		ASSERT_GE(pid[i], 0);
		if (!pid[i])
			sweep(self->dm.index, i, self->vram, &p[i]);
		moved[i] = now();
	}
	while (now() < start + dm_timeout(2) ||
	       ((ops[0] <= twice || ops[1] <= twice) && now() < start + dm_timeout(20))) {
		usleep(10 * 1000);
		for (i = 0; i < 2; i++) {
			double t = now() - moved[i];

			gap[i] = t > gap[i] ? t : gap[i];
			if (p[i].ops != ops[i])
				moved[i] = now();
			ops[i] = p[i].ops;
		}
		EXPECT_LE(dm_stat_now(self->dm.index, "vram_resident_pages"),
			  self->vram / DM_PAGE);
	}
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, kill(pid[i], SIGKILL));
		EXPECT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(0, p[i].bad);
		TH_LOG("process %d: %llu operations, longest wait %.2f s", i,
		       ops[i], gap[i]);
		/* An operation moves 256 KiB and may evict 4 MiB for it. */
		EXPECT_LT(gap[i], dm_timeout(1));
		EXPECT_GT(ops[i], twice);
		EXPECT_GT(4 * ops[i], ops[!i]);
	}
	EXPECT_MOVED_MIN(&self->dm, "evicted_pages", self->vram / DM_PAGE);
	EXPECT_LE(dm_stat_now(self->dm.index, "vram_high_pages"),
		  self->vram / DM_PAGE);
	munmap(p, DM_PAGE);
}

TEST_HARNESS_MAIN
