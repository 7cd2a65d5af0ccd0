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

/**
 * enum dmirror_stat - what is counted
 * @DMIRROR_STAT_MIGRATE_IN_PAGES: pages moved to the device
 * @DMIRROR_STAT_MIGRATE_OUT_PAGES: pages moved back, on request or by a CPU fault
 * @DMIRROR_STAT_MIGRATE_IN_FAILED: pages that were ready to move in and did not
 * @DMIRROR_STAT_MIGRATE_OUT_FAILED: likewise out
 * @DMIRROR_STAT_IN_UNTRIED: pages of requests to migrate in that were never tried
 * @DMIRROR_STAT_IN_MOVED: likewise: moved, or made
 * @DMIRROR_STAT_IN_PRESENT: likewise: there already
 * @DMIRROR_STAT_IN_HOLE: likewise: no page, and none made
 * @DMIRROR_STAT_IN_BUSY: likewise: pinned, locked or referenced by somebody
 * @DMIRROR_STAT_IN_ELSEWHERE: likewise: swapped out, or on another device
 * @DMIRROR_STAT_IN_UNSUPPORTED: likewise: of a kind that does not move
 * @DMIRROR_STAT_IN_NOMEM: likewise: no destination to be had
 * @DMIRROR_STAT_IN_RACED: likewise: changed meanwhile
 * @DMIRROR_STAT_OUT_UNTRIED: pages of requests to migrate out that were never tried
 * @DMIRROR_STAT_OUT_MOVED: likewise: moved, or made
 * @DMIRROR_STAT_OUT_PRESENT: likewise: there already
 * @DMIRROR_STAT_OUT_HOLE: likewise: no page, and none made
 * @DMIRROR_STAT_OUT_BUSY: likewise: pinned, locked or referenced by somebody
 * @DMIRROR_STAT_OUT_ELSEWHERE: likewise: swapped out, or on another device
 * @DMIRROR_STAT_OUT_UNSUPPORTED: likewise: of a kind that does not move
 * @DMIRROR_STAT_OUT_NOMEM: likewise: no destination to be had
 * @DMIRROR_STAT_OUT_RACED: likewise: changed meanwhile
 * @DMIRROR_STAT_LARGE_IN: 2 MiB folios given a large place on the device
 * @DMIRROR_STAT_LARGE_OUT: 2 MiB folios given a large place back
 * @DMIRROR_STAT_LARGE_FALLBACKS: 2 MiB folios that had to move as small pages
 * @DMIRROR_STAT_FOLIO_SPLITS: device folios split
 * @DMIRROR_STAT_CPU_FAULTS: CPU faults on device pages
 * @DMIRROR_STAT_CPU_FAULT_PAGES: pages brought back by them
 * @DMIRROR_STAT_DEV_FAULTS: windows the device faulted on
 * @DMIRROR_STAT_DEV_FAULT_PAGES: pages made accessible by that
 * @DMIRROR_STAT_DEV_FAULT_RETRIES: faults begun again, the page table had changed
 * @DMIRROR_STAT_COW_BREAKS: device pages unshared for a device write
 * @DMIRROR_STAT_INVALIDATIONS: notifications that concerned a leaf
 * @DMIRROR_STAT_INVALIDATED_PAGES: entries they cleared
 * @DMIRROR_STAT_INVALIDATIONS_NONBLOCK_FAILED: notifications refused, they might not wait
 * @DMIRROR_STAT_EVICTIONS: blocks evicted from
 * @DMIRROR_STAT_EVICTED_PAGES: pages moved out by that
 * @DMIRROR_STAT_EVICT_FAILED: pages that stayed
 * @DMIRROR_STAT_EXCLUSIVE_PAGES: pages taken for exclusive access
 * @DMIRROR_STAT_READ_PAGES: pages the device read
 * @DMIRROR_STAT_WRITE_PAGES: pages the device wrote
 * @DMIRROR_STAT_LEAVES_PRUNED: leaves dropped to save memory
 * @DMIRROR_NR_STATS: how many counters there are
 *
 * The names are in stats.c, in the same order. What became of the pages of
 * requests is told apart as by enum dmirror_class, in its order: what was asked
 * for is the sum. DMIRROR_STAT_MIGRATE_* count movements, each attempt.
 */
enum dmirror_stat {
	DMIRROR_STAT_MIGRATE_IN_PAGES,
	DMIRROR_STAT_MIGRATE_OUT_PAGES,
	DMIRROR_STAT_MIGRATE_IN_FAILED,
	DMIRROR_STAT_MIGRATE_OUT_FAILED,
	DMIRROR_STAT_IN_UNTRIED,
	DMIRROR_STAT_IN_MOVED,
	DMIRROR_STAT_IN_PRESENT,
	DMIRROR_STAT_IN_HOLE,
	DMIRROR_STAT_IN_BUSY,
	DMIRROR_STAT_IN_ELSEWHERE,
	DMIRROR_STAT_IN_UNSUPPORTED,
	DMIRROR_STAT_IN_NOMEM,
	DMIRROR_STAT_IN_RACED,
	DMIRROR_STAT_OUT_UNTRIED,
	DMIRROR_STAT_OUT_MOVED,
	DMIRROR_STAT_OUT_PRESENT,
	DMIRROR_STAT_OUT_HOLE,
	DMIRROR_STAT_OUT_BUSY,
	DMIRROR_STAT_OUT_ELSEWHERE,
	DMIRROR_STAT_OUT_UNSUPPORTED,
	DMIRROR_STAT_OUT_NOMEM,
	DMIRROR_STAT_OUT_RACED,
	DMIRROR_STAT_LARGE_IN,
	DMIRROR_STAT_LARGE_OUT,
	DMIRROR_STAT_LARGE_FALLBACKS,
	DMIRROR_STAT_FOLIO_SPLITS,
	DMIRROR_STAT_CPU_FAULTS,
	DMIRROR_STAT_CPU_FAULT_PAGES,
	DMIRROR_STAT_DEV_FAULTS,
	DMIRROR_STAT_DEV_FAULT_PAGES,
	DMIRROR_STAT_DEV_FAULT_RETRIES,
	DMIRROR_STAT_COW_BREAKS,
	DMIRROR_STAT_INVALIDATIONS,
	DMIRROR_STAT_INVALIDATED_PAGES,
	DMIRROR_STAT_INVALIDATIONS_NONBLOCK_FAILED,
	DMIRROR_STAT_EVICTIONS,
	DMIRROR_STAT_EVICTED_PAGES,
	DMIRROR_STAT_EVICT_FAILED,
	DMIRROR_STAT_EXCLUSIVE_PAGES,
	DMIRROR_STAT_READ_PAGES,
	DMIRROR_STAT_WRITE_PAGES,
	DMIRROR_STAT_LEAVES_PRUNED,
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
