// SPDX-License-Identifier: GPL-2.0
/*
 * Character devices.
 *
 * Owns the node, the open file and the shape of its commands; everything a
 * command does is in ops.c. A file serves the address space of the process that
 * opened it, also when a child or another process uses it.
 *
 * Locks: dmirror_table_lock for the table of bound devices.
 */
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <hmm_dmirror/test_hmm.h>

#include "chardev.h"
#include "compat.h"
#include "device.h"
#include "mirror.h"
#include "ops.h"

/* Scripts find the major number by this name; it is part of the interface. */
#define DMIRROR_REGION_NAME	"HMM_DMIRROR"

/* mmap() fills the mapping at once, so it must not be large. */
#define DMIRROR_MMAP_MAX	SZ_16M

static dev_t dmirror_devt;
static struct class *dmirror_class;

static DEFINE_MUTEX(dmirror_table_lock);
/* Bound devices by minor, protected by dmirror_table_lock. */
static struct dmirror_device *dmirror_table[DMIRROR_MAX_DEVICES];

static struct dmirror_device *dmirror_chardev_lookup(unsigned int minor)
{
	struct dmirror_device *dev = NULL;

	mutex_lock(&dmirror_table_lock);
	if (minor < DMIRROR_MAX_DEVICES && dmirror_table[minor])
		dev = dmirror_device_get(dmirror_table[minor]);
	mutex_unlock(&dmirror_table_lock);
	return dev;
}

static int dmirror_chardev_open(struct inode *inode, struct file *file)
{
	struct dmirror_client *client;
	int ret = -ENXIO;

	if (!current->mm)
		return -EINVAL;
	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return -ENOMEM;
	client->dev = dmirror_chardev_lookup(iminor(inode));
	if (!client->dev)
		goto out_free;

	ret = dmirror_mirror_init(client);
	if (ret)
		goto out_put;
	atomic_inc(&client->dev->clients);
	file->private_data = client;
	return 0;

out_put:
	dmirror_device_put(client->dev);
out_free:
	kfree(client);
	return ret == -EINTR ? -ERESTARTSYS : ret;
}

static int dmirror_chardev_release(struct inode *inode, struct file *file)
{
	struct dmirror_client *client = file->private_data;

	dmirror_mirror_fini(client);
	atomic_dec(&client->dev->clients);
	dmirror_device_put(client->dev);
	kfree(client);
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

static int dmirror_chardev_command(unsigned int command, struct dmirror_op *op)
{
	switch (command) {
	case HMM_DMIRROR_READ:
	case HMM_DMIRROR_READ_UNLOCKED:
		return dmirror_op_read(op);
	case HMM_DMIRROR_WRITE:
		return dmirror_op_write(op);
	case HMM_DMIRROR_MIGRATE_TO_DEV:
		return dmirror_op_migrate_in(op);
	case HMM_DMIRROR_MIGRATE_TO_SYS:
		return dmirror_op_migrate_out(op);
	case HMM_DMIRROR_SNAPSHOT:
		return dmirror_op_snapshot(op);
	case HMM_DMIRROR_EXCLUSIVE:
		return dmirror_op_exclusive(op);
	case HMM_DMIRROR_CHECK_EXCLUSIVE:
		return dmirror_op_check_exclusive(op);
	case HMM_DMIRROR_RELEASE:
		return dmirror_op_evict_all(op->client);
	default:
		return -EINVAL;
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
	struct dmirror_op op = { .client = file->private_data };
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

static void dmirror_chardev_publish(unsigned int id, struct dmirror_device *dev)
{
	mutex_lock(&dmirror_table_lock);
	dmirror_table[id] = dev;
	mutex_unlock(&dmirror_table_lock);
}

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

	dmirror_chardev_publish(dev->id, dev);
	ret = cdev_add(dev->cdev, devt, 1);
	if (ret) {
		kobject_put(&dev->cdev->kobj);
		goto out_unpublish;
	}

	dev->node = device_create(dmirror_class, dev->parent, devt, NULL,
				  DMIRROR_NAME "%u", dev->id);
	if (IS_ERR(dev->node)) {
		ret = PTR_ERR(dev->node);
		goto out_del;
	}
	return 0;

out_del:
	cdev_del(dev->cdev);
out_unpublish:
	dmirror_chardev_publish(dev->id, NULL);
	return ret;
}

void dmirror_chardev_del(struct dmirror_device *dev)
{
	dmirror_chardev_publish(dev->id, NULL);
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
