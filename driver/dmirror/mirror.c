// SPDX-License-Identifier: GPL-2.0
/*
 * The mirror of a process.
 *
 * Owns the leaves: their life, their notifiers and when an entry may be
 * installed. An entry is valid only between two invalidations of its address;
 * the callback always clears what it is told of, also for migrations of our
 * own, so a device access can never overlap the copy of a page that moves.
 * The one event that is ignored is the client's own taking of a page for
 * exclusive access, which happens before the entry is installed.
 *
 * Does not look at pages and does not fault; fault.c fills the leaves.
 *
 * Locks: client->ops, leaf->lock.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "hints.h"
#include "mirror.h"
#include "trace.h"
#include "vram.h"

/*
 * Leaves a client may have before unused ones are dropped, 2 GiB worth. It is
 * a cache: the device faults again on what was dropped.
 */
#define DMIRROR_MAX_LEAVES	1024

/*
 * Leaves a client may have at all: those with exclusive entries are never
 * dropped, and none is while a command waits for a userfaultfd handler.
 */
#define DMIRROR_LEAVES_LIMIT	(8 * DMIRROR_MAX_LEAVES)

/* To drop leaves: how often, and how long each time, others are let come out. */
#define DMIRROR_ROOM_TRIES	20
#define DMIRROR_ROOM_US		100

/* How long to try for the mmap lock before somebody else gets his turn. */
#define DMIRROR_LOCK_US		2000

static struct kmem_cache *dmirror_leaf_cache;

/* Lock a leaf to clear what it is told of, without waiting if that is not allowed. */
static bool dmirror_leaf_lock_for(struct dmirror_leaf *leaf,
				  const struct mmu_notifier_range *range)
{
	struct dmirror_client *client = leaf->client;

	if (mmu_notifier_range_blockable(range)) {
		dmirror_inject(client->dev, DMIRROR_INJECT_INVALIDATE);
		mutex_lock(&leaf->lock);
		return true;
	}
	dmirror_client_count(client, DMIRROR_STAT_INVALIDATIONS_NONBLOCK, 1);
	if (mutex_trylock(&leaf->lock))
		return true;
	dmirror_client_count(client, DMIRROR_STAT_INVALIDATIONS_NONBLOCK_FAILED, 1);
	return false;
}

static bool dmirror_leaf_invalidate(struct mmu_interval_notifier *notifier,
				    const struct mmu_notifier_range *range,
				    unsigned long cur_seq)
{
	struct dmirror_leaf *leaf =
		container_of(notifier, struct dmirror_leaf, notifier);
	struct dmirror_device *dev = leaf->client->dev;
	unsigned long start = max(range->start, leaf->base);
	unsigned long last = min(range->end - 1,
				 leaf->base + DMIRROR_LEAF_SIZE - 1);
	unsigned int n;

	if (range->event == MMU_NOTIFY_EXCLUSIVE && range->owner == leaf->client)
		return true;
	if (dmirror_sabotage(dev, DMIRROR_SABOTAGE_INVALIDATE))
		return true;

	trace_dmirror_invalidate_begin(dev->id, start, last + 1,
				       mmu_notifier_range_blockable(range));
	if (!dmirror_leaf_lock_for(leaf, range)) {
		trace_dmirror_invalidate_end(dev->id, start, last + 1, -EAGAIN);
		return false;
	}

	mmu_interval_set_seq(notifier, cur_seq);
	n = dmirror_pt_clear(&leaf->pt, dmirror_leaf_index(start),
			     dmirror_leaf_index(last) + 1);
	mutex_unlock(&leaf->lock);

	dmirror_client_count(leaf->client, DMIRROR_STAT_INVALIDATIONS, 1);
	dmirror_client_count(leaf->client, DMIRROR_STAT_INVALIDATED_PAGES, n);
	trace_dmirror_invalidate_end(dev->id, start, last + 1, n);
	return true;
}

static const struct mmu_interval_notifier_ops dmirror_leaf_ops = {
	.invalidate = dmirror_leaf_invalidate,
};

/* In one place, so that all leaves have one lock class. */
static void dmirror_leaf_lock_init(struct dmirror_leaf *leaf)
{
	mutex_init(&leaf->lock);
}

/* Of a notifier that nobody reads the sequence of. */
static bool dmirror_first_invalidate(struct mmu_interval_notifier *notifier,
				     const struct mmu_notifier_range *range,
				     unsigned long cur_seq)
{
	mmu_interval_set_seq(notifier, cur_seq);
	return true;
}

static const struct mmu_interval_notifier_ops dmirror_first_ops = {
	.invalidate = dmirror_first_invalidate,
};

