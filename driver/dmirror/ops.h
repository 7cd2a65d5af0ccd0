/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operations behind the front ends: requests that were checked for shape,
 * carried out window by window.
 *
 * Each takes a client and a range of user addresses, page aligned and not
 * empty, and may be called from any process. Each begins and ends the operation
 * on the mirror itself, runs in memory that does not grow with the range, and
 * ends within moments when its caller is killed.
 *
 * Errors common to all: -ENODEV when the device has gone, -ESRCH when the
 * mirrored process has, -EINTR when the caller is being killed, -ENOMEM.
 */
#ifndef DMIRROR_OPS_H
#define DMIRROR_OPS_H

#include "classify.h"
#include "range.h"
#include "types.h"

/**
 * struct dmirror_op - one request
 * @client: the open file
 * @start: first byte
 * @end: byte after the last
 * @user: the caller's buffer
 * @peer: the device a migration from device to device goes to, referenced
 * @strict: migrations end, with -EOPNOTSUPP, at a mapping of a kind that never
 *	moves; otherwise such pages are a class of @moved like any other
 * @map: a migration to the device also enters what is there in the device page
 *	table
 * @done: (out) pages completed, on error too
 * @faults: (out) stops for faults
 * @moved: (out) of a migration: all pages of the request by what became of them,
 *	also on error; all zero before
 */
struct dmirror_op {
	struct dmirror_client *client;
	unsigned long start;
	unsigned long end;
	void __user *user;
	struct dmirror_device *peer;
	bool strict;
	bool map;
	u64 done;
	u64 faults;
	struct dmirror_moved moved;
};

/**
 * dmirror_op_read() - the device reads the range into @op->user
 * @op: the request
 *
 * Return: 0; -EFAULT for a page or a buffer that cannot be accessed; -EBUSY.
 */
int dmirror_op_read(struct dmirror_op *op);

/**
 * dmirror_op_write() - the device writes @op->user to the range
 * @op: the request
 *
 * Return: 0; -EFAULT for a page or a buffer that cannot be accessed; -EPERM
 * for a page the process may not write; -EBUSY.
 */
int dmirror_op_write(struct dmirror_op *op);

/**
 * dmirror_op_migrate_in() - move the range to the device
 * @op: the request; @op->done is what moved or, with @op->map, what was found to
 *	be on the device in the end and was mapped
 *
 * Return: 0, also when pages had to stay; -EFAULT for a hole or a mapping that
 * is not readable, what lies before it has moved; -EOPNOTSUPP if strict; -EBUSY.
 */
int dmirror_op_migrate_in(struct dmirror_op *op);

/**
 * dmirror_op_migrate_out() - move what the range has on the device back
 * @op: the request; @op->done is what moved
 *
 * Return: 0, -EFAULT, -EOPNOTSUPP as for dmirror_op_migrate_in().
 */
int dmirror_op_migrate_out(struct dmirror_op *op);

/**
 * dmirror_op_snapshot() - one HMM_DMIRROR_PROT_* byte per page to @op->user
 * @op: the request
 *
 * Return: 0; -EFAULT for the buffer; -EBUSY.
 */
int dmirror_op_snapshot(struct dmirror_op *op);

/**
 * dmirror_op_query() - one HMM_DMIRROR_QUERY_* word per page to @op->user
 * @op: the request; @op->done is the pages described
 *
 * Return: 0; -EFAULT for the buffer; -EBUSY.
 */
int dmirror_op_query(struct dmirror_op *op);

/**
 * dmirror_op_exclusive() - take exclusive access
 * @op: the request; @op->done is the pages made exclusive
 *
 * Return: 0; as dmirror_exclusive_page().
 */
int dmirror_op_exclusive(struct dmirror_op *op);

/**
 * dmirror_op_check_exclusive() - which pages are still exclusive?
 * @op: the request; @op->done is how many
 *
 * Return: 0.
 */
int dmirror_op_check_exclusive(struct dmirror_op *op);

/**
 * dmirror_op_drop_exclusive() - give up exclusive access
 * @op: the request; @op->done is the pages given up
 *
 * Return: 0; -EBUSY.
 */
int dmirror_op_drop_exclusive(struct dmirror_op *op);

/**
 * dmirror_op_migrate_peer() - move what the range has on the device to @op->peer
 * @op: the request; @op->done is what moved
 *
 * Return: 0, -EFAULT, -EOPNOTSUPP as for dmirror_op_migrate_in(); -ENODEV also
 * when @op->peer has gone.
 */
int dmirror_op_migrate_peer(struct dmirror_op *op);

/**
 * dmirror_op_advise() - take advice for the range
 * @op: the request, of a client with hints
 * @attr: what it is about
 * @value: what it says; 0 is the default
 *
 * Return: 0; -ENOSPC when the client has given too many pieces of advice.
 */
int dmirror_op_advise(struct dmirror_op *op, enum dmirror_attr attr, u32 value);

/**
 * dmirror_op_evict_range() - evict what the range has on the device
 * @op: the request; @op->done is what left
 *
 * Holes are passed over.
 *
 * Return: 0, also when pages stay.
 */
int dmirror_op_evict_range(struct dmirror_op *op);

/**
 * dmirror_op_evict_some() - evict from the client's device by LRU
 * @client: the client
 * @want: how many pages, at least
 * @pages: what left is added to it
 *
 * Return: 0, also when there was less; -EINTR; -ENODEV.
 */
int dmirror_op_evict_some(struct dmirror_client *client, unsigned long want,
			  u64 *pages);

/**
 * dmirror_op_evict_all() - empty the memory of the client's device
 * @client: the client
 * @pages: what left is added to it
 *
 * Return: 0; -EBUSY when pages are left that somebody holds or that came
 * meanwhile; -EINTR; -ENODEV.
 */
int dmirror_op_evict_all(struct dmirror_client *client, u64 *pages);

#endif /* DMIRROR_OPS_H */
