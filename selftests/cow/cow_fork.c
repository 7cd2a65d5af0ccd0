// SPDX-License-Identifier: GPL-2.0
/*
 * fork() with pages on a device. Four writers, parent and child each with its
 * CPU and its device, share the pages until one of them writes; from then on
 * the other process must not see it, through the CPU or through its device.
 * Owns its buffers and children; no locks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "actor.h"
#include "stage.h"

/* Eight regions of the buffer, one for each way of writing. */
enum region {
	UNTOUCHED, PARENT_CPU, CHILD_CPU, PARENT_DEV, CHILD_DEV, BOTH_CPU,
	BOTH_DEV, DEV_AND_CPU,
	REGIONS
};

FIXTURE(cow_fork) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct actor parent, child;
	unsigned long n;	/* pages of a region */
};

FIXTURE_VARIANT(cow_fork) {
	int index, peer, huge;
};

FIXTURE_VARIANT_ADD(cow_fork, private) {
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1,
};

FIXTURE_VARIANT_ADD(cow_fork, private_thp) {
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .huge = 1,
};

FIXTURE_VARIANT_ADD(cow_fork, coherent) {
	.index = DM_COHERENT0, .peer = DM_COHERENT1,
};

FIXTURE_VARIANT_ADD(cow_fork, coherent_thp) {
	.index = DM_COHERENT0, .peer = DM_COHERENT1, .huge = 1,
};

FIXTURE_SETUP(cow_fork)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->n = variant->huge ? DM_2M_PAGES / REGIONS : 8;
	ASSERT_EQ(0, dm_buf_anon(&self->b, self->n * REGIONS,
				 variant->huge ? DM_BUF_THP : DM_BUF_SMALL));
	dm_fill(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
	actor_self(&self->parent, &self->b, self->dm.fd);
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
}

FIXTURE_TEARDOWN(cow_fork)
{
	EXPECT_EQ(0, actor_end(&self->child));
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* Who wrote generation 2 of a region last, seen from either process. */
static const struct {
	unsigned int gen[2], writer[2];		/* [0] parent, [1] child */
} expected[REGIONS] = {
	[UNTOUCHED]	= { { 1, 1 }, { DM_CPU, DM_CPU } },
	[PARENT_CPU]	= { { 2, 1 }, { DM_CPU, DM_CPU } },
	[CHILD_CPU]	= { { 1, 2 }, { DM_CPU, DM_CHILD } },
	[PARENT_DEV]	= { { 2, 1 }, { DM_DEV, DM_CPU } },
	[CHILD_DEV]	= { { 1, 2 }, { DM_CPU, DM_PEER } },
	[BOTH_CPU]	= { { 2, 2 }, { DM_CPU, DM_CHILD } },
	[BOTH_DEV]	= { { 2, 2 }, { DM_DEV, DM_PEER } },
	[DEV_AND_CPU]	= { { 2, 2 }, { DM_DEV, DM_CHILD } },
};

/* One view of all regions: @how is A_CPU_CHECK or A_DEV_CHECK. */
#define ASSERT_VIEW(actor, how, side) do {				\
	int r_;								\
									\
	for (r_ = 0; r_ < REGIONS; r_++) {				\
		ASSERT_EQ(0, act(actor, how, (r_) * self->n, self->n,	\
				 expected[r_].gen[side],		\
				 expected[r_].writer[side])) {		\
			TH_LOG("%s, region %d", #actor " " #how, r_);	\
		}							\
	}								\
} while (0)

#define ASSERT_FOUR_VIEWS() do {					\
	ASSERT_VIEW(&self->parent, A_DEV_CHECK, 0);			\
	ASSERT_VIEW(&self->child, A_DEV_CHECK, 1);			\
	ASSERT_VIEW(&self->child, A_CPU_CHECK, 1);			\
	ASSERT_VIEW(&self->parent, A_CPU_CHECK, 0);			\
	ASSERT_VIEW(&self->parent, A_DEV_CHECK, 0);			\
	ASSERT_VIEW(&self->child, A_DEV_CHECK, 1);			\
} while (0)

#define ASSERT_FORK() do {						\
	ASSERT_EQ(0, actor_fork(&self->child, &self->b, -1));		\
	ASSERT_EQ(0, act_arg(&self->child, A_OPEN, self->dm.index));	\
} while (0)

#define WRITE(actor, how, r, writer)					\
	ASSERT_EQ(0, act(actor, how, (r) * self->n, self->n, 2, writer))

