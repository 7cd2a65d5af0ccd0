/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where pages are, by the process's page table and by the device's.
 */
#ifndef DMIRROR_QUERY_H
#define DMIRROR_QUERY_H

#include "snapshot.h"

/**
 * struct dmirror_query - the pages of one window
 * @snap: working memory
 * @dev: the device whose memory is being looked for
 * @pages: one entry of HMM_DMIRROR_QUERY_* for each page
 */
struct dmirror_query {
	struct dmirror_snapshot snap;
	struct dmirror_device *dev;
	u64 pages[DMIRROR_SNAPSHOT_PAGES];
};

/**
 * dmirror_query_window() - describe a window for a client
 * @q: working memory; @q->pages is the result
 * @client: the client, inside an operation
 * @start: first byte
 * @end: byte after the last, in the same leaf
 *
 * Pages of other devices are not told apart yet.
 *
 * Context: process context, no mmap lock.
 * Return: as dmirror_snapshot_take().
 */
int dmirror_query_window(struct dmirror_query *q, struct dmirror_client *client,
			 unsigned long start, unsigned long end);

/**
 * dmirror_query_device() - find the pages of another device
 * @q: the window as dmirror_query_window() left it
 * @dev: the other device, its memory held with dmirror_vram_get()
 * @start: first byte
 * @end: byte after the last
 *
 * Does nothing if nothing is left to be found.
 *
 * Context: as dmirror_query_window().
 * Return: as dmirror_snapshot_take() without waiting.
 */
int dmirror_query_device(struct dmirror_query *q, struct dmirror_device *dev,
			 unsigned long start, unsigned long end);

#endif /* DMIRROR_QUERY_H */
