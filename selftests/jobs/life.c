// SPDX-License-Identifier: GPL-2.0
/*
 * The end of things while jobs run: of processes in every way they have, of their
 * memory, of the device, of the time a job has. All of it is over within moments,
 * and who has nothing to do with it goes on.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include "dm_inject.h"
#include "fences.h"
#include "modctl.h"

#define SOON_MS	8000
#define ORPHANS	40	/* jobs in each queue of a file that is left behind */

FIXTURE(life) {
	struct dm_ctx dm;
	int drm;
	char params[512];
	bool reloaded;
};

FIXTURE_SETUP(life)
{
	DMD_SETUP(&self->dm, &self->drm, DM_PRIVATE0, DM_PRIVATE1);
	mc_params(self->params, sizeof(self->params));
}

static void close_all(int *drm, struct dm_ctx *dm)
{
	if (*drm >= 0)
		close(*drm);
	if (dm->fd >= 0)
		close(dm->fd);
	*drm = -1;
	dm->fd = -1;
}

/* For the time of the test the driver has more parameters. */
#define RELOAD(more) do {						\
	char params_[600];						\
									\
	close_all(&self->drm, &self->dm);				\
	self->reloaded = true;						\
	ASSERT_EQ(0, mc_down(false));					\
	snprintf(params_, sizeof(params_), "%s %s", self->params, more);	\
	ASSERT_EQ(0, mc_up(params_));					\
	dm_restart(&self->dm);						\
	self->drm = dmd_open(DM_PRIVATE0);				\
	ASSERT_LE(0, self->drm);					\
} while (0)

FIXTURE_TEARDOWN(life)
{
	if (self->reloaded) {
		close_all(&self->drm, &self->dm);
		EXPECT_EQ(0, mc_down(false));
		EXPECT_EQ(0, mc_up(self->params));
		/* Counters are those of the new module. */
		dm_restart(&self->dm);
	}
	dmd_teardown(_metadata, &self->dm, self->drm);
}

/* Keeps all queues of a file busy, and more waiting behind that. */
static int keep_busy(int fd, struct dm_buf *b)
{
	job_t job;
	int q, i, ret = 0;

	for (q = 0; q < 4 && !ret; q++) {
		job = q % 2 ? job_endless((__u64 *)(b->ptr + q * DM_PAGE)) :
			      job_fill(b->ptr + DM_2M * (q + 1), DM_2M, q);
		for (i = 0; i < 40 && !ret; i++)
			ret = dmd_submit(fd, q, &job, 1, NULL, NULL);
	}
	return ret;
}

/* A child with busy queues, that ends as @how says. Returns its status. */
static int child_ends(struct sc_sync *ready, const char *how)
{
	struct dm_buf b;
	pid_t pid = sc_fork();
	int fd;

	if (pid < 0)
		return -errno;
	if (pid) {
		int status, ret = sc_wait(ready);

		/* Also at a moment that is not right at the beginning. */
		usleep(30000);
		if (ret || !strcmp(how, "kill"))
			kill(pid, SIGKILL);
		status = sc_reap(pid);
		return ret ? ret : status;
	}
	fd = dmd_open(DM_PRIVATE0);
	if (fd < 0 || dm_buf_anon(&b, 8 * DM_2M_PAGES, DM_BUF_SMALL) || keep_busy(fd, &b))
		_exit(9);
	sc_post(ready);
	if (!strcmp(how, "exit"))
		_exit(0);
	if (!strcmp(how, "exec") || !strcmp(how, "exec-keep")) {
		fcntl(fd, F_SETFD, how[4] ? 0 : FD_CLOEXEC);
		execlp("sleep", "sleep", "0.3", NULL);
		_exit(8);
	}
	if (!strcmp(how, "unmap")) {
		munmap(b.ptr, b.size);
		_exit(0);
	}
	for (;;)
		pause();
}

static const char *const ends[] = { "kill", "exit", "exec", "exec-keep", "unmap" };

