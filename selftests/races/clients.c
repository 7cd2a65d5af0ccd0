// SPDX-License-Identifier: GPL-2.0
/*
 * Clients of one device do not disturb each other: when one closes its file,
 * the pages of the others stay where they are, and so do those of a process
 * whose own client is gone while another process still shares them.
 */
#include <signal.h>
#include <sys/mman.h>

#include "dm_harness.h"
#include "race.h"
#include "scene.h"

#define NPAGES	64

FIXTURE(clients)
{
	struct dm_ctx	dm;
	struct dm_buf	b;
	char		why[DM_MSG];
};

DM_VARIANTS(clients);

FIXTURE_SETUP(clients)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, race_to_dev_all(self->dm.fd, &self->b, self->why)) {
		TH_LOG("%s", self->why);
	}
}

FIXTURE_TEARDOWN(clients)
{
	dm_buf_free(&self->b);
	dm_teardown(_metadata, &self->dm);
}

TEST_F(clients, second_file_of_the_process)
{
	int i, fd;

	for (i = 0; i < 10; i++) {
		fd = dm_open(variant->index);
		ASSERT_GE(fd, 0);
		close(fd);
	}
	EXPECT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* A stranger with memory of its own on the device. */
static void stranger(int index)
{
	int fd = dm_open(index);
	struct dm_buf b;
	char why[DM_MSG];

	if (fd < 0 || dm_buf_anon(&b, NPAGES, DM_BUF_SMALL))
		_exit(1);
	dm_fill(b.ptr, NPAGES, b.ptr, 2, DM_CHILD);
	if (race_to_dev_all(fd, &b, why))
		_exit(2);
	close(fd);
	_exit(dm_verify(b.ptr, NPAGES, b.ptr, 2, DM_CHILD, NULL) ? 3 : 0);
}

TEST_F(clients, other_process)
{
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid)
		stranger(variant->index);
	EXPECT_EQ(0, sc_reap(pid));
	/* The fork made the device look again; it did not move anything. */
	EXPECT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* The file that brought the pages in is closed; another one asks. */
TEST_F(clients, own_file_closed)
{
	int fd = dm_open(variant->index);

	ASSERT_GE(fd, 0);
	close(self->dm.fd);
	self->dm.fd = fd;
	EXPECT_ALL(fd, self->b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_EQ(0, dm_read(fd, self->b.ptr, NPAGES, self->b.mirror, NULL));
	EXPECT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 1, DM_CPU);
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

TEST_HARNESS_MAIN
