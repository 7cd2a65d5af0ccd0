// SPDX-License-Identifier: GPL-2.0
/*
 * The module: parameters, the set of devices, and what belongs together.
 *
 * Devices are platform devices hmm_dmirror.N, so that each can be unbound and
 * bound again through sysfs; a DRM device needs such a parent, too. The order of
 * init is the order of the layers, exit and unbind run it backwards: no new
 * files, no new pages, everything out of device memory, then the memory itself.
 */
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "chardev.h"
#include "client.h"
#include "compat.h"
#include "cpu_fault.h"
#include "debugfs.h"
#include "device.h"
#include "drm_node.h"
#include "engine.h"
#include "evict.h"
#include "hmm_devmem.h"
#include "hmm_version.h"
#include "hotplug.h"
#include "mirror.h"
#include "trace.h"
#include "vram.h"

static unsigned int vram_mb = 256;
module_param(vram_mb, uint, 0444);
MODULE_PARM_DESC(vram_mb,
		 "memory of each device in MiB, an even number from 2 to 65536 (default 256)");

static unsigned int devices = 2;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices,
		 "devices with private memory, from 0 to 8: numbers 0, 1, 4, 5, ... (default 2)");

static unsigned int client_vram_mb;
module_param(client_vram_mb, uint, 0444);
MODULE_PARM_DESC(client_vram_mb,
		 "device memory an open file may use in MiB (default 0: all there is)");

static unsigned int fault_around_kb = 64;
module_param(fault_around_kb, uint, 0444);
MODULE_PARM_DESC(fault_around_kb,
		 "what a CPU fault brings back around the page it needs, in KiB, a power of two from one page to 2048 (default 64)");

static unsigned long spm_addr_dev0;
module_param(spm_addr_dev0, ulong, 0444);
MODULE_PARM_DESC(spm_addr_dev0,
		 "physical address of memory for coherent device 2, vram_mb long, unused by the kernel (default none)");

static unsigned long spm_addr_dev1;
module_param(spm_addr_dev1, ulong, 0444);
MODULE_PARM_DESC(spm_addr_dev1,
		 "the same for coherent device 3; both addresses or none");

static unsigned int inject;
module_param(inject, uint, 0444);
MODULE_PARM_DESC(inject,
		 "fault injection: 0 off, 1 on, 2 with sabotage, which breaks the driver (default 0)");

static char *inject_arm;
module_param(inject_arm, charp, 0444);
MODULE_PARM_DESC(inject_arm,
		 "points to arm from the start, as pool:nth=3,fail;copy:... (default none)");

static unsigned int engines = 4;
module_param(engines, uint, 0444);
MODULE_PARM_DESC(engines,
		 "how many queues of a device run jobs at once, 1 to 64 (default 4)");

static unsigned int job_timeout_ms = 10000;
module_param(job_timeout_ms, uint, 0444);
MODULE_PARM_DESC(job_timeout_ms,
		 "longest time a job may run, in ms, 10 to 3600000 (default 10000)");

static struct dmirror_device *dmirror_devmem_dev(struct hmm_devmem *devmem)
{
	return devmem->drvdata;
}

static void dmirror_devmem_free(struct hmm_devmem *devmem, struct page *head,
				unsigned int order)
{
	dmirror_vram_free(&dmirror_devmem_dev(devmem)->vram, head, order);
}

static vm_fault_t dmirror_devmem_fault(struct hmm_devmem *devmem,
				       struct vm_fault *vmf)
{
	return dmirror_cpu_fault(dmirror_devmem_dev(devmem), vmf,
				 (unsigned long)fault_around_kb * SZ_1K);
}

static void dmirror_devmem_split(struct hmm_devmem *devmem, struct folio *head,
				 struct folio *tail)
{
	/* Backing is found by page number, so there is nothing to hand on. */
	if (!tail)
		dmirror_stat_add(&dmirror_devmem_dev(devmem)->stats,
				 DMIRROR_STAT_FOLIO_SPLITS, 1);
}

static void dmirror_devmem_evict(struct hmm_devmem *devmem)
{
	dmirror_evict_teardown(dmirror_devmem_dev(devmem));
}

static const struct hmm_devmem_ops dmirror_devmem_ops = {
	.free_folio = dmirror_devmem_free,
	.migrate_to_ram = dmirror_devmem_fault,
	.split = dmirror_devmem_split,
	.evict = dmirror_devmem_evict,
};

static bool dmirror_is_coherent(unsigned int id)
{
	return id >= DMIRROR_FIRST_COHERENT &&
	       id < DMIRROR_FIRST_COHERENT + DMIRROR_NR_COHERENT;
}

static unsigned long dmirror_spm_addr(unsigned int id)
{
	return id == DMIRROR_FIRST_COHERENT ? spm_addr_dev0 : spm_addr_dev1;
}

