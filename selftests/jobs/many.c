// SPDX-License-Identifier: GPL-2.0
/*
 * Eight processes of jobs at once, together larger than device memory, each against
 * a model of its own: all queues, memory moving both ways. And one whose queues reach
 * farther than the device's page table.
 */
#include "jobs.h"

#define PROCS	8
#define NPAGES	(6 * DM_2M_PAGES)
#define SIZE	(NPAGES * DM_PAGE)
#define ROUNDS	(10 * sc_longer())

#define QUEUES	4
#define FAR	2600UL		/* leaves a queue visits; the four need more than there are */

DMD_FIXTURE(jobs);

/* Fills and copies on the model, then the same by the device; returns differences. */
static int round_of(int fd, struct dm_buf *b, __u64 *seed)
{
	size_t at[6], len[6];
	__u64 seqno[6];
	res_t res[6];
	job_t job;
	int i, bad = 0;

	/* Each queue in a part of its own, two of them one after the other. */
	for (i = 0; i < 6; i++) {
		size_t part = SIZE / 6, from = i * part;

		len[i] = rnd(seed) % (part / 4) + 1;
		at[i] = from + rnd(seed) % (part / 4);
		if (i % 2) {
			job = job_copy(b->ptr + at[i] + part / 2, b->ptr + at[i], len[i]);
			memcpy(b->mirror + at[i] + part / 2, b->mirror + at[i], len[i]);
		} else {
			__u64 value = rnd(seed);

			job = job_fill(b->ptr + at[i], len[i], value);
			for (size_t k = 0; k < len[i]; k++)
				b->mirror[at[i] + k] = value >> (k % 8 * 8);
		}
		bad += !!dmd_submit(fd, i % 4, &job, 1, &res[i], &seqno[i]);
		if (i == 2)
			dmd_to_vram(fd, b->ptr + (rnd(seed) % 5) * DM_2M, DM_2M);
	}
	for (i = 0; i < 6 && !bad; i++) {
		bad += !!dmd_wait(fd, i % 4, seqno[i], 120000, NULL);
		bad += !!res[i].status || res[i].done != len[i];
	}
	return bad;
}

static int proc(int index, unsigned int number)
{
	__u64 seed = 0x1000 + number, round;
	int fd = dmd_open(index), bad = 0;
	struct dm_buf b;
	res_t res;

	if (fd < 0 || dm_buf_anon(&b, NPAGES, number % 2 ? DM_BUF_SMALL : DM_BUF_THP))
		return 100;
	memset(b.ptr, number, SIZE);
	memset(b.mirror, number, SIZE);
	for (round = 0; round < ROUNDS && !bad; round++) {
		bad = round_of(fd, &b, &seed);
		if (!bad && round % 10 == 9) {
			/* By the device, and by the CPU for a part of it. */
			bad = !!job_run1(fd, job_compare(b.ptr, b.mirror, SIZE), &res);
			bad += res.value != SIZE;
			bad += !!memcmp(b.ptr, b.mirror, DM_2M);
		}
	}
	bad += !!memcmp(b.ptr, b.mirror, SIZE);
	dm_buf_free(&b);
	close(fd);
	return bad;
}

TEST_F_TIMEOUT(jobs, processes, dm_timeout(75) * sc_longer())
{
	pid_t pid[PROCS];
	unsigned int i;

	for (i = 0; i < PROCS; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			_exit(proc(self->dm.index, i));
	}
	for (i = 0; i < PROCS; i++)
		EXPECT_EQ(0, sc_reap(pid[i])) {
			TH_LOG("process %u", i);
		}
	EXPECT_MOVED(&self->dm, "jobs_ok", PROCS * (6 * ROUNDS + ROUNDS / 10));
	EXPECT_MOVED(&self->dm, "jobs_failed", 0);
	EXPECT_MOVED(&self->dm, "jobs_canceled", 0);
	/* They did take each other's place. */
	EXPECT_MOVED_MIN(&self->dm, "evicted_pages", 1);
	EXPECT_MOVED_MIN(&self->dm, "dev_fault_moved_pages", 1);
}

/* A page table that is full makes room, also for queues that never rest together. */
TEST_F(jobs, sparse)
{
	const size_t part = FAR * DM_2M, size = QUEUES * part;
	__u64 seqno[QUEUES];
	res_t res[QUEUES];
	unsigned long i;
	__u8 *mem;
	job_t job;
	int q;

	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, madvise(mem, size, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, dmd_advise(self->drm, mem, size, HMM_DMIRROR_ADVISE_LOCATION,
				HMM_DMIRROR_LOCATION_SYSTEM));
	/* Each part is a chain that ends with its own number. */
	for (i = 0; i < QUEUES * FAR; i++)
		*(__u64 *)(mem + i * DM_2M) = i % FAR == FAR - 1 ? i / FAR :
					      VA(mem + (i + 1) * DM_2M);
	for (q = 0; q < QUEUES; q++) {
		job = job_chase(mem + q * part, FAR);
		ASSERT_EQ(0, dmd_submit(self->drm, q, &job, 1, &res[q], &seqno[q]));
	}
	for (q = 0; q < QUEUES; q++) {
		EXPECT_EQ(0, dmd_wait(self->drm, q, seqno[q], sc_slow(20000), NULL));
		EXPECT_EQ(0, res[q].status);
		EXPECT_EQ(FAR, res[q].done);
		EXPECT_EQ(q, res[q].value);
	}
	EXPECT_MOVED_MIN(&self->dm, "leaves_pruned", 1);
	EXPECT_EQ(0, munmap(mem, size));
}

TEST_HARNESS_MAIN
