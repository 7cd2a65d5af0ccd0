// SPDX-License-Identifier: GPL-2.0
/*
 * What can be seen of jobs from outside: tracepoints that pair up, the queues in
 * debugfs, and counters of a file that are its own.
 */
#include "dm_trace.h"
#include "jobs.h"

DMD_FIXTURE(jobs);

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* Each job that ran has a beginning and an end, with its name and what became of it. */
TEST_F(jobs, tracepoints)
{
	static char text[1 << 16];
	struct dm_buf b;
	char want[200];
	job_t jobs[4];
	int ret;

	ret = dm_trace_begin();
	if (ret)
		SKIP(return, "no tracing here: errno %d", -ret);
	ASSERT_EQ(0, dm_buf_anon(&b, 4, DM_BUF_SMALL));
	jobs[0] = job_fill(b.ptr + 1, 100, 1);
	jobs[1] = job_crc(b.ptr, 200, 0);
	jobs[2] = job_copy((void *)DM_PAGE, b.ptr, 10);
	jobs[3] = job_nop();
	EXPECT_EQ(-EFAULT, job_run(self->drm, 3, jobs, 4, NULL));
	ASSERT_LT(0, dm_trace_end(text, sizeof(text)));

	/* The one that was not run has neither. */
	EXPECT_EQ(3, count(text, "dmirror_job_begin:"));
	EXPECT_EQ(3, count(text, "dmirror_job_end:"));
	EXPECT_EQ(6, count(text, "queue=3 seqno=1 "));
	EXPECT_EQ(2, count(text, "index=0 op=fill"));
	EXPECT_EQ(2, count(text, "index=1 op=checksum"));
	EXPECT_EQ(2, count(text, "index=2 op=copy"));
	EXPECT_EQ(1, count(text, "op=fill status=0 done=100"));
	EXPECT_EQ(1, count(text, "op=checksum status=0 done=200"));
	EXPECT_EQ(1, count(text, "op=copy status=-14 done=0"));
	/* What the ends say adds up to the counters, which know of the fourth as well. */
	EXPECT_MOVED(&self->dm, "jobs_ok", 2);
	EXPECT_MOVED(&self->dm, "jobs_failed", 1);
	EXPECT_MOVED(&self->dm, "jobs_canceled", 1);
	EXPECT_MOVED(&self->dm, "job_bytes", 300);
	snprintf(want, sizeof(want), "op=fill dst=0x%llx src=0x0 length=100",
		 VA(b.ptr + 1));
	EXPECT_EQ(1, count(text, want));
	dm_buf_free(&b);
}

/* A line for each queue that was used, and only those of files that are open. */
TEST_F(jobs, debugfs)
{
	char path[100], text[4096];
	int other = dmd_open(self->dm.index), i;
	job_t job = job_nop();

	ASSERT_LE(0, other);
	snprintf(path, sizeof(path), "/sys/kernel/debug/hmm_dmirror/%d/queues",
		 self->dm.index);
	ASSERT_LE(0, dm_read_file(path, text, sizeof(text)));
	EXPECT_EQ(0, count(text, "queue"));
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, job_run(other, 2, &job, 1, NULL));
	ASSERT_EQ(0, job_run(self->drm, 0, &job, 1, NULL));
	ASSERT_LT(0, dm_read_file(path, text, sizeof(text)));
	EXPECT_EQ(2, count(text, "queue "));
	EXPECT_EQ(1, count(text, "queue 2: submitted 5 completed 5 resets 0\n"));
	EXPECT_EQ(1, count(text, "queue 0: submitted 1 completed 1 resets 0\n"));
	close(other);
	ASSERT_LT(0, dm_read_file(path, text, sizeof(text)));
	EXPECT_EQ(1, count(text, "queue "));
}

