// SPDX-License-Identifier: GPL-2.0
/*
 * Things that happen while a job is in a window of the driver, where it is held until
 * they have begun: the process ends in one way or another, its memory goes, it forks.
 * It is over soon after, nobody sees anything but old or new, and the jobs of others go
 * on meanwhile.
 *
 * The process is another one: some windows have its mmap lock, so that it may not get
 * far before they are closed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include "dm_inject.h"
#include "jobs.h"

#define NPAGES		16UL
#define HOLE		(NPAGES / 2)
#define WORDS		((long)(DM_PAGE / 8))
#define SOON_MS		5000
#define OLD		0x1111111111111111ULL
#define NEW		0x2222222222222222ULL

struct env {
	struct dm_ctx dm;
	struct sc_sync ready, go;
	int drm;
};

struct window {
	const char *name;
	bool locked;
};

FIXTURE(windows) { struct env e; };

/*
 * What a job passes that fills memory the device does not have yet; in some of it the
 * mmap lock or that of a leaf is held, and the others have to wait.
 */
FIXTURE_VARIANT(windows) { struct window w; };
#define WINDOW(name, locked)						\
	FIXTURE_VARIANT_ADD(windows, name) { .w = { #name, locked } }
WINDOW(leaf, false);
WINDOW(notifier, false);
WINDOW(table, false);
WINDOW(buffer, false);
WINDOW(install, false);
WINDOW(reserve, false);
WINDOW(alloc_in_small, true);
WINDOW(collect, true);
WINDOW(copy, true);
WINDOW(commit, true);
WINDOW(finalize, true);
WINDOW(access, true);

FIXTURE_SETUP(windows)
{
	self->e.drm = -1;
	DM_INJECT_SETUP();
	DMD_SETUP(&self->e.dm, &self->e.drm, DM_PRIVATE0, DM_PRIVATE1);
	ASSERT_EQ(0, sc_sync_init(&self->e.ready));
	ASSERT_EQ(0, sc_sync_init(&self->e.go));
}

FIXTURE_TEARDOWN(windows)
{
	if (dm_inject_status() || self->e.drm < 0)
		return;
	dm_inject_off(DM_PRIVATE0);
	sc_sync_fini(&self->e.ready);
	sc_sync_fini(&self->e.go);
	dmd_teardown(_metadata, &self->e.dm, self->e.drm);
}

/* The process whose job is held. */
struct owner {
	struct dm_buf b;
	struct sc_sync *did;	/* what it has to do with the job held */
	bool locked;
	res_t res;
	__u64 seqno;
	int fd;
};

/* How many words from the first on are NEW, if the rest up to @n is OLD; or -1. */
static long news(const volatile __u64 *p, long n)
{
	long i, k;

	for (i = 0; i < n && p[i] == NEW; i++)
		;
	for (k = i; k < n && p[k] == OLD; k++)
		;
	return k == n ? i : -1;
}

/* Waits for the job; its status, or a positive number. */
static int job_end(struct owner *o)
{
	__s32 status;

	return dmd_wait(o->fd, 0, o->seqno, 60000, &status) ? 1 : status;
}

/* The rest of the memory goes: the job faults there, unless it has it already. */
static int unmaps(struct owner *o)
{
	__u8 *hole = o->b.ptr + HOLE * DM_PAGE;
	int status;

	if (munmap(hole, (NPAGES - HOLE) * DM_PAGE) || sc_post(o->did))
		return 2;
	status = job_end(o);
	if (news((__u64 *)o->b.ptr, HOLE * WORDS) != HOLE * WORDS)
		return 3;
	if (o->locked && !status)
		return 0;
	return status == -EFAULT && o->res.fault_addr == VA(hole) &&
	       o->res.access == HMM_DMIRROR_ACCESS_WRITE &&
	       o->res.done == HOLE * DM_PAGE ? 0 : 4;
}

/* The parent gets all that the device writes, the child what was there when it began. */
static int forks(struct owner *o)
{
	__u64 *p = (__u64 *)o->b.ptr;
	pid_t pid = sc_fork();
	long had;

	if (pid < 0)
		return 2;
	if (!pid) {
		had = news(p, NPAGES * WORDS);
		usleep(100000);
		_exit(had < 0 || news(p, NPAGES * WORDS) != had);
	}
	if (sc_post(o->did) || job_end(o) || news(p, NPAGES * WORDS) != NPAGES * WORDS)
		return 3;
	return sc_reap(pid) ? 4 : 0;
}

/* Everything is sent home, and advised to stay there. The job gets what it needs. */
static int evicts(struct owner *o)
{
	int ret;

	if (dmd_advise(o->fd, o->b.ptr, o->b.size, HMM_DMIRROR_ADVISE_LOCATION,
		       HMM_DMIRROR_LOCATION_SYSTEM))
		return 2;
	/* What is on its way cannot leave. */
	ret = dmd_evict(o->fd, HMM_DMIRROR_EVICT_ALL, NULL, 0, NULL);
	if ((ret && ret != -EBUSY) || sc_post(o->did))
		return 3;
	return job_end(o) || news((__u64 *)o->b.ptr, NPAGES * WORDS) != NPAGES * WORDS ?
	       4 : 0;
}

static int exits(struct owner *o)
{
	return 0;
}

static int execs(struct owner *o)
{
	execlp("true", "true", NULL);
	return 2;
}

static int execs_with_file(struct owner *o)
{
	fcntl(o->fd, F_SETFD, 0);
	return execs(o);
}

/* Until it is killed. */
static int waits(struct owner *o)
{
	while (o->fd >= 0)
		pause();
	return 2;
}

static void owner(struct sc_sync *ready, struct sc_sync *go, bool locked,
		  int (*what)(struct owner *))
{
	static struct owner o;
	job_t job;

	o.did = ready;
	o.locked = locked;
	o.fd = dmd_open(DM_PRIVATE0);
	if (o.fd < 0 || dm_buf_anon(&o.b, NPAGES, DM_BUF_SMALL))
		_exit(90);
	for (size_t i = 0; i < NPAGES * WORDS; i++)
		((__u64 *)o.b.ptr)[i] = OLD;
	job = job_fill(o.b.ptr, o.b.size, NEW);
	if (sc_post(ready) || sc_wait(go) ||
	    dmd_submit(o.fd, 0, &job, 1, &o.res, &o.seqno) || sc_wait(go))
		_exit(91);
	_exit(what(&o));
}

#define ARM(how) ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, w->name, how))

/* Returns how @what ended. */
static int held(struct __test_metadata *_metadata, struct env *e,
		const struct window *w, int (*what)(struct owner *))
{
	pid_t pid = sc_fork();
	bool tells;
	int ret;

	ASSERT_LE(0, pid);
	if (!pid)
		owner(&e->ready, &e->go, w->locked, what);
	ASSERT_EQ(0, sc_wait(&e->ready));
	ARM("nth=1 delay_us=10000000");
	ASSERT_EQ(0, sc_post(&e->go));
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, w->name, 1));
	ASSERT_EQ(0, what == waits ? kill(pid, SIGKILL) : sc_post(&e->go));
	/* The job of another file is not in its way. */
	EXPECT_EQ(0, jobs_work(e->drm));
	/* What leaves a word is through; the others have time to begin. */
	tells = !w->locked && (what == unmaps || what == forks || what == evicts);
	EXPECT_EQ(0, tells ? sc_wait(&e->ready) : usleep(1000 * sc_slow(20)));
	EXPECT_EQ(1, dm_inject_get(DM_PRIVATE0, w->name, "waiting"));
	ARM("");
	ret = sc_reap(pid);
	EXPECT_TRUE(jobs_alone(&e->dm, SOON_MS));
	EXPECT_MOVED(&e->dm, "jobs_timed_out", 0);
	return ret;
}

