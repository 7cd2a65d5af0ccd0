// SPDX-License-Identifier: GPL-2.0
/*
 * A process whose memory moves to the device and back, told step by step.
 *
 * Owns one buffer of tagged data, which is what an ordinary program would have;
 * the device is used through its character node. What is reported is measured:
 * residency comes from the device and from /proc/self/pagemap, faults from the
 * driver's counters, and every byte is compared at the end. Run as root, alone
 * on the device. One thread, no locks.
 *
 * usage: show MIB [LIMIT_MIB]
 * With a limit the process lives in a memory cgroup of that size, next to a
 * compressed swap device, and works through its memory in windows.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <kselftest.h>	/* __printf */
#include <dmirror.h>

#define MIB			(1024UL * 1024)
#define PAGES_PER_MIB		(MIB / DM_PAGE)
#define WINDOW_MIB		8
#define REWRITTEN_PART		16	/* the device rewrites 1/16 of it */

/* Generations of the data: as the process wrote it, as the device did. */
#define GEN_CPU			1
#define GEN_DEV			2

struct show {
	int		fd;
	struct dm_buf	buf;
	unsigned long	window;		/* pages */
	struct dm_page	*pages;		/* one for each page of a window */
	struct dm_stats	before;
	bool		limited;
	unsigned long	failures;

