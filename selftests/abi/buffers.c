// SPDX-License-Identifier: GPL-2.0
/*
 * The structure and the result buffer of a command: not there, half there, not
 * writable, on top of the range, or in device memory themselves; and signals
 * that arrive while a command runs.
 */
#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "dm_harness.h"
#include "targets.h"

#define NPAGES		8
#define LONG_PAGES	(4 * DM_2M_PAGES)

FIXTURE(buffers)
{
	struct dm_ctx	dm;
	struct dm_buf	b, out;
};

DM_VARIANTS(buffers);

FIXTURE_SETUP(buffers)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&self->out, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	dm_fill(self->out.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(buffers)
{
	dm_buf_free(&self->b);
	dm_buf_free(&self->out);
	dm_teardown(_metadata, &self->dm);
}

/* The commands that move data through @ptr. */
static const enum command data[] = {
	C_READ, C_READ_UNLOCKED, C_WRITE, C_TO_DEV, C_SNAPSHOT, C_EXCLUSIVE,
};

/* The last one is not everywhere. */
#define NDATA	(ARRAY_SIZE(data) - !can_exclusive())

/* Whatever was tried, the range still holds generation 1. */
#define EXPECT_UNHARMED(what, c)					\
	EXPECT_EQ(0, dm_verify(self->b.ptr, NPAGES, self->b.ptr, 1,	\
			       DM_CPU, NULL)) {				\
		TH_LOG("%s with %s damaged the range", command_name[c],	\
		       what);						\
	}

#define EXPECT_ANSWER(want, c, buf, what) do {				\
	EXPECT_EQ(want, dm_cmd(self->dm.fd, command_nr[c], self->b.ptr,	\
			       NPAGES, buf, NULL)) {			\
		TH_LOG("%s with %s", command_name[c], what);		\
	}								\
	EXPECT_UNHARMED(what, c);					\
} while (0)

TEST_F(buffers, not_there)
{
	unsigned int i;

	ASSERT_EQ(0, munmap(self->out.ptr, self->out.size));
	for (i = 0; i < NDATA; i++) {
		EXPECT_ANSWER(-EFAULT, data[i], self->out.ptr, "no buffer");
		EXPECT_ANSWER(-EFAULT, data[i], NULL, "a null pointer");
		EXPECT_ANSWER(-EFAULT, data[i], (void *)0xffff888000000000UL,
			      "a kernel address");
		EXPECT_ANSWER(-EFAULT, data[i], (void *)(~0UL << 12),
			      "the last page there is");
	}
}

TEST_F(buffers, no_access)
{
	unsigned int i;

	ASSERT_EQ(0, mprotect(self->out.ptr, self->out.size, PROT_NONE));
	for (i = 0; i < NDATA; i++)
		EXPECT_ANSWER(-EFAULT, data[i], self->out.ptr, "PROT_NONE");
}

TEST_F(buffers, read_only)
{
	unsigned int i;

	ASSERT_EQ(0, mprotect(self->out.ptr, self->out.size, PROT_READ));
	for (i = 0; i < NDATA; i++)
		EXPECT_ANSWER(data[i] == C_WRITE ? 0 : -EFAULT, data[i],
			      self->out.ptr, "a read-only buffer");
}

/* SNAPSHOT needs a byte per page, the others a page. */
TEST_F(buffers, half_there)
{
	uint8_t *end = self->out.ptr + self->out.size / 2;
	unsigned int i;

	ASSERT_EQ(0, munmap(end, self->out.size / 2));
	for (i = 0; i < NDATA; i++)
		EXPECT_ANSWER(-EFAULT, data[i],
			      data[i] == C_SNAPSHOT ? end - NPAGES / 2 :
						      self->out.ptr,
			      "half a buffer");
}

/* Data buffers need no alignment. */
TEST_F(buffers, odd_address)
{
	uint8_t *odd = malloc(self->b.size + 1);

	ASSERT_NE(NULL, odd);
	EXPECT_EQ(0, dm_read(self->dm.fd, self->b.ptr, NPAGES, odd + 1, NULL));
	EXPECT_EQ(0, memcmp(odd + 1, self->b.ptr, self->b.size));
	free(odd);
}

/* Data onto itself. */
TEST_F(buffers, same_as_range)
{
	unsigned int i;
	int ret;

	for (i = 0; i < NDATA; i++) {
		if (data[i] == C_SNAPSHOT)
			continue;
		ret = dm_cmd(self->dm.fd, command_nr[data[i]], self->b.ptr,
			     NPAGES, self->b.ptr, NULL);
		/* Writing the result may have brought the pages home again. */
		EXPECT_TRUE(!ret || (data[i] == C_TO_DEV && ret == -ENOENT)) {
			TH_LOG("%s onto itself: %d", command_name[data[i]], ret);
		}
		EXPECT_UNHARMED("the range as buffer", data[i]);
	}
}

/* A page further: what comes of it is the caller's, but it comes to an end. */
TEST_F(buffers, overlapping)
{
	unsigned int i;
	int ret;

	for (i = 0; i < NDATA; i++) {
		ret = dm_cmd(self->dm.fd, command_nr[data[i]], self->b.ptr,
			     NPAGES / 2, self->b.ptr + DM_PAGE, NULL);
		EXPECT_TRUE(!ret || (data[i] == C_TO_DEV && ret == -ENOENT)) {
			TH_LOG("%s overlapping: %d", command_name[data[i]], ret);
		}
	}
	EXPECT_EQ(0, dm_verify(self->b.ptr + 6 * DM_PAGE, 2,
			       self->b.ptr + 6 * DM_PAGE, 1, DM_CPU, NULL));
}

