/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of jobs have in common: jobs as expressions, submissions with
 * everything, and waiting for what the device writes.
 */
#ifndef SELFTESTS_JOBS_JOBS_H
#define SELFTESTS_JOBS_JOBS_H

#include <time.h>
#include "dm_crc.h"
#include "dm_drm_harness.h"
#include "modctl.h"
#include "scene.h"

/* For short. */
#define job_t		struct drm_hmm_dmirror_job
#define res_t		struct drm_hmm_dmirror_result
#define submit_t	struct drm_hmm_dmirror_submit

#define VA(p) ((__u64)(uintptr_t)(p))
#define RESIDENT HMM_DMIRROR_QUEUE_RESIDENT

/* Device 0, which was unbound, is back, with a fixture's files and counters. */
#define REBIND() do {							\
	EXPECT_EQ(0, close(self->drm));					\
	EXPECT_EQ(0, close(self->dm.fd));				\
	ASSERT_EQ(0, mc_bind(0, true));					\
	ASSERT_EQ(0, mc_wait_node(0, true));				\
	dm_restart(&self->dm);						\
	self->dm.fd = dm_open(DM_PRIVATE0);				\
	self->drm = dmd_open(DM_PRIVATE0);				\
	ASSERT_LE(0, self->drm);					\
} while (0)

static inline job_t job_nop(void)
{
	return (job_t){ .op = HMM_DMIRROR_JOB_NOP };
}

static inline job_t job_fill(void *dst, size_t len, __u64 value)
{
	return (job_t){ .op = HMM_DMIRROR_JOB_FILL, .dst = VA(dst),
			.length = len, .value = value };
}

static inline job_t job_copy(void *dst, const void *src, size_t len)
{
	return (job_t){ .op = HMM_DMIRROR_JOB_COPY, .dst = VA(dst),
			.src = VA(src), .length = len };
}

static inline job_t job_crc(const void *src, size_t len, __u32 seed)
{
	return (job_t){ .op = HMM_DMIRROR_JOB_CHECKSUM, .src = VA(src),
			.length = len, .value = seed };
}

static inline job_t job_compare(const void *a, const void *b, size_t len)
{
	return (job_t){ .op = HMM_DMIRROR_JOB_COMPARE, .dst = VA(a),
			.src = VA(b), .length = len };
}

static inline job_t job_add32(void *dst, __u32 value, __u64 count)
{
	return (job_t){ .op = HMM_DMIRROR_JOB_ATOMIC_ADD32, .dst = VA(dst),
			.value = value, .count = count };
}

static inline job_t job_add64(void *dst, __u64 value, __u64 count)
{
	return (job_t){ .op = HMM_DMIRROR_JOB_ATOMIC_ADD64, .dst = VA(dst),
			.value = value, .count = count };
}

static inline job_t job_chase(const void *src, __u64 count)
{
	return (job_t){ .op = HMM_DMIRROR_JOB_CHASE, .src = VA(src),
			.count = count };
}

/* Runs until something ends it: not in the life of a test. */
static inline job_t job_endless(__u64 *word)
{
	return job_add64(word, 1, ~0ULL);
}

static inline int job_submit(int fd, submit_t *s)
{
	return dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_SUBMIT, s);
}

/* One queue of one submission, waited for. Returns as dmd_run(). */
static inline int job_run(int fd, __u32 queue, const job_t *jobs, __u32 nr,
			  res_t *res)
{
	__s32 status = 0;
	__u64 seqno;
	int ret = dmd_submit(fd, queue, jobs, nr, res, &seqno);

	if (!ret)
		ret = dmd_wait(fd, queue, seqno, 60000, &status);
	return ret ? ret : status;
}

static inline int job_run1(int fd, job_t job, res_t *res)
{
	return dmd_run(fd, &job, res);
}

/* The RESIDENT queue; @s has the sync objects. Returns as dmd_run(). */
static inline int job_resident(int fd, submit_t *s, const job_t *jobs, __u32 nr,
			       res_t *res)
{
	s->jobs = VA(jobs);
	s->nr_jobs = nr;
	s->results = VA(res);
	s->queue = RESIDENT;
	s->flags |= HMM_DMIRROR_SUBMIT_RESIDENT;
	return job_submit(fd, s);
}

/* xorshift: never 0 */
static inline __u64 rnd(__u64 *state)
{
	__u64 x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

/* Wait until a word in memory has a value, looking now and then. */
static inline bool word_becomes(const volatile __u64 *word, __u64 value, int ms)
{
	long long end = sc_now_ms() + sc_slow(ms);

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
		if (sc_now_ms() > end)
			return false;
		usleep(500);
	}
	return true;
}

/* Wait until a word in memory differs from a value. */
static inline bool word_leaves(const volatile __u64 *word, __u64 value, int ms)
{
	long long end = sc_now_ms() + sc_slow(ms);

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
		if (sc_now_ms() > end)
			return false;
		usleep(500);
	}
	return true;
}

/* Wait until no files of a device are open but those of the test. */
static inline bool jobs_alone(struct dm_ctx *dm, int ms)
{
	__u64 ours = dm_stat(&dm->start, "clients") + 1 + (dm->fd >= 0);
	long long end = sc_now_ms() + sc_slow(ms);

	while (dm_stat_now(dm->index, "clients") != ours) {
		if (sc_now_ms() > end)
			return false;
		usleep(10000);
	}
	return true;
}

/*
 * What the others still can do, in memory of its own that does not move: the pages of
 * the test are not to be on the device when it looks into windows.
 */
static inline int jobs_work(int fd)
{
	__u64 *word = mmap(NULL, DM_PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ret;

	if (word == MAP_FAILED)
		return -errno;
	ret = job_run1(fd, job_fill(word, 8, 99), NULL);
	if (!ret && *word != 99)
		ret = -EIO;
	munmap(word, DM_PAGE);
	return ret;
}

#define EXPECT_FAULT(res, addr, how) do {				\
	EXPECT_EQ(-EFAULT, (res)->status);				\
	EXPECT_EQ(VA(addr) & ~(DM_PAGE - 1), (res)->fault_addr);	\
	EXPECT_EQ(HMM_DMIRROR_ACCESS_##how, (res)->access);		\
} while (0)

#endif /* SELFTESTS_JOBS_JOBS_H */