static int dmirror_probe_memory(struct dmirror_device *dev)
{
	unsigned long size = (unsigned long)vram_mb * SZ_1M;

	if (!dmirror_is_coherent(dev->id))
		return dmirror_vram_init(dev, DMIRROR_PRIVATE, size, 0,
					 &dmirror_devmem_ops);
	return dmirror_vram_init(dev, DMIRROR_COHERENT, size,
				 dmirror_spm_addr(dev->id), &dmirror_devmem_ops);
}

static int dmirror_probe_device(struct platform_device *pdev, unsigned int id)
{
	struct dmirror_device *dev;
	int ret;

	dev = dmirror_device_create(&pdev->dev, id);
	if (!dev)
		return -ENOMEM;

	ret = dmirror_engines_create(dev, engines, job_timeout_ms);
	if (!ret)
		ret = dmirror_probe_memory(dev);
	if (ret)
		goto out_put;
	dmirror_evict_init(dev);
	dmirror_device_publish(dev);
	ret = dmirror_chardev_add(dev);
	if (ret)
		goto out_withdraw;
	ret = dmirror_drm_add(dev);
	if (ret)
		goto out_chardev;

	dmirror_debugfs_add(dev);
	platform_set_drvdata(pdev, dev);
	return 0;

out_chardev:
	dmirror_chardev_del(dev);
out_withdraw:
	dmirror_device_withdraw(dev);
	dmirror_vram_kill(&dev->vram);
	dmirror_vram_fini(dev);
out_put:
	dmirror_device_put(dev);
	return ret;
}

/*
 * libdrm tells platform devices apart by their modalias alone, so each needs a
 * name of its own.
 */
static const struct platform_device_id dmirror_ids[] = {
	{ DMIRROR_NAME ".0", 0 },
	{ DMIRROR_NAME ".1", 1 },
	{ DMIRROR_NAME ".2", 2 },
	{ DMIRROR_NAME ".3", 3 },
	{ DMIRROR_NAME ".4", 4 },
	{ DMIRROR_NAME ".5", 5 },
	{ DMIRROR_NAME ".6", 6 },
	{ DMIRROR_NAME ".7", 7 },
	{ DMIRROR_NAME ".8", 8 },
	{ DMIRROR_NAME ".9", 9 },
	{ }
};

static_assert(ARRAY_SIZE(dmirror_ids) == DMIRROR_MAX_DEVICES + 1);

static int dmirror_probe(struct platform_device *pdev)
{
	const struct platform_device_id *match = platform_get_device_id(pdev);
	unsigned int id;
	int ret;

	/* driver_override can bring us anybody's device, with an entry of theirs. */
	for (id = 0; id < DMIRROR_MAX_DEVICES; id++)
		if (match == &dmirror_ids[id])
			break;
	if (id == DMIRROR_MAX_DEVICES)
		return -ENODEV;
	ret = dmirror_probe_device(pdev, id);
	dmirror_hotplug_probed(id, ret);
	return ret;
}

static void dmirror_remove(struct platform_device *pdev)
{
	struct dmirror_device *dev = platform_get_drvdata(pdev);

	dmirror_drm_del(dev);
	dmirror_chardev_del(dev);
	dmirror_device_withdraw(dev);
	dmirror_debugfs_del(dev);
	dmirror_vram_kill(&dev->vram);
	dmirror_engines_kill(dev);
	dmirror_vram_fini(dev);
	dmirror_device_put(dev);
}

COMPAT_PLATFORM_REMOVE(dmirror_remove);

static struct platform_driver dmirror_driver = {
	.probe = dmirror_probe,
	.remove = dmirror_remove_op,
	.id_table = dmirror_ids,
	.driver = {
		.name = DMIRROR_NAME,
		/* Loading reports what became of the devices. */
		.probe_type = PROBE_FORCE_SYNCHRONOUS,
	},
};

static bool dmirror_params_ok(void)
{
	if (vram_mb < 2 || vram_mb > 65536 || vram_mb % 2) {
		pr_err(DMIRROR_NAME ": vram_mb must be an even number from 2 to 65536\n");
		return false;
	}
	if (devices > DMIRROR_MAX_PRIVATE) {
		pr_err(DMIRROR_NAME ": devices must be from 0 to %u\n",
		       DMIRROR_MAX_PRIVATE);
		return false;
	}
	if (!is_power_of_2(fault_around_kb) ||
	    fault_around_kb < PAGE_SIZE / SZ_1K || fault_around_kb > 2048) {
		pr_err(DMIRROR_NAME ": fault_around_kb must be a power of two from one page to 2048\n");
		return false;
	}
	if (!engines || engines > 64) {
		pr_err(DMIRROR_NAME ": engines must be a number from 1 to 64\n");
		return false;
	}
	if (job_timeout_ms < 10 || job_timeout_ms > 3600000) {
		pr_err(DMIRROR_NAME ": job_timeout_ms must be a number from 10 to 3600000\n");
		return false;
	}
	if (!spm_addr_dev0 != !spm_addr_dev1) {
		pr_err(DMIRROR_NAME ": spm_addr_dev0 and spm_addr_dev1 go together\n");
		return false;
	}
	if (inject > 2) {
		pr_err(DMIRROR_NAME ": inject must be 0, 1 or 2\n");
		return false;
	}
	return true;
}

