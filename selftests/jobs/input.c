// SPDX-License-Identifier: GPL-2.0
/*
 * SUBMIT and WAIT with each field wrong on its own: one errno each, nothing is
 * queued and nothing is lost. What GET_PARAM says about the limits is so.
 */
#include "jobs.h"

DMD_FIXTURE(jobs);

#define TOP	(1ULL << 63)
/* What some page of the address space can never be. */
#define BEYOND	(1ULL << 56)

TEST_F(jobs, bad_jobs)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 4, DM_BUF_SMALL));

	const __u64 a = VA(b.ptr), c = a + 2 * DM_PAGE;
	const job_t bad[] = {
		{ .op = 8 }, { .op = ~0U }, { .op = 1U << 31 },
		/* NOP has nothing. */
		{ .op = 0, .flags = 1 }, { .op = 0, .dst = a }, { .op = 0, .src = a },
		{ .op = 0, .length = 1 }, { .op = 0, .value = 1 }, { .op = 0, .count = 1 },
		/* FILL */
		{ .op = 1, .dst = a, .length = 0 },
		{ .op = 1, .dst = a, .length = 8, .flags = 1 },
		{ .op = 1, .dst = a, .length = 8, .src = c },
		{ .op = 1, .dst = a, .length = 8, .count = 1 },
		{ .op = 1, .dst = a, .length = -a }, { .op = 1, .dst = a, .length = ~0ULL },
		{ .op = 1, .dst = BEYOND, .length = 8 }, { .op = 1, .dst = TOP, .length = 8 },
		{ .op = 1, .dst = -8ULL, .length = 8 }, { .op = 1, .dst = -8ULL, .length = 16 },
		{ .op = 1, .dst = a, .length = BEYOND },
		/* COPY */
		{ .op = 2, .dst = a, .src = c, .length = 0 },
		{ .op = 2, .dst = a, .src = c, .length = 8, .value = 1 },
		{ .op = 2, .dst = a, .src = c, .length = 8, .count = 1 },
		{ .op = 2, .dst = a, .src = a, .length = 1 },
		{ .op = 2, .dst = a + 7, .src = a, .length = 8 },
		{ .op = 2, .dst = a, .src = a + 7, .length = 8 },
		{ .op = 2, .dst = a, .src = BEYOND, .length = 8 },
		{ .op = 2, .dst = BEYOND, .src = a, .length = 8 },
		{ .op = 2, .dst = a, .src = ~0ULL, .length = 8 },
		/* CHECKSUM */
		{ .op = 3, .src = a, .length = 0 }, { .op = 3, .src = a, .length = 8, .dst = c },
		{ .op = 3, .src = a, .length = 8, .count = 1 },
		{ .op = 3, .src = a, .length = 8, .value = 1ULL << 32 },
		/* COMPARE */
		{ .op = 4, .dst = a, .src = c, .length = 0 },
		{ .op = 4, .dst = a, .src = c, .length = 8, .value = 1 },
		{ .op = 4, .dst = a, .src = c, .length = 8, .count = 1 },
		/* ATOMIC_ADD32 */
		{ .op = 5, .dst = a, .value = 1, .count = 0 },
		{ .op = 5, .dst = a + 2, .value = 1, .count = 1 },
		{ .op = 5, .dst = a, .value = 1ULL << 32, .count = 1 },
		{ .op = 5, .dst = a, .value = 1, .count = 1, .length = 4 },
		{ .op = 5, .dst = a, .value = 1, .count = 1, .src = c },
		{ .op = 5, .dst = BEYOND, .value = 1, .count = 1 },
		/* ATOMIC_ADD64 */
		{ .op = 6, .dst = a, .value = 1, .count = 0 },
		{ .op = 6, .dst = a + 4, .value = 1, .count = 1 },
		{ .op = 6, .dst = a, .value = 1, .count = 1, .length = 8 },
		{ .op = 6, .dst = -8ULL, .value = 1, .count = 1 },
		/* CHASE */
		{ .op = 7, .src = a, .count = 0 }, { .op = 7, .src = a + 4, .count = 1 },
		{ .op = 7, .src = a, .count = 1, .dst = c },
		{ .op = 7, .src = a, .count = 1, .length = 8 },
		{ .op = 7, .src = a, .count = 1, .value = 8 },
		{ .op = 7, .src = BEYOND, .count = 1 },
	};
	job_t jobs[3];
	__u64 seqno;
	unsigned int i;

	dm_fill(b.ptr, 4, b.ptr, 1, DM_CPU);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		/* Also behind good ones: nothing of a submission runs then. */
		jobs[0] = job_fill(b.ptr, 8, 5);
		jobs[1] = job_nop();
		jobs[2] = bad[i];
		EXPECT_EQ(-EINVAL, dmd_submit(self->drm, 0, jobs, 3, NULL, &seqno)) {
			TH_LOG("case %u", i);
		}
		EXPECT_EQ(0, seqno);
		EXPECT_EQ(-EINVAL, dmd_submit(self->drm, 0, &bad[i], 1, NULL, &seqno));
	}
	/* The queue has not seen any of them. */
	jobs[0] = job_nop();
	ASSERT_EQ(0, dmd_submit(self->drm, 0, jobs, 1, NULL, &seqno));
	EXPECT_EQ(1, seqno);
	EXPECT_EQ(0, dmd_wait(self->drm, 0, seqno, 60000, NULL));
	EXPECT_TAGS(b.ptr, 4, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

TEST_F(jobs, bad_submissions)
{
	__u32 handle = 12345;
	job_t job = job_nop(), jobs[65] = { 0 };
	const struct { submit_t s; int err; } bad[] = {
		{ { .nr_jobs = 0 }, -EINVAL },
		{ { .nr_jobs = 65, .jobs = VA(jobs) }, -E2BIG },
		{ { .nr_jobs = ~0U }, -E2BIG },
		{ { .nr_jobs = 1, .pad = 1 }, -EINVAL },
		{ { .nr_jobs = 1, .flags = 4 }, -EINVAL },
		{ { .nr_jobs = 1, .flags = 1U << 31 }, -EINVAL },
		{ { .nr_jobs = 1, .queue = 4 }, -ENOENT },
		{ { .nr_jobs = 1, .queue = 0xfffffffe }, -ENOENT },
		{ { .nr_jobs = 1, .queue = RESIDENT }, -EINVAL },
		{ { .nr_jobs = 1, .flags = 2 }, -EINVAL },
		{ { .nr_jobs = 1, .jobs = 8 }, -EFAULT },
		{ { .nr_jobs = 1, .jobs = TOP }, -EFAULT },
		{ { .nr_jobs = 2, .jobs = -64ULL }, -EFAULT },
		{ { .nr_jobs = 1, .results = TOP }, -EINVAL },
		{ { .nr_jobs = 1, .results = -16ULL }, -EINVAL },
		{ { .nr_jobs = 1, .fence_value = 1 }, -EINVAL },
		{ { .nr_jobs = 1, .fence_addr = VA(&job) + 4 }, -EINVAL },
		{ { .nr_jobs = 1, .fence_addr = TOP }, -EINVAL },
		{ { .nr_jobs = 1, .fence_addr = -8ULL }, -EINVAL },
		{ { .nr_jobs = 1, .in_syncs = VA(&handle), .nr_in_syncs = 1 }, -EINVAL },
		{ { .nr_jobs = 1, .out_syncs = VA(&handle), .nr_out_syncs = 1 }, -EINVAL },
		{ { .nr_jobs = 1, .in_syncs = VA(&handle) }, -EINVAL },
		{ { .nr_jobs = 1, .out_syncs = VA(&handle) }, -EINVAL },
	};
	submit_t s;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		s = bad[i].s;
		if (!s.jobs)
			s.jobs = VA(&job);
		s.seqno = 99;
		EXPECT_EQ(bad[i].err, job_submit(self->drm, &s)) {
			TH_LOG("case %u", i);
		}
		EXPECT_EQ(0, s.seqno);
	}
	s = (submit_t){ .jobs = VA(jobs), .nr_jobs = 64 };
	ASSERT_EQ(0, job_submit(self->drm, &s));
	EXPECT_EQ(1, s.seqno);
	EXPECT_EQ(0, dmd_wait(self->drm, 0, 1, 60000, NULL));
}

