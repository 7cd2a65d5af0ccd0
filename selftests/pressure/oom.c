// SPDX-License-Identifier: GPL-2.0
/*
 * A group runs out of memory while its processes have pages on the device. The
 * victim dies, or is at least relieved of its memory: device pages are freed by
 * somebody who may not wait for the driver. Nobody else loses anything.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "dm_inject.h"
#include "oom.h"

#ifndef __NR_pidfd_open
#define __NR_pidfd_open		434
#endif
#ifndef __NR_process_mrelease
#define __NR_process_mrelease	448
#endif
#ifndef __NR_pidfd_getfd
#define __NR_pidfd_getfd	438
#endif

/* It dies of a CPU access; all its device pages are free right after. */
TEST_F(oom, killed_with_pages_there)
{
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		become_victim(&self->cg, self->dm.index, &self->b);
		eat();
	}
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_EQ(1, kills(&self->cg));
	EXPECT_MOVED_MIN(&self->dm, "in_moved_pages", NPAGES);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
}

/* In a child: have the device make pages for a large hole, one page in @step. */
static void migrate_holes(struct dm_cg *cg, int index, struct dm_buf *big,
			  unsigned long step)
{
	struct hmm_dmirror_cmd res;
	int fd = open_in_group(cg, index);
	unsigned long i;

	for (i = 0; step && i < big->npages; i += step)
		big->ptr[i * DM_PAGE] = 1;
	if (dm_to_dev(fd, big->ptr, big->npages, big->mirror, &res) != -ENOENT)
		_exit(5);
	/* The answer is true: all the others are still holes. */
	if (res.cpages != dm_count(fd, big->ptr, big->npages, DM_ON_DEV) ||
	    big->npages - res.cpages !=
	    dm_count(fd, big->ptr, big->npages, DM_NOWHERE))
		_exit(6);
	_exit(res.cpages * DM_PAGE <= LIMIT ? 0 : 7);
}

/*
 * The device makes pages for holes, and they are charged: it is the request to
 * migrate that runs out of memory, with the process's locks held.
 */
TEST_F(oom, killed_in_migration)
{
	struct dm_buf big;
	pid_t pid;

	ASSERT_EQ(0, dm_buf_anon(&big, 4 * LIMIT / DM_PAGE, DM_BUF_SMALL));
	memset(big.mirror, 0xee, big.size);
	pid = fork();
	ASSERT_GE(pid, 0);
	/* With a page in it a hole is filled page by page. */
	if (!pid)
		migrate_holes(&self->cg, self->dm.index, &big, DM_2M_PAGES);
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_LE(1, kills(&self->cg));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	EXPECT_CLASSES(&self->dm, "in", big.npages);
	dm_buf_free(&big);
}

/* Nobody is killed for 2 MiB at a time: what cannot be charged is not moved. */
TEST_F(oom, no_charge_for_large_holes)
{
	struct dm_buf big;
	pid_t pid;

	if (self->dm.coherent)
		SKIP(return, "coherent memory has no large holes");
	if (!thp_moves_whole())
		SKIP(return, "this kernel has no large holes");
	ASSERT_EQ(0, dm_buf_anon(&big, 4 * LIMIT / DM_PAGE, DM_BUF_SMALL));
	memset(big.mirror, 0xee, big.size);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		migrate_holes(&self->cg, self->dm.index, &big, 0);
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_EQ(0, kills(&self->cg));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	EXPECT_CLASSES(&self->dm, "in", big.npages);
	dm_buf_free(&big);
}

/* One goes, all go: the group is one victim. */
TEST_F(oom, whole_group)
{
	pid_t idle, pid;

	ASSERT_EQ(0, dm_cg_write(&self->cg, "memory.oom.group", "1"));
	idle = fork();
	ASSERT_GE(idle, 0);
	if (!idle) {
		become_victim(&self->cg, self->dm.index, &self->b);
		sc_post(&self->ready);
		for (;;)
			pause();
	}
	ASSERT_EQ(0, sc_wait(&self->ready));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", NPAGES);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		become_victim(&self->cg, self->dm.index, &self->b);
		eat();
	}
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_EQ(128 + SIGKILL, sc_reap(idle));
	EXPECT_LE(2, kills(&self->cg));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
}

