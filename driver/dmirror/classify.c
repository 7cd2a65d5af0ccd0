// SPDX-License-Identifier: GPL-2.0
/*
 * What became of the pages of a request: see classify.h.
 *
 * Owns the reasoning from what the core does to the arrays of a migration to a
 * class for every page. The core says what it collected and what it committed,
 * but not why it passed over a page: for those the process's page table is
 * looked at again, through the device's own translations. Moves nothing and
 * keeps nothing.
 *
 * Locks: leaf->lock, for the second look.
 */
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/userfaultfd_k.h>

#include "classify.h"
#include "compat.h"
#include "fault.h"
#include "mirror.h"
#include "vram.h"

/* On its way to a class; what is left of these in the end has raced. */
enum {
	DMIRROR_CLASS_UNSEEN = DMIRROR_NR_CLASSES,	/* passed over by the core */
	DMIRROR_CLASS_OFFERED_PAGE,			/* has a destination */
	DMIRROR_CLASS_OFFERED_HOLE,			/* likewise, nothing was there */
};

static_assert(DMIRROR_STAT_IN_RACED - DMIRROR_STAT_IN_UNTRIED ==
	      DMIRROR_CLASS_RACED);
static_assert(DMIRROR_STAT_OUT_RACED - DMIRROR_STAT_OUT_UNTRIED ==
	      DMIRROR_CLASS_RACED);

bool dmirror_classify_movable(struct folio *folio)
{
	return folio_test_anon(folio) && !folio_test_ksm(folio);
}

void dmirror_classify_begin(struct dmirror_classes *c, enum dmirror_way way,
			    struct dmirror_device *peer)
{
	c->way = way;
	c->peer = peer;
	bitmap_zero(c->there, DMIRROR_LEAF_PAGES);
	c->anon = false;
	c->held = 0;
	memset(c->of, DMIRROR_CLASS_UNTRIED, sizeof(c->of));
}

/* All, but for what an earlier try has moved. */
static void dmirror_classify_rest(struct dmirror_classes *c, unsigned int n, u8 class)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (c->of[i] != DMIRROR_CLASS_MOVED)
			c->of[i] = class;
}

void dmirror_classify_all(struct dmirror_classes *c, unsigned int n,
			  enum dmirror_class class)
{
	dmirror_classify_rest(c, n, class);
}

void dmirror_classify_unseen(struct dmirror_classes *c, unsigned int n)
{
	c->anon = false;
	c->held = 0;
	dmirror_classify_rest(c, n, DMIRROR_CLASS_UNSEEN);
}

/* @nr pages, collected as one entry at @i. */
static void dmirror_classify_collected(struct dmirror_classes *c,
				       const struct migrate_vma *args,
				       unsigned int i, unsigned int nr)
{
	bool hole = !(args->src[i] & MIGRATE_PFN_VALID);
	bool whole = args->dst[i] & COMPAT_MIGRATE_PFN_COMPOUND;
	unsigned int j;

	for (j = i; j < i + nr; j++) {
		if (hole && c->way != DMIRROR_WAY_IN) {
			/* What an earlier try has moved may be gone by now. */
			if (c->of[j] != DMIRROR_CLASS_MOVED)
				c->of[j] = DMIRROR_CLASS_HOLE;
		} else if (!args->dst[i] || (!whole && !args->dst[j])) {
			c->of[j] = DMIRROR_CLASS_NOMEM;
		} else {
			c->of[j] = hole ? DMIRROR_CLASS_OFFERED_HOLE :
					  DMIRROR_CLASS_OFFERED_PAGE;
		}
	}
}

void dmirror_classify_offer(struct dmirror_classes *c,
			    const struct migrate_vma *args)
{
	unsigned int i, nr;

	c->anon = vma_is_anonymous(args->vma);
	c->held = 0;
	for (i = 0; i < args->npages; i += nr) {
		nr = args->src[i] & COMPAT_MIGRATE_PFN_COMPOUND ?
		     DMIRROR_LEAF_PAGES : 1;
		if (args->src[i] & MIGRATE_PFN_MIGRATE)
			dmirror_classify_collected(c, args, i, nr);
		/* What an earlier attempt has moved, and is not here again. */
		else if (c->of[i] != DMIRROR_CLASS_MOVED)
			c->of[i] = DMIRROR_CLASS_UNSEEN;
	}
}

/* It had a destination and the core did not take it. */
static u8 dmirror_classify_refused(struct dmirror_classes *c,
				   const struct migrate_vma *args, unsigned int i)
{
	struct page *page = migrate_pfn_to_page(args->src[i]);

	if (c->of[i] != DMIRROR_CLASS_OFFERED_HOLE) {
		/* What another process has on the same swap entry stays there. */
		if (page && !folio_test_swapcache(page_folio(page)))
			c->held++;
		return DMIRROR_CLASS_BUSY;
	}
	return userfaultfd_missing(args->vma) ? DMIRROR_CLASS_HOLE :
						DMIRROR_CLASS_RACED;
}