/* fork() moves nothing: both processes still have every page on the device. */
TEST_F(cow_fork, stays_on_device)
{
	ASSERT_FORK();
	ASSERT_EQ(0, act_where(&self->parent, 0, self->b.npages, DM_ON_DEV));
	ASSERT_EQ(0, act_where(&self->child, 0, self->b.npages, DM_ON_DEV));
	if (self->dm.counters)
		ASSERT_EQ(self->b.npages,
			  stage_delta(&self->dm, "vram_resident_pages"));
	/* Reading through either device does not separate them. */
	ASSERT_EQ(0, act(&self->child, A_DEV_CHECK, 0, self->b.npages, 1,
			 DM_CPU));
	ASSERT_EQ(0, act(&self->parent, A_DEV_CHECK, 0, self->b.npages, 1,
			 DM_CPU));
	ASSERT_EQ(0, act_where(&self->parent, 0, self->b.npages, DM_ON_DEV));
	ASSERT_EQ(0, act_where(&self->child, 0, self->b.npages, DM_ON_DEV));
}

/* Devices write first, straight after the fork, then the CPUs. */
TEST_F(cow_fork, devices_write_first)
{
	ASSERT_FORK();
	WRITE(&self->parent, A_DEV_FILL, PARENT_DEV, DM_DEV);
	WRITE(&self->child, A_DEV_FILL, CHILD_DEV, DM_PEER);
	WRITE(&self->child, A_DEV_FILL, BOTH_DEV, DM_PEER);
	WRITE(&self->parent, A_DEV_FILL, BOTH_DEV, DM_DEV);
	WRITE(&self->parent, A_DEV_FILL, DEV_AND_CPU, DM_DEV);
	WRITE(&self->child, A_CPU_FILL, DEV_AND_CPU, DM_CHILD);
	WRITE(&self->parent, A_CPU_FILL, PARENT_CPU, DM_CPU);
	WRITE(&self->child, A_CPU_FILL, CHILD_CPU, DM_CHILD);
	WRITE(&self->child, A_CPU_FILL, BOTH_CPU, DM_CHILD);
	WRITE(&self->parent, A_CPU_FILL, BOTH_CPU, DM_CPU);
	ASSERT_FOUR_VIEWS();
}

/* CPUs write first; what they do not write is still on the device. */
TEST_F(cow_fork, cpus_write_first)
{
	ASSERT_FORK();
	WRITE(&self->child, A_CPU_FILL, CHILD_CPU, DM_CHILD);
	WRITE(&self->parent, A_CPU_FILL, PARENT_CPU, DM_CPU);
	WRITE(&self->parent, A_CPU_FILL, BOTH_CPU, DM_CPU);
	WRITE(&self->child, A_CPU_FILL, BOTH_CPU, DM_CHILD);
	WRITE(&self->child, A_CPU_FILL, DEV_AND_CPU, DM_CHILD);
	WRITE(&self->parent, A_DEV_FILL, DEV_AND_CPU, DM_DEV);
	WRITE(&self->parent, A_DEV_FILL, BOTH_DEV, DM_DEV);
	WRITE(&self->child, A_DEV_FILL, BOTH_DEV, DM_PEER);
	WRITE(&self->child, A_DEV_FILL, CHILD_DEV, DM_PEER);
	WRITE(&self->parent, A_DEV_FILL, PARENT_DEV, DM_DEV);
	ASSERT_FOUR_VIEWS();
}

/* Written by devices that had mapped the pages before the other one wrote. */
TEST_F(cow_fork, stale_device_mappings)
{
	unsigned long all = self->b.npages;

	ASSERT_FORK();
	/* Both devices have read-only entries for every page now. */
	ASSERT_EQ(0, act(&self->parent, A_DEV_CHECK, 0, all, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->child, A_DEV_CHECK, 0, all, 1, DM_CPU));
	WRITE(&self->parent, A_DEV_FILL, PARENT_DEV, DM_DEV);
	WRITE(&self->parent, A_DEV_FILL, DEV_AND_CPU, DM_DEV);
	WRITE(&self->parent, A_CPU_FILL, PARENT_CPU, DM_CPU);
	WRITE(&self->parent, A_CPU_FILL, BOTH_CPU, DM_CPU);
	WRITE(&self->parent, A_DEV_FILL, BOTH_DEV, DM_DEV);
	WRITE(&self->child, A_DEV_FILL, CHILD_DEV, DM_PEER);
	WRITE(&self->child, A_DEV_FILL, BOTH_DEV, DM_PEER);
	WRITE(&self->child, A_CPU_FILL, CHILD_CPU, DM_CHILD);
	WRITE(&self->child, A_CPU_FILL, BOTH_CPU, DM_CHILD);
	WRITE(&self->child, A_CPU_FILL, DEV_AND_CPU, DM_CHILD);
	ASSERT_FOUR_VIEWS();
}

