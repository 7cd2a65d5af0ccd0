/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects of the driver and the order of its locks.
 *
 * Intervals are half open: @start is the first byte, @end the byte after the
 * last. Page counts are in units of PAGE_SIZE.
 *
 * Lock order, outermost first:
 *
 *   client->ops		held for reading by every operation of a file;
 *				operations may sleep for long under it
 *   hints->advise		one setting of advice at a time
 *   vram->evict_lock		one evictor per device; taken before any mm or
 *				page lock because eviction takes both
 *   mm->mmap_lock		for reading, one 2 MiB window at a time
 *   folio locks		taken and dropped by the core's migration code
 *   leaf->lock			taken by the invalidate callback, which runs
 *				inside reclaim and under folio locks; nothing
 *				is allocated and nothing of user space is
 *				touched under it
 *   snap->lock			in place of it, for a look that leaves nothing
 *   queue->lock		spinlock: what jobs are queued
 *   dev->hints_lock		spinlock; which clients have advice; looked at
 *				under RCU
 *   hints->lock		spinlock; taken by an invalidate callback, too
 *   vram->lock			spinlock, interrupts off: pages are freed under
 *				page table locks and, coherent ones, from
 *				softirqs
 *   inject->lock		the same; wherever there is a point
 *
 * engines->lock, a mutex, is taken with none of them held and has queue->lock in
 * it. Nothing is taken in the lock of the table of devices (device.c) and in
 * set->bounce_lock, which is allocated under.
 */
#ifndef DMIRROR_TYPES_H
#define DMIRROR_TYPES_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/hashtable.h>
#include <linux/ioport.h>
#include <linux/kref.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "block.h"
#include "inject.h"
#include "pt.h"
#include "stats.h"

struct dentry;
struct dmirror_account;
struct dmirror_engines;
struct dmirror_queues;
struct dmirror_hints;
struct drm_device;
struct hmm_devmem;

#define DMIRROR_NAME		"hmm_dmirror"

/*
 * What is kept for a client is charged to its memory cgroup, whose limit is nothing the
 * kernel log has to be told about.
 */
#define DMIRROR_GFP_CLIENT	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN)
#define DMIRROR_LEAF_SHIFT	(PAGE_SHIFT + DMIRROR_LEAF_ORDER)
#define DMIRROR_LEAF_SIZE	BIT(DMIRROR_LEAF_SHIFT)

/* How long an operation may be outrun by invalidations before -EBUSY. */
#define DMIRROR_RETRY_MS	1000

/* Likewise for more than one page at a time: fewer may have a better chance. */
#define DMIRROR_RETRY_WINDOW_MS	64

/* And this often at least: time may pass without the operation getting a chance. */
#define DMIRROR_RETRY_MIN	4

/**
 * enum dmirror_kind - what the device memory is made of
 * @DMIRROR_PRIVATE: the CPU cannot reach it; a CPU access migrates it back
 * @DMIRROR_COHERENT: the CPU can reach it
 */
enum dmirror_kind {
	DMIRROR_PRIVATE,
	DMIRROR_COHERENT,
};

/**
 * struct dmirror_vram - the memory of a device
 * @devmem: the region of device pages; may be followed only by who keeps it
 *	there: a user (dmirror_vram_get()) or the owner of a live page
 * @owner: tag of the pages for the core, constant
 * @pfn_first: frame of the first device page, constant
 * @range: coherent only: the physical addresses
 * @kind: private or coherent
 * @nr_pages: capacity
 * @backing: private only: the system page behind each device page
 * @accounts: who is charged for each live page, under @lock
 * @lock: protects @accounts, @pool, @users and @dead
 * @pool: which pages are free, reserved, live
 * @users: tasks inside dmirror_vram_get() and dmirror_vram_put()
 * @dead: set once, when the device goes; there are no new users then, no page
 *	is handed out and, checked under leaf->lock, no entry is installed
 * @evict_lock: held while evicting, and while waiting for one's turn to
 * @evict_src: migration entries of the block being evicted, under @evict_lock
 * @evict_dst: likewise, their destinations
 * @spare: a 2 MiB folio of system memory, for a large folio that must leave when
 *	the system has no such piece left; NULL while used up, under @evict_lock
 * @waiters: tasks that want pages and wait for @evict_lock; while there are
 *	any, nobody takes pages past them
 * @low: with fewer free pages than this the device is short of them; constant
 * @high: with this many it is no more; constant
 * @short_until: in jiffies: until then it is worth while to evict ahead
 * @ahead: evicts ahead
 */
struct dmirror_vram {
	struct hmm_devmem *devmem;
	void *owner;
	unsigned long pfn_first;
	struct resource range;
	enum dmirror_kind kind;
	unsigned long nr_pages;
	struct page **backing;

