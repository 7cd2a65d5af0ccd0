/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What decides where the pages of a client should be: its advice, and what was
 * seen to move back and forth.
 *
 * Only clients of the render node have hints. Those of the character devices do
 * not, and nothing of theirs moves that was not asked to.
 */
#ifndef DMIRROR_HINTS_H
#define DMIRROR_HINTS_H

#include "range.h"
#include "thrash.h"
#include "types.h"

/*
 * Pieces of advice a client may have. It may set half of them; the rest is for
 * what munmap() cuts in two.
 */
#define DMIRROR_HINTS_MAX	4096

/**
 * struct dmirror_hints - hints of a client
 * @client: whose; not for those who find the hints by @link
 * @mm: the client's, only to be compared
 * @rcu: frees this when nobody can still be looking
 * @advise: serialises setting advice, the first of which brings about the
 *	memory of @ranges, @notifier and @link; allocates under it
 * @lock: protects @ranges and @thrash
 * @ranges: the advice
 * @thrash: what moves back and forth
 * @notifier: tells what the process unmaps
 * @link: place among the device's, by address space; found under RCU
 */
struct dmirror_hints {
	struct dmirror_client *client;
	const struct mm_struct *mm;
	struct rcu_head rcu;	/* in the first page, as kvfree_rcu() wants it */
	struct mutex advise;	/* setting, not looking */
	spinlock_t lock;	/* @ranges, @thrash */
	struct dmirror_ranges ranges;
	struct dmirror_thrash thrash;
	struct mmu_interval_notifier notifier;
	struct hlist_node link;
};

/**
 * dmirror_hints_init() - let a client have hints
 * @client: the client, not in use yet
 *
 * Return: 0 or -ENOMEM.
 */
int dmirror_hints_init(struct dmirror_client *client);

/**
 * dmirror_hints_fini() - forget all hints
 * @client: the client, used by nobody else any more; may have no hints
 *
 * Context: process context; waits for invalidations in flight.
 */
void dmirror_hints_fini(struct dmirror_client *client);

/**
 * dmirror_hints_set() - take advice
 * @client: a client with hints, inside an operation
 * @start: first byte
 * @end: byte after the last
 * @attr: what it is about
 * @value: what it says, as in struct dmirror_advice; 0 is the default
 *
 * Context: process context, no mmap lock.
 * Return: 0; -ENOSPC when that would be too many pieces; -ENOMEM; -EINTR when
 * being killed. Nothing has changed on failure.
 */
int dmirror_hints_set(struct dmirror_client *client, unsigned long start,
		      unsigned long end, enum dmirror_attr attr, u32 value);

/**
 * dmirror_hints_forget() - the process has unmapped something
 * @hints: the hints
 * @start: first byte
 * @end: byte after the last
 *
 * Context: any that an invalidate callback may have.
 */
void dmirror_hints_forget(struct dmirror_hints *hints, unsigned long start,
			  unsigned long end);

/**
 * dmirror_hints_find() - the advice for an address
 * @client: a client
 * @addr: any address
 * @found: (out) the advice and how far it reaches; the default for a client
 *	without hints
 *
 * Context: any but interrupts.
 */
void dmirror_hints_find(struct dmirror_client *client, unsigned long addr,
			struct dmirror_range *found);

/**
 * dmirror_hints_around() - how much a CPU fault is to bring back
 * @dev: the device that has the page
 * @mm: the process that faults
 * @addr: the address
 * @found: (in, out) the advice and how far it reaches, or its absence; unchanged
 *	if no client of the device that serves the process has had any
 *
 * When several clients of the device serve the process, one that has advice about
 * this for the address decides.
 *
 * Context: any but interrupts.
 */
void dmirror_hints_around(struct dmirror_device *dev, const struct mm_struct *mm,
			  unsigned long addr, struct dmirror_range *found);

/**
 * dmirror_hints_thrash() - may pages move to the device?
 * @client: a client with hints
 * @addr: the first address of their unit of DMIRROR_THRASH_SIZE
 * @pages: bit n: page n of the unit
 *
 * Context: any but interrupts.
 * Return: as dmirror_thrash_ask().
 */
enum dmirror_verdict dmirror_hints_thrash(struct dmirror_client *client,
					  unsigned long addr, u32 pages);

#endif /* DMIRROR_HINTS_H */