TEST_F(life, processes)
{
	struct sc_sync ready;
	unsigned int i, round;
	long long start;
	int status;

	ASSERT_EQ(0, sc_sync_init(&ready));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(ends); i++) {
			start = sc_now_ms();
			status = child_ends(&ready, ends[i]);
			EXPECT_EQ(strcmp(ends[i], "kill") ? 0 : 128 + SIGKILL, status) {
				TH_LOG("%s", ends[i]);
			}
			EXPECT_TRUE(jobs_alone(&self->dm, SOON_MS)) {
				TH_LOG("%s: the file is still open", ends[i]);
			}
			EXPECT_GT(sc_slow(2 * SOON_MS), sc_now_ms() - start);
			EXPECT_EQ(0, jobs_work(self->drm));
		}
	}
	/* Nothing of theirs timed out: it was ended. */
	EXPECT_MOVED(&self->dm, "jobs_timed_out", 0);
	EXPECT_MOVED_MIN(&self->dm, "jobs_canceled", 15 * 70);
	sc_sync_fini(&ready);
}

/* Signals between those who take part in the test of an orphaned file. */
struct orphan {
	struct sc_sync held, ready, gone, checked, leave;
};

static int orphan_init(struct orphan *o)
{
	return sc_sync_init(&o->held) || sc_sync_init(&o->ready) ||
	       sc_sync_init(&o->gone) || sc_sync_init(&o->checked) ||
	       sc_sync_init(&o->leave);
}

static void orphan_fini(struct orphan *o)
{
	sc_sync_fini(&o->held);
	sc_sync_fini(&o->ready);
	sc_sync_fini(&o->gone);
	sc_sync_fini(&o->checked);
	sc_sync_fini(&o->leave);
}

/* Has the file of a parent that has gone, which is of no use, and keeps it open. */
static void orphan_child(struct orphan *o, int fd)
{
	job_t job = job_nop();

	if (sc_wait(&o->gone))
		_exit(7);
	if (dmd_submit(fd, 0, &job, 1, NULL, NULL) == -EPERM &&
	    dmd_wait(fd, 0, 1, 0, NULL) == -EPERM)
		sc_post(&o->checked);
	sc_wait(&o->leave);
	_exit(0);
}

/* Jobs without end on all queues, the first of them in a slice that is held. */
static void orphan_parent(struct orphan *o)
{
	int fd = dmd_open(DM_PRIVATE0), i;
	struct dm_buf b;
	job_t job;

	if (fd < 0)
		_exit(9);
	/* Later it would wait for what is held. */
	if (!fork())
		orphan_child(o, fd);
	if (dm_buf_anon(&b, 4 * DM_2M_PAGES, DM_BUF_SMALL))
		_exit(9);
	for (i = 0; i < 4 * ORPHANS; i++) {
		/* A leaf each: what is held holds the lock of its own. */
		job = job_endless((__u64 *)(b.ptr + i / ORPHANS * DM_2M));
		if (dmd_submit(fd, i / ORPHANS, &job, 1, NULL, NULL) ||
		    (!i && sc_wait(&o->held)))
			_exit(8);
	}
	sc_post(&o->ready);
	for (;;)
		pause();
}

static bool canceled(__u64 n)
{
	long long end = sc_now_ms() + sc_slow(SOON_MS);

	while (dm_stat_now(DM_PRIVATE0, "jobs_canceled") < n && sc_now_ms() < end)
		usleep(10000);
	return dm_stat_now(DM_PRIVATE0, "jobs_canceled") == n;
}

/*
 * A child has the file after its parent is gone: the jobs end. Slices overlap, so
 * that there always is one that has the address space; here it is a job that is held
 * in the middle of its slice.
 */
TEST_F(life, orphaned_file)
{
	struct orphan o;
	pid_t parent;

	RELOAD("inject=1");
	ASSERT_EQ(0, orphan_init(&o));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "access", "nth=1 delay_us=10000000"));
	parent = sc_fork();
	ASSERT_LE(0, parent);
	if (!parent)
		orphan_parent(&o);
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, "access", 1));
	ASSERT_EQ(0, sc_post(&o.held));
	ASSERT_EQ(0, sc_wait(&o.ready));
	ASSERT_EQ(0, kill(parent, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, sc_reap(parent));
	ASSERT_EQ(0, sc_post(&o.gone));
	EXPECT_EQ(0, sc_wait(&o.checked));
	/* Those of the other queues, at once; then those of the one that is held. */
	EXPECT_TRUE(canceled(3 * ORPHANS));
	EXPECT_EQ(1, dm_inject_get(DM_PRIVATE0, "access", "waiting"));
	EXPECT_EQ(0, dm_inject_arm(DM_PRIVATE0, "access", ""));
	EXPECT_TRUE(canceled(4 * ORPHANS));
	EXPECT_EQ(2, dm_stat_now(DM_PRIVATE0, "clients"));
	ASSERT_EQ(0, sc_post(&o.leave));
	EXPECT_TRUE(jobs_alone(&self->dm, SOON_MS));
	EXPECT_EQ(0, jobs_work(self->drm));
	orphan_fini(&o);
}

