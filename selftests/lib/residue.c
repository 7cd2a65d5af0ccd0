// SPDX-License-Identifier: GPL-2.0
/*
 * Leaks, told from noise: see residue.h. Owns the samples only.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dm_system.h"
#include "residue.h"

/* Twice, and with a pause: some of it goes through RCU and work queues. */
static void settle(void)
{
	glob_t g = { 0 };
	size_t i, pass;

	for (pass = 0; pass < 2; pass++) {
		dm_write_file("/proc/sys/vm/drop_caches", "3");
		if (!glob("/sys/kernel/slab/*/shrink", 0, NULL, &g)) {
			for (i = 0; i < g.gl_pathc; i++)
				dm_write_file(g.gl_pathv[i], "1");
		}
		globfree(&g);
		usleep(150000);
	}
}

static struct rs_cache *find(struct rs_watch *w, const char *name)
{
	int i;

	for (i = 0; i < w->caches; i++)
		if (!strcmp(w->cache[i].name, name))
			return &w->cache[i];
	if (i == RS_CACHES)
		return NULL;
	w->caches++;
	snprintf(w->cache[i].name, sizeof(w->cache[i].name), "%s", name);
	return &w->cache[i];
}

static int read_slabs(struct rs_watch *w)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	char line[512], name[64];
	struct rs_cache *c;
	long objs;

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || sscanf(line, "%63s %ld", name, &objs) != 2)
			continue;
		c = find(w, name);
		if (c)
			c->objs[w->samples] = objs;
	}
	fclose(f);
	return w->caches ? 0 : -ENODATA;
}

/* MemFree leaves out what each processor holds back, which is megabytes. */
static int read_pages(long *pages)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	char line[256];
	long n;

	if (!f)
		return -errno;
	*pages = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " pages free %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			*pages += n;
	}
	fclose(f);
	return 0;
}

int rs_sample(struct rs_watch *w)
{
	int ret;

	if (w->samples == RS_SAMPLES)
		return -ENOSPC;
	settle();
	ret = read_slabs(w);
	if (!ret)
		ret = read_pages(&w->pages[w->samples]);
	if (!ret)
		w->samples++;
	return ret;
}

static int cmp(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* What it grows by at least in three of four intervals. */
static long typical(const long *v)
{
	long d[RS_SAMPLES - 1];
	int i;

	for (i = 0; i < RS_SAMPLES - 1; i++)
		d[i] = v[i + 1] - v[i];
	qsort(d, RS_SAMPLES - 1, sizeof(*d), cmp);
	return d[(RS_SAMPLES - 1) / 4];
}

static size_t show(char *report, size_t at, const char *name, const long *v)
{
	int i;

	if (at < RS_REPORT)
		at += snprintf(report + at, RS_REPORT - at, "%s:", name);
	for (i = 0; at < RS_REPORT && i < RS_SAMPLES; i++)
		at += snprintf(report + at, RS_REPORT - at, " %ld", v[i]);
	if (at < RS_REPORT)
		at += snprintf(report + at, RS_REPORT - at, "; ");
	return at;
}

int rs_leaks(const struct rs_watch *w, int rounds, int pages, char *report)
{
	const long least = rounds * (RS_SAMPLES - 1) * 3 / 4;
	long less[RS_SAMPLES];
	const long *v;
	size_t at = 0;
	int i, n = 0;

	report[0] = 0;
	for (i = 0; i < w->caches; i++) {
		v = w->cache[i].objs;
		if (typical(v) < rounds || v[RS_SAMPLES - 1] - v[0] < least)
			continue;
		at = show(report, at, w->cache[i].name, v);
		n++;
	}
	v = w->pages;
	for (i = 0; i < RS_SAMPLES; i++)
		less[i] = -v[i];
	if (typical(less) < pages * rounds ||
	    v[0] - v[RS_SAMPLES - 1] < pages * least)
		return n;
	show(report, at, "free pages", v);
	return n + 1;
}
