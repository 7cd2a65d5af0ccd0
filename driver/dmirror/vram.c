// SPDX-License-Identifier: GPL-2.0
/*
 * Device memory.
 *
 * Owns the pool of device pages and the system pages behind them, allocated
 * once when the device appears: migrating to the device frees system memory
 * for good, and a full device is full. A device page finds its backing by its
 * number, so pages carry no data of the driver and no pointer to a client.
 * Also a spare 2 MiB of system memory: the core takes a large device folio apart
 * for a migration by address but not for one by frame, so it can only be evicted
 * in one piece, and there may be no other piece of that size.
 *
 * This is the only file that does arithmetic between frame numbers and device
 * pages. It knows nothing of eviction: reserving fails when the pool is empty.
 *
 * Locks: vram->lock for the pool.
 */
#include <linux/gfp.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "account.h"
#include "compat.h"
#include "hmm_devmem.h"
#include "vram.h"

static unsigned long dmirror_vram_index(const struct dmirror_vram *vram,
					const struct page *page)
{
	return page_to_pfn(page) - vram->pfn_first;
}

bool dmirror_vram_get(struct dmirror_vram *vram)
{
	unsigned long flags;
	bool alive;

	spin_lock_irqsave(&vram->lock, flags);
	alive = !vram->dead;
	vram->users += alive;
	spin_unlock_irqrestore(&vram->lock, flags);
	return alive;
}

void dmirror_vram_put(struct dmirror_vram *vram)
{
	unsigned long flags;

	spin_lock_irqsave(&vram->lock, flags);
	vram->users--;
	spin_unlock_irqrestore(&vram->lock, flags);
}

bool dmirror_vram_owns(const struct dmirror_vram *vram, const struct page *page)
{
	return page_to_pfn(page) >= vram->pfn_first &&
	       dmirror_vram_index(vram, page) < vram->nr_pages;
}

struct page *dmirror_vram_data(const struct dmirror_vram *vram, struct page *page)
{
	if (vram->kind == DMIRROR_COHERENT)
		return page;
	return vram->backing[dmirror_vram_index(vram, page)];
}

void dmirror_vram_touch(struct dmirror_vram *vram, const struct page *page)
{
	unsigned long idx = dmirror_vram_index(vram, page);

	dmirror_lru_touch(&vram->pool.blocks[idx / DMIRROR_BLOCK_PAGES].lru);
}

unsigned int dmirror_vram_reserve(struct dmirror_vram *vram,
				  struct dmirror_reserve *res,
				  unsigned int want, bool partial)
{
	unsigned long flags;

	res->nr = 0;
	res->next = 0;
	bitmap_zero(res->used, DMIRROR_BLOCK_PAGES);
	spin_lock_irqsave(&vram->lock, flags);
	/* The memory behind free pages has gone with the device. */
	if (!vram->dead && (partial || vram->pool.nr_free >= want))
		res->nr = dmirror_pool_reserve(&vram->pool, want, res->idx);
	/* Isolated blocks count as free but give nothing. */
	while (!partial && res->nr && res->nr < want)
		dmirror_pool_unreserve(&vram->pool, res->idx[--res->nr]);
	spin_unlock_irqrestore(&vram->lock, flags);

	res->whole = res->nr == DMIRROR_BLOCK_PAGES &&
		     !(res->idx[0] % DMIRROR_BLOCK_PAGES) &&
		     res->idx[res->nr - 1] - res->idx[0] == res->nr - 1;
	return res->nr;
}

void dmirror_vram_unreserve(struct dmirror_vram *vram, struct dmirror_reserve *res)
{
	unsigned int i, unused = 0;
	unsigned long flags;

	spin_lock_irqsave(&vram->lock, flags);
	for (i = 0; i < res->nr; i++)
		if (!test_bit(i, res->used)) {
			dmirror_pool_unreserve(&vram->pool, res->idx[i]);
			unused++;
		}
	spin_unlock_irqrestore(&vram->lock, flags);
	res->nr = 0;
	if (!res->twice && unused)
		dmirror_account_uncharge(res->account, vram, unused);
}

