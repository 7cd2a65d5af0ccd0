// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that somebody else holds while everybody wants to move them: a fixed I/O
 * buffer, I/O in flight. They stay in their frames, whatever asks; what is next
 * to them goes; and once let go they go, too.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <linux/io_uring.h>

#include "pressure.h"

#define NPAGES	256UL
#define FIRST	64UL
#define HELD	64UL		/* pages [FIRST, FIRST + HELD) */

FIXTURE(pins)
{
	struct pr_env	e;
	struct dm_buf	b;
	__u8		*held;
	__u64		frames[HELD];
	int		disk;		/* -2: none was asked for */
};

FIXTURE_VARIANT(pins)
{
	int index; int peer;
	enum pr_swap swap;
};

FIXTURE_VARIANT_ADD(pins, private_zram) {
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .swap = PR_ZRAM };
FIXTURE_VARIANT_ADD(pins, private_zswap) {
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .swap = PR_ZSWAP };
FIXTURE_VARIANT_ADD(pins, coherent_zram) {
	.index = DM_COHERENT0, .peer = DM_COHERENT1, .swap = PR_ZRAM };

#define NULLB	"/sys/kernel/config/nullb"

/* A disk in memory. Returns it opened for direct I/O. */
static int disk_make(void)
{
	static const char *const probe[] = { "modprobe", "-q", "null_blk",
					     "nr_devices=0", NULL };
	static const char *const mnt[] = { "mount", "-t", "configfs",
					   "configfs", "/sys/kernel/config",
					   NULL };
	static const char *const set[][2] = {
		{ "memory_backed", "1" }, { "size", "16" }, { "power", "1" },
	};
	char path[96];
	__u64 id;
	int i;

	if (dm_run(probe) || (access(NULLB, F_OK) && dm_run(mnt)) ||
	    mkdir(NULLB "/held", 0755))
		return -1;
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), NULLB "/held/%s", set[i][0]);
		if (dm_write_file(path, set[i][1]))
			return -1;
	}
	if (dm_read_u64(NULLB "/held/index", &id))
		return -1;
	snprintf(path, sizeof(path), "/dev/nullb%d", (int)id);
	if (access(path, F_OK))
		snprintf(path, sizeof(path), "/dev/held");
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static void disk_remove(int disk)
{
	if (disk >= 0)
		close(disk);
	dm_write_file(NULLB "/held/power", "0");
	rmdir(NULLB "/held");
}

/*
 * The I/O of the group to the disk waits, for longer than any test takes, or
 * goes on: so slow is it allowed to be.
 */
static int disk_limit(struct pr_env *e, int disk, const char *limit)
{
	char text[96];
	struct stat st;

	if (fstat(disk, &st) ||
	    dm_write_file("/sys/fs/cgroup/cgroup.subtree_control", "+io"))
		return -EIO;
	snprintf(text, sizeof(text), "%u:%u rbps=%s wbps=%s", major(st.st_rdev),
		 minor(st.st_rdev), limit, limit);
	return dm_cg_write(&e->cg, "io.max", text);
}

FIXTURE_SETUP(pins)
{
	self->disk = -2;
	pr_setup(_metadata, &self->e, variant->index, variant->peer,
		 variant->swap);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, pr_buf(&self->e, &self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	self->held = self->b.ptr + FIRST * DM_PAGE;
}

FIXTURE_TEARDOWN(pins)
{
	if (self->disk >= 0)
		disk_limit(&self->e, self->disk, "max");
	if (self->disk > -2)
		disk_remove(self->disk);
	dm_buf_free(&self->b);
	pr_teardown(_metadata, &self->e);
}

#define E	(&self->e)
#define FD	(self->e.dm.fd)

/* Frames of the held pages; false if one is not in memory. */
static bool frames_of(const void *held, __u64 *frames)
{
	bool all = true;
	int i;

	if (dm_pagemap(held, HELD, frames))
		return false;
	for (i = 0; i < HELD; i++) {
		frames[i] = dm_pm_pfn(frames[i]);
		all = all && frames[i];
	}
	return all;
}

/* Is each held page in the frame it was in? */
#define EXPECT_IN_PLACE() do {						\
	__u64 now_[HELD];						\
									\
	ASSERT_TRUE(frames_of(self->held, now_));			\
	EXPECT_EQ(0, memcmp(self->frames, now_, sizeof(now_)));		\
	EXPECT_ALL(FD, self->held, HELD, DM_SYS);			\
} while (0)

