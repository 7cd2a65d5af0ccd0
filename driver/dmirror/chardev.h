/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Character devices /dev/hmm_dmirrorN: the interface of the kernel's test_hmm.
 */
#ifndef DMIRROR_CHARDEV_H
#define DMIRROR_CHARDEV_H

#include "types.h"

/**
 * dmirror_chardev_module_init() - get numbers and a class
 *
 * Return: 0 or a negative errno from the driver core.
 */
int dmirror_chardev_module_init(void);

/**
 * dmirror_chardev_module_exit() - undo dmirror_chardev_module_init()
 */
void dmirror_chardev_module_exit(void);

/**
 * dmirror_chardev_add() - make the node of a device
 * @dev: the device, ready for use
 *
 * Return: 0 or a negative errno from the driver core.
 */
int dmirror_chardev_add(struct dmirror_device *dev);

/**
 * dmirror_chardev_del() - take the node away
 * @dev: the device
 *
 * Open files stay; they hold references to the device.
 */
void dmirror_chardev_del(struct dmirror_device *dev);

#endif /* DMIRROR_CHARDEV_H */
