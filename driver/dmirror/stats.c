// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: see stats.h. Owns the per-CPU arrays; takes no locks.
 */
#include <linux/cpumask.h>
#include <linux/errno.h>

#include "stats.h"

#define DMIRROR_STATS_NAME(id, name, what) #name,
static const char * const dmirror_stat_names[] = {
	HMM_DMIRROR_STATS_LIST(DMIRROR_STATS_NAME)
};

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
