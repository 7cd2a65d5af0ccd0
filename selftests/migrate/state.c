// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel knows about a page besides its bytes must survive the trip:
 * soft-dirty, userfaultfd write protection, exclusive ownership, and whose
 * memory it is.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>
#include "dm_harness.h"

#define NPAGES	64UL

DM_FIXTURE(migrate);

/* There and back without a byte being written on either side. */
static void round_trip(struct __test_metadata *_metadata, struct dm_ctx *dm,
		       struct dm_buf *b)
{
	struct hmm_dmirror_cmd res;

	ASSERT_EQ(0, dm_to_dev(dm->fd, b->ptr, b->npages, b->mirror, &res));
	ASSERT_EQ(b->npages, res.cpages);
	ASSERT_ALL(dm->fd, b->ptr, b->npages, DM_ON_DEV);
	ASSERT_EQ(0, dm_to_sys(dm->fd, b->ptr, b->npages, &res));
	ASSERT_ALL(dm->fd, b->ptr, b->npages, DM_SYS);
}

#define ROUND_TRIP(b) round_trip(_metadata, &self->dm, b)

/* Pages that have some bit of their pagemap entry set. */
static unsigned long with_bit(struct dm_buf *b, __u64 bit)
{
	__u64 ent[NPAGES];
	unsigned long i, n = 0;

	if (dm_pagemap(b->ptr, NPAGES, ent))
		return ~0UL;
	for (i = 0; i < NPAGES; i++)
		n += !!(ent[i] & bit);
	return n;
}

/* Clean pages are clean after the trip, and while they are on the device. */
TEST_F(migrate, soft_clean_stays_clean)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_clear_soft_dirty());
	if (with_bit(&b, DM_PM_SOFT_DIRTY))
		SKIP(goto out, "no soft-dirty tracking");
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	ASSERT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_EQ(0, with_bit(&b, DM_PM_SOFT_DIRTY));
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, NPAGES, NULL));
	EXPECT_EQ(0, with_bit(&b, DM_PM_SOFT_DIRTY));
	/* The bit still works: one written page is one dirty page. */
	dm_fill(b.ptr + 3 * DM_PAGE, 1, b.ptr + 3 * DM_PAGE, 2, DM_CPU);
	EXPECT_EQ(1, with_bit(&b, DM_PM_SOFT_DIRTY));
	EXPECT_EQ(1, dm_is_soft_dirty(b.ptr + 3 * DM_PAGE));
out:
	dm_buf_free(&b);
}

/* Dirty pages are dirty after the trip: a checkpoint must not lose them. */
TEST_F(migrate, soft_dirty_stays_dirty)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_clear_soft_dirty());
	if (with_bit(&b, DM_PM_SOFT_DIRTY))
		SKIP(goto out, "no soft-dirty tracking");
	dm_fill(b.ptr, NPAGES / 2, b.ptr, 2, DM_CPU);
	ASSERT_EQ(NPAGES / 2, with_bit(&b, DM_PM_SOFT_DIRTY));
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_EQ(NPAGES / 2, with_bit(&b, DM_PM_SOFT_DIRTY));
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, NPAGES, NULL));
	EXPECT_EQ(NPAGES / 2, with_bit(&b, DM_PM_SOFT_DIRTY));
	EXPECT_EQ(1, dm_is_soft_dirty(b.ptr));
out:
	dm_buf_free(&b);
}

static int watch_writes(struct dm_buf *b)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)b->ptr, .len = b->size },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)b->ptr, .len = b->size / 2 },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    ioctl(fd, UFFDIO_WRITEPROTECT, &wp))
		return -1;
	return fd;
}

/* Write-protected pages are write-protected after the trip. */
TEST_F(migrate, write_protection_stays)
{
	struct dm_buf b;
	int uffd;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	uffd = watch_writes(&b);
	if (uffd < 0)
		SKIP(goto out, "no userfaultfd write protection");
	ASSERT_EQ(NPAGES / 2, with_bit(&b, DM_PM_UFFD_WP));
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	ASSERT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_EQ(NPAGES / 2, with_bit(&b, DM_PM_UFFD_WP));
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, NPAGES, NULL));
	EXPECT_EQ(NPAGES / 2, with_bit(&b, DM_PM_UFFD_WP));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	close(uffd);
out:
	dm_buf_free(&b);
}

/*
 * A page of one process alone is written in place after the trip, without a
 * copy; a page shared by fork is copied, and the other side keeps its bytes.
 */
