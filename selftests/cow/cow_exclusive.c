// SPDX-License-Identifier: GPL-2.0
/*
 * Device-exclusive access: as long as the device holds a page no CPU can reach
 * it, and everything that gives the page back to the CPU is seen by the device.
 * Owns its buffers and children; no locks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "actor.h"
#include "stage.h"

#define NPAGES	16UL

FIXTURE(cow_exclusive) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct actor parent, child;
};

FIXTURE_SETUP(cow_exclusive)
{
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	actor_self(&self->parent, &self->b, self->dm.fd);
}

FIXTURE_TEARDOWN(cow_exclusive)
{
	EXPECT_EQ(0, actor_end(&self->child));
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* Take all pages; device and page tables agree that the CPU has lost them. */
#define TAKE(gen, writer) do {						\
	struct hmm_dmirror_cmd r_;					\
									\
	memset(self->b.mirror, 0xff, self->b.size);			\
	ASSERT_EQ(0, dm_exclusive(self->dm.fd, self->b.ptr, NPAGES,	\
				  self->b.mirror, &r_));		\
	ASSERT_EQ(NPAGES, r_.cpages);					\
	ASSERT_TAGS(self->b.mirror, NPAGES, self->b.ptr, gen, writer);	\
	ASSERT_EQ(-EPERM, dm_check_exclusive(self->dm.fd, self->b.ptr,	\
					     NPAGES));			\
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_EXCLUSIVE_ENTRY); \
} while (0)

#define HELD(first, n)							\
	dm_check_exclusive(self->dm.fd, self->b.ptr + (first) * DM_PAGE, n)

/* A load takes back the page it touches, and only that. */
TEST_F(cow_exclusive, load_takes_back)
{
	TAKE(1, DM_CPU);
	(void)*(volatile __u8 *)(self->b.ptr + 5 * DM_PAGE);
	ASSERT_EQ(0, HELD(5, 1));
	ASSERT_EQ(-EPERM, HELD(4, 1));
	ASSERT_EQ(-EPERM, HELD(6, 1));
	ASSERT_ALL(self->dm.fd, self->b.ptr + 5 * DM_PAGE, 1, DM_SYS);
	ASSERT_ALL(self->dm.fd, self->b.ptr + 6 * DM_PAGE, NPAGES - 6,
		   DM_EXCLUSIVE_ENTRY);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, HELD(0, NPAGES));
}

/* A store does too, and the device reads what was stored. */
TEST_F(cow_exclusive, store_takes_back)
{
	TAKE(1, DM_CPU);
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 2, DM_CPU);
	ASSERT_EQ(0, HELD(0, NPAGES));
	ASSERT_DEV_READS(self->dm.fd, &self->b, 2, DM_CPU);
	/* And again, with what the device writes in between. */
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 3, DM_DEV);
	TAKE(3, DM_DEV);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 3, DM_DEV);
}

/* fork(): the page is shared, so nobody has it exclusively. */
TEST_F(cow_exclusive, fork_takes_back)
{
	TAKE(1, DM_CPU);
	ASSERT_EQ(0, actor_fork(&self->child, &self->b, -1));
	ASSERT_EQ(0, HELD(0, NPAGES));
	ASSERT_EQ(0, act(&self->child, A_CPU_FILL, 0, NPAGES, 2, DM_CHILD));
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 3, DM_DEV);
	ASSERT_EQ(0, act(&self->child, A_CPU_CHECK, 0, NPAGES, 2, DM_CHILD));
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 3, DM_DEV);
}

/* Taken while shared with a child: exclusive to one means copied first. */
TEST_F(cow_exclusive, taken_after_fork)
{
	ASSERT_EQ(0, actor_fork(&self->child, &self->b, -1));
	TAKE(1, DM_CPU);
	ASSERT_EQ(0, act(&self->child, A_CPU_CHECK, 0, NPAGES, 1, DM_CPU));
	ASSERT_EQ(-EPERM, HELD(0, NPAGES));
	ASSERT_EQ(0, act(&self->child, A_CPU_FILL, 0, NPAGES, 2, DM_CHILD));
	ASSERT_EQ(-EPERM, HELD(0, 1));
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, HELD(0, NPAGES));
}

