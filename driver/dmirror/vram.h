/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device memory: a fixed pool, its device pages and the memory behind them.
 */
#ifndef DMIRROR_VRAM_H
#define DMIRROR_VRAM_H

#include <linux/bitmap.h>
#include <linux/types.h>

#include "types.h"

struct dmirror_account;
struct folio;
struct hmm_devmem_ops;
struct page;

/**
 * struct dmirror_reserve - device pages set aside for one window
 * @account: who is charged: for all of them until they are given back, or if @twice
 *	for those that become live
 * @twice: who is charged is charged already, for pages that leave another device
 * @idx: page numbers
 * @nr: how many
 * @next: first entry of @idx not yet considered
 * @whole: @idx is one complete block; entry i is page i of the block
 * @used: entries of @idx that became live
 */
struct dmirror_reserve {
	struct dmirror_account *account;
	bool twice;
	u32 idx[DMIRROR_BLOCK_PAGES];
	unsigned int nr;
	unsigned int next;
	bool whole;
	DECLARE_BITMAP(used, DMIRROR_BLOCK_PAGES);
};

/**
 * dmirror_vram_init() - create the memory of a device
 * @dev: the device, @dev->parent set; becomes the drvdata of the region
 * @kind: private or coherent
 * @size: bytes, a multiple of 2 MiB
 * @addr: coherent only: physical address of the range, 2 MiB aligned
 * @ops: what to do when a page is touched, freed, split or must go
 *
 * Context: process context, sleeps.
 * Return: 0; -ENOMEM without memory for the pool; whatever hmm_devmem_add() or
 * hmm_devmem_add_resource() return. Nothing is left behind on failure.
 */
int dmirror_vram_init(struct dmirror_device *dev, enum dmirror_kind kind,
		      unsigned long size, unsigned long addr,
		      const struct hmm_devmem_ops *ops);

/**
 * dmirror_vram_fini() - evict everything and take the memory down
 * @dev: the device; dmirror_vram_kill() was called
 *
 * Context: process context; sleeps until the last page has left.
 */
void dmirror_vram_fini(struct dmirror_device *dev);

/**
 * dmirror_vram_kill() - hand out no more pages
 * @vram: the memory
 *
 * The memory behind pages that are free, or become free, returns to the system,
 * so that evicting the rest finds room.
 *
 * Context: process context.
 */
void dmirror_vram_kill(struct dmirror_vram *vram);

/**
 * dmirror_vram_dead() - has the device gone?
 * @vram: the memory
 *
 * Return: true once dmirror_vram_kill() was called.
 */
static inline bool dmirror_vram_dead(const struct dmirror_vram *vram)
{
	return READ_ONCE(vram->dead);
}

/**
 * dmirror_vram_get() - keep the region from going away for a short time
 * @vram: the memory
 *
 * Between this and dmirror_vram_put() nothing may wait for user space: the
 * device cannot be unbound meanwhile.
 *
 * Return: false when the device has gone.
 */
bool dmirror_vram_get(struct dmirror_vram *vram);

/**
 * dmirror_vram_put() - end of dmirror_vram_get()
 * @vram: the memory
 */
void dmirror_vram_put(struct dmirror_vram *vram);

/**
 * dmirror_vram_owns() - is this one of the device's pages?
 * @vram: the memory of a device that has not gone
 * @page: any page the caller keeps from going away
 *
 * Return: true if it is.
 */
bool dmirror_vram_owns(const struct dmirror_vram *vram, const struct page *page);

/**
 * dmirror_vram_data() - the memory that holds a device page's bytes
 * @vram: the memory
 * @page: one of the device's live pages
 *
 * Return: a page the kernel can address.
 */
struct page *dmirror_vram_data(const struct dmirror_vram *vram, struct page *page);

/**
 * dmirror_vram_touch() - note that the device used a page
 * @vram: the memory
 * @page: one of the device's pages
 *
 * Context: any.
 */
void dmirror_vram_touch(struct dmirror_vram *vram, const struct page *page);

/**
 * dmirror_vram_account() - who is charged for a page
 * @vram: the memory
 * @page: one of the device's pages, kept live by the caller
 *
 * Return: the account, there for as long as the page is live.
 */
struct dmirror_account *dmirror_vram_account(struct dmirror_vram *vram,
					     const struct page *page);

/**
 * dmirror_vram_reserve() - set pages aside, all that is wanted or none
 * @vram: the memory, held with dmirror_vram_get()
 * @res: (out) the pages
 * @want: how many, at most DMIRROR_BLOCK_PAGES
 * @partial: take what there is if there is not enough
 *
 * Return: pages set aside.
 */
unsigned int dmirror_vram_reserve(struct dmirror_vram *vram,
				  struct dmirror_reserve *res,
				  unsigned int want, bool partial);

/**
 * dmirror_vram_unreserve() - give back what was not used
 * @vram: the memory
 * @res: the pages; empty afterwards
 */
void dmirror_vram_unreserve(struct dmirror_vram *vram, struct dmirror_reserve *res);

/**
 * dmirror_vram_take() - make one reserved page live
 * @vram: the memory
 * @res: reserved pages
 * @pos: place in the window; a whole block keeps the place
 *
 * Return: the page, locked, with the one reference the caller owns; NULL when
 * nothing is left, the account has reached its limit or the device has gone.
 */
struct page *dmirror_vram_take(struct dmirror_vram *vram,
			       struct dmirror_reserve *res, unsigned int pos);

/**
 * dmirror_vram_take_large() - make a reserved block live as one large folio
 * @vram: the memory
 * @res: reserved pages, none used yet
 *
 * Return: the head page as from dmirror_vram_take(); NULL unless a whole block
 * is reserved and the kernel migrates large folios.
 */
struct page *dmirror_vram_take_large(struct dmirror_vram *vram,
				     struct dmirror_reserve *res);

/**
 * dmirror_vram_drop() - a live page is not needed after all
 * @page: from dmirror_vram_take(), still locked
 *
 * Context: any.
 */
void dmirror_vram_drop(struct page *page);

/**
 * dmirror_vram_free() - a folio of the device lost its last reference
 * @vram: the memory
 * @page: first page
 * @order: order of the folio
 *
 * Context: any, also under a page table lock and in softirq.
 */
void dmirror_vram_free(struct dmirror_vram *vram, struct page *page,
		       unsigned int order);

/**
 * dmirror_vram_spare_take() - the 2 MiB of system memory kept for eviction
 * @vram: the memory
 *
 * Context: vram->evict_lock held.
 * Return: the folio, now the caller's, or NULL.
 */
struct folio *dmirror_vram_spare_take(struct dmirror_vram *vram);

/**
 * dmirror_vram_spare_fill() - get a new spare if it was used and there is one
 * @vram: the memory
 *
 * Context: process context, sleeps; vram->evict_lock held, or nobody else has
 * @vram yet.
 */
void dmirror_vram_spare_fill(struct dmirror_vram *vram);

/**
 * dmirror_vram_block_pfns() - the frames of a block's live pages
 * @vram: the memory
 * @block: the block
 * @pfns: (out) at most DMIRROR_BLOCK_PAGES frame numbers, ascending
 *
 * Return: how many.
 */
unsigned int dmirror_vram_block_pfns(struct dmirror_vram *vram,
				     struct dmirror_block *block,
				     unsigned long *pfns);

#endif /* DMIRROR_VRAM_H */
