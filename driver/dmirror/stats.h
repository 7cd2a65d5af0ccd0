/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters of a device: per CPU, only ever growing, read through debugfs.
 *
 * The names are not an ABI. What is a level and not a count (free pages, open
 * files) is not here; debugfs.c asks its owner.
 */
#ifndef DMIRROR_STATS_H
#define DMIRROR_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>

/* One line a counter: enumerator, name. */
#define DMIRROR_STATS(X) \
	X(MIGRATE_IN_PAGES, "migrate_in_pages") \
	X(MIGRATE_OUT_PAGES, "migrate_out_pages") \
	X(MIGRATE_IN_FAILED, "migrate_in_failed_pages") \
	X(MIGRATE_OUT_FAILED, "migrate_out_failed_pages") \
	X(LARGE_IN, "large_in") \
	X(LARGE_OUT, "large_out") \
	X(LARGE_FALLBACKS, "large_fallbacks") \
	X(FOLIO_SPLITS, "folio_splits") \
	X(CPU_FAULTS, "cpu_faults") \
	X(CPU_FAULT_PAGES, "cpu_fault_pages") \
	X(DEV_FAULTS, "dev_faults") \
	X(DEV_FAULT_PAGES, "dev_fault_pages") \
	X(DEV_FAULT_RETRIES, "dev_fault_retries") \
	X(COW_BREAKS, "cow_breaks") \
	X(INVALIDATIONS, "invalidations") \
	X(INVALIDATED_PAGES, "invalidated_pages") \
	X(INVALIDATIONS_NONBLOCK_FAILED, "invalidations_nonblock_failed") \
	X(EVICTIONS, "evictions") \
	X(EVICTED_PAGES, "evicted_pages") \
	X(EVICT_FAILED, "evict_failed_pages") \
	X(EXCLUSIVE_PAGES, "exclusive_taken_pages") \
	X(READ_PAGES, "read_pages") \
	X(WRITE_PAGES, "write_pages") \
	X(LEAVES_PRUNED, "leaves_pruned")

enum dmirror_stat {
#define X(id, name) DMIRROR_STAT_##id,
	DMIRROR_STATS(X)
#undef X
	DMIRROR_NR_STATS
};

/**
 * struct dmirror_stats - counters of one device
 * @cpu: DMIRROR_NR_STATS counters on every CPU
 */
struct dmirror_stats {
	u64 __percpu *cpu;
};

/**
 * dmirror_stats_init() - allocate the counters, all 0
 * @stats: the counters
 *
 * Return: 0 or -ENOMEM.
 */
int dmirror_stats_init(struct dmirror_stats *stats);

/**
 * dmirror_stats_fini() - free the counters
 * @stats: the counters; may not have been initialised if zeroed
 */
void dmirror_stats_fini(struct dmirror_stats *stats);

/**
 * dmirror_stat_add() - count
 * @stats: the counters
 * @stat: which one
 * @n: by how much
 *
 * Context: any.
 */
static inline void dmirror_stat_add(struct dmirror_stats *stats,
				    enum dmirror_stat stat, u64 n)
{
	this_cpu_add(stats->cpu[stat], n);
}

/**
 * dmirror_stat_read() - sum of a counter over all CPUs
 * @stats: the counters
 * @stat: which one
 *
 * Return: the sum; may lag behind what is counted meanwhile.
 */
u64 dmirror_stat_read(const struct dmirror_stats *stats, enum dmirror_stat stat);

/**
 * dmirror_stat_name() - name of a counter
 * @stat: which one
 *
 * Return: the name, as in debugfs.
 */
const char *dmirror_stat_name(enum dmirror_stat stat);

#endif /* DMIRROR_STATS_H */
