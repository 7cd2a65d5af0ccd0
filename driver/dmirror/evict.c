// SPDX-License-Identifier: GPL-2.0
/*
 * Eviction.
 *
 * Works on device pages only: a block is chosen, and whoever maps its pages,
 * mirrored or not, gets them back in system memory. No mm is looked up, so
 * pages of a process that is exiting or that never opened the device go too.
 *
 * Data is never given up: a page for which no system page can be had, or that
 * somebody else holds, stays on the device.
 *
 * Who wants pages and finds none evicts for himself. When that has happened to a
 * client of the render node, then for a while a worker keeps some pages free, so
 * that the next need not wait. It never runs otherwise: a working set that fits
 * stays whole.
 *
 * Locks: vram->evict_lock around everything that moves pages; the core takes
 * folio locks (by trying only) and, through the notifiers, leaf locks.
 */
#include <linux/jiffies.h>
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "account.h"
#include "compat.h"
#include "copy.h"
#include "evict.h"
#include "trace.h"
#include "vram.h"

/* Watermarks: shares of the blocks of a device. Small ones have none. */
#define DMIRROR_LOW_SHARE	16
#define DMIRROR_HIGH_SHARE	8

/* How long after somebody had to wait the worker keeps pages free. */
#define DMIRROR_AHEAD_MS	1000

static struct workqueue_struct *dmirror_evict_wq;

/*
 * Destinations are not charged anew: the charge of the device page moves with
 * its content. No killing for them either: the caller finds another victim.
 */
static struct page *dmirror_evict_alloc(struct dmirror_device *dev,
					unsigned int order)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct folio *folio;

	if (dmirror_inject(dev, order ? DMIRROR_INJECT_ALLOC_EVICT_LARGE :
					DMIRROR_INJECT_ALLOC_EVICT_SMALL))
		return NULL;
	folio = folio_alloc(order ? gfp | __GFP_COMP : gfp, order);
	if (!folio && order)
		folio = dmirror_vram_spare_take(&dev->vram);
	if (!folio)
		return NULL;
	folio_lock(folio);
	return folio_page(folio, 0);
}

static bool dmirror_evict_copy(struct dmirror_device *dev, struct page *to,
			       struct page *from, unsigned int order)
{
	unsigned int j;

	for (j = 0; j < 1U << order; j++)
		if (!dmirror_copy_page(dev, to + j,
				       dmirror_vram_data(&dev->vram, from + j)))
			return false;
	return true;
}

static void dmirror_evict_one(struct dmirror_device *dev, unsigned int i)
{
	struct dmirror_vram *vram = &dev->vram;
	unsigned long mpfn = vram->evict_src[i];
	unsigned int order = mpfn & COMPAT_MIGRATE_PFN_COMPOUND ?
			     DMIRROR_LEAF_ORDER : 0;
	struct page *from = migrate_pfn_to_page(mpfn);
	struct page *to;

	if (!from || !(mpfn & MIGRATE_PFN_MIGRATE))
		return;
	to = dmirror_evict_alloc(dev, order);
	if (!to)
		return;
	if (!dmirror_evict_copy(dev, to, from, order)) {
		unlock_page(to);
		put_page(to);
		return;
	}

	vram->evict_dst[i] = migrate_pfn(page_to_pfn(to)) |
			     (mpfn & MIGRATE_PFN_WRITE);
	if (order)
		vram->evict_dst[i] |= COMPAT_MIGRATE_PFN_COMPOUND;
}

static unsigned int dmirror_evict_moved(struct dmirror_vram *vram, unsigned int n)
{
	unsigned int i, moved = 0;

	for (i = 0; i < n; i++)
		if (vram->evict_dst[i] && (vram->evict_src[i] & MIGRATE_PFN_MIGRATE))
			moved += vram->evict_dst[i] & COMPAT_MIGRATE_PFN_COMPOUND ?
				 DMIRROR_LEAF_PAGES : 1;
	return moved;
}

/* Evict what an isolated block holds. Returns pages moved. */
static unsigned int dmirror_evict_block(struct dmirror_device *dev,
					struct dmirror_block *block, int reason)
{
	struct dmirror_vram *vram = &dev->vram;
	unsigned long first = (unsigned long)(block - vram->pool.blocks) *
			      DMIRROR_BLOCK_PAGES;
	unsigned int i, n, moved;