/*
 * Everything that moves pages has a go. Device, reclaim and the kernel's own
 * migration get the neighbours only, and the device says which were held.
 */
#define EVERYBODY_TRIES() do {						\
	struct hmm_dmirror_cmd res_;					\
									\
	ASSERT_EQ(0, dm_read(FD, self->b.ptr, NPAGES, self->b.mirror,	\
			     NULL));					\
	dm_restart(&E->dm);						\
	EXPECT_EQ(-ENOENT, dm_to_dev(FD, self->b.ptr, NPAGES,		\
				     self->b.mirror, &res_));		\
	EXPECT_EQ(NPAGES - HELD, res_.cpages);				\
	EXPECT_MOVED(&E->dm, "in_busy_pages", HELD);			\
	EXPECT_CLASSES(&E->dm, "in", NPAGES);				\
	EXPECT_IN_PLACE();						\
	madvise(self->b.ptr, self->b.size, MADV_PAGEOUT);		\
	pr_reclaim(E, self->b.size);					\
	dm_write_file("/proc/sys/vm/compact_memory", "1");		\
	EXPECT_IN_PLACE();						\
	ASSERT_EQ(0, dm_to_sys(FD, self->b.ptr, NPAGES, NULL));		\
	ASSERT_EQ(0, dm_swap_out(self->b.ptr, FIRST));			\
	pr_reclaim(E, self->b.size);					\
	EXPECT_ALL(FD, self->b.ptr, FIRST, DM_SWAPPED);			\
	EXPECT_IN_PLACE();						\
} while (0)

/* Let go, all of it goes. References may be dropped a little later. */
#define EXPECT_FREE(gen, writer) do {					\
	int ret_ = -ENOENT, tries_;					\
									\
	for (tries_ = 0; ret_ == -ENOENT && tries_ < 200; tries_++) {	\
		ret_ = pr_to_dev(E, self->b.ptr, NPAGES, self->b.mirror); \
		sched_yield();						\
	}								\
	EXPECT_EQ(0, ret_);						\
	EXPECT_ALL(FD, self->b.ptr, NPAGES, DM_ON_DEV);			\
	ASSERT_EQ(0, dm_to_sys(FD, self->b.ptr, NPAGES, NULL));		\
	EXPECT_EQ(0, dm_swap_out(self->b.ptr, NPAGES));			\
	EXPECT_TAGS(self->held, HELD, self->held, gen, writer);		\
} while (0)

/* Pinned for long as a fixed buffer. */
TEST_F(pins, fixed_buffer)
{
	struct iovec iov = { self->held, HELD * DM_PAGE };
	struct io_uring_params p = { 0 };
	int ring = syscall(__NR_io_uring_setup, 4, &p);

	if (ring < 0)
		SKIP(return, "no io_uring");
	ASSERT_EQ(0, syscall(__NR_io_uring_register, ring,
			     IORING_REGISTER_BUFFERS, &iov, 1));
	ASSERT_TRUE(frames_of(self->held, self->frames));
	EVERYBODY_TRIES();
	/* The device may use it where it is. */
	dm_fill(self->b.mirror, HELD, self->held, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(FD, self->held, HELD, self->b.mirror, NULL));
	EVERYBODY_TRIES();
	EXPECT_TAGS(self->held, HELD, self->held, 2, DM_DEV);
	ASSERT_EQ(0, syscall(__NR_io_uring_register, ring,
			     IORING_UNREGISTER_BUFFERS, NULL, 0));
	EXPECT_FREE(2, DM_DEV);
	close(ring);
}

struct io {
	int fd;
	bool write;
	void *mem;
	pid_t tid;
	ssize_t ret;
};

static void *do_io(void *arg)
{
	struct io *io = arg;

	__atomic_store_n(&io->tid, gettid(), __ATOMIC_RELEASE);
	if (io->write)
		io->ret = pwrite(io->fd, io->mem, HELD * DM_PAGE, 0);
	else
		io->ret = pread(io->fd, io->mem, HELD * DM_PAGE, 0);
	return NULL;
}