static struct dmirror_leaf *dmirror_leaf_create(struct dmirror_client *client,
						unsigned long base)
{
	struct dmirror_leaf *leaf = NULL;
	int ret = -ENOMEM;

	if (!dmirror_inject(client->dev, DMIRROR_INJECT_LEAF))
		leaf = kmem_cache_alloc(dmirror_leaf_cache, GFP_KERNEL);
	if (!leaf)
		return ERR_PTR(-ENOMEM);

	dmirror_leaf_lock_init(leaf);
	leaf->client = client;
	leaf->base = base;
	dmirror_pt_init(&leaf->pt);

	if (!dmirror_inject(client->dev, DMIRROR_INJECT_NOTIFIER))
		ret = mmu_interval_notifier_insert(&leaf->notifier, client->mm,
						   base, DMIRROR_LEAF_SIZE,
						   &dmirror_leaf_ops);
	if (ret) {
		kmem_cache_free(dmirror_leaf_cache, leaf);
		return ERR_PTR(ret);
	}
	return leaf;
}

static void dmirror_leaf_destroy(struct dmirror_leaf *leaf)
{
	mmu_interval_notifier_remove(&leaf->notifier);
	mutex_destroy(&leaf->lock);
	kmem_cache_free(dmirror_leaf_cache, leaf);
}

struct dmirror_leaf *dmirror_leaf_find(struct dmirror_client *client,
				       unsigned long addr)
{
	return xa_load(&client->leaves, addr >> DMIRROR_LEAF_SHIFT);
}

unsigned long dmirror_leaf_next(struct dmirror_client *client, unsigned long addr)
{
	unsigned long index = addr >> DMIRROR_LEAF_SHIFT;

	if (!xa_find(&client->leaves, &index, ULONG_MAX, XA_PRESENT))
		return ULONG_MAX;
	return max(addr, index << DMIRROR_LEAF_SHIFT);
}

struct dmirror_leaf *dmirror_leaf_get(struct dmirror_client *client,
				      unsigned long addr)
{
	struct dmirror_leaf *leaf = dmirror_leaf_find(client, addr);
	struct dmirror_leaf *old;

	if (leaf)
		return leaf;
	if (atomic_read(&client->nr_leaves) >= DMIRROR_LEAVES_LIMIT)
		return ERR_PTR(-ENOMEM);

	leaf = dmirror_leaf_create(client, ALIGN_DOWN(addr, DMIRROR_LEAF_SIZE));
	if (IS_ERR(leaf))
		return leaf;

	if (dmirror_inject(client->dev, DMIRROR_INJECT_TABLE)) {
		dmirror_leaf_destroy(leaf);
		return ERR_PTR(-ENOMEM);
	}
	old = xa_cmpxchg(&client->leaves, addr >> DMIRROR_LEAF_SHIFT, NULL, leaf,
			 GFP_KERNEL_ACCOUNT);
	if (old) {
		dmirror_leaf_destroy(leaf);
		return xa_is_err(old) ? ERR_PTR(xa_err(old)) : old;
	}
	atomic_inc(&client->nr_leaves);
	return leaf;
}

static void dmirror_leaf_unmap(struct dmirror_leaf *leaf, unsigned long start,
			       unsigned long end)
{
	const u64 keep = DMIRROR_PTE_VRAM | DMIRROR_PTE_EXCLUSIVE;
	unsigned int i = dmirror_leaf_index(start);
	unsigned int last = dmirror_leaf_index(end - 1);

	mutex_lock(&leaf->lock);
	for (; i <= last; i++)
		if (!(leaf->pt.pte[i] & keep))
			dmirror_pt_set(&leaf->pt, i, 0);
	mutex_unlock(&leaf->lock);
}

void dmirror_mirror_unmap(struct dmirror_client *client, unsigned long start,
			  unsigned long end)
{
	struct dmirror_leaf *leaf;
	unsigned long index;

	xa_for_each_range(&client->leaves, index, leaf, start >> DMIRROR_LEAF_SHIFT,
			  (end - 1) >> DMIRROR_LEAF_SHIFT) {
		dmirror_leaf_unmap(leaf, max(start, leaf->base),
				   min(end, leaf->base + DMIRROR_LEAF_SIZE));
		cond_resched();
	}
}

unsigned long dmirror_leaf_read_begin(struct dmirror_leaf *leaf)
{
	return mmu_interval_read_begin(&leaf->notifier);
}