/* After the writes both migrate everything in again: still separate. */
TEST_F(cow_fork, migrate_again)
{
	unsigned long all = self->b.npages;

	ASSERT_FORK();
	WRITE(&self->parent, A_DEV_FILL, PARENT_DEV, DM_DEV);
	WRITE(&self->child, A_DEV_FILL, CHILD_DEV, DM_PEER);
	WRITE(&self->parent, A_CPU_FILL, PARENT_CPU, DM_CPU);
	WRITE(&self->child, A_CPU_FILL, CHILD_CPU, DM_CHILD);
	WRITE(&self->parent, A_CPU_FILL, BOTH_CPU, DM_CPU);
	WRITE(&self->child, A_CPU_FILL, BOTH_CPU, DM_CHILD);
	WRITE(&self->parent, A_DEV_FILL, BOTH_DEV, DM_DEV);
	WRITE(&self->child, A_DEV_FILL, BOTH_DEV, DM_PEER);
	WRITE(&self->parent, A_DEV_FILL, DEV_AND_CPU, DM_DEV);
	WRITE(&self->child, A_CPU_FILL, DEV_AND_CPU, DM_CHILD);
	ASSERT_EQ(0, act(&self->parent, A_TO_DEV, 0, all, 0, 0));
	ASSERT_EQ(0, act_where(&self->parent, 0, all, DM_ON_DEV));
	ASSERT_EQ(0, act(&self->child, A_TO_DEV, 0, all, 0, 0));
	ASSERT_EQ(0, act_where(&self->child, 0, all, DM_ON_DEV));
	ASSERT_FOUR_VIEWS();
}

/* The parent goes on alone: its device writes where it is, without a fault. */
TEST_F(cow_fork, child_exits)
{
	unsigned long all = self->b.npages;

	ASSERT_FORK();
	ASSERT_EQ(0, act(&self->child, A_DEV_CHECK, 0, all, 1, DM_CPU));
	ASSERT_EQ(0, actor_end(&self->child));
	ASSERT_EQ(0, act_where(&self->parent, 0, all, DM_ON_DEV));
	ASSERT_EQ(0, act(&self->parent, A_DEV_FILL, 0, all, 2, DM_DEV));
	ASSERT_EQ(0, act(&self->parent, A_CPU_CHECK, 0, all, 2, DM_DEV));
}

/* Grandchildren: three processes, three generations of one page. */
TEST_F(cow_fork, three_processes)
{
	struct actor second = { 0 };
	unsigned long all = self->b.npages;

	ASSERT_FORK();
	ASSERT_EQ(0, actor_fork(&second, &self->b, -1));
	ASSERT_EQ(0, act_arg(&second, A_OPEN, self->dm.index));
	ASSERT_EQ(0, act(&self->child, A_DEV_FILL, 0, all, 2, DM_CHILD));
	ASSERT_EQ(0, act(&self->parent, A_DEV_CHECK, 0, all, 1, DM_CPU));
	ASSERT_EQ(0, act(&second, A_DEV_CHECK, 0, all, 1, DM_CPU));
	ASSERT_EQ(0, act(&second, A_CPU_FILL, 0, all, 3, DM_PEER));
	ASSERT_EQ(0, act(&self->parent, A_DEV_FILL, 0, all, 4, DM_DEV));
	ASSERT_EQ(0, act(&self->child, A_DEV_CHECK, 0, all, 2, DM_CHILD));
	ASSERT_EQ(0, act(&second, A_DEV_CHECK, 0, all, 3, DM_PEER));
	ASSERT_EQ(0, act(&self->parent, A_CPU_CHECK, 0, all, 4, DM_DEV));
	ASSERT_EQ(0, act(&self->child, A_CPU_CHECK, 0, all, 2, DM_CHILD));
	ASSERT_EQ(0, act(&second, A_CPU_CHECK, 0, all, 3, DM_PEER));
	ASSERT_EQ(0, actor_end(&second));
}

