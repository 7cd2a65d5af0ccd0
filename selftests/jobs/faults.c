// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs that meet memory they may not have: the address and the access are exact,
 * what came before it is done and nothing behind it, and nobody else notices. No
 * job waits for a userfaultfd handler.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>
#include "jobs.h"

#define NPAGES	64UL

DMD_FIXTURE(jobs);

/* A hole at page 32 and no write access to page 48. */
static int make(struct dm_buf *b)
{
	int ret = dm_buf_anon(b, NPAGES, DM_BUF_SMALL);

	if (ret)
		return ret;
	dm_fill(b->ptr, NPAGES, b->ptr, 1, DM_CPU);
	if (munmap(b->ptr + 32 * DM_PAGE, DM_PAGE) ||
	    mprotect(b->ptr + 48 * DM_PAGE, DM_PAGE, PROT_READ) ||
	    mprotect(b->ptr + 56 * DM_PAGE, DM_PAGE, PROT_NONE))
		return -errno;
	return 0;
}

#define HOLE(b)		((b)->ptr + 32 * DM_PAGE)
#define READONLY(b)	((b)->ptr + 48 * DM_PAGE)
#define NOACCESS(b)	((b)->ptr + 56 * DM_PAGE)

TEST_F(jobs, fill)
{
	struct dm_buf b;
	res_t res;
	__u8 *p;

	ASSERT_EQ(0, make(&b));
	p = HOLE(&b) - 3 * DM_PAGE - 5;
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_fill(p, 8 * DM_PAGE, 7), &res));
	EXPECT_FAULT(&res, HOLE(&b), WRITE);
	EXPECT_EQ(HOLE(&b) - p, res.done);
	EXPECT_EQ(7, p[0]);
	EXPECT_EQ(7, *(HOLE(&b) - 5));
	EXPECT_TAGS(HOLE(&b) + DM_PAGE, 1, HOLE(&b) + DM_PAGE, 1, DM_CPU);

	/* Of a page that may only be read, not a byte. */
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_fill(READONLY(&b) - 1, 2, 7), &res));
	EXPECT_FAULT(&res, READONLY(&b), WRITE);
	EXPECT_EQ(1, res.done);
	EXPECT_TAGS(READONLY(&b), 1, READONLY(&b), 1, DM_CPU);
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_fill(NOACCESS(&b) + 9, 1, 7), &res));
	EXPECT_FAULT(&res, NOACCESS(&b), WRITE);
	EXPECT_EQ(0, res.done);
	dm_buf_free(&b);
}

TEST_F(jobs, copy)
{
	struct dm_buf b, o;
	res_t res;

	ASSERT_EQ(0, make(&b));
	ASSERT_EQ(0, dm_buf_anon(&o, NPAGES, DM_BUF_SMALL));
	/* The source: what could be read has arrived. */
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_copy(o.ptr + 1, b.ptr, 40 * DM_PAGE),
				    &res));
	EXPECT_FAULT(&res, HOLE(&b), READ);
	EXPECT_EQ(32 * DM_PAGE, res.done);
	EXPECT_EQ(0, memcmp(o.ptr + 1, b.ptr, 32 * DM_PAGE));
	EXPECT_EQ(0, o.ptr[32 * DM_PAGE + 1]);
	/* The destination comes first here. */
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_copy(HOLE(&b) - 10, o.ptr, 20), &res));
	EXPECT_FAULT(&res, HOLE(&b), WRITE);
	EXPECT_EQ(10, res.done);
	/* Both in the same step: the one that is reached first. */
	EXPECT_EQ(-EFAULT, job_run1(self->drm,
				    job_copy(READONLY(&b) - 100, HOLE(&b) - 200, 4000), &res));
	EXPECT_FAULT(&res, READONLY(&b), WRITE);
	EXPECT_EQ(100, res.done);
	EXPECT_EQ(-EFAULT, job_run1(self->drm,
				    job_copy(READONLY(&b) - 200, HOLE(&b) - 100, 4000), &res));
	EXPECT_FAULT(&res, HOLE(&b), READ);
	EXPECT_EQ(100, res.done);
	/* Reading what may only be read is no fault. */
	EXPECT_EQ(0, job_run1(self->drm, job_copy(o.ptr, READONLY(&b), DM_PAGE), &res));
	EXPECT_TAGS(o.ptr, 1, READONLY(&b), 1, DM_CPU);
	dm_buf_free(&b);
	dm_buf_free(&o);
}