struct dmirror_account *dmirror_vram_account(struct dmirror_vram *vram,
					     const struct page *page)
{
	struct dmirror_account *account;
	unsigned long flags;

	spin_lock_irqsave(&vram->lock, flags);
	account = vram->accounts[dmirror_vram_index(vram, page)];
	spin_unlock_irqrestore(&vram->lock, flags);
	return account;
}

/* Page numbers [idx, idx + n) become live, or with NULL free. */
static void dmirror_vram_set_account(struct dmirror_vram *vram, unsigned long idx,
				     unsigned int n, struct dmirror_account *account)
{
	unsigned int i;

	lockdep_assert_held(&vram->lock);

	for (i = 0; i < n; i++)
		vram->accounts[idx + i] = account;
}

/* Entries [i, i + 1 << order) of the reservation become one live folio. */
static struct page *dmirror_vram_activate(struct dmirror_vram *vram,
					  struct dmirror_reserve *res,
					  unsigned int i, unsigned int order)
{
	unsigned int n = 1U << order;
	unsigned long flags;
	struct page *page;

	if (res->twice)
		dmirror_account_charge_more(res->account, vram, n);
	page = hmm_devmem_page_get(vram->devmem,
				   vram->pfn_first + res->idx[i], order);
	if (IS_ERR(page)) {
		if (res->twice)
			dmirror_account_uncharge(res->account, vram, n);
		return NULL;
	}

	bitmap_set(res->used, i, n);
	spin_lock_irqsave(&vram->lock, flags);
	dmirror_pool_commit(&vram->pool, res->idx[i], n);
	dmirror_vram_set_account(vram, res->idx[i], n, res->account);
	spin_unlock_irqrestore(&vram->lock, flags);
	dmirror_vram_touch(vram, page);
	return page;
}

struct page *dmirror_vram_take(struct dmirror_vram *vram,
			       struct dmirror_reserve *res, unsigned int pos)
{
	unsigned int i = res->whole ? pos : res->next++;

	if (i >= res->nr || test_bit(i, res->used))
		return NULL;
	return dmirror_vram_activate(vram, res, i, 0);
}

struct page *dmirror_vram_take_large(struct dmirror_vram *vram,
				     struct dmirror_reserve *res)
{
	if (!COMPAT_LARGE_FOLIOS || !res->whole ||
	    !bitmap_empty(res->used, DMIRROR_BLOCK_PAGES))
		return NULL;
	return dmirror_vram_activate(vram, res, 0, DMIRROR_LEAF_ORDER);
}

static void dmirror_vram_drop_backing(struct dmirror_vram *vram, unsigned long i)
{
	if (!vram->backing || !vram->backing[i])
		return;
	__free_page(vram->backing[i]);
	vram->backing[i] = NULL;
}

void dmirror_vram_drop(struct page *page)
{
	hmm_devmem_page_put(page);
}

void dmirror_vram_free(struct dmirror_vram *vram, struct page *page,
		       unsigned int order)
{
	unsigned long idx = dmirror_vram_index(vram, page);
	struct dmirror_account *account;
	unsigned long flags;
	unsigned int i;

	if (dmirror_sabotage(container_of(vram, struct dmirror_device, vram),
			     DMIRROR_SABOTAGE_LEAK))
		return;
	spin_lock_irqsave(&vram->lock, flags);
	dmirror_pool_free(&vram->pool, idx, 1U << order);
	/* A folio has one account: it can be split, but never put together. */
	account = vram->accounts[idx];
	dmirror_vram_set_account(vram, idx, 1U << order, NULL);
	/* Nothing will live here again, and teardown needs the memory. */
	for (i = 0; vram->dead && i < 1U << order; i++)
		dmirror_vram_drop_backing(vram, idx + i);
	spin_unlock_irqrestore(&vram->lock, flags);
	dmirror_account_uncharge(account, vram, 1U << order);
}

struct folio *dmirror_vram_spare_take(struct dmirror_vram *vram)
{
	struct folio *folio = vram->spare;

