/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Snapshots: what the process has mapped, without changing any of it.
 */
#ifndef DMIRROR_SNAPSHOT_H
#define DMIRROR_SNAPSHOT_H

#include "types.h"

/* Pages described at a time. */
#define DMIRROR_SNAPSHOT_PAGES	512

/**
 * struct dmirror_snapshot - a look at some pages
 * @client: who asks
 * @owner: whose private pages are seen as pages
 * @nowait: do not wait for the mmap lock
 * @describe: called for each page, from the first on, with what the core says
 *	(HMM_PFN_*); the page stays what it is until it returns; may not sleep and
 *	can be called again from the first page on, if something has changed
 * @arg: for @describe
 * @notifier: tells of changes while looking
 * @lock: the lock @notifier's sequence is checked under
 * @pfns: the core's answers
 */
struct dmirror_snapshot {
	struct dmirror_client *client;
	void *owner;
	bool nowait;
	void (*describe)(void *arg, unsigned int i, unsigned long hmm_pfn);
	void *arg;
	struct mmu_interval_notifier notifier;
	struct mutex lock;	/* for @notifier's sequence */
	unsigned long pfns[DMIRROR_SNAPSHOT_PAGES];
};

/**
 * dmirror_snapshot_take() - describe a window
 * @snap: who asks, and what is done with the answer
 * @start: first byte
 * @end: byte after the last; at most DMIRROR_SNAPSHOT_PAGES pages
 *
 * Works on ranges without any mapping, too. Does not use or fill the client's
 * leaves, so that a snapshot of gigabytes costs no memory.
 *
 * Context: process context, inside an operation, no mmap lock.
 * Return: 0; -EBUSY when outrun by invalidations; -EINTR when being killed;
 * -EINPROGRESS with @snap->nowait when the lock is not to be had;
 * -EINVAL for addresses the core refuses; -ENOMEM; -ENODEV.
 */
int dmirror_snapshot_take(struct dmirror_snapshot *snap, unsigned long start,
			  unsigned long end);

/**
 * dmirror_snapshot_prot() - a page as the character devices describe it
 * @vram: memory of the device that asks
 * @hmm_pfn: what the core says
 *
 * Context: inside struct dmirror_snapshot.describe.
 * Return: HMM_DMIRROR_PROT_*.
 */
u8 dmirror_snapshot_prot(const struct dmirror_vram *vram, unsigned long hmm_pfn);

#endif /* DMIRROR_SNAPSHOT_H */
