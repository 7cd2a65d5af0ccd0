// SPDX-License-Identifier: GPL-2.0
/*
 * Counters and failure points in debugfs, below hmm_devmem/:
 *
 *   DEVICE@ADDRESS/stats   lines "name: value" for each region
 *   fail_step              write a step of enum hmm_devmem_step: the next region
 *                          that gets there fails with -ENOMEM, once
 *
 * Owns: these files. Does not own: the counters' meaning (devmem.h).
 * Locks: none; the counters are read one by one.
 */
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/seq_file.h>

#include "devmem.h"

static struct dentry *root;
static u32 fail_step;

/* One step fails once, even if several regions are added at a time. */
bool hmm_devmem_fail(enum hmm_devmem_step step)
{
	return cmpxchg(&fail_step, step, HMM_DEVMEM_STEP_NONE) == step;
}

static void show(struct seq_file *seq, const char *name, unsigned long value)
{
	seq_printf(seq, "%s: %lu\n", name, value);
}

static int stats_show(struct seq_file *seq, void *unused)
{
	struct hmm_devmem_region *region = seq->private;
	struct hmm_devmem *devmem = &region->pub;

	show(seq, "private", devmem->pagemap.type == MEMORY_DEVICE_PRIVATE);
	show(seq, "pfn_first", devmem->pfn_first);
	show(seq, "pages", devmem->pfn_last - devmem->pfn_first);
	show(seq, "in_use_pages", hmm_devmem_in_use(devmem));
	show(seq, "got_pages", atomic_long_read(&region->got));
	show(seq, "freed_pages", atomic_long_read(&region->freed));
	show(seq, "faults", atomic_long_read(&region->faults));
	show(seq, "fault_errors", atomic_long_read(&region->fault_errors));
	show(seq, "splits", atomic_long_read(&region->splits));
	show(seq, "evict_rounds", atomic_long_read(&region->evict_rounds));
	show(seq, "dying", READ_ONCE(region->dying));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

void hmm_devmem_debugfs_add(struct hmm_devmem_region *region)
{
	char name[64];

	snprintf(name, sizeof(name), "%s@%llx", region->name,
		 (u64)region->pub.pagemap.range.start);
	region->dir = debugfs_create_dir(name, root);
	debugfs_create_file("stats", 0444, region->dir, region, &stats_fops);
}

void hmm_devmem_debugfs_remove(struct hmm_devmem_region *region)
{
	debugfs_remove(region->dir);
}

void hmm_devmem_debugfs_init(void)
{
	root = debugfs_create_dir("hmm_devmem", NULL);
	debugfs_create_u32("fail_step", 0600, root, &fail_step);
}

void hmm_devmem_debugfs_exit(void)
{
	debugfs_remove(root);
}
