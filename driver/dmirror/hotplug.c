// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that come and go: see hotplug.h.
 *
 * Unplugging is more than unbinding: the device itself leaves sysfs, as a card does
 * that is pulled, and no binding brings it back. Owns the platform devices.
 *
 * Locks: dmirror_pdevs_lock. The locks of the driver core are taken inside it, so
 * probe and remove do without it.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>

#include "device.h"
#include "hotplug.h"
#include "types.h"

static DEFINE_MUTEX(dmirror_pdevs_lock);
/* Protected by dmirror_pdevs_lock. */
static struct platform_device *dmirror_pdevs[DMIRROR_MAX_DEVICES];
/* Bit n: there may be a device n. Set once, before the files that ask for it. */
static unsigned long dmirror_hotplug_ids;
/* Written under the lock of the device. */
static int dmirror_probe_ret[DMIRROR_MAX_DEVICES];

void dmirror_hotplug_probed(unsigned int id, int ret)
{
	WRITE_ONCE(dmirror_probe_ret[id], ret);
}

static void dmirror_hotplug_remove_locked(unsigned int id)
{
	lockdep_assert_held(&dmirror_pdevs_lock);

	platform_device_unregister(dmirror_pdevs[id]);
	dmirror_pdevs[id] = NULL;
}

static int dmirror_hotplug_add_locked(unsigned int id)
{
	struct platform_device *pdev;
	char name[sizeof(DMIRROR_NAME) + 8];
	int ret;

	lockdep_assert_held(&dmirror_pdevs_lock);

	if (dmirror_pdevs[id])
		return -EEXIST;
	snprintf(name, sizeof(name), DMIRROR_NAME ".%u", id);
	dmirror_hotplug_probed(id, -ENODEV);
	pdev = platform_device_register_simple(name, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);
	dmirror_pdevs[id] = pdev;
	ret = READ_ONCE(dmirror_probe_ret[id]);
	if (ret)
		dmirror_hotplug_remove_locked(id);
	return ret;
}

int dmirror_hotplug_add(unsigned int id)
{
	int ret;

	if (mutex_lock_interruptible(&dmirror_pdevs_lock))
		return -EINTR;
	ret = dmirror_hotplug_add_locked(id);
	mutex_unlock(&dmirror_pdevs_lock);
	return ret;
}

static int dmirror_hotplug_remove(unsigned int id)
{
	int ret = -ENODEV;

	/* One that goes may wait for pages that somebody holds on to. */
	if (mutex_lock_interruptible(&dmirror_pdevs_lock))
		return -EINTR;
	if (dmirror_pdevs[id]) {
		dmirror_hotplug_remove_locked(id);
		ret = 0;
	}
	mutex_unlock(&dmirror_pdevs_lock);
	return ret;
}

void dmirror_hotplug_remove_all(void)
{
	unsigned int id = DMIRROR_MAX_DEVICES;

	mutex_lock(&dmirror_pdevs_lock);
	while (id--)
		dmirror_hotplug_remove_locked(id);
	mutex_unlock(&dmirror_pdevs_lock);
}

/* The number of a device, from user space. */
static int dmirror_hotplug_id(const char __user *text, size_t len, unsigned int *id)
{
	int ret = kstrtouint_from_user(text, len, 10, id);

	if (ret)
		return ret;
	return *id < DMIRROR_MAX_DEVICES && test_bit(*id, &dmirror_hotplug_ids) ?
	       0 : -EINVAL;
}

static ssize_t plug_write(struct file *file, const char __user *text, size_t len,
			  loff_t *pos)
{
	unsigned int id;
	int ret = dmirror_hotplug_id(text, len, &id);

	if (!ret)
		ret = dmirror_hotplug_add(id);
	return ret ? ret : len;
}

static const struct file_operations plug_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = plug_write,
};

static ssize_t unplug_write(struct file *file, const char __user *text, size_t len,
			    loff_t *pos)
{
	unsigned int id;
	int ret = dmirror_hotplug_id(text, len, &id);

	if (!ret)
		ret = dmirror_hotplug_remove(id);
	return ret ? ret : len;
}

static const struct file_operations unplug_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = unplug_write,
};

void dmirror_hotplug_debugfs_add(struct dentry *dir, unsigned long ids)
{
	dmirror_hotplug_ids = ids;
	debugfs_create_file("plug", 0200, dir, NULL, &plug_fops);
	debugfs_create_file("unplug", 0200, dir, NULL, &unplug_fops);
}
