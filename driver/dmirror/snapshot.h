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
 * struct dmirror_snapshot - a description of some pages
 * @client: who asks
 * @notifier: tells of changes while looking
 * @lock: the lock @notifier's sequence is checked under
 * @pfns: the core's answers
 * @prot: one HMM_DMIRROR_PROT_* byte per page
 */
struct dmirror_snapshot {
	struct dmirror_client *client;
	struct mmu_interval_notifier notifier;
	struct mutex lock;	/* for @notifier's sequence */
	unsigned long pfns[DMIRROR_SNAPSHOT_PAGES];
	u8 prot[DMIRROR_SNAPSHOT_PAGES];
};

/**
 * dmirror_snapshot_take() - describe a window
 * @snap: the result, @snap->client set; the caller's for the duration
 * @start: first byte
 * @end: byte after the last; at most DMIRROR_SNAPSHOT_PAGES pages
 *
 * Works on ranges without any mapping, too. Does not use or fill the client's
 * leaves, so that a snapshot of gigabytes costs no memory.
 *
 * Context: process context, inside an operation, no mmap lock.
 * Return: 0; -EBUSY when outrun by invalidations; -EINTR when being killed;
 * -EINVAL for addresses the core refuses; -ENOMEM; -ENODEV.
 */
int dmirror_snapshot_take(struct dmirror_snapshot *snap, unsigned long start,
			  unsigned long end);

#endif /* DMIRROR_SNAPSHOT_H */
