// SPDX-License-Identifier: GPL-2.0
/*
 * Walks: see walk.h.
 *
 * Bytes are touched under leaf->lock: an invalidation, and so any migration, of a
 * page waits until that is over, which is why an acknowledged write is never lost.
 * Owns the retry budget and the search for the page that cannot be accessed.
 * Faulting is fault.c's and exclusive.c's, what becomes of the bytes the caller's.
 *
 * Locks: leaf->lock, of one leaf at a time: what needs the bytes of two places
 * goes through a buffer.
 */
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/mm.h>

#include "exclusive.h"
#include "fault.h"
#include "mirror.h"
#include "policy.h"
#include "vram.h"
#include "walk.h"

/* A single slow fault must not use up the time budget. */
#define DMIRROR_MAX_STALLS	16

/* No page: addresses of pages are even. */
#define DMIRROR_NO_ADDR		1UL

void dmirror_walk_begin(struct dmirror_walk *w)
{
	w->span = DMIRROR_LEAF_PAGES;
	w->faulted = DMIRROR_NO_ADDR;
	w->plain = DMIRROR_NO_ADDR;
}

/* Does this entry allow what the walk does to the page at w->addr? */
static bool dmirror_walk_allowed(const struct dmirror_walk *w, dmirror_pte_t pte)
{
	u64 need = DMIRROR_PTE_VALID;

	if (w->flags & DMIRROR_WALK_WRITE)
		need |= DMIRROR_PTE_WRITE;
	if (w->flags & DMIRROR_WALK_RESIDENT)
		need |= DMIRROR_PTE_VRAM;
	if ((pte & need) != need)
		return false;
	return !(w->flags & DMIRROR_WALK_ATOMIC) ||
	       pte & (DMIRROR_PTE_VRAM | DMIRROR_PTE_EXCLUSIVE) ||
	       w->plain == (w->addr & PAGE_MASK);
}

static struct page *dmirror_walk_data(struct dmirror_vram *vram, dmirror_pte_t pte)
{
	struct page *page = pfn_to_page(dmirror_pte_pfn(pte));

	if (!(pte & DMIRROR_PTE_VRAM))
		return page;
	dmirror_vram_touch(vram, page);
	return dmirror_vram_data(vram, page);
}

static void dmirror_walk_page(struct dmirror_walk *w, dmirror_pte_t pte, size_t len)
{
	struct page *page = dmirror_walk_data(&w->client->dev->vram, pte);
	void *mem = kmap_local_page(page);
	size_t used;

	used = w->touch(w, mem + offset_in_page(w->addr), len);
	if (w->flags & DMIRROR_WALK_WRITE) {
		flush_dcache_page(page);
		/*
		 * The CPU's entry may be clean: without this the page could be
		 * dropped as unchanged. The dirty bit of a device page travels
		 * with it.
		 */
		if (!dmirror_sabotage(w->client->dev, DMIRROR_SABOTAGE_DIRTY))
			set_page_dirty(pfn_to_page(dmirror_pte_pfn(pte)));
	}
	kunmap_local(mem);
	w->addr += used;
	w->ended = used < len;
}

/* Touch what is accessible of a window. Returns whether there was anything. */
static bool dmirror_walk_touch(struct dmirror_walk *w, struct dmirror_leaf *leaf,
			       unsigned long stop)
{
	unsigned long from = w->addr;
	dmirror_pte_t pte;
	size_t len;

	mutex_lock(&leaf->lock);
	while (w->addr < stop && !w->ended) {
		pte = leaf->pt.pte[dmirror_leaf_index(w->addr)];
		if (!dmirror_walk_allowed(w, pte))
			break;
		if (w->addr == from)
			dmirror_inject(w->client->dev, DMIRROR_INJECT_ACCESS);
		len = dmirror_policy_window_end(w->addr, stop, PAGE_SIZE) - w->addr;
		dmirror_walk_page(w, pte, len);
	}
	mutex_unlock(&leaf->lock);
	return w->addr != from;
}

static unsigned int dmirror_walk_fault_flags(const struct dmirror_walk *w)
{
	return (w->flags & DMIRROR_WALK_WRITE ? DMIRROR_FAULT_WRITE : 0) |
	       (w->flags & DMIRROR_WALK_NOWAIT ? DMIRROR_FAULT_NOWAIT : 0) |
	       (w->flags & DMIRROR_WALK_STAY ? DMIRROR_FAULT_STAY : 0);
}

static int dmirror_walk_stopped(const struct dmirror_walk *w)
{
	int ret = w->stop ? READ_ONCE(*w->stop) : 0;

	if (!ret && w->limit && time_after(jiffies, w->limit))
		ret = -ETIME;
	return ret;
}

/*
 * Fault the window that begins at the page of w->addr. If it cannot be had whole,
 * try less: all pages before the first impossible one get done, and a window of
 * more memory than the process may have at a time does not chase its own pages.
 */
