// SPDX-License-Identifier: GPL-2.0
/*
 * Migration while the group is at its limit and reclaim takes pages away: the
 * working set goes through the device, through swap and back, and every byte is
 * what was last written. Device pages themselves are out of reclaim's reach.
 */
#include <pthread.h>

#include "pressure.h"

#define CHUNK	128UL		/* pages, 512 KiB */
#define CHUNKS	16UL
#define NPAGES	1024UL

PR_FIXTURE_SWAP(limit);

#define E		(&self->e)
#define FD		(self->e.dm.fd)
#define SWAPPED(b)	dm_count(FD, (b)->ptr, (b)->npages, DM_SWAPPED)

/*
 * One generation of one chunk. The CPU or the device writes it, it goes to the
 * device and comes back one way or the other; one in eight stays there.
 */
static void pass(struct __test_metadata *_metadata, struct pr_env *e,
		 struct dm_buf *b, unsigned long chunk, unsigned int gen)
{
	__u8 *p = b->ptr + chunk * CHUNK * DM_PAGE;
	__u8 *m = b->mirror + chunk * CHUNK * DM_PAGE;
	unsigned int writer = chunk % 2 ? DM_DEV : DM_CPU;

	if (gen > 1) {
		ASSERT_EQ(0, dm_read(e->dm.fd, p, CHUNK, m, NULL));
		ASSERT_TAGS(m, CHUNK, p, gen - 1, writer);
	}
	if (writer == DM_CPU)
		dm_fill(p, CHUNK, p, gen - 1, DM_PEER);
	ASSERT_EQ(0, pr_to_dev(e, p, CHUNK, m));
	dm_fill(m, CHUNK, p, gen, writer);
	if (writer == DM_DEV) {
		ASSERT_EQ(0, dm_write(e->dm.fd, p, CHUNK, m, NULL));
	} else {
		ASSERT_EQ(0, dm_to_sys(e->dm.fd, p, CHUNK / 2, NULL));
		dm_fill(p, CHUNK, p, gen, writer);
	}
	if (chunk % 8 != 1)
		ASSERT_EQ(0, dm_to_sys(e->dm.fd, p, CHUNK, NULL));
}

/* All generations of all chunks, and everything looked at by both in the end. */
static void walk(struct __test_metadata *_metadata, struct pr_env *e,
		 struct dm_buf *b, unsigned int gens)
{
	unsigned long chunk;
	unsigned int gen;

	for (gen = 1; gen <= gens; gen++) {
		for (chunk = 0; chunk < CHUNKS; chunk++)
			pass(_metadata, e, b, chunk, gen);
	}
	for (chunk = 0; chunk < CHUNKS; chunk++) {
		__u8 *p = b->ptr + chunk * CHUNK * DM_PAGE;
		unsigned int writer = chunk % 2 ? DM_DEV : DM_CPU;

		ASSERT_EQ(0, dm_read(e->dm.fd, p, CHUNK, b->mirror, NULL));
		ASSERT_TAGS(b->mirror, CHUNK, p, gens, writer);
		ASSERT_TAGS(p, CHUNK, p, gens, writer);
	}
}

/*
 * The device asks for a range that is larger than all memory the process may
 * have. It gets it piece by piece.
 */
TEST_F(limit, range_above_max)
{
	struct dm_buf b;

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_swap_out(b.ptr, NPAGES));
	ASSERT_EQ(0, pr_limit(E, "memory.max", b.size / 2));
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	ASSERT_DEV_WRITES(FD, &b, 2, DM_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_LT(0, pr_stat(E, "memory.events", "max"));
	EXPECT_NO_OOM(E);
	EXPECT_SWAP_USED(E);
	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.max", "max"));
	dm_buf_free(&b);
}

/* Half as much memory as the working set, and nobody is killed. */
TEST_F(limit, working_set_above_max)
{
	struct dm_buf b;

	ASSERT_EQ(0, pr_buf(E, &b, CHUNK * CHUNKS, DM_BUF_SMALL));
	ASSERT_EQ(0, pr_limit(E, "memory.max", b.size / 2));
	walk(_metadata, E, &b, 2);
	EXPECT_LT(0, pr_stat(E, "memory.events", "max"));
	EXPECT_NO_OOM(E);
	EXPECT_SWAP_USED(E);
	EXPECT_LE(pr_stat(E, "memory.current", NULL), b.size / 2);
	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.max", "max"));
	dm_buf_free(&b);
}

