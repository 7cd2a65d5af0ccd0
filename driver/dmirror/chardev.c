// SPDX-License-Identifier: GPL-2.0
/*
 * Character devices.
 *
 * Owns the node, the open file and the shape of its commands; everything a
 * command does is in ops.c. A file serves the address space of the process that
 * opened it, also when a child or another process uses it. Takes no locks.
 */
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include <hmm_dmirror/test_hmm.h>

#include "chardev.h"
#include "client.h"
#include "compat.h"
#include "device.h"
#include "ops.h"

/* Scripts find the major number by this name; it is part of the interface. */
#define DMIRROR_REGION_NAME	"HMM_DMIRROR"

/* mmap() fills the mapping at once, so it must not be large. */
#define DMIRROR_MMAP_MAX	SZ_16M

static dev_t dmirror_devt;
static struct class *dmirror_class;

static int dmirror_chardev_open(struct inode *inode, struct file *file)
{
	struct dmirror_device *dev = dmirror_device_lookup(iminor(inode));
	struct dmirror_client *client;

	if (!dev)
		return -ENXIO;
	client = dmirror_client_open(dev);
	dmirror_device_put(dev);
	if (IS_ERR(client))
		return PTR_ERR(client) == -EINTR ? -ERESTARTSYS : PTR_ERR(client);
	file->private_data = client;
	return 0;
}

static int dmirror_chardev_release(struct inode *inode, struct file *file)
{
	dmirror_client_close(file->private_data);
	return 0;
}

/* A page-aligned, non-empty range of user addresses. */
static bool dmirror_chardev_range(const struct hmm_dmirror_cmd *cmd,
				  struct dmirror_op *op)
{
	u64 size, end;

	if (!PAGE_ALIGNED(cmd->addr) || !cmd->npages)
		return false;
	if (check_mul_overflow(cmd->npages, (u64)PAGE_SIZE, &size) ||
	    check_add_overflow(cmd->addr, size, &end) || end > TASK_SIZE_MAX)
		return false;
	op->start = cmd->addr;
	op->end = end;
	return true;
}

static int dmirror_chardev_flags(struct dmirror_client *client, u64 flags)
{
	if (flags & ~HMM_DMIRROR_FLAG_FAIL_ALLOC)
		return -EINVAL;
	if (flags & HMM_DMIRROR_FLAG_FAIL_ALLOC)
		set_bit(0, &client->fail_alloc);
	else
		clear_bit(0, &client->fail_alloc);
	return 0;
}

/* One errno for everything that cannot be migrated. */
static int dmirror_chardev_moved(int ret)
{
	return ret == -EFAULT || ret == -EOPNOTSUPP ? -EINVAL : ret;
}

static int dmirror_chardev_migrate_in(struct dmirror_op *op)
{
	struct dmirror_op read = *op;
	int ret;

	op->map = true;
	ret = dmirror_chardev_moved(dmirror_op_migrate_in(op));
	if (ret)
		return ret;
	/* A read of what is elsewhere would fetch it, so only if all is here. */
	if (op->done < (op->end - op->start) >> PAGE_SHIFT)
		return -ENOENT;
	return dmirror_op_read(&read);
}

static int dmirror_chardev_exclusive(struct dmirror_op *op)
{
	struct dmirror_op read = *op;
	int ret = dmirror_op_exclusive(op);

	return ret ? ret : dmirror_op_read(&read);
}

static int dmirror_chardev_check_exclusive(struct dmirror_op *op)
{
	int ret = dmirror_op_check_exclusive(op);

	if (!ret && op->done)
		ret = -EPERM;
	op->done = 0;
	return ret;
}

static int dmirror_chardev_command(unsigned int command, struct dmirror_op *op)
{
	u64 evicted = 0;

	switch (command) {
	case HMM_DMIRROR_READ:
	case HMM_DMIRROR_READ_UNLOCKED:
		return dmirror_op_read(op);
	case HMM_DMIRROR_WRITE:
		return dmirror_op_write(op);
	case HMM_DMIRROR_MIGRATE_TO_DEV:
		return dmirror_chardev_migrate_in(op);
	case HMM_DMIRROR_MIGRATE_TO_SYS:
		return dmirror_chardev_moved(dmirror_op_migrate_out(op));
	case HMM_DMIRROR_SNAPSHOT:
		return dmirror_op_snapshot(op);
	case HMM_DMIRROR_EXCLUSIVE:
		return dmirror_chardev_exclusive(op);
	case HMM_DMIRROR_CHECK_EXCLUSIVE:
		return dmirror_chardev_check_exclusive(op);
	case HMM_DMIRROR_RELEASE:
		return dmirror_op_evict_all(op->client, &evicted);
	default:
		return -ENOIOCTLCMD;
	}
}

