/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mirror: device translations of a process and the notifiers that keep
 * them true.
 */
#ifndef DMIRROR_MIRROR_H
#define DMIRROR_MIRROR_H

#include "types.h"

struct hmm_range;

/**
 * dmirror_mirror_module_init() - create what all mirrors share
 *
 * Return: 0 or -ENOMEM.
 */
int dmirror_mirror_module_init(void);

/**
 * dmirror_mirror_module_exit() - free what all mirrors share
 */
void dmirror_mirror_module_exit(void);

/**
 * dmirror_mirror_init() - start mirroring the current process
 * @client: zeroed, @client->dev set
 *
 * Context: process context with an mm.
 * Return: 0; -EINTR when a signal came first; -ENOMEM.
 */
int dmirror_mirror_init(struct dmirror_client *client);

/**
 * dmirror_mirror_fini() - stop mirroring
 * @client: the client; nobody else uses it any more
 *
 * Pages stay where they are: device memory belongs to the device.
 *
 * Context: process context; waits for invalidations in flight.
 */
void dmirror_mirror_fini(struct dmirror_client *client);

/**
 * dmirror_mm_lock() - take the mmap lock for reading, if that takes no longer than a moment
 * @mm: address space
 *
 * Who has the lock may wait for a page that another process provides. So nobody
 * waits for the lock who has something others need: a worker, or the memory of a
 * device.
 *
 * Return: 0, or -EINPROGRESS: let go of that, and try again.
 */
int dmirror_mm_lock(struct mm_struct *mm);

/**
 * dmirror_mm_wait() - wait until there is a chance that dmirror_mm_lock() succeeds
 * @mm: address space
 *
 * Return: 0, or -EINTR when being killed.
 */
int dmirror_mm_wait(struct mm_struct *mm);

/**
 * dmirror_mirror_enter() - begin an operation on the mirrored process
 * @client: the client
 *
 * Waits some milliseconds at most for others, where translations have to be dropped.
 *
 * Return: 0; -ENODEV when the device has gone; -ESRCH when the process has;
 * -EINTR when the caller is being killed.
 */
int dmirror_mirror_enter(struct dmirror_client *client);

/**
 * dmirror_mirror_exit() - end of an operation begun with dmirror_mirror_enter()
 * @client: the client
 */
void dmirror_mirror_exit(struct dmirror_client *client);

/**
 * dmirror_mirror_relax() - between two windows of a long operation
 * @client: the client; no leaf pointer is held across this call
 *
 * Drops translations when there are too many of them, for which it may wait as
 * dmirror_mirror_enter() does, and lets others run.
 *
 * Return: 0; -EINTR when the caller is being killed; -ENODEV when the device
 * has gone.
 */
int dmirror_mirror_relax(struct dmirror_client *client);

/**
 * dmirror_mirror_pin() - keep all leaves for a while
 * @client: the client, inside an operation
 *
 * Until dmirror_mirror_unpin() leaves may be looked up outside of operations and
 * used without waiting for those who drop leaves.
 *
 * Return: 0, or -EBUSY when there are too many leaves.
 */
int dmirror_mirror_pin(struct dmirror_client *client);

/**
 * dmirror_mirror_unpin() - end of dmirror_mirror_pin()
 * @client: the client
 *
 * Context: any.
 */
void dmirror_mirror_unpin(struct dmirror_client *client);

/**
 * dmirror_leaf_find() - the leaf of an address, if there is one
 * @client: the client, inside an operation or pinned
 * @addr: any address
 *
 * Return: the leaf, valid until the operation ends or relaxes or the client is
 * unpinned, or NULL.
 */
struct dmirror_leaf *dmirror_leaf_find(struct dmirror_client *client,
				       unsigned long addr);

/**
 * dmirror_leaf_next() - the first address, from one on, that has a leaf
 * @client: the client, inside an operation
 * @addr: a user address
 *
 * Return: the address, or ULONG_MAX if there is none.
 */
unsigned long dmirror_leaf_next(struct dmirror_client *client, unsigned long addr);

/**
 * dmirror_leaf_get() - the leaf of an address, created if necessary
 * @client: the client, inside an operation
 * @addr: a user address
 *
 * Context: process context, no mmap lock held.
 * Return: the leaf, valid until the operation ends or relaxes, or an ERR_PTR:
 * -ENOMEM, also when there are too many leaves that cannot be dropped, or what
 * mmu_interval_notifier_insert() returned.
 */
struct dmirror_leaf *dmirror_leaf_get(struct dmirror_client *client,
				      unsigned long addr);

/**
 * dmirror_mirror_unmap() - have the device fault again on memory of the system
 * @client: the client, inside an operation
 * @start: first byte
 * @end: byte after the last
 *
 * Entries for device memory and exclusive ones stay.
 *
 * Context: process context; takes leaf locks.
 */
void dmirror_mirror_unmap(struct dmirror_client *client, unsigned long start,
			  unsigned long end);

/**
 * dmirror_leaf_read_begin() - begin a look at the process's page table
 * @leaf: the leaf
 *
 * Context: process context, no lock that the invalidate callback needs.
 * Return: a sequence number for dmirror_leaf_lock_valid().
 */
unsigned long dmirror_leaf_read_begin(struct dmirror_leaf *leaf);

/**
 * dmirror_leaf_lock_valid() - lock a leaf to install what was looked up
 * @leaf: the leaf
 * @seq: from dmirror_leaf_read_begin() or hmm_range.notifier_seq
 *
 * Return: 0 with @leaf->lock held; -EAGAIN when the page table has changed
 * since; -ENODEV when the device has gone.
 */
int dmirror_leaf_lock_valid(struct dmirror_leaf *leaf, unsigned long seq);

/**
 * dmirror_mirror_watch() - begin to note what the process unmaps
 * @client: a client with hints
 *
 * Context: process context, no mmap lock held.
 * Return: 0, or what mmu_interval_notifier_insert() returned.
 */
int dmirror_mirror_watch(struct dmirror_client *client);

/**
 * dmirror_mirror_unwatch() - undo dmirror_mirror_watch()
 * @client: the client
 *
 * Context: process context; waits for invalidations in flight.
 */
void dmirror_mirror_unwatch(struct dmirror_client *client);

#endif /* DMIRROR_MIRROR_H */