/* MADV_DONTFORK: the child has nothing there, the parent loses nothing. */
TEST_F(cow_fork, madv_dontfork)
{
	unsigned long all = self->b.npages;
	pid_t pid;

	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_DONTFORK));
	ASSERT_FORK();
	ASSERT_EQ(-EFAULT, act(&self->child, A_DEV_CHECK, 0, 1, 1, DM_CPU));
	ASSERT_EQ(-EINVAL, act(&self->child, A_TO_DEV, 0, 1, 0, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		(void)*(volatile __u8 *)self->b.ptr;
		_exit(0);
	}
	ASSERT_EQ(128 + SIGSEGV, sc_reap(pid));
	ASSERT_EQ(0, act_where(&self->parent, 0, all, DM_ON_DEV));
	ASSERT_EQ(0, act(&self->parent, A_DEV_CHECK, 0, all, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->parent, A_CPU_CHECK, 0, all, 1, DM_CPU));
}

/* MADV_WIPEONFORK: zeroes for the child's CPU and device, parent untouched. */
TEST_F(cow_fork, madv_wipeonfork)
{
	unsigned long all = self->b.npages, half = all / 2;

	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_WIPEONFORK));
	ASSERT_FORK();
	ASSERT_EQ(0, act_where(&self->child, 0, all, DM_NOWHERE));
	ASSERT_EQ(0, act(&self->child, A_DEV_ZERO, 0, half, 0, 0));
	ASSERT_EQ(0, act(&self->child, A_CPU_ZERO, 0, all, 0, 0));
	ASSERT_EQ(0, act(&self->child, A_DEV_FILL, 0, all, 2, DM_CHILD));
	ASSERT_EQ(0, act_where(&self->parent, 0, all, DM_ON_DEV));
	ASSERT_EQ(0, act(&self->parent, A_DEV_CHECK, 0, all, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->parent, A_CPU_CHECK, 0, all, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->child, A_CPU_CHECK, 0, all, 2, DM_CHILD));
}

struct mover {
	struct dm_buf	*b;
	int		fd;
	atomic_int	stop;
	atomic_ulong	in, out, bad;
};

static void *move_about(void *arg)
{
	struct mover *m = arg;
	int ret;

	while (!atomic_load(&m->stop)) {
		ret = dm_to_dev(m->fd, m->b->ptr, m->b->npages, m->b->mirror,
				NULL);
		if (ret && ret != -ENOENT && ret != -EBUSY)
			atomic_fetch_add(&m->bad, 1);
		atomic_fetch_add(&m->in, !ret);
		ret = dm_to_sys(m->fd, m->b->ptr, m->b->npages, NULL);
		if (ret && ret != -EBUSY)
			atomic_fetch_add(&m->bad, 1);
		atomic_fetch_add(&m->out, !ret);
	}
	return NULL;
}

/*
 * fork() while the pages travel in either direction: every child sees the
 * whole content, writes its own, and takes nothing with it when it ends.
 */
TEST_F(cow_fork, during_migration)
{
	struct mover m = { .b = &self->b, .fd = self->dm.fd };
	unsigned long all = self->b.npages;
	int i, live = 0;
	pthread_t t;
	pid_t pid;

	ASSERT_EQ(0, pthread_create(&t, NULL, move_about, &m));
	for (i = 0; i < 20; i++) {
		pid = fork();
		if (!pid) {
			if (dm_verify(self->b.ptr, all, self->b.ptr, 1, DM_CPU,
				      NULL))
				_exit(1);
			dm_fill(self->b.ptr, all, self->b.ptr, 3 + i, DM_CHILD);
			_exit(dm_verify(self->b.ptr, all, self->b.ptr, 3 + i,
					DM_CHILD, NULL) ? 2 : 0);
		}
		EXPECT_LT(0, pid);
		/* Keep up to four of them at a time. */
		if (++live == 4) {
			while (live--)
				EXPECT_EQ(0, sc_reap(-1));
			live = 0;
		}
	}
	while (live--)
		EXPECT_EQ(0, sc_reap(-1));
	atomic_store(&m.stop, 1);
	pthread_join(t, NULL);
	ASSERT_EQ(0, m.bad);
	ASSERT_LT(0, m.in + m.out);
	ASSERT_EQ(0, act(&self->parent, A_CPU_CHECK, 0, all, 1, DM_CPU));
	if (self->dm.counters && !self->dm.coherent)
		ASSERT_EQ(0, stage_delta(&self->dm, "vram_resident_pages"));
}

TEST_HARNESS_MAIN