/* What the interface says when the mirrored process is gone. */
static int dmirror_chardev_no_mm(unsigned int command)
{
	switch (command) {
	case HMM_DMIRROR_READ:
	case HMM_DMIRROR_READ_UNLOCKED:
	case HMM_DMIRROR_WRITE:
		return -EFAULT;
	default:
		return -EINVAL;
	}
}

static long dmirror_chardev_ioctl(struct file *file, unsigned int command,
				  unsigned long arg)
{
	struct dmirror_op op = { .client = file->private_data, .strict = true };
	void __user *uarg = (void __user *)arg;
	struct hmm_dmirror_cmd cmd;
	int ret;

	if (copy_from_user(&cmd, uarg, sizeof(cmd)))
		return -EFAULT;
	if (command == HMM_DMIRROR_FLAGS) {
		ret = dmirror_chardev_flags(op.client, cmd.npages);
	} else {
		if (!dmirror_chardev_range(&cmd, &op))
			return -EINVAL;
		op.user = u64_to_user_ptr(cmd.ptr);
		ret = dmirror_chardev_command(command, &op);
	}
	/* Whatever it means to the caller, it is not our structure. */
	if (ret == -ENOIOCTLCMD)
		return -EINVAL;
	if (ret == -ESRCH)
		ret = dmirror_chardev_no_mm(command);

	cmd.cpages = op.done;
	cmd.faults = op.faults;
	if (copy_to_user(uarg, &cmd, sizeof(cmd)))
		return -EFAULT;
	return ret;
}

static int dmirror_chardev_fill(struct vm_area_struct *vma, unsigned long addr)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	int ret;

	if (!page)
		return -ENOMEM;
	/* The mapping takes a reference of its own. */
	ret = vm_insert_page(vma, addr, page);
	put_page(page);
	return ret;
}

/* Pages of memory that is not anonymous, for tests of such mappings. */
static int dmirror_chardev_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long addr;
	int ret = 0;

	if (vma->vm_end - vma->vm_start > DMIRROR_MMAP_MAX)
		return -EINVAL;
	compat_vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	for (addr = vma->vm_start; addr < vma->vm_end && !ret; addr += PAGE_SIZE)
		ret = dmirror_chardev_fill(vma, addr);
	return ret;
}

static const struct file_operations dmirror_chardev_fops = {
	.owner = THIS_MODULE,
	.open = dmirror_chardev_open,
	.release = dmirror_chardev_release,
	.unlocked_ioctl = dmirror_chardev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = dmirror_chardev_mmap,
};

int dmirror_chardev_add(struct dmirror_device *dev)
{
	dev_t devt = MKDEV(MAJOR(dmirror_devt), dev->id);
	int ret;

	if (dmirror_inject(NULL, DMIRROR_INJECT_NODE))
		return -ENOMEM;
	dev->cdev = cdev_alloc();
	if (!dev->cdev)
		return -ENOMEM;
	dev->cdev->owner = THIS_MODULE;
	dev->cdev->ops = &dmirror_chardev_fops;

	ret = cdev_add(dev->cdev, devt, 1);
	if (ret) {
		kobject_put(&dev->cdev->kobj);
		return ret;
	}

	dev->node = device_create(dmirror_class, dev->parent, devt, NULL,
				  DMIRROR_NAME "%u", dev->id);
	if (IS_ERR(dev->node)) {
		cdev_del(dev->cdev);
		return PTR_ERR(dev->node);
	}
	return 0;
}

void dmirror_chardev_del(struct dmirror_device *dev)
{
	device_destroy(dmirror_class, MKDEV(MAJOR(dmirror_devt), dev->id));
	cdev_del(dev->cdev);
}

int dmirror_chardev_module_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&dmirror_devt, 0, DMIRROR_MAX_DEVICES,
				  DMIRROR_REGION_NAME);
	if (ret)
		return ret;
	dmirror_class = compat_class_create(DMIRROR_NAME);
	if (IS_ERR(dmirror_class)) {
		unregister_chrdev_region(dmirror_devt, DMIRROR_MAX_DEVICES);
		return PTR_ERR(dmirror_class);
	}
	return 0;
}

void dmirror_chardev_module_exit(void)
{
	class_destroy(dmirror_class);
	unregister_chrdev_region(dmirror_devt, DMIRROR_MAX_DEVICES);
}
