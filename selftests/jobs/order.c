// SPDX-License-Identifier: GPL-2.0
/*
 * In which order things happen, and how one learns of it: queues, user fences,
 * events, WAIT, and the limits.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include "jobs.h"

/* What has to happen, has happened by then. */
#define SOON_MS	8000

DMD_FIXTURE(jobs);

static __s64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int wait_until(int fd, __u32 queue, __u64 seqno, __s64 ns, __s32 *status)
{
	struct drm_hmm_dmirror_wait w = { .seqno = seqno, .queue = queue,
					  .timeout_ns = ns };
	int ret = dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_WAIT, &w);

	if (status)
		*status = w.status;
	return ret;
}

/* Each job needs what the one before it has done. */
TEST_F(jobs, in_order)
{
	const unsigned int n = 640;
	__u64 seqno, last = 0, *w;
	struct dm_buf b;
	job_t jobs[32];
	unsigned int i;
	__s32 status;

	ASSERT_EQ(0, dm_buf_anon(&b, 2 * n, DM_BUF_SMALL));
	w = (__u64 *)b.ptr;
	w[0] = 42;
	for (i = 0; i < n; i++) {
		/* A page each, so that each step faults. */
		jobs[i % 32] = job_copy(&w[(i + 1) * 512], &w[i * 512], 8);
		if (i % 32 != 31)
			continue;
		ASSERT_EQ(0, dmd_submit(self->drm, 2, jobs, 32, NULL, &seqno));
		EXPECT_EQ(++last, seqno);
	}
	ASSERT_EQ(0, dmd_wait(self->drm, 2, last, 60000, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(42, w[n * 512]);
	/* All before it have ended, too. */
	for (i = 1; i < last; i++)
		EXPECT_EQ(0, dmd_wait(self->drm, 2, i, 0, NULL));
	dm_buf_free(&b);
}

/* Queues, and files, do not wait for each other, even if there are more than engines. */
TEST_F(jobs, side_by_side)
{
	int busy = dmd_open(self->dm.index), q;
	__u64 endless[4], seqno;
	struct dm_buf b;
	__u64 *w;
	__s32 status;
	job_t job;

	ASSERT_LE(0, busy);
	ASSERT_EQ(0, dm_buf_anon(&b, 8, DM_BUF_SMALL));
	w = (__u64 *)b.ptr;
	for (q = 0; q < 4; q++) {
		job = job_endless(&w[q * 512]);
		ASSERT_EQ(0, dmd_submit(busy, q, &job, 1, NULL, &endless[q]));
	}
	job = job_endless(&w[4 * 512]);
	ASSERT_EQ(0, dmd_submit(self->drm, 0, &job, 1, NULL, &seqno));
	for (q = 1; q < 4; q++) {
		job = job_fill(&w[5 * 512], 8, q);
		ASSERT_EQ(0, job_run(self->drm, q, &job, 1, NULL));
		EXPECT_EQ(q, w[5 * 512]);
	}
	/* All of the endless ones are at it. */
	for (q = 0; q < 4; q++) {
		EXPECT_TRUE(word_leaves(&w[q * 512], 0, 20000));
		EXPECT_EQ(-ETIME, dmd_wait(busy, q, endless[q], 0, NULL));
	}
	EXPECT_TRUE(word_leaves(&w[4 * 512], 0, 20000));
	EXPECT_EQ(-ETIME, dmd_wait(self->drm, 0, seqno, 0, &status));
	/* Closing ends them, and waits for that. */
	EXPECT_EQ(0, close(busy));
	w[0] = 1;
	usleep(50000);
	EXPECT_EQ(1, w[0]);
	EXPECT_MOVED(&self->dm, "jobs_canceled", 4);
	dm_buf_free(&b);
}

/* Looks all the time, not to miss what is seen in the first moment only. */
static bool fence_becomes(const volatile __u64 *fence, __u64 value)
{
	long long end = sc_now_ms() + sc_slow(4 * SOON_MS);

	while (__atomic_load_n(fence, __ATOMIC_ACQUIRE) != value) {
		if (sc_now_ms() > end)
			return false;
		sched_yield();
	}
	return true;
}

/* Who sees the fence sees the results, and who sees the results sees the data. */
TEST_F(jobs, user_fence)
{
	volatile res_t *res;
	volatile __u64 *fence;
	struct dm_buf b;
	submit_t s;
	job_t job;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, 8, DM_BUF_SMALL));
	res = (res_t *)(b.ptr + DM_PAGE - 8);
	fence = (__u64 *)(b.ptr + 4 * DM_PAGE);
	for (i = 1; i <= 100; i++) {
		job = job_fill(b.ptr + 5 * DM_PAGE - 11, 100, i);
		res->status = 1;
		s = (submit_t){ .jobs = VA(&job), .nr_jobs = 1, .results = VA(res),
				.queue = i % 4, .fence_addr = VA(fence),
				.fence_value = i };
		ASSERT_EQ(0, job_submit(self->drm, &s));
		ASSERT_TRUE(fence_becomes(fence, i));
		ASSERT_EQ(0, res->status);
		ASSERT_EQ(100, res->done);
		ASSERT_EQ(i & 0xff, b.ptr[5 * DM_PAGE - 11]);
		if (i % 10 == 0)
			ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	}
	dm_buf_free(&b);
}

