// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs.
 *
 *   stats	levels and counters, one "name: value" line each, pages
 *   blocks	the device memory: one line per 2 MiB block that is not free
 *   inject, sabotage	see inject.c
 *   queues	queues of jobs that were used: one line each
 *   plug, unplug	see hotplug.c; in the top directory only
 *
 * Locks: vram->lock, to read levels that belong together at one moment.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "debugfs.h"
#include "engine.h"
#include "types.h"

static struct dentry *dmirror_debugfs_root;

static int stats_show(struct seq_file *m, void *unused)
{
	struct dmirror_device *dev = m->private;
	struct dmirror_vram *vram = &dev->vram;
	unsigned long flags, nr_free, live, reserved, high;
	int i;

	spin_lock_irqsave(&vram->lock, flags);
	nr_free = vram->pool.nr_free;
	live = vram->pool.nr_live;
	reserved = vram->pool.nr_reserved;
	high = vram->pool.nr_live_max;
	spin_unlock_irqrestore(&vram->lock, flags);

	seq_printf(m, "vram_capacity_pages: %lu\n", vram->nr_pages);
	seq_printf(m, "vram_free_pages: %lu\n", nr_free);
	seq_printf(m, "vram_resident_pages: %lu\n", live);
	seq_printf(m, "vram_inflight_pages: %lu\n", reserved);
	seq_printf(m, "vram_high_pages: %lu\n", high);
	seq_printf(m, "clients: %d\n", atomic_read(&dev->clients));
	for (i = 0; i < DMIRROR_NR_STATS; i++)
		seq_printf(m, "%s: %llu\n", dmirror_stat_name(i),
			   dmirror_stat_read(&dev->stats, i));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int blocks_show(struct seq_file *m, void *unused)
{
	struct dmirror_device *dev = m->private;
	struct dmirror_vram *vram = &dev->vram;
	unsigned int i;

	for (i = 0; i < vram->pool.nr_blocks; i++) {
		const struct dmirror_block *block = &vram->pool.blocks[i];
		unsigned int nr_free = READ_ONCE(block->nr_free);
		unsigned int live = READ_ONCE(block->nr_live);

		if (nr_free == DMIRROR_BLOCK_PAGES)
			continue;
		seq_printf(m, "%u: free %u resident %u%s%s\n", i, nr_free, live,
			   READ_ONCE(block->lru.referenced) ? " referenced" : "",
			   READ_ONCE(block->isolated) ? " isolated" : "");
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(blocks);

static int queues_show(struct seq_file *m, void *unused)
{
	dmirror_engines_show(m->private, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queues);

void dmirror_debugfs_add(struct dmirror_device *dev)
{
	char name[12];

	snprintf(name, sizeof(name), "%u", dev->id);
	dev->debugfs = debugfs_create_dir(name, dmirror_debugfs_root);
	debugfs_create_file("stats", 0400, dev->debugfs, dev, &stats_fops);
	debugfs_create_file("blocks", 0400, dev->debugfs, dev, &blocks_fops);
	dmirror_inject_debugfs_add(dev, dev->debugfs);
	debugfs_create_file("queues", 0400, dev->debugfs, dev, &queues_fops);
}

void dmirror_debugfs_del(struct dmirror_device *dev)
{
	debugfs_remove_recursive(dev->debugfs);
	dev->debugfs = NULL;
}

struct dentry *dmirror_debugfs_module_init(void)
{
	dmirror_debugfs_root = debugfs_create_dir(DMIRROR_NAME, NULL);
	dmirror_inject_debugfs_add(NULL, dmirror_debugfs_root);
	return dmirror_debugfs_root;
}

void dmirror_debugfs_module_exit(void)
{
	debugfs_remove_recursive(dmirror_debugfs_root);
}