TEST_F(jobs, bad_resident)
{
	__u32 handles[17] = { 0 };
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 4, DM_BUF_SMALL));
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));

	job_t job = job_fill(b.ptr, 8, 1);
	const job_t wrong[] = {
		job_nop(), job_crc(b.ptr, 8, 0), job_compare(b.ptr, b.ptr + 8, 8),
		job_add32(b.ptr, 1, 1), job_add64(b.ptr, 1, 1), job_chase(b.ptr, 1),
	};
	const submit_t too_many_in = { .in_syncs = VA(handles), .nr_in_syncs = 17 };
	const submit_t too_many_out = { .out_syncs = VA(handles), .nr_out_syncs = 17 };
	const submit_t none_in = { .in_syncs = VA(handles), .nr_in_syncs = 1 };
	const submit_t none_out = { .out_syncs = VA(handles), .nr_out_syncs = 1 };
	const submit_t unreadable = { .in_syncs = 8, .nr_in_syncs = 1 };
	const submit_t beyond = { .out_syncs = TOP, .nr_out_syncs = 1 };
	const struct { const submit_t *s; int err; } bad[] = {
		{ &too_many_in, -E2BIG }, { &too_many_out, -E2BIG },
		{ &none_in, -ENOENT }, { &none_out, -ENOENT },
		{ &unreadable, -EFAULT }, { &beyond, -EINVAL },
	};
	submit_t s;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		s = (submit_t){ 0 };
		EXPECT_EQ(-EINVAL, job_resident(self->drm, &s, &wrong[i], 1, NULL)) {
			TH_LOG("operation %u", wrong[i].op);
		}
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		s = *bad[i].s;
		EXPECT_EQ(bad[i].err, job_resident(self->drm, &s, &job, 1, NULL)) {
			TH_LOG("case %u", i);
		}
	}
	/* On a queue that may fault, or without the flag. */
	s = (submit_t){ .jobs = VA(&job), .nr_jobs = 1, .queue = 0,
			.flags = HMM_DMIRROR_SUBMIT_RESIDENT };
	EXPECT_EQ(-EINVAL, job_submit(self->drm, &s));
	dm_buf_free(&b);
}

