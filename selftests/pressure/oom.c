// SPDX-License-Identifier: GPL-2.0
/*
 * A group runs out of memory while its processes have pages on the device. The
 * victim dies, or is at least relieved of its memory: device pages are freed by
 * somebody who may not wait for the driver. Nobody else loses anything.
 */
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "../jobs/jobs.h"
#include "dm_inject.h"
#include "pressure.h"

#ifndef __NR_pidfd_open
#define __NR_pidfd_open		434
#endif
#ifndef __NR_process_mrelease
#define __NR_process_mrelease	448
#endif
#ifndef __NR_pidfd_getfd
#define __NR_pidfd_getfd	438
#endif

#define LIMIT	(8UL << 20)
#define NPAGES	512UL			/* of the victim on the device, 2 MiB */
#define MINE	64UL			/* of the test itself */

FIXTURE(oom)
{
	struct dm_ctx	dm;
	struct dm_cg	cg;		/* of the victims */
	struct dm_buf	mine;		/* a bystander's pages, on the device */
	struct dm_buf	b;		/* the victim's: same place in both */
	struct sc_sync	ready, go;
	int		*fd;		/* shared: the victim's descriptor */
};

DM_VARIANTS(oom);

FIXTURE_SETUP(oom)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, dm_cg_create(&self->cg, "victims"));
	ASSERT_EQ(0, dm_cg_write(&self->cg, "memory.swap.max", "0"));
	ASSERT_EQ(0, dm_cg_write(&self->cg, "memory.max", "8M"));
	ASSERT_EQ(0, sc_sync_init(&self->ready));
	ASSERT_EQ(0, sc_sync_init(&self->go));
	self->fd = mmap(NULL, DM_PAGE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->fd);
	ASSERT_EQ(0, dm_buf_anon(&self->mine, MINE, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->mine.ptr, MINE, self->mine.ptr, 7, DM_CPU);
	ASSERT_TO_DEV(self->dm.fd, &self->mine, 7, DM_CPU);
	dm_restart(&self->dm);
}

FIXTURE_TEARDOWN(oom)
{
	struct dm_buf *mine = &self->mine;

	/* The bystander has lost nothing, and the device works. */
	EXPECT_ALL(self->dm.fd, mine->ptr, MINE, DM_ON_DEV);
	EXPECT_EQ(0, stage_delta(&self->dm, "vram_resident_pages"));
	EXPECT_EQ(0, dm_read(self->dm.fd, mine->ptr, MINE, mine->mirror, NULL));
	EXPECT_TAGS(mine->mirror, MINE, mine->ptr, 7, DM_CPU);
	EXPECT_TAGS(mine->ptr, MINE, mine->ptr, 7, DM_CPU);
	sc_sync_fini(&self->ready);
	sc_sync_fini(&self->go);
	dm_buf_free(&self->b);
	dm_buf_free(mine);
	EXPECT_EQ(0, dm_cg_destroy(&self->cg));
	dm_teardown(_metadata, &self->dm);
}

/* In a child: enter the group, have pages on the device, mapped by it. */
static int become_victim(struct dm_cg *cg, int index, struct dm_buf *b)
{
	int fd;

	if (dm_cg_enter(cg))
		_exit(3);
	fd = dm_open(index);
	if (fd < 0)
		_exit(4);
	dm_fill(b->ptr, b->npages, b->ptr, 3, DM_CHILD);
	if (dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL) ||
	    dm_all(fd, b->ptr, b->npages, DM_ON_DEV, NULL))
		_exit(5);
	return fd;
}

/* More than the group may have; is killed for it. */
static void eat(void)
{
	__u8 *p = mmap(NULL, 2 * LIMIT, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	madvise(p, 2 * LIMIT, MADV_NOHUGEPAGE);
	for (i = 0; i < 2 * LIMIT; i += DM_PAGE)
		p[i] = 1;
	_exit(6);
}

static __u64 kills(struct dm_cg *cg)
{
	__u64 val = 0;

	dm_cg_key(cg, "memory.events", "oom_kill", &val);
	return val;
}

/* It dies of a CPU access; all its device pages are free right after. */
TEST_F(oom, killed_with_pages_there)
{
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		become_victim(&self->cg, self->dm.index, &self->b);
		eat();
	}
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_EQ(1, kills(&self->cg));
	EXPECT_MOVED_MIN(&self->dm, "in_moved_pages", NPAGES);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
}