int dmirror_leaf_lock_valid(struct dmirror_leaf *leaf, unsigned long seq)
{
	struct dmirror_device *dev = leaf->client->dev;
	int ret = 0;

	if (dmirror_inject(dev, DMIRROR_INJECT_INSTALL))
		return -EAGAIN;
	mutex_lock(&leaf->lock);
	/*
	 * Under the lock, so that an entry installed before the device died is
	 * seen, and cleared, by the eviction that follows its death.
	 */
	if (dmirror_vram_dead(&dev->vram))
		ret = -ENODEV;
	else if (mmu_interval_read_retry(&leaf->notifier, seq) &&
		 !dmirror_sabotage(dev, DMIRROR_SABOTAGE_RETRY))
		ret = -EAGAIN;
	if (ret)
		mutex_unlock(&leaf->lock);
	return ret;
}

/*
 * Drop leaves: empty ones, or @all. One with exclusive entries stays, it is
 * the only record of them.
 */
static void dmirror_mirror_drop(struct dmirror_client *client, bool all)
{
	struct dmirror_leaf *leaf;
	unsigned long index;

	lockdep_assert_held_write(&client->ops);

	xa_for_each(&client->leaves, index, leaf) {
		if (READ_ONCE(leaf->pt.nr_exclusive) ||
		    (!all && READ_ONCE(leaf->pt.nr_valid)))
			continue;
		xa_erase(&client->leaves, index);
		atomic_dec(&client->nr_leaves);
		dmirror_leaf_destroy(leaf);
		dmirror_client_count(client, DMIRROR_STAT_LEAVES_PRUNED, 1);
	}
}

static bool dmirror_mirror_crowded(struct dmirror_client *client)
{
	return atomic_read(&client->nr_leaves) > READ_ONCE(client->prune_at);
}

static void dmirror_mirror_prune(struct dmirror_client *client)
{
	int left;

	if (!dmirror_mirror_crowded(client))
		return;
	/*
	 * Never wait: an operation of this client may be blocked on a fault
	 * that only another operation of it can resolve.
	 */
	if (!down_write_trylock(&client->ops))
		return;
	/* Pinning is an operation, so it cannot happen between here and the end. */
	if (atomic_read(&client->pins)) {
		up_write(&client->ops);
		return;
	}
	dmirror_mirror_drop(client, false);
	if (atomic_read(&client->nr_leaves) > DMIRROR_MAX_LEAVES / 2)
		dmirror_mirror_drop(client, true);
	/* What is left cannot be dropped: do not look at it again too soon. */
	left = atomic_read(&client->nr_leaves);
	WRITE_ONCE(client->prune_at, min(left + DMIRROR_MAX_LEAVES,
					 DMIRROR_LEAVES_LIMIT - 1));
	up_write(&client->ops);
}

/*
 * Of several queues at work one is in a slice nearly all the time. With half of what
 * leaves there may be, those who come by stay out until one of them has pruned, for a
 * moment: who is inside may wait for a userfaultfd handler.
 */
static void dmirror_mirror_make_room(struct dmirror_client *client)
{
	int i;

	dmirror_mirror_prune(client);
	for (i = 0; i < DMIRROR_ROOM_TRIES; i++) {
		if (!dmirror_mirror_crowded(client) ||
		    atomic_read(&client->nr_leaves) <= DMIRROR_LEAVES_LIMIT / 2)
			return;
		usleep_range(DMIRROR_ROOM_US, 2 * DMIRROR_ROOM_US);
		dmirror_mirror_prune(client);
	}
}

int dmirror_mm_lock(struct mm_struct *mm)
{
	ktime_t end;

	/* Nearly always; looking at a clock can cost more than the lock. */
	if (mmap_read_trylock(mm))
		return 0;
	end = ktime_add_us(ktime_get(), DMIRROR_LOCK_US);
	while (!mmap_read_trylock(mm)) {
		if (ktime_after(ktime_get(), end))
			return -EINPROGRESS;
		usleep_range(50, 200);
	}
	return 0;
}

int dmirror_mm_wait(struct mm_struct *mm)
{
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	mmap_read_unlock(mm);
	return 0;
}

int dmirror_mirror_enter(struct dmirror_client *client)
{
	if (dmirror_vram_dead(&client->dev->vram))
		return -ENODEV;
	/*
	 * Several queues whose slices overlap would keep the memory of a process
	 * that has gone, and go on with its jobs, for as long as somebody else
	 * has the file open. And where the OOM reaper is at work they would hold
	 * entries whenever it comes for them: it must not wait, and gives up.
	 */
	if (compat_mm_orphaned(client->mm) || compat_mm_unstable(client->mm) ||
	    !mmget_not_zero(client->mm))
		return -ESRCH;
	dmirror_mirror_make_room(client);
	if (down_read_killable(&client->ops)) {
		mmput_async(client->mm);
		return -EINTR;
	}
	return 0;
}

void dmirror_mirror_exit(struct dmirror_client *client)
{
	up_read(&client->ops);
	dmirror_mirror_prune(client);
	/* The last one waits for what the process has begun, and so for others. */
	mmput_async(client->mm);
}