/* A file's counters are what it has done, the device's what all have. */
TEST_F(jobs, file_counters)
{
	static __u64 mine[HMM_DMIRROR_NR_STATS], theirs[HMM_DMIRROR_NR_STATS];
	int other = dmd_open(self->dm.index);
	struct dm_buf b;
	job_t jobs[2];

	ASSERT_LE(0, other);
	ASSERT_EQ(0, dm_buf_anon(&b, 4, DM_BUF_SMALL));
	jobs[0] = job_fill(b.ptr, 1000, 1);
	jobs[1] = job_fill((void *)DM_PAGE, 8, 1);
	EXPECT_EQ(-EFAULT, job_run(self->drm, 0, jobs, 2, NULL));
	EXPECT_EQ(0, job_run(other, 0, jobs, 1, NULL));
	ASSERT_EQ(0, dmd_stats(self->drm, HMM_DMIRROR_STATS_FILE, mine, HMM_DMIRROR_NR_STATS));
	ASSERT_EQ(0, dmd_stats(other, HMM_DMIRROR_STATS_FILE, theirs, HMM_DMIRROR_NR_STATS));
	EXPECT_EQ(1, mine[HMM_DMIRROR_STAT_JOBS_OK]);
	EXPECT_EQ(1, mine[HMM_DMIRROR_STAT_JOBS_FAILED]);
	EXPECT_EQ(1000, mine[HMM_DMIRROR_STAT_JOB_BYTES]);
	EXPECT_EQ(1, theirs[HMM_DMIRROR_STAT_JOBS_OK]);
	EXPECT_EQ(0, theirs[HMM_DMIRROR_STAT_JOBS_FAILED]);
	EXPECT_EQ(1000, theirs[HMM_DMIRROR_STAT_JOB_BYTES]);
	EXPECT_MOVED(&self->dm, "jobs_ok", 2);
	EXPECT_MOVED(&self->dm, "job_bytes", 2000);
	close(other);
	dm_buf_free(&b);
}

/* Value of a line of this process's fdinfo, or -1. */
static long long fdinfo(int fd, const char *key)
{
	char path[64], text[4096], *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (dm_read_file(path, text, sizeof(text)) < 0)
		return -1;
	at = strstr(text, key);
	return at ? atoll(at + strlen(key)) : -1;
}

/* Engines are as busy as they were kept: that of the kind, for the time, by the file. */
TEST_F(jobs, engines)
{
	int other = dmd_open(self->dm.index);
	long long start, took, busy;
	struct dm_buf b;
	__s32 status;
	submit_t s;
	job_t job;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	EXPECT_EQ(0, fdinfo(self->drm, "drm-engine-compute:"));
	EXPECT_EQ(0, fdinfo(self->drm, "drm-engine-copy:"));
	EXPECT_EQ(sc_param("engines", -1), fdinfo(self->drm, "drm-engine-capacity-compute:"));
	start = sc_now_ms();
	job = job_add64((__u64 *)b.ptr, 1, 3000000);
	ASSERT_EQ(0, job_run(self->drm, 0, &job, 1, NULL));
	took = sc_now_ms() - start;
	busy = fdinfo(self->drm, "drm-engine-compute:") / 1000000;
	EXPECT_LE(took / 2, busy);
	EXPECT_GE(took + 1, busy);
	EXPECT_EQ(0, fdinfo(self->drm, "drm-engine-copy:"));
	busy = fdinfo(self->drm, "drm-engine-compute:");
	/* The other engine, where nothing faults. */
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	job = job_fill(b.ptr, b.size, 1);
	s = (submit_t){ .jobs = VA(&job), .nr_jobs = 1, .queue = RESIDENT,
			.flags = HMM_DMIRROR_SUBMIT_RESIDENT };
	ASSERT_EQ(0, job_submit(self->drm, &s));
	ASSERT_EQ(0, dmd_wait(self->drm, RESIDENT, s.seqno, 60000, &status));
	EXPECT_EQ(0, status);
	EXPECT_LT(0, fdinfo(self->drm, "drm-engine-copy:"));
	EXPECT_EQ(busy, fdinfo(self->drm, "drm-engine-compute:"));
	EXPECT_EQ(0, fdinfo(other, "drm-engine-compute:"));
	close(other);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