/* In a child: have the device make pages for a large hole, one page in @step. */
static void migrate_holes(struct dm_cg *cg, int index, struct dm_buf *big,
			  unsigned long step)
{
	struct hmm_dmirror_cmd res;
	unsigned long i;
	int fd;

	if (dm_cg_enter(cg))
		_exit(3);
	fd = dm_open(index);
	if (fd < 0)
		_exit(4);
	for (i = 0; step && i < big->npages; i += step)
		big->ptr[i * DM_PAGE] = 1;
	if (dm_to_dev(fd, big->ptr, big->npages, big->mirror, &res) != -ENOENT)
		_exit(5);
	/* The answer is true: all the others are still holes. */
	if (res.cpages != dm_count(fd, big->ptr, big->npages, DM_ON_DEV) ||
	    big->npages - res.cpages !=
	    dm_count(fd, big->ptr, big->npages, DM_NOWHERE))
		_exit(6);
	_exit(res.cpages * DM_PAGE <= LIMIT ? 0 : 7);
}

/*
 * The device makes pages for holes, and they are charged: it is the request to
 * migrate that runs out of memory, with the process's locks held.
 */
TEST_F(oom, killed_in_migration)
{
	struct dm_buf big;
	pid_t pid;

	ASSERT_EQ(0, dm_buf_anon(&big, 4 * LIMIT / DM_PAGE, DM_BUF_SMALL));
	memset(big.mirror, 0xee, big.size);
	pid = fork();
	ASSERT_GE(pid, 0);
	/* With a page in it a hole is filled page by page. */
	if (!pid)
		migrate_holes(&self->cg, self->dm.index, &big, DM_2M_PAGES);
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_LE(1, kills(&self->cg));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	EXPECT_CLASSES(&self->dm, "in", big.npages);
	dm_buf_free(&big);
}

/* Nobody is killed for 2 MiB at a time: what cannot be charged is not moved. */
TEST_F(oom, no_charge_for_large_holes)
{
	struct dm_buf big;
	pid_t pid;

	if (self->dm.coherent)
		SKIP(return, "coherent memory has no large holes");
	if (!thp_moves_whole())
		SKIP(return, "this kernel has no large holes");
	ASSERT_EQ(0, dm_buf_anon(&big, 4 * LIMIT / DM_PAGE, DM_BUF_SMALL));
	memset(big.mirror, 0xee, big.size);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		migrate_holes(&self->cg, self->dm.index, &big, 0);
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_EQ(0, kills(&self->cg));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	EXPECT_CLASSES(&self->dm, "in", big.npages);
	dm_buf_free(&big);
}

/* One goes, all go: the group is one victim. */
TEST_F(oom, whole_group)
{
	pid_t idle, pid;

	ASSERT_EQ(0, dm_cg_write(&self->cg, "memory.oom.group", "1"));
	idle = fork();
	ASSERT_GE(idle, 0);
	if (!idle) {
		become_victim(&self->cg, self->dm.index, &self->b);
		sc_post(&self->ready);
		for (;;)
			pause();
	}
	ASSERT_EQ(0, sc_wait(&self->ready));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", NPAGES);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		become_victim(&self->cg, self->dm.index, &self->b);
		eat();
	}
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_EQ(128 + SIGKILL, sc_reap(idle));
	EXPECT_LE(2, kills(&self->cg));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
}

/* Its exit is watched: what kills it stops it just before it lets its memory go. */
static void watch_exit(struct __test_metadata *_metadata, pid_t pid)
{
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXIT));
}

static void wait_for_exit_stop(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(SIGTRAP | PTRACE_EVENT_EXIT << 8, status >> 8);
}

/*
 * The victim cannot exit, so the reaper takes its memory from it: through the
 * notifier that may not wait, and with it the device's pages.
 */
TEST_F(oom, reaped_while_it_cannot_exit)
{
	long long end;
	pid_t pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		become_victim(&self->cg, self->dm.index, &self->b);
		sc_post(&self->ready);
		sc_wait(&self->go);
		eat();
	}
	ASSERT_EQ(0, sc_wait(&self->ready));
	watch_exit(_metadata, pid);
	ASSERT_EQ(0, sc_post(&self->go));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", NPAGES);
	EXPECT_MOVED(&self->dm, "invalidations_nonblock", 0);
	wait_for_exit_stop(_metadata, pid);
	EXPECT_EQ(1, kills(&self->cg));

	/* The reaper comes two seconds later. */
	end = sc_now_ms() + 1000LL * dm_timeout(5);
	while (stage_delta(&self->dm, "vram_resident_pages") &&
	       sc_now_ms() < end)
		usleep(10000);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	EXPECT_MOVED_MIN(&self->dm, "invalidations_nonblock", 1);
	ASSERT_EQ(0, ptrace(PTRACE_CONT, pid, 0, 0));
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
}