static int dmirror_walk_fault_span(struct dmirror_walk *w, struct dmirror_leaf *leaf)
{
	unsigned long start = w->addr & PAGE_MASK;
	unsigned long end = start;
	int ret;

	if (start != w->faulted)
		w->faults++;
	for (;;) {
		ret = dmirror_walk_stopped(w);
		if (ret)
			break;
		end = dmirror_policy_window_end(start, PAGE_ALIGN(w->end),
						DMIRROR_LEAF_SIZE);
		end = min(end, start + ((unsigned long)w->span << PAGE_SHIFT));
		ret = dmirror_fault_window(w->client, leaf, start, end,
					   dmirror_walk_fault_flags(w));
		if ((ret != -EFAULT && ret != -EPERM && ret != -EBUSY) ||
		    w->span == 1)
			break;
		w->span = min(w->span, dmirror_leaf_count(start, end)) / 2 ? : 1;
	}
	w->faulted = end;
	return ret;
}

static bool dmirror_walk_in_vram(struct dmirror_leaf *leaf, unsigned long addr)
{
	dmirror_pte_t pte;

	mutex_lock(&leaf->lock);
	pte = leaf->pt.pte[dmirror_leaf_index(addr)];
	mutex_unlock(&leaf->lock);
	return pte & DMIRROR_PTE_VRAM;
}

/*
 * Memory of this device is the device's. Another page is taken exclusively, unless
 * its kind cannot be: then both sides use atomic instructions on the same memory.
 */
static int dmirror_walk_fault_atomic(struct dmirror_walk *w, struct dmirror_leaf *leaf)
{
	unsigned long start = w->addr & PAGE_MASK;
	int ret;

	w->span = 1;
	ret = dmirror_walk_fault_span(w, leaf);
	if (ret || dmirror_walk_in_vram(leaf, start))
		return ret;
	ret = dmirror_exclusive_page(w->client, leaf, start,
				     dmirror_walk_fault_flags(w));
	if (ret == -EOPNOTSUPP || ret == -EINVAL || ret == -EPERM) {
		w->plain = start;
		ret = 0;
	} else if (!ret) {
		w->exclusive = true;
	}
	return ret;
}

/*
 * Nothing was accessible where a fault had just succeeded: somebody takes the
 * pages away faster than they are used. Ask for less at a time, and not for
 * ever.
 */
static bool dmirror_walk_stalled(struct dmirror_walk *w, bool touched)
{
	if (touched) {
		w->stalls = 0;
		w->deadline = jiffies + msecs_to_jiffies(DMIRROR_RETRY_MS);
		return false;
	}
	if (w->stalls++)
		w->span = w->span / 2 ? : 1;
	return w->stalls > DMIRROR_MAX_STALLS && time_after(jiffies, w->deadline);
}

static struct dmirror_leaf *dmirror_walk_leaf(struct dmirror_walk *w)
{
	struct dmirror_leaf *leaf;

	if (!(w->flags & DMIRROR_WALK_RESIDENT))
		return dmirror_leaf_get(w->client, w->addr);
	leaf = dmirror_leaf_find(w->client, w->addr);
	return leaf ? : ERR_PTR(-EFAULT);
}

/* What lies in one leaf and is not too much. */
static int dmirror_walk_window(struct dmirror_walk *w, unsigned long stop)
{
	struct dmirror_leaf *leaf = dmirror_walk_leaf(w);
	bool touched;
	int ret;

	if (IS_ERR(leaf))
		return PTR_ERR(leaf);
	for (;;) {
		ret = dmirror_walk_stopped(w);
		if (ret)
			return ret;
		touched = dmirror_walk_touch(w, leaf, stop);
		if (w->addr >= stop || w->ended)
			return 0;
		if (w->flags & DMIRROR_WALK_RESIDENT)
			return -EFAULT;
		if (dmirror_walk_stalled(w, touched))
			return -EBUSY;
		ret = w->flags & DMIRROR_WALK_ATOMIC ?
		      dmirror_walk_fault_atomic(w, leaf) :
		      dmirror_walk_fault_span(w, leaf);
		if (ret)
			return ret;
		cond_resched();
	}
}

int dmirror_walk_to(struct dmirror_walk *w, unsigned long stop)
{
	unsigned long end;
	int ret = 0;

	w->stalls = 0;
	w->deadline = jiffies + msecs_to_jiffies(DMIRROR_RETRY_MS);
	while (!ret && w->addr < stop && !w->ended) {
		if (!(w->addr & (DMIRROR_LEAF_SIZE - 1)))
			w->span = DMIRROR_LEAF_PAGES;
		end = dmirror_policy_window_end(w->addr, stop, DMIRROR_WALK_WINDOW);
		ret = dmirror_walk_window(w, end);
	}
	return ret;
}