	lockdep_assert_held(&vram->evict_lock);
	vram->spare = NULL;
	return folio;
}

void dmirror_vram_spare_fill(struct dmirror_vram *vram)
{
	gfp_t gfp = GFP_HIGHUSER | __GFP_COMP | __GFP_NORETRY | __GFP_NOWARN;

	if (COMPAT_LARGE_FOLIOS && vram->kind == DMIRROR_PRIVATE && !vram->spare)
		vram->spare = folio_alloc(gfp, DMIRROR_LEAF_ORDER);
}

unsigned int dmirror_vram_block_pfns(struct dmirror_vram *vram,
				     struct dmirror_block *block,
				     unsigned long *pfns)
{
	unsigned long first = vram->pfn_first +
		(unsigned long)(block - vram->pool.blocks) * DMIRROR_BLOCK_PAGES;
	unsigned long flags, bit;
	unsigned int n = 0;

	spin_lock_irqsave(&vram->lock, flags);
	for_each_set_bit(bit, block->live, DMIRROR_BLOCK_PAGES)
		pfns[n++] = first + bit;
	spin_unlock_irqrestore(&vram->lock, flags);
	return n;
}

static void dmirror_vram_free_backing(struct dmirror_vram *vram)
{
	unsigned long i;

	for (i = 0; i < vram->nr_pages; i++)
		dmirror_vram_drop_backing(vram, i);
	kvfree(vram->backing);
	vram->backing = NULL;
}

/*
 * Large allocations first: they keep the kernel's direct map and the buddy
 * allocator tidy. They are split at once because device pages come and go one
 * by one.
 */
static int dmirror_vram_alloc_backing(struct dmirror_vram *vram)
{
	unsigned int order = DMIRROR_LEAF_ORDER;
	unsigned long i = 0;

	/* Do not bring the machine to its knees only to fail in the end. */
	if (vram->nr_pages > si_mem_available() ||
	    dmirror_inject(NULL, DMIRROR_INJECT_POOL))
		return -ENOMEM;
	vram->backing = kvcalloc(vram->nr_pages, sizeof(*vram->backing), GFP_KERNEL);
	if (!vram->backing)
		return -ENOMEM;

	while (i < vram->nr_pages) {
		gfp_t gfp = GFP_HIGHUSER | __GFP_NOWARN |
			    (order ? __GFP_NORETRY : __GFP_RETRY_MAYFAIL);
		struct page *page = NULL;
		unsigned int j;

		if (!dmirror_inject(NULL, DMIRROR_INJECT_POOL))
			page = alloc_pages(gfp, order);

		if (!page && !order) {
			dmirror_vram_free_backing(vram);
			return -ENOMEM;
		}
		if (!page) {
			order--;
			continue;
		}
		if (order)
			split_page(page, order);
		for (j = 0; j < 1U << order; j++)
			vram->backing[i++] = page + j;
		cond_resched();
	}
	return 0;
}

static struct hmm_devmem *dmirror_vram_add_region(struct dmirror_device *dev,
						  unsigned long size,
						  unsigned long addr,
						  const struct hmm_devmem_ops *ops)
{
	struct resource *range = &dev->vram.range;

	if (dmirror_inject(NULL, DMIRROR_INJECT_REGION))
		return ERR_PTR(-ENOMEM);
	if (dev->vram.kind == DMIRROR_PRIVATE)
		return hmm_devmem_add(ops, dev->parent, size);

	range->start = addr;
	range->end = addr + size - 1;
	range->name = DMIRROR_NAME;
	range->flags = IORESOURCE_MEM;
	range->desc = HMM_DEVMEM_DESC_PUBLIC;
	return hmm_devmem_add_resource(ops, dev->parent, range);
}

static void dmirror_vram_free_tables(struct dmirror_vram *vram)
{
	dmirror_vram_free_backing(vram);
	if (vram->spare)
		folio_put(vram->spare);
	vram->spare = NULL;
	kvfree(vram->pool.blocks);
	kvfree(vram->accounts);
	vram->pool.blocks = NULL;
	vram->accounts = NULL;
	kvfree(vram->evict_src);
	kvfree(vram->evict_dst);
	vram->evict_src = NULL;
	vram->evict_dst = NULL;
}

