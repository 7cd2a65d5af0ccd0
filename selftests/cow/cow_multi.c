// SPDX-License-Identifier: GPL-2.0
/*
 * Two devices and several clients: a page lives in one place, a client takes
 * nothing from another, and two processes on two devices share a page only
 * until one writes. Owns its buffers and children; no locks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "actor.h"
#include "stage.h"

#define NPAGES	64UL

FIXTURE(cow_multi) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct actor here, there, child;
	struct dm_stats peer;
	int fd2;
};

FIXTURE_VARIANT(cow_multi) {
	int index, peer;
};

FIXTURE_VARIANT_ADD(cow_multi, private) {
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1,
};

FIXTURE_VARIANT_ADD(cow_multi, coherent) {
	.index = DM_COHERENT0, .peer = DM_COHERENT1,
};

FIXTURE_SETUP(cow_multi)
{
	self->fd2 = -1;
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->fd2 = dm_open(variant->peer);
	ASSERT_LE(0, self->fd2);
	if (self->dm.counters)
		ASSERT_EQ(0, dm_stats_read(variant->peer, &self->peer));
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	actor_self(&self->here, &self->b, self->dm.fd);
	actor_self(&self->there, &self->b, self->fd2);
}

/* Pages that came to the other device since set-up. */
static __s64 peer_resident(struct dm_ctx *dm, struct dm_stats *before)
{
	struct dm_stats now;

	if (dm_stats_read(dm->peer_index, &now))
		return INT64_MIN;
	return dm_stat_delta(before, &now, "vram_resident_pages");
}

FIXTURE_TEARDOWN(cow_multi)
{
	EXPECT_EQ(0, actor_end(&self->child));
	dm_buf_free(&self->b);
	EXPECT_EQ(0, close(self->fd2));
	if (self->dm.counters)
		EXPECT_EQ(0, peer_resident(&self->dm, &self->peer));
	stage_teardown(_metadata, &self->dm);
}

/* How many pages each device has gained. */
#define ASSERT_SHARES(first, second) do {				\
	if (self->dm.counters) {					\
		ASSERT_EQ(first, stage_delta(&self->dm,			\
					     "vram_resident_pages"));	\
		ASSERT_EQ(second, peer_resident(&self->dm, &self->peer)); \
	}								\
} while (0)

/* The other device reads pages of the first one: right data, one copy. */
TEST_F(cow_multi, peer_reads)
{
	long n;

	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_SHARES(NPAGES, 0);
	ASSERT_EQ(0, act(&self->there, A_DEV_CHECK, 0, NPAGES, 1, DM_CPU));
	n = dm_count(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_SHARES(n, 0);
	/* Private memory cannot be read by another device: it came home. */
	if (!self->dm.coherent)
		ASSERT_EQ(0, n);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* The other device writes them; the first must not show its old copy. */
TEST_F(cow_multi, peer_writes)
{
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, act(&self->here, A_DEV_CHECK, 0, NPAGES, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->there, A_DEV_FILL, 0, NPAGES, 2, DM_PEER));
	ASSERT_EQ(0, act(&self->here, A_DEV_CHECK, 0, NPAGES, 2, DM_PEER));
	ASSERT_EQ(0, act(&self->here, A_DEV_FILL, 0, NPAGES, 3, DM_DEV));
	ASSERT_EQ(0, act(&self->there, A_DEV_CHECK, 0, NPAGES, 3, DM_DEV));
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 3, DM_DEV);
}

/*
 * From one device to the other by way of system memory: n pages less here,
 * n more there, never on both.
 */
TEST_F(cow_multi, moves_over)
{
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_SHARES(NPAGES, 0);
	ASSERT_EQ(0, act(&self->here, A_TO_SYS, 0, NPAGES / 2, 0, 0));
	ASSERT_EQ(0, act(&self->there, A_TO_DEV, 0, NPAGES / 2, 0, 0));
	ASSERT_EQ(0, act_where(&self->there, 0, NPAGES / 2, DM_ON_DEV));
	ASSERT_EQ(0, act_where(&self->here, 0, NPAGES / 2, DM_ON_OTHER));
	ASSERT_EQ(0, act_where(&self->here, NPAGES / 2, NPAGES / 2,
			       DM_ON_DEV));
	ASSERT_SHARES(NPAGES / 2, NPAGES / 2);
	ASSERT_EQ(0, act(&self->there, A_DEV_CHECK, 0, NPAGES / 2, 1, DM_CPU));
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* A device is asked for pages that another one has: none is stolen. */
TEST_F(cow_multi, not_stolen)
{
	struct hmm_dmirror_cmd r;
	unsigned long half = NPAGES / 2;

	ASSERT_EQ(0, act(&self->here, A_TO_DEV, 0, half, 0, 0));
	/* Half of the range is on the first device, half in system memory. */
	ASSERT_EQ(-ENOENT, dm_to_dev(self->fd2, self->b.ptr, NPAGES,
				     self->b.mirror, &r));
	ASSERT_EQ(0, act_where(&self->here, 0, half, DM_ON_DEV));
	ASSERT_EQ(0, act_where(&self->there, half, half, DM_ON_DEV));
	ASSERT_SHARES(half, half);
	if (dm_ours())
		ASSERT_EQ(half, r.cpages);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* The peer's migration back does not touch pages it does not own. */
TEST_F(cow_multi, only_own_go_back)
{
	struct hmm_dmirror_cmd r;

	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_sys(self->fd2, self->b.ptr, NPAGES, &r));
	ASSERT_EQ(0, r.cpages);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, &r));
	ASSERT_EQ(NPAGES, r.cpages);
}

