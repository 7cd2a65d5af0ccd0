// SPDX-License-Identifier: GPL-2.0
/*
 * Who may use the node, whose memory a file of it shows, and what mapping the
 * node costs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "dm_harness.h"
#include "scene.h"
#include "targets.h"

#define NPAGES		8
#define MMAP_MAX	(16UL << 20)

FIXTURE(access)
{
	struct dm_ctx	dm;
	struct dm_buf	b;
};

DM_VARIANTS(access);

FIXTURE_SETUP(access)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(access)
{
	dm_buf_free(&self->b);
	dm_teardown(_metadata, &self->dm);
}

TEST_F(access, root_only)
{
	struct stat st;
	char path[40];
	pid_t pid;

	snprintf(path, sizeof(path), "/dev/hmm_dmirror%d", variant->index);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			_exit(120);
		_exit(-dm_open(variant->index));
	}
	EXPECT_EQ(EACCES, sc_reap(pid));
}

TEST_F(access, counters_root_only)
{
	struct stat st;
	char path[80];

	if (!self->dm.counters)
		SKIP(return, "this module has no counters");
	snprintf(path, sizeof(path), "/sys/kernel/debug/hmm_dmirror/%d/stats",
		 variant->index);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(0, st.st_mode & 0077);
}

static int try_mmap(int fd, unsigned long size, int flags)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, size);
	return 0;
}

TEST_F(access, mmap_is_bounded)
{
	EXPECT_EQ(0, try_mmap(self->dm.fd, DM_PAGE, MAP_SHARED));
	EXPECT_EQ(0, try_mmap(self->dm.fd, DM_PAGE, MAP_PRIVATE));
	EXPECT_EQ(0, try_mmap(self->dm.fd, MMAP_MAX, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_mmap(self->dm.fd, MMAP_MAX + DM_PAGE, MAP_SHARED));
	EXPECT_EQ(-EINVAL, try_mmap(self->dm.fd, 1UL << 30, MAP_SHARED));
}

/* What is mapped is zeroed, private to the mapping, and freed with it. */
TEST_F(access, mmap_is_clean)
{
	uint8_t *p, *q;

	p = mmap(NULL, 4 * DM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 self->dm.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_ZERO_PAGES(p, 4);
	dm_fill(p, 4, p, 9, DM_CPU);
	q = mmap(NULL, 4 * DM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 self->dm.fd, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_ZERO_PAGES(q, 4);
	EXPECT_EQ(0, dm_read(self->dm.fd, p, 4, self->b.mirror, NULL));
	EXPECT_TAGS(self->b.mirror, 4, p, 9, DM_CPU);
	munmap(p, 4 * DM_PAGE);
	munmap(q, 4 * DM_PAGE);
}

/* A child uses the parent's file: it sees the parent's memory, not its own. */
TEST_F(access, inherited_file)
{
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		dm_fill(self->b.ptr, NPAGES, self->b.ptr, 3, DM_CHILD);
		if (dm_read(self->dm.fd, self->b.ptr, NPAGES, self->b.mirror,
			    NULL))
			_exit(1);
		if (dm_verify(self->b.mirror, NPAGES, self->b.ptr, 1, DM_CPU,
			      NULL))
			_exit(2);
		dm_fill(self->b.mirror, NPAGES, self->b.ptr, 4, DM_DEV);
		if (dm_write(self->dm.fd, self->b.ptr, NPAGES, self->b.mirror,
			     NULL))
			_exit(3);
		/* Written to the parent. */
		_exit(dm_verify(self->b.ptr, NPAGES, self->b.ptr, 3, DM_CHILD,
				NULL) ? 4 : 0);
	}
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 4, DM_DEV);
}

static int send_fd(int sock, int fd)
{
	char byte = 0, room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = room, .msg_controllen = sizeof(room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &m, 0) == 1 ? 0 : -errno;
}

static int recv_fd(int sock)
{
	char byte, room[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = room, .msg_controllen = sizeof(room) };
	int fd;

	if (recvmsg(sock, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return -EIO;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* The process that opened the file is gone; the file was passed on. */
TEST_F(access, opener_is_dead)
{
	static const int want[C_COUNT] = {
		[C_READ] = EFAULT, [C_WRITE] = EFAULT,
		[C_READ_UNLOCKED] = EFAULT, [C_TO_DEV] = EINVAL,
		[C_TO_SYS] = EINVAL, [C_SNAPSHOT] = EINVAL,
		[C_EXCLUSIVE] = EINVAL, [C_CHECK] = EINVAL, [C_RELEASE] = 0,
		[C_FLAGS] = 0,
	};
	int sock[2], fd, c, ret;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		fd = dm_open(variant->index);
		if (fd < 0)
			_exit(1);
		/* Something for the file to remember. */
		dm_to_dev(fd, self->b.ptr, NPAGES, self->b.mirror, NULL);
		_exit(send_fd(sock[1], fd) ? 2 : 0);
	}
	fd = recv_fd(sock[0]);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, sc_reap(pid));
	for (c = 0; c < C_COUNT; c++) {
		ret = dm_cmd(fd, command_nr[c], self->b.ptr,
			     c == C_FLAGS ? 1 : NPAGES, self->b.mirror, NULL);
		EXPECT_EQ(-want[c], ret) {
			TH_LOG("%s: %d", command_name[c], ret);
		}
	}
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-EBADF, dm_release(fd));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

TEST_HARNESS_MAIN