/* It is written once and last, however often the jobs have made room for others. */
TEST_F(jobs, fence_of_a_long_job)
{
	const __u64 adds = 5000000;
	volatile res_t *res;
	volatile __u64 *fence;
	struct dm_buf b;
	job_t jobs[2];
	submit_t s;

	ASSERT_EQ(0, dm_buf_anon(&b, 4, DM_BUF_SMALL));
	res = (res_t *)(b.ptr + DM_PAGE);
	fence = (__u64 *)(b.ptr + 2 * DM_PAGE);
	jobs[0] = job_add64(b.ptr, 1, adds);
	jobs[1] = job_fill(b.ptr + 3 * DM_PAGE, 8, 4711);
	res[0].status = 1;
	res[1].status = 1;
	s = (submit_t){ .jobs = VA(jobs), .nr_jobs = 2, .results = VA(res),
			.fence_addr = VA(fence), .fence_value = 1 };
	ASSERT_EQ(0, job_submit(self->drm, &s));
	ASSERT_TRUE(fence_becomes(fence, 1));
	EXPECT_EQ(0, res[0].status);
	EXPECT_EQ(adds, res[0].done);
	EXPECT_EQ(0, res[1].status);
	EXPECT_EQ(8, res[1].done);
	EXPECT_EQ(4711, *(__u64 *)(b.ptr + 3 * DM_PAGE));
	dm_buf_free(&b);
}

TEST_F(jobs, events)
{
	struct drm_hmm_dmirror_event e;
	job_t good = job_nop(), bad = job_fill((void *)DM_PAGE, 8, 1);
	submit_t s;
	int i;

	EXPECT_EQ(-ETIMEDOUT, dmd_event(self->drm, &e, 0));
	/* None without the flag. */
	s = (submit_t){ .jobs = VA(&good), .nr_jobs = 1, .user_data = 5 };
	ASSERT_EQ(0, job_submit(self->drm, &s));
	ASSERT_EQ(0, dmd_wait(self->drm, 0, s.seqno, 60000, NULL));
	EXPECT_EQ(-ETIMEDOUT, dmd_event(self->drm, &e, 0));
	for (i = 0; i < 20; i++) {
		s = (submit_t){ .jobs = VA(i % 3 ? &good : &bad), .nr_jobs = 1,
				.queue = 3, .flags = HMM_DMIRROR_SUBMIT_EVENT,
				.user_data = ~(__u64)i };
		ASSERT_EQ(0, job_submit(self->drm, &s));
	}
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, dmd_event(self->drm, &e, sc_slow(SOON_MS)));
		EXPECT_EQ(HMM_DMIRROR_EVENT_JOBS, e.base.type);
		EXPECT_EQ(sizeof(e), e.base.length);
		EXPECT_EQ(~(__u64)i, e.user_data);
		EXPECT_EQ(i + 1, e.seqno);
		EXPECT_EQ(3, e.queue);
		EXPECT_EQ(i % 3 ? 0 : -EFAULT, e.status);
		/* What has an event has ended. */
		EXPECT_EQ(0, dmd_wait(self->drm, 3, e.seqno, 0, NULL));
	}
	EXPECT_EQ(-ETIMEDOUT, dmd_event(self->drm, &e, 0));
}