/* Fork while the device writes: parent and child each have their own afterwards. */
TEST_F(life, fork)
{
	struct dm_buf b;
	__u64 seqno;
	job_t job;
	int i, status;
	pid_t pid;

	ASSERT_EQ(0, dm_buf_anon(&b, 2 * DM_2M_PAGES, DM_BUF_SMALL));
	for (i = 1; i <= 10; i++) {
		job = job_fill(b.ptr, b.size, i);
		ASSERT_EQ(0, dmd_submit(self->drm, 0, &job, 1, NULL, &seqno));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			/* Each word is old or new, and stays what it is. */
			for (size_t k = 0; k < b.size; k += DM_PAGE) {
				__u64 v = *(__u64 *)(b.ptr + k);

				if (v != i && v != i - 1)
					_exit(1);
				usleep(k % (64 * DM_PAGE) ? 0 : 1);
				if (v != *(__u64 *)(b.ptr + k))
					_exit(2);
			}
			_exit(0);
		}
		ASSERT_EQ(0, dmd_wait(self->drm, 0, seqno, 60000, &status));
		EXPECT_EQ(0, status);
		for (size_t k = 0; k < b.size; k += 8)
			ASSERT_EQ(i, *(__u64 *)(b.ptr + k));
		EXPECT_EQ(0, sc_reap(pid));
	}
	dm_buf_free(&b);
}

/* Memory that is unmapped under a job: it faults there, or was before it. */
TEST_F(life, unmap)
{
	int i, faults = 0;
	struct dm_buf b;
	__u64 seqno;
	__s32 status;
	res_t res;
	job_t job;

	for (i = 0; i < 20; i++) {
		__u8 *hole;

		ASSERT_EQ(0, dm_buf_anon(&b, 8 * DM_2M_PAGES, DM_BUF_SMALL));
		hole = b.ptr + 5 * DM_2M + 7 * DM_PAGE;
		job = job_fill(b.ptr, b.size, 1);
		ASSERT_EQ(0, dmd_submit(self->drm, 0, &job, 1, &res, &seqno));
		usleep(i * 700);
		ASSERT_EQ(0, munmap(hole, 64 * DM_PAGE));
		ASSERT_EQ(0, dmd_wait(self->drm, 0, seqno, 60000, &status));
		if (status) {
			faults++;
			EXPECT_EQ(-EFAULT, status);
			EXPECT_LE(VA(hole), res.fault_addr);
			EXPECT_GT(VA(hole + 64 * DM_PAGE), res.fault_addr);
			EXPECT_EQ(res.fault_addr, VA(b.ptr) + res.done);
		}
		dm_buf_free(&b);
	}
	EXPECT_LT(0, faults);
}

struct waiter {
	pthread_t thread;
	int fd, ret;
	__u64 seqno;
	__u32 queue;
};

static void *waiter(void *arg)
{
	struct waiter *w = arg;
	__s32 status;

	/* Longer than anybody takes to wake it. */
	w->ret = dmd_wait(w->fd, w->queue, w->seqno, sc_slow(3 * SOON_MS), &status);
	/* It may have learnt of the end of the job first. */
	if (!w->ret)
		w->ret = status;
	return NULL;
}

