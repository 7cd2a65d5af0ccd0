/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where pages should be when the device uses them.
 */
#ifndef DMIRROR_PLACE_H
#define DMIRROR_PLACE_H

#include "types.h"

/**
 * dmirror_place_window() - move what should be in device memory
 * @client: a client with hints, inside an operation
 * @leaf: the leaf the window lies in
 * @start: first byte of what the device wants to use
 * @end: byte after the last
 * @write: it wants to write
 * @moved: (out) something moved, so the device's translations have gone
 *
 * Called when the window has just been entered in @leaf: what is there tells
 * where the pages are. Moves existing anonymous pages only, in the window and,
 * as far as the granularity of migration and the mapping go, around it. What
 * advice or thrashing keep where it is, what is busy and what finds no room stays, and the
 * device uses it there.
 *
 * Context: process context, no mmap lock, no leaf lock.
 * Return: 0, also when nothing moved; -EINTR when being killed; -ENODEV.
 */
int dmirror_place_window(struct dmirror_client *client, struct dmirror_leaf *leaf,
			 unsigned long start, unsigned long end, bool write,
			 bool *moved);

#endif /* DMIRROR_PLACE_H */
