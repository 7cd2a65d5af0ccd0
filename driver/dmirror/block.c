// SPDX-License-Identifier: GPL-2.0
/*
 * Block allocator: see block.h for the model.
 *
 * Owns the state of every device page (free, reserved, live) and the lists the
 * blocks are on. Does not own the pages' contents and takes no locks.
 */
#include "block.h"

static struct dmirror_block *dmirror_pool_block(struct dmirror_pool *pool, u32 idx)
{
	return &pool->blocks[idx / DMIRROR_BLOCK_PAGES];
}

/* Put the block on the lists that its counts call for. */
static void dmirror_pool_settle(struct dmirror_pool *pool,
				struct dmirror_block *block)
{
	bool evictable = block->nr_live && !block->isolated;

	list_del_init(&block->link);
	if (!block->isolated && block->nr_free == DMIRROR_BLOCK_PAGES)
		list_add(&block->link, &pool->whole);
	else if (!block->isolated && block->nr_free)
		list_add(&block->link, &pool->partial);

	if (evictable && !dmirror_lru_on(&block->lru))
		dmirror_lru_add(&pool->lru, &block->lru);
	else if (!evictable && dmirror_lru_on(&block->lru))
		dmirror_lru_del(&pool->lru, &block->lru);
}

void dmirror_pool_init(struct dmirror_pool *pool, struct dmirror_block *blocks,
		       unsigned int nr_blocks)
{
	unsigned int i;

	memset(pool, 0, sizeof(*pool));
	pool->blocks = blocks;
	pool->nr_blocks = nr_blocks;
	pool->nr_free = (unsigned long)nr_blocks * DMIRROR_BLOCK_PAGES;
	INIT_LIST_HEAD(&pool->whole);
	INIT_LIST_HEAD(&pool->partial);
	dmirror_lru_init(&pool->lru);
	for (i = 0; i < nr_blocks; i++) {
		bitmap_fill(blocks[i].free, DMIRROR_BLOCK_PAGES);
		blocks[i].nr_free = DMIRROR_BLOCK_PAGES;
		dmirror_lru_node_init(&blocks[i].lru);
		INIT_LIST_HEAD(&blocks[i].link);
		list_add_tail(&blocks[i].link, &pool->whole);
	}
}

static struct dmirror_block *dmirror_pool_source(struct dmirror_pool *pool,
						 unsigned int want)
{
	struct list_head *first = &pool->partial;
	struct list_head *second = &pool->whole;

	if (want == DMIRROR_BLOCK_PAGES) {
		first = &pool->whole;
		second = &pool->partial;
	}
	if (list_empty(first))
		first = second;
	if (list_empty(first))
		return NULL;
	return list_first_entry(first, struct dmirror_block, link);
}

unsigned int dmirror_pool_reserve(struct dmirror_pool *pool, unsigned int want,
				  u32 *idx)
{
	unsigned int got = 0;

	while (got < want) {
		struct dmirror_block *block = dmirror_pool_source(pool, want - got);
		unsigned long bit;
		u32 base;

		if (!block)
			break;
		base = (u32)(block - pool->blocks) * DMIRROR_BLOCK_PAGES;
		for_each_set_bit(bit, block->free, DMIRROR_BLOCK_PAGES) {
			__clear_bit(bit, block->free);
			block->nr_free--;
			idx[got++] = base + bit;
			if (got == want)
				break;
		}
		dmirror_pool_settle(pool, block);
	}
	pool->nr_free -= got;
	pool->nr_reserved += got;
	return got;
}

static void dmirror_pool_release(struct dmirror_pool *pool,
				 struct dmirror_block *block, u32 idx,
				 unsigned int nr)
{
	bitmap_set(block->free, idx % DMIRROR_BLOCK_PAGES, nr);
	block->nr_free += nr;
	pool->nr_free += nr;
	dmirror_pool_settle(pool, block);
}

void dmirror_pool_unreserve(struct dmirror_pool *pool, u32 idx)
{
	pool->nr_reserved--;
	dmirror_pool_release(pool, dmirror_pool_block(pool, idx), idx, 1);
}

void dmirror_pool_commit(struct dmirror_pool *pool, u32 idx, unsigned int nr)
{
	struct dmirror_block *block = dmirror_pool_block(pool, idx);

	bitmap_set(block->live, idx % DMIRROR_BLOCK_PAGES, nr);
	block->nr_live += nr;
	pool->nr_reserved -= nr;
	pool->nr_live += nr;
	pool->nr_live_max = max(pool->nr_live_max, pool->nr_live);
	dmirror_pool_settle(pool, block);
}

void dmirror_pool_free(struct dmirror_pool *pool, u32 idx, unsigned int nr)
{
	struct dmirror_block *block = dmirror_pool_block(pool, idx);

	bitmap_clear(block->live, idx % DMIRROR_BLOCK_PAGES, nr);
	block->nr_live -= nr;
	pool->nr_live -= nr;
	dmirror_pool_release(pool, block, idx, nr);
}

bool dmirror_pool_isolate_block(struct dmirror_pool *pool,
				struct dmirror_block *block)
{
	if (block->isolated || !block->nr_live)
		return false;
	block->isolated = true;
	dmirror_pool_settle(pool, block);
	return true;
}

struct dmirror_block *dmirror_pool_isolate(struct dmirror_pool *pool)
{
	struct dmirror_lru_node *node = dmirror_lru_isolate(&pool->lru);
	struct dmirror_block *block;

	if (!node)
		return NULL;
	block = container_of(node, struct dmirror_block, lru);
	dmirror_pool_isolate_block(pool, block);
	return block;
}

void dmirror_pool_putback(struct dmirror_pool *pool, struct dmirror_block *block)
{
	block->isolated = false;
	dmirror_pool_settle(pool, block);
}
