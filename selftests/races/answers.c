// SPDX-License-Identifier: GPL-2.0
/*
 * What the device says it did is what it did: pages that something pins are
 * not moved and not counted, a command that fails half way says how far it
 * came, and an invalidation of one page leaves the next one alone.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "dm_harness.h"
#include "race.h"

#define NPAGES	8

/* Of linux/io_uring.h, which older user space headers cannot include. */
#define RING_PARAMS	120
#define RING_REGISTER_BUFFERS	0

FIXTURE(answers)
{
	struct dm_ctx	dm;
	struct dm_buf	b;
	int		pipe[2], ring;
	char		why[DM_MSG];
};

DM_VARIANTS(answers);

FIXTURE_SETUP(answers)
{
	self->ring = -1;
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, pipe(self->pipe));
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(answers)
{
	close(self->pipe[0]);
	close(self->pipe[1]);
	if (self->ring >= 0)
		close(self->ring);
	dm_buf_free(&self->b);
	dm_teardown(_metadata, &self->dm);
}

/* The pipe holds a reference to each page until it is read or closed. */
static int pin_by_pipe(int fd, void *addr, unsigned long npages)
{
	struct iovec iov = { addr, npages * DM_PAGE };

	return vmsplice(fd, &iov, 1, 0) == (ssize_t)iov.iov_len ? 0 : -errno;
}

/* A registered buffer is pinned for good. Returns the ring. */
static int pin_by_ring(void *addr, unsigned long npages)
{
	uint32_t p[RING_PARAMS / 4] = { 0 };
	struct iovec iov = { addr, npages * DM_PAGE };
	int fd = syscall(SYS_io_uring_setup, 1, p);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_io_uring_register, fd, RING_REGISTER_BUFFERS, &iov, 1))
		return -errno;
	return fd;
}

/* Of NPAGES pages the first @pinned stay and the others move: the answer. */
#define EXPECT_MOVED_BUT(pinned) do {					\
	struct hmm_dmirror_cmd cmd_;					\
									\
	EXPECT_EQ(-ENOENT, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,	\
				     self->b.mirror, &cmd_));		\
	EXPECT_EQ(NPAGES - (pinned), cmd_.cpages);			\
	EXPECT_ALL(self->dm.fd, self->b.ptr, pinned, DM_SYS);		\
	if ((pinned) < NPAGES)						\
		EXPECT_ALL(self->dm.fd, self->b.ptr + (pinned) * DM_PAGE,\
			   NPAGES - (pinned), DM_ON_DEV);		\
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);	\
} while (0)

TEST_F(answers, all_pinned_by_pipe)
{
	/* Known to the device, so that only residency tells the difference. */
	ASSERT_EQ(0, dm_read(self->dm.fd, self->b.ptr, NPAGES, self->b.mirror,
			     NULL));
	ASSERT_EQ(0, pin_by_pipe(self->pipe[1], self->b.ptr, NPAGES));
	EXPECT_MOVED_BUT(NPAGES);
}

TEST_F(answers, one_pinned_by_pipe)
{
	ASSERT_EQ(0, pin_by_pipe(self->pipe[1], self->b.ptr, 1));
	EXPECT_MOVED_BUT(1);
}

TEST_F(answers, all_pinned_by_ring)
{
	ASSERT_EQ(0, dm_read(self->dm.fd, self->b.ptr, NPAGES, self->b.mirror,
			     NULL));
	self->ring = pin_by_ring(self->b.ptr, NPAGES);
	if (self->ring == -ENOSYS || self->ring == -EPERM)
		SKIP(return, "no io_uring here");
	ASSERT_GE(self->ring, 0);
	EXPECT_MOVED_BUT(NPAGES);
}

TEST_F(answers, one_pinned_by_ring)
{
	self->ring = pin_by_ring(self->b.ptr, 1);
	if (self->ring == -ENOSYS || self->ring == -EPERM)
		SKIP(return, "no io_uring here");
	ASSERT_GE(self->ring, 0);
	EXPECT_MOVED_BUT(1);
}

/* A page that cannot be read, in the middle. */
TEST_F(answers, read_stops_half_way)
{
	struct hmm_dmirror_cmd cmd;

	ASSERT_EQ(0, mprotect(self->b.ptr + 5 * DM_PAGE, DM_PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, self->b.ptr, NPAGES,
				   self->b.mirror, &cmd));
	EXPECT_EQ(5, cmd.cpages);
	EXPECT_TAGS(self->b.mirror, 5, self->b.ptr, 1, DM_CPU);
}

TEST_F(answers, write_stops_half_way)
{
	struct hmm_dmirror_cmd cmd;

	ASSERT_EQ(0, mprotect(self->b.ptr + 5 * DM_PAGE, DM_PAGE, PROT_READ));
	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 2, DM_DEV);
	EXPECT_EQ(-EPERM, dm_write(self->dm.fd, self->b.ptr, NPAGES,
				   self->b.mirror, &cmd));
	EXPECT_EQ(5, cmd.cpages);
	EXPECT_TAGS(self->b.ptr, 5, self->b.ptr, 2, DM_DEV);
	EXPECT_TAGS(self->b.ptr + 5 * DM_PAGE, NPAGES - 5,
		    self->b.ptr + 5 * DM_PAGE, 1, DM_CPU);
}

/* Page 0 is thrown away; the device still knows where page 1 is. */
TEST_F(answers, neighbour_stays_mapped)
{
	struct hmm_dmirror_cmd cmd;

	ASSERT_EQ(0, dm_read(self->dm.fd, self->b.ptr, NPAGES, self->b.mirror,
			     NULL));
	ASSERT_EQ(0, madvise(self->b.ptr, DM_PAGE, MADV_DONTNEED));
	ASSERT_EQ(0, dm_read(self->dm.fd, self->b.ptr + DM_PAGE, 1,
			     self->b.mirror, &cmd));
	EXPECT_EQ(0, cmd.faults);
}

TEST_HARNESS_MAIN
