// SPDX-License-Identifier: GPL-2.0
/*
 * Lives of processes and descriptors that do not match: inherited descriptors,
 * owners that exit first, execve(), shared address spaces, sudden death, many
 * short lives. Device memory belongs to address spaces, so it goes when they
 * go and not before. Owns its buffers and children; no locks.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "actor.h"
#include "stage.h"

#define NPAGES	64UL

FIXTURE(cow_life) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct actor parent, child;
};

FIXTURE_SETUP(cow_life)
{
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	actor_self(&self->parent, &self->b, self->dm.fd);
}

FIXTURE_TEARDOWN(cow_life)
{
	EXPECT_EQ(0, actor_end(&self->child));
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/*
 * An inherited descriptor keeps serving the process that opened it: a child's
 * commands through it reach the parent's pages and never its own.
 */
TEST_F(cow_life, inherited_descriptor)
{
	ASSERT_EQ(0, actor_fork(&self->child, &self->b, self->dm.fd));
	/* Separate contents at the same addresses. */
	ASSERT_EQ(0, act(&self->child, A_CPU_FILL, 0, NPAGES, 5, DM_CHILD));
	ASSERT_EQ(0, act(&self->parent, A_CPU_FILL, 0, NPAGES, 2, DM_CPU));

	ASSERT_EQ(0, act(&self->child, A_DEV_CHECK, 0, NPAGES, 2, DM_CPU));
	ASSERT_EQ(0, act(&self->child, A_TO_DEV, 0, NPAGES, 0, 0));
	ASSERT_EQ(0, act_where(&self->parent, 0, NPAGES, DM_ON_DEV));
	ASSERT_EQ(0, act(&self->child, A_DEV_FILL, 0, NPAGES, 6, DM_DEV));
	ASSERT_EQ(0, act(&self->child, A_CPU_CHECK, 0, NPAGES, 5, DM_CHILD));
	ASSERT_EQ(0, act_where(&self->parent, 0, NPAGES, DM_ON_DEV));
	ASSERT_EQ(0, act(&self->child, A_TO_SYS, 0, NPAGES / 2, 0, 0));
	ASSERT_EQ(0, act_where(&self->parent, 0, NPAGES / 2, DM_SYS));
	ASSERT_EQ(0, act(&self->parent, A_CPU_CHECK, 0, NPAGES, 6, DM_DEV));
	ASSERT_EQ(0, act(&self->child, A_CPU_CHECK, 0, NPAGES, 5, DM_CHILD));
}

/* Where the child has no mapping at all, the parent's is used all the same. */
TEST_F(cow_life, inherited_descriptor_unmapped)
{
	struct dm_buf copy = self->b;
	__u8 *out;

	out = mmap(NULL, self->b.size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, out);
	copy.mirror = out;
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_DONTFORK));
	ASSERT_EQ(0, actor_fork(&self->child, &copy, self->dm.fd));
	ASSERT_EQ(0, act(&self->child, A_DEV_CHECK, 0, NPAGES, 1, DM_CPU));
	ASSERT_TAGS(out, NPAGES, self->b.ptr, 1, DM_CPU);
	munmap(out, self->b.size);
}

/*
 * All commands of a descriptor whose address space is gone, one bit for each
 * that answers wrongly; same meaning as in after_exec.
 */
static int orphan_errors(int fd, struct dm_buf *b)
{
	int bad = 0;

	bad |= (dm_read(fd, b->ptr, 4, b->mirror, NULL) != -EFAULT) << 0;
	bad |= (dm_write(fd, b->ptr, 4, b->mirror, NULL) != -EFAULT) << 1;
	bad |= (dm_read_unlocked(fd, b->ptr, 4, b->mirror, NULL) !=
		-EFAULT) << 2;
	bad |= (dm_to_dev(fd, b->ptr, 4, b->mirror, NULL) != -EINVAL) << 3;
	bad |= (dm_to_sys(fd, b->ptr, 4, NULL) != -EINVAL) << 4;
	bad |= (dm_snapshot(fd, b->ptr, 4, b->mirror) != -EINVAL) << 5;
	bad |= (dm_exclusive(fd, b->ptr, 4, b->mirror, NULL) != -EINVAL) << 6;
	return bad;
}

