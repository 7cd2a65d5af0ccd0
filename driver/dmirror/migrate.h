/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Migration of a window of address space, to the device and back.
 */
#ifndef DMIRROR_MIGRATE_H
#define DMIRROR_MIGRATE_H

#include "classify.h"
#include "types.h"
#include "vram.h"

struct vm_fault;

/* How long a request waits, in all, for pages that somebody holds. */
#define DMIRROR_MIGRATE_PATIENCE_MS	200

/**
 * struct dmirror_migrate_buf - working memory of one task's migrations
 * @src: what the core found
 * @dst: where it goes
 * @reserve: device pages to go to
 * @classes: what became of each page
 * @patience: of a request: ticks it may still wait for pages that somebody holds
 */
struct dmirror_migrate_buf {
	unsigned long src[DMIRROR_LEAF_PAGES];
	unsigned long dst[DMIRROR_LEAF_PAGES];
	struct dmirror_reserve reserve;
	struct dmirror_classes classes;
	unsigned int patience;
};

/**
 * dmirror_migrate_in() - move a window to the device
 * @client: the client, inside an operation
 * @start: first byte
 * @end: (in, out) byte after the last, in the same leaf; on return where the
 *	mapping ended if that was earlier
 * @buf: working memory
 * @moved: every page of the window is added to it, also on failure
 *
 * Evicts others when the device is full. Data stays readable and writable for the process.
 *
 * Context: process context, no mmap lock.
 * Return: 0, also when no page moved; -EFAULT for a hole or a mapping without
 * read permission; -EOPNOTSUPP for a mapping of a kind that cannot migrate, it
 * ends at @end; -EINTR when being killed; -ENODEV.
 */
int dmirror_migrate_in(struct dmirror_client *client, unsigned long start,
		       unsigned long *end, struct dmirror_migrate_buf *buf,
		       struct dmirror_moved *moved);

/**
 * dmirror_migrate_place() - move pages to the device that a fault wants there
 * @client: the client, inside an operation
 * @start: first byte
 * @end: (in, out) byte after the last, in the same leaf; on return where the
 *	mapping ended if that was earlier
 * @want: pages to expect, at least 1
 * @buf: working memory
 * @moved: pages that moved are added to it
 *
 * Only pages that exist move. Evicts others when the device is full.
 *
 * Context: process context, no mmap lock.
 * Return: 0, also when no page moved; -EINTR when being killed; -ENODEV.
 */
int dmirror_migrate_place(struct dmirror_client *client, unsigned long start,
			  unsigned long *end, unsigned int want,
			  struct dmirror_migrate_buf *buf, unsigned int *moved);

/**
 * dmirror_migrate_out() - move what a window has on the device back
 *
 * Parameters, context and return value as for dmirror_migrate_in().
 *
 * @client: the client, inside an operation
 * @start: first byte
 * @end: (in, out) byte after the last
 * @buf: working memory
 * @moved: every page of the window is added to it, also on failure
 *
 * Return: 0, -EFAULT, -EOPNOTSUPP, -EINTR, -ENODEV.
 */
int dmirror_migrate_out(struct dmirror_client *client, unsigned long start,
			unsigned long *end, struct dmirror_migrate_buf *buf,
			struct dmirror_moved *moved);

/**
 * dmirror_migrate_evict() - evict what a window has on the device
 * @client: the client, inside an operation
 * @start: first byte
 * @end: (in, out) byte after the last, in the same leaf; where the next mapping is
 *	if that is beyond it
 * @buf: working memory
 * @moved: pages that left are added to it
 *
 * As dmirror_migrate_out(), but it is enough that something is mapped: holes are
 * passed over, and the mapping need not be readable.
 *
 * Context: process context, no mmap lock.
 * Return: 0, also when pages stay; -EINTR when being killed; -ENODEV.
 */
int dmirror_migrate_evict(struct dmirror_client *client, unsigned long start,
			  unsigned long *end, struct dmirror_migrate_buf *buf,
			  u64 *moved);

/**
 * dmirror_migrate_fault() - bring a page back that the CPU wants
 * @dev: the device that has the page
 * @vmf: the fault, as given to migrate_to_ram()
 * @start: first byte of the window to bring back
 * @end: byte after the last; the page lies in the window, the window in the
 *	mapping and in one leaf
 * @src: working memory, an entry per page of the window
 * @dst: likewise
 * @moved: (out) pages that came back
 *
 * Context: migrate_to_ram(): mmap lock held for reading, vmf->page referenced
 * and, on kernels that do so, locked.
 * Return: 0; the page may still be on the device when somebody else holds it,
 * the CPU then faults again; VM_FAULT_OOM when there is no memory for it;
 * VM_FAULT_SIGBUS when the mapping cannot be migrated.
 */
vm_fault_t dmirror_migrate_fault(struct dmirror_device *dev, struct vm_fault *vmf,
				 unsigned long start, unsigned long end,
				 unsigned long *src, unsigned long *dst,
				 unsigned int *moved);

#endif /* DMIRROR_MIGRATE_H */
