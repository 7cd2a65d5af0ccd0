// SPDX-License-Identifier: GPL-2.0
/*
 * A short experiment on the render node: a working set four times as large as the
 * device's memory, processed by device jobs under three policies, told in counters.
 *
 * Owns one buffer; all of it is filled and checksummed by the device and compared by
 * the CPU in the end. Counters are those of this file and of the device. Run as
 * root, alone on the device. One thread, no locks.
 *
 * usage: render
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <dmirror.h>
#include <dm_crc.h>
#include <dm_drm.h>

#define OVERSIZE	4	/* times the device's memory */
#define HOT_PART	8	/* the hot part is 1/8 of the working set */
#define HOT_PASSES	8
#define CHUNK		DM_2M	/* what a job works on */

struct render {
	int		fd;
	struct dm_buf	buf;
	__u64		before[HMM_DMIRROR_NR_STATS];
	unsigned long	failures;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The value of chunk @i in generation @gen: never the same twice. */
static __u64 value_of(unsigned long i, unsigned int gen)
{
	return 0x9e3779b97f4a7c15ULL * (i + 1) + gen;
}

static void fail(struct render *r, const char *what, long n)
{
	printf("  FAILED: %s (%ld)\n", what, n);
	r->failures++;
}

static void fill(struct render *r, size_t size, unsigned int gen)
{
	unsigned long i;

	for (i = 0; i < size / CHUNK; i++) {
		struct drm_hmm_dmirror_job job = {
			.op = HMM_DMIRROR_JOB_FILL, .length = CHUNK,
			.dst = (uintptr_t)r->buf.ptr + i * CHUNK,
			.value = value_of(i, gen),
		};
		int ret = dmd_run(r->fd, &job, NULL);

		if (ret)
			fail(r, "fill", ret);
	}
}

/* What the device reads must be what it was told to write. */
static void checksum(struct render *r, size_t size, unsigned int gen)
{
	unsigned long i;

	for (i = 0; i < size / CHUNK; i++) {
		struct drm_hmm_dmirror_job job = {
			.op = HMM_DMIRROR_JOB_CHECKSUM, .length = CHUNK,
			.src = (uintptr_t)r->buf.ptr + i * CHUNK, .value = ~0U,
		};
		struct drm_hmm_dmirror_result res;
		int ret = dmd_run(r->fd, &job, &res);

		if (ret || res.done != CHUNK ||
		    res.value != crc32c_words(value_of(i, gen), CHUNK))
			fail(r, "checksum", ret);
	}
}

static void compare(struct render *r, size_t size, unsigned int gen)
{
	const __u64 *word = (const __u64 *)r->buf.ptr;
	unsigned long i, wrong = 0;

	for (i = 0; i < size / sizeof(*word); i++)
		wrong += word[i] != value_of(i / (CHUNK / sizeof(*word)), gen);
	if (wrong)
		fail(r, "words that are wrong", wrong);
}

static void begin(struct render *r)
{
	if (dmd_evict(r->fd, HMM_DMIRROR_EVICT_ALL, NULL, 0, NULL) ||
	    dmd_stats(r->fd, HMM_DMIRROR_STATS_DEVICE, r->before, HMM_DMIRROR_NR_STATS))
		fail(r, "cannot begin", 0);
}

static void report(struct render *r, const char *what, double seconds)
{
	__u64 after[HMM_DMIRROR_NR_STATS];
	int i;

	dmd_stats(r->fd, HMM_DMIRROR_STATS_DEVICE, after, HMM_DMIRROR_NR_STATS);
	for (i = 0; i < HMM_DMIRROR_NR_STATS; i++)
		after[i] -= r->before[i];
	printf("  %-34s %7.2f s %8llu %9llu %8llu\n", what, seconds,
	       after[HMM_DMIRROR_STAT_DEV_FAULTS],
	       after[HMM_DMIRROR_STAT_MIGRATE_IN_PAGES],
	       after[HMM_DMIRROR_STAT_EVICTED_PAGES]);
}

/* Fill all, checksum all, and have the CPU compare all. */
static void whole(struct render *r, const char *what, unsigned int gen)
{
	double start;

	begin(r);
	start = now();
	fill(r, r->buf.size, gen);
	checksum(r, r->buf.size, gen);
	report(r, what, now() - start);
	compare(r, r->buf.size, gen);
}

/* A part that fits, over and over. */
static void hot(struct render *r, const char *what, unsigned int gen)
{
	size_t size = r->buf.size / HOT_PART;
	double start;
	int i;

	begin(r);
	start = now();
	for (i = 0; i < HOT_PASSES; i++) {
		fill(r, size, gen + i);
		checksum(r, size, gen + i);
	}
	report(r, what, now() - start);
	compare(r, size, gen + i - 1);
}

static void advise(struct render *r, __u32 attr, __u64 value)
{
	int ret = dmd_advise(r->fd, r->buf.ptr, r->buf.size, attr, value);

	if (ret)
		fail(r, "advice", ret);
}

static void experiment(struct render *r)
{
	printf("  %-34s %9s %8s %9s %8s\n", "", "", "faults", "moved in", "evicted");
	advise(r, HMM_DMIRROR_ADVISE_LOCATION, HMM_DMIRROR_LOCATION_SYSTEM);
	whole(r, "policy off: used where it is", 1);
	hot(r, "  an eighth of it, 8 times", 10);

	advise(r, HMM_DMIRROR_ADVISE_RESET, 0);
	whole(r, "policy on: moved when used", 2);
	hot(r, "  an eighth of it, 8 times", 20);

	advise(r, HMM_DMIRROR_ADVISE_GRANULARITY, DM_PAGE * 16);
	whole(r, "policy on, 64 KiB at a time", 3);
	hot(r, "  an eighth of it, 8 times", 30);
}

int main(void)
{
	struct render r = { 0 };
	struct dm_stats s;
	__u64 vram = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r.fd = dmd_open(DM_PRIVATE0);
	if (r.fd < 0 || dmd_param(r.fd, HMM_DMIRROR_PARAM_VRAM_SIZE, &vram) ||
	    dm_buf_anon(&r.buf, OVERSIZE * vram / DM_PAGE, DM_BUF_SMALL)) {
		fprintf(stderr, "render: no render node, or no memory\n");
		return 1;
	}
	printf("%zu MiB of data, %llu MiB of device memory; the device fills it, reads it and\nthe CPU compares it:\n",
	       r.buf.size >> 20, vram >> 20);
	experiment(&r);
	dm_buf_free(&r.buf);
	if (dm_stats_read(DM_PRIVATE0, &s) || dm_stats_law(&s, NULL) ||
	    dm_stat(&s, "vram_resident_pages"))
		fail(&r, "the driver's page counts do not add up", 0);
	printf("  data: %s\n", r.failures ? "FAILED" : "every word right");
	return r.failures ? 1 : 0;
}
