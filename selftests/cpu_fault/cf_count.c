// SPDX-License-Identifier: GPL-2.0
/*
 * CPU faults on device-private pages, counted: a page comes back once however
 * many tasks want it, its neighbours only inside the fault-around window, and
 * no store is lost on the way. Owns its buffers and threads; no locks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "stage.h"

#define NPAGES		256UL
#define NTHREADS	4

FIXTURE(cf_count) {
	struct dm_ctx dm;
	struct dm_buf b;
	unsigned long window;
};

FIXTURE_SETUP(cf_count)
{
	STAGE_PRIVATE(&self->dm);
	self->window = dm_ours() ? sc_window() : 1;
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
}

FIXTURE_TEARDOWN(cf_count)
{
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* Pages of the buffer on the device, as a bitmap would say; -1 on trouble. */
static long on_dev(struct dm_ctx *dm, struct dm_buf *b)
{
	return dm_count(dm->fd, b->ptr, b->npages, DM_ON_DEV);
}

/*
 * One load of one byte brings back that page, with at most its neighbours in
 * the aligned fault-around window, in one fault; the counters say the same as
 * the page tables.
 */
TEST_F(cf_count, one_load)
{
	unsigned long page = 100, first, last, i;
	struct dm_page at[NPAGES];
	volatile __u8 *p = self->b.ptr;
	long left;

	(void)p[page * DM_PAGE + 17];

	ASSERT_EQ(0, dm_pages(self->dm.fd, self->b.ptr, NPAGES, at));
	first = page / self->window * self->window;
	last = first + self->window;
	ASSERT_EQ(DM_SYS, at[page].where);
	for (i = 0; i < NPAGES; i++) {
		if (i < first || i >= last)
			ASSERT_EQ(DM_ON_DEV, at[i].where);
	}
	left = on_dev(&self->dm, &self->b);
	if (self->dm.counters) {
		ASSERT_EQ(1, stage_delta(&self->dm, "cpu_faults"));
		ASSERT_EQ(NPAGES - left,
			  stage_delta(&self->dm, "cpu_fault_pages"));
		ASSERT_EQ(left, stage_delta(&self->dm, "vram_resident_pages"));
	}
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* A store is not a load: the new byte is there and so is the rest. */
TEST_F(cf_count, one_store)
{
	__u8 *byte = self->b.ptr + 33 * DM_PAGE + 4095;
	__u8 old = dm_tag(byte, 1, DM_CPU, 511) >> 56;

	*(volatile __u8 *)byte = old ^ 0xff;
	ASSERT_ALL(self->dm.fd, self->b.ptr + 33 * DM_PAGE, 1, DM_SYS);
	if (self->dm.counters)
		ASSERT_EQ(1, stage_delta(&self->dm, "cpu_faults"));
	ASSERT_EQ((__u8)(old ^ 0xff), *byte);
	/* The device must not go on with the page it had. */
	ASSERT_EQ(0, dm_read(self->dm.fd, self->b.ptr + 33 * DM_PAGE, 1,
			     self->b.mirror, NULL));
	ASSERT_EQ((__u8)(old ^ 0xff), self->b.mirror[4095]);
	*byte = old;
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
}

/*
 * Touching every page moves every page exactly once: as many pages out as
 * there were, between one fault a window and one a page, none afterwards.
 */
TEST_F(cf_count, every_page_once)
{
	__s64 faults;

	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	if (!self->dm.counters)
		return;
	faults = stage_delta(&self->dm, "cpu_faults");
	ASSERT_EQ(NPAGES, stage_delta(&self->dm, "cpu_fault_pages"));
	ASSERT_EQ(NPAGES, stage_delta(&self->dm, "migrate_out_pages"));
	ASSERT_EQ(0, stage_delta(&self->dm, "migrate_out_failed_pages"));
	ASSERT_GE(NPAGES, faults);
	ASSERT_LE(NPAGES / self->window, faults);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(faults, stage_delta(&self->dm, "cpu_faults"));
}

/* A new mapping between two parts of a window stops the fault-around. */
TEST_F(cf_count, window_ends_at_mapping)
{
	__u8 *mid = self->b.ptr + 128 * DM_PAGE;
	unsigned long i;

	/* Another protection makes another mapping: pages 128 and up. */
	ASSERT_EQ(0, mprotect(mid, (NPAGES - 128) * DM_PAGE, PROT_READ));
	ASSERT_EQ(0, munmap(self->b.ptr + 120 * DM_PAGE, 4 * DM_PAGE));
	(void)*(volatile __u8 *)(mid - DM_PAGE);
	ASSERT_ALL(self->dm.fd, mid - DM_PAGE, 1, DM_SYS);
	ASSERT_ALL(self->dm.fd, mid, NPAGES - 128, DM_ON_DEV);
	ASSERT_ALL(self->dm.fd, self->b.ptr, 112, DM_ON_DEV);
	for (i = 124; i < NPAGES; i++)
		ASSERT_TAGS(self->b.ptr + i * DM_PAGE, 1,
			    self->b.ptr + i * DM_PAGE, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, 120, self->b.ptr, 1, DM_CPU);
}

struct crowd {
	pthread_barrier_t	start;
	struct dm_buf		*b;
	unsigned long		rounds;
	int			fd;
	atomic_ulong		bad;
	atomic_int		stop;
};

struct one {
	struct crowd	*crowd;
	pthread_t	thread;
	unsigned int	nr;
};

static void *same_page(void *arg)
{
	struct one *me = arg;
	struct crowd *c = me->crowd;
	atomic_ulong *slot;
	unsigned long i;

	/* Word 8 on, a cache line each; the fault is a store. */
	slot = (atomic_ulong *)(c->b->ptr + 64 * (me->nr + 1));
	for (i = 0; i < c->rounds; i++) {
		pthread_barrier_wait(&c->start);
		atomic_fetch_add(slot, 1);
		pthread_barrier_wait(&c->start);
	}
	return NULL;
}

/*
 * Several threads store to one device page at the same moment, many times: the
 * page moves once each time and no thread's store is lost.
 */
TEST_F(cf_count, threads_one_page)
{
	struct crowd c = { .b = &self->b, .rounds = 50 };
	struct one who[NTHREADS];
	unsigned long i, r;

	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, NULL));
	memset(self->b.ptr, 0, DM_PAGE);
	dm_restart(&self->dm);
	pthread_barrier_init(&c.start, NULL, NTHREADS + 1);
	for (i = 0; i < NTHREADS; i++) {
		who[i] = (struct one){ .crowd = &c, .nr = i };
		ASSERT_EQ(0, pthread_create(&who[i].thread, NULL, same_page,
					    &who[i]));
	}
	for (r = 0; r < c.rounds; r++) {
		EXPECT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, 1,
				       self->b.mirror, NULL));
		EXPECT_EQ(1, dm_count(self->dm.fd, self->b.ptr, 1, DM_ON_DEV));
		pthread_barrier_wait(&c.start);
		pthread_barrier_wait(&c.start);
		EXPECT_EQ(1, dm_count(self->dm.fd, self->b.ptr, 1, DM_SYS));
	}
	for (i = 0; i < NTHREADS; i++)
		pthread_join(who[i].thread, NULL);
	for (i = 0; i < NTHREADS; i++)
		ASSERT_EQ(c.rounds,
			  *(unsigned long *)(self->b.ptr + 64 * (i + 1)));
	if (self->dm.counters) {
		ASSERT_EQ(c.rounds, stage_delta(&self->dm, "cpu_fault_pages"));
		ASSERT_EQ(c.rounds, stage_delta(&self->dm, "migrate_in_pages"));
	}
}