	lockdep_assert_held(&vram->evict_lock);

	n = dmirror_vram_block_pfns(vram, block, vram->evict_src);
	trace_dmirror_evict_begin(dev->id, first, n, reason, 0, 0);
	memset(vram->evict_dst, 0, n * sizeof(*vram->evict_dst));

	dmirror_inject(dev, DMIRROR_INJECT_EVICT);
	compat_migrate_device_pfns(vram->evict_src, n);
	for (i = 0; i < n; i++)
		dmirror_evict_one(dev, i);
	dmirror_inject(dev, DMIRROR_INJECT_EVICT_COMMIT);
	migrate_device_pages(vram->evict_src, vram->evict_dst, n);
	dmirror_inject(dev, DMIRROR_INJECT_EVICT_FINALIZE);
	moved = dmirror_evict_moved(vram, n);
	migrate_device_finalize(vram->evict_src, vram->evict_dst, n);
	dmirror_vram_spare_fill(vram);

	dmirror_stat_add(&dev->stats, DMIRROR_STAT_EVICTIONS, 1);
	dmirror_stat_add(&dev->stats, DMIRROR_STAT_EVICTED_PAGES, moved);
	dmirror_stat_add(&dev->stats, DMIRROR_STAT_EVICT_FAILED, n - moved);
	trace_dmirror_evict_end(dev->id, first, n, reason, moved, n - moved);
	return moved;
}

/*
 * Evict the next block of the LRU. Returns pages moved, or -ENOENT when no
 * block holds anything.
 */
static int dmirror_evict_next(struct dmirror_device *dev, int reason)
{
	struct dmirror_vram *vram = &dev->vram;
	struct dmirror_block *block;
	unsigned long flags;
	unsigned int moved;

	spin_lock_irqsave(&vram->lock, flags);
	block = dmirror_pool_isolate(&vram->pool);
	spin_unlock_irqrestore(&vram->lock, flags);
	if (!block)
		return -ENOENT;

	moved = dmirror_evict_block(dev, block, reason);

	spin_lock_irqsave(&vram->lock, flags);
	dmirror_pool_putback(&vram->pool, block);
	spin_unlock_irqrestore(&vram->lock, flags);
	return moved;
}

/* Every block has had its chance when none of them gave anything. */
static int dmirror_evict_until(struct dmirror_device *dev,
			       struct dmirror_reserve *res, unsigned int want)
{
	unsigned int in_vain = 0;

	while (dmirror_vram_reserve(&dev->vram, res, want, false) < want) {
		int moved;

		if (fatal_signal_pending(current))
			return -EINTR;
		if (dmirror_vram_dead(&dev->vram))
			return -ENODEV;
		moved = dmirror_evict_next(dev, DMIRROR_REASON_EVICT);
		in_vain = moved > 0 ? 0 : in_vain + 1;
		if (moved < 0 || in_vain > dev->vram.pool.nr_blocks) {
			dmirror_vram_reserve(&dev->vram, res, want, true);
			break;
		}
	}
	return 0;
}

static int dmirror_evict_wait(struct dmirror_device *dev,
			      struct dmirror_reserve *res, unsigned int want)
{
	struct dmirror_vram *vram = &dev->vram;
	int ret;

	atomic_inc(&vram->waiters);
	ret = mutex_lock_killable(&vram->evict_lock);
	if (!ret) {
		ret = dmirror_evict_until(dev, res, want);
		mutex_unlock(&vram->evict_lock);
	}
	atomic_dec(&vram->waiters);
	return ret;
}

/* Until the device is no longer short of pages, or somebody else evicts. */
static void dmirror_evict_ahead(struct work_struct *work)
{
	struct dmirror_vram *vram = container_of(work, struct dmirror_vram, ahead);
	struct dmirror_device *dev = container_of(vram, struct dmirror_device, vram);
	unsigned int tries;

	if (!dmirror_vram_get(vram))
		return;
	for (tries = READ_ONCE(vram->pool.lru.nr); tries; tries--) {
		int moved;

		if (READ_ONCE(vram->pool.nr_free) >= vram->high ||
		    atomic_read(&vram->waiters) || dmirror_vram_dead(vram))
			break;
		mutex_lock(&vram->evict_lock);
		moved = dmirror_evict_next(dev, DMIRROR_REASON_AHEAD);
		mutex_unlock(&vram->evict_lock);
		if (moved < 0)
			break;
		dmirror_stat_add(&dev->stats, DMIRROR_STAT_EVICTED_AHEAD, moved);
		cond_resched();
	}
	dmirror_vram_put(vram);
}

