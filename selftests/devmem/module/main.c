// SPDX-License-Identifier: GPL-2.0
/*
 * Two platform devices to test hmm_devmem.ko with: devmem_test.0 and .1, bound
 * and unbound through sysfs.
 *
 * Owns: the devices, probing (also to the point of a failure asked for by a
 * parameter) and removal. Does not own: memory and commands.
 * Locks: dt_device.lock for writing to mark the device dead.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "compat.h"
#include "devmem_test.h"

#define DT_DEVICES	2

static int probe_regions;
module_param(probe_regions, int, 0644);
MODULE_PARM_DESC(probe_regions, "regions of the smallest size that probe adds");

static int probe_fail_after = -1;
module_param(probe_fail_after, int, 0644);
MODULE_PARM_DESC(probe_fail_after, "probe fails with EIO after so many regions");

static struct platform_device *devices[DT_DEVICES];

void dt_release(struct kref *ref)
{
	struct dt_device *dt = container_of(ref, struct dt_device, ref);
	int i;

	for (i = 0; i < DT_REGIONS; i++)
		dt_forget(&dt->regions[i]);
	kfree(dt);
}

static void dt_put(void *data)
{
	struct dt_device *dt = data;

	kref_put(&dt->ref, dt_release);
}

static int add_probe_regions(struct dt_device *dt)
{
	int i, ret;

	for (i = 0; i <= probe_regions; i++) {
		if (i == probe_fail_after)
			return -EIO;
		if (i == probe_regions)
			break;
		ret = dt_add_private(dt, 1);
		if (ret)
			return ret;
	}
	return 0;
}

static int dt_probe(struct platform_device *pdev)
{
	struct dt_device *dt;
	int ret;

	dt = compat_kzalloc_obj(*dt);
	if (!dt)
		return -ENOMEM;
	kref_init(&dt->ref);
	init_rwsem(&dt->lock);
	mutex_init(&dt->held_lock);
	dt->dev = &pdev->dev;
	snprintf(dt->name, sizeof(dt->name), "devmem_test%d", pdev->id);
	platform_set_drvdata(pdev, dt);

	/* First, so that it runs last: the regions' callbacks need the device. */
	ret = devm_add_action_or_reset(&pdev->dev, dt_put, dt);
	if (ret)
		return ret;

	ret = add_probe_regions(dt);
	if (ret)
		return ret;

	dt->misc.minor = MISC_DYNAMIC_MINOR;
	dt->misc.name = dt->name;
	dt->misc.fops = &dt_fops;
	return misc_register(&dt->misc);
}

static void dt_remove(struct platform_device *pdev)
{
	struct dt_device *dt = platform_get_drvdata(pdev);

	misc_deregister(&dt->misc);
	down_write(&dt->lock);
	dt->dead = true;
	up_write(&dt->lock);
}

COMPAT_PLATFORM_REMOVE(dt_remove);

static struct platform_driver dt_driver = {
	.probe	= dt_probe,
	.remove	= dt_remove_op,
	.driver	= { .name = "devmem_test" },
};

static int __init dt_init(void)
{
	int i, ret;

	ret = platform_driver_register(&dt_driver);
	if (ret)
		return ret;

	for (i = 0; i < DT_DEVICES; i++) {
		devices[i] = platform_device_register_simple("devmem_test", i,
							     NULL, 0);
		if (IS_ERR(devices[i]))
			goto out_unregister;
	}
	return 0;

out_unregister:
	ret = PTR_ERR(devices[i]);
	while (i--)
		platform_device_unregister(devices[i]);
	platform_driver_unregister(&dt_driver);
	return ret;
}

static void __exit dt_exit(void)
{
	int i;

	for (i = 0; i < DT_DEVICES; i++)
		platform_device_unregister(devices[i]);
	platform_driver_unregister(&dt_driver);
}

module_init(dt_init);
module_exit(dt_exit);

MODULE_DESCRIPTION("Test driver for hmm_devmem");
MODULE_LICENSE("GPL");
MODULE_INFO(test, "Y");