static int dmirror_vram_alloc_tables(struct dmirror_vram *vram)
{
	unsigned int nr_blocks = vram->nr_pages / DMIRROR_BLOCK_PAGES;
	struct dmirror_block *blocks;

	if (dmirror_inject(NULL, DMIRROR_INJECT_POOL))
		return -ENOMEM;
	blocks = kvcalloc(nr_blocks, sizeof(*blocks), GFP_KERNEL);
	if (!blocks)
		return -ENOMEM;
	dmirror_pool_init(&vram->pool, blocks, nr_blocks);

	vram->accounts = kvcalloc(vram->nr_pages, sizeof(*vram->accounts), GFP_KERNEL);
	vram->evict_src = kvcalloc(DMIRROR_BLOCK_PAGES, sizeof(long), GFP_KERNEL);
	vram->evict_dst = kvcalloc(DMIRROR_BLOCK_PAGES, sizeof(long), GFP_KERNEL);
	if (!vram->accounts || !vram->evict_src || !vram->evict_dst)
		return -ENOMEM;
	if (vram->kind != DMIRROR_PRIVATE)
		return 0;
	dmirror_vram_spare_fill(vram);
	return dmirror_vram_alloc_backing(vram);
}

int dmirror_vram_init(struct dmirror_device *dev, enum dmirror_kind kind,
		      unsigned long size, unsigned long addr,
		      const struct hmm_devmem_ops *ops)
{
	struct dmirror_vram *vram = &dev->vram;
	struct hmm_devmem *devmem;
	int ret;

	vram->kind = kind;
	vram->nr_pages = size >> PAGE_SHIFT;
	spin_lock_init(&vram->lock);
	mutex_init(&vram->evict_lock);
	atomic_set(&vram->waiters, 0);

	ret = dmirror_vram_alloc_tables(vram);
	if (ret)
		goto out_free_tables;

	devmem = dmirror_vram_add_region(dev, size, addr, ops);
	if (IS_ERR(devmem)) {
		ret = PTR_ERR(devmem);
		goto out_free_tables;
	}
	devmem->drvdata = dev;
	vram->devmem = devmem;
	vram->owner = hmm_devmem_owner(devmem);
	vram->pfn_first = devmem->pfn_first;
	return 0;

out_free_tables:
	dmirror_vram_free_tables(vram);
	return ret;
}

/* The memory behind free pages is of no more use. */
static void dmirror_vram_shrink(struct dmirror_vram *vram)
{
	unsigned long flags, bit;
	unsigned int i;

	for (i = 0; i < vram->pool.nr_blocks; i++) {
		spin_lock_irqsave(&vram->lock, flags);
		for_each_set_bit(bit, vram->pool.blocks[i].free, DMIRROR_BLOCK_PAGES)
			dmirror_vram_drop_backing(vram, i * DMIRROR_BLOCK_PAGES + bit);
		spin_unlock_irqrestore(&vram->lock, flags);
	}
}

void dmirror_vram_kill(struct dmirror_vram *vram)
{
	unsigned long flags;

	spin_lock_irqsave(&vram->lock, flags);
	WRITE_ONCE(vram->dead, true);
	spin_unlock_irqrestore(&vram->lock, flags);
	dmirror_vram_shrink(vram);
}

static bool dmirror_vram_busy(struct dmirror_vram *vram)
{
	unsigned long flags;
	bool busy;

	spin_lock_irqsave(&vram->lock, flags);
	busy = vram->users;
	spin_unlock_irqrestore(&vram->lock, flags);
	return busy;
}

void dmirror_vram_fini(struct dmirror_device *dev)
{
	struct dmirror_vram *vram = &dev->vram;

	while (dmirror_vram_busy(vram))
		schedule_timeout_uninterruptible(1);
	/* Woken by users only. */
	cancel_work_sync(&vram->ahead);
	hmm_devmem_remove(vram->devmem);
	dmirror_vram_free_tables(vram);
}