/* @waited: there were no pages, and so the device is short of them. */
static void dmirror_evict_wake(struct dmirror_vram *vram, bool waited)
{
	unsigned long until = READ_ONCE(vram->short_until);

	if (waited) {
		until = jiffies + msecs_to_jiffies(DMIRROR_AHEAD_MS);
		WRITE_ONCE(vram->short_until, until);
	}
	if (READ_ONCE(vram->pool.nr_free) < vram->low &&
	    time_before(jiffies, until))
		queue_work(dmirror_evict_wq, &vram->ahead);
}

int dmirror_evict_reserve(struct dmirror_device *dev,
			  struct dmirror_account *account,
			  struct dmirror_reserve *res, unsigned int want,
			  bool ahead)
{
	struct dmirror_vram *vram = &dev->vram;
	bool waited;
	int ret = 0;

	res->account = account;
	res->twice = !account;
	res->nr = 0;
	res->whole = false;
	if (dmirror_inject(dev, DMIRROR_INJECT_RESERVE))
		return 0;
	/* Before anybody is evicted for it. */
	if (account)
		want = dmirror_account_charge(account, vram, want);
	if (!want)
		return 0;
	waited = atomic_read(&vram->waiters) ||
		 dmirror_vram_reserve(vram, res, want, false) < want;
	if (waited)
		ret = dmirror_evict_wait(dev, res, want);
	if (ahead)
		dmirror_evict_wake(vram, waited);
	if (account && res->nr < want)
		dmirror_account_uncharge(account, vram, want - res->nr);
	return ret;
}

unsigned long dmirror_evict_some(struct dmirror_device *dev, unsigned long want,
				 int reason)
{
	struct dmirror_vram *vram = &dev->vram;
	unsigned long sum = 0;
	unsigned int tries;

	if (mutex_lock_killable(&vram->evict_lock))
		return 0;
	tries = READ_ONCE(vram->pool.lru.nr);
	while (sum < want && tries-- && !fatal_signal_pending(current)) {
		int moved = dmirror_evict_next(dev, reason);

		if (moved < 0)
			break;
		sum += moved;
		cond_resched();
	}
	mutex_unlock(&vram->evict_lock);
	return sum;
}

unsigned long dmirror_evict_left(struct dmirror_device *dev)
{
	struct dmirror_vram *vram = &dev->vram;
	unsigned long flags, left;

	spin_lock_irqsave(&vram->lock, flags);
	left = vram->pool.nr_live;
	spin_unlock_irqrestore(&vram->lock, flags);
	return left;
}

void dmirror_evict_teardown(struct dmirror_device *dev)
{
	struct dmirror_vram *vram = &dev->vram;
	unsigned int tries;

	mutex_lock(&vram->evict_lock);
	for (tries = READ_ONCE(vram->pool.lru.nr); tries; tries--) {
		if (dmirror_evict_next(dev, DMIRROR_REASON_TEARDOWN) < 0)
			break;
		cond_resched();
	}
	mutex_unlock(&vram->evict_lock);
}

void dmirror_evict_init(struct dmirror_device *dev)
{
	struct dmirror_vram *vram = &dev->vram;
	unsigned int nr = vram->pool.nr_blocks;

	vram->low = (unsigned long)(nr / DMIRROR_LOW_SHARE) * DMIRROR_BLOCK_PAGES;
	vram->high = (unsigned long)(nr / DMIRROR_HIGH_SHARE) * DMIRROR_BLOCK_PAGES;
	vram->short_until = jiffies;
	INIT_WORK(&vram->ahead, dmirror_evict_ahead);
}

int dmirror_evict_module_init(void)
{
	dmirror_evict_wq = alloc_workqueue(DMIRROR_NAME "_evict", WQ_UNBOUND, 0);
	return dmirror_evict_wq ? 0 : -ENOMEM;
}

void dmirror_evict_module_exit(void)
{
	destroy_workqueue(dmirror_evict_wq);
}
