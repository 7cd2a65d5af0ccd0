// SPDX-License-Identifier: GPL-2.0
/*
 * Device objects: see device.h. Owns the counters; the memory, the node and the
 * debugfs directory come and go with the binding (main.c).
 */
#include <linux/slab.h>

#include "device.h"

struct dmirror_device *dmirror_device_create(struct device *parent,
					     unsigned int id)
{
	struct dmirror_device *dev = NULL;

	if (!dmirror_inject(NULL, DMIRROR_INJECT_DEVICE))
		dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return NULL;
	if (dmirror_stats_init(&dev->stats)) {
		kfree(dev);
		return NULL;
	}
	dmirror_inject_init(&dev->inject);
	kref_init(&dev->ref);
	dev->parent = parent;
	dev->id = id;
	return dev;
}

static void dmirror_device_release(struct kref *ref)
{
	struct dmirror_device *dev = container_of(ref, struct dmirror_device, ref);

	dmirror_stats_fini(&dev->stats);
	kfree(dev);
}

void dmirror_device_put(struct dmirror_device *dev)
{
	kref_put(&dev->ref, dmirror_device_release);
}
