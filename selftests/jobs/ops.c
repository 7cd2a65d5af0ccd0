// SPDX-License-Identifier: GPL-2.0
/*
 * What each operation does to memory, against a model in user space: any alignment,
 * across pages, leaves of the device's page table and mappings; what is around a
 * range stays as it was. The memory is where chance has it: here, in device memory,
 * never touched.
 */
#include "jobs.h"

#define NPAGES	(2 * DM_2M_PAGES)
#define SIZE	(NPAGES * DM_PAGE)

DMD_FIXTURE(jobs);

static void model_fill(__u8 *p, size_t len, __u64 value)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = value >> (i % 8 * 8);
}

/* A buffer and a model with the same content; some of it is on the device. */
static int make(int fd, struct dm_buf *b, __u64 *seed)
{
	size_t i;
	int ret = dm_buf_anon(b, NPAGES, DM_BUF_SMALL);

	if (ret)
		return ret;
	for (i = 0; i < SIZE / 8; i++)
		((__u64 *)b->mirror)[i] = rnd(seed);
	memcpy(b->ptr, b->mirror, SIZE);
	/* Around the border of the two leaves, and pages here and there. */
	ret = dmd_to_vram(fd, b->ptr + DM_2M - 8 * DM_PAGE, 12 * DM_PAGE);
	for (i = 0; i < NPAGES && !ret; i += 7)
		ret = dmd_to_vram(fd, b->ptr + i * DM_PAGE, DM_PAGE);
	return ret;
}

/* Half of the offsets are next to a border of pages or leaves. */
static size_t somewhere(__u64 *seed)
{
	size_t at = rnd(seed) % SIZE;

	if (rnd(seed) % 2)
		at = (rnd(seed) % 4 ? at & ~(DM_PAGE - 1) : DM_2M) +
		     rnd(seed) % 24 - 12;
	return at < SIZE ? at : 0;
}

static size_t some_length(__u64 *seed, size_t at)
{
	static const size_t most[] = { 16, 200, 3 * DM_PAGE, 600 << 10, SIZE };
	size_t len = rnd(seed) % most[rnd(seed) % 5] + 1;

	return at + len > SIZE ? SIZE - at : len;
}

#define EXPECT_MODEL(b) do {						\
	if (memcmp((b)->ptr, (b)->mirror, SIZE)) {			\
		size_t at_ = 0;						\
									\
		while ((b)->ptr[at_] == (b)->mirror[at_])		\
			at_++;						\
		EXPECT_EQ((b)->mirror[at_], (b)->ptr[at_]) {		\
			TH_LOG("first difference at %zu", at_);		\
		}							\
	}								\
} while (0)

TEST_F(jobs, fill)
{
	__u64 seed = 0x1234;
	struct dm_buf b;
	int i;

	ASSERT_EQ(0, make(self->drm, &b, &seed));
	for (i = 0; i < 60; i++) {
		size_t at = somewhere(&seed), len = some_length(&seed, at);
		__u64 value = rnd(&seed);
		res_t res;

		ASSERT_EQ(0, job_run1(self->drm, job_fill(b.ptr + at, len, value), &res)) {
			TH_LOG("round %d: %zu bytes at %zu", i, len, at);
		}
		EXPECT_EQ(0, res.status);
		EXPECT_EQ(len, res.done);
		EXPECT_EQ(0, res.fault_addr);
		EXPECT_EQ(0, res.access);
		model_fill(b.mirror + at, len, value);
	}
	EXPECT_MODEL(&b);
	dm_buf_free(&b);
}

TEST_F(jobs, copy)
{
	__u64 seed = 0x4321;
	struct dm_buf b;
	int i;

	ASSERT_EQ(0, make(self->drm, &b, &seed));
	for (i = 0; i < 60; i++) {
		size_t to = somewhere(&seed), from = somewhere(&seed);
		size_t len = some_length(&seed, to > from ? to : from);
		size_t apart = to > from ? to - from : from - to;
		res_t res;

		if (!apart)
			continue;
		if (len > apart)
			len = apart;
		ASSERT_EQ(0, job_run1(self->drm, job_copy(b.ptr + to, b.ptr + from, len),
				      &res)) {
			TH_LOG("round %d: %zu bytes from %zu to %zu", i, len, from, to);
		}
		EXPECT_EQ(len, res.done);
		memcpy(b.mirror + to, b.mirror + from, len);
	}
	EXPECT_MODEL(&b);
	dm_buf_free(&b);
}

