// SPDX-License-Identifier: GPL-2.0
/*
 * Who may open the node, and whom an open file serves: the address space that
 * opened it, whoever holds the file.
 */
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <xf86drm.h>
#include "dm_drm_harness.h"
#include "scene.h"

#define NPAGES	16UL
#define NOBODY	65534
#define RENDER	4711	/* any group */

FIXTURE(open) {
	struct dm_ctx dm;
	int drm;
	char node[64];
	struct stat st;
};

DM_VARIANTS(open);

FIXTURE_SETUP(open)
{
	DMD_SETUP(&self->dm, &self->drm, variant->index, variant->peer);
	ASSERT_EQ(0, dmd_node(variant->index, self->node, sizeof(self->node)));
	ASSERT_EQ(0, stat(self->node, &self->st));
}

FIXTURE_TEARDOWN(open)
{
	EXPECT_EQ(0, chown(self->node, self->st.st_uid, self->st.st_gid));
	EXPECT_EQ(0, chmod(self->node, self->st.st_mode & 07777));
	dmd_teardown(_metadata, &self->dm, self->drm);
}

static int param_of(int fd)
{
	__u64 value;

	return dmd_param(fd, HMM_DMIRROR_PARAM_DEVICE, &value);
}

/* Every command but INJECT, which is not for everybody. Returns 0 or a negative errno. */
static int use_commands(int fd, struct dm_buf *b)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_FILL, .length = b->size, .value = 7,
		.dst = (__u64)(uintptr_t)b->ptr,
	};
	struct drm_hmm_dmirror_inject inject = { .point = "copy" };
	__u64 pages[NPAGES], value;
	int ret = param_of(fd);

	if (!ret)
		ret = dmd_advise(fd, b->ptr, b->size, HMM_DMIRROR_ADVISE_LOCATION,
				 HMM_DMIRROR_LOCATION_SYSTEM);
	if (!ret)
		ret = dmd_run(fd, &job, NULL);
	if (!ret && (*(__u64 *)b->ptr != 7 || ((__u64 *)(b->ptr + b->size))[-1] != 7))
		ret = -EIO;
	if (!ret)
		ret = dmd_query(fd, b->ptr, NPAGES, pages);
	if (!ret)
		ret = dmd_stats(fd, HMM_DMIRROR_STATS_FILE, &value, 1);
	if (!ret)
		ret = dmd_evict(fd, HMM_DMIRROR_EVICT_RANGE, b->ptr, b->size, NULL);
	if (!ret && dmd_has(fd, HMM_DMIRROR_FEATURE_EXCLUSIVE))
		ret = dmd_exclusive(fd, HMM_DMIRROR_EXCLUSIVE_TAKE, b->ptr, b->size, NULL);
	if (ret || !geteuid())
		return ret;
	ret = dmd_inject(fd, &inject);
	if (ret == -EPERM || ret == -EOPNOTSUPP)
		return 0;
	return ret ? ret : -ENOTRECOVERABLE;
}

/*
 * Opens, moves pages there and back, and does all else there is; the errno, for an
 * exit status.
 */
static int use_node(const char *path)
{
	struct dm_buf b;
	int fd, ret;

	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno;
	ret = -dm_buf_anon(&b, NPAGES, DM_BUF_SMALL);
	if (ret)
		return ret;
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CHILD);
	ret = -dmd_to_vram(fd, b.ptr, b.size);
	if (!ret)
		ret = -dmd_to_system(fd, b.ptr, b.size);
	if (!ret && dm_verify(b.ptr, NPAGES, b.ptr, 1, DM_CHILD, NULL))
		ret = EIO;
	if (!ret)
		ret = -use_commands(fd, &b);
	close(fd);
	return ret;
}

/* use_node() in a process of nobody's, in one group or in none. */
static int use_as_nobody(const char *path, gid_t group)
{
	pid_t pid = fork();

	if (pid)
		return sc_reap(pid);
	if (setgroups(group ? 1 : 0, &group) || setgid(NOBODY) || setuid(NOBODY))
		_exit(255);
	_exit(use_node(path));
}

/* The mode of the node is all that counts: as the kernel makes it, as udev does. */
TEST_F(open, unprivileged)
{
	ASSERT_EQ(0, chmod(self->node, 0600));
	EXPECT_EQ(EACCES, use_as_nobody(self->node, 0));
	ASSERT_EQ(0, chown(self->node, 0, RENDER));
	ASSERT_EQ(0, chmod(self->node, 0660));
	EXPECT_EQ(EACCES, use_as_nobody(self->node, 0));
	EXPECT_EQ(0, use_as_nobody(self->node, RENDER));
	ASSERT_EQ(0, chmod(self->node, 0666));
	EXPECT_EQ(0, use_as_nobody(self->node, 0));
}

/* A file opened for reading serves as well: commands do not look at that. */
TEST_F(open, read_only)
{
	int fd = open(self->node, O_RDONLY | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, param_of(fd));
	EXPECT_EQ(0, close(fd));
}