/* The device goes: jobs end, waiters wake, fences signal, events arrive. */
TEST_F(life, unbind)
{
	struct drm_hmm_dmirror_event e;
	struct waiter w[3];
	struct pending p = { .fd = -1, .sync_file = -1 };
	struct dm_buf b, r;
	__u32 in, out;
	long long start;
	int i, fd = -1, have_vgem;
	submit_t s;
	job_t job;

	have_vgem = !pending_make(&p);
	ASSERT_EQ(0, dm_buf_anon(&b, 4 * DM_2M_PAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, resident_buf(self->drm, &r, 64));
	for (i = 0; i < 3; i++) {
		job = i == 2 ? job_fill(b.ptr + DM_2M, DM_2M, 7) :
			       job_endless((__u64 *)(b.ptr + i * DM_PAGE));
		s = (submit_t){ .jobs = VA(&job), .nr_jobs = 1, .queue = i ? i - 1 : 0,
				.flags = i ? 0 : HMM_DMIRROR_SUBMIT_EVENT, .user_data = 5 };
		ASSERT_EQ(0, job_submit(self->drm, &s));
		w[i] = (struct waiter){ .fd = self->drm, .seqno = s.seqno, .queue = s.queue };
	}
	/* Number 2 is queued behind 0. */
	w[1].queue = 0;
	if (have_vgem) {
		ASSERT_EQ(0, drmSyncobjCreate(self->drm, 0, &in));
		ASSERT_EQ(0, drmSyncobjCreate(self->drm, 0, &out));
		ASSERT_EQ(0, drmSyncobjImportSyncFile(self->drm, in, p.sync_file));
		ASSERT_EQ(0, resident(self->drm, job_fill(r.ptr, 8, 1), in, out, NULL,
				      &w[2].seqno));
		w[2].queue = RESIDENT;
		ASSERT_EQ(0, drmSyncobjExportSyncFile(self->drm, out, &fd));
	}
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, waiter, &w[i]));
	usleep(100000);
	start = sc_now_ms();
	ASSERT_EQ(0, mc_bind(0, false));
	EXPECT_GT(sc_slow(SOON_MS), sc_now_ms() - start);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_join(w[i].thread, NULL));
		if (i < 2 || have_vgem)
			EXPECT_EQ(-ENODEV, w[i].ret);
	}
	EXPECT_GT(sc_slow(SOON_MS), sc_now_ms() - start);
	if (have_vgem) {
		EXPECT_TRUE(sync_file_signals(fd, SOON_MS));
		EXPECT_EQ(-ENODEV, sync_file_status(fd, NULL));
		close(fd);
	}
	ASSERT_EQ(0, dmd_event(self->drm, &e, sc_slow(SOON_MS)));
	EXPECT_EQ(5, e.user_data);
	EXPECT_EQ(-ENODEV, e.status);
	job = job_nop();
	EXPECT_EQ(-ENODEV, dmd_submit(self->drm, 0, &job, 1, NULL, NULL));
	EXPECT_EQ(-ENODEV, dmd_wait(self->drm, 0, 1, 0, NULL));
	EXPECT_TAGS(r.ptr, 64, r.ptr, 1, DM_CPU);

	REBIND();
	EXPECT_EQ(0, jobs_work(self->drm));
	pending_free(&p);
	dm_buf_free(&b);
	dm_buf_free(&r);
}