/* Two processes with pages on one device: the death of one is its own. */
TEST_F(cow_multi, clients_are_separate)
{
	ASSERT_EQ(0, actor_fork(&self->child, &self->b, -1));
	ASSERT_EQ(0, act_arg(&self->child, A_OPEN, self->dm.index));
	ASSERT_EQ(0, act(&self->child, A_CPU_FILL, 0, NPAGES, 5, DM_CHILD));
	ASSERT_EQ(0, act(&self->child, A_TO_DEV, 0, NPAGES, 0, 0));
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_SHARES(2 * NPAGES, 0);
	ASSERT_EQ(0, act(&self->child, A_CLOSE, 0, 0, 0, 0));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_SHARES(2 * NPAGES, 0);
	ASSERT_EQ(0, actor_end(&self->child));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_SHARES(NPAGES, 0);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
}

/* One page shared by fork, two processes, two devices. */
TEST_F(cow_multi, shared_across_devices)
{
	unsigned long half = NPAGES / 2;

	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, actor_fork(&self->child, &self->b, -1));
	ASSERT_EQ(0, act_arg(&self->child, A_OPEN, self->dm.peer_index));
	ASSERT_EQ(0, act(&self->child, A_DEV_CHECK, 0, NPAGES, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->here, A_DEV_CHECK, 0, NPAGES, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->child, A_DEV_FILL, 0, half, 2, DM_CHILD));
	ASSERT_EQ(0, act(&self->here, A_DEV_CHECK, 0, NPAGES, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->here, A_DEV_FILL, half, half, 3, DM_DEV));
	ASSERT_EQ(0, act(&self->child, A_DEV_CHECK, half, half, 1, DM_CPU));
	/*
	 * One device does not take from the other: home first. The child is
	 * the only one left that maps the second half.
	 */
	ASSERT_EQ(0, act(&self->here, A_TO_SYS, 0, NPAGES, 0, 0));
	ASSERT_EQ(0, act_arg(&self->child, A_OPEN, self->dm.index));
	ASSERT_EQ(0, act(&self->child, A_TO_SYS, 0, NPAGES, 0, 0));
	ASSERT_EQ(0, act_arg(&self->child, A_OPEN, self->dm.peer_index));
	ASSERT_EQ(0, act(&self->child, A_TO_DEV, 0, NPAGES, 0, 0));
	ASSERT_EQ(0, act(&self->here, A_TO_DEV, half, half, 0, 0));
	ASSERT_EQ(0, act(&self->child, A_CPU_CHECK, 0, half, 2, DM_CHILD));
	ASSERT_EQ(0, act(&self->child, A_CPU_CHECK, half, half, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->here, A_CPU_CHECK, 0, half, 1, DM_CPU));
	ASSERT_EQ(0, act(&self->here, A_CPU_CHECK, half, half, 3, DM_DEV));
}

struct tug {
	struct dm_buf	*b;
	__u8		*mirror;
	int		fd;
	atomic_int	stop;
	atomic_ulong	bad, moved;
};

static void *pull(void *arg)
{
	struct tug *t = arg;
	int ret;

	while (!atomic_load(&t->stop)) {
		ret = dm_to_dev(t->fd, t->b->ptr, NPAGES, t->mirror, NULL);
		if (ret && ret != -ENOENT && ret != -EBUSY)
			atomic_fetch_add(&t->bad, 1);
		atomic_fetch_add(&t->moved, !ret);
		ret = dm_to_sys(t->fd, t->b->ptr, NPAGES, NULL);
		if (ret && ret != -EBUSY)
			atomic_fetch_add(&t->bad, 1);
	}
	return NULL;
}

/* Both devices pull at the same range while the CPU stores into it. */
TEST_F(cow_multi, tug_of_war)
{
	struct tug t[2] = {
		{ .b = &self->b, .fd = self->dm.fd, .mirror = self->b.mirror },
		{ .b = &self->b, .fd = self->fd2 },
	};
	pthread_t th[2];
	unsigned int gen;
	int i;

	t[1].mirror = mmap(NULL, self->b.size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, t[1].mirror);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&th[i], NULL, pull, &t[i]));
	for (gen = 2; gen < 60; gen++) {
		EXPECT_EQ(0, dm_verify(self->b.ptr, NPAGES, self->b.ptr,
				       gen - 1, DM_CPU, NULL));
		dm_fill(self->b.ptr, NPAGES, self->b.ptr, gen, DM_CPU);
	}
	for (i = 0; i < 2; i++) {
		atomic_store(&t[i].stop, 1);
		pthread_join(th[i], NULL);
	}
	ASSERT_EQ(0, t[0].bad + t[1].bad);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 59, DM_CPU);
	munmap(t[1].mirror, self->b.size);
}

TEST_HARNESS_MAIN
