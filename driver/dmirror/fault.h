/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device faults: translations for addresses the device wants and has not got.
 */
#ifndef DMIRROR_FAULT_H
#define DMIRROR_FAULT_H

#include "types.h"

/**
 * dmirror_fault_window() - make a window accessible to the device
 * @client: the client, inside an operation
 * @leaf: the leaf the window lies in
 * @start: first byte
 * @end: byte after the last
 * @write: for writing, not only for reading
 *
 * Faults in what the process has not touched yet, breaks copy-on-write, takes
 * pages back from other devices. All of the window or an error; entries may be
 * gone again by the time this returns.
 *
 * Context: process context, no mmap lock; may wait for a userfaultfd handler.
 * Return: 0; -EFAULT for a hole or a page that cannot be read; -EPERM for a
 * write where the process may not write; -EBUSY when outrun by invalidations;
 * -EINTR when being killed; -ENOMEM; -ENODEV.
 */
int dmirror_fault_window(struct dmirror_client *client, struct dmirror_leaf *leaf,
			 unsigned long start, unsigned long end, bool write);

/**
 * dmirror_fault_populate() - take over translations that exist already
 * @client: the client, inside an operation
 * @leaf: the leaf the window lies in
 * @start: first byte
 * @end: byte after the last
 *
 * As dmirror_fault_window() for reading, but nothing is faulted in: what the
 * process has not got the device has not got either.
 *
 * Context: process context, no mmap lock.
 * Return: 0, -EBUSY, -EINTR, -ENOMEM, -ENODEV as dmirror_fault_window().
 */
int dmirror_fault_populate(struct dmirror_client *client,
			   struct dmirror_leaf *leaf,
			   unsigned long start, unsigned long end);

#endif /* DMIRROR_FAULT_H */