void dmirror_classify_result(struct dmirror_classes *c,
			     const struct migrate_vma *args)
{
	unsigned int i, nr;

	for (i = 0; i < args->npages; i += nr) {
		nr = args->dst[i] & COMPAT_MIGRATE_PFN_COMPOUND ?
		     DMIRROR_LEAF_PAGES : 1;
		if (c->of[i] != DMIRROR_CLASS_OFFERED_PAGE &&
		    c->of[i] != DMIRROR_CLASS_OFFERED_HOLE)
			continue;
		memset(c->of + i,
		       args->src[i] & MIGRATE_PFN_MIGRATE ? DMIRROR_CLASS_MOVED :
		       dmirror_classify_refused(c, args, i), nr);
	}
}

/* The core could not have this page. One that is pinned stays so for long. */
static enum dmirror_class dmirror_classify_busy(struct dmirror_classes *c,
						struct page *page)
{
	if (!folio_maybe_dma_pinned(page_folio(page)))
		c->held++;
	return DMIRROR_CLASS_BUSY;
}

/* A page the core passed over, by what the page table says now. */
static enum dmirror_class dmirror_classify_seen(struct dmirror_classes *c,
						dmirror_pte_t pte)
{
	struct page *page;

	if (!pte)
		return c->anon ? DMIRROR_CLASS_ELSEWHERE : DMIRROR_CLASS_HOLE;
	page = pfn_to_page(dmirror_pte_pfn(pte));
	if (pte & DMIRROR_PTE_VRAM)
		return c->way == DMIRROR_WAY_IN ? DMIRROR_CLASS_PRESENT :
						  dmirror_classify_busy(c, page);
	if (is_zone_device_page(page) || c->way == DMIRROR_WAY_PEER)
		return DMIRROR_CLASS_ELSEWHERE;
	if (c->way == DMIRROR_WAY_OUT)
		return DMIRROR_CLASS_PRESENT;
	return dmirror_classify_movable(page_folio(page)) ?
	       dmirror_classify_busy(c, page) : DMIRROR_CLASS_UNSUPPORTED;
}

/* Those that are where they should go. */
static int dmirror_classify_there(struct dmirror_classes *c, struct dmirror_leaf *leaf,
				  unsigned long start, unsigned long end)
{
	int ret;

	do {
		if (!dmirror_vram_get(&c->peer->vram))
			return -ENODEV;
		ret = dmirror_fault_find(leaf, start, end, c->peer, c->there);
		dmirror_vram_put(&c->peer->vram);
	} while (ret == -EINPROGRESS && !(ret = dmirror_mm_wait(leaf->client->mm)));
	return ret;
}

void dmirror_classify_look(struct dmirror_classes *c,
			   struct dmirror_client *client,
			   unsigned long start, unsigned long end)
{
	unsigned int first = dmirror_leaf_index(start);
	unsigned int i, n = dmirror_leaf_count(start, end);
	struct dmirror_leaf *leaf;

	/* What is tried again has to know which pages need no room any more. */
	if (!c->held && !memchr(c->of, DMIRROR_CLASS_UNSEEN, n))
		return;
	leaf = dmirror_leaf_get(client, start);
	if (IS_ERR(leaf) || dmirror_fault_populate(client, leaf, start, end, 0))
		return;
	if (c->peer && dmirror_classify_there(c, leaf, start, end))
		return;

	/* A page with an entry stays what it is while the lock is held. */
	mutex_lock(&leaf->lock);
	for (i = 0; i < n; i++)
		if (c->of[i] == DMIRROR_CLASS_UNSEEN)
			c->of[i] = test_bit(i, c->there) ? DMIRROR_CLASS_PRESENT :
				   dmirror_classify_seen(c, leaf->pt.pte[first + i]);
	mutex_unlock(&leaf->lock);
}

static void dmirror_classify_count(struct dmirror_client *client, bool out,
				   unsigned int class, unsigned long n,
				   struct dmirror_moved *moved)
{
	unsigned int base = out ? DMIRROR_STAT_OUT_UNTRIED :
				  DMIRROR_STAT_IN_UNTRIED;

	moved->pages[class] += n;
	dmirror_client_count(client, base + class, n);
}

void dmirror_classify_end(const struct dmirror_classes *c,
			  struct dmirror_client *client, unsigned int n,
			  struct dmirror_moved *moved)
{
	unsigned int sum[DMIRROR_NR_CLASSES] = { 0 };
	unsigned int i;

	for (i = 0; i < n; i++)
		sum[min_t(u8, c->of[i], DMIRROR_CLASS_RACED)]++;
	for (i = 0; i < DMIRROR_NR_CLASSES; i++)
		if (sum[i])
			dmirror_classify_count(client, c->way != DMIRROR_WAY_IN,
					       i, sum[i], moved);
}

void dmirror_classify_untried(struct dmirror_client *client, unsigned long n,
			      bool out, struct dmirror_moved *moved)
{
	dmirror_classify_count(client, out, DMIRROR_CLASS_UNTRIED, n, moved);
}

unsigned int dmirror_classify_present(struct dmirror_client *client,
				      unsigned long start, unsigned long end)
{
	struct dmirror_leaf *leaf = dmirror_leaf_find(client, start);
	unsigned int first = dmirror_leaf_index(start);
	unsigned int n = 0;

	if (!leaf)
		return 0;
	mutex_lock(&leaf->lock);
	if (leaf->pt.nr_vram)
		n = dmirror_pt_count(&leaf->pt, first,
				     first + dmirror_leaf_count(start, end),
				     DMIRROR_PTE_VRAM);
	mutex_unlock(&leaf->lock);
	return n;
}
