/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A userfaultfd and a thread that answers its faults, page by page.
 */
#ifndef SELFTESTS_LIB_DM_HANDLER_H
#define SELFTESTS_LIB_DM_HANDLER_H

#include <pthread.h>
#include <stdbool.h>
#include "dmirror.h"

/**
 * struct dm_handler - a handler thread and what it does with a fault
 * @uffd: from dm_uffd_open()
 * @stop: tells the thread to end
 * @b: what it watches
 * @source: as many pages to hand out as @b has
 * @protect: of each page, is it handed out write-protected? Cleared when somebody
 *	writes to it; NULL: none is
 * @events: faults seen
 * @wp_events: of them, write-protect faults
 * @minor: map what is in the page cache
 * @ignore: never resolve anything
 * @thread: the thread
 */
struct dm_handler {
	int		uffd;
	int		stop[2];
	struct dm_buf	*b;
	__u8		*source;
	bool		*protect;
	unsigned long	events;
	unsigned long	wp_events;
	bool		minor;
	bool		ignore;
	pthread_t	thread;
};

/**
 * dm_uffd_open() - a userfaultfd of this process
 * @features: UFFD_FEATURE_*
 *
 * Return: a file descriptor, or -1 without userfaultfd or one of the features.
 */
int dm_uffd_open(__u64 features);

/**
 * dm_uffd_watch() - watch a buffer
 * @fd: from dm_uffd_open()
 * @b: the buffer
 * @mode: UFFDIO_REGISTER_MODE_*
 *
 * Return: 0 or a negative errno.
 */
int dm_uffd_watch(int fd, struct dm_buf *b, __u64 mode);

/**
 * dm_uffd_protect() - write protection of a range on or off
 * @fd: from dm_uffd_open()
 * @addr: start of the range
 * @npages: pages
 * @on: on
 *
 * Return: 0 or a negative errno.
 */
int dm_uffd_protect(int fd, void *addr, unsigned long npages, bool on);

/**
 * dm_handler_start() - answer faults in a thread
 * @h: with @uffd and what it is to do set
 * @b: what is watched
 *
 * Return: 0 or a negative errno.
 */
int dm_handler_start(struct dm_handler *h, struct dm_buf *b);

/** dm_handler_stop() - end the thread; the file stays open */
void dm_handler_stop(struct dm_handler *h);

#endif /* SELFTESTS_LIB_DM_HANDLER_H */
