// SPDX-License-Identifier: GPL-2.0
/*
 * Who pays for a page: the group that first touched it, wherever the page is,
 * whoever moved it there, until it is freed. To the page, and without any event
 * that a limit was met.
 */
#include <sched.h>

#include "dm_drm.h"
#include "pressure.h"

#define NPAGES	1024UL

FIXTURE(charge)
{
	struct pr_env	e;
	struct dm_cg	other;		/* a second group, nobody in it */
	struct dm_buf	b;
	struct pr_mem	start;
};

DM_VARIANTS(charge);

#define FD		(self->e.dm.fd)
#define CHARGED(n)	EXPECT_CHARGED(&self->e.cg, &self->start, n)

FIXTURE_SETUP(charge)
{
	cpu_set_t one;

	pr_setup(_metadata, &self->e, variant->index, variant->peer, PR_NO_SWAP);
	if (_metadata->exit_code)
		return;
	/* A page on the list of another processor looks shared: have one. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	/* Nothing but the test itself is to change what the group has. */
	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	ASSERT_EQ(0, dm_cg_create(&self->other, "other"));
	pr_fold();
	ASSERT_EQ(0, pr_own_everything(&self->e.cg));
	ASSERT_EQ(0, pr_buf(&self->e, &self->b, NPAGES, DM_BUF_SMALL));
	/* The device's own tables of these addresses. */
	ASSERT_EQ(0, dm_snapshot(FD, self->b.ptr, NPAGES, self->b.mirror));
	pr_mem_begin(&self->e.cg, &self->start);
}

FIXTURE_TEARDOWN(charge)
{
	dm_buf_free(&self->b);
	pr_teardown(_metadata, &self->e);
	EXPECT_EQ(0, dm_cg_destroy(&self->other));
}

/* All of the buffer written, then moved in. */
#define FILL_AND_GO() do {						\
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);		\
	CHARGED(NPAGES);						\
	ASSERT_TO_DEV(FD, &self->b, 1, DM_CPU);				\
	CHARGED(NPAGES);						\
} while (0)

/* On the way there and back, by request and by fault, nothing changes. */
TEST_F(charge, there_and_back)
{
	FILL_AND_GO();
	ASSERT_EQ(0, dm_to_sys(FD, self->b.ptr, NPAGES / 2, NULL));
	CHARGED(NPAGES);
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	CHARGED(NPAGES);
	ASSERT_EQ(0, dm_to_sys(FD, self->b.ptr, NPAGES, NULL));
	EXPECT_ALL(FD, self->b.ptr, NPAGES, DM_SYS);
	CHARGED(NPAGES);
	ASSERT_EQ(0, munmap(self->b.ptr, self->b.size));
	CHARGED(0);
}

/* Pages that the device gets for holes are charged as if the CPU had them made. */
TEST_F(charge, holes)
{
	ASSERT_EQ(0, dm_to_dev(FD, self->b.ptr, NPAGES, self->b.mirror, NULL));
	EXPECT_ALL(FD, self->b.ptr, NPAGES, DM_ON_DEV);
	CHARGED(NPAGES);
	EXPECT_ZERO_PAGES(self->b.ptr, NPAGES);
	CHARGED(NPAGES);
	ASSERT_EQ(0, munmap(self->b.ptr, self->b.size));
	CHARGED(0);
}

/*
 * A thread of the kernel faults for a job. Not it pays, but the group of the
 * process whose memory it is.
 */