/* One direct I/O that has its pages and is not let through to the disk. */
static void begin_io(struct __test_metadata *_metadata, struct pr_env *e,
		     struct io *io, pthread_t *t)
{
	pid_t tid;

	io->tid = 0;
	ASSERT_EQ(0, disk_limit(e, io->fd, "1024"));
	ASSERT_EQ(0, pthread_create(t, NULL, do_io, io));
	while (!(tid = __atomic_load_n(&io->tid, __ATOMIC_ACQUIRE)))
		sched_yield();
	ASSERT_EQ(0, sc_wait_syscall(getpid(), tid,
				     io->write ? __NR_pwrite64 : __NR_pread64));
}

static void end_io(struct __test_metadata *_metadata, struct pr_env *e,
		   struct io *io, pthread_t t)
{
	/* It was in flight until now. */
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(t, NULL));
	ASSERT_EQ(0, disk_limit(e, io->fd, "max"));
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_EQ(HELD * DM_PAGE, io->ret);
}

/* Direct I/O in flight in either direction: until it ends the pages are held. */
TEST_F(pins, direct_io_in_flight)
{
	struct io io = { .mem = self->held };
	pthread_t t;
	int dir;

	self->disk = disk_make();
	if (self->disk < 0)
		SKIP(return, "no null_blk");
	if (disk_limit(E, self->disk, "max"))
		SKIP(return, "no limits of I/O");
	io.fd = self->disk;
	/* Out, then back in over what was written meanwhile. */
	for (dir = 0; dir < 2; dir++) {
		dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1 + dir, DM_CPU);
		ASSERT_TRUE(frames_of(self->held, self->frames));
		io.write = !dir;
		begin_io(_metadata, E, &io, &t);
		EVERYBODY_TRIES();
		end_io(_metadata, E, &io, t);
		EXPECT_FREE(1, DM_CPU);
	}
}

/*
 * Held by a pipe that was given the pages themselves. That is a reference and no
 * pin: reclaim takes the entries away and finds out only then, so a page is in
 * its frame, but has to be looked at to be in the page table, too.
 */
TEST_F(pins, pages_in_a_pipe)
{
	struct iovec iov = { self->held, HELD * DM_PAGE };
	struct hmm_dmirror_cmd res;
	int fds[2], i;
	__u64 now[HELD];

	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	ASSERT_LE(HELD * DM_PAGE, fcntl(fds[1], F_SETPIPE_SZ, HELD * DM_PAGE));
	ASSERT_TRUE(frames_of(self->held, self->frames));
	ASSERT_EQ(HELD * DM_PAGE, vmsplice(fds[1], &iov, 1, 0));
	dm_restart(&E->dm);
	EXPECT_EQ(-ENOENT, dm_to_dev(FD, self->b.ptr, NPAGES, self->b.mirror,
				     &res));
	EXPECT_EQ(NPAGES - HELD, res.cpages);
	EXPECT_MOVED(&E->dm, "in_busy_pages", HELD);
	EXPECT_IN_PLACE();
	for (i = 0; i < 3; i++) {
		madvise(self->b.ptr, self->b.size, MADV_PAGEOUT);
		pr_reclaim(E, self->b.size);
		dm_write_file("/proc/sys/vm/compact_memory", "1");
		/* The device has a look, or the CPU. */
		EXPECT_EQ(0, dm_read(FD, self->held, HELD, self->b.mirror, NULL));
		EXPECT_TAGS(self->b.mirror, HELD, self->held, 1, DM_CPU);
		EXPECT_TAGS(self->held, HELD, self->held, 1, DM_CPU);
		ASSERT_TRUE(frames_of(self->held, now));
		EXPECT_EQ(0, memcmp(self->frames, now, sizeof(now)));
	}
	ASSERT_EQ(HELD * DM_PAGE, read(fds[0], self->b.mirror, HELD * DM_PAGE));
	EXPECT_TAGS(self->b.mirror, HELD, self->held, 1, DM_CPU);
	close(fds[0]);
	close(fds[1]);
	EXPECT_FREE(1, DM_CPU);
}

TEST_HARNESS_MAIN
