/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device faults: translations for addresses the device wants and has not got.
 */
#ifndef DMIRROR_FAULT_H
#define DMIRROR_FAULT_H

#include <linux/bits.h>

#include "types.h"

/*
 * How to fault. WRITE: for writing, not only for reading. NOWAIT: an access that
 * could wait for another process is -EFAULT: one that a userfaultfd handler would
 * have to serve, and any to a mapping of a FUSE file; and where others hold the mmap
 * lock, that is -EINPROGRESS. STAY: use the pages where they are; nothing moves to the
 * device for it.
 */
#define DMIRROR_FAULT_WRITE	BIT(0)
#define DMIRROR_FAULT_NOWAIT	BIT(1)
#define DMIRROR_FAULT_STAY	BIT(2)

/**
 * dmirror_fault_window() - make a window accessible to the device
 * @client: the client, inside an operation
 * @leaf: the leaf the window lies in
 * @start: first byte
 * @end: byte after the last
 * @flags: DMIRROR_FAULT_*
 *
 * Faults in what the process has not touched yet, breaks copy-on-write, takes
 * pages back from other devices, and moves what advice wants in device memory.
 * All of the window or an error; entries may be gone again by the time this
 * returns.
 *
 * Context: process context, no mmap lock; waits for a userfaultfd handler unless
 * told not to.
 * Return: 0; -EFAULT for a hole or a page that cannot be read, by the kernel
 * included (memfd_secret()); -EPERM for a write where the process may not write;
 * -EBUSY when outrun by invalidations, of a window sooner than of one page; -EINTR
 * when being killed; -EINPROGRESS with NOWAIT, to be tried again; -ENOMEM; -ENODEV.
 */
int dmirror_fault_window(struct dmirror_client *client, struct dmirror_leaf *leaf,
			 unsigned long start, unsigned long end, unsigned int flags);

/**
 * dmirror_fault_populate() - take over translations that exist already
 * @client: the client, inside an operation
 * @leaf: the leaf the window lies in
 * @start: first byte
 * @end: byte after the last
 * @flags: DMIRROR_FAULT_NOWAIT or 0
 *
 * As dmirror_fault_window() for reading, but nothing is faulted in: what the
 * process has not got the device has not got either.
 *
 * Context: process context, no mmap lock.
 * Return: 0, -EBUSY, -EINTR, -EINPROGRESS, -ENOMEM, -ENODEV as
 * dmirror_fault_window().
 */
int dmirror_fault_populate(struct dmirror_client *client,
			   struct dmirror_leaf *leaf, unsigned long start,
			   unsigned long end, unsigned int flags);

/**
 * dmirror_fault_find() - which pages are in the memory of some device?
 * @leaf: the leaf the window lies in
 * @start: first byte
 * @end: byte after the last
 * @other: the device, its memory held with dmirror_vram_get()
 * @pages: (out) bit n: page n of the window is
 *
 * Nothing is entered and nothing faulted in.
 *
 * Context: process context, inside an operation, no mmap lock.
 * Return: 0, -EBUSY, -EINTR, -EINPROGRESS, -ENOMEM, -ENODEV as
 * dmirror_fault_window(), as if told not to wait.
 */
int dmirror_fault_find(struct dmirror_leaf *leaf, unsigned long start,
		       unsigned long end, const struct dmirror_device *other,
		       unsigned long *pages);

/**
 * dmirror_fault_served() - is this memory that a process provides?
 * @mm: address space
 * @start: first byte
 * @end: byte after the last
 *
 * A FUSE server may take for ever, and the fault that waits for it holds the mmap
 * lock and cannot be killed.
 *
 * Context: mmap lock held.
 * Return: true if some of it is mapped from a file of FUSE.
 */
bool dmirror_fault_served(struct mm_struct *mm, unsigned long start,
			  unsigned long end);

#endif /* DMIRROR_FAULT_H */