/* The heir: keeps the descriptor of a process that is dead by now. */
static int heir(int fd, struct dm_buf *b, struct sc_sync *go)
{
	int ret;

	if (sc_wait(go))
		return 100;
	ret = orphan_errors(fd, b);
	if (!ret && dm_verify(b->ptr, b->npages, b->ptr, 4, DM_CHILD, NULL))
		return 101;
	return ret;
}

/*
 * The opener exits, its child keeps the descriptor: the opener's pages leave
 * the device with it, and every command on a range fails as documented.
 */
TEST_F(cow_life, opener_exits_first)
{
	struct sc_sync go, done;
	pid_t opener;
	char c = 77;

	ASSERT_EQ(0, sc_sync_init(&go));
	ASSERT_EQ(0, sc_sync_init(&done));
	dm_restart(&self->dm);
	opener = fork();
	ASSERT_LE(0, opener);
	if (!opener) {
		int fd = dm_open(self->dm.index);

		if (fd < 0)
			_exit(1);
		if (!fork()) {
			/* Own pages, so that none is shared with the opener. */
			dm_fill(self->b.ptr, NPAGES, self->b.ptr, 4, DM_CHILD);
			c = 0;
			if (write(done.fd[1], &c, 1) != 1)
				_exit(1);
			c = heir(fd, &self->b, &go);
			if (write(done.fd[1], &c, 1) != 1)
				_exit(1);
			_exit(0);
		}
		if (sc_wait(&done))
			_exit(2);
		dm_fill(self->b.ptr, NPAGES, self->b.ptr, 3, DM_PEER);
		if (dm_to_dev(fd, self->b.ptr, NPAGES, self->b.mirror, NULL))
			_exit(3);
		_exit(dm_all(fd, self->b.ptr, NPAGES, DM_ON_DEV, NULL) ? 4 : 0);
	}
	ASSERT_EQ(0, sc_reap(opener));
	if (self->dm.counters)
		ASSERT_EQ(0, stage_delta(&self->dm, "vram_resident_pages"));
	sc_post(&go);
	ASSERT_EQ(1, read(done.fd[0], &c, 1));
	ASSERT_EQ(0, c) {
		TH_LOG("bits of the commands that answered wrongly: %#x", c);
	}
	ASSERT_EQ(0, act(&self->parent, A_CPU_CHECK, 0, NPAGES, 1, DM_CPU));
	sc_sync_fini(&go);
	sc_sync_fini(&done);
}

static void exec_after(int fd, struct sc_sync *ready, struct sc_sync *go)
{
	char self[PATH_MAX], path[PATH_MAX], arg[3][16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		_exit(30);
	self[n] = '\0';
	snprintf(path, sizeof(path), "%.4000s/after_exec", dirname(self));
	snprintf(arg[0], sizeof(arg[0]), "%d", fd);
	snprintf(arg[1], sizeof(arg[1]), "%d", ready->fd[1]);
	snprintf(arg[2], sizeof(arg[2]), "%d", go->fd[0]);
	execl(path, "after_exec", arg[0], arg[1], arg[2], NULL);
	_exit(31);
}

/*
 * execve() with pages on the device and the descriptor kept: the pages are
 * freed by the execve() itself, the descriptor is inert.
 */
TEST_F(cow_life, exec_keeps_descriptor)
{
	struct sc_sync ready, go;
	pid_t pid;
	int fd;

	ASSERT_EQ(0, sc_sync_init(&ready));
	ASSERT_EQ(0, sc_sync_init(&go));
	dm_restart(&self->dm);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* A plain open(2): not closed by execve(). */
		char node[32];

		snprintf(node, sizeof(node), "/dev/hmm_dmirror%d",
			 self->dm.index);
		fd = open(node, O_RDWR);
		dm_fill(self->b.ptr, NPAGES, self->b.ptr, 3, DM_CHILD);
		if (fd < 0 || dm_to_dev(fd, self->b.ptr, NPAGES,
					self->b.mirror, NULL))
			_exit(32);
		if (self->dm.counters &&
		    stage_delta(&self->dm, "vram_resident_pages") != NPAGES)
			_exit(33);
		exec_after(fd, &ready, &go);
	}
	ASSERT_EQ(0, sc_wait(&ready));
	if (self->dm.counters)
		ASSERT_EQ(0, stage_delta(&self->dm, "vram_resident_pages"));
	sc_post(&go);
	ASSERT_EQ(0, sc_reap(pid));
	ASSERT_EQ(0, act(&self->parent, A_CPU_CHECK, 0, NPAGES, 1, DM_CPU));
	sc_sync_fini(&ready);
	sc_sync_fini(&go);
}