	spinlock_t lock;		/* @accounts, @pool, @users, @dead */
	struct dmirror_account **accounts;
	struct dmirror_pool pool;
	unsigned int users;
	bool dead;

	struct mutex evict_lock;	/* @evict_src, @evict_dst, @spare */
	unsigned long *evict_src;
	unsigned long *evict_dst;
	struct folio *spare;
	atomic_t waiters;

	unsigned long low;
	unsigned long high;
	unsigned long short_until;
	struct work_struct ahead;
};

/**
 * struct dmirror_device - one simulated GPU
 * @ref: one reference of the driver while bound, one per client, one of the DRM
 *	device
 * @id: number, also the minor of the character device
 * @parent: platform device; valid while bound
 * @vram: its memory
 * @stats: counters
 * @inject: fault injection
 * @cdev: character device
 * @node: device of @cdev
 * @drm: DRM device, valid while bound; NULL on kernels without DRM. It has a
 *	reference to this device, not the other way round
 * @debugfs: directory, NULL when there is none
 * @engines: what does jobs
 * @clients: open files
 * @hints_lock: protects changes of @hints, which are read under RCU
 * @hints: struct dmirror_hints with advice, by address space
 */
struct dmirror_device {
	struct kref ref;
	unsigned int id;
	struct device *parent;
	struct dmirror_vram vram;
	struct dmirror_stats stats;
	struct dmirror_inject inject;
	struct cdev *cdev;
	struct device *node;
	struct drm_device *drm;
	struct dentry *debugfs;
	struct dmirror_engines *engines;
	atomic_t clients;

	spinlock_t hints_lock;		/* changes of @hints */
	DECLARE_HASHTABLE(hints, 6);
};

/**
 * struct dmirror_client - one open file: one device seen by one process
 * @dev: the device, referenced
 * @mm: address space of the opener, kept with mmgrab()
 * @account: what it is charged for device memory
 * @id: unlike that of any other
 * @ops: held for reading by every operation, for writing to drop leaves
 * @leaves: struct dmirror_leaf by address >> DMIRROR_LEAF_SHIFT
 * @nr_leaves: how many
 * @prune_at: with more leaves than this it is worth looking for some to drop;
 *	changes under @ops for writing
 * @pins: who may look at leaves without @ops; while there is one none is dropped
 * @queues: of jobs, or NULL
 * @hints: where its pages should be; NULL for a client of a character device,
 *	for which pages move on request only
 * @fail_alloc: bit 0 set: fail the next destination allocation (once)
 * @stats: its own share of the counters
 */
struct dmirror_client {
	struct dmirror_device *dev;
	struct mm_struct *mm;
	struct dmirror_account *account;
	u64 id;
	struct rw_semaphore ops;
	struct xarray leaves;
	atomic_t nr_leaves;
	int prune_at;
	atomic_t pins;
	struct dmirror_queues *queues;
	struct dmirror_hints *hints;
	unsigned long fail_alloc;
	struct dmirror_file_stats stats;
};

/**
 * dmirror_client_count() - count what a client is the cause of
 * @client: the client
 * @stat: which counter, of the client and of its device
 * @n: by how much
 *
 * Context: any.
 */
static inline void dmirror_client_count(struct dmirror_client *client,
					enum dmirror_stat stat, u64 n)
{
	atomic64_add(n, &client->stats.count[stat]);
	dmirror_stat_add(&client->dev->stats, stat, n);
}

/**
 * struct dmirror_leaf - device translations of 2 MiB of a client
 * @notifier: tells of changes in these 2 MiB only, so that a busy neighbour
 *	does not make device faults start over
 * @lock: protects @pt; also the lock @notifier's sequence is checked under
 * @client: the owner
 * @base: first address
 * @pt: the entries
 *
 * Lives from the first device access until the client goes or the leaf, empty,
 * is pruned.
 */
struct dmirror_leaf {
	struct mmu_interval_notifier notifier;
	struct mutex lock;		/* @pt */
	struct dmirror_client *client;
	unsigned long base;
	struct dmirror_pt pt;
};

/**
 * dmirror_leaf_index() - entry number of an address
 * @addr: the address
 *
 * Return: a number below DMIRROR_LEAF_PAGES.
 */
static inline unsigned int dmirror_leaf_index(unsigned long addr)
{
	return (addr >> PAGE_SHIFT) & (DMIRROR_LEAF_PAGES - 1);
}

/**
 * dmirror_leaf_count() - entries of a window that lies in one leaf
 * @start: first byte
 * @end: byte after the last
 *
 * Return: pages in the window.
 */
static inline unsigned int dmirror_leaf_count(unsigned long start,
					      unsigned long end)
{
	return (end - start) >> PAGE_SHIFT;
}

#endif /* DMIRROR_TYPES_H */