/* Events nobody reads are a limit of the file, and not lost. */
TEST_F(jobs, unread_events)
{
	struct drm_hmm_dmirror_event e;
	job_t job = job_nop();
	submit_t s;
	int n, ret = 0, i;

	for (n = 0; n < 1000 && !ret; n++) {
		s = (submit_t){ .jobs = VA(&job), .nr_jobs = 1,
				.flags = HMM_DMIRROR_SUBMIT_EVENT };
		ret = job_submit(self->drm, &s);
	}
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_LT(50, n);
	/* The one that was refused has no number. */
	for (i = 1; i < n; i++) {
		ASSERT_EQ(0, dmd_event(self->drm, &e, sc_slow(SOON_MS)));
		EXPECT_EQ(i, e.seqno);
	}
	EXPECT_EQ(0, job_submit(self->drm, &s));
	EXPECT_EQ(n, s.seqno);
	ASSERT_EQ(0, dmd_event(self->drm, &e, sc_slow(SOON_MS)));
}

TEST_F(jobs, wait_time)
{
	__u64 seqno, *w;
	__s64 start, ns;
	struct dm_buf b;
	job_t job;

	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	w = (__u64 *)b.ptr;
	job = job_endless(w);
	ASSERT_EQ(0, dmd_submit(self->drm, 0, &job, 1, NULL, &seqno));
	EXPECT_EQ(-ETIME, wait_until(self->drm, 0, seqno, 0, NULL));
	EXPECT_EQ(-ETIME, wait_until(self->drm, 0, seqno, -1, NULL));
	EXPECT_EQ(-ETIME, wait_until(self->drm, 0, seqno, INT64_MIN, NULL));
	EXPECT_EQ(-ETIME, wait_until(self->drm, 0, seqno, now_ns(), NULL));
	start = now_ns();
	EXPECT_EQ(-ETIME, wait_until(self->drm, 0, seqno, start + 200000000, NULL));
	ns = now_ns() - start;
	EXPECT_LE(200000000, ns);
	EXPECT_GT(5000000000, ns);
	/* For ever is no overflow. */
	job = job_nop();
	ASSERT_EQ(0, dmd_submit(self->drm, 1, &job, 1, NULL, &seqno));
	EXPECT_EQ(0, wait_until(self->drm, 1, seqno, INT64_MAX, NULL));
	dm_buf_free(&b);
}

static volatile unsigned long alarms;

static void on_alarm(int sig)
{
	alarms++;
}

/* Signals all the time, with and without SA_RESTART: the time is kept. */
TEST_F(jobs, wait_signals)
{
	struct itimerval fast = { { 0, 1000 }, { 0, 1000 } }, off = { 0 };
	struct sigaction sa = { .sa_handler = on_alarm };
	__u64 seqno, *w;
	struct dm_buf b;
	__s64 start, ns;
	job_t job;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	w = (__u64 *)b.ptr;
	for (i = 0; i < 2; i++) {
		/* It has a time of its own to end in. */
		job = job_endless(w + i);
		ASSERT_EQ(0, dmd_submit(self->drm, 2 * i, &job, 1, NULL, &seqno));
		sa.sa_flags = i ? SA_RESTART : 0;
		alarms = 0;
		ASSERT_EQ(0, sigaction(SIGALRM, &sa, NULL));
		ASSERT_EQ(0, setitimer(ITIMER_REAL, &fast, NULL));
		start = now_ns();
		EXPECT_EQ(-ETIME, wait_until(self->drm, 2 * i, seqno, start + 300000000, NULL));
		ns = now_ns() - start;
		/* Jobs under the same storm. */
		for (int j = 0; j < 20; j++) {
			job = job_fill(w + 100, 8, j);
			ASSERT_EQ(0, job_run(self->drm, 1, &job, 1, NULL));
			EXPECT_EQ(j, w[100]);
		}
		ASSERT_EQ(0, setitimer(ITIMER_REAL, &off, NULL));
		EXPECT_LE(300000000, ns);
		EXPECT_GT(5000000000, ns);
		EXPECT_LT(10, alarms);
	}
	signal(SIGALRM, SIG_DFL);
	dm_buf_free(&b);
}

