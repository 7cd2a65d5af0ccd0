/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocator of device pages: 2 MiB blocks, each a bitmap of 512 pages.
 *
 * A block that is wholly free can be handed out in one piece, which is what a
 * large folio needs; single pages come from blocks already broken into as long
 * as there are any, so that whole blocks last. Freeing needs no merging: a
 * block is whole again when its last page comes back.
 *
 * A page is free, reserved (handed out, no content yet) or live (holds data).
 * The caller serialises everything.
 */
#ifndef DMIRROR_BLOCK_H
#define DMIRROR_BLOCK_H

#include "kdeps.h"
#include "lru.h"
#include "pt.h"

#define DMIRROR_BLOCK_PAGES	DMIRROR_LEAF_PAGES

/**
 * struct dmirror_block - 2 MiB of device memory
 * @free: bitmap, a set bit is a free page
 * @live: bitmap, a set bit is a page with data; a page in neither is reserved
 * @nr_free: free pages
 * @nr_live: pages with data
 * @isolated: being evicted; nothing is handed out from it
 * @link: on the allocator's empty or partial list; on none when it has no
 *	free page or is isolated
 * @lru: for eviction; on the list while @nr_live is not 0 and not @isolated
 */
struct dmirror_block {
	unsigned long free[BITS_TO_LONGS(DMIRROR_BLOCK_PAGES)];
	unsigned long live[BITS_TO_LONGS(DMIRROR_BLOCK_PAGES)];
	unsigned int nr_free;
	unsigned int nr_live;
	bool isolated;
	struct list_head link;
	struct dmirror_lru_node lru;
};

/**
 * struct dmirror_pool - all blocks of a device
 * @blocks: the blocks
 * @nr_blocks: how many
 * @nr_free: free pages of all blocks, isolated ones included
 * @nr_reserved: reserved pages
 * @nr_live: live pages
 * @nr_live_max: highest @nr_live ever seen
 * @whole: blocks with all pages free
 * @partial: blocks with some pages free
 * @lru: blocks with live pages
 */
struct dmirror_pool {
	struct dmirror_block *blocks;
	unsigned int nr_blocks;
	unsigned long nr_free;
	unsigned long nr_reserved;
	unsigned long nr_live;
	unsigned long nr_live_max;
	struct list_head whole;
	struct list_head partial;
	struct dmirror_lru lru;
};

/**
 * dmirror_pool_init() - all pages free
 * @pool: the pool
 * @blocks: zeroed array of @nr_blocks blocks, owned by the caller
 * @nr_blocks: at least 1
 */
void dmirror_pool_init(struct dmirror_pool *pool, struct dmirror_block *blocks,
		       unsigned int nr_blocks);

/**
 * dmirror_pool_reserve() - take pages out of the free pool
 * @pool: the pool
 * @want: pages wanted, at most DMIRROR_BLOCK_PAGES
 * @idx: (out) page numbers, ascending within a block
 *
 * For a whole block's worth a wholly free block is preferred, in which case
 * the numbers are consecutive and start at a multiple of the block size.
 *
 * Return: how many were taken; fewer than @want when the pool runs dry.
 */
unsigned int dmirror_pool_reserve(struct dmirror_pool *pool, unsigned int want,
				  u32 *idx);

/**
 * dmirror_pool_unreserve() - give a reserved page back unused
 * @pool: the pool
 * @idx: page number
 */
void dmirror_pool_unreserve(struct dmirror_pool *pool, u32 idx);

/**
 * dmirror_pool_commit() - reserved pages now hold data
 * @pool: the pool
 * @idx: first page number
 * @nr: consecutive pages, all in one block
 */
void dmirror_pool_commit(struct dmirror_pool *pool, u32 idx, unsigned int nr);

/**
 * dmirror_pool_free() - live pages hold no data any more
 * @pool: the pool
 * @idx: first page number
 * @nr: consecutive pages, all in one block
 */
void dmirror_pool_free(struct dmirror_pool *pool, u32 idx, unsigned int nr);

/**
 * dmirror_pool_isolate() - pick a block to evict
 * @pool: the pool
 *
 * Nothing is handed out from the block until dmirror_pool_putback().
 *
 * Return: the block, or NULL when no block has live pages.
 */
struct dmirror_block *dmirror_pool_isolate(struct dmirror_pool *pool);

/**
 * dmirror_pool_isolate_block() - isolate one given block
 * @pool: the pool
 * @block: the block
 *
 * Return: true if it had live pages and was not isolated already.
 */
bool dmirror_pool_isolate_block(struct dmirror_pool *pool,
				struct dmirror_block *block);

/**
 * dmirror_pool_putback() - end an isolation
 * @pool: the pool
 * @block: a block from dmirror_pool_isolate()
 */
void dmirror_pool_putback(struct dmirror_pool *pool, struct dmirror_block *block);

#endif /* DMIRROR_BLOCK_H */
