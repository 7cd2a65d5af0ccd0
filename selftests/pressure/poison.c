// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that goes bad under a range that is partly on the device, with swap
 * behind it: who asks for such a page is told, nobody else loses anything.
 */
#include <setjmp.h>
#include <signal.h>

#include "dm_madvise.h"
#include "pressure.h"

#define NPAGES	64UL
#define BAD	20UL

PR_FIXTURE(poison, PR_ZRAM);

#define E	(&self->e)
#define FD	(self->e.dm.fd)
#define REST	(NPAGES - BAD - 1)

static sigjmp_buf out;
static void *bad_addr;

static void on_bus_error(int sig, siginfo_t *info, void *ctx)
{
	bad_addr = info->si_addr;
	siglongjmp(out, info->si_code);
}

/* Load a byte. Returns 0, or the si_code of the bus error. */
static int touch(void *p)
{
	struct sigaction sa = { .sa_sigaction = on_bus_error,
				.sa_flags = SA_SIGINFO }, old;
	int code;

	sigaction(SIGBUS, &sa, &old);
	code = sigsetjmp(out, 1);
	if (!code)
		(void)*(volatile char *)p;
	sigaction(SIGBUS, &old, NULL);
	return code;
}

static void ignore(int sig)
{
}

static void unpoison(__u64 pfn)
{
	static const char *const probe[] = { "modprobe", "-q", "hwpoison-inject",
					     NULL };
	char text[32];

	dm_run(probe);
	snprintf(text, sizeof(text), "%#llx", (unsigned long long)pfn);
	dm_write_file("/sys/kernel/debug/hwpoison/unpoison-pfn", text);
}

/* All but the bad page, by the device. */
#define EXPECT_REST(b, gen, writer) do {				\
	__u8 *rest_ = (b)->ptr + (BAD + 1) * DM_PAGE;			\
									\
	memset((b)->mirror, 0xee, (b)->size);				\
	EXPECT_EQ(0, dm_read(FD, (b)->ptr, BAD, (b)->mirror, NULL));	\
	EXPECT_TAGS((b)->mirror, BAD, (b)->ptr, gen, writer);		\
	EXPECT_EQ(0, dm_read(FD, rest_, REST, (b)->mirror, NULL));	\
	EXPECT_TAGS((b)->mirror, REST, rest_, gen, writer);		\
} while (0)

/*
 * A page of the range is hit: if it was on the device it comes home first, like
 * for every look at it. From then on it is a bus error for the CPU and an error
 * for the device; the others go to the device, to swap and back as before.
 */
TEST_F(poison, hard)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	__u8 *bad;

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	bad = b.ptr + BAD * DM_PAGE;
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(FD, &b, 1, DM_CPU);
	if (E->dm.coherent)
		ASSERT_EQ(0, dm_to_sys(FD, bad, 1, NULL));
	/* The one that has the page is told at once; that is not the point. */
	signal(SIGBUS, ignore);
	if (madvise(bad, DM_PAGE, MADV_HWPOISON))
		SKIP(goto out, "no poison to be had");
	/* BUS_MCEERR_AR */
	EXPECT_EQ(4, touch(bad));
	EXPECT_EQ(bad, bad_addr);
	EXPECT_EQ(-EFAULT, dm_read(FD, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(BAD, res.cpages);
	EXPECT_REST(&b, 1, DM_CPU);
	EXPECT_EQ(-ENOENT, dm_to_dev(FD, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(NPAGES - 1, res.cpages);
	EXPECT_REST(&b, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_sys(FD, b.ptr, NPAGES, NULL));
	pr_reclaim(E, b.size);
	EXPECT_REST(&b, 1, DM_CPU);
	/* Given back and had anew it is a page like any other. */
	ASSERT_EQ(0, madvise(bad, DM_PAGE, MADV_DONTNEED));
	ASSERT_EQ(0, pr_to_dev(E, b.ptr, NPAGES, b.mirror));
	EXPECT_ZERO_PAGES(bad, 1);
out:
	dm_buf_free(&b);
}

/* A page is retired before it goes bad: the content moves, nobody notices. */
TEST_F(poison, soft)
{
	__u64 before, after;
	struct dm_buf b;
	__u8 *bad;

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	bad = b.ptr + BAD * DM_PAGE;
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(FD, &b, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_sys(FD, bad, 1, NULL));
	ASSERT_EQ(0, dm_read(FD, bad, 1, b.mirror, NULL));
	ASSERT_EQ(0, dm_pagemap(bad, 1, &before));
	dm_restart(&E->dm);
	if (madvise(bad, DM_PAGE, MADV_SOFT_OFFLINE))
		SKIP(goto out, "no page can be retired");
	EXPECT_MOVED_MIN(&E->dm, "invalidated_pages", 1);
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	ASSERT_EQ(0, dm_pagemap(bad, 1, &after));
	EXPECT_NE(dm_pm_pfn(before), dm_pm_pfn(after));
	ASSERT_TO_DEV(FD, &b, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	unpoison(dm_pm_pfn(before));
out:
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
