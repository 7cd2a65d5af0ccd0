// SPDX-License-Identifier: GPL-2.0
/*
 * Render nodes.
 *
 * Owns the DRM device and the open file; the commands are in the other drm_*.c,
 * one function each, and what they do is in ops.c and queue.c.
 *
 * The DRM device holds the device object, and a file holds the DRM device: all
 * of it outlasts the binding for as long as there are open files. After that
 * the DRM core refuses new commands, and one that still runs finds the device
 * dead (dmirror_vram_dead()). No command may sit in drm_dev_enter(): it can
 * wait for user space, and unbinding waits for it.
 *
 * Takes no locks.
 */
#include <linux/module.h>
#include <linux/poll.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <drm/hmm_dmirror_drm.h>

#include "account.h"
#include "client.h"
#include "compat_drm.h"
#include "device.h"
#include "drm_cmd.h"
#include "drm_node.h"
#include "hints.h"
#include "queue.h"

/**
 * struct dmirror_drm - the DRM side of a device
 * @drm: what the DRM core knows
 * @dev: the device, referenced
 */
struct dmirror_drm {
	struct drm_device drm;
	struct dmirror_device *dev;
};

static int dmirror_drm_open(struct drm_device *drm, struct drm_file *file)
{
	struct dmirror_drm *ddrm = container_of(drm, struct dmirror_drm, drm);
	struct dmirror_client *client = dmirror_client_open(ddrm->dev);
	int ret;

	if (IS_ERR(client))
		return PTR_ERR(client) == -EINTR ? -ERESTARTSYS : PTR_ERR(client);
	ret = dmirror_hints_init(client);
	if (!ret)
		ret = dmirror_queues_open(client);
	if (ret) {
		dmirror_client_close(client);
		return ret;
	}
	file->driver_priv = client;
	return 0;
}

static void dmirror_drm_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct dmirror_client *client = dmirror_drm_client(file);

	dmirror_queues_close(client);
	dmirror_client_close(client);
}

/* A file serves the process that opened it, whoever holds it now. */
static bool dmirror_drm_mine(struct file *filp)
{
	const struct drm_file *file = filp->private_data;

	return dmirror_drm_client(file)->mm == current->mm;
}

/*
 * What the core has below our commands reaches no memory of a process: versions,
 * capabilities, who is master of a node without a display.
 */
static bool dmirror_drm_serves(struct file *filp, unsigned int cmd)
{
	return DRM_IOCTL_NR(cmd) < DRM_COMMAND_BASE || dmirror_drm_mine(filp);
}

/* An event that somebody else takes is lost to whom it is for. */
static ssize_t dmirror_drm_read(struct file *filp, char __user *buf, size_t len,
				loff_t *pos)
{
	return dmirror_drm_mine(filp) ? drm_read(filp, buf, len, pos) : -EPERM;
}

static __poll_t dmirror_drm_poll(struct file *filp, struct poll_table_struct *wait)
{
	/* Asynchronous I/O asks on behalf of the opener, and is told no more than that. */
	return dmirror_drm_mine(filp) || current->flags & PF_KTHREAD ?
	       drm_poll(filp, wait) : EPOLLERR;
}

static long dmirror_drm_ioctl(struct file *filp, unsigned int cmd,
			      unsigned long arg)
{
	return dmirror_drm_serves(filp, cmd) ? drm_ioctl(filp, cmd, arg) : -EPERM;
}

#ifdef CONFIG_COMPAT
static long dmirror_drm_compat_ioctl(struct file *filp, unsigned int cmd,
				     unsigned long arg)
{
	return dmirror_drm_serves(filp, cmd) ? drm_compat_ioctl(filp, cmd, arg) :
					       -EPERM;
}
#else
#define dmirror_drm_compat_ioctl NULL
#endif

/*
 * There are no buffers. The core would look for them all the same, under locks that
 * it makes only for those who have.
 */
static int dmirror_drm_to_fd(struct drm_device *drm, struct drm_file *file,
			     u32 handle, u32 flags, int *fd)
{
	return -EOPNOTSUPP;
}

static int dmirror_drm_to_handle(struct drm_device *drm, struct drm_file *file,
				 int fd, u32 *handle)
{
	return -EOPNOTSUPP;
}

