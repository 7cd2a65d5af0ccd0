// SPDX-License-Identifier: GPL-2.0
/*
 * The file /dev/devmem_testN: one write is one command, a read is the state.
 *
 *   private SIZE                  hmm_devmem_add()
 *   resource START SIZE DESC      hmm_devmem_add_resource()
 *   bad KIND                      a call that has to be refused
 *   remove SLOT                   hmm_devmem_remove()
 *   migrate SLOT ADDR NPAGES      pages of the writer into the region
 *   get SLOT OFFSET ORDER         take a page and keep it
 *   put                           give back every page kept
 *   lookup SLOT PFN               does this page frame belong to the region?
 *   faultresult BITS              the next fault operation returns this
 *
 * Owns: parsing, the pages kept. Does not own: memory (memory.c).
 * Locks: dt_device.lock, then dt_device.held_lock.
 */
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "devmem_test.h"

static struct dt_region *slot(struct dt_device *dt, unsigned int i)
{
	return i < DT_REGIONS && dt->regions[i].owner ? &dt->regions[i] : NULL;
}

static int keep(struct dt_device *dt, struct page *page)
{
	int i, ret = -ENOSPC;

	unlock_page(page);
	mutex_lock(&dt->held_lock);
	for (i = 0; ret && i < DT_HELD; i++) {
		if (!dt->held[i]) {
			dt->held[i] = page;
			ret = 0;
		}
	}
	mutex_unlock(&dt->held_lock);
	if (ret)
		put_page(page);
	return ret;
}

static int put_all(struct dt_device *dt)
{
	int i, n = 0;

	mutex_lock(&dt->held_lock);
	for (i = 0; i < DT_HELD; i++) {
		if (dt->held[i]) {
			put_page(dt->held[i]);
			dt->held[i] = NULL;
			n++;
		}
	}
	mutex_unlock(&dt->held_lock);
	return n ? 0 : -ENOENT;
}

static int cmd_get(struct dt_device *dt, struct dt_region *region,
		   unsigned long offset, unsigned int order)
{
	struct page *page = dt_page_get(region, offset, order);

	if (IS_ERR(page))
		return PTR_ERR(page);
	if (!PageLocked(page) || page_ref_count(page) != 1 ||
	    hmm_devmem_from_page(page) != region->devmem) {
		hmm_devmem_page_put(page);
		return -EBADMSG;
	}
	return keep(dt, page);
}

/* The kernel's look-up by number, and ours by page, must agree. */
static int cmd_lookup(struct dt_region *region, unsigned long pfn)
{
	struct dev_pagemap *pgmap = compat_get_dev_pagemap(pfn);
	struct hmm_devmem *found;

	if (!pgmap) {
		if (pfn_valid(pfn) && hmm_devmem_from_page(pfn_to_page(pfn)))
			return -EBADMSG;
		return -ENOENT;
	}
	found = hmm_devmem_from_page(pfn_to_page(pfn));
	put_dev_pagemap(pgmap);
	if (found != region->devmem)
		return pgmap == &region->devmem->pagemap ? -EBADMSG : -EXDEV;
	return pgmap == &region->devmem->pagemap ? 0 : -EBADMSG;
}

/* Changes the slots, so it wants the lock for writing. */
static int cmd_change(struct dt_device *dt, const char *cmd)
{
	unsigned long size, desc;
	u64 start, len;
	unsigned int i;
	char kind[16];

	if (sscanf(cmd, "private %lu", &size) == 1)
		return dt_add_private(dt, size);
	if (sscanf(cmd, "resource %llu %llu %lu", &start, &len, &desc) == 3)
		return dt_add_resource(dt, start, len, desc);
	if (sscanf(cmd, "bad %15s", kind) == 1)
		return dt_add_bad(dt, kind);
	if (sscanf(cmd, "remove %u", &i) == 1) {
		if (!slot(dt, i))
			return -ENOENT;
		hmm_devmem_remove(dt->regions[i].devmem);
		dt_forget(&dt->regions[i]);
		return 0;
	}
	return -ENOTTY;
}