TEST_F(charge, by_a_job)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_FILL, .dst = (uintptr_t)self->b.ptr,
		.length = self->b.size, .value = 0x1234567,
	};
	struct drm_hmm_dmirror_result res;
	unsigned long i;
	int drm;

	if (!dm_ours() || access("/sys/module/drm", F_OK))
		SKIP(return, "no render nodes here");
	drm = dmd_open(self->e.dm.index);
	ASSERT_LE(0, drm);
	/* What libdrm and the queue needed is not the subject. */
	job.length = DM_PAGE;
	ASSERT_EQ(0, dmd_run(drm, &job, &res));
	ASSERT_EQ(0, madvise(self->b.ptr, DM_PAGE, MADV_DONTNEED));
	pr_mem_begin(&self->e.cg, &self->start);
	job.length = self->b.size;
	ASSERT_EQ(0, dmd_run(drm, &job, &res));
	CHARGED(NPAGES);
	ASSERT_EQ(0, dm_to_dev(FD, self->b.ptr, NPAGES, self->b.mirror, NULL));
	CHARGED(NPAGES);
	/* And now that all of it is on the device, and at home again. */
	job.value++;
	ASSERT_EQ(0, dmd_run(drm, &job, &res));
	CHARGED(NPAGES);
	for (i = 0; i < self->b.size / 8; i++)
		ASSERT_EQ(job.value, ((__u64 *)self->b.ptr)[i]);
	CHARGED(NPAGES);
	ASSERT_EQ(0, munmap(self->b.ptr, self->b.size));
	CHARGED(0);
	EXPECT_EQ(0, close(drm));
}

/* A page discarded on the device is paid for no longer; the others are. */
TEST_F(charge, discarded_there)
{
	const unsigned long n = 100;

	dm_restart(&self->e.dm);
	FILL_AND_GO();
	ASSERT_EQ(0, madvise(self->b.ptr + n * DM_PAGE, n * DM_PAGE,
			     MADV_DONTNEED));
	CHARGED(NPAGES - n);
	EXPECT_EQ(NPAGES - n, stage_delta(&self->e.dm, "vram_resident_pages"));
	ASSERT_EQ(0, munmap(self->b.ptr, self->b.size));
	CHARGED(0);
	EXPECT_EQ(0, stage_delta(&self->e.dm, "vram_resident_pages"));
}

/* The file is closed: the pages stay where they are, and so does the charge. */
TEST_F(charge, file_closed)
{
	FILL_AND_GO();
	ASSERT_EQ(0, close(FD));
	CHARGED(NPAGES);
	FD = dm_open(self->e.dm.index);
	ASSERT_GE(FD, 0);
	EXPECT_ALL(FD, self->b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	CHARGED(NPAGES);
}

/* The process moves to another group; what it fetches is still the first's. */
TEST_F(charge, process_moves_on)
{
	struct pr_mem other;

	FILL_AND_GO();
	ASSERT_EQ(0, dm_cg_enter(&self->other));
	pr_mem_begin(&self->other, &other);
	EXPECT_TAGS(self->b.ptr, NPAGES / 2, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_sys(FD, self->b.ptr, NPAGES, NULL));
	EXPECT_ALL(FD, self->b.ptr, NPAGES, DM_SYS);
	CHARGED(NPAGES);
	ASSERT_EQ(0, dm_to_dev(FD, self->b.ptr, NPAGES, self->b.mirror, NULL));
	CHARGED(NPAGES);
	EXPECT_CHARGED(&self->other, &other, 0);
	ASSERT_EQ(0, munmap(self->b.ptr, self->b.size));
	CHARGED(0);
	EXPECT_CHARGED(&self->other, &other, 0);
	ASSERT_EQ(0, dm_cg_enter(&self->e.cg));
}

/* A stranger in another group empties the device: he does not pay for it. */
TEST_F(charge, evicted_by_a_stranger)
{
	struct pr_mem before;
	__u64 after = 0;
	pid_t pid;

	FILL_AND_GO();
	pr_mem(&self->other, &before);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		int fd = dm_cg_enter(&self->other) ? -1 :
						     dm_open(self->e.dm.index);

		_exit(fd < 0 || dm_release(fd));
	}
	ASSERT_EQ(0, sc_reap(pid));
	EXPECT_ALL(FD, self->b.ptr, NPAGES, DM_SYS);
	CHARGED(NPAGES);
	EXPECT_EQ(0, dm_cg_read(&self->other, "memory.current", &after));
	EXPECT_LE(after, before.current + PR_SLACK * DM_PAGE);
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

/* Shared by fork with a child in another group, who pays for his copies only. */
TEST_F(charge, child_in_another_group)
{
	struct pr_mem mine;
	struct sc_sync go, done;
	pid_t pid;

	FILL_AND_GO();
	ASSERT_EQ(0, sc_sync_init(&go));
	ASSERT_EQ(0, sc_sync_init(&done));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		ASSERT_EQ(0, dm_cg_enter(&self->other));
		/* Its own copies of all but the buffer, before measuring. */
		ASSERT_EQ(0, pr_write_everything(self->b.ptr));
		pr_mem_begin(&self->other, &mine);
		dm_fill(self->b.ptr, 100, self->b.ptr, 2, DM_CHILD);
		EXPECT_CHARGED(&self->other, &mine, 100);
		EXPECT_EQ(0, sc_post(&done));
		EXPECT_EQ(0, sc_wait(&go));
		EXPECT_TAGS(self->b.ptr, 100, self->b.ptr, 2, DM_CHILD);
		_exit(0);
	}
	ASSERT_EQ(0, sc_wait(&done));
	ASSERT_EQ(0, sc_post(&go));
	ASSERT_EQ(0, sc_reap(pid));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	CHARGED(NPAGES);
	sc_sync_fini(&go);
	sc_sync_fini(&done);
}