TEST_F(jobs, others)
{
	struct dm_buf b;
	__u64 chain[2];
	res_t res;

	ASSERT_EQ(0, make(&b));
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_crc(HOLE(&b) - 77, 100, 5), &res));
	EXPECT_FAULT(&res, HOLE(&b), READ);
	EXPECT_EQ(77, res.done);
	EXPECT_EQ(crc32c(5, HOLE(&b) - 77, 77), res.value);

	EXPECT_EQ(-EFAULT, job_run1(self->drm,
				    job_compare(HOLE(&b) - 8, HOLE(&b) - 8, 16), &res));
	EXPECT_FAULT(&res, HOLE(&b), READ);
	EXPECT_EQ(8, res.done);
	/* A difference before the hole is an answer. */
	EXPECT_EQ(0, job_run1(self->drm, job_compare(HOLE(&b) - 8, b.ptr, 16), &res));
	EXPECT_EQ(0, res.status);
	EXPECT_EQ(0, res.fault_addr);
	EXPECT_EQ(0, res.access);
	EXPECT_GT(8, res.value);

	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_add32(HOLE(&b) + 4, 1, 10), &res));
	EXPECT_FAULT(&res, HOLE(&b), ATOMIC);
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_add64(READONLY(&b) + 8, 1, 10), &res));
	EXPECT_FAULT(&res, READONLY(&b), ATOMIC);
	EXPECT_EQ(0, res.done);

	chain[0] = VA(&chain[1]);
	chain[1] = VA(NOACCESS(&b) + 16);
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_chase(chain, 5), &res));
	EXPECT_FAULT(&res, NOACCESS(&b), READ);
	EXPECT_EQ(2, res.done);
	EXPECT_EQ(VA(NOACCESS(&b) + 16), res.value);
	/* Pointers that are none. */
	chain[1] = VA(b.ptr + 4);
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_chase(chain, 5), &res));
	EXPECT_FAULT(&res, b.ptr, READ);
	chain[1] = ~7ULL;
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_chase(chain, 5), &res));
	EXPECT_FAULT(&res, ~7ULL, READ);
	dm_buf_free(&b);
}

/* The first that fails ends its submission, and only that. */
TEST_F(jobs, ends_its_submission)
{
	__u64 seqno[3], *words;
	struct dm_buf b;
	job_t bad[4], good;
	res_t res[4], fine;
	__s32 status;
	int i;

	ASSERT_EQ(0, make(&b));
	words = (__u64 *)b.ptr;
	bad[0] = job_fill(&words[0], 8, 100);
	bad[1] = job_fill(HOLE(&b), 8, 101);
	bad[2] = job_fill(&words[1], 8, 102);
	bad[3] = job_nop();
	good = job_fill(&words[2], 8, 103);
	words[1] = 5;
	memset(res, 0xff, sizeof(res));
	ASSERT_EQ(0, dmd_submit(self->drm, 0, bad, 4, res, &seqno[0]));
	ASSERT_EQ(0, dmd_submit(self->drm, 0, &good, 1, &fine, &seqno[1]));
	ASSERT_EQ(0, dmd_wait(self->drm, 0, seqno[1], 60000, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, fine.status);
	ASSERT_EQ(0, dmd_wait(self->drm, 0, seqno[0], 0, &status));
	EXPECT_EQ(-EFAULT, status);
	EXPECT_EQ(0, res[0].status);
	EXPECT_FAULT(&res[1], HOLE(&b), WRITE);
	for (i = 2; i < 4; i++) {
		EXPECT_EQ(-ECANCELED, res[i].status);
		EXPECT_EQ(0, res[i].done);
		EXPECT_EQ(0, res[i].fault_addr);
	}
	EXPECT_EQ(100, words[0]);
	EXPECT_EQ(5, words[1]);
	EXPECT_EQ(103, words[2]);
	dm_buf_free(&b);
}

/* Faults in one queue and one file; work in the other queues and another file. */
TEST_F(jobs, leaves_others_alone)
{
	int other = dmd_open(self->dm.index), q, i;
	__u64 bad_seqno[50], seqno[4];
	job_t bad, good[4];
	struct dm_buf b, o;
	res_t res[4];
	__s32 status;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, make(&b));
	ASSERT_EQ(0, dm_buf_anon(&o, 4 * DM_2M_PAGES, DM_BUF_SMALL));
	bad = job_fill(HOLE(&b), 8, 1);
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, dmd_submit(self->drm, 0, &bad, 1, NULL, &bad_seqno[i]));
	for (q = 0; q < 4; q++) {
		good[q] = job_fill(o.ptr + q * DM_2M, DM_2M, q + 10);
		ASSERT_EQ(0, dmd_submit(q < 3 ? self->drm : other, q < 3 ? q + 1 : 0,
					&good[q], 1, &res[q], &seqno[q]));
	}
	for (q = 0; q < 4; q++) {
		ASSERT_EQ(0, dmd_wait(q < 3 ? self->drm : other, q < 3 ? q + 1 : 0,
				      seqno[q], 60000, &status));
		EXPECT_EQ(0, status);
		EXPECT_EQ(DM_2M, res[q].done);
		EXPECT_EQ(q + 10, *(__u64 *)(o.ptr + (q + 1) * DM_2M - 8));
	}
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, dmd_wait(self->drm, 0, bad_seqno[i], 60000, &status));
		EXPECT_EQ(-EFAULT, status);
	}
	close(other);
	dm_buf_free(&b);
	dm_buf_free(&o);
}

