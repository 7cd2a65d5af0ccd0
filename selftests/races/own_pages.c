// SPDX-License-Identifier: GPL-2.0
/*
 * A device that reads and writes pages which live in its own memory, after
 * something made it forget where they are: a fork, a move, a change of
 * protection, or simply another file of the same device.
 *
 * Owns one client and one resident buffer per test.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "dm_harness.h"
#include "race.h"
#include "scene.h"

FIXTURE(own)
{
	struct dm_ctx	dm;
	struct dm_buf	b;
	char		why[DM_MSG];
};

FIXTURE_VARIANT(own)
{
	int		index, peer;
	unsigned long	npages;
	int		flags;
};

FIXTURE_VARIANT_ADD(own, device_private)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .npages = 64, .flags = DM_BUF_SMALL,
};

FIXTURE_VARIANT_ADD(own, device_private_thp)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .npages = DM_2M_PAGES, .flags = DM_BUF_THP,
};

FIXTURE_VARIANT_ADD(own, device_coherent)
{
	.index = DM_COHERENT0, .peer = DM_COHERENT1, .npages = 64, .flags = DM_BUF_SMALL,
};

FIXTURE_SETUP(own)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, dm_buf_anon(&self->b, variant->npages, variant->flags));
	dm_fill(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, race_to_dev_all(self->dm.fd, &self->b, self->why))
		TH_LOG("%s", self->why);
}

FIXTURE_TEARDOWN(own)
{
	dm_buf_free(&self->b);
	dm_teardown(_metadata, &self->dm);
}

/* The device reads @va; the data must be tagged for @tag. */
#define EXPECT_DEV_READ(fd, va, tag, gen, writer) do {			\
	memset(self->b.mirror, 0x5a, self->b.size);			\
	EXPECT_EQ(0, dm_read(fd, va, self->b.npages, self->b.mirror, NULL));\
	EXPECT_EQ(0, race_verify(self->b.mirror, self->b.npages, tag, gen,\
				 writer, self->why))			\
		TH_LOG("device: %s", self->why);			\
} while (0)

#define EXPECT_CPU_READ(va, tag, gen, writer)				\
	EXPECT_EQ(0, race_verify(va, self->b.npages, tag, gen, writer,	\
				 self->why))				\
		TH_LOG("CPU: %s", self->why)

#define EXPECT_DEV_WRITE(fd, va, tag, gen) do {				\
	struct hmm_dmirror_cmd cmd;					\
									\
	dm_fill(self->b.mirror, self->b.npages, tag, gen, DM_DEV);	\
	EXPECT_EQ(0, dm_write(fd, va, self->b.npages, self->b.mirror, &cmd));\
	EXPECT_EQ(self->b.npages, cmd.cpages);				\
} while (0)

/* A child that shares the pages until it is told to look at its copy. */
static pid_t sleeper(struct dm_buf *b, struct sc_sync *go)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (sc_wait(go))
		_exit(99);
	_exit(dm_verify(b->ptr, b->npages, b->ptr, 1, DM_CPU, NULL));
}

TEST_F(own, read_after_fork)
{
	struct sc_sync go;
	pid_t pid;

	ASSERT_EQ(0, sc_sync_init(&go));
	pid = sleeper(&self->b, &go);
	ASSERT_GT(pid, 0);
	EXPECT_DEV_READ(self->dm.fd, self->b.ptr, self->b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, sc_post(&go));
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_CPU_READ(self->b.ptr, self->b.ptr, 1, DM_CPU);
}

TEST_F(own, write_after_fork)
{
	struct sc_sync go;
	pid_t pid;

	ASSERT_EQ(0, sc_sync_init(&go));
	pid = sleeper(&self->b, &go);
	ASSERT_GT(pid, 0);
	EXPECT_DEV_WRITE(self->dm.fd, self->b.ptr, self->b.ptr, 2);
	EXPECT_DEV_READ(self->dm.fd, self->b.ptr, self->b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, sc_post(&go));
	/* The status is the kind of damage the child found in its copy. */
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_CPU_READ(self->b.ptr, self->b.ptr, 2, DM_DEV);
}

static void *move(struct dm_buf *b, void **area)
{
	uint8_t *room = mmap(NULL, b->size + DM_2M, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *to;

	if (room == MAP_FAILED)
		return MAP_FAILED;
	*area = room;
	to = (uint8_t *)(((uintptr_t)room + DM_2M - 1) & ~(DM_2M - 1));
	return mremap(b->ptr, b->size, b->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		      to);
}

TEST_F(own, read_after_mremap)
{
	void *area, *to = move(&self->b, &area);

	ASSERT_NE(MAP_FAILED, to);
	EXPECT_DEV_READ(self->dm.fd, to, self->b.ptr, 1, DM_CPU);
	EXPECT_CPU_READ(to, self->b.ptr, 1, DM_CPU);
	/* Nothing is left where it was. */
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, self->b.ptr, 1, self->b.mirror,
				   NULL));
	munmap(area, self->b.size + DM_2M);
}

TEST_F(own, write_after_mremap)
{
	void *area, *to = move(&self->b, &area);

	ASSERT_NE(MAP_FAILED, to);
	EXPECT_DEV_WRITE(self->dm.fd, to, to, 2);
	EXPECT_DEV_READ(self->dm.fd, to, to, 2, DM_DEV);
	EXPECT_CPU_READ(to, to, 2, DM_DEV);
	munmap(area, self->b.size + DM_2M);
}

TEST_F(own, read_after_mprotect)
{
	ASSERT_EQ(0, mprotect(self->b.ptr, self->b.size, PROT_READ));
	EXPECT_DEV_READ(self->dm.fd, self->b.ptr, self->b.ptr, 1, DM_CPU);
	EXPECT_CPU_READ(self->b.ptr, self->b.ptr, 1, DM_CPU);
}

TEST_F(own, write_after_mprotect)
{
	ASSERT_EQ(0, mprotect(self->b.ptr, self->b.size, PROT_READ));
	EXPECT_EQ(-EPERM, dm_write(self->dm.fd, self->b.ptr, self->b.npages,
				   self->b.mirror, NULL));
	ASSERT_EQ(0, mprotect(self->b.ptr, self->b.size,
			      PROT_READ | PROT_WRITE));
	EXPECT_DEV_WRITE(self->dm.fd, self->b.ptr, self->b.ptr, 2);
	EXPECT_CPU_READ(self->b.ptr, self->b.ptr, 2, DM_DEV);
}

TEST_F(own, read_by_second_fd)
{
	int fd = dm_open(variant->index);

	ASSERT_GE(fd, 0);
	EXPECT_DEV_READ(fd, self->b.ptr, self->b.ptr, 1, DM_CPU);
	close(fd);
}

TEST_F(own, write_by_second_fd)
{
	int fd = dm_open(variant->index);

	ASSERT_GE(fd, 0);
	EXPECT_DEV_WRITE(fd, self->b.ptr, self->b.ptr, 2);
	EXPECT_DEV_READ(self->dm.fd, self->b.ptr, self->b.ptr, 2, DM_DEV);
	EXPECT_DEV_WRITE(self->dm.fd, self->b.ptr, self->b.ptr, 3);
	EXPECT_DEV_READ(fd, self->b.ptr, self->b.ptr, 3, DM_DEV);
	close(fd);
	EXPECT_CPU_READ(self->b.ptr, self->b.ptr, 3, DM_DEV);
}

TEST_HARNESS_MAIN