static int cmd_use(struct dt_device *dt, const char *cmd)
{
	unsigned long addr, n;
	unsigned int i, order;
	long ret;

	if (sscanf(cmd, "migrate %u %lu %lu", &i, &addr, &n) == 3) {
		if (!slot(dt, i))
			return -ENOENT;
		ret = dt_migrate(slot(dt, i), addr, n);
		dt->moved = ret < 0 ? 0 : ret;
		return ret < 0 ? ret : 0;
	}
	if (sscanf(cmd, "get %u %lu %u", &i, &addr, &order) == 3)
		return slot(dt, i) ? cmd_get(dt, slot(dt, i), addr, order) :
				     -ENOENT;
	if (sscanf(cmd, "lookup %u %lu", &i, &addr) == 2)
		return slot(dt, i) ? cmd_lookup(slot(dt, i), addr) : -ENODATA;
	if (sscanf(cmd, "faultresult %u", &order) == 1) {
		WRITE_ONCE(dt->fault_result, order);
		return 0;
	}
	return -ENOTTY;
}

static int run(struct dt_device *dt, const char *cmd)
{
	int ret;

	/* Works on a dead device, too: its removal may be waiting for this. */
	if (!strcmp(cmd, "put"))
		return put_all(dt);

	down_write(&dt->lock);
	ret = dt->dead ? -ENODEV : cmd_change(dt, cmd);
	up_write(&dt->lock);
	if (ret != -ENOTTY)
		return ret;

	down_read(&dt->lock);
	ret = dt->dead ? -ENODEV : cmd_use(dt, cmd);
	up_read(&dt->lock);
	return ret;
}

static ssize_t dt_write(struct file *file, const char __user *ubuf, size_t len,
			loff_t *pos)
{
	struct dt_device *dt = file->private_data;
	char buf[128];
	int ret;

	if (len >= sizeof(buf))
		return -E2BIG;
	if (copy_from_user(buf, ubuf, len))
		return -EFAULT;
	buf[len] = 0;
	ret = run(dt, strim(buf));
	return ret ? ret : len;
}

static int print_state(struct dt_device *dt, char *buf, size_t size)
{
	int i, n = 0;

	n += scnprintf(buf + n, size - n, "moved: %lu\n", dt->moved);
	n += scnprintf(buf + n, size - n, "free_calls: %ld\n",
		       atomic_long_read(&dt->free_calls));
	n += scnprintf(buf + n, size - n, "fault_calls: %ld\n",
		       atomic_long_read(&dt->fault_calls));
	n += scnprintf(buf + n, size - n, "evict_calls: %ld\n",
		       atomic_long_read(&dt->evict_calls));
	n += scnprintf(buf + n, size - n, "dying_get: %ld\n", dt->dying_get);
	for (i = 0; i < DT_REGIONS; i++) {
		if (!slot(dt, i))
			continue;
		n += scnprintf(buf + n, size - n,
			       "first%d: %lu\nlast%d: %lu\nin_use%d: %lu\n",
			       i, dt->regions[i].devmem->pfn_first,
			       i, dt->regions[i].devmem->pfn_last,
			       i, hmm_devmem_in_use(dt->regions[i].devmem));
	}
	return n;
}

static ssize_t dt_read(struct file *file, char __user *ubuf, size_t len,
		       loff_t *pos)
{
	struct dt_device *dt = file->private_data;
	char buf[768];
	int n;

	down_read(&dt->lock);
	n = dt->dead ? -ENODEV : print_state(dt, buf, sizeof(buf));
	up_read(&dt->lock);
	return n < 0 ? n : simple_read_from_buffer(ubuf, len, pos, buf, n);
}

static int dt_open(struct inode *inode, struct file *file)
{
	struct dt_device *dt = container_of(file->private_data,
					    struct dt_device, misc);

	kref_get(&dt->ref);
	file->private_data = dt;
	return 0;
}

static int dt_close(struct inode *inode, struct file *file)
{
	struct dt_device *dt = file->private_data;

	kref_put(&dt->ref, dt_release);
	return 0;
}

const struct file_operations dt_fops = {
	.owner		= THIS_MODULE,
	.open		= dt_open,
	.release	= dt_close,
	.read		= dt_read,
	.write		= dt_write,
	.llseek		= default_llseek,
};