struct waiter {
	pthread_t thread;
	int fd, ret;
	__u64 seqno;
	__s32 status;
};

static void *waiter(void *arg)
{
	struct waiter *w = arg;

	w->ret = dmd_wait(w->fd, 0, w->seqno, 60000, &w->status);
	return NULL;
}

TEST_F(jobs, many_waiters)
{
	struct waiter w[32];
	struct dm_buf b;
	job_t jobs[2];
	unsigned int i;
	__u64 seqno;

	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	/* Long enough for all of them to be there. */
	jobs[0] = job_add64((__u64 *)b.ptr, 1, 5000000);
	jobs[1] = job_fill((void *)DM_PAGE, 8, 1);
	ASSERT_EQ(0, dmd_submit(self->drm, 0, jobs, 2, NULL, &seqno));
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = (struct waiter){ .fd = self->drm, .seqno = seqno };
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, waiter, &w[i]));
	}
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		ASSERT_EQ(0, pthread_join(w[i].thread, NULL));
		EXPECT_EQ(0, w[i].ret);
		EXPECT_EQ(-EFAULT, w[i].status);
	}
	EXPECT_EQ(5000000, *(__u64 *)b.ptr);
	dm_buf_free(&b);
}

/* The last 256 are remembered, each with its own status. */
TEST_F(jobs, memory)
{
	job_t good = job_nop(), bad = job_fill((void *)DM_PAGE, 8, 1);
	__u64 seqno = 0;
	__s32 status;
	int i;

	for (i = 1; i <= 300; i++)
		ASSERT_EQ(0, dmd_submit(self->drm, 0, i % 7 ? &good : &bad, 1, NULL,
					&seqno));
	ASSERT_EQ(300, seqno);
	ASSERT_EQ(0, dmd_wait(self->drm, 0, 300, 60000, NULL));
	for (i = 1; i <= 300; i++) {
		ASSERT_EQ(0, dmd_wait(self->drm, 0, i, 0, &status));
		EXPECT_EQ(i <= 300 - 256 ? -ENOENT : i % 7 ? 0 : -EFAULT, status) {
			TH_LOG("number %d", i);
		}
	}
}

/* A file may have so many jobs queued, over all its queues; another has its own. */
TEST_F(jobs, limit)
{
	int other = dmd_open(self->dm.index), i, n = 1;
	struct dm_buf b;
	job_t jobs[64] = { 0 }, one;
	__u64 max;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_JOBS_QUEUED, &max));
	ASSERT_EQ(0, dm_buf_anon(&b, 4, DM_BUF_SMALL));
	for (i = 0; i < 4; i++) {
		one = job_endless((__u64 *)(b.ptr + i * DM_PAGE));
		ASSERT_EQ(0, dmd_submit(other, i, &one, 1, NULL, NULL));
	}
	for (n = 4; n + 64 <= max; n += 64)
		ASSERT_EQ(0, dmd_submit(other, n / 64 % 4, jobs, 64, NULL, NULL));
	EXPECT_EQ(-ENOSPC, dmd_submit(other, 0, jobs, max - n + 1, NULL, NULL));
	EXPECT_EQ(0, dmd_submit(other, 0, jobs, max - n, NULL, NULL));
	EXPECT_EQ(-ENOSPC, dmd_submit(other, 1, jobs, 1, NULL, NULL));
	EXPECT_EQ(0, job_run(self->drm, 0, jobs, 64, NULL));
	EXPECT_EQ(0, close(other));
	EXPECT_MOVED(&self->dm, "jobs_canceled", max);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
