// SPDX-License-Identifier: GPL-2.0
/*
 * Resident pages whose mapping moves, shrinks, splits or merges: content goes
 * with the mapping, nothing is left behind for the old address.
 */
#include <pthread.h>
#include "dm_harness.h"

#define NPAGES	64UL

DM_FIXTURE(migrate);

static void make_resident(struct __test_metadata *_metadata,
			  struct dm_ctx *dm, struct dm_buf *b)
{
	ASSERT_EQ(0, dm_buf_anon(b, NPAGES, DM_BUF_SMALL));
	dm_fill(b->ptr, NPAGES, b->ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(dm->fd, b->ptr, NPAGES, b->mirror, NULL));
	ASSERT_ALL(dm->fd, b->ptr, NPAGES, DM_ON_DEV);
	dm_restart(dm);
}

/* The mapping moves: the pages stay on the device under the new address. */
TEST_F(migrate, mremap_resident)
{
	struct dm_buf b, to;

	make_resident(_metadata, &self->dm, &b);
	ASSERT_EQ(0, dm_buf_anon(&to, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(to.ptr, mremap(b.ptr, b.size, b.size,
				 MREMAP_MAYMOVE | MREMAP_FIXED, to.ptr));
	EXPECT_ALL(self->dm.fd, to.ptr, NPAGES, DM_ON_DEV);
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror,
				   NULL));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	/* test_hmm crashes the kernel when its device looks at them now. */
	if (dm_ours()) {
		EXPECT_EQ(0, dm_read(self->dm.fd, to.ptr, NPAGES, to.mirror,
				     NULL));
		EXPECT_TAGS(to.mirror, NPAGES, b.ptr, 1, DM_CPU);
		dm_fill(to.mirror, NPAGES, b.ptr, 2, DM_DEV);
		EXPECT_EQ(0, dm_write(self->dm.fd, to.ptr, NPAGES, to.mirror,
				      NULL));
		EXPECT_TAGS(to.ptr, NPAGES, b.ptr, 2, DM_DEV);
	} else {
		EXPECT_TAGS(to.ptr, NPAGES, b.ptr, 1, DM_CPU);
	}
	dm_buf_free(&to);
	EXPECT_MOVED_MIN(&self->dm, "vram_resident_pages", -(long)NPAGES);
	dm_buf_free(&b);
}

/* The mapping shrinks: exactly the pages cut off are given back. */
TEST_F(migrate, mremap_shrink)
{
	struct dm_buf b;

	make_resident(_metadata, &self->dm, &b);
	ASSERT_EQ(b.ptr, mremap(b.ptr, b.size, b.size / 2, 0));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", -(long)(NPAGES / 2));
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES / 2, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES / 2, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Permissions change under resident pages: device and CPU both obey. */
TEST_F(migrate, mprotect_resident)
{
	struct dm_buf b;

	if (!dm_ours())
		SKIP(return, "test_hmm crashes the kernel here");
	make_resident(_metadata, &self->dm, &b);
	ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_READ));
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_EQ(-EPERM, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror,
				   NULL));
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
	dm_buf_free(&b);
}

/* Right after fork the device reads and writes what is the parent's. */
TEST_F(migrate, fork_resident)
{
	int go[2], status;
	struct dm_buf b;
	char c = 0;
	pid_t pid;

	if (!dm_ours())
		SKIP(return, "test_hmm crashes the kernel here");
	make_resident(_metadata, &self->dm, &b);
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		EXPECT_EQ(1, read(go[0], &c, 1));
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
		_exit(0);
	}
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_EQ(1, write(go[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	dm_buf_free(&b);
}

/* Splits and merges the mapping until told to stop. */
struct splitter {
	struct dm_buf	*b;
	bool		stop;
	unsigned long	count;
};

static void *split_and_merge(void *arg)
{
	struct splitter *s = arg;
	__u8 *mid = s->b->ptr + s->b->size / 4;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		madvise(mid, s->b->size / 2, MADV_DONTFORK);
		madvise(mid, s->b->size / 2, MADV_DOFORK);
		mprotect(mid, s->b->size / 4, PROT_READ);
		mprotect(mid, s->b->size / 4, PROT_READ | PROT_WRITE);
		__atomic_add_fetch(&s->count, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * Migration both ways while the mapping is split and merged all the time: each
 * request does what it says or reports what it could not, and every byte is
 * there in the end.
 */
TEST_F(migrate, split_and_merge)
{
	struct splitter s = { 0 };
	struct hmm_dmirror_cmd res;
	pthread_t thread;
	struct dm_buf b;
	int i, ret, whole = 0;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	s.b = &b;
	ASSERT_EQ(0, pthread_create(&thread, NULL, split_and_merge, &s));
	while (!__atomic_load_n(&s.count, __ATOMIC_RELAXED))
		sched_yield();
	for (i = 0; i < 100; i++) {
		ret = dm_to_dev(self->dm.fd, b.ptr, NPAGES, b.mirror, &res);
		ASSERT_TRUE(!ret || ret == -ENOENT || ret == -EBUSY) {
			TH_LOG("to the device: errno %d", -ret);
		}
		if (!ret)
			ASSERT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
		whole += !ret;
		ret = dm_to_sys(self->dm.fd, b.ptr, NPAGES, &res);
		ASSERT_EQ(0, ret);
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_GE(whole, 1);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
