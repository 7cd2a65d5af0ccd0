// SPDX-License-Identifier: GPL-2.0
/*
 * Taking a device away with sysfs unbind while it is in use: its pages go home
 * intact, open files say ENODEV and can be closed, the other device goes on,
 * and binding again gives a working device. Owns its buffers, threads and
 * children; no locks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "teardown.h"

FIXTURE(td_unbind) {
	struct td td;
	struct dm_buf b, huge;
	int fd;
};

/* @rounds: where there are many; half of that for the second kind */
FIXTURE_VARIANT(td_unbind) { int index; int other; int rounds; };
FIXTURE_VARIANT_ADD(td_unbind, private) { DM_PRIVATE0, DM_PRIVATE1, 20 };
FIXTURE_VARIANT_ADD(td_unbind, coherent) { DM_COHERENT0, DM_COHERENT1, 10 };

FIXTURE_SETUP(td_unbind)
{
	self->fd = -1;
	TD_SETUP(&self->td);
	TD_NEEDS(variant->index);
	ASSERT_EQ(0, dm_buf_anon(&self->b, SMALL_PAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
	self->fd = dm_open(variant->index);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(td_unbind)
{
	if (self->fd >= 0)
		EXPECT_EQ(0, close(self->fd));
	dm_buf_free(&self->b);
	dm_buf_free(&self->huge);
	td_restore(_metadata, &self->td);
}

#define UNBIND(minor) do {						\
	ASSERT_EQ(0, mc_bind(minor, false));				\
	ASSERT_EQ(0, mc_wait_node(minor, false));			\
} while (0)

#define BIND(minor) do {						\
	ASSERT_EQ(0, mc_bind(minor, true));				\
	ASSERT_EQ(0, mc_wait_node(minor, true));			\
} while (0)

/* Resident pages go home, the file is dead, a new life works. */
TEST_F(td_unbind, resident_pages)
{
	struct dm_stats s;
	char why[DM_MSG];

	ASSERT_EQ(0, dm_buf_anon(&self->huge, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(self->huge.ptr, DM_2M_PAGES, self->huge.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(self->fd, &self->b, 1, DM_CPU);
	ASSERT_TO_DEV(self->fd, &self->huge, 1, DM_CPU);
	ASSERT_DEV_WRITES(self->fd, &self->huge, 2, DM_DEV);
	UNBIND(variant->index);
	ASSERT_HOME(&self->b, 1, DM_CPU);
	ASSERT_HOME(&self->huge, 2, DM_DEV);
	ASSERT_EQ(0, td_not_enodev(self->fd, &self->b));
	ASSERT_EQ(-ENOENT, dm_open(variant->index));
	ASSERT_TAGS(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);

	/* The old file stays dead beside the new life. */
	BIND(variant->index);
	ASSERT_EQ(0, td_not_enodev(self->fd, &self->b));
	ASSERT_EQ(0, close(self->fd));
	ASSERT_EQ(0, dm_stats_read(variant->index, &s));
	ASSERT_EQ(0, dm_stats_idle(&s, why)) {
		TH_LOG("%s", why);
	}
	self->fd = dm_open(variant->index);
	ASSERT_LE(0, self->fd);
	ASSERT_TO_DEV(self->fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
}

/* The other device does not notice. */
TEST_F(td_unbind, other_device_goes_on)
{
	int other = dm_open(variant->other);

	ASSERT_LE(0, other);
	ASSERT_TO_DEV(other, &self->b, 1, DM_CPU);
	UNBIND(variant->index);
	ASSERT_ALL(other, self->b.ptr, SMALL_PAGES, DM_ON_DEV);
	ASSERT_DEV_READS(other, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_sys(other, self->b.ptr, SMALL_PAGES, NULL));
	ASSERT_TO_DEV(other, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, close(other));
	BIND(variant->index);
	ASSERT_TAGS(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
}

/* Pages shared with a child, and pages only the child has. */
TEST_F(td_unbind, pages_of_two_processes)
{
	struct actor child;

	ASSERT_TO_DEV(self->fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, actor_fork(&child, &self->b, -1));
	ASSERT_EQ(0, act_arg(&child, A_OPEN, variant->index));
	ASSERT_EQ(0, act(&child, A_DEV_FILL, 0, 8, 2, DM_CHILD));
	ASSERT_EQ(0, act(&child, A_TO_DEV, 0, 8, 0, 0));
	UNBIND(variant->index);
	ASSERT_EQ(0, td_all_home(&self->b));
	ASSERT_EQ(0, act(&child, A_CPU_CHECK, 0, 8, 2, DM_CHILD));
	ASSERT_EQ(0, act(&child, A_CPU_CHECK, 8, SMALL_PAGES - 8, 1, DM_CPU));
	ASSERT_EQ(-ENODEV, act(&child, A_DEV_CHECK, 0, 8, 2, DM_CHILD));
	ASSERT_TAGS(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
	BIND(variant->index);
	ASSERT_EQ(-ENODEV, act(&child, A_TO_DEV, 0, 8, 0, 0));
	ASSERT_EQ(0, actor_end(&child));
}

/* Exclusive pages: the CPU has them back, the device has lost them. */
TEST_F(td_unbind, exclusive_pages)
{
	ASSERT_EQ(0, dm_exclusive(self->fd, self->b.ptr, SMALL_PAGES,
				  self->b.mirror, NULL));
	UNBIND(variant->index);
	ASSERT_TAGS(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, td_not_enodev(self->fd, &self->b));
}

/* The module stays as long as a file of an unbound device is open. */
TEST_F(td_unbind, file_holds_module)
{
	UNBIND(variant->index);
	ASSERT_EQ(-EAGAIN, mc_unload(MC_DMIRROR));
	ASSERT_EQ(0, td_not_enodev(self->fd, &self->b));
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	ASSERT_EQ(0, mc_down(true));
}

/* A mapping of the node outlives the device. */
TEST_F(td_unbind, node_mapping)
{
	__u8 *p;

	p = mmap(NULL, 4 * DM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	dm_fill(p, 4, p, 1, DM_CPU);
	UNBIND(variant->index);
	ASSERT_TAGS(p, 4, p, 1, DM_CPU);
	ASSERT_EQ(0, munmap(p, 4 * DM_PAGE));
	BIND(variant->index);
}

struct worker {
	struct dm_buf	b;
	pthread_t	thread;
	int		fd, last;
	unsigned int	gen;		/* what was acknowledged last */
	atomic_ulong	done;
	int		odd;		/* an answer that should not be */
};

/* Moves, writes and reads until it is told that the device is gone. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct dm_buf *b = &w->b;
	unsigned long n = b->npages / 2;	/* the rest takes results */
	int ret = 0;

	while (ret != -ENODEV) {
		dm_fill(b->mirror, n, b->ptr, w->gen + 1, DM_DEV);
		ret = dm_to_dev(w->fd, b->ptr, n, b->ptr + b->size / 2, NULL);
		if (!ret || ret == -ENOENT)
			ret = dm_write(w->fd, b->ptr, n, b->mirror, NULL);
		if (!ret) {
			w->gen++;
			ret = dm_to_sys(w->fd, b->ptr, n, NULL);
		}
		if (ret && ret != -ENODEV && ret != -EBUSY)
			w->odd = ret;
		atomic_fetch_add(&w->done, 1);
	}
	return NULL;
}

static int start(struct worker *w, int index)
{
	w->gen = 1;
	w->done = 0;
	w->odd = 0;
	w->fd = dm_open(index);
	if (w->fd < 0)
		return w->fd;
	dm_fill(w->b.ptr, w->b.npages / 2, w->b.ptr, 1, DM_DEV);
	return -pthread_create(&w->thread, NULL, work, w);
}

/*
 * Two threads in the middle of moving and writing when the device goes: both
 * are told, and every write that was acknowledged is in system memory. A write
 * that was cut off may have been done in part: page by page it is the last
 * generation or the one that was on its way.
 */
TEST_F(td_unbind, ioctls_in_flight)
{
	struct worker w[2] = { 0 };
	unsigned long p;
	int round, i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, dm_buf_anon(&w[i].b, 128, DM_BUF_SMALL));
	for (round = 0; round < variant->rounds / 4; round++) {
		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, start(&w[i], variant->index));
		for (i = 0; i < 2; i++) {
			while (atomic_load(&w[i].done) < 3 && !w[i].odd)
				sched_yield();
		}
		UNBIND(variant->index);
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, pthread_join(w[i].thread, NULL));
			ASSERT_EQ(0, w[i].odd);
			ASSERT_EQ(0, close(w[i].fd));
			for (p = 0; p < w[i].b.npages / 2; p++) {
				__u8 *at = w[i].b.ptr + p * DM_PAGE;

				if (dm_verify(at, 1, at, w[i].gen + 1, DM_DEV,
					      NULL))
					ASSERT_TAGS(at, 1, at, w[i].gen,
						    DM_DEV);
			}
		}
		BIND(variant->index);
	}
	for (i = 0; i < 2; i++)
		dm_buf_free(&w[i].b);
}

static void *touch(void *arg)
{
	struct worker *w = arg;
	struct dm_buf *b = &w->b;

	while (!atomic_load(&w->done)) {
		if (dm_verify(b->ptr, b->npages, b->ptr, 1, DM_CPU, NULL))
			w->odd = 1;
	}
	return NULL;
}

/* The CPU, by faults where it needs them, and the eviction want the same pages. */
TEST_F(td_unbind, against_cpu_faults)
{
	struct worker w = { 0 };
	int round, fd;

	for (round = 0; round < variant->rounds / 5 * 2; round++) {
		fd = dm_open(variant->index);
		ASSERT_LE(0, fd);
		w.b = self->b;
		ASSERT_TO_DEV(fd, &self->b, 1, DM_CPU);
		atomic_store(&w.done, 0);
		ASSERT_EQ(0, pthread_create(&w.thread, NULL, touch, &w));
		EXPECT_EQ(0, mc_bind(variant->index, false));
		atomic_store(&w.done, 1);
		ASSERT_EQ(0, pthread_join(w.thread, NULL));
		ASSERT_EQ(0, w.odd);
		ASSERT_HOME(&self->b, 1, DM_CPU);
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(0, mc_wait_node(variant->index, false));
		BIND(variant->index);
	}
}

/* Again and again: physical address space and counters are as at first. */
TEST_F(td_unbind, again_and_again)
{
	int i, fd, ranges = mc_iomem("hmm_d"), regions = td_regions();
	struct dm_stats s;

	ASSERT_LT(0, ranges);
	for (i = 0; i < variant->rounds; i++) {
		fd = dm_open(variant->index);
		ASSERT_LE(0, fd);
		ASSERT_TO_DEV(fd, &self->b, 1, DM_CPU);
		ASSERT_EQ(0, close(fd));
		UNBIND(variant->index);
		ASSERT_EQ(0, td_all_home(&self->b));
		ASSERT_EQ(regions - 1, td_regions());
		/* That of a coherent device is there with and without it. */
		if (variant->index == DM_PRIVATE0)
			ASSERT_GT(ranges, mc_iomem("hmm_d"));
		BIND(variant->index);
		ASSERT_EQ(ranges, mc_iomem("hmm_d"));
		ASSERT_EQ(regions, td_regions());
		ASSERT_EQ(0, dm_stats_read(variant->index, &s));
		ASSERT_EQ(0, dm_stats_idle(&s, NULL));
	}
	ASSERT_TAGS(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
}

TEST_HARNESS_MAIN