TEST_F(migrate, ownership_stays)
{
	__u64 before[NPAGES], after[NPAGES];
	unsigned long i, moved = 0;
	int go[2], status;
	struct dm_buf b;
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ROUND_TRIP(&b);
	EXPECT_EQ(NPAGES, with_bit(&b, DM_PM_EXCLUSIVE));
	ASSERT_EQ(0, dm_pagemap(b.ptr, NPAGES, before));
	dm_fill(b.ptr, NPAGES, b.ptr, 2, DM_CPU);
	ASSERT_EQ(0, dm_pagemap(b.ptr, NPAGES, after));
	for (i = 0; i < NPAGES; i++)
		moved += dm_pm_pfn(before[i]) != dm_pm_pfn(after[i]);
	EXPECT_EQ(0, moved);

	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		EXPECT_EQ(1, read(go[0], &c, 1));
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_CPU);
		_exit(0);
	}
	ROUND_TRIP(&b);
	dm_fill(b.ptr, NPAGES, b.ptr, 3, DM_CPU);
	EXPECT_EQ(1, write(go[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 3, DM_CPU);
	dm_buf_free(&b);
}

static long rss_anon_kb(void)
{
	char text[4096], *p;

	if (dm_read_file("/proc/self/status", text, sizeof(text)) < 0)
		return -1;
	p = strstr(text, "RssAnon:");
	return p ? atol(p + strlen("RssAnon:")) : -1;
}

/*
 * Pages on the device are still memory of the process: its resident size does
 * not change on the way, and shrinks when they are unmapped.
 */
TEST_F(migrate, accounting_stays)
{
	const unsigned long n = 1024;
	long before, there, back, gone;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, n, b.ptr, 1, DM_CPU);
	before = rss_anon_kb();
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, n, b.mirror, NULL));
	there = rss_anon_kb();
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, n, NULL));
	back = rss_anon_kb();
	/* The counters are kept per processor and folded in late. */
	EXPECT_LE(labs(there - before), 512);
	EXPECT_LE(labs(back - before), 512);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, n, b.mirror, NULL));
	ASSERT_EQ(0, munmap(b.ptr, b.size));
	gone = rss_anon_kb();
	EXPECT_GE(before - gone, (long)(n * DM_PAGE / 1024) - 512);
	dm_buf_free(&b);
}

/* Device pages are charged to the memory group of the process, not for free. */
TEST_F(migrate, charge_stays)
{
	const unsigned long n = 1024;
	__u64 before = 0, there = 0, gone = 0;
	struct dm_buf b;
	struct dm_cg cg;

	ASSERT_EQ(0, dm_cg_create(&cg, "charge"));
	ASSERT_EQ(0, dm_cg_enter(&cg));
	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
	memset(b.mirror, 0, b.size);
	EXPECT_EQ(0, dm_cg_key(&cg, "memory.stat", "anon", &before));
	EXPECT_GE(before, 2 * b.size);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, n, b.mirror, NULL));
	EXPECT_EQ(0, dm_cg_key(&cg, "memory.stat", "anon", &there));
	EXPECT_LE(llabs((long long)(there - before)), 1 << 20);
	ASSERT_EQ(0, munmap(b.ptr, b.size));
	EXPECT_EQ(0, dm_cg_key(&cg, "memory.stat", "anon", &gone));
	EXPECT_GE((long long)(before - gone),
		  (long long)(n * DM_PAGE) - (1 << 20));
	EXPECT_EQ(0, dm_cg_leave());
	dm_buf_free(&b);
	/* This task has left, so only its memory could keep the group busy. */
	EXPECT_EQ(0, dm_cg_destroy(&cg));
}

/*
 * A group at its limit, with no swap to make room: not one page more could be
 * charged, and none has to be. The pages come back, by fault and on request.
 */
TEST_F(migrate, charge_at_the_limit)
{
	const unsigned long n = 4096;
	__u64 before = 0, there = 0, back = 0, val = 1;
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	struct dm_cg cg;
	cpu_set_t one;
	char text[32];

	/*
	 * What the test's own files and tables cost is taken from what a processor
	 * keeps charged for later: another one would have to charge it.
	 */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	ASSERT_EQ(0, dm_cg_create(&cg, "limit"));
	ASSERT_EQ(0, dm_cg_enter(&cg));
	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, n, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_cg_read(&cg, "memory.current", &before));
	EXPECT_GE(before, 2 * b.size);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, n, b.mirror, NULL));
	ASSERT_EQ(n, dm_count(self->dm.fd, b.ptr, n, DM_ON_DEV));
	EXPECT_EQ(0, dm_cg_read(&cg, "memory.current", &there));
	/* Each processor may keep a few pages charged for later. */
	EXPECT_LE(llabs((long long)(there - before)), 2 << 20);

	ASSERT_EQ(0, dm_cg_write(&cg, "memory.swap.max", "0"));
	ASSERT_EQ(0, dm_cg_read(&cg, "memory.current", &there));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)there);
	ASSERT_EQ(0, dm_cg_write(&cg, "memory.max", text));
	EXPECT_TAGS(b.ptr, n / 2, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_to_sys(self->dm.fd, b.ptr + n / 2 * DM_PAGE, n / 2,
			       &res));
	EXPECT_EQ(n / 2, res.cpages);
	EXPECT_TAGS(b.ptr, n, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_cg_read(&cg, "memory.current", &back));
	EXPECT_LE(llabs((long long)(back - before)), 2 << 20);
	EXPECT_EQ(0, dm_cg_key(&cg, "memory.events", "oom", &val));
	EXPECT_EQ(0, val);
	/* Nobody even came near. */
	EXPECT_EQ(0, dm_cg_key(&cg, "memory.events", "max", &val));
	EXPECT_EQ(0, val);

	ASSERT_EQ(0, dm_cg_write(&cg, "memory.max", "max"));
	dm_buf_free(&b);
	EXPECT_EQ(0, dm_cg_leave());
	EXPECT_EQ(0, dm_cg_destroy(&cg));
}

TEST_HARNESS_MAIN
