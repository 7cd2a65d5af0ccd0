// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that somebody else holds must not move, and the answer must say so.
 * Once released, they can.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <linux/io_uring.h>
#include "dm_harness.h"

#define NPAGES	32UL
#define FIRST	8UL		/* pages FIRST .. FIRST + PINNED are held */
#define PINNED	8UL
#define RELEASE_PASSES	8	/* before RELEASE gives up */

DM_FIXTURE(migrate);

/* An io_uring with one fixed buffer; just enough to write it to a file. */
struct ring {
	int			fd;
	__u32			*sq_tail, *sq_mask, *sq_array;
	__u32			*cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe	*sqes;
	struct io_uring_cqe	*cqes;
};

static int ring_open(struct ring *r)
{
	struct io_uring_params p = { 0 };
	size_t len;
	__u8 *m;

	r->fd = syscall(__NR_io_uring_setup, 4, &p);
	if (r->fd < 0)
		return -errno;
	len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	if (len < p.sq_off.array + p.sq_entries * sizeof(__u32))
		len = p.sq_off.array + p.sq_entries * sizeof(__u32);
	m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		 r->fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, p.sq_entries * sizeof(struct io_uring_sqe),
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       r->fd, IORING_OFF_SQES);
	if (m == MAP_FAILED || r->sqes == MAP_FAILED)
		return -errno;
	r->sq_tail = (__u32 *)(m + p.sq_off.tail);
	r->sq_mask = (__u32 *)(m + p.sq_off.ring_mask);
	r->sq_array = (__u32 *)(m + p.sq_off.array);
	r->cq_head = (__u32 *)(m + p.cq_off.head);
	r->cq_tail = (__u32 *)(m + p.cq_off.tail);
	r->cq_mask = (__u32 *)(m + p.cq_off.ring_mask);
	r->cqes = (struct io_uring_cqe *)(m + p.cq_off.cqes);
	return 0;
}

static int ring_pin(struct ring *r, void *addr, size_t len)
{
	struct iovec iov = { .iov_base = addr, .iov_len = len };

	return syscall(__NR_io_uring_register, r->fd, IORING_REGISTER_BUFFERS,
		       &iov, 1) ? -errno : 0;
}

static int ring_unpin(struct ring *r)
{
	return syscall(__NR_io_uring_register, r->fd,
		       IORING_UNREGISTER_BUFFERS, NULL, 0) ? -errno : 0;
}

/* Write from the fixed buffer to a file; returns bytes or a negative errno. */
static int ring_write(struct ring *r, int fd, void *addr, size_t len)
{
	__u32 tail = *r->sq_tail, slot = tail & *r->sq_mask;
	struct io_uring_sqe *sqe = r->sqes + slot;
	int ret;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_WRITE_FIXED;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)addr;
	sqe->len = len;
	r->sq_array[slot] = slot;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) < 0)
		return -errno;
	ret = r->cqes[*r->cq_head & *r->cq_mask].res;
	__atomic_store_n(r->cq_head, *r->cq_head + 1, __ATOMIC_RELEASE);
	return ret;
}

/*
 * Some pages of the range are held: those stay in their frames, all others go,
 * and the answer counts exactly the others.
 */
static void expect_held(struct __test_metadata *_metadata, struct dm_ctx *dm,
			struct dm_buf *b)
{
	__u64 before[PINNED], after[PINNED];
	struct hmm_dmirror_cmd res;
	__u8 *held = b->ptr + FIRST * DM_PAGE;
	unsigned long i;

	ASSERT_EQ(0, dm_pagemap(held, PINNED, before));
	dm_restart(dm);
	EXPECT_EQ(-ENOENT, dm_to_dev(dm->fd, b->ptr, NPAGES, b->mirror, &res));
	if (dm_ours())
		EXPECT_EQ(NPAGES - PINNED, res.cpages);
	EXPECT_MOVED(dm, "in_moved_pages", NPAGES - PINNED);
	EXPECT_MOVED(dm, "in_busy_pages", PINNED);
	EXPECT_CLASSES(dm, "in", NPAGES);
	EXPECT_ALL(dm->fd, b->ptr, FIRST, DM_ON_DEV);
	EXPECT_ALL(dm->fd, held, PINNED, DM_SYS);
	EXPECT_ALL(dm->fd, held + PINNED * DM_PAGE, NPAGES - FIRST - PINNED,
		   DM_ON_DEV);
	ASSERT_EQ(0, dm_pagemap(held, PINNED, after));
	for (i = 0; i < PINNED; i++)
		EXPECT_EQ(dm_pm_pfn(before[i]), dm_pm_pfn(after[i]));
}

/*
 * The holder has let go. The kernel may drop the last references a little
 * later, so the request may have to be repeated, but not for long.
 */
static void expect_free(struct __test_metadata *_metadata, struct dm_ctx *dm,
			struct dm_buf *b, int generation)
{
	struct hmm_dmirror_cmd res;
	int ret = -ENOENT, tries;