/* A process in the other group that ends, or is ended, with all on the device. */
static pid_t spawn_resident(struct dm_cg *cg, int index, struct dm_buf *b,
			    struct sc_sync *ready, bool wait)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	if (dm_cg_enter(cg))
		_exit(3);
	fd = dm_open(index);
	if (fd < 0)
		_exit(4);
	dm_fill(b->ptr, NPAGES, b->ptr, 3, DM_CHILD);
	if (dm_to_dev(fd, b->ptr, NPAGES, b->mirror, NULL) ||
	    dm_all(fd, b->ptr, NPAGES, DM_ON_DEV, NULL))
		_exit(5);
	sc_post(ready);
	while (wait)
		pause();
	_exit(0);
}

/* Is the group left without memory of processes? Folding in takes 2 seconds. */
static bool left_empty(struct dm_cg *cg)
{
	long long end = sc_now_ms() + sc_slow(10000);
	__u64 anon = 1;

	while (anon && sc_now_ms() < end) {
		pr_fold();
		if (dm_cg_key(cg, "memory.stat", "anon", &anon))
			return false;
		usleep(20000);
	}
	return !anon;
}

TEST_F(charge, exit)
{
	struct sc_sync ready;
	pid_t pid;
	int i;

	dm_restart(&self->e.dm);
	ASSERT_EQ(0, sc_sync_init(&ready));
	for (i = 0; i < 2; i++) {
		pid = spawn_resident(&self->other, self->e.dm.index, &self->b,
				     &ready, i);
		ASSERT_GE(pid, 0);
		ASSERT_EQ(0, sc_wait(&ready));
		if (i)
			ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(i ? 128 + SIGKILL : 0, sc_reap(pid));
		EXPECT_EQ(0, stage_delta(&self->e.dm, "vram_resident_pages"));
		EXPECT_TRUE(left_empty(&self->other));
	}
	sc_sync_fini(&ready);
	CHARGED(0);
}

/*
 * The group is full to the last page and nothing in it can be reclaimed. Coming
 * back needs no charge, so it works, and the limit is not even noticed.
 */
TEST_F(charge, back_into_a_full_group)
{
	__u64 max, now;

	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.swap.max", "0"));
	FILL_AND_GO();
	max = pr_stat(&self->e, "memory.events", "max");
	now = pr_stat(&self->e, "memory.current", NULL);
	ASSERT_EQ(0, pr_limit(&self->e, "memory.max", now));
	ASSERT_EQ(0, dm_to_sys(FD, self->b.ptr, NPAGES / 2, NULL));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	EXPECT_EQ(max, pr_stat(&self->e, "memory.events", "max"));
	EXPECT_NO_OOM(&self->e);
	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.max", "max"));
	CHARGED(NPAGES);
}

TEST_HARNESS_MAIN