/*
 * The victim cannot exit, so the reaper takes its memory from it: through the
 * notifier that may not wait, and with it the device's pages.
 */
TEST_F(oom, reaped_while_it_cannot_exit)
{
	long long end;
	pid_t pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		become_victim(&self->cg, self->dm.index, &self->b);
		sc_post(&self->ready);
		sc_wait(&self->go);
		eat();
	}
	ASSERT_EQ(0, sc_wait(&self->ready));
	watch_exit(_metadata, pid);
	ASSERT_EQ(0, sc_post(&self->go));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", NPAGES);
	EXPECT_MOVED(&self->dm, "invalidations_nonblock", 0);
	wait_for_exit_stop(_metadata, pid);
	EXPECT_EQ(1, kills(&self->cg));

	/* The reaper comes two seconds later. */
	end = sc_now_ms() + 1000LL * dm_timeout(5);
	while (stage_delta(&self->dm, "vram_resident_pages") &&
	       sc_now_ms() < end)
		usleep(10000);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	EXPECT_MOVED_MIN(&self->dm, "invalidations_nonblock", 1);
	ASSERT_EQ(0, ptrace(PTRACE_CONT, pid, 0, 0));
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
}

/* Somebody with the victim's file, who lets the device read. */
struct reader {
	int fd;
	struct dm_buf *b;
	int ret;
};

static void *read_once(void *arg)
{
	struct reader *r = arg;

	r->ret = dm_read(r->fd, r->b->ptr, r->b->npages, r->b->mirror, NULL);
	return NULL;
}

/* The victim is dead but for its exit; what it had is still there. */
static int stop_at_exit(struct __test_metadata *_metadata, pid_t pid, int fd,
			int *pidfd)
{
	int got;

	*pidfd = syscall(__NR_pidfd_open, pid, 0);
	EXPECT_GE(*pidfd, 0);
	got = syscall(__NR_pidfd_getfd, *pidfd, fd, 0);
	EXPECT_GE(got, 0);
	watch_exit(_metadata, pid);
	EXPECT_EQ(0, kill(pid, SIGKILL));
	wait_for_exit_stop(_metadata, pid);
	return got;
}

static int release(int pidfd)
{
	return syscall(__NR_process_mrelease, pidfd, 0) ? -errno : 0;
}

#define SLOWLY	"nth=1 every=1 times=1 delay_us=10000000"

/*
 * Released by hand, the same way, while the device is at the victim's pages: the
 * driver has to refuse, as often as it is asked, and the caller is told to come
 * again. What the device reads is the truth, and then that it is gone.
 */
TEST_F(oom, released_under_device_access)
{
	struct reader r = { .b = &self->b };
	int pidfd, i;
	pthread_t t;
	pid_t pid;

	if (dm_inject_status())
		SKIP(return, "the driver cannot be loaded with fault injection here");
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		*self->fd = become_victim(&self->cg, self->dm.index, &self->b);
		sc_post(&self->ready);
		for (;;)
			pause();
	}
	ASSERT_EQ(0, sc_wait(&self->ready));
	r.fd = stop_at_exit(_metadata, pid, *self->fd, &pidfd);
	memset(self->b.mirror, 0xee, self->b.size);
	ASSERT_EQ(0, dm_inject_arm(self->dm.index, "access", SLOWLY));
	ASSERT_EQ(0, pthread_create(&t, NULL, read_once, &r));
	ASSERT_EQ(0, dm_inject_wait(self->dm.index, "access", 1));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(-EAGAIN, release(pidfd));
	EXPECT_MOVED(&self->dm, "invalidations_nonblock_failed", 3);
	ASSERT_EQ(0, dm_inject_off(self->dm.index));
	ASSERT_EQ(0, pthread_join(t, NULL));
	/* It was before all pages were gone, so it read all of them. */
	EXPECT_EQ(0, r.ret);
	EXPECT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 3, DM_CHILD);
	EXPECT_EQ(0, release(pidfd));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	read_once(&r);
	EXPECT_EQ(-EFAULT, r.ret);
	EXPECT_EQ(0, close(r.fd));
	close(pidfd);
	EXPECT_EQ(0, ptrace(PTRACE_CONT, pid, 0, 0));
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
}

DM_INJECT_MAIN(1, "")
