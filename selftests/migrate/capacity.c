// SPDX-License-Identifier: GPL-2.0
/*
 * Device memory is limited and shared: a range larger than it works by
 * eviction, one client's end does not touch another's pages, and requests of
 * any length stay bounded and can be killed. Promises of this driver only.
 */
#include <sched.h>
#include <signal.h>
#include <time.h>
#include "dm_harness.h"

#define GIB	0x40000000UL

FIXTURE(migrate)
{
	struct dm_ctx	dm;
	unsigned long	capacity;	/* pages of device memory */
};

DM_VARIANTS(migrate);

FIXTURE_SETUP(migrate)
{
	if (!dm_ours())
		SKIP(return, "test_hmm has no limit and no eviction");
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->capacity = dm_stat(&self->dm.start, "vram_capacity_pages");
	ASSERT_GT(self->capacity, 0);
}

FIXTURE_TEARDOWN(migrate)
{
	dm_teardown(_metadata, &self->dm);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* A quarter more than the device has, in one request: all bytes survive. */
TEST_F(migrate, more_than_the_device_has)
{
	unsigned long n = self->capacity + self->capacity / 4, resident;
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	int ret;

	if (n * DM_PAGE > GIB / 4)
		SKIP(return, "too much device memory for this test");
	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
	ret = dm_to_dev(self->dm.fd, b.ptr, n, b.mirror, &res);
	resident = dm_count(self->dm.fd, b.ptr, n, DM_ON_DEV);
	EXPECT_EQ(-ENOENT, ret);
	EXPECT_EQ(resident, res.cpages);
	EXPECT_LE(resident, self->capacity);
	EXPECT_GE(resident, self->capacity / 2);
	EXPECT_MOVED_MIN(&self->dm, "evicted_pages", n - self->capacity);
	EXPECT_MOVED_MIN(&self->dm, "evictions", 1);

	/* The device works on all of it, resident or not. */
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, n, b.mirror, &res));
	EXPECT_EQ(n, res.cpages);
	EXPECT_TAGS(b.mirror, n, b.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, n, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
	EXPECT_LE(dm_stat_now(self->dm.index, "vram_high_pages"),
		  self->capacity);
}

/* Several generations through a device that is too small for the range. */
TEST_F(migrate, working_set_larger_than_device)
{
	unsigned long n = self->capacity + self->capacity / 2, i;
	const unsigned long step = 2 * DM_2M_PAGES;
	struct dm_buf b;
	int gen;

	if (n * DM_PAGE > GIB / 4)
		SKIP(return, "too much device memory for this test");
	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	dm_fill(b.ptr, n, b.ptr, 0, DM_DEV);
	for (gen = 1; gen <= 2; gen++) {
		for (i = 0; i + step <= n; i += step) {
			__u8 *p = b.ptr + i * DM_PAGE;

			ASSERT_EQ(0, dm_to_dev(self->dm.fd, p, step, b.mirror,
					       NULL));
			ASSERT_TAGS(b.mirror, step, p, gen - 1, DM_DEV);
			dm_fill(b.mirror, step, p, gen, DM_DEV);
			ASSERT_EQ(0, dm_write(self->dm.fd, p, step, b.mirror,
					      NULL));
		}
	}
	EXPECT_TAGS(b.ptr, n / step * step, b.ptr, 2, DM_DEV);
	EXPECT_MOVED_MIN(&self->dm, "evicted_pages", n - self->capacity);
	dm_buf_free(&b);
}

/* The end of one client leaves the pages of another where they are. */
TEST_F(migrate, close_of_another_client)
{
	const unsigned long n = 256;
	struct dm_buf a, b;
	int other;

	other = dm_open(self->dm.index);
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, dm_buf_anon(&a, n, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	dm_fill(a.ptr, n, a.ptr, 1, DM_CPU);
	dm_fill(b.ptr, n, b.ptr, 2, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, a.ptr, n, a.mirror, NULL));
	ASSERT_EQ(0, dm_to_dev(other, b.ptr, n, b.mirror, NULL));
	dm_restart(&self->dm);
	ASSERT_EQ(0, close(other));
	/* Its own pages belong to the process, not to the file: they stay. */
	EXPECT_ALL(self->dm.fd, a.ptr, n, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr, n, DM_ON_DEV);
	EXPECT_MOVED(&self->dm, "migrate_out_pages", 0);
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, n, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, n, b.ptr, 2, DM_CPU);
	EXPECT_TAGS(a.ptr, n, a.ptr, 1, DM_CPU);
	dm_buf_free(&a);
	dm_buf_free(&b);
}

