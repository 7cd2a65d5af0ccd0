/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The counters of the module and the health of the kernel. Part of dmirror.h.
 */
#ifndef SELFTESTS_LIB_DM_STATS_H
#define SELFTESTS_LIB_DM_STATS_H

#include <limits.h>
#include <stdbool.h>
#include <linux/types.h>

#define DM_STATS_MAX	128
#define DM_STAT_NONE	(~0ULL)
#define DM_NO_DELTA	LLONG_MIN

/* All counters of one device at one moment. */
struct dm_stats {
	int		n;
	char		name[DM_STATS_MAX][40];
	__u64	value[DM_STATS_MAX];
};

/**
 * dm_stats_read() - read the counters of a device
 * @index: minor number
 * @s: filled in
 *
 * Return: 0, -ENOENT when the module has no counters, or another negative
 * errno.
 */
int dm_stats_read(int index, struct dm_stats *s);

/**
 * dm_stat() - value of one counter
 * @s: counters
 * @name: counter
 *
 * Return: the value, DM_STAT_NONE if there is no such counter.
 */
__u64 dm_stat(const struct dm_stats *s, const char *name);

/**
 * dm_stat_now() - read one counter of a device
 * @index: minor number
 * @name: counter
 *
 * Return: the value, DM_STAT_NONE if there is no such counter.
 */
__u64 dm_stat_now(int index, const char *name);

/**
 * dm_stat_delta() - how far a counter moved
 * @before: earlier counters
 * @after: later counters
 * @name: counter
 *
 * Return: difference, DM_NO_DELTA if the counter does not exist.
 */
__s64 dm_stat_delta(const struct dm_stats *before,
		    const struct dm_stats *after, const char *name);

/**
 * dm_classes_sum() - pages of requests to migrate, whatever became of them
 * @before: earlier counters
 * @after: later counters
 * @dir: "in" or "out"
 *
 * Return: how far the counters of all classes moved together, DM_NO_DELTA if
 * one of them does not exist.
 */
__s64 dm_classes_sum(const struct dm_stats *before,
		     const struct dm_stats *after, const char *dir);

/**
 * dm_stats_law() - check the conservation law of device memory
 * @s: counters, read while nothing runs on the device
 * @why: receives the reason, DM_MSG bytes, may be NULL
 *
 * Return: 0 if capacity is free + resident + in flight and the high water mark
 * is not above capacity, else -EUCLEAN.
 */
int dm_stats_law(const struct dm_stats *s, char *why);

/**
 * dm_stats_idle() - check that a device is as after load
 * @s: counters
 * @why: receives the reason, DM_MSG bytes, may be NULL
 *
 * Return: 0 if the law holds and no client, resident or in-flight page is
 * left, else -EBUSY or -EUCLEAN.
 */
int dm_stats_idle(const struct dm_stats *s, char *why);

/* Kernel health ---------------------------------------------------------- */

/* Kernel state at the start of a test. */
struct dm_health {
	__u64	taint;
	int		locks;
	int		kmsg;
};

/**
 * dm_taint() - taint bits that mean a kernel defect
 *
 * Machine check, bad page, oops, warning and soft lockup; bits that say how a
 * module was built or signed are masked out.
 *
 * Return: the bits, 0 for a healthy kernel.
 */
__u64 dm_taint(void);

/**
 * dm_health_begin() - remember the state of the kernel
 * @h: filled in
 */
void dm_health_begin(struct dm_health *h);

/**
 * dm_health_end() - compare the state of the kernel with the start
 * @h: as filled in by dm_health_begin(), closed here
 * @why: receives the reason, DM_MSG bytes, may be NULL
 *
 * Return: 0, or -EIO after a new taint bit, a lockdep report or a line in the
 * kernel log that reports a defect.
 */
int dm_health_end(struct dm_health *h, char *why);

/**
 * dm_log_line_bad() - does a kernel log line report a defect
 * @line: text of the record
 *
 * Return: true for warnings, oopses, sanitizer reports, hung tasks and the
 * memory manager's complaints.
 */
bool dm_log_line_bad(const char *line);

#endif /* SELFTESTS_LIB_DM_STATS_H */
