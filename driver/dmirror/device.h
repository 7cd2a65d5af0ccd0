/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Life of a device object, which may outlast the binding to its driver.
 */
#ifndef DMIRROR_DEVICE_H
#define DMIRROR_DEVICE_H

#include "types.h"

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

#endif /* DMIRROR_DEVICE_H */
