// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: see stats.h. Owns the per-CPU arrays; takes no locks.
 */
#include <linux/array_size.h>
#include <linux/build_bug.h>
#include <linux/cpumask.h>
#include <linux/errno.h>

#include "stats.h"

static const char * const dmirror_stat_names[] = {
	[DMIRROR_STAT_MIGRATE_IN_PAGES] = "migrate_in_pages",
	[DMIRROR_STAT_MIGRATE_OUT_PAGES] = "migrate_out_pages",
	[DMIRROR_STAT_MIGRATE_IN_FAILED] = "migrate_in_failed_pages",
	[DMIRROR_STAT_MIGRATE_OUT_FAILED] = "migrate_out_failed_pages",
	[DMIRROR_STAT_IN_UNTRIED] = "in_untried_pages",
	[DMIRROR_STAT_IN_MOVED] = "in_moved_pages",
	[DMIRROR_STAT_IN_PRESENT] = "in_present_pages",
	[DMIRROR_STAT_IN_HOLE] = "in_hole_pages",
	[DMIRROR_STAT_IN_BUSY] = "in_busy_pages",
	[DMIRROR_STAT_IN_ELSEWHERE] = "in_elsewhere_pages",
	[DMIRROR_STAT_IN_UNSUPPORTED] = "in_unsupported_pages",
	[DMIRROR_STAT_IN_NOMEM] = "in_nomem_pages",
	[DMIRROR_STAT_IN_RACED] = "in_raced_pages",
	[DMIRROR_STAT_OUT_UNTRIED] = "out_untried_pages",
	[DMIRROR_STAT_OUT_MOVED] = "out_moved_pages",
	[DMIRROR_STAT_OUT_PRESENT] = "out_present_pages",
	[DMIRROR_STAT_OUT_HOLE] = "out_hole_pages",
	[DMIRROR_STAT_OUT_BUSY] = "out_busy_pages",
	[DMIRROR_STAT_OUT_ELSEWHERE] = "out_elsewhere_pages",
	[DMIRROR_STAT_OUT_UNSUPPORTED] = "out_unsupported_pages",
	[DMIRROR_STAT_OUT_NOMEM] = "out_nomem_pages",
	[DMIRROR_STAT_OUT_RACED] = "out_raced_pages",
	[DMIRROR_STAT_LARGE_IN] = "large_in",
	[DMIRROR_STAT_LARGE_OUT] = "large_out",
	[DMIRROR_STAT_LARGE_FALLBACKS] = "large_fallbacks",
	[DMIRROR_STAT_FOLIO_SPLITS] = "folio_splits",
	[DMIRROR_STAT_CPU_FAULTS] = "cpu_faults",
	[DMIRROR_STAT_CPU_FAULT_PAGES] = "cpu_fault_pages",
	[DMIRROR_STAT_DEV_FAULTS] = "dev_faults",
	[DMIRROR_STAT_DEV_FAULT_PAGES] = "dev_fault_pages",
	[DMIRROR_STAT_DEV_FAULT_RETRIES] = "dev_fault_retries",
	[DMIRROR_STAT_COW_BREAKS] = "cow_breaks",
	[DMIRROR_STAT_INVALIDATIONS] = "invalidations",
	[DMIRROR_STAT_INVALIDATED_PAGES] = "invalidated_pages",
	[DMIRROR_STAT_INVALIDATIONS_NONBLOCK_FAILED] = "invalidations_nonblock_failed",
	[DMIRROR_STAT_EVICTIONS] = "evictions",
	[DMIRROR_STAT_EVICTED_PAGES] = "evicted_pages",
	[DMIRROR_STAT_EVICT_FAILED] = "evict_failed_pages",
	[DMIRROR_STAT_EXCLUSIVE_PAGES] = "exclusive_taken_pages",
	[DMIRROR_STAT_READ_PAGES] = "read_pages",
	[DMIRROR_STAT_WRITE_PAGES] = "write_pages",
	[DMIRROR_STAT_LEAVES_PRUNED] = "leaves_pruned",
};

static_assert(ARRAY_SIZE(dmirror_stat_names) == DMIRROR_NR_STATS);

int dmirror_stats_init(struct dmirror_stats *stats)
{
	stats->cpu = __alloc_percpu(sizeof(u64) * DMIRROR_NR_STATS,
				    __alignof__(u64));
	return stats->cpu ? 0 : -ENOMEM;
}

void dmirror_stats_fini(struct dmirror_stats *stats)
{
	free_percpu(stats->cpu);
	stats->cpu = NULL;
}

u64 dmirror_stat_read(const struct dmirror_stats *stats, enum dmirror_stat stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(stats->cpu, cpu)[stat];
	return sum;
}

const char *dmirror_stat_name(enum dmirror_stat stat)
{
	return dmirror_stat_names[stat];
}