/* Two files of one process see the same device pages. */
TEST_F(migrate, second_file)
{
	const unsigned long n = 256;
	struct dm_buf b;
	int other;

	other = dm_open(self->dm.index);
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, n, b.mirror, NULL));
	EXPECT_EQ(0, dm_read(other, b.ptr, n, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, n, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, n, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(other, b.ptr, n, b.mirror, NULL));
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, n, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, n, b.ptr, 2, DM_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr, n, DM_ON_DEV);
	EXPECT_EQ(0, close(other));
	dm_buf_free(&b);
}

/* A window of address space that is one small file over and over. */
static void *fold(size_t len)
{
	int fd = memfd_create("fold", MFD_CLOEXEC);
	__u8 *p = mmap(NULL, len, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t at;

	if (fd < 0 || p == MAP_FAILED || ftruncate(fd, 8 * DM_2M))
		return NULL;
	for (at = 0; at < len; at += 8 * DM_2M) {
		if (mmap(p + at, 8 * DM_2M, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
			return NULL;
	}
	close(fd);
	return p;
}

static long available_kb(void)
{
	char text[8192], *p;

	if (dm_read_file("/proc/meminfo", text, sizeof(text)) < 0)
		return -1;
	p = strstr(text, "MemAvailable:");
	return p ? atol(p + strlen("MemAvailable:")) : -1;
}

/* What a child is to do with eight GiB it has reserved and never touched. */
static void be_greedy(int index, unsigned long request, int started)
{
	size_t len = 8 * GIB;
	int fd = dm_open(index);
	void *out = fold(len);
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (fd < 0 || !out || p == MAP_FAILED)
		_exit(3);
	madvise(p, len, MADV_NOHUGEPAGE);
	if (write(started, "", 1) != 1)
		_exit(4);
	for (;;)
		dm_cmd_once(fd, request, p, len / DM_PAGE, out, NULL);
}

/*
 * A request over gigabytes does not take memory for all of it, and the process
 * dies within a second of being killed in the middle of it.
 */
static void greedy(struct __test_metadata *_metadata, struct dm_ctx *dm,
		   unsigned long request)
{
	double limit = dm_timeout(1), end;
	long before, low;
	int started[2], status;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(started));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		be_greedy(dm->index, request, started[1]);
	ASSERT_EQ(1, read(started[0], &c, 1));
	before = available_kb();
	low = before;
	/* Let it get well into the range: it is a busy loop all that time. */
	for (end = now() + 1; now() < end; sched_yield()) {
		long kb = available_kb();

		low = kb < low ? kb : low;
	}
	ASSERT_EQ(0, kill(pid, SIGKILL));
	end = now();
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status)) {
		TH_LOG("status %#x", status);
	}
	EXPECT_LT(now() - end, limit);
	/* Page tables of the child, device memory and some room. */
	EXPECT_LT(before - low, 512 * 1024);
}

TEST_F(migrate, killed_while_reading_gigabytes)
{
	greedy(_metadata, &self->dm, HMM_DMIRROR_READ);
}

TEST_F(migrate, killed_while_looking_at_gigabytes)
{
	greedy(_metadata, &self->dm, HMM_DMIRROR_SNAPSHOT);
}

TEST_F(migrate, killed_while_migrating_gigabytes)
{
	if (self->capacity * DM_PAGE > GIB / 4)
		SKIP(return, "too much device memory for this test");
	greedy(_metadata, &self->dm, HMM_DMIRROR_MIGRATE_TO_DEV);
}

TEST_HARNESS_MAIN