TEST_F(jobs, checksum)
{
	static const char text[] = "123456789";
	__u64 seed = 0x5555;
	struct dm_buf b;
	res_t res;
	int i;

	/* The check value of CRC-32C in every catalogue of them. */
	ASSERT_EQ(0xe3069283, ~crc32c(~0U, text, 9));
	ASSERT_EQ(0, job_run1(self->drm, job_crc(text, 9, ~0U), &res));
	EXPECT_EQ(0xe3069283, (__u32)~res.value);

	ASSERT_EQ(0, make(self->drm, &b, &seed));
	for (i = 0; i < 24; i++) {
		size_t at = somewhere(&seed), len = some_length(&seed, at);
		__u32 begin = rnd(&seed);

		ASSERT_EQ(0, job_run1(self->drm, job_crc(b.ptr + at, len, begin), &res));
		EXPECT_EQ(len, res.done);
		EXPECT_EQ(crc32c(begin, b.mirror + at, len), res.value) {
			TH_LOG("round %d: %zu bytes at %zu", i, len, at);
		}
	}
	/* One may go on where another ended. */
	ASSERT_EQ(0, job_run1(self->drm, job_crc(b.ptr, 12345, 0), &res));
	ASSERT_EQ(0, job_run1(self->drm, job_crc(b.ptr + 12345, 54321, res.value), &res));
	EXPECT_EQ(crc32c(0, b.mirror, 66666), res.value);
	EXPECT_MODEL(&b);
	dm_buf_free(&b);
}

TEST_F(jobs, compare)
{
	__u64 seed = 0x7777;
	struct dm_buf a, b;
	int i;

	ASSERT_EQ(0, make(self->drm, &a, &seed));
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	memcpy(b.ptr + 3, a.mirror, SIZE - 3);
	for (i = 0; i < 40; i++) {
		size_t at = somewhere(&seed) % (SIZE - 3);
		size_t len = some_length(&seed, at + 3);
		size_t differs = rnd(&seed) % (2 * len);
		__u8 *wrong = b.ptr + 3 + at + differs;
		res_t res;

		if (differs < len)
			*wrong ^= 0x10;
		ASSERT_EQ(0, job_run1(self->drm,
				      job_compare(a.ptr + at, b.ptr + 3 + at, len), &res));
		EXPECT_EQ(differs < len ? differs : len, res.value) {
			TH_LOG("round %d: %zu bytes at %zu", i, len, at);
		}
		EXPECT_EQ(res.value, res.done);
		if (differs < len)
			*wrong ^= 0x10;
	}
	EXPECT_MODEL(&a);
	dm_buf_free(&a);
	dm_buf_free(&b);
}

/* A chain through random pages, some of them on the device. */
TEST_F(jobs, chase)
{
	const unsigned int n = 4000;
	__u64 seed = 0x9999, **at, *p;
	struct dm_buf b;
	unsigned int i;
	res_t res;

	ASSERT_EQ(0, make(self->drm, &b, &seed));
	at = calloc(n + 1, sizeof(*at));
	ASSERT_NE(NULL, at);
	for (i = 0; i <= n; i++)
		at[i] = (__u64 *)b.ptr + i * (SIZE / 8 / (n + 1));
	for (i = 1; i <= n; i++) {
		unsigned int other = 1 + rnd(&seed) % n;

		p = at[i];
		at[i] = at[other];
		at[other] = p;
	}
	for (i = 0; i < n; i++)
		*at[i] = VA(at[i + 1]);
	ASSERT_EQ(0, job_run1(self->drm, job_chase(at[0], 1), &res));
	EXPECT_EQ(VA(at[1]), res.value);
	ASSERT_EQ(0, job_run1(self->drm, job_chase(at[0], n), &res));
	EXPECT_EQ(VA(at[n]), res.value);
	EXPECT_EQ(n, res.done);
	free(at);
	dm_buf_free(&b);
}

