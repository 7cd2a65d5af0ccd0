// SPDX-License-Identifier: GPL-2.0
/*
 * CPU faults on device pages while other threads keep changing the address
 * space: the fault starts under the lock of one mapping, may have to start
 * again, and must still get its page. Owns its buffers and threads; no locks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "stage.h"

#define NPAGES	128UL
#define ROUNDS	30

FIXTURE(cf_vma_lock) {
	struct dm_ctx dm;
	struct dm_buf b;
};

FIXTURE_SETUP(cf_vma_lock)
{
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(cf_vma_lock)
{
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

struct churn {
	struct dm_buf	*b;
	atomic_int	stop;
	atomic_ulong	turns, bad;
};

/* Takes the address space for writing, far away from the device pages. */
static void *map_elsewhere(void *arg)
{
	struct churn *c = arg;
	void *p;

	while (!atomic_load(&c->stop)) {
		p = mmap(NULL, 16 * DM_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED || mprotect(p, DM_PAGE, PROT_READ) ||
		    munmap(p, 16 * DM_PAGE))
			atomic_fetch_add(&c->bad, 1);
		atomic_fetch_add(&c->turns, 1);
	}
	return NULL;
}

/* Splits and merges the very mapping that is being faulted on. */
static void *split_and_merge(void *arg)
{
	struct churn *c = arg;
	__u8 *mid = c->b->ptr + c->b->npages / 4 * DM_PAGE;
	size_t len = c->b->npages / 2 * DM_PAGE;

	while (!atomic_load(&c->stop)) {
		if (mprotect(mid, len, PROT_READ) ||
		    mprotect(mid, len, PROT_READ | PROT_WRITE))
			atomic_fetch_add(&c->bad, 1);
		atomic_fetch_add(&c->turns, 1);
	}
	return NULL;
}

/* Rounds of "move in, load every page back"; returns rounds that were right. */
static int rounds_right(int fd, struct dm_buf *b, int *odd)
{
	int i, right = 0;

	for (i = 0; i < ROUNDS; i++) {
		int ret = dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL);

		/* The page tables may have moved under the migration. */
		if (ret && ret != -ENOENT && ret != -EBUSY) {
			*odd = ret;
			continue;
		}
		right += !dm_verify(b->ptr, b->npages, b->ptr, 1, DM_CPU, NULL);
	}
	return right;
}

/* Faults make progress and get the right page while mappings come and go. */
TEST_F(cf_vma_lock, maps_elsewhere)
{
	struct churn c = { .b = &self->b };
	int odd = 0;
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, map_elsewhere, &c));
	EXPECT_EQ(ROUNDS, rounds_right(self->dm.fd, &self->b, &odd)) {
		TH_LOG("MIGRATE_TO_DEV also answered %d", odd);
	}
	atomic_store(&c.stop, 1);
	pthread_join(t, NULL);
	ASSERT_EQ(0, c.bad);
	ASSERT_LT(0, c.turns);
}

/* The same while the faulting mapping itself is split and merged. */
TEST_F(cf_vma_lock, mapping_splits)
{
	struct churn c = { .b = &self->b };
	int odd = 0;
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, split_and_merge, &c));
	EXPECT_EQ(ROUNDS, rounds_right(self->dm.fd, &self->b, &odd)) {
		TH_LOG("MIGRATE_TO_DEV also answered %d", odd);
	}
	atomic_store(&c.stop, 1);
	pthread_join(t, NULL);
	ASSERT_EQ(0, c.bad);
	ASSERT_LT(0, c.turns);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* A device page that moves to another address: the fault is at the new one. */
TEST_F(cf_vma_lock, remapped_before_fault)
{
	void *hole, *moved;

	hole = mmap(NULL, self->b.size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	moved = mremap(self->b.ptr, self->b.size, self->b.size,
		       MREMAP_MAYMOVE | MREMAP_FIXED, hole);
	ASSERT_EQ(hole, moved);
	ASSERT_ALL(self->dm.fd, moved, NPAGES, DM_ON_DEV);
	ASSERT_TAGS(moved, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_ALL(self->dm.fd, moved, NPAGES, DM_SYS);
	if (self->dm.counters)
		ASSERT_EQ(NPAGES, stage_delta(&self->dm, "cpu_fault_pages"));
	ASSERT_EQ(0, munmap(moved, self->b.size));
}

TEST_HARNESS_MAIN