/* A job that takes too long ends alone; what waits behind it is not run. */
TEST_F(life, timeout)
{
	__u64 seqno[4], other, *w;
	struct drm_hmm_dmirror_wait wait = { 0 };
	job_t jobs[2], after;
	res_t res[2];
	struct dm_buf b;
	long long start;
	__s32 status;
	__u64 value;
	int i;

	RELOAD("job_timeout_ms=1000 engines=2");
	ASSERT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_JOB_TIMEOUT_MS, &value));
	EXPECT_EQ(1000, value);

	ASSERT_EQ(0, dm_buf_anon(&b, 4, DM_BUF_SMALL));
	w = (__u64 *)b.ptr;
	jobs[0] = job_endless(&w[0]);
	jobs[1] = job_fill(&w[512], 8, 1);
	after = job_fill(&w[513], 8, 1);
	start = sc_now_ms();
	ASSERT_EQ(0, dmd_submit(self->drm, 1, jobs, 2, res, &seqno[0]));
	for (i = 1; i < 4; i++)
		ASSERT_EQ(0, dmd_submit(self->drm, 1, &after, 1, NULL, &seqno[i]));
	ASSERT_EQ(0, dmd_submit(self->drm, 2, &after, 1, NULL, &other));
	EXPECT_EQ(0, dmd_wait(self->drm, 2, other, 60000, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, w[513]);
	w[513] = 0;
	ASSERT_EQ(0, dmd_wait(self->drm, 1, seqno[3], 60000, &status));
	EXPECT_EQ(-ECANCELED, status);
	EXPECT_LE(1000, sc_now_ms() - start);
	EXPECT_GT(sc_slow(SOON_MS), sc_now_ms() - start);
	for (i = 0; i < 3; i++) {
		wait = (struct drm_hmm_dmirror_wait){ .seqno = seqno[i], .queue = 1 };
		ASSERT_EQ(0, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_WAIT, &wait));
		EXPECT_EQ(i ? -ECANCELED : -ETIME, wait.status);
		EXPECT_EQ(1, wait.resets);
	}
	EXPECT_EQ(-ETIME, res[0].status);
	EXPECT_EQ(res[0].done, w[0]);
	EXPECT_EQ(-ECANCELED, res[1].status);
	EXPECT_EQ(0, w[512]);
	EXPECT_EQ(0, w[513]);
	/* The queue is of use again, and others were never reset. */
	ASSERT_EQ(0, job_run(self->drm, 1, &after, 1, NULL));
	EXPECT_EQ(1, w[513]);
	wait = (struct drm_hmm_dmirror_wait){ .seqno = other, .queue = 2 };
	ASSERT_EQ(0, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_WAIT, &wait));
	EXPECT_EQ(0, wait.resets);
	EXPECT_MOVED(&self->dm, "jobs_timed_out", 1);
	EXPECT_MOVED(&self->dm, "jobs_canceled", 4);
	EXPECT_MOVED(&self->dm, "queue_resets", 1);
	dm_buf_free(&b);
}

#define JOBS	64
#define FILES	4
#define QUEUES	(4 * FILES)

/* One submission of many jobs. */
static int one_after_the_other(int fd, __u64 *word, __u64 n)
{
	job_t jobs[JOBS];
	int i;

	for (i = 0; i < JOBS; i++)
		jobs[i] = job_add64(word, 1, n);
	return job_run(fd, 0, jobs, JOBS, NULL);
}

/* One job in each of many queues. */
static int side_by_side(const int *fd, struct dm_buf *b, __u64 n)
{
	__u64 seqno[QUEUES];
	int i, ret = 0;
	__s32 status;
	job_t job;

	for (i = 0; i < QUEUES && !ret; i++) {
		job = job_add64(b->ptr + i * DM_PAGE, 1, n);
		ret = dmd_submit(fd[i / 4], i % 4, &job, 1, NULL, &seqno[i]);
	}
	for (i = 0; i < QUEUES && !ret; i++) {
		ret = dmd_wait(fd[i / 4], i % 4, seqno[i], 60000, &status);
		ret = ret ? ret : status;
	}
	return ret;
}

#define LIMIT_MS	1000

/* Doubles what there is to do until all of it takes longer than one job may. */
#define LONGER_TOGETHER(call) do {					\
	long long start_;						\
	__u64 n = 10000;						\
									\
	do {								\
		n *= 2;							\
		start_ = sc_now_ms();					\
		ASSERT_EQ(0, call);					\
	} while (sc_now_ms() - start_ <= LIMIT_MS);			\
} while (0)

/*
 * The time is that of one job, not of all of a submission; and it is the time a job
 * runs, not what it waits for others that have their turn.
 */
TEST_F(life, time_of_a_job)
{
	struct dm_buf b;
	int fd[FILES], i;

	RELOAD("job_timeout_ms=1000 engines=1");
	ASSERT_EQ(0, dm_buf_anon(&b, QUEUES, DM_BUF_SMALL));
	for (i = 0; i < FILES; i++) {
		fd[i] = dmd_open(DM_PRIVATE0);
		ASSERT_LE(0, fd[i]);
	}
	LONGER_TOGETHER(one_after_the_other(self->drm, (__u64 *)b.ptr, n));
	LONGER_TOGETHER(side_by_side(fd, &b, n));
	EXPECT_MOVED(&self->dm, "jobs_timed_out", 0);
	for (i = 0; i < FILES; i++)
		EXPECT_EQ(0, close(fd[i]));
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
