/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Eviction: device memory back to system memory, by what is in it and not by
 * whose it is.
 */
#ifndef DMIRROR_EVICT_H
#define DMIRROR_EVICT_H

#include "types.h"

struct dmirror_account;
struct dmirror_reserve;

/**
 * dmirror_evict_module_init() - get what evicting ahead needs
 *
 * Return: 0 or -ENOMEM.
 */
int dmirror_evict_module_init(void);

/**
 * dmirror_evict_module_exit() - undo dmirror_evict_module_init()
 */
void dmirror_evict_module_exit(void);

/**
 * dmirror_evict_init() - set the watermarks of a device
 * @dev: the device, with memory, not in use yet
 */
void dmirror_evict_init(struct dmirror_device *dev);

/**
 * dmirror_evict_reserve() - set device pages aside, evicting others if need be
 * @dev: the device, its memory held with dmirror_vram_get()
 * @account: who is charged for those that are used; referenced until they are
 *	given back. NULL for pages that come from another device: who is charged
 *	there is charged here, with dmirror_reserve.account set for each
 * @res: (out) the pages; to be given back with dmirror_vram_unreserve()
 * @want: how many, at most DMIRROR_BLOCK_PAGES
 * @ahead: if the device turns out to be short of pages, a worker may evict ahead
 *	of the next who wants some
 *
 * No more is set aside, and nobody evicted for more, than the account has room
 * for. Who had to wait is served before who comes later. When no more can be
 * evicted, whatever is there is set aside, be it nothing.
 *
 * Context: process context; no mmap lock, no folio lock.
 * Return: 0; with nothing set aside -EINTR when the caller is being killed,
 * -ENODEV when the device has gone.
 */
int dmirror_evict_reserve(struct dmirror_device *dev,
			  struct dmirror_account *account,
			  struct dmirror_reserve *res, unsigned int want,
			  bool ahead);

/**
 * dmirror_evict_some() - evict by LRU
 * @dev: the device, its memory held with dmirror_vram_get()
 * @want: how many pages, at least; it goes by whole blocks
 * @reason: enum dmirror_reason, for the trace
 *
 * One pass over what is there, at most.
 *
 * Context: process context; no mmap lock, no folio lock.
 * Return: pages that left; fewer than @want when there were no more or the caller
 * is being killed.
 */
unsigned long dmirror_evict_some(struct dmirror_device *dev, unsigned long want,
				 int reason);

/**
 * dmirror_evict_left() - how much there would be to evict
 * @dev: the device
 *
 * Return: pages with data in device memory.
 */
unsigned long dmirror_evict_left(struct dmirror_device *dev);

/**
 * dmirror_evict_teardown() - empty the device memory of a device that goes
 * @dev: the device, dead
 *
 * One pass over what is there. Pages that somebody holds on to stay.
 *
 * Context: process context; no mmap lock, no folio lock.
 */
void dmirror_evict_teardown(struct dmirror_device *dev);

#endif /* DMIRROR_EVICT_H */
