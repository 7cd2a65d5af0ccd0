/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way of the device to bytes: through the entries of the leaves, faulting on
 * those that are missing.
 */
#ifndef DMIRROR_WALK_H
#define DMIRROR_WALK_H

#include <linux/bits.h>
#include <linux/sizes.h>

#include "types.h"

/*
 * What a walk does. WRITE: the bytes are changed. ATOMIC: the bytes are changed by
 * atomic instructions, and while they are the CPU cannot reach the page, or reaches
 * the very same memory; with WRITE. NOWAIT, STAY: as DMIRROR_FAULT_*. RESIDENT: only
 * through entries that are there and lead to this device's memory; nothing is
 * faulted in, allocated or waited for, so that this may run where a dma_fence
 * depends on it.
 */
#define DMIRROR_WALK_WRITE	BIT(0)
#define DMIRROR_WALK_ATOMIC	BIT(1)
#define DMIRROR_WALK_NOWAIT	BIT(2)
#define DMIRROR_WALK_STAY	BIT(3)
#define DMIRROR_WALK_RESIDENT	BIT(4)

/* What is touched in one go, and so for how long an invalidation has to wait. */
#define DMIRROR_WALK_WINDOW	SZ_256K

struct dmirror_walk;

/**
 * typedef dmirror_touch_fn - use some bytes
 * @w: the walk; @w->addr is the address of the first of them
 * @mem: the bytes, in one page, valid during the call
 * @len: how many there are, at least 1
 *
 * Context: leaf->lock is held: no allocation, no user memory.
 * Return: how many have been used; less than @len ends the walk there.
 */
typedef size_t (*dmirror_touch_fn)(struct dmirror_walk *w, void *mem, size_t len);

/**
 * struct dmirror_walk - one walk in progress
 * @client: whose memory, inside an operation unless DMIRROR_WALK_RESIDENT
 * @flags: DMIRROR_WALK_*
 * @addr: next byte to touch
 * @end: byte after the last of the whole access: how far a fault may look ahead
 * @touch: what to do with the bytes
 * @priv: for @touch
 * @stop: where a negative errno appears when the walk has to end, or NULL
 * @limit: when the walk has taken too long, in jiffies; 0 for never
 * @faults: (out) stops for faults; one that continues straight after the
 *	previous one is the same stop
 * @ended: (out) @touch ended it
 * @exclusive: (out) a page was taken away from the CPU for it
 * @span: private: pages to fault at a time; shrinks to find the page that cannot be
 * @faulted: private: where the last fault ended
 * @plain: private: ATOMIC: this page cannot be had exclusively
 * @stalls: private: faults in a row after which nothing was accessible all the same
 * @deadline: private: when stalling is no longer put up with, in jiffies
 */
struct dmirror_walk {
	struct dmirror_client *client;
	unsigned int flags;
	unsigned long addr;
	unsigned long end;
	dmirror_touch_fn touch;
	void *priv;
	const int *stop;
	unsigned long limit;
	u64 faults;
	bool ended;
	bool exclusive;

	unsigned int span;
	unsigned long faulted;
	unsigned long plain;
	unsigned int stalls;
	unsigned long deadline;
};

/**
 * dmirror_walk_begin() - get ready
 * @w: zero but for what the caller sets: the fields before @faults
 */
void dmirror_walk_begin(struct dmirror_walk *w);

/**
 * dmirror_walk_to() - touch all bytes up to an address
 * @w: the walk, begun
 * @stop: byte after the last to touch, not above @w->end
 *
 * @w->addr says how far it got, on error too: every byte below it was touched once
 * and for good, none above it was. It is @stop after success, or less if @w->ended.
 *
 * A walk may be used for one operation after the other, as long as each has ended
 * without an error.
 *
 * Context: process context, no locks. Does not let go of leaves: between two calls
 * of a long operation the caller relaxes.
 * Return: 0; -EFAULT for a page that cannot be accessed; -EPERM for one that cannot
 * be written; what @w->stop says; -ETIME past @w->limit; -EBUSY, -EINTR, -EINPROGRESS,
 * -ENOMEM, -ENODEV as dmirror_fault_window().
 */
int dmirror_walk_to(struct dmirror_walk *w, unsigned long stop);

#endif /* DMIRROR_WALK_H */