static void *disjoint(void *arg)
{
	struct one *me = arg;
	struct crowd *c = me->crowd;
	unsigned long i;
	__u8 *p;

	pthread_barrier_wait(&c->start);
	/* Neighbouring pages belong to different threads. */
	for (i = me->nr; i < c->b->npages; i += NTHREADS) {
		p = c->b->ptr + i * DM_PAGE;
		if (dm_verify(p, 1, p, 1, DM_CPU, NULL))
			atomic_fetch_add(&c->bad, 1);
		dm_fill(p, 1, p, 2, DM_CPU);
	}
	return NULL;
}

/*
 * Threads on disjoint pages of the same windows: each page moves exactly once
 * and holds its thread's data.
 */
TEST_F(cf_count, threads_disjoint_pages)
{
	struct crowd c = { .b = &self->b };
	struct one who[NTHREADS];
	unsigned long i;

	pthread_barrier_init(&c.start, NULL, NTHREADS);
	for (i = 0; i < NTHREADS; i++) {
		who[i] = (struct one){ .crowd = &c, .nr = i };
		ASSERT_EQ(0, pthread_create(&who[i].thread, NULL, disjoint,
					    &who[i]));
	}
	for (i = 0; i < NTHREADS; i++)
		pthread_join(who[i].thread, NULL);
	ASSERT_EQ(0, c.bad);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 2, DM_CPU);
	if (self->dm.counters) {
		ASSERT_EQ(NPAGES, stage_delta(&self->dm, "cpu_fault_pages"));
		ASSERT_EQ(0, stage_delta(&self->dm, "vram_resident_pages"));
	}
}

