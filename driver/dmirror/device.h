/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Life of a device object, which may outlast the binding to its driver.
 */
#ifndef DMIRROR_DEVICE_H
#define DMIRROR_DEVICE_H

#include "types.h"

/*
 * Devices by number: 0 and 1 are private, 2 and 3 coherent, all others private.
 * The first four are where test_hmm has them.
 */
#define DMIRROR_MAX_PRIVATE	8
#define DMIRROR_FIRST_COHERENT	2
#define DMIRROR_NR_COHERENT	2
#define DMIRROR_MAX_DEVICES	(DMIRROR_MAX_PRIVATE + DMIRROR_NR_COHERENT)

/**
 * dmirror_device_create() - a device with empty counters and no memory yet
 * @parent: what it is bound to
 * @id: its number
 *
 * Return: the device with one reference, or NULL without memory.
 */
struct dmirror_device *dmirror_device_create(struct device *parent,
					     unsigned int id);

/**
 * dmirror_device_get() - take a reference
 * @dev: a device the caller knows to be there
 *
 * Return: @dev.
 */
static inline struct dmirror_device *dmirror_device_get(struct dmirror_device *dev)
{
	kref_get(&dev->ref);
	return dev;
}

/**
 * dmirror_device_put() - drop a reference
 * @dev: the device; may be gone afterwards
 */
void dmirror_device_put(struct dmirror_device *dev);

/**
 * dmirror_device_publish() - let others find a device by its number
 * @dev: the device, with memory
 */
void dmirror_device_publish(struct dmirror_device *dev);

/**
 * dmirror_device_withdraw() - nobody finds the device any more
 * @dev: the device, published
 *
 * Who has found it keeps it; its memory goes all the same.
 */
void dmirror_device_withdraw(struct dmirror_device *dev);

/**
 * dmirror_device_lookup() - find a device
 * @id: its number, any
 *
 * Context: process context.
 * Return: the device with a reference, or NULL if no such device is bound.
 */
struct dmirror_device *dmirror_device_lookup(unsigned int id);

/**
 * dmirror_device_mask() - which devices there are
 *
 * Context: process context.
 * Return: bit n is set if device n is bound.
 */
u64 dmirror_device_mask(void);

#endif /* DMIRROR_DEVICE_H */
