/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device-exclusive access: the CPU loses a page until it asks for it back.
 */
#ifndef DMIRROR_EXCLUSIVE_H
#define DMIRROR_EXCLUSIVE_H

#include "types.h"

/**
 * dmirror_exclusive_page() - take one page for the device alone
 * @client: the client, inside an operation
 * @leaf: the leaf of @addr
 * @addr: address of the page
 * @flags: DMIRROR_FAULT_NOWAIT, DMIRROR_FAULT_STAY
 *
 * The page is faulted in writable and, if it was on a device, brought home.
 * The first CPU access gives it back; the device then faults again.
 *
 * Context: process context, no mmap lock.
 * Return: 0; -EFAULT for a hole or a page that cannot be written; -EPERM,
 * -EINVAL or -EOPNOTSUPP for memory that is not private and anonymous, as the
 * kernel says it; -EBUSY when outrun by other users of the page; -EINTR when
 * being killed; -ENOMEM; -ENODEV.
 */
int dmirror_exclusive_page(struct dmirror_client *client,
			   struct dmirror_leaf *leaf, unsigned long addr,
			   unsigned int flags);

/**
 * dmirror_exclusive_count() - how many pages are still exclusive
 * @client: the client, inside an operation
 * @start: first byte
 * @end: byte after the last, in the same leaf
 *
 * Return: the number of pages.
 */
unsigned int dmirror_exclusive_count(struct dmirror_client *client,
				     unsigned long start, unsigned long end);

/**
 * dmirror_exclusive_drop() - give pages back to the CPU
 * @client: the client, inside an operation
 * @start: first byte
 * @end: byte after the last, in the same leaf
 * @pages: the number of pages given back is added to it, on failure too
 *
 * The device can still use them, like any other page.
 *
 * Context: process context, no mmap lock.
 * Return: 0; -EBUSY when outrun by invalidations; -EINTR when being killed;
 * -ENOMEM; -ENODEV.
 */
int dmirror_exclusive_drop(struct dmirror_client *client, unsigned long start,
			   unsigned long end, u64 *pages);

#endif /* DMIRROR_EXCLUSIVE_H */