/* Documentation/gpu/drm-usage-stats.rst in the kernel, and lines of our own. */
static void dmirror_drm_fdinfo(struct drm_printer *p, struct drm_file *file)
{
	struct dmirror_client *client = dmirror_drm_client(file);
	u64 used = (u64)dmirror_account_pages(client->account) << PAGE_SHIFT;
	u64 away = (u64)dmirror_account_peer_pages(client->account) << PAGE_SHIFT;
	u64 limit = (u64)dmirror_client_vram(client) << PAGE_SHIFT;

	drm_printf(p, "drm-total-vram:\t%llu KiB\n", used / SZ_1K);
	drm_printf(p, "drm-resident-vram:\t%llu KiB\n", used / SZ_1K);
	drm_printf(p, "drm-total-peer:\t%llu KiB\n", away / SZ_1K);
	drm_printf(p, "drm-resident-peer:\t%llu KiB\n", away / SZ_1K);
	drm_printf(p, "drm-engine-compute:\t%llu ns\n",
		   dmirror_queue_busy_ns(client, DMIRROR_ENGINE_COMPUTE));
	drm_printf(p, "drm-engine-copy:\t%llu ns\n",
		   dmirror_queue_busy_ns(client, DMIRROR_ENGINE_COPY));
	drm_printf(p, "drm-engine-capacity-compute:\t%u\n", client->dev->engines->nr);
	drm_printf(p, "drm-engine-capacity-copy:\t%u\n", client->dev->engines->nr);
	drm_printf(p, DMIRROR_NAME "-device:\t%u\n", client->dev->id);
	drm_printf(p, DMIRROR_NAME "-limit-vram:\t%llu KiB\n", limit / SZ_1K);
}

/* Only kernels whose DRM core has no number for its clients ask. */
static inline u64 dmirror_drm_id(const struct drm_file *file)
{
	return dmirror_drm_client(file)->id;
}

COMPAT_DRM_FDINFO(dmirror_drm_fdinfo, dmirror_drm_id);

static const struct file_operations dmirror_drm_fops = {
	.owner = THIS_MODULE,
	.open = drm_open,
	.release = drm_release,
	.unlocked_ioctl = dmirror_drm_ioctl,
	.compat_ioctl = dmirror_drm_compat_ioctl,
	.poll = dmirror_drm_poll,
	.read = dmirror_drm_read,
	.llseek = noop_llseek,
	.show_fdinfo = dmirror_drm_fdinfo_fop,
	COMPAT_DRM_FOP_FLAGS
};

static const struct drm_ioctl_desc dmirror_drm_ioctls[] = {
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_GET_PARAM, dmirror_drm_get_param,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_MIGRATE, dmirror_drm_migrate,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_QUERY, dmirror_drm_query,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_ADVISE, dmirror_drm_advise,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_EVICT, dmirror_drm_evict,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_EXCLUSIVE, dmirror_drm_exclusive,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_STATS, dmirror_drm_stats,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_INJECT, dmirror_drm_inject,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_SUBMIT, dmirror_drm_submit,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(HMM_DMIRROR_WAIT, dmirror_drm_wait,
			  DRM_RENDER_ALLOW),
};

static const struct drm_driver dmirror_drm_driver = {
	.driver_features = DRIVER_RENDER | DRIVER_SYNCOBJ,
	.open = dmirror_drm_open,
	.postclose = dmirror_drm_postclose,
	.prime_handle_to_fd = dmirror_drm_to_fd,
	.prime_fd_to_handle = dmirror_drm_to_handle,
	.ioctls = dmirror_drm_ioctls,
	.num_ioctls = ARRAY_SIZE(dmirror_drm_ioctls),
	.fops = &dmirror_drm_fops,
	.name = DMIRROR_NAME,
	.desc = "GPU without the hardware",
	COMPAT_DRM_DATE("0")
	COMPAT_DRM_SHOW_FDINFO(dmirror_drm_fdinfo)
	.major = HMM_DMIRROR_DRM_MAJOR,
	.minor = HMM_DMIRROR_DRM_MINOR,
};

static void dmirror_drm_release(struct drm_device *drm, void *dev)
{
	dmirror_device_put(dev);
}

int dmirror_drm_add(struct dmirror_device *dev)
{
	struct dmirror_drm *ddrm;
	int ret;

	ddrm = devm_drm_dev_alloc(dev->parent, &dmirror_drm_driver,
				  struct dmirror_drm, drm);
	if (IS_ERR(ddrm))
		return PTR_ERR(ddrm);
	ddrm->dev = dmirror_device_get(dev);
	ret = drmm_add_action_or_reset(&ddrm->drm, dmirror_drm_release, dev);
	if (ret)
		return ret;
	ret = drm_dev_register(&ddrm->drm, 0);
	if (ret)
		return ret;
	dev->drm = &ddrm->drm;
	return 0;
}

void dmirror_drm_del(struct dmirror_device *dev)
{
	drm_dev_unplug(dev->drm);
	dev->drm = NULL;
}