/* Somebody with the victim's file, who lets the device read. */
struct reader {
	int fd;
	struct dm_buf *b;
	int ret;
};

static void *read_once(void *arg)
{
	struct reader *r = arg;

	r->ret = dm_read(r->fd, r->b->ptr, r->b->npages, r->b->mirror, NULL);
	return NULL;
}

/* The victim is dead but for its exit; what it had is still there. */
static int stop_at_exit(struct __test_metadata *_metadata, pid_t pid, int fd,
			int *pidfd)
{
	int got;

	*pidfd = syscall(__NR_pidfd_open, pid, 0);
	EXPECT_GE(*pidfd, 0);
	got = syscall(__NR_pidfd_getfd, *pidfd, fd, 0);
	EXPECT_GE(got, 0);
	watch_exit(_metadata, pid);
	EXPECT_EQ(0, kill(pid, SIGKILL));
	wait_for_exit_stop(_metadata, pid);
	return got;
}

static int release(int pidfd)
{
	return syscall(__NR_process_mrelease, pidfd, 0) ? -errno : 0;
}

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
	EXPECT_EQ(theirs, stage_delta(dm, "jobs_failed") +
			  stage_delta(dm, "jobs_canceled"));
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

/* The files of the victim are closed, so nothing is done for it any more. */
static bool files_closed(struct dm_ctx *dm)
{
	__u64 clients = dm_stat(&dm->start, "clients");
	long long end = sc_now_ms() + sc_slow(SOON_MS);

	while (dm_stat_now(dm->index, "clients") > clients && sc_now_ms() < end)
		usleep(10000);
	return dm_stat_now(dm->index, "clients") == clients;
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
	EXPECT_TRUE(files_closed(&self->dm));				\
	EXPECT_GT(sc_slow(SOON_MS), sc_now_ms() - (start));		\
	EXPECT_EQ(1, kills(&self->cg));					\
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);		\
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

/* Jobs of the victim's that have come to an end. */
static __s64 ended(struct dm_ctx *dm)
{
	return stage_delta(dm, "jobs_failed") + stage_delta(dm, "jobs_canceled");
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

#define SLOWLY	"nth=1 every=1 times=1 delay_us=10000000"

/*
 * Released by hand, the same way, while the device is at the victim's pages: the
 * driver has to refuse, as often as it is asked, and the caller is told to come
 * again. What the device reads is the truth, and then that it is gone.
 */
TEST_F(oom, released_under_device_access)
{
	struct reader r = { .b = &self->b };
	int pidfd, i;
	pthread_t t;
	pid_t pid;

	if (dm_inject_status())
		SKIP(return, "the driver cannot be loaded with fault injection here");
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		*self->fd = become_victim(&self->cg, self->dm.index, &self->b);
		sc_post(&self->ready);
		for (;;)
			pause();
	}
	ASSERT_EQ(0, sc_wait(&self->ready));
	r.fd = stop_at_exit(_metadata, pid, *self->fd, &pidfd);
	memset(self->b.mirror, 0xee, self->b.size);
	ASSERT_EQ(0, dm_inject_arm(self->dm.index, "access", SLOWLY));
	ASSERT_EQ(0, pthread_create(&t, NULL, read_once, &r));
	ASSERT_EQ(0, dm_inject_wait(self->dm.index, "access", 1));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EAGAIN, release(pidfd));
	EXPECT_MOVED(&self->dm, "invalidations_nonblock_failed", 3);
	ASSERT_EQ(0, dm_inject_off(self->dm.index));
	ASSERT_EQ(0, pthread_join(t, NULL));
	/* It was before all pages were gone, so it read all of them. */
	EXPECT_EQ(0, r.ret);
	EXPECT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 3, DM_CHILD);
	EXPECT_EQ(0, release(pidfd));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	read_once(&r);
	EXPECT_EQ(-EFAULT, r.ret);
	EXPECT_EQ(0, close(r.fd));
	close(pidfd);
	EXPECT_EQ(0, ptrace(PTRACE_CONT, pid, 0, 0));
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
}

/* Jobs without end are ended by the tests, however long those take. */
DM_INJECT_MAIN(1, "job_timeout_ms=600000")
