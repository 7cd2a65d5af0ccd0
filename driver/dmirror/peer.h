/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Migration from one device to another.
 */
#ifndef DMIRROR_PEER_H
#define DMIRROR_PEER_H

#include "migrate.h"
#include "types.h"

/**
 * dmirror_migrate_peer() - move what a window has on a device to another one
 * @client: a client of the device the pages leave, inside an operation
 * @peer: the device to go to, referenced
 * @start: first byte
 * @end: (in, out) byte after the last, in the same leaf; on return where the
 *	mapping ended if that was earlier
 * @buf: working memory
 * @moved: every page of the window is added to it, also on failure
 *
 * In one step, from memory to memory: no system page is involved. Evicts others
 * from @peer when that is full.
 *
 * Context: process context, no mmap lock.
 * Return: as dmirror_migrate_in(); -ENODEV also when @peer has gone.
 */
int dmirror_migrate_peer(struct dmirror_client *client, struct dmirror_device *peer,
			 unsigned long start, unsigned long *end,
			 struct dmirror_migrate_buf *buf,
			 struct dmirror_moved *moved);

#endif /* DMIRROR_PEER_H */