/* Two descriptors, one address space: closing one takes nothing away. */
TEST_F(cow_life, two_descriptors)
{
	int second = dm_open(self->dm.index);

	ASSERT_LE(0, second);
	ASSERT_TO_DEV(second, &self->b, 1, DM_CPU);
	/* What the second brought, the first sees, writes and reads. */
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 2, DM_DEV);
	ASSERT_DEV_READS(second, &self->b, 2, DM_DEV);
	ASSERT_EQ(0, close(second));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 2, DM_DEV);
	if (self->dm.counters) {
		ASSERT_EQ(NPAGES, stage_delta(&self->dm, "vram_resident_pages"));
		ASSERT_EQ(0, stage_delta(&self->dm, "migrate_out_pages"));
	}
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 2, DM_DEV);
}

struct twin {
	struct dm_buf	*b;
	int		index, ret;
};

static int twin_main(void *arg)
{
	struct twin *t = arg;
	int fd = dm_open(t->index);

	t->ret = fd < 0 ? fd : dm_to_dev(fd, t->b->ptr, t->b->npages,
					 t->b->mirror, NULL);
	/* Its own descriptor table goes with it, the address space does not. */
	_exit(0);
}

/* A task sharing the address space migrates and ends: the pages stay. */
TEST_F(cow_life, clone_vm)
{
	struct twin t = { .b = &self->b, .index = self->dm.index };
	size_t len = 64 * 1024;
	char *stack;
	pid_t pid;

	stack = mmap(NULL, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, stack);
	pid = clone(twin_main, stack + len, CLONE_VM | SIGCHLD, &t);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, sc_reap(pid));
	ASSERT_EQ(0, t.ret);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	munmap(stack, len);
}

/* vfork() and execve() of something else leave the parent's pages alone. */
TEST_F(cow_life, vfork_exec)
{
	pid_t pid;

	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	pid = vfork();
	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	ASSERT_EQ(0, sc_reap(pid));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
}

/* The last descriptor closes: the pages stay where they are, and intact. */
TEST_F(cow_life, close_leaves_pages)
{
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, close(self->dm.fd));
	if (self->dm.counters) {
		ASSERT_EQ(NPAGES, stage_delta(&self->dm, "vram_resident_pages"));
		ASSERT_EQ(0, stage_delta(&self->dm, "migrate_out_pages"));
	}
	self->dm.fd = dm_open(self->dm.index);
	ASSERT_LE(0, self->dm.fd);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* Descriptor passed over a socket: still the sender's address space. */
TEST_F(cow_life, passed_descriptor)
{
	char buf[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = buf, .msg_controllen = sizeof(buf),
	};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
	int pair[2], fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		dm_fill(self->b.ptr, NPAGES, self->b.ptr, 5, DM_CHILD);
		if (recvmsg(pair[1], &msg, 0) != 1)
			_exit(1);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		if (dm_read(fd, self->b.ptr, NPAGES, self->b.mirror, NULL) ||
		    dm_verify(self->b.mirror, NPAGES, self->b.ptr, 1, DM_CPU,
			      NULL))
			_exit(2);
		dm_fill(self->b.mirror, NPAGES, self->b.ptr, 6, DM_PEER);
		if (dm_write(fd, self->b.ptr, NPAGES, self->b.mirror, NULL) ||
		    dm_verify(self->b.ptr, NPAGES, self->b.ptr, 5, DM_CHILD,
			      NULL))
			_exit(3);
		_exit(0);
	}
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &self->dm.fd, sizeof(int));
	ASSERT_EQ(1, sendmsg(pair[0], &msg, 0));
	ASSERT_EQ(0, sc_reap(pid));
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 6, DM_PEER);
	close(pair[0]);
	close(pair[1]);
}

/*
 * A child that has pages of its own on the device and says so, then waits for
 * death.
 */
static void doomed(int index, struct sc_sync *ready)
{
	int fd = dm_open(index);
	struct dm_buf own;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || dm_buf_anon(&own, NPAGES, DM_BUF_SMALL))
		_exit(1);
	dm_fill(own.ptr, NPAGES, own.ptr, 3, DM_CHILD);
	if (dm_to_dev(fd, own.ptr, NPAGES, own.mirror, NULL) ||
	    sc_post(ready))
		_exit(1);
	for (;;)
		pause();
}

