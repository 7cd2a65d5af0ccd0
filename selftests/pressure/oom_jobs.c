// SPDX-License-Identifier: GPL-2.0
/*
 * A group runs out of memory while the device works for its processes: their jobs end,
 * soon, and are in nobody's way; those of a bystander go on and are done once each.
 */
#include <pthread.h>

#include "../jobs/jobs.h"
#include "dm_inject.h"
#include "oom.h"

#define QUEUES	4
#define BEHIND	20		/* jobs that wait in each queue */
#define SOON_MS	8000

/* A bystander with jobs of its own, one after the other, until told to stop. */
struct bystander {
	int fd;
	struct dm_buf b;		/* twice the same, but for a counter */
	bool stop;
	unsigned long rounds;
	int bad;
	pthread_t thread;
};

/* The device adds to the first word of its memory, and looks at the rest. */
static void *keep_working(void *arg)
{
	struct bystander *s = arg;
	__u8 *p = s->b.ptr;
	job_t jobs[2] = {
		job_add64((__u64 *)p, 1, 1),
		job_compare(p + DM_PAGE, p + (MINE + 1) * DM_PAGE,
			    (MINE - 1) * DM_PAGE),
	};
	res_t res[2];

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED) && !s->bad) {
		s->bad = job_run(s->fd, s->rounds % QUEUES, jobs, 2, res);
		if (!s->bad && (res[0].value != s->rounds ||
				res[1].value != jobs[1].length))
			s->bad = -EIO;
		if (!s->bad)
			__atomic_add_fetch(&s->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* It gets something done, from now on. */
static bool goes_on(struct bystander *s)
{
	unsigned long from = __atomic_load_n(&s->rounds, __ATOMIC_RELAXED);
	long long end = sc_now_ms() + sc_slow(SOON_MS);

	while (__atomic_load_n(&s->rounds, __ATOMIC_RELAXED) < from + 2) {
		if (sc_now_ms() > end || s->bad)
			return false;
		usleep(1000);
	}
	return true;
}

/* Counters are from just before its first job. */
static void bystander_begin(struct __test_metadata *_metadata, struct dm_ctx *dm,
			    struct bystander *s)
{
	__u8 *copy;

	*s = (struct bystander){ .fd = dmd_open(dm->index) };
	ASSERT_LE(0, s->fd);
	/* Shared memory does not go to the device. */
	ASSERT_EQ(0, dm_buf_map(&s->b, 2 * MINE, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	copy = s->b.ptr + MINE * DM_PAGE;
	dm_fill(s->b.ptr, MINE, s->b.ptr, 8, DM_CPU);
	dm_fill(copy, MINE, s->b.ptr, 8, DM_CPU);
	*(__u64 *)s->b.ptr = 0;
	dm_restart(dm);
	ASSERT_EQ(0, pthread_create(&s->thread, NULL, keep_working, s));
	ASSERT_TRUE(goes_on(s));
}

/* Jobs of the victim's that have come to an end. */
static __s64 ended(struct dm_ctx *dm)
{
	return stage_delta(dm, "jobs_failed") + stage_delta(dm, "jobs_canceled");
}

/*
 * Nothing of it has failed, has been done twice, or has not been done; and all of the
 * @theirs jobs of the victim are over, none of them well.
 */
static void bystander_end(struct __test_metadata *_metadata, struct dm_ctx *dm,
			  struct bystander *s, __s64 theirs)
{
	__u8 *p = s->b.ptr;

	EXPECT_TRUE(goes_on(s));
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	EXPECT_EQ(0, pthread_join(s->thread, NULL));
	EXPECT_EQ(0, s->bad);
	EXPECT_EQ(s->rounds, *(__u64 *)p);
	EXPECT_TAGS(p + DM_PAGE, MINE - 1, p + DM_PAGE, 8, DM_CPU);
	EXPECT_MOVED(dm, "jobs_ok", 2 * s->rounds);
	EXPECT_EQ(theirs, ended(dm));
	EXPECT_MOVED(dm, "jobs_timed_out", 0);
	EXPECT_MOVED(dm, "queue_resets", 0);
	EXPECT_MOVED(dm, "vram_resident_pages", 0);
	EXPECT_EQ(0, close(s->fd));
	dm_buf_free(&s->b);
}

/*
 * In a child: a job without end on each queue, and more behind it. The first one adds
 * to a word that others see, the other ones to pages on the device.
 */
static void submit_all(int index, struct dm_buf *b, __u64 *word)
{
	int drm = dmd_open(index), q, i;
	job_t job;

	if (drm < 0)
		_exit(7);
	for (q = 0; q < QUEUES; q++) {
		job = job_endless(q ? (__u64 *)(b->ptr + q * DM_PAGE) : word);
		if (dmd_submit(drm, q, &job, 1, NULL, NULL))
			_exit(8);
		job = job_fill(b->ptr + DM_2M / 2, DM_2M / 2, q);
		for (i = 0; i < BEHIND; i++) {
			if (dmd_submit(drm, q, &job, 1, NULL, NULL))
				_exit(9);
		}
	}
}

#define SUBMITTED	(QUEUES * (1 + BEHIND))

/*
 * What there was more of because of the victim is gone: its files, and then its memory,
 * which a job can be the last to let go of; that is done by somebody else.
 */
static bool soon_gone(struct dm_ctx *dm, const char *name)
{
	long long end = sc_now_ms() + sc_slow(SOON_MS);

	while (stage_delta(dm, name) > 0 && sc_now_ms() < end)
		usleep(10000);
	return !stage_delta(dm, name);
}

/* The group is left with next to nothing: what processors have charged ahead. */
static bool group_empties(struct dm_cg *cg)
{
	long long end = sc_now_ms() + sc_slow(SOON_MS);
	__u64 now = ~0ULL;

	while (!dm_cg_read(cg, "memory.current", &now) &&
	       now > PR_SLACK * DM_PAGE && sc_now_ms() < end)
		usleep(10000);
	return now <= PR_SLACK * DM_PAGE;
}

/* What the victim had is gone, what was done for it is no more. */
#define EXPECT_OVER(start) do {						\
	EXPECT_TRUE(soon_gone(&self->dm, "clients"));			\
	EXPECT_TRUE(soon_gone(&self->dm, "vram_resident_pages"));	\
	EXPECT_GT(sc_slow(SOON_MS), sc_now_ms() - (start));		\
	EXPECT_EQ(1, kills(&self->cg));					\
	EXPECT_TRUE(group_empties(&self->cg));				\
} while (0)

/* A child whose queues are busy, and which waits for leave to run out of memory. */
static pid_t spawn_busy(struct __test_metadata *_metadata, struct dm_ctx *dm,
			struct dm_cg *cg, struct dm_buf *b, __u64 *word,
			struct sc_sync *ready, struct sc_sync *go)
{
	pid_t pid = fork();

	if (!pid) {
		become_victim(cg, dm->index, b);
		submit_all(dm->index, b, word);
		sc_post(ready);
		sc_wait(go);
		eat();
	}
	EXPECT_LT(0, pid);
	EXPECT_EQ(0, sc_wait(ready));
	/* They are at it. */
	EXPECT_TRUE(word_leaves(word, 0, SOON_MS));
	EXPECT_MOVED(dm, "vram_resident_pages", NPAGES);
	return pid;
}

#define SPAWN_BUSY(word)						\
	spawn_busy(_metadata, &self->dm, &self->cg, &self->b, word,	\
		   &self->ready, &self->go)

#define NEEDS_JOBS() do {						\
	if (!dm_ours() || access("/sys/module/drm", F_OK))		\
		SKIP(return, "no render nodes");			\
} while (0)

/*
 * It dies of a CPU access while all its queues are busy with what it has on the
 * device, and more waits behind that.
 */
TEST_F(oom, jobs_of_the_victim)
{
	__u64 *word = (__u64 *)self->fd + 8, last;
	struct bystander s;
	long long start;
	pid_t pid;

	NEEDS_JOBS();
	bystander_begin(_metadata, &self->dm, &s);
	pid = SPAWN_BUSY(word);
	start = sc_now_ms();
	ASSERT_EQ(0, sc_post(&self->go));
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_OVER(start);
	last = *word;
	bystander_end(_metadata, &self->dm, &s, SUBMITTED);
	EXPECT_EQ(last, *word);
}

/*
 * It cannot exit, so its files stay open and its queues are busy when the reaper comes
 * for its memory. Their jobs are over before the victim is, and not in the reaper's way.
 */
TEST_F(oom, jobs_of_the_reaped)
{
	__u64 *word = (__u64 *)self->fd + 8, last;
	struct bystander s;
	long long end;
	pid_t pid;

	NEEDS_JOBS();
	bystander_begin(_metadata, &self->dm, &s);
	pid = SPAWN_BUSY(word);
	watch_exit(_metadata, pid);
	ASSERT_EQ(0, sc_post(&self->go));
	wait_for_exit_stop(_metadata, pid);
	/* The reaper comes two seconds later. */
	end = sc_now_ms() + 1000LL * dm_timeout(5);
	while ((ended(&self->dm) < SUBMITTED ||
		stage_delta(&self->dm, "vram_resident_pages")) && sc_now_ms() < end)
		usleep(10000);
	EXPECT_EQ(SUBMITTED, ended(&self->dm));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	EXPECT_MOVED_MIN(&self->dm, "invalidations_nonblock", 1);
	last = *word;
	EXPECT_TRUE(goes_on(&s));
	EXPECT_EQ(last, *word);
	ASSERT_EQ(0, ptrace(PTRACE_CONT, pid, 0, 0));
	end = sc_now_ms();
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_OVER(end);
	bystander_end(_metadata, &self->dm, &s, SUBMITTED);
}

/*
 * It is the device that wants more than the group may have: the victim is the one who
 * asked for it, and idle.
 */
TEST_F(oom, job_runs_out)
{
	const size_t len = 512UL << 20;
	long long start = sc_now_ms();
	struct bystander s;
	pid_t pid;

	NEEDS_JOBS();
	bystander_begin(_metadata, &self->dm, &s);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		__u8 *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			       MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		job_t job[1 + BEHIND];
		int drm, i;

		become_victim(&self->cg, self->dm.index, &self->b);
		drm = dmd_open(self->dm.index);
		if (p == MAP_FAILED || madvise(p, len, MADV_NOHUGEPAGE) || drm < 0)
			_exit(7);
		for (i = 0; i <= BEHIND; i++)
			job[i] = job_fill(p, len, 1 + i);
		/* At once: it may not live to submit another one. */
		if (dmd_submit(drm, 0, job, 1 + BEHIND, NULL, NULL))
			_exit(8);
		for (;;)
			pause();
	}
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_OVER(start);
	bystander_end(_metadata, &self->dm, &s, 1 + BEHIND);
}

/* Jobs without end are ended by the tests, however long those take. */
DM_INJECT_MAIN(1, "job_timeout_ms=600000")
