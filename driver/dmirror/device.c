// SPDX-License-Identifier: GPL-2.0
/*
 * Device objects: see device.h. Owns the counters and the table of bound
 * devices; the memory, the nodes and the debugfs directory come and go with the
 * binding (main.c).
 *
 * Locks: dmirror_table_lock for the table.
 */
#include <linux/bits.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "device.h"
#include "engine.h"

static DEFINE_MUTEX(dmirror_table_lock);
/* Bound devices by number, protected by dmirror_table_lock. */
static struct dmirror_device *dmirror_table[DMIRROR_MAX_DEVICES];

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
	spin_lock_init(&dev->hints_lock);
	hash_init(dev->hints);
	dev->parent = parent;
	dev->id = id;
	return dev;
}

static void dmirror_device_release(struct kref *ref)
{
	struct dmirror_device *dev = container_of(ref, struct dmirror_device, ref);

	dmirror_engines_destroy(dev);
	dmirror_stats_fini(&dev->stats);
	kfree(dev);
}

void dmirror_device_put(struct dmirror_device *dev)
{
	kref_put(&dev->ref, dmirror_device_release);
}

void dmirror_device_publish(struct dmirror_device *dev)
{
	mutex_lock(&dmirror_table_lock);
	dmirror_table[dev->id] = dev;
	mutex_unlock(&dmirror_table_lock);
}

void dmirror_device_withdraw(struct dmirror_device *dev)
{
	mutex_lock(&dmirror_table_lock);
	dmirror_table[dev->id] = NULL;
	mutex_unlock(&dmirror_table_lock);
}

struct dmirror_device *dmirror_device_lookup(unsigned int id)
{
	struct dmirror_device *dev = NULL;

	mutex_lock(&dmirror_table_lock);
	if (id < DMIRROR_MAX_DEVICES)
		dev = dmirror_table[array_index_nospec(id, DMIRROR_MAX_DEVICES)];
	if (dev)
		dmirror_device_get(dev);
	mutex_unlock(&dmirror_table_lock);
	return dev;
}

u64 dmirror_device_mask(void)
{
	unsigned int id;
	u64 mask = 0;

	mutex_lock(&dmirror_table_lock);
	for (id = 0; id < DMIRROR_MAX_DEVICES; id++) {
		if (dmirror_table[id])
			mask |= BIT_ULL(id);
	}
	mutex_unlock(&dmirror_table_lock);
	return mask;
}