	for (tries = 0; ret == -ENOENT && tries < 200; tries++) {
		ret = dm_to_dev(dm->fd, b->ptr, NPAGES, b->mirror, &res);
		sched_yield();
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(NPAGES, res.cpages);
	EXPECT_ALL(dm->fd, b->ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b->ptr, NPAGES, b->ptr, generation, DM_CPU);
}

/* Pinned for long by a fixed I/O buffer, and written out while pinned. */
TEST_F(migrate, fixed_buffer)
{
	size_t len = PINNED * DM_PAGE;
	struct ring r = { 0 };
	struct dm_buf b;
	__u8 *held, *got;
	int file;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	held = b.ptr + FIRST * DM_PAGE;
	if (ring_open(&r))
		SKIP(goto out, "no io_uring");
	ASSERT_EQ(0, ring_pin(&r, held, len));
	expect_held(_metadata, &self->dm, &b);

	/* The buffer the kernel writes from is the one the CPU writes to. */
	dm_fill(held, PINNED, held, 2, DM_CPU);
	file = memfd_create("out", MFD_CLOEXEC);
	ASSERT_GE(file, 0);
	EXPECT_EQ(len, ring_write(&r, file, held, len));
	got = malloc(len);
	EXPECT_EQ(len, pread(file, got, len, 0));
	EXPECT_TAGS(got, PINNED, held, 2, DM_CPU);
	free(got);
	close(file);

	ASSERT_EQ(0, ring_unpin(&r));
	dm_fill(b.ptr, NPAGES, b.ptr, 3, DM_CPU);
	expect_free(_metadata, &self->dm, &b, 3);
	close(r.fd);
out:
	dm_buf_free(&b);
}

/* Held by a pipe that was given the pages themselves. */
TEST_F(migrate, pages_in_a_pipe)
{
	size_t len = PINNED * DM_PAGE;
	struct iovec iov;
	struct dm_buf b;
	__u8 *got;
	int fds[2];

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	iov.iov_base = b.ptr + FIRST * DM_PAGE;
	iov.iov_len = len;
	ASSERT_EQ(len, vmsplice(fds[1], &iov, 1, 0));
	expect_held(_metadata, &self->dm, &b);

	got = malloc(len);
	EXPECT_EQ(len, read(fds[0], got, len));
	EXPECT_TAGS(got, PINNED, iov.iov_base, 1, DM_CPU);
	free(got);
	close(fds[0]);
	close(fds[1]);
	expect_free(_metadata, &self->dm, &b, 1);
	dm_buf_free(&b);
}

/*
 * Having read the range first makes no difference: the device may well know the
 * pages, they are still not in its memory.
 */
TEST_F(migrate, read_then_migrate_pinned)
{
	struct hmm_dmirror_cmd res;
	struct ring r = { 0 };
	struct dm_buf b;
	int ret;

	ASSERT_EQ(0, dm_buf_anon(&b, PINNED, DM_BUF_SMALL));
	dm_fill(b.ptr, PINNED, b.ptr, 1, DM_CPU);
	if (ring_open(&r))
		SKIP(goto out, "no io_uring");
	ASSERT_EQ(0, ring_pin(&r, b.ptr, b.size));
	ASSERT_EQ(0, dm_read(self->dm.fd, b.ptr, PINNED, b.mirror, &res));
	ret = dm_to_dev(self->dm.fd, b.ptr, PINNED, b.mirror, &res);
	EXPECT_ALL(self->dm.fd, b.ptr, PINNED, DM_SYS);
	if (dm_ours()) {
		EXPECT_EQ(-ENOENT, ret);
		EXPECT_EQ(0, res.cpages);
	}
	EXPECT_MOVED(&self->dm, "in_busy_pages", PINNED);
	EXPECT_CLASSES(&self->dm, "in", PINNED);
	close(r.fd);
out:
	dm_buf_free(&b);
}

/* Pinning brings device pages back first: a fixed buffer over private memory. */
TEST_F(migrate, pin_resident_pages)
{
	struct ring r = { 0 };
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, PINNED, DM_BUF_SMALL));
	dm_fill(b.ptr, PINNED, b.ptr, 1, DM_CPU);
	if (ring_open(&r))
		SKIP(goto out, "no io_uring");
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, PINNED, b.mirror, NULL));
	ASSERT_ALL(self->dm.fd, b.ptr, PINNED, DM_ON_DEV);
	ASSERT_EQ(0, ring_pin(&r, b.ptr, b.size));
	/* No long-term pin on device memory, whatever its kind. */
	EXPECT_ALL(self->dm.fd, b.ptr, PINNED, DM_SYS);
	EXPECT_TAGS(b.ptr, PINNED, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, ring_unpin(&r));
	close(r.fd);
out:
	dm_buf_free(&b);
}

/* Private pages come home when somebody takes hold of them; these do not. */
FIXTURE(held) { struct dm_ctx dm; };

FIXTURE_SETUP(held)
{
	dm_setup(_metadata, &self->dm, DM_COHERENT0, DM_COHERENT1);
}

FIXTURE_TEARDOWN(held)
{
	dm_teardown(_metadata, &self->dm);
}

/*
 * What others hold stays on the device, and RELEASE says so without trying the
 * same few blocks over and over.
 */
TEST_F(held, release)
{
	size_t len = PINNED * DM_PAGE;
	struct iovec iov;
	struct dm_buf b;
	int fds[2];

	ASSERT_EQ(0, dm_buf_anon(&b, PINNED, DM_BUF_SMALL));
	dm_fill(b.ptr, PINNED, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, PINNED, b.mirror, NULL));
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	iov.iov_base = b.ptr;
	iov.iov_len = len;
	ASSERT_EQ(len, vmsplice(fds[1], &iov, 1, 0));
	dm_restart(&self->dm);
	EXPECT_EQ(-EBUSY, dm_release(self->dm.fd));
	EXPECT_ALL(self->dm.fd, b.ptr, PINNED, DM_ON_DEV);
	/* They are in one block, or in two. */
	EXPECT_MOVED_MIN(&self->dm, "evictions", 1);
	if (self->dm.counters)
		EXPECT_LE(dm_stat_now(self->dm.index, "evictions") -
			  dm_stat(&self->dm.start, "evictions"),
			  2 * RELEASE_PASSES);

	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(0, dm_release(self->dm.fd));
	EXPECT_ALL(self->dm.fd, b.ptr, PINNED, DM_SYS);
	EXPECT_TAGS(b.ptr, PINNED, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