	/* Sums over all windows. */
	unsigned long	moved;
	unsigned long	seen_by_device;
	unsigned long	seen_by_pagemap;
	unsigned long	rewritten;
	unsigned long	left_behind;
	unsigned long	wrong;
	double		fill_s, swap_in_s, move_s, rewrite_s, read_s;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void __printf(3, 4)
require(struct show *s, bool ok, const char *fmt, ...)
{
	va_list args;

	if (ok)
		return;
	s->failures++;
	printf("  FAILED: ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

static void row(const char *what, unsigned long pages, double seconds)
{
	double mib = (double)pages / PAGES_PER_MIB;

	printf("  %-44s %7lu pages %7.2f s %8.1f MiB/s\n", what, pages, seconds,
	       seconds > 0 ? mib / seconds : 0);
}

/* Pages of a window each source places in device memory. */
static void count_residency(struct show *s, const __u8 *at,
			    unsigned long *by_device, unsigned long *by_pagemap)
{
	int ret = dm_pages(s->fd, at, s->window, s->pages);
	unsigned long i;

	*by_device = 0;
	*by_pagemap = 0;
	require(s, !ret, "cannot tell where the pages are: %s", strerror(-ret));
	for (i = 0; !ret && i < s->window; i++) {
		const struct dm_page *p = &s->pages[i];

		*by_device += (p->snap & 0xf0) ==
			      HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL;
		*by_pagemap += !(p->pagemap & DM_PM_PRESENT) &&
			       (p->pagemap & DM_PM_SWAP) &&
			       dm_pm_kind(p->pagemap) == DM_SWP_PRIVATE;
	}
}

static void move_in(struct show *s, const __u8 *at)
{
	unsigned long by_device, by_pagemap;
	struct hmm_dmirror_cmd cmd;
	double start = now();
	int ret;

	ret = dm_to_dev(s->fd, at, s->window, s->buf.mirror, &cmd);
	s->move_s += now() - start;
	/* Under memory pressure some of it may be on its way to swap. */
	require(s, !ret || (s->limited && ret == -ENOENT),
		"migration to the device: %s", strerror(-ret));
	s->moved += cmd.cpages;

	count_residency(s, at, &by_device, &by_pagemap);
	require(s, by_device == by_pagemap,
		"the device claims %lu pages, pagemap says %lu", by_device,
		by_pagemap);
	s->seen_by_device += by_device;
	s->seen_by_pagemap += by_pagemap;
}

static void rewrite_on_device(struct show *s, const __u8 *at)
{
	unsigned long n = s->window / REWRITTEN_PART;
	double start;
	int ret;

	dm_fill(s->buf.mirror, n, at, GEN_DEV, DM_DEV);
	start = now();
	ret = dm_write(s->fd, at, n, s->buf.mirror, NULL);
	s->rewrite_s += now() - start;
	require(s, !ret, "device write: %s", strerror(-ret));
	s->rewritten += n;
}

static void check(struct show *s, const __u8 *at, unsigned long n,
		  unsigned int generation, unsigned int writer)
{
	struct dm_bad bad = { 0 };
	char text[DM_MSG];

	dm_verify(at, n, at, generation, writer, &bad);
	require(s, !bad.bad_pages, "%lu pages wrong: %s", bad.bad_pages,
		dm_bad_str(&bad, text));
	s->wrong += bad.bad_pages;
}

/* A device does not reach into swap: the process brings its data in first. */
static void read_from_swap(struct show *s, const __u8 *at)
{
	double start = now();

	check(s, at, s->window, GEN_CPU, DM_CPU);
	s->swap_in_s += now() - start;
}

/* Reading through the CPU is what brings the pages back. */
static void read_back(struct show *s, const __u8 *at)
{
	unsigned long n = s->window / REWRITTEN_PART;
	double start = now();

	check(s, at, n, GEN_DEV, DM_DEV);
	check(s, at + n * DM_PAGE, s->window - n, GEN_CPU, DM_CPU);
	s->read_s += now() - start;
}

static void one_window(struct show *s, const __u8 *at)
{
	unsigned long by_device, by_pagemap;

	if (s->limited)
		read_from_swap(s, at);
	move_in(s, at);
	rewrite_on_device(s, at);
	read_back(s, at);
	count_residency(s, at, &by_device, &by_pagemap);
	s->left_behind += by_device + by_pagemap;
}

static void report_counters(struct show *s)
{
	struct dm_stats after;
	__s64 faults, pages, in;

	if (dm_stats_read(0, &after)) {
		require(s, false, "the driver's counters cannot be read");
		return;
	}
	faults = dm_stat_delta(&s->before, &after, "cpu_faults");
	pages = dm_stat_delta(&s->before, &after, "cpu_fault_pages");
	in = dm_stat_delta(&s->before, &after, "migrate_in_pages");
	printf("  %-44s %7lld, which brought back %lld pages\n",
	       "CPU faults on device pages", faults, pages);
	printf("  %-44s %7lld pages\n", "evicted because device memory was full",
	       dm_stat_delta(&s->before, &after, "evicted_pages"));
	require(s, faults > 0 && pages == in && in >= (__s64)s->moved,
		"the driver moved %lld pages in and %lld out", in, pages);
	require(s, !dm_stats_law(&after, NULL),
		"the driver's page counts do not add up");
	require(s, dm_stat(&after, "vram_resident_pages") == 0,
		"device memory is still in use");
}

static void report(struct show *s)
{
	unsigned long all = s->buf.npages;

	row("the process writes its data", all, s->fill_s);
	if (s->limited)
		row("read by the process, partly from swap", all, s->swap_in_s);
	row("migrated to the device", s->moved, s->move_s);
	printf("  %-44s %7lu by the device, %lu by pagemap\n",
	       "  seen in device memory", s->seen_by_device,
	       s->seen_by_pagemap);
	row("rewritten by the device where they are", s->rewritten, s->rewrite_s);
	row("read back by the process, checking", all, s->read_s);
	printf("  %-44s %7lu\n", "  still in device memory afterwards",
	       s->left_behind);
	report_counters(s);
	require(s, s->left_behind == 0, "pages were left on the device");
	require(s, s->seen_by_device > 0 && s->moved == s->seen_by_device,
		"%lu pages reported as moved", s->moved);
	require(s, s->limited || s->moved == all, "not everything moved");
	printf("  data: %lu pages checked, %lu wrong: %s\n", all, s->wrong,
	       s->failures ? "FAILED" : "ok");
}

static int setup(struct show *s, unsigned long mib)
{
	unsigned long pages = mib * PAGES_PER_MIB;
	int ret;

	s->fd = dm_open(DM_PRIVATE0);
	if (s->fd < 0) {
		fprintf(stderr, "show: /dev/hmm_dmirror0: %s\n", strerror(-s->fd));
		return -1;
	}
	ret = dm_buf_anon(&s->buf, pages, DM_BUF_SMALL);
	s->window = s->limited ? WINDOW_MIB * PAGES_PER_MIB : pages;
	s->pages = calloc(s->window, sizeof(*s->pages));
	if (ret || !s->pages) {
		fprintf(stderr, "show: no memory\n");
		return -1;
	}
	dm_stats_read(0, &s->before);
	return 0;
}

static void work(struct show *s)
{
	unsigned long done;
	double start = now();

	dm_fill(s->buf.ptr, s->buf.npages, s->buf.ptr, GEN_CPU, DM_CPU);
	s->fill_s = now() - start;
	for (done = 0; done < s->buf.npages; done += s->window)
		one_window(s, s->buf.ptr + done * DM_PAGE);
	report(s);
}

static void work_in_cgroup(struct show *s, unsigned long mib, unsigned long limit)
{
	__u64 swap = 0, killed = 0;
	struct dm_zram zram = { 0 };
	struct dm_cg cg;
	char bytes[32];
	int ret;

	ret = dm_zram_on(&zram, 4 * mib * MIB);
	require(s, !ret, "zram swap: %s", strerror(-ret));
	ret = ret ? ret : dm_cg_create(&cg, "show");
	snprintf(bytes, sizeof(bytes), "%lu", limit * MIB);
	ret = ret ? ret : dm_cg_write(&cg, "memory.max", bytes);
	ret = ret ? ret : dm_cg_enter(&cg);
	require(s, !ret, "memory cgroup: %s", strerror(-ret));
	if (ret)
		return;

	work(s);
	dm_cg_read(&cg, "memory.swap.peak", &swap);
	dm_cg_key(&cg, "memory.events", "oom_kill", &killed);
	printf("  %-44s %7llu MiB\n", "swap in use at most", swap / MIB);
	require(s, swap > 0, "the group was large enough, nothing was swapped");
	require(s, killed == 0, "the group ran out of memory");
	dm_buf_free(&s->buf);
	dm_cg_leave();
	dm_cg_destroy(&cg);
	dm_zram_off(&zram);
}

int main(int argc, char **argv)
{
	unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	unsigned long limit = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	struct show s = { .limited = limit > 0 };

	if (!mib || mib % WINDOW_MIB) {
		fprintf(stderr, "usage: show MIB [LIMIT_MIB], in multiples of %u\n",
			WINDOW_MIB);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (setup(&s, mib))
		return 1;
	if (s.limited)
		work_in_cgroup(&s, mib, limit);
	else
		work(&s);
	return s.failures ? 1 : 0;
}