/* Results and fences that cannot be written: the jobs are done, WAIT says so. */
TEST_F(jobs, nowhere_to_write)
{
	struct dm_buf b;
	__u64 *word;
	job_t job;
	__s32 status;

	ASSERT_EQ(0, make(&b));
	word = (__u64 *)b.ptr;
	job = job_fill(word, 8, 77);

	submit_t s = { .jobs = VA(&job), .nr_jobs = 1, .results = VA(HOLE(&b)) };

	ASSERT_EQ(0, job_submit(self->drm, &s));
	ASSERT_EQ(0, dmd_wait(self->drm, 0, s.seqno, 60000, &status));
	EXPECT_EQ(-EFAULT, status);
	EXPECT_EQ(77, *word);
	job.value = 78;
	s.results = 0;
	s.fence_addr = VA(READONLY(&b));
	s.fence_value = 1;
	ASSERT_EQ(0, job_submit(self->drm, &s));
	ASSERT_EQ(0, dmd_wait(self->drm, 0, s.seqno, 60000, &status));
	EXPECT_EQ(-EFAULT, status);
	EXPECT_EQ(78, *word);
	EXPECT_TAGS(READONLY(&b), 1, READONLY(&b), 1, DM_CPU);
	dm_buf_free(&b);
}

/* A handler that never answers holds nobody up, whatever the job wants there. */
TEST_F(jobs, userfaultfd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;
	long long start = sc_now_ms();
	struct dm_buf b, o;
	submit_t s = { 0 };
	__s32 status;
	res_t res;
	job_t job;
	int uffd;

	uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		SKIP(return, "no userfaultfd here");
	ASSERT_EQ(0, dm_buf_anon(&b, 16, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&o, 16, DM_BUF_SMALL));
	dm_fill(b.ptr, 8, b.ptr, 1, DM_CPU);
	reg = (struct uffdio_register){
		.range = { .start = VA(b.ptr), .len = b.size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &reg));

	__u8 *missing = b.ptr + 8 * DM_PAGE;

	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_fill(missing - 8, 16, 1), &res));
	EXPECT_FAULT(&res, missing, WRITE);
	EXPECT_EQ(8, res.done);
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_copy(o.ptr, missing, 1), &res));
	EXPECT_FAULT(&res, missing, READ);
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_add64(missing, 1, 1), &res));
	EXPECT_FAULT(&res, missing, ATOMIC);
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_chase(missing, 1), &res));
	EXPECT_FAULT(&res, missing, READ);

	/* Results and fence. */
	job = job_nop();
	s = (submit_t){ .jobs = VA(&job), .nr_jobs = 1, .results = VA(missing),
			.fence_addr = VA(missing + DM_PAGE), .fence_value = 1 };
	ASSERT_EQ(0, job_submit(self->drm, &s));
	ASSERT_EQ(0, dmd_wait(self->drm, 0, s.seqno, 60000, &status));
	EXPECT_EQ(-EFAULT, status);
	EXPECT_GT(20000, sc_now_ms() - start);
	close(uffd);
	dm_buf_free(&b);
	dm_buf_free(&o);
}

TEST_HARNESS_MAIN