int dmirror_mirror_relax(struct dmirror_client *client)
{
	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	if (dmirror_vram_dead(&client->dev->vram))
		return -ENODEV;
	if (dmirror_mirror_crowded(client)) {
		up_read(&client->ops);
		dmirror_mirror_make_room(client);
		down_read(&client->ops);
	}
	return 0;
}

int dmirror_mirror_pin(struct dmirror_client *client)
{
	lockdep_assert_held_read(&client->ops);

	if (atomic_read(&client->nr_leaves) > 2 * READ_ONCE(client->prune_at))
		return -EBUSY;
	atomic_inc(&client->pins);
	return 0;
}

void dmirror_mirror_unpin(struct dmirror_client *client)
{
	atomic_dec(&client->pins);
}

/*
 * The first notifier of a process takes all its locks and gives up on any
 * signal. Have that behind us before the first operation.
 */
static int dmirror_mirror_subscribe(struct dmirror_device *dev,
				    struct mm_struct *mm)
{
	struct mmu_interval_notifier notifier = { };
	int ret;

	if (dmirror_inject(dev, DMIRROR_INJECT_NOTIFIER))
		return -ENOMEM;
	ret = mmu_interval_notifier_insert(&notifier, mm, 0, PAGE_SIZE,
					   &dmirror_first_ops);
	if (!ret)
		mmu_interval_notifier_remove(&notifier);
	return ret;
}

int dmirror_mirror_init(struct dmirror_client *client)
{
	int ret = dmirror_mirror_subscribe(client->dev, current->mm);

	if (ret)
		return ret;
	init_rwsem(&client->ops);
	xa_init(&client->leaves);
	client->prune_at = DMIRROR_MAX_LEAVES;
	client->mm = current->mm;
	mmgrab(client->mm);
	return 0;
}

void dmirror_mirror_fini(struct dmirror_client *client)
{
	struct dmirror_leaf *leaf;
	unsigned long index;

	xa_for_each(&client->leaves, index, leaf)
		dmirror_leaf_destroy(leaf);
	xa_destroy(&client->leaves);
	mmdrop(client->mm);
}

/*
 * Nobody reads the sequence of this notifier either. Of all events only those
 * tell of addresses that cease to be: munmap() and what does the same, and for
 * the addresses pages are moved away from mremap().
 */
static bool dmirror_watch_invalidate(struct mmu_interval_notifier *notifier,
				     const struct mmu_notifier_range *range,
				     unsigned long cur_seq)
{
	mmu_interval_set_seq(notifier, cur_seq);
	if (range->event == MMU_NOTIFY_UNMAP)
		dmirror_hints_forget(container_of(notifier, struct dmirror_hints,
						  notifier),
				     range->start, range->end);
	return true;
}

static const struct mmu_interval_notifier_ops dmirror_watch_ops = {
	.invalidate = dmirror_watch_invalidate,
};

int dmirror_mirror_watch(struct dmirror_client *client)
{
	return mmu_interval_notifier_insert(&client->hints->notifier, client->mm,
					    0, ULONG_MAX, &dmirror_watch_ops);
}

void dmirror_mirror_unwatch(struct dmirror_client *client)
{
	mmu_interval_notifier_remove(&client->hints->notifier);
}

/*
 * Invalidations run inside reclaim: tell lockdep at once that leaf->lock does,
 * so that an allocation under it is found on the first run and not in the first
 * shortage of memory.
 */
static int dmirror_mirror_prime_lockdep(void)
{
	struct dmirror_leaf *leaf;

	if (!IS_ENABLED(CONFIG_LOCKDEP))
		return 0;
	leaf = kmem_cache_alloc(dmirror_leaf_cache, GFP_KERNEL);
	if (!leaf)
		return -ENOMEM;
	dmirror_leaf_lock_init(leaf);
	fs_reclaim_acquire(GFP_KERNEL);
	mutex_lock(&leaf->lock);
	mutex_unlock(&leaf->lock);
	fs_reclaim_release(GFP_KERNEL);
	mutex_destroy(&leaf->lock);
	kmem_cache_free(dmirror_leaf_cache, leaf);
	return 0;
}

int dmirror_mirror_module_init(void)
{
	int ret;

	dmirror_leaf_cache = KMEM_CACHE(dmirror_leaf, SLAB_ACCOUNT);
	if (!dmirror_leaf_cache)
		return -ENOMEM;
	ret = dmirror_mirror_prime_lockdep();
	if (ret)
		kmem_cache_destroy(dmirror_leaf_cache);
	return ret;
}

void dmirror_mirror_module_exit(void)
{
	kmem_cache_destroy(dmirror_leaf_cache);
}