/*
 * Death by SIGKILL, SIGSEGV and abort() with pages resident: they are free by
 * the time the parent knows of the death, other clients keep theirs.
 */
TEST_F(cow_life, killed_with_pages)
{
	static const int how[] = { SIGKILL, SIGSEGV, SIGABRT };
	struct sc_sync ready;
	unsigned int i;
	pid_t pid;

	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, sc_sync_init(&ready));
	for (i = 0; i < ARRAY_SIZE(how); i++) {
		dm_restart(&self->dm);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			doomed(self->dm.index, &ready);
		ASSERT_EQ(0, sc_wait(&ready));
		if (self->dm.counters) {
			ASSERT_EQ(NPAGES, stage_delta(&self->dm,
						      "vram_resident_pages"));
			ASSERT_EQ(1, stage_delta(&self->dm, "clients"));
		}
		kill(pid, how[i]);
		ASSERT_EQ(128 + how[i], sc_reap(pid));
		if (self->dm.counters) {
			ASSERT_EQ(0, stage_delta(&self->dm,
						 "vram_resident_pages"));
			ASSERT_EQ(0, stage_delta(&self->dm, "clients"));
		}
		ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	}
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	sc_sync_fini(&ready);
	/* For the balance at the end: the pages of this process. */
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, NULL));
	dm_restart(&self->dm);
}

/* A child that does nothing but move pages of its own, in and out. */
static void restless(int index, struct sc_sync *ready)
{
	int fd = dm_open(index);
	struct dm_buf own;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || dm_buf_anon(&own, NPAGES, DM_BUF_SMALL))
		_exit(1);
	dm_fill(own.mirror, NPAGES, own.ptr, 3, DM_CHILD);
	if (sc_post(ready))
		_exit(1);
	for (;;) {
		dm_write(fd, own.ptr, NPAGES, own.mirror, NULL);
		dm_to_dev(fd, own.ptr, NPAGES, own.mirror, NULL);
		dm_to_sys(fd, own.ptr, NPAGES, NULL);
	}
}

/* Killed in the middle of ioctls that move pages: soon dead, nothing left. */
TEST_F(cow_life, killed_in_ioctl)
{
	struct sc_sync ready;
	long long start;
	pid_t pid;
	int i;

	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, sc_sync_init(&ready));
	dm_restart(&self->dm);
	for (i = 0; i < 10; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			restless(self->dm.index, &ready);
		ASSERT_EQ(0, sc_wait(&ready));
		start = sc_now_ms();
		kill(pid, SIGKILL);
		ASSERT_EQ(128 + SIGKILL, sc_reap(pid));
		ASSERT_GT(5000, sc_now_ms() - start);
	}
	if (self->dm.counters) {
		ASSERT_EQ(0, stage_delta(&self->dm, "vram_resident_pages"));
		ASSERT_EQ(0, stage_delta(&self->dm, "vram_inflight_pages"));
		ASSERT_EQ(0, stage_delta(&self->dm, "clients"));
	}
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	sc_sync_fini(&ready);
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, NULL));
	dm_restart(&self->dm);
}

/* Many short-lived clients: counters are back after every one of them. */
TEST_F(cow_life, many_short_lives)
{
	int i, fd;
	pid_t pid;

	dm_restart(&self->dm);
	for (i = 0; i < 200; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			fd = dm_open(self->dm.index);
			dm_fill(self->b.ptr, 4, self->b.ptr, 3, DM_CHILD);
			_exit(fd < 0 || dm_to_dev(fd, self->b.ptr, 4,
						  self->b.mirror, NULL) ||
			      dm_verify(self->b.mirror, 4, self->b.ptr, 3,
					DM_CHILD, NULL));
		}
		ASSERT_EQ(0, sc_reap(pid));
		if (self->dm.counters && i % 20 == 0) {
			ASSERT_EQ(0, stage_delta(&self->dm, "clients"));
			ASSERT_EQ(0, stage_delta(&self->dm,
						 "vram_resident_pages"));
		}
	}
	if (self->dm.counters) {
		ASSERT_EQ(4 * 200, stage_delta(&self->dm, "migrate_in_pages"));
		ASSERT_EQ(0, stage_delta(&self->dm, "vram_resident_pages"));
	}
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

TEST_HARNESS_MAIN
