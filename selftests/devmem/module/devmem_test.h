/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of devmem_test.ko share. */
#ifndef DEVMEM_TEST_H
#define DEVMEM_TEST_H

#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>

#include "hmm_devmem.h"

#define DT_REGIONS	4
#define DT_HELD		8

struct dt_device;

/**
 * struct dt_region - one region and its idle pages
 * @owner: the device; NULL while the slot is empty
 * @devmem: the region
 * @res: the addresses, for CPU-reachable memory
 * @lock: a leaf, taken by the free callback
 * @busy: one bit a page, set while the page is out
 */
struct dt_region {
	struct dt_device *owner;
	struct hmm_devmem *devmem;
	struct resource res;
	spinlock_t lock;	/* protects @busy */
	unsigned long *busy;
};

/**
 * struct dt_device - one device, kept by its files beyond unbinding
 * @ref: the bound driver and every open file
 * @misc: /dev/devmem_testN
 * @name: its name
 * @dev: the platform device
 * @lock: commands hold it for reading; removal for writing, to set @dead, and
 *	so does whatever changes a slot
 * @dead: the driver is unbound or about to be
 * @regions: the slots
 * @held_lock: does not nest in @lock, so that a page can be put while removal
 *	waits for it
 * @held: pages taken by the "get" command
 * @moved: pages the last "migrate" moved
 * @free_calls: calls of the free operation
 * @fault_calls: calls of the fault operation
 * @evict_calls: calls of the evict operation
 * @dying_get: what hmm_devmem_page_get() said in the last evict operation
 * @fault_result: returned by the next fault operation, once, if not 0
 */
struct dt_device {
	struct kref ref;
	struct miscdevice misc;
	char name[24];
	struct device *dev;
	struct rw_semaphore lock;
	bool dead;
	struct dt_region regions[DT_REGIONS];
	struct mutex held_lock;	/* protects @held */
	struct page *held[DT_HELD];
	unsigned long moved;
	atomic_long_t free_calls;
	atomic_long_t fault_calls;
	atomic_long_t evict_calls;
	long dying_get;
	unsigned int fault_result;
};

/* memory.c: @device may be NULL to see what hmm_devmem says to it */
int dt_add_private(struct dt_device *dt, unsigned long size);
int dt_add_resource(struct dt_device *dt, u64 start, u64 size,
		    unsigned long desc);
int dt_add_bad(struct dt_device *dt, const char *kind);
void dt_forget(struct dt_region *region);
long dt_migrate(struct dt_region *region, unsigned long addr,
		unsigned long npages);
struct page *dt_page_get(struct dt_region *region, unsigned long offset,
			 unsigned int order);

/* command.c */
extern const struct file_operations dt_fops;

/* main.c */
void dt_release(struct kref *ref);

#endif /* DEVMEM_TEST_H */
