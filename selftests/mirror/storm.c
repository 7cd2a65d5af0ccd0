// SPDX-License-Identifier: GPL-2.0
/*
 * The process's page tables change all the time while the device works. The
 * device must get on, or say that it could not, and must never return data
 * that was not there.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include "dm_harness.h"

#define NPAGES	32UL
#define ROUNDS	(60 * sc_longer())

DM_FIXTURE(mirror);

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Something that disturbs a range until it is told to stop. */
struct storm {
	struct dm_buf	*b;
	void		(*gust)(struct storm *s);
	bool		stop;
	unsigned long	count;
	pthread_t	thread;
};

static void *blow(void *arg)
{
	struct storm *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		s->gust(s);
		__atomic_add_fetch(&s->count, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void flip(struct storm *s)
{
	mprotect(s->b->ptr, s->b->size, PROT_READ);
	mprotect(s->b->ptr, s->b->size, PROT_READ | PROT_WRITE);
}

static void discard(struct storm *s)
{
	madvise(s->b->ptr, s->b->size, MADV_DONTNEED);
}

static int storm_start(struct storm *s)
{
	int ret = -pthread_create(&s->thread, NULL, blow, s);

	/* Both sides are at work from here on. */
	while (!ret && !__atomic_load_n(&s->count, __ATOMIC_RELAXED))
		sched_yield();
	return ret;
}

static void storm_stop(struct storm *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELAXED);
	pthread_join(s->thread, NULL);
}

/* A storm elsewhere in the address space does not keep the device from work. */
TEST_F(mirror, storm_next_door)
{
	struct storm s = { .gust = flip };
	struct dm_buf a, b;
	int i, ret, busy = 0;

	ASSERT_EQ(0, dm_buf_anon(&a, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	s.b = &b;
	ASSERT_EQ(0, storm_start(&s));
	for (i = 0; i < ROUNDS; i++) {
		dm_fill(a.ptr, NPAGES, a.ptr, i, DM_CPU);
		/* Gone from the device, too: every round has to fault. */
		ASSERT_EQ(0, mprotect(a.ptr, a.size, PROT_READ));
		ASSERT_EQ(0, mprotect(a.ptr, a.size, PROT_READ | PROT_WRITE));
		ret = dm_read(self->dm.fd, a.ptr, NPAGES, a.mirror, NULL);
		if (ret == -EBUSY) {
			busy++;
			continue;
		}
		ASSERT_EQ(0, ret);
		ASSERT_TAGS(a.mirror, NPAGES, a.ptr, i, DM_CPU);
	}
	storm_stop(&s);
	EXPECT_LE(busy, ROUNDS / 10);
	dm_buf_free(&a);
	dm_buf_free(&b);
}

/* Permissions of the very range flip: a write is done whole or is refused. */
TEST_F(mirror, storm_of_permissions)
{
	struct storm s = { .gust = flip };
	int i, ret, good = 0;
	struct dm_buf b;
	double end;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 0, DM_DEV);
	s.b = &b;
	ASSERT_EQ(0, storm_start(&s));
	end = now() + dm_timeout(3);
	for (i = 1; i < ROUNDS && now() < end; i++) {
		dm_fill(b.mirror, NPAGES, b.ptr, i, DM_DEV);
		ret = dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL);
		if (!ret) {
			good++;
			ASSERT_TAGS(b.ptr, NPAGES, b.ptr, i, DM_DEV);
		} else {
			ASSERT_TRUE(ret == -EPERM || ret == -EBUSY) {
				TH_LOG("write: errno %d", -ret);
			}
		}
		ret = dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL);
		ASSERT_TRUE(ret == 0 || ret == -EBUSY);
	}
	storm_stop(&s);
	EXPECT_MOVED_MIN(&self->dm, "invalidations", 1);
	TH_LOG("%d of %d writes went through", good, i - 1);
	dm_buf_free(&b);
}

/*
 * The range is discarded over and over: each page the device reads is zero or
 * what the device wrote last, never an older generation or somebody else's.
 */
TEST_F(mirror, storm_of_discards)
{
	struct storm s = { .gust = discard };
	struct dm_buf b;
	unsigned long p;
	int i, ret;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	s.b = &b;
	ASSERT_EQ(0, storm_start(&s));
	for (i = 1; i < ROUNDS; i++) {
		dm_fill(b.mirror, NPAGES, b.ptr, i, DM_DEV);
		ret = dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL);
		ASSERT_TRUE(ret == 0 || ret == -EBUSY);
		if (ret)
			continue;
		ret = dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL);
		ASSERT_TRUE(ret == 0 || ret == -EBUSY);
		for (p = 0; !ret && p < NPAGES; p++) {
			const void *m = b.mirror + p * DM_PAGE;

			if (dm_verify_zero(m, 1, NULL))
				ASSERT_TAGS(m, 1, b.ptr + p * DM_PAGE, i,
					    DM_DEV);
		}
	}
	storm_stop(&s);
	EXPECT_MOVED_MIN(&self->dm, "invalidations", 1);
	dm_buf_free(&b);
}

/* A child that lets its device work on memory until its group's limit kills it. */
static void be_victim(struct dm_cg *cg, int index)
{
	struct dm_buf b;
	unsigned long i;
	int fd;

	if (dm_cg_enter(cg))
		_exit(3);
	fd = dm_open(index);
	if (fd < 0 || dm_buf_anon(&b, 64 * DM_2M_PAGES, DM_BUF_SMALL))
		_exit(4);
	dm_fill(b.mirror, 16, b.ptr, 1, DM_DEV);
	for (i = 0; i < b.npages; i += 16) {
		if (dm_write(fd, b.ptr + i * DM_PAGE, 16, b.mirror, NULL))
			_exit(5);
	}
	_exit(0);
}

/*
 * A process out of memory in the middle of device faults: the killer gets
 * through the notifier that may not sleep, the process dies, nobody else does.
 */
TEST_F(mirror, out_of_memory_victim)
{
	__u64 killed = 0;
	struct dm_cg cg;
	int status;
	pid_t pid;

	ASSERT_EQ(0, dm_cg_create(&cg, "victim"));
	ASSERT_EQ(0, dm_cg_write(&cg, "memory.max", "16M"));
	dm_cg_write(&cg, "memory.swap.max", "0");
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		be_victim(&cg, self->dm.index);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status)) {
		TH_LOG("status %#x", status);
	}
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(0, dm_cg_key(&cg, "memory.events", "oom_kill", &killed));
	EXPECT_GE(killed, 1);
	EXPECT_EQ(0, dm_cg_destroy(&cg));
}

TEST_HARNESS_MAIN
