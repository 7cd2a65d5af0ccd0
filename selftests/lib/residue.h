/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What something done again and again leaves behind: objects in each slab cache
 * and pages that are free, looked at every few rounds.
 *
 * Single numbers are noisy: caches keep objects per processor by the dozen and
 * give them back when they like. A leak is what grows in three of four intervals,
 * by as much as rounds were made.
 */
#ifndef SELFTESTS_LIB_RESIDUE_H
#define SELFTESTS_LIB_RESIDUE_H

#define RS_SAMPLES	9
#define RS_CACHES	512
#define RS_REPORT	1024

/**
 * struct rs_cache - the history of one slab cache
 * @name: as in /proc/slabinfo
 * @objs: active objects at each sample
 */
struct rs_cache {
	char	name[64];
	long	objs[RS_SAMPLES];
};

/**
 * struct rs_watch - a series of samples
 * @cache: one for each name seen
 * @caches: how many
 * @pages: free pages, those that processors keep for themselves included
 * @samples: samples taken
 */
struct rs_watch {
	struct rs_cache	cache[RS_CACHES];
	int		caches;
	long		pages[RS_SAMPLES];
	int		samples;
};

/**
 * rs_sample() - look once more
 * @w: zeroed before the first time
 *
 * Drops what the kernel only caches, first.
 *
 * Return: 0, -ENOSPC after RS_SAMPLES, or the errno of what cannot be read.
 */
int rs_sample(struct rs_watch *w);

/**
 * rs_leaks() - caches that grew, and memory that went
 * @w: with RS_SAMPLES samples
 * @rounds: rounds between two samples
 * @pages: pages a round may take and not be called a leak
 * @report: RS_REPORT bytes; names and figures
 *
 * Return: number of slab caches that grow by an object a round or more, plus
 * one if free pages dwindle by more than @pages a round.
 */
int rs_leaks(const struct rs_watch *w, int rounds, int pages, char *report);

#endif /* SELFTESTS_LIB_RESIDUE_H */