/*
 * Pages shared by a fork: the first process that reads one brings it back for
 * both, so that all of them together cost one move a page.
 */
TEST_F(cf_count, shared_by_fork)
{
	struct sc_sync go;
	pid_t kid[2];
	int i;

	ASSERT_EQ(0, sc_sync_init(&go));
	for (i = 0; i < 2; i++) {
		kid[i] = fork();
		ASSERT_LE(0, kid[i]);
		if (kid[i])
			continue;
		if (sc_wait(&go) ||
		    dm_verify(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU,
			      NULL))
			_exit(1);
		_exit(0);
	}
	/* fork() alone moves nothing. */
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	sc_post(&go);
	sc_post(&go);
	EXPECT_EQ(0, dm_verify(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU,
			       NULL));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, sc_reap(kid[i]));
	sc_sync_fini(&go);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	if (self->dm.counters)
		ASSERT_EQ(NPAGES, stage_delta(&self->dm, "cpu_fault_pages"));
}

static void *device_writer(void *arg)
{
	struct crowd *c = arg;
	__u8 *data = c->b->mirror;
	unsigned int gen;
	int ret;

	for (gen = 2; gen <= c->rounds; gen++) {
		dm_fill(data, 1, c->b->ptr, gen, DM_DEV);
		if (dm_write(c->fd, c->b->ptr, 1, data, NULL))
			atomic_fetch_add(&c->bad, 1);
		atomic_store(&c->stop, gen);
		ret = dm_to_dev(c->fd, c->b->ptr, 1, data, NULL);
		if (ret && ret != -ENOENT)
			atomic_fetch_add(&c->bad, 1);
	}
	return NULL;
}

/*
 * The CPU keeps reading a page that the device keeps writing and taking back.
 * What it reads never goes back in time: at least the generation the device
 * had been told was written, never an older one.
 */
TEST_F(cf_count, fault_against_device_writes)
{
	struct crowd c = { .b = &self->b, .rounds = 400, .fd = self->dm.fd };
	unsigned long acked, word, early = 0;
	volatile __u64 *p = (volatile __u64 *)self->b.ptr;
	unsigned int gen = 1;
	pthread_t t;

	dm_fill(self->b.ptr, 1, self->b.ptr, 1, DM_DEV);
	atomic_store(&c.stop, 1);
	ASSERT_EQ(0, pthread_create(&t, NULL, device_writer, &c));
	while (gen < c.rounds) {
		acked = atomic_load(&c.stop);
		word = p[511];
		for (gen = acked; gen <= c.rounds; gen++) {
			if (word == dm_tag(self->b.ptr, gen, DM_DEV, 511))
				break;
		}
		if (gen > c.rounds)
			early++;
		gen = acked;
	}
	pthread_join(t, NULL);
	ASSERT_EQ(0, early) {
		TH_LOG("%lu reads older than an acknowledged write", early);
	}
	ASSERT_EQ(0, c.bad);
	ASSERT_TAGS(self->b.ptr, 1, self->b.ptr, c.rounds, DM_DEV);
}

static void *releaser(void *arg)
{
	struct crowd *c = arg;
	int ret;

	while (!atomic_load(&c->stop)) {
		ret = dm_release(c->fd);
		/* Pages may come in as fast as they go. */
		if (ret && ret != -EBUSY)
			atomic_fetch_add(&c->bad, 1);
	}
	return NULL;
}

/*
 * CPU stores against eviction of the same pages: each page ends up in system
 * memory with the last store in it.
 */
TEST_F(cf_count, fault_against_eviction)
{
	struct crowd c = { .b = &self->b, .fd = self->dm.fd };
	unsigned int gen;
	pthread_t t;

	if (!dm_ours())
		SKIP(return, "evicting against faults may hang test_hmm");
	ASSERT_EQ(0, pthread_create(&t, NULL, releaser, &c));
	for (gen = 2; gen < 12; gen++) {
		dm_to_dev(self->dm.fd, self->b.ptr, NPAGES, self->b.mirror,
			  NULL);
		EXPECT_EQ(0, dm_verify(self->b.ptr, NPAGES, self->b.ptr,
				       gen - 1, DM_CPU, NULL));
		dm_fill(self->b.ptr, NPAGES, self->b.ptr, gen, DM_CPU);
	}
	atomic_store(&c.stop, 1);
	pthread_join(t, NULL);
	ASSERT_EQ(0, c.bad);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 11, DM_CPU);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
}

TEST_HARNESS_MAIN