/* mprotect(PROT_READ): the device may not write what the process may not. */
TEST_F(cow_exclusive, mprotect_read)
{
	TAKE(1, DM_CPU);
	ASSERT_EQ(0, mprotect(self->b.ptr, self->b.size, PROT_READ));
	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 2, DM_DEV);
	ASSERT_EQ(-EPERM, dm_write(self->dm.fd, self->b.ptr, NPAGES,
				   self->b.mirror, NULL));
	ASSERT_EQ(0, HELD(0, NPAGES));
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mprotect(self->b.ptr, self->b.size,
			      PROT_READ | PROT_WRITE));
	TAKE(1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* Unmapped, discarded, moved: the device holds nothing at the old place. */
TEST_F(cow_exclusive, unmapped_and_moved)
{
	__u8 *p = self->b.ptr;
	void *hole, *to;

	TAKE(1, DM_CPU);
	ASSERT_EQ(0, munmap(p, 4 * DM_PAGE));
	ASSERT_EQ(0, HELD(0, 4));
	ASSERT_EQ(-EPERM, HELD(4, NPAGES - 4));
	ASSERT_EQ(0, madvise(p + 4 * DM_PAGE, 4 * DM_PAGE, MADV_DONTNEED));
	ASSERT_EQ(0, HELD(4, 4));
	ASSERT_EQ(0, dm_read(self->dm.fd, p + 4 * DM_PAGE, 4, self->b.mirror,
			     NULL));
	ASSERT_ZERO_PAGES(self->b.mirror, 4);
	hole = mmap(NULL, 4 * DM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	to = mremap(p + 8 * DM_PAGE, 4 * DM_PAGE, 4 * DM_PAGE,
		    MREMAP_MAYMOVE | MREMAP_FIXED, hole);
	ASSERT_EQ(hole, to);
	ASSERT_EQ(0, HELD(8, 4));
	ASSERT_TAGS(to, 4, p + 8 * DM_PAGE, 1, DM_CPU);
	ASSERT_EQ(-EFAULT, dm_read(self->dm.fd, p + 8 * DM_PAGE, 1,
				   self->b.mirror, NULL));
	ASSERT_EQ(-EPERM, HELD(12, 4));
	ASSERT_TAGS(p + 12 * DM_PAGE, 4, p + 12 * DM_PAGE, 1, DM_CPU);
	munmap(to, 4 * DM_PAGE);
}

/* Migrating exclusive pages in, and taking device pages exclusively. */
TEST_F(cow_exclusive, against_migration)
{
	TAKE(1, DM_CPU);
	/* Special entries may be skipped, but not lost. */
	(void)dm_to_dev(self->dm.fd, self->b.ptr, NPAGES, self->b.mirror,
			NULL);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);

	/* The other way round the page comes home and is taken there. */
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	TAKE(1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, HELD(0, NPAGES));
}

/* A huge page is taken page by page and is whole afterwards. */
TEST_F(cow_exclusive, huge_page)
{
	struct dm_buf huge;

	ASSERT_EQ(0, dm_buf_anon(&huge, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(huge.ptr, DM_2M_PAGES, huge.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_exclusive(self->dm.fd, huge.ptr + 8 * DM_PAGE, 16,
				  huge.mirror, NULL));
	ASSERT_TAGS(huge.mirror, 16, huge.ptr + 8 * DM_PAGE, 1, DM_CPU);
	ASSERT_ALL(self->dm.fd, huge.ptr + 8 * DM_PAGE, 16,
		   DM_EXCLUSIVE_ENTRY);
	ASSERT_EQ(0, dm_check_exclusive(self->dm.fd, huge.ptr, 8));
	ASSERT_TAGS(huge.ptr, DM_2M_PAGES, huge.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_check_exclusive(self->dm.fd, huge.ptr, DM_2M_PAGES));
	dm_buf_free(&huge);
}

/* Two devices: the second to take a page has it, the first knows. */
TEST_F(cow_exclusive, two_devices)
{
	int peer = dm_open(self->dm.peer_index);

	ASSERT_LE(0, peer);
	TAKE(1, DM_CPU);
	ASSERT_EQ(0, dm_exclusive(peer, self->b.ptr, NPAGES, self->b.mirror,
				  NULL));
	ASSERT_EQ(0, HELD(0, NPAGES));
	ASSERT_EQ(-EPERM, dm_check_exclusive(peer, self->b.ptr, NPAGES));
	TAKE(1, DM_CPU);
	ASSERT_EQ(0, dm_check_exclusive(peer, self->b.ptr, NPAGES));
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, close(peer));
}

struct taker {
	struct dm_buf	*b;
	int		fd;
	atomic_int	stop;
	atomic_ulong	bad, taken;
};

static void *take_again(void *arg)
{
	struct taker *t = arg;
	int ret;

	while (!atomic_load(&t->stop)) {
		ret = dm_exclusive(t->fd, t->b->ptr, 1, t->b->mirror, NULL);
		/* The CPU may have taken it back before the device read it. */
		if (ret && ret != -EBUSY && ret != -ENOENT)
			atomic_fetch_add(&t->bad, 1);
		atomic_fetch_add(&t->taken, !ret);
	}
	return NULL;
}

/* CPU increments against a device that keeps taking the page: none is lost. */
TEST_F(cow_exclusive, cpu_increments)
{
	struct taker t = { .b = &self->b, .fd = self->dm.fd };
	atomic_ulong *word = (atomic_ulong *)self->b.ptr;
	unsigned long i;
	pthread_t th;

	atomic_store(word, 0);
	ASSERT_EQ(0, pthread_create(&th, NULL, take_again, &t));
	while (!atomic_load(&t.taken) && !atomic_load(&t.bad))
		sched_yield();
	for (i = 0; i < 20000; i++)
		atomic_fetch_add(word, 1);
	atomic_store(&t.stop, 1);
	pthread_join(th, NULL);
	ASSERT_EQ(0, t.bad);
	ASSERT_EQ(i, atomic_load(word));
}

TEST_HARNESS_MAIN
