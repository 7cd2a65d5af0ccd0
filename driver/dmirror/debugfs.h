/* SPDX-License-Identifier: GPL-2.0 */
/*
 * debugfs: /sys/kernel/debug/hmm_dmirror/<device>/. Not an ABI.
 */
#ifndef DMIRROR_DEBUGFS_H
#define DMIRROR_DEBUGFS_H

struct dentry;
struct dmirror_device;

/**
 * dmirror_debugfs_module_init() - make the top directory
 *
 * Return: the directory, or what debugfs takes for one if it could not be made.
 */
struct dentry *dmirror_debugfs_module_init(void);

/**
 * dmirror_debugfs_module_exit() - remove the top directory
 */
void dmirror_debugfs_module_exit(void);

/**
 * dmirror_debugfs_add() - make the directory of a device
 * @dev: the device, ready for use
 */
void dmirror_debugfs_add(struct dmirror_device *dev);

/**
 * dmirror_debugfs_del() - remove it; no file of it is read any more on return
 * @dev: the device
 */
void dmirror_debugfs_del(struct dmirror_device *dev);

#endif /* DMIRROR_DEBUGFS_H */
