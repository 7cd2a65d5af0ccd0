/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device reads and writes the process's memory.
 */
#ifndef DMIRROR_ACCESS_H
#define DMIRROR_ACCESS_H

#include "types.h"

/**
 * struct dmirror_access - one read or write in progress
 * @client: whose memory, inside an operation
 * @write: the device writes
 * @user: the caller's buffer, moves along
 * @addr: next address to access
 * @end: byte after the last
 * @done: (out) pages completed
 * @faults: (out) stops for faults; one that continues straight after the
 *	previous one is the same stop
 */
struct dmirror_access {
	struct dmirror_client *client;
	bool write;
	void __user *user;
	unsigned long addr;
	unsigned long end;
	u64 done;
	u64 faults;
};

/**
 * dmirror_access_run() - read or write a range through the device page table
 * @a: what to do; @a->done and @a->faults say how far it got, on error too
 *
 * A page counts as done when its bytes are where they belong: for a write, in
 * the page the process sees; it stays true whatever moves the page afterwards.
 *
 * Context: process context, no locks. Memory use does not depend on the length.
 * Return: 0; -EFAULT for a page that cannot be read or a buffer that cannot be
 * accessed; -EPERM for a page that cannot be written; -EBUSY, -EINTR, -ENOMEM,
 * -ENODEV as dmirror_fault_window().
 */
int dmirror_access_run(struct dmirror_access *a);

#endif /* DMIRROR_ACCESS_H */
