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
 * dmirror_evict_reserve() - set device pages aside, evicting others if need be
 * @dev: the device, its memory held with dmirror_vram_get()
 * @account: who is charged for those that are used; referenced until they are
 *	given back
 * @res: (out) the pages; to be given back with dmirror_vram_unreserve()
 * @want: how many, at most DMIRROR_BLOCK_PAGES
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
			  struct dmirror_reserve *res, unsigned int want);

/**
 * dmirror_evict_all() - empty the device memory
 * @dev: the device, its memory held with dmirror_vram_get() or in teardown
 * @reason: enum dmirror_reason, for the trace
 *
 * One pass over what is there. Pages that somebody holds on to stay.
 *
 * Context: process context; no mmap lock, no folio lock.
 * Return: pages with data still in device memory.
 */
unsigned long dmirror_evict_all(struct dmirror_device *dev, int reason);

#endif /* DMIRROR_EVICT_H */
