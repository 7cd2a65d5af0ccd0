/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters of devices, per CPU, and of files: only ever growing, read through
 * debugfs and the render node.
 *
 * What is a level and not a count (free pages, open files) is not here;
 * debugfs.c asks its owner.
 */
#ifndef DMIRROR_STATS_H
#define DMIRROR_STATS_H

#include <linux/atomic.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include <drm/hmm_dmirror_drm.h>

/*
 * enum dmirror_stat: the counters of the render node's interface by shorter names,
 * and DMIRROR_NR_STATS. A new one is added there, and only there.
 */
#define DMIRROR_STATS_ENUM(id, name, what) DMIRROR_STAT_##id,
enum dmirror_stat {
	HMM_DMIRROR_STATS_LIST(DMIRROR_STATS_ENUM)
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
 * struct dmirror_file_stats - counters of one open file
 * @count: by enum dmirror_stat; of interest to few, so not per CPU
 */
struct dmirror_file_stats {
	atomic64_t count[DMIRROR_NR_STATS];
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