/* The buffer lives in the memory of the same device, or of the other. */
#define BUFFER_ON(minor) do {						\
	int fd_ = dm_open(minor);					\
	unsigned int i_;						\
									\
	ASSERT_GE(fd_, 0);						\
	for (i_ = 0; i_ < NDATA; i_++) {				\
		dm_fill(self->out.ptr, NPAGES, self->b.ptr, 1, DM_CPU);	\
		dm_to_dev(fd_, self->out.ptr, NPAGES, self->out.mirror,	\
			  NULL);					\
		ASSERT_LT(0, dm_count(fd_, self->out.ptr, NPAGES,	\
				      DM_ON_DEV));			\
		EXPECT_ANSWER(0, data[i_], self->out.ptr, "a device buffer");\
		if (data[i_] != C_SNAPSHOT)				\
			EXPECT_TAGS(self->out.ptr, NPAGES, self->b.ptr,	\
				    1, DM_CPU);				\
	}								\
	close(fd_);							\
} while (0)

TEST_F(buffers, on_same_device)
{
	BUFFER_ON(variant->index);
}

TEST_F(buffers, on_other_device)
{
	BUFFER_ON(variant->peer);
}

/* The structure itself, for all ten commands. */
TEST_F(buffers, structure)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)self->b.ptr,
		.ptr = (uintptr_t)self->b.mirror,
		.npages = 1,
	};
	uint8_t *end = self->out.ptr + self->out.size / 2, *p;
	int c;

	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 1, DM_CPU);
	memcpy(self->out.ptr, &cmd, sizeof(cmd));
	memcpy(end - sizeof(cmd) + 1, &cmd, sizeof(cmd) - 1);
	ASSERT_EQ(0, munmap(end, self->out.size / 2));
	ASSERT_EQ(0, mprotect(self->out.ptr, DM_PAGE, PROT_READ));
	for (c = 0; c < C_COUNT; c++) {
		EXPECT_EQ(-1, ioctl(self->dm.fd, command_nr[c], NULL));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, ioctl(self->dm.fd, command_nr[c], end));
		EXPECT_EQ(EFAULT, errno);
		/* One byte short, at the end of the mapping. */
		p = end - sizeof(cmd) + 1;
		EXPECT_EQ(-1, ioctl(self->dm.fd, command_nr[c], p));
		EXPECT_EQ(EFAULT, errno);
		/* Carried out, but the answer cannot be delivered. */
		EXPECT_EQ(-1, ioctl(self->dm.fd, command_nr[c], self->out.ptr));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_UNHARMED("a bad structure", c);
	}
}

/* The structure in a page that the command moves or writes. */
TEST_F(buffers, structure_in_range)
{
	struct hmm_dmirror_cmd *cmd = (void *)self->b.ptr;
	int c, ret;

	for (c = 0; c < C_COUNT; c++) {
		if (c == C_WRITE || c == C_FLAGS ||
		    (c == C_EXCLUSIVE && !can_exclusive()))
			continue;
		*cmd = (struct hmm_dmirror_cmd) {
			.addr = (uintptr_t)self->b.ptr,
			.ptr = (uintptr_t)self->out.ptr,
			.npages = NPAGES,
			.cpages = DM_UNSET,
		};
		ret = ioctl(self->dm.fd, command_nr[c], cmd) ? -errno : 0;
		EXPECT_EQ(c == C_CHECK ? ret : 0, ret) {
			TH_LOG("%s: %d", command_name[c], ret);
		}
		EXPECT_NE(DM_UNSET, cmd->cpages);
	}
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	alarms++;
}

/* Signals that are handled do not cut a command short. */
TEST_F(buffers, signal_storm)
{
	struct itimerval storm = { { 0, 500 }, { 0, 500 } }, calm = { 0 };
	struct sigaction sa = { .sa_handler = on_alarm };
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	int c, ret, storms = 0;

	ASSERT_EQ(0, dm_buf_anon(&b, LONG_PAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, b.npages, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, sigaction(SIGALRM, &sa, NULL));
	for (c = 0; c < C_COUNT; c++) {
		if (c == C_FLAGS || c == C_CHECK ||
		    (c == C_EXCLUSIVE && !can_exclusive()))
			continue;
		alarms = 0;
		ASSERT_EQ(0, setitimer(ITIMER_REAL, &storm, NULL));
		ret = dm_cmd_once(self->dm.fd, command_nr[c], b.ptr, b.npages,
				  b.mirror, &res);
		ASSERT_EQ(0, setitimer(ITIMER_REAL, &calm, NULL));
		EXPECT_EQ(0, ret) {
			TH_LOG("%s: %d after %d signals", command_name[c], ret,
			       (int)alarms);
		}
		if (c == C_READ || c == C_WRITE || c == C_TO_DEV)
			EXPECT_EQ(b.npages, res.cpages);
		storms += alarms;
		EXPECT_TAGS(b.ptr, b.npages, b.ptr, 1, DM_CPU);
		/* SNAPSHOT left bytes in the first pages of the buffer. */
		dm_fill(b.mirror, b.npages, b.ptr, 1, DM_CPU);
	}
	EXPECT_GT(storms, 0);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
