// SPDX-License-Identifier: GPL-2.0
/*
 * driver core: class_create() lost its owner argument (6.4).
 * Needed by compat_class_create().
 */
#include <linux/device/class.h>

struct class *probe(void);
struct class *probe(void)
{
	return class_create("probe");
}
