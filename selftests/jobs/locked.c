// SPDX-License-Identifier: GPL-2.0
/*
 * A process that gets its address space locked and has another process decide when
 * that ends: it serves the file system from which the kernel, with the lock held, wants
 * a page. The process waits, with what it asked for itself; nobody else does.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/aio_abi.h>
#include "jobs.h"
#include "fused.h"
#include "modctl.h"

/* Sooner than a job runs out of time, which would let others go on as well. */
#define SOON_MS		3000
#define MAX_ENGINES	16

FIXTURE(locked) {
	struct dm_ctx dm;
	int drm;
	struct fused f;
	struct sc_sync ready;
	int engines;
};

FIXTURE_SETUP(locked)
{
	DMD_SETUP(&self->dm, &self->drm, DM_PRIVATE0, DM_PRIVATE1);
	self->engines = sc_param("engines", 4);
	if (self->engines > MAX_ENGINES)
		SKIP(return, "more engines than this is made for");
	if (fused_mount(&self->f))
		SKIP(return, "FUSE cannot be mounted here");
	self->f.hold = true;
	ASSERT_EQ(0, sc_sync_init(&self->ready));
}

FIXTURE_TEARDOWN(locked)
{
	if (self->f.conn > 0) {
		fused_umount(&self->f);
		sc_sync_fini(&self->ready);
	}
	dmd_teardown(_metadata, &self->dm, self->drm);
}

/* What the threads that lock are. */
static volatile pid_t reader_tid, writer_tid;

/* Has the lock for reading until the page is there. */
static void *reader(void *file)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	__u64 word;

	reader_tid = gettid();
	if (pread(fd, &word, sizeof(word), (off_t)VA(file)) != sizeof(word))
		_exit(101);
	close(fd);
	return NULL;
}

/* Waits for it for writing, and with him all who come later. */
static void *writer(void *unused)
{
	pid_t pid = getpid();

	while (!reader_tid)
		usleep(1000);
	if (sc_wait_syscall(pid, reader_tid, SYS_pread64))
		_exit(105);
	writer_tid = gettid();
	if (mmap(NULL, DM_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		_exit(102);
	return NULL;
}

/* Lock the address space of this process. What fails ends it. */
static void lock_all(struct fused *f)
{
	void *file = fused_map(f);
	pthread_t r, w;

	if (!file || pthread_create(&w, NULL, writer, NULL) ||
	    pthread_create(&r, NULL, reader, file))
		_exit(103);
	while (!writer_tid)
		usleep(1000);
	if (sc_wait_syscall(getpid(), writer_tid, SYS_mmap))
		_exit(106);
}

/* Files with a queue for each engine: queue i is queue i % 4 of file i / 4. */
static void open_files(int *fd, int engines)
{
	int i;

	for (i = 0; i < engines; i += 4) {
		fd[i / 4] = dmd_open(DM_PRIVATE0);
		if (fd[i / 4] < 0)
			_exit(104);
	}
}

/* Has a job for every engine, with a result, and waits for all of them. */
static int locked_worker(struct fused *f, struct sc_sync *ready, int engines)
{
	int fd[MAX_ENGINES / 4], i;
	__u64 seqno[MAX_ENGINES];
	res_t res[MAX_ENGINES];
	struct dm_buf b;
	__s32 status;
	job_t job;

	fused_leave(f);
	open_files(fd, engines);
	if (dm_buf_anon(&b, engines, DM_BUF_SMALL))
		return 1;
	memset(b.ptr, 0, b.size);
	memset(res, 0xff, sizeof(res));
	lock_all(f);
	for (i = 0; i < engines; i++) {
		job = job_fill(b.ptr + i * DM_PAGE, DM_PAGE, i + 1);
		if (dmd_submit(fd[i / 4], i % 4, &job, 1, &res[i], &seqno[i]))
			return 2;
	}
	sc_post(ready);
	for (i = 0; i < engines; i++) {
		if (dmd_wait(fd[i / 4], i % 4, seqno[i], 60000, &status) || status)
			return 3;
		if (res[i].status || res[i].done != DM_PAGE)
			return 4;
		if (*(__u64 *)(b.ptr + (i + 1) * DM_PAGE - 8) != (__u64)i + 1)
			return 5;
	}
	return 0;
}

/* A client that behaves. */
#define EXPECT_GOES_ON() do {						\
	int fd_ = dmd_open(DM_PRIVATE0);				\
	__u64 seqno_, word_ = 0;					\
	job_t job_ = job_fill(&word_, 8, 99);				\
									\
	ASSERT_LE(0, fd_);						\
	ASSERT_EQ(0, dmd_submit(fd_, 0, &job_, 1, NULL, &seqno_));	\
	EXPECT_EQ(0, dmd_wait(fd_, 0, seqno_, sc_slow(SOON_MS), NULL));	\
	EXPECT_EQ(99, word_);						\
	EXPECT_EQ(0, close(fd_));					\
} while (0)

/* Jobs of a locked process wait, and leave the engines to others. */
TEST_F(locked, jobs)
{
	pid_t pid = fork();

	if (!pid)
		_exit(locked_worker(&self->f, &self->ready, self->engines));
	ASSERT_EQ(0, sc_wait(&self->ready));
	usleep(100000);
	EXPECT_GOES_ON();
	/* Nothing of it is lost. */
	fused_let_go(&self->f);
	EXPECT_EQ(0, sc_reap(pid));
}

/* Submits what will not be done, and goes; the files close behind it. */
static int locked_closer(struct fused *f, struct sc_sync *ready, int engines)
{
	int fd[MAX_ENGINES / 4], i, k;
	res_t res[8];
	struct dm_buf b;
	job_t job;

	fused_leave(f);
	open_files(fd, engines);
	if (dm_buf_anon(&b, engines, DM_BUF_SMALL))
		return 1;
	memset(b.ptr, 0, b.size);
	lock_all(f);
	for (i = 0; i < engines; i++)
		for (k = 0; k < 100; k++) {
			job = job_fill(b.ptr + i * DM_PAGE, DM_PAGE, i + 1);
			if (dmd_submit(fd[i / 4], i % 4, &job, 1, &res[k % 8], NULL))
				return 2;
		}
	for (i = 0; i < engines; i += 4)
		close(fd[i / 4]);
	sc_post(ready);
	return 0;
}

/* To close a file does not take until the lock is free. */
TEST_F(locked, close)
{
	pid_t pid = fork();

	if (!pid)
		_exit(locked_closer(&self->f, &self->ready, self->engines));
	EXPECT_EQ(0, sc_wait(&self->ready));
	EXPECT_GOES_ON();
	fused_let_go(&self->f);
	EXPECT_EQ(0, sc_reap(pid));
}

/* Has a job that never ends, and reads what never comes. */
static int reads_async(struct fused *f, struct sc_sync *ready)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PREAD, .aio_nbytes = DM_PAGE };
	struct iocb *cbs[] = { &cb };
	aio_context_t ctx = 0;
	struct dm_buf b;
	char path[80];
	job_t job;
	int fd;

	fused_leave(f);
	snprintf(path, sizeof(path), "%s/file", f->dir);
	cb.aio_fildes = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	fd = dmd_open(DM_PRIVATE0);
	if (fd < 0 || (int)cb.aio_fildes < 0 || dm_buf_anon(&b, 2, DM_BUF_SMALL))
		return 1;
	memset(b.ptr, 0, b.size);
	cb.aio_buf = VA(b.ptr + DM_PAGE);
	if (syscall(SYS_io_setup, 1, &ctx) || syscall(SYS_io_submit, ctx, 1, cbs) != 1)
		return 2;
	job = job_endless((__u64 *)b.ptr);
	if (dmd_submit(fd, 0, &job, 1, NULL, NULL))
		return 3;
	sc_post(ready);
	for (;;)
		pause();
}

