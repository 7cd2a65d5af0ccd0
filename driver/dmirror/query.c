// SPDX-License-Identifier: GPL-2.0
/*
 * Queries.
 *
 * Owns the words a page is described with on the render node. One look at the
 * process's page table shows private pages of one device only, so the devices
 * are gone through one after the other for as long as there are pages that none
 * has claimed. The looks are not one: a page that moves between them is described
 * as it was at one of them.
 *
 * Locks: leaf->lock; snap->lock through snapshot.c.
 */
#include <linux/hmm.h>
#include <linux/mm.h>

#include <drm/hmm_dmirror_drm.h>

#include "hints.h"
#include "mirror.h"
#include "query.h"
#include "vram.h"

#define DMIRROR_QUERY_WHERE	7ULL
/* In the memory of a device that has not been found out yet. */
#define DMIRROR_QUERY_SOME	(HMM_DMIRROR_QUERY_OTHER | 0xffULL << 24)

static u64 dmirror_query_where(const struct dmirror_vram *vram, struct page *page)
{
	if (dmirror_vram_owns(vram, page))
		return HMM_DMIRROR_QUERY_VRAM;
	if (is_device_private_page(page) || is_device_coherent_page(page))
		return DMIRROR_QUERY_SOME;
	if (is_zero_pfn(page_to_pfn(page)))
		return HMM_DMIRROR_QUERY_ZERO;
	return HMM_DMIRROR_QUERY_SYSTEM;
}

/* What the page table entry is like, whatever it points to. */
static u64 dmirror_query_mapping(unsigned long hmm_pfn)
{
	return (u64)hmm_pfn_to_map_order(hmm_pfn) << 16 |
	       (hmm_pfn & HMM_PFN_WRITE ? HMM_DMIRROR_QUERY_WRITABLE : 0);
}

static void dmirror_query_describe(void *arg, unsigned int i, unsigned long hmm_pfn)
{
	struct dmirror_query *q = arg;

	if (hmm_pfn & HMM_PFN_ERROR)
		q->pages[i] = HMM_DMIRROR_QUERY_UNMAPPED;
	else if (!(hmm_pfn & HMM_PFN_VALID))
		q->pages[i] = HMM_DMIRROR_QUERY_ABSENT;
	else
		q->pages[i] = dmirror_query_mapping(hmm_pfn) |
			      dmirror_query_where(&q->dev->vram,
						  hmm_pfn_to_page(hmm_pfn));
}

/* The device's own translations; the only record of exclusive access. */
static void dmirror_query_leaf(struct dmirror_query *q, struct dmirror_leaf *leaf,
			       unsigned int first, unsigned int n)
{
	unsigned int i;

	mutex_lock(&leaf->lock);
	for (i = 0; i < n; i++) {
		dmirror_pte_t pte = leaf->pt.pte[first + i];

		if (!(pte & DMIRROR_PTE_VALID))
			continue;
		q->pages[i] |= HMM_DMIRROR_QUERY_DEV_MAPPED;
		if (pte & DMIRROR_PTE_WRITE)
			q->pages[i] |= HMM_DMIRROR_QUERY_DEV_WRITABLE;
		if (!(pte & DMIRROR_PTE_EXCLUSIVE))
			continue;
		/* For the process's page table it is not there. */
		q->pages[i] &= ~DMIRROR_QUERY_WHERE;
		q->pages[i] |= HMM_DMIRROR_QUERY_EXCLUSIVE |
			       (pte & DMIRROR_PTE_VRAM ? HMM_DMIRROR_QUERY_VRAM :
							 HMM_DMIRROR_QUERY_SYSTEM);
	}
	mutex_unlock(&leaf->lock);
}

static u64 dmirror_query_advice(const struct dmirror_advice *advice)
{
	return (u64)advice->location << 32 |
	       (advice->read_mostly ? HMM_DMIRROR_QUERY_READ_MOSTLY : 0) |
	       (advice->atomic ? HMM_DMIRROR_QUERY_ATOMIC : 0);
}

static void dmirror_query_hints(struct dmirror_query *q, struct dmirror_client *client,
				unsigned long start, unsigned long end)
{
	unsigned long addr, base = start;
	struct dmirror_range range;

	for (; start < end; start = range.end) {
		dmirror_hints_find(client, start, &range);
		for (addr = start; addr < min(end, range.end); addr += PAGE_SIZE)
			q->pages[(addr - base) >> PAGE_SHIFT] |=
				dmirror_query_advice(&range.advice);
	}
}

int dmirror_query_window(struct dmirror_query *q, struct dmirror_client *client,
			 unsigned long start, unsigned long end)
{
	struct dmirror_leaf *leaf;
	int ret;

	q->dev = client->dev;
	q->snap.client = client;
	q->snap.owner = client->dev->vram.owner;
	q->snap.nowait = false;
	q->snap.describe = dmirror_query_describe;
	q->snap.arg = q;
	ret = dmirror_snapshot_take(&q->snap, start, end);
	if (ret)
		return ret;

	leaf = dmirror_leaf_find(client, start);
	if (leaf)
		dmirror_query_leaf(q, leaf, dmirror_leaf_index(start),
				   dmirror_leaf_count(start, end));
	dmirror_query_hints(q, client, start, end);
	return 0;
}

/* Another device may have what looks absent, or is known to be a device's. */
static bool dmirror_query_open(u64 page)
{
	return (page & DMIRROR_QUERY_WHERE) == HMM_DMIRROR_QUERY_ABSENT ||
	       (page & DMIRROR_QUERY_WHERE) == HMM_DMIRROR_QUERY_UNMAPPED ||
	       (page & DMIRROR_QUERY_SOME) == DMIRROR_QUERY_SOME;
}

static void dmirror_query_claim(void *arg, unsigned int i, unsigned long hmm_pfn)
{
	struct dmirror_query *q = arg;

	if (!dmirror_query_open(q->pages[i]) || !(hmm_pfn & HMM_PFN_VALID) ||
	    !dmirror_vram_owns(&q->dev->vram, hmm_pfn_to_page(hmm_pfn)))
		return;
	q->pages[i] &= ~(DMIRROR_QUERY_WHERE | DMIRROR_QUERY_SOME);
	q->pages[i] |= dmirror_query_mapping(hmm_pfn) | HMM_DMIRROR_QUERY_OTHER |
		       (u64)q->dev->id << 24;
}

int dmirror_query_device(struct dmirror_query *q, struct dmirror_device *dev,
			 unsigned long start, unsigned long end)
{
	unsigned int i = 0, n = dmirror_leaf_count(start, end);

	while (i < n && !dmirror_query_open(q->pages[i]))
		i++;
	if (i == n)
		return 0;
	q->dev = dev;
	q->snap.owner = dev->vram.owner;
	q->snap.nowait = true;
	q->snap.describe = dmirror_query_claim;
	return dmirror_snapshot_take(&q->snap, start, end);
}