TEST_F(jobs, bad_waits)
{
	struct drm_hmm_dmirror_wait w;
	job_t job = job_nop();
	__u64 seqno;
	const struct { struct drm_hmm_dmirror_wait w; int err; } bad[] = {
		{ { .seqno = 0 }, -ENOENT },
		{ { .seqno = 2 }, -ENOENT },
		{ { .seqno = ~0ULL }, -ENOENT },
		{ { .seqno = 1, .queue = 1 }, -ENOENT },
		{ { .seqno = 1, .queue = 4 }, -ENOENT },
		{ { .seqno = 1, .queue = RESIDENT }, -ENOENT },
		{ { .seqno = 1, .queue = RESIDENT - 1 }, -ENOENT },
		{ { .seqno = 1, .flags = 1 }, -EINVAL },
		{ { .seqno = 1, .flags = 1U << 31 }, -EINVAL },
	};
	unsigned int i;

	ASSERT_EQ(0, dmd_submit(self->drm, 0, &job, 1, NULL, &seqno));
	ASSERT_EQ(0, dmd_wait(self->drm, 0, seqno, 60000, NULL));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		w = bad[i].w;
		w.timeout_ns = INT64_MAX;
		EXPECT_EQ(bad[i].err, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_WAIT, &w)) {
			TH_LOG("case %u", i);
		}
	}
}

TEST_F(jobs, params)
{
	static const struct { __u64 param, least; } params[] = {
		{ HMM_DMIRROR_PARAM_QUEUES, 4 },
		{ HMM_DMIRROR_PARAM_JOBS_PER_SUBMIT, 64 },
		{ HMM_DMIRROR_PARAM_JOBS_QUEUED, 1024 },
		{ HMM_DMIRROR_PARAM_SYNCS_PER_SUBMIT, 16 },
	};
	unsigned int i;
	__u64 value;

	for (i = 0; i < ARRAY_SIZE(params); i++) {
		ASSERT_EQ(0, dmd_param(self->drm, params[i].param, &value));
		EXPECT_EQ(params[i].least, value);
	}
	ASSERT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_JOB_TIMEOUT_MS, &value));
	EXPECT_EQ(sc_param("job_timeout_ms", -1), (long)value);
}

TEST_HARNESS_MAIN