/* Through the primary node, the same commands. */
TEST_F(open, primary)
{
	char *name = drmGetPrimaryDeviceNameFromFd(self->drm);
	int fd;

	ASSERT_NE(NULL, name);
	fd = open(name, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(DRM_NODE_PRIMARY, drmGetNodeTypeFromFd(fd));
	EXPECT_EQ(0, param_of(fd));
	EXPECT_EQ(0, close(fd));
	free(name);
}

TEST_F(open, inherited)
{
	struct drm_hmm_dmirror_event e;
	struct drm_hmm_dmirror_job job = { .op = HMM_DMIRROR_JOB_NOP };
	struct drm_hmm_dmirror_submit s = {
		.jobs = (uintptr_t)&job, .nr_jobs = 1, .user_data = 4711,
		.flags = HMM_DMIRROR_SUBMIT_EVENT,
	};
	struct pollfd p = { .fd = self->drm, .events = POLLIN };
	__u64 value = 0;
	__u32 handle;
	pid_t pid;

	ASSERT_EQ(0, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_SUBMIT, &s));
	ASSERT_EQ(1, poll(&p, 1, sc_slow(8000)));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (param_of(self->drm) != -EPERM)
			_exit(1);
		if (dmd_to_vram(self->drm, &value, DM_PAGE) != -EPERM)
			_exit(2);
		/* Wrong or not, nothing of it is looked at. */
		if (dmd_migrate(self->drm, NULL, 1, 99, 99, 99, NULL) != -EPERM)
			_exit(3);
		if (dmd_evict(self->drm, HMM_DMIRROR_EVICT_ALL, NULL, 0, NULL) !=
		    -EPERM)
			_exit(4);
		/* Nor what is for others, and what the core does with fences. */
		if (poll(&p, 1, 0) != 1 || p.revents != POLLERR)
			_exit(5);
		if (read(self->drm, &e, sizeof(e)) != -1 || errno != EPERM)
			_exit(6);
		if (drmSyncobjCreate(self->drm, 0, &handle) != -EPERM)
			_exit(7);
		/* Its own file serves it all right. */
		_exit(use_node(self->node));
	}
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_EQ(0, param_of(self->drm));
	ASSERT_EQ(0, dmd_event(self->drm, &e, 0));
	EXPECT_EQ(4711, e.user_data);
}

static void *param_thread(void *fd)
{
	return (void *)(long)param_of(*(int *)fd);
}

static int param_clone(void *fd)
{
	__u64 value;
	struct drm_hmm_dmirror_get_param arg = {
		.param = HMM_DMIRROR_PARAM_DEVICE,
	};

	value = ioctl(*(int *)fd, DRM_IOCTL_HMM_DMIRROR_GET_PARAM, &arg);
	return value ? 1 : 0;
}

/* The address space counts: threads, and processes that share it, are served. */
TEST_F(open, same_address_space)
{
	static char stack[65536] __attribute__((aligned(16)));
	pthread_t thread;
	void *ret;
	pid_t pid;

	ASSERT_EQ(0, pthread_create(&thread, NULL, param_thread, &self->drm));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
	pid = clone(param_clone, stack + sizeof(stack), CLONE_VM | SIGCHLD,
		    &self->drm);
	ASSERT_GT(pid, 0);
	EXPECT_EQ(0, sc_reap(pid));
}

/* The new program is somebody else, though the process is the same. */
TEST_F(open, exec)
{
	char dir[256], path[300], arg[16];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	pid_t pid;
	int fd;

	ASSERT_GT(n, 0);
	dir[n] = '\0';
	snprintf(path, sizeof(path), "%s/fd_probe", dirname(dir));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		fd = open(self->node, O_RDWR);
		if (fd < 0 || param_of(fd))
			_exit(254);
		snprintf(arg, sizeof(arg), "%d", fd);
		execl(path, path, arg, NULL);
		_exit(253);
	}
	EXPECT_EQ(EPERM, sc_reap(pid));
}

static int send_fd(int sock, int fd)
{
	char c = 0, space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = space,
			      .msg_controllen = sizeof(space) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int sock)
{
	char c, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = space,
			      .msg_controllen = sizeof(space) };
	int fd;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -EIO;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* Sent to another process it is of no use; sent back it is. */
TEST_F(open, passed)
{
	int sock[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sock));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		fd = receive_fd(sock[1]);
		if (fd < 0 || param_of(fd) != -EPERM)
			_exit(1);
		_exit(send_fd(sock[1], fd) ? 2 : 0);
	}
	EXPECT_EQ(0, send_fd(sock[0], self->drm));
	fd = receive_fd(sock[0]);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_EQ(0, param_of(fd));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(sock[0]));
	EXPECT_EQ(0, close(sock[1]));
}

/* Of somebody who has died: of no use, harmless, and can be closed. */
TEST_F(open, opener_dead)
{
	int sock[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, sock));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		struct dm_buf b;

		fd = open(self->node, O_RDWR);
		if (fd < 0 || dm_buf_anon(&b, NPAGES, DM_BUF_SMALL) ||
		    dmd_migrate(fd, b.ptr, b.size, HMM_DMIRROR_DEST_VRAM,
				HMM_DMIRROR_MIGRATE_MAP, 0, NULL))
			_exit(1);
		_exit(send_fd(sock[1], fd) ? 2 : 0);
	}
	fd = receive_fd(sock[0]);
	EXPECT_EQ(0, sc_reap(pid));
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EPERM, param_of(fd));
	/* Its memory has gone with it, though the file is still there. */
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(sock[0]));
	EXPECT_EQ(0, close(sock[1]));
}

TEST_F(open, many)
{
	int fd[64], i;

	for (i = 0; i < 64; i++) {
		fd[i] = open(self->node, O_RDWR | O_CLOEXEC);
		ASSERT_GE(fd[i], 0);
		EXPECT_EQ(0, param_of(fd[i]));
	}
	/* One of the character device and the fixture's own. */
	EXPECT_MOVED(&self->dm, "clients", 64 + 2);
	for (i = 0; i < 64; i++)
		EXPECT_EQ(0, close(fd[i]));
	EXPECT_MOVED(&self->dm, "clients", 2);
}

TEST_HARNESS_MAIN