#define EXPECT_HELD(status, what) \
	EXPECT_EQ(status, held(_metadata, &self->e, &variant->w, what))

TEST_F(windows, ends)
{
	EXPECT_HELD(128 + SIGKILL, waits);
	EXPECT_HELD(0, exits);
	EXPECT_HELD(0, execs);
	EXPECT_HELD(0, execs_with_file);
	EXPECT_MOVED(&self->e.dm, "jobs_failed", 0);
	EXPECT_EQ(0, jobs_work(self->e.drm));
}

TEST_F(windows, unmapped) { EXPECT_HELD(0, unmaps); }
TEST_F(windows, forked) { EXPECT_HELD(0, forks); }
TEST_F(windows, advised_and_evicted) { EXPECT_HELD(0, evicts); }

/* All engines there are by themselves, each stuck for a process that means ill. */
#define ENGINES	4

FIXTURE(stuck) { struct env e; };

FIXTURE_SETUP(stuck)
{
	self->e.drm = -1;
	DM_INJECT_SETUP();
	DMD_SETUP(&self->e.dm, &self->e.drm, DM_PRIVATE0, DM_PRIVATE1);
}

FIXTURE_TEARDOWN(stuck)
{
	if (dm_inject_status() || self->e.drm < 0)
		return;
	dm_inject_off(DM_PRIVATE0);
	dmd_teardown(_metadata, &self->e.dm, self->e.drm);
}

/* Others wait for a moment, and only if they have to: then there are more engines. */
TEST_F(stuck, others_go_on)
{
	__u64 seqno[ENGINES], other;
	long long begin;
	int i, round, fd;
	__s32 status;
	__u8 *mem;
	job_t job;

	mem = mmap(NULL, (2 * ENGINES + 1) * DM_2M, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	fd = dmd_open(DM_PRIVATE0);
	ASSERT_LE(0, fd);
	for (round = 0; round < 2; round++) {
		/* Where nothing has been yet. */
		ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "leaf",
					   "nth=1 every=1 times=4 delay_us=10000000"));
		begin = sc_now_ms();
		for (i = 0; i < ENGINES; i++) {
			job = job_fill(mem + (round * ENGINES + i) * DM_2M, 8, 1);
			ASSERT_EQ(0, dmd_submit(self->e.drm, i, &job, 1, NULL, &seqno[i]));
		}
		ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, "leaf", ENGINES));
		job = job_nop();
		ASSERT_EQ(0, dmd_submit(fd, 0, &job, 1, NULL, &other));
		EXPECT_EQ(0, dmd_wait(fd, 0, other, sc_slow(6000), &status));
		EXPECT_EQ(ENGINES, dm_inject_get(DM_PRIVATE0, "leaf", "waiting"));
		/* There is one after a while only: those of the first round have gone again. */
		EXPECT_LE(90, sc_now_ms() - begin);
		ASSERT_EQ(0, dm_inject_off(DM_PRIVATE0));
		for (i = 0; i < ENGINES; i++) {
			EXPECT_EQ(0, dmd_wait(self->e.drm, i, seqno[i], 60000, &status));
			EXPECT_EQ(0, status);
		}
		EXPECT_MOVED_MIN(&self->e.dm, "engines_lent", 1 + round);
		EXPECT_MOVED(&self->e.dm, "jobs_ok", (1 + round) * (ENGINES + 1));
	}
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, munmap(mem, (2 * ENGINES + 1) * DM_2M));
}

DM_INJECT_MAIN(1, "vram_mb=4 job_timeout_ms=60000")
