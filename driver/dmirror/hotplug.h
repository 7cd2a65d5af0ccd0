/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The devices themselves, which come and go: at load and unload, and as cards do
 * in a slot that allows it.
 */
#ifndef DMIRROR_HOTPLUG_H
#define DMIRROR_HOTPLUG_H

struct dentry;

/**
 * dmirror_hotplug_probed() - what became of a device
 * @id: its number, below DMIRROR_MAX_DEVICES
 * @ret: what probe returns
 *
 * The driver core keeps a failure of probe to itself; who adds a device wants it.
 *
 * Context: probe, under the lock of the device.
 */
void dmirror_hotplug_probed(unsigned int id, int ret);

/**
 * dmirror_hotplug_add() - add a device, and have the driver bind to it
 * @id: its number, below DMIRROR_MAX_DEVICES
 *
 * Context: process context; takes the lock of the devices.
 * Return: 0, -EEXIST if it is there, -EINTR on a signal, or an error of registering or
 * of probe; there is no such device then.
 */
int dmirror_hotplug_add(unsigned int id);

/**
 * dmirror_hotplug_remove_all() - remove all that are there, the last one first
 *
 * Context: process context; takes the lock of the devices. Waits for what unbinding
 * waits for.
 */
void dmirror_hotplug_remove_all(void);

/**
 * dmirror_hotplug_debugfs_add() - let root plug and unplug devices
 * @dir: where the files "plug" and "unplug" go; removed with it
 * @ids: bit n is set if there may be a device n
 *
 * Either file takes the number of a device. An open file keeps the module.
 */
void dmirror_hotplug_debugfs_add(struct dentry *dir, unsigned long ids);

#endif /* DMIRROR_HOTPLUG_H */