/* Above memory.high a process is slowed down. It gets there all the same. */
TEST_F(limit, throttled)
{
	struct dm_buf b;

	ASSERT_EQ(0, pr_buf(E, &b, CHUNK * CHUNKS, DM_BUF_SMALL));
	ASSERT_EQ(0, pr_limit(E, "memory.high", b.size / 2));
	walk(_metadata, E, &b, 1);
	EXPECT_LT(0, pr_stat(E, "memory.events", "high"));
	EXPECT_EQ(0, pr_stat(E, "memory.events", "max"));
	EXPECT_NO_OOM(E);
	EXPECT_SWAP_USED(E);
	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.high", "max"));
	dm_buf_free(&b);
}

/*
 * Half on the device, half in memory and mapped by the device. Reclaim gets the
 * half in memory, and tells; the other half does not even notice.
 */
TEST_F(limit, reclaim_takes_what_is_here)
{
	const unsigned long half = NPAGES / 2;
	long swapped;
	struct dm_buf b;
	__u8 *here;

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	here = b.ptr + half * DM_PAGE;
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, half, b.mirror, NULL));
	ASSERT_EQ(0, dm_read(FD, here, half, b.mirror, NULL));
	dm_restart(&E->dm);
	pr_reclaim(E, half * DM_PAGE);
	EXPECT_ALL(FD, b.ptr, half, DM_ON_DEV);
	swapped = dm_count(FD, here, half, DM_SWAPPED);
	EXPECT_LE(half / 2, swapped);
	EXPECT_EQ(half - swapped, dm_count(FD, here, half, DM_SYS));
	/* Each page that was taken away was taken from the device first. */
	EXPECT_MOVED_MIN(&E->dm, "invalidated_pages", swapped);
	EXPECT_MOVED(&E->dm, "migrate_out_pages", 0);
	EXPECT_SWAP_USED(E);

	/* Swapped pages do not go to the device, and the answer says so. */
	dm_restart(&E->dm);
	EXPECT_EQ(-ENOENT, dm_to_dev(FD, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_MOVED(&E->dm, "in_present_pages", half);
	EXPECT_CLASSES(&E->dm, "in", NPAGES);
	EXPECT_LE(half / 2, stage_delta(&E->dm, "in_elsewhere_pages"));

	/* The device reads them all the same, and writes them. */
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	pr_reclaim(E, half * DM_PAGE);
	ASSERT_DEV_WRITES(FD, &b, 2, DM_DEV);
	pr_reclaim(E, half * DM_PAGE);
	EXPECT_ALL(FD, b.ptr, half, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_NO_OOM(E);
	dm_buf_free(&b);
}

/*
 * Pages that have just come back are swapped out at once, then their neighbours
 * come back by a fault whose window is full of them.
 */
TEST_F(limit, just_come_back)
{
	const unsigned long n = 256, at = 100;
	unsigned long i, k;
	struct dm_buf b;
	__u64 ent;

	ASSERT_EQ(0, pr_buf(E, &b, n, DM_BUF_SMALL));
	dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(FD, &b, 1, DM_CPU);
	dm_fill(b.mirror, n, b.ptr, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(FD, b.ptr, n, b.mirror, NULL));

	/* Every other page of a stretch, one request each. */
	for (i = at; i < at + 40; i += 2) {
		__u8 *p = b.ptr + i * DM_PAGE;

		ASSERT_EQ(0, dm_to_sys(FD, p, 1, NULL));
		ASSERT_EQ(0, dm_swap_out(p, 1));
		EXPECT_ALL(FD, p, 1, DM_SWAPPED);
		EXPECT_ALL(FD, p + DM_PAGE, 1, DM_ON_DEV);
	}
	/* The CPU wants one of the neighbours: swapped pages are not touched. */
	if (!E->dm.coherent) {
		EXPECT_TAGS(b.ptr + (at + 11) * DM_PAGE, 1,
			    b.ptr + (at + 11) * DM_PAGE, 2, DM_DEV);
		for (i = at, k = 0; i < at + 40; i += 2) {
			ASSERT_EQ(0, dm_pagemap(b.ptr + i * DM_PAGE, 1, &ent));
			k += (ent & DM_PM_SWAP) && dm_pm_kind(ent) == DM_SWP_AREA;
		}
		EXPECT_EQ(20, k);
	}
	ASSERT_DEV_READS(FD, &b, 2, DM_DEV);
	EXPECT_TAGS(b.ptr, n, b.ptr, 2, DM_DEV);
	EXPECT_SWAP_USED(E);
	dm_buf_free(&b);
}

/*
 * Pages the device holds exclusively are reclaimed like any others: it is told,
 * and what it wrote while the CPU had no entry is what comes back from swap.
 */
TEST_F(limit, exclusive_pages)
{
	const unsigned long n = 256;
	long swapped, held;
	unsigned int gen;
	struct dm_buf b;

	ASSERT_EQ(0, pr_buf(E, &b, n, DM_BUF_SMALL));
	dm_fill(b.ptr, n, b.ptr, 1, DM_DEV);
	/* The first time they come from memory, the second from swap. */
	for (gen = 1; gen < 3; gen++) {
		ASSERT_EQ(0, dm_exclusive(FD, b.ptr, n, b.mirror, NULL));
		EXPECT_TAGS(b.mirror, n, b.ptr, gen, DM_DEV);
		EXPECT_ALL(FD, b.ptr, n, DM_EXCLUSIVE_ENTRY);
		ASSERT_DEV_WRITES(FD, &b, gen + 1, DM_DEV);
		EXPECT_ALL(FD, b.ptr, n, DM_EXCLUSIVE_ENTRY);
		dm_restart(&E->dm);
		pr_reclaim(E, b.size);
		swapped = SWAPPED(&b);
		held = dm_count(FD, b.ptr, n, DM_EXCLUSIVE_ENTRY);
		EXPECT_LE(n / 2, swapped);
		EXPECT_EQ(n, swapped + held);
		EXPECT_MOVED_MIN(&E->dm, "invalidated_pages", swapped);
		EXPECT_EQ(held ? -EPERM : 0, dm_check_exclusive(FD, b.ptr, n));
		EXPECT_TAGS(b.ptr, n, b.ptr, gen + 1, DM_DEV);
		EXPECT_EQ(0, dm_check_exclusive(FD, b.ptr, n));
		ASSERT_EQ(0, dm_swap_out(b.ptr, n));
	}
	ASSERT_DEV_READS(FD, &b, gen, DM_DEV);
	EXPECT_SWAP_USED(E);
	dm_buf_free(&b);
}

/* No room in swap: pages stay, on either side, and still move between them. */
TEST_F(limit, swap_runs_out)
{
	struct dm_buf b;

	ASSERT_EQ(0, pr_limit(E, "memory.swap.max", 64 * DM_PAGE));
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	pr_reclaim(E, NPAGES * DM_PAGE);
	EXPECT_GE(64, SWAPPED(&b));
	EXPECT_GE(64 * DM_PAGE, pr_stat(E, "memory.swap.current", NULL));
	ASSERT_EQ(0, pr_to_dev(E, b.ptr, NPAGES, b.mirror));
	EXPECT_ALL(FD, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	pr_reclaim(E, NPAGES * DM_PAGE);
	EXPECT_ALL(FD, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_NO_OOM(E);
	dm_buf_free(&b);
}

/* One end of the swap: what is there comes back, what is on the device stays. */
TEST_F(limit, swapoff)
{
	const unsigned long half = NPAGES / 2;
	struct dm_buf b;

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, half, b.mirror, NULL));
	ASSERT_EQ(0, dm_swap_out(b.ptr + half * DM_PAGE, half));
	EXPECT_ALL(FD, b.ptr + half * DM_PAGE, half, DM_SWAPPED);
	dm_restart(&E->dm);
	ASSERT_EQ(0, dm_swap_stop(&E->zram));
	EXPECT_ALL(FD, b.ptr, half, DM_ON_DEV);
	EXPECT_ALL(FD, b.ptr + half * DM_PAGE, half, DM_SYS);
	EXPECT_MOVED(&E->dm, "migrate_out_pages", 0);
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

struct mover {
	struct pr_env *e;
	struct dm_buf *b;
	bool stop;
	unsigned long rounds;
	int bad;
};

/* Moves the buffer there and back, and has it partly swapped out in between. */
static void *keep_moving(void *arg)
{
	struct mover *m = arg;
	struct dm_buf *b = m->b;
	int ret;

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED) && !m->bad) {
		ret = dm_to_dev(m->e->dm.fd, b->ptr, b->npages, b->mirror, NULL);
		if (ret && ret != -ENOENT)
			m->bad = ret;
		ret = dm_to_sys(m->e->dm.fd, b->ptr, b->npages, NULL);
		if (ret)
			m->bad = ret;
		madvise(b->ptr, b->size, MADV_PAGEOUT);
		m->rounds++;
	}
	return NULL;
}

/* Swap goes away, again and again, while pages are on their way. */
TEST_F(limit, swapoff_against_migration)
{
	struct mover m = { .e = E };
	struct dm_buf b;
	pthread_t t;
	int i;

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	m.b = &b;
	ASSERT_EQ(0, pthread_create(&t, NULL, keep_moving, &m));
	for (i = 0; i < 3; i++) {
		usleep(100000);
		EXPECT_EQ(0, dm_zram_off(&E->zram));
		EXPECT_EQ(0, dm_zram_on(&E->zram, PR_SWAP_BYTES));
	}
	__atomic_store_n(&m.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_EQ(0, m.bad);
	EXPECT_LT(0, m.rounds);
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_NO_OOM(E);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