/* Who lets go of an address space last has to wait for its requests. */
TEST_F(locked, exit)
{
	pid_t pid[MAX_ENGINES];
	int i;

	for (i = 0; i < self->engines; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(reads_async(&self->f, &self->ready));
	}
	for (i = 0; i < self->engines; i++)
		EXPECT_EQ(0, sc_wait(&self->ready));
	usleep(200000);
	for (i = 0; i < self->engines; i++)
		kill(pid[i], SIGKILL);
	usleep(200000);
	EXPECT_GOES_ON();
	fused_let_go(&self->f);
	for (i = 0; i < self->engines; i++)
		EXPECT_EQ(128 + SIGKILL, sc_reap(pid[i]));
}

/* Not a destination: what is evicted by range. */
#define EVICT_RANGE	100

static int leave_or_come(int fd, struct dm_buf *b, __u32 dest)
{
	if (dest == EVICT_RANGE)
		return dmd_evict(fd, HMM_DMIRROR_EVICT_RANGE, b->ptr, b->size, NULL);
	return dmd_migrate(fd, b->ptr, b->size, dest, 0,
			   dest == HMM_DMIRROR_DEST_DEVICE ? DM_PRIVATE1 : 0, NULL);
}

/* Is in a command that cannot begin. */
static int locked_command(struct fused *f, struct sc_sync *ready, __u32 dest)
{
	int fd = dmd_open(DM_PRIVATE0);
	struct dm_buf b;

	fused_leave(f);
	if (fd < 0 || dm_buf_anon(&b, 16, DM_BUF_SMALL))
		return 1;
	dm_fill(b.ptr, 16, b.ptr, 1, DM_CHILD);
	if (dest != HMM_DMIRROR_DEST_VRAM && dmd_to_vram(fd, b.ptr, b.size))
		return 2;
	lock_all(f);
	sc_post(ready);
	if (leave_or_come(fd, &b, dest) != -ENODEV)
		return 3;
	return dm_verify(b.ptr, 16, b.ptr, 1, DM_CHILD, NULL) ? 4 : 0;
}

static int waits_for(pid_t pid, int ms)
{
	long long end = sc_now_ms() + sc_slow(ms);
	int status;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (sc_now_ms() > end)
			return -ETIME;
		usleep(10000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

/* The device can go all the same. */
TEST_F(locked, unbind)
{
	static const __u32 dests[] = {
		HMM_DMIRROR_DEST_VRAM, HMM_DMIRROR_DEST_SYSTEM, HMM_DMIRROR_DEST_DEVICE,
		EVICT_RANGE,
	};
	pid_t pid, unbinder;
	int i, ret;

	for (i = 0; i < 4; i++) {
		self->f.hold = true;
		pid = fork();
		if (!pid)
			_exit(locked_command(&self->f, &self->ready, dests[i]));
		EXPECT_EQ(0, sc_wait(&self->ready));
		usleep(200000);
		unbinder = fork();
		if (!unbinder) {
			fused_leave(&self->f);
			_exit(mc_bind(0, false) ? 1 : 0);
		}
		ret = waits_for(unbinder, SOON_MS);
		EXPECT_EQ(0, ret);
		fused_let_go(&self->f);
		if (ret)
			EXPECT_EQ(0, sc_reap(unbinder));
		EXPECT_EQ(0, sc_reap(pid)) {
			TH_LOG("destination %u", dests[i]);
		}
		REBIND();
	}
}

TEST_HARNESS_MAIN
