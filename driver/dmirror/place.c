// SPDX-License-Identifier: GPL-2.0
/*
 * Placement.
 *
 * A device fault first has the process's pages made and entered by the rules of
 * the kernel, whatever they are: zero pages, huge pages, pages read from swap,
 * copies of shared ones. Then this file looks at what has come of it and has the
 * pages moved that advice wants in device memory; fault.c enters them once more.
 * So a fault never fails for want of device memory, and takes one turn at most.
 *
 * Owns the choice of pages. Moving them is migrate.c's.
 *
 * Locks: leaf->lock, to look at pages; the mmap lock for reading, to look at
 * mappings; nothing while pages move.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "fault.h"
#include "hints.h"
#include "migrate.h"
#include "mirror.h"
#include "place.h"
#include "policy.h"
#include "vram.h"

#define DMIRROR_UNIT_PAGES	(DMIRROR_THRASH_SIZE >> PAGE_SHIFT)

/**
 * struct dmirror_place - one window being considered
 * @client: whose
 * @leaf: the leaf it lies in
 * @write: the device wants to write
 * @first: first page, a number within the leaf
 * @end: the page after the last
 * @pages: bit n: page n of the leaf is to move
 * @held: bit n: page n is held exclusively; a migration across it would end that
 * @moved: pages that did
 * @buf: working memory for that
 */
struct dmirror_place {
	struct dmirror_client *client;
	struct dmirror_leaf *leaf;
	bool write;
	unsigned int first;
	unsigned int end;
	DECLARE_BITMAP(pages, DMIRROR_LEAF_PAGES);
	DECLARE_BITMAP(held, DMIRROR_LEAF_PAGES);
	unsigned int moved;
	struct dmirror_migrate_buf buf;
};

static unsigned long dmirror_place_addr(const struct dmirror_place *p,
					unsigned int page)
{
	return p->leaf->base + ((unsigned long)page << PAGE_SHIFT);
}

static bool dmirror_place_wanted(const struct dmirror_client *client,
				 const struct dmirror_advice *advice, bool write)
{
	if (advice->read_mostly && !write)
		return false;
	return advice->location == DMIRROR_LOCATION_DEFAULT ||
	       advice->location == DMIRROR_LOCATION_DEVICE + client->dev->id;
}

/* With the leaf locked, what an entry points to stays what it is. */
static bool dmirror_place_movable(dmirror_pte_t pte)
{
	struct page *page;

	if (!pte || (pte & (DMIRROR_PTE_VRAM | DMIRROR_PTE_EXCLUSIVE)))
		return false;
	page = pfn_to_page(dmirror_pte_pfn(pte));
	return !is_zone_device_page(page) &&
	       !is_zero_pfn(dmirror_pte_pfn(pte)) &&
	       dmirror_classify_movable(page_folio(page));
}

/* Note the pages of [first, end) that could move. Returns whether any can. */
static bool dmirror_place_look(struct dmirror_place *p, unsigned int first,
			       unsigned int end)
{
	const dmirror_pte_t *pte = p->leaf->pt.pte;
	unsigned int i;

	bitmap_zero(p->pages, DMIRROR_LEAF_PAGES);
	bitmap_zero(p->held, DMIRROR_LEAF_PAGES);
	mutex_lock(&p->leaf->lock);
	for (i = first; i < end; i++) {
		if (dmirror_place_movable(pte[i]))
			__set_bit(i, p->pages);
		if (pte[i] & DMIRROR_PTE_EXCLUSIVE)
			__set_bit(i, p->held);
	}
	mutex_unlock(&p->leaf->lock);
	return !bitmap_empty(p->pages, DMIRROR_LEAF_PAGES);
}

/*
 * The bounds of the mappings that the window begins and ends in: what lies beyond
 * them may be anything, the data of a library for instance. A mapping that has
 * gone has none, and one that cannot be seen right now.
 */
static void dmirror_place_mapped(struct mm_struct *mm, unsigned long *lo,
				 unsigned long *hi)
{
	unsigned long last = *hi - 1;
	struct vm_area_struct *vma;

	if (dmirror_mm_lock(mm))
		return;
	vma = vma_lookup(mm, *lo);
	if (vma)
		*lo = vma->vm_start;
	vma = vma_lookup(mm, last);
	if (vma)
		*hi = vma->vm_end;
	mmap_read_unlock(mm);
}

/*
 * The window grows to whole multiples of @size, as far as the advice goes, and
 * the mapping.
 */
static void dmirror_place_grow(struct dmirror_place *p, unsigned long size,
			       const struct dmirror_range *range)
{
	unsigned long base = p->leaf->base;
	unsigned long lo = dmirror_place_addr(p, p->first);
	unsigned long hi = dmirror_place_addr(p, p->end);
	unsigned long start, end, ignored;

	dmirror_place_mapped(p->client->mm, &lo, &hi);
	lo = max3(lo, range->start, base);
	hi = min3(hi - 1, range->end - 1, base + (DMIRROR_LEAF_SIZE - 1)) + 1;
	dmirror_policy_around(dmirror_place_addr(p, p->first), size, lo, hi,
			      &start, &ignored);
	dmirror_policy_around(dmirror_place_addr(p, p->end - 1), size, lo, hi,
			      &ignored, &end);
	p->first = dmirror_leaf_index(start);
	p->end = dmirror_leaf_index(end - PAGE_SIZE) + 1;
}

