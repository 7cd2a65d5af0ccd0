/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Life of a client: an open file of either front end.
 */
#ifndef DMIRROR_CLIENT_H
#define DMIRROR_CLIENT_H

#include "types.h"

/**
 * dmirror_client_set_limit() - how much device memory a client may use
 * @pages: that many, for clients that are opened from now on
 */
void dmirror_client_set_limit(unsigned long pages);

/**
 * dmirror_client_vram() - how much device memory a client can use
 * @client: the client
 *
 * Return: pages, by its limit and what there is.
 */
unsigned long dmirror_client_vram(const struct dmirror_client *client);

/**
 * dmirror_client_open() - begin to serve the current process
 * @dev: the device, kept by the caller for the moment
 *
 * Context: process context.
 * Return: the client, which has a reference to the device; or an ERR_PTR:
 * -EINVAL for a task without an address space; -EINTR when a signal came first;
 * -ENOMEM.
 */
struct dmirror_client *dmirror_client_open(struct dmirror_device *dev);

/**
 * dmirror_client_close() - the file is closed
 * @client: the client, used by nobody else any more; freed
 *
 * Its pages stay where they are.
 *
 * Context: process context; waits for invalidations in flight.
 */
void dmirror_client_close(struct dmirror_client *client);

#endif /* DMIRROR_CLIENT_H */
