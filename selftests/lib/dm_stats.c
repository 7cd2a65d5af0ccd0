// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of the module under test and the health of the kernel: taint
 * bits, lockdep and the kernel log. Owns no state; takes no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <kselftest.h>
#include "dmirror.h"

#define DM_DEBUGFS "/sys/kernel/debug"

/* Bits 4, 5, 7, 9, 14: machine check, bad page, oops, warning, soft lockup. */
#define DM_TAINT_BAD	0x42b0ULL
#define DM_TAINT_WARN	(1ULL << 9)

static int dm_stats_parse(char *text, struct dm_stats *s)
{
	char *save, *line;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');

		if (!colon || colon - line >= (ptrdiff_t)sizeof(s->name[0]))
			return -EINVAL;
		if (s->n == DM_STATS_MAX)
			return -ENOSPC;
		*colon = '\0';
		snprintf(s->name[s->n], sizeof(s->name[0]), "%s", line);
		s->value[s->n++] = strtoull(colon + 1, NULL, 0);
	}
	return s->n ? 0 : -ENODATA;
}

int dm_stats_read(int index, struct dm_stats *s)
{
	char path[64], text[8192];
	ssize_t n;

	memset(s, 0, sizeof(*s));
	if (access(DM_DEBUGFS "/bdi", F_OK))
		mount("debugfs", DM_DEBUGFS, "debugfs", 0, NULL);
	snprintf(path, sizeof(path), DM_DEBUGFS "/hmm_dmirror/%d/stats", index);
	n = dm_read_file(path, text, sizeof(text));
	return n < 0 ? n : dm_stats_parse(text, s);
}

__u64 dm_stat(const struct dm_stats *s, const char *name)
{
	int i;

	for (i = 0; i < s->n; i++) {
		if (!strcmp(s->name[i], name))
			return s->value[i];
	}
	return DM_STAT_NONE;
}

__u64 dm_stat_now(int index, const char *name)
{
	struct dm_stats s;

	return dm_stats_read(index, &s) ? DM_STAT_NONE : dm_stat(&s, name);
}

__s64 dm_stat_delta(const struct dm_stats *before,
		    const struct dm_stats *after, const char *name)
{
	__u64 b = dm_stat(before, name), a = dm_stat(after, name);

	return a == DM_STAT_NONE || b == DM_STAT_NONE ? DM_NO_DELTA :
							(__s64)(a - b);
}

__s64 dm_classes_sum(const struct dm_stats *before,
		     const struct dm_stats *after, const char *dir)
{
	static const char * const classes[] = {
		"untried", "moved", "present", "hole", "busy", "elsewhere",
		"unsupported", "nomem", "raced",
	};
	__s64 sum = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(classes); i++) {
		char name[sizeof(before->name[0])];
		__s64 delta;

		snprintf(name, sizeof(name), "%s_%s_pages", dir, classes[i]);
		delta = dm_stat_delta(before, after, name);
		if (delta == DM_NO_DELTA)
			return delta;
		sum += delta;
	}
	return sum;
}

int dm_stats_law(const struct dm_stats *s, char *why)
{
	__u64 cap = dm_stat(s, "vram_capacity_pages");
	__u64 free = dm_stat(s, "vram_free_pages");
	__u64 res = dm_stat(s, "vram_resident_pages");
	__u64 fly = dm_stat(s, "vram_inflight_pages");
	__u64 high = dm_stat(s, "vram_high_pages");

	if (cap != DM_STAT_NONE && free != DM_STAT_NONE &&
	    res != DM_STAT_NONE && fly != DM_STAT_NONE &&
	    high != DM_STAT_NONE && cap == free + res + fly && high <= cap)
		return 0;
	if (why)
		snprintf(why, DM_MSG,
			 "capacity %lld, free %lld, resident %lld, in flight %lld, high %lld",
			 cap, free, res, fly, high);
	return -EUCLEAN;
}

int dm_stats_idle(const struct dm_stats *s, char *why)
{
	static const char * const zero[] = {
		"clients", "vram_resident_pages", "vram_inflight_pages",
	};
	int ret = dm_stats_law(s, why);
	unsigned int i;

	for (i = 0; !ret && i < ARRAY_SIZE(zero); i++) {
		__u64 v = dm_stat(s, zero[i]);

		if (!v)
			continue;
		ret = -EBUSY;
		if (why)
			snprintf(why, DM_MSG, "%s is %lld, want 0",
				 zero[i], v);
	}
	return ret;
}

__u64 dm_taint(void)
{
	__u64 v = 0;

	dm_read_u64("/proc/sys/kernel/tainted", &v);
	return v & DM_TAINT_BAD;
}

/* 1 while lockdep works or is not built in, 0 after it has reported. */
static int dm_debug_locks(void)
{
	char text[8192], *p;

	if (dm_read_file("/proc/lockdep_stats", text, sizeof(text)) < 0)
		return 1;
	p = strstr(text, "debug_locks:");
	return p ? atoi(p + strlen("debug_locks:")) : 1;
}

void dm_health_begin(struct dm_health *h)
{
	h->taint = dm_taint();
	h->locks = dm_debug_locks();
	h->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (h->kmsg >= 0)
		lseek(h->kmsg, 0, SEEK_END);
}

static bool dm_line_has(const char *line, const char * const *marks, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (strstr(line, marks[i]))
			return true;
	}
	return false;
}

/* A false or harmless report of the kernel's, see known.inc. */
static bool dm_log_line_known(const char *line)
{
	static const char * const known[] = {
#include "known.inc"
	};

	return dm_line_has(line, known, ARRAY_SIZE(known));
}

bool dm_log_line_bad(const char *line)
{
	static const char * const marks[] = {
#include "splats.inc"
	};
	const char *race = strstr(line, "KCSAN: data-race");

	/* The kernel's own data races say nothing about these modules. */
	if (race && !strstr(race, "[hmm_"))
		return false;
	return dm_line_has(line, marks, ARRAY_SIZE(marks)) && !dm_log_line_known(line);
}

/*
 * Read what the log gained. The first bad line goes to @why; @known says whether a
 * known one was there. -EPIPE means that records were overwritten before they were
 * read; the next one is newer.
 */
static bool dm_log_bad(int kmsg, char *why, bool *known)
{
	char rec[2048];
	bool bad = false;
	ssize_t n;

	for (;;) {
		char *text;

		n = read(kmsg, rec, sizeof(rec) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return bad;
		rec[n] = '\0';
		text = strchr(rec, ';');
		if (text && dm_log_line_known(text + 1))
			*known = true;
		if (!text || !dm_log_line_bad(text + 1) || bad)
			continue;
		bad = true;
		text[1 + strcspn(text + 1, "\n")] = '\0';
		if (why)
			snprintf(why, DM_MSG, "kernel log: %.200s", text + 1);
	}
}

int dm_health_end(struct dm_health *h, char *why)
{
	__u64 taint = dm_taint() & ~h->taint;
	bool known = false;
	int ret = 0;

	if (h->kmsg >= 0) {
		if (dm_log_bad(h->kmsg, why, &known))
			ret = -EIO;
		close(h->kmsg);
		h->kmsg = -1;
	}
	if (known)
		taint &= ~DM_TAINT_WARN;
	if (!ret && taint) {
		ret = -EIO;
		if (why)
			snprintf(why, DM_MSG, "new taint bits %#llx", taint);
	}
	if (!ret && h->locks && !dm_debug_locks()) {
		ret = -EIO;
		if (why)
			snprintf(why, DM_MSG, "lockdep reported a defect");
	}
	return ret;
}