static u32 dmirror_place_unit(const struct dmirror_place *p, unsigned int unit)
{
	u32 pages = 0;
	unsigned int i;

	for (i = 0; i < DMIRROR_UNIT_PAGES; i++)
		if (test_bit(unit + i, p->pages))
			pages |= BIT(i);
	return pages;
}

/* Take out what moves back and forth. */
static void dmirror_place_calm(struct dmirror_place *p)
{
	unsigned int unit;

	for (unit = ALIGN_DOWN(p->first, DMIRROR_UNIT_PAGES); unit < p->end;
	     unit += DMIRROR_UNIT_PAGES) {
		u32 pages = dmirror_place_unit(p, unit);
		enum dmirror_verdict verdict;

		if (!pages)
			continue;
		verdict = dmirror_hints_thrash(p->client, dmirror_place_addr(p, unit),
					       pages);
		if (verdict == DMIRROR_VERDICT_MOVE)
			continue;
		if (verdict == DMIRROR_VERDICT_HOLD)
			dmirror_client_count(p->client, DMIRROR_STAT_THRASH_HOLDS, 1);
		dmirror_client_count(p->client, DMIRROR_STAT_THRASH_HELD_PAGES,
				     hweight32(pages));
		bitmap_clear(p->pages, unit, DMIRROR_UNIT_PAGES);
	}
}

/*
 * The piece that begins at page @i, up to a page that is held or the first unit
 * without any pages to move.
 */
static unsigned int dmirror_place_run(const struct dmirror_place *p, unsigned int i)
{
	unsigned int end = find_next_bit(p->held, DMIRROR_LEAF_PAGES, i);
	unsigned int unit = ALIGN_DOWN(i, DMIRROR_UNIT_PAGES);

	while (unit < end && dmirror_place_unit(p, unit))
		unit += DMIRROR_UNIT_PAGES;
	return find_last_bit(p->pages, min(unit, end)) + 1;
}

static int dmirror_place_move(struct dmirror_place *p)
{
	unsigned int i = find_first_bit(p->pages, DMIRROR_LEAF_PAGES);
	int ret = 0;

	while (i < DMIRROR_LEAF_PAGES && !ret) {
		unsigned int next = dmirror_place_run(p, i);
		unsigned long end = dmirror_place_addr(p, next);
		unsigned int want = bitmap_weight(p->pages, next) -
				    bitmap_weight(p->pages, i);

		ret = dmirror_migrate_place(p->client, dmirror_place_addr(p, i),
					    &end, want, &p->buf, &p->moved);
		next = i + dmirror_leaf_count(dmirror_place_addr(p, i), end);
		i = find_next_bit(p->pages, DMIRROR_LEAF_PAGES, next);
	}
	return ret;
}

/* Pages [first, end), which have the same advice. */
static int dmirror_place_piece(struct dmirror_place *p, unsigned int first,
			       unsigned int end, const struct dmirror_range *range)
{
	const struct dmirror_advice *advice = &range->advice;
	int ret;

	p->first = first;
	p->end = end;
	if (!dmirror_place_wanted(p->client, advice, p->write) ||
	    !dmirror_place_look(p, first, end))
		return 0;

	dmirror_place_grow(p, advice->granularity ? : DMIRROR_LEAF_SIZE, range);
	if (p->first < first || p->end > end) {
		/* What is around it was not asked for, so nobody has looked. */
		ret = dmirror_fault_populate(p->client, p->leaf,
					     dmirror_place_addr(p, p->first),
					     dmirror_place_addr(p, p->end),
					     DMIRROR_FAULT_NOWAIT);
		if (ret == -EINTR || ret == -ENODEV)
			return ret;
		dmirror_place_look(p, p->first, p->end);
	}
	if (advice->location == DMIRROR_LOCATION_DEFAULT)
		dmirror_place_calm(p);
	return dmirror_place_move(p);
}

int dmirror_place_window(struct dmirror_client *client, struct dmirror_leaf *leaf,
			 unsigned long start, unsigned long end, bool write,
			 bool *moved)
{
	struct dmirror_place *p;
	struct dmirror_range range;
	unsigned long next;
	int ret = 0;

	*moved = false;
	p = kvmalloc(sizeof(*p), GFP_KERNEL);
	if (!p)
		return 0;
	p->client = client;
	p->leaf = leaf;
	p->write = write;
	p->moved = 0;

	for (; start < end && !ret; start = next) {
		dmirror_hints_find(client, start, &range);
		next = min(end, range.end);
		ret = dmirror_place_piece(p, dmirror_leaf_index(start),
					  dmirror_leaf_index(next - PAGE_SIZE) + 1,
					  &range);
	}
	*moved = p->moved;
	kvfree(p);
	return ret;
}