/* Two mappings side by side, one of a file, one that was never touched. */
TEST_F(jobs, across_mappings)
{
	struct dm_buf b;
	res_t res;
	int fd;

	ASSERT_EQ(0, dm_buf_anon(&b, 16, DM_BUF_SMALL));
	fd = memfd_create("jobs", 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 8 * DM_PAGE));
	ASSERT_EQ(b.ptr, mmap(b.ptr, 8 * DM_PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_EQ(0, job_run1(self->drm, job_fill(b.ptr + 1, b.size - 2, 0x0807060504030201),
			      &res));
	EXPECT_EQ(b.size - 2, res.done);
	memset(b.mirror, 0, b.size);
	model_fill(b.mirror + 1, b.size - 2, 0x0807060504030201);
	EXPECT_EQ(0, memcmp(b.ptr, b.mirror, b.size));
	/* The file has it, too. */
	memset(b.mirror, 0xff, 8 * DM_PAGE);
	ASSERT_EQ(8 * DM_PAGE, pread(fd, b.mirror, 8 * DM_PAGE, 0));
	EXPECT_EQ(0, memcmp(b.ptr, b.mirror, 8 * DM_PAGE));
	close(fd);
	dm_buf_free(&b);
}

/* A read of memory that was never touched is zeroes and keeps it so. */
TEST_F(jobs, untouched)
{
	struct dm_buf b, zero;
	res_t res;

	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&zero, 64, DM_BUF_SMALL));
	memset(b.mirror, 0, b.size);
	ASSERT_EQ(0, job_run1(self->drm, job_compare(b.ptr + 5, b.mirror, b.size - 5), &res));
	EXPECT_EQ(b.size - 5, res.value);
	ASSERT_EQ(0, job_run1(self->drm, job_copy(zero.ptr, b.ptr, b.size), &res));
	EXPECT_ZERO_PAGES(zero.ptr, 64);
	dm_buf_free(&b);
	dm_buf_free(&zero);
}

/* Pages shared with a child after fork are not changed under it. */
TEST_F(jobs, copy_on_write)
{
	struct sc_sync go;
	struct dm_buf b;
	res_t res;
	pid_t pid;

	ASSERT_EQ(0, dm_buf_anon(&b, 32, DM_BUF_SMALL));
	dm_fill(b.ptr, 32, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, 16 * DM_PAGE));
	ASSERT_EQ(0, sc_sync_init(&go));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (sc_wait(&go))
			_exit(2);
		_exit(dm_verify(b.ptr, 32, b.ptr, 1, DM_CPU, NULL));
	}
	ASSERT_EQ(0, job_run1(self->drm, job_fill(b.ptr, b.size, 42), &res));
	EXPECT_EQ(0, sc_post(&go));
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_EQ(42, *(__u64 *)b.ptr);
	EXPECT_EQ(42, *(__u64 *)(b.ptr + b.size - 8));
	sc_sync_fini(&go);
	dm_buf_free(&b);
}

/* Jobs, bytes and ends are counted, for each thing that can become of a job. */
TEST_F(jobs, counters)
{
	job_t jobs[4];
	struct dm_buf b;
	res_t res[4];

	ASSERT_EQ(0, dm_buf_anon(&b, 4, DM_BUF_SMALL));
	jobs[0] = job_fill(b.ptr + 1, 1000, 1);
	jobs[1] = job_copy(b.ptr + 2 * DM_PAGE, b.ptr + 3, 500);
	jobs[2] = job_fill(b.ptr + b.size, 8, 1);
	jobs[3] = job_nop();
	EXPECT_EQ(-EFAULT, job_run(self->drm, 1, jobs, 4, res));
	EXPECT_EQ(0, res[1].status);
	EXPECT_FAULT(&res[2], b.ptr + b.size, WRITE);
	EXPECT_EQ(-ECANCELED, res[3].status);
	EXPECT_MOVED(&self->dm, "jobs_ok", 2);
	EXPECT_MOVED(&self->dm, "jobs_failed", 1);
	EXPECT_MOVED(&self->dm, "jobs_canceled", 1);
	EXPECT_MOVED(&self->dm, "jobs_timed_out", 0);
	EXPECT_MOVED(&self->dm, "job_bytes", 1500);
	EXPECT_MOVED(&self->dm, "queue_resets", 0);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
