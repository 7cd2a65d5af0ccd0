// SPDX-License-Identifier: GPL-2.0
/*
 * driver core: platform_driver.remove returns void (6.11).
 * Needed by COMPAT_PLATFORM_REMOVE().
 */
#include <linux/platform_device.h>

void probe(struct platform_driver *drv, void (*fn)(struct platform_device *));
void probe(struct platform_driver *drv, void (*fn)(struct platform_device *))
{
	drv->remove = fn;
}