/*
 * The kernel's own test module has nodes of the same names. A node left behind
 * by it does not count; one that opens does.
 */
static bool dmirror_names_taken(void)
{
	struct file *file = filp_open("/dev/" DMIRROR_NAME "0", O_RDWR | O_NONBLOCK, 0);
	bool taken;

	if (IS_ERR(file))
		return false;
	taken = S_ISCHR(file_inode(file)->i_mode);
	filp_close(file, NULL);
	if (!taken)
		return false;
	pr_err(DMIRROR_NAME ": /dev/" DMIRROR_NAME "0 is in use, unload test_hmm first\n");
	return true;
}

static bool dmirror_wanted(unsigned int id)
{
	if (dmirror_is_coherent(id))
		return spm_addr_dev0;
	if (id > DMIRROR_FIRST_COHERENT)
		id -= DMIRROR_NR_COHERENT;
	return id < devices && IS_ENABLED(CONFIG_DEVICE_PRIVATE);
}

/* Add the devices the parameters ask for; @ids: their numbers, a bit each. */
static int dmirror_add_devices(unsigned long *ids)
{
	unsigned int id;
	int ret;

	for (id = 0; id < DMIRROR_MAX_DEVICES; id++) {
		if (!dmirror_wanted(id))
			continue;
		ret = dmirror_hotplug_add(id);
		if (ret)
			return ret;
		*ids |= BIT(id);
	}
	if (*ids)
		return 0;
	if (IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		pr_err(DMIRROR_NAME ": no device: devices is 0, and spm_addr_dev0/1 are not set\n");
	else
		pr_err(DMIRROR_NAME ": no device: the kernel lacks CONFIG_DEVICE_PRIVATE, and spm_addr_dev0/1 are not set\n");
	return -EOPNOTSUPP;
}

static int __init dmirror_init(void)
{
	struct dentry *debugfs;
	unsigned long ids = 0;
	int ret;

	if (!dmirror_params_ok())
		return -EINVAL;
	if (dmirror_names_taken())
		return -EBUSY;

	ret = dmirror_inject_module_init(inject, inject_arm);
	if (ret) {
		pr_err(DMIRROR_NAME ": inject_arm cannot be read, or needs inject to be set\n");
		goto out_inject;
	}
	if (client_vram_mb)
		dmirror_client_set_limit((unsigned long)client_vram_mb <<
					 (20 - PAGE_SHIFT));
	ret = dmirror_mirror_module_init();
	if (ret)
		goto out_inject;
	ret = dmirror_evict_module_init();
	if (ret)
		goto out_mirror;
	ret = dmirror_chardev_module_init();
	if (ret)
		goto out_evict;
	debugfs = dmirror_debugfs_module_init();
	ret = platform_driver_register(&dmirror_driver);
	if (ret)
		goto out_chardev;
	ret = dmirror_add_devices(&ids);
	if (ret)
		goto out_devices;
	/* Last: from here on others plug and unplug, and nothing fails. */
	dmirror_hotplug_debugfs_add(debugfs, ids);
	pr_info(DMIRROR_NAME ": %u MiB for each device, nodes /dev/" DMIRROR_NAME "*\n",
		vram_mb);
	return 0;

out_devices:
	dmirror_hotplug_remove_all();
	platform_driver_unregister(&dmirror_driver);
out_chardev:
	dmirror_debugfs_module_exit();
	dmirror_chardev_module_exit();
out_evict:
	dmirror_evict_module_exit();
out_mirror:
	dmirror_mirror_module_exit();
out_inject:
	dmirror_inject_module_exit();
	return ret;
}

static void __exit dmirror_exit(void)
{
	dmirror_hotplug_remove_all();
	platform_driver_unregister(&dmirror_driver);
	dmirror_debugfs_module_exit();
	dmirror_chardev_module_exit();
	dmirror_engines_module_exit();
	dmirror_evict_module_exit();
	dmirror_mirror_module_exit();
	dmirror_inject_module_exit();
}

module_init(dmirror_init);
module_exit(dmirror_exit);

MODULE_DESCRIPTION("GPU without the hardware: device memory and mirrored address spaces");
MODULE_LICENSE("GPL");
MODULE_VERSION(HMM_VERSION);
MODULE_INFO(test, "Y");
