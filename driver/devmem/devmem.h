/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of hmm_devmem.ko share. Not for drivers. */
#ifndef HMM_DEVMEM_INTERNAL_H
#define HMM_DEVMEM_INTERNAL_H

#include <linux/atomic.h>
#include <linux/container_of.h>

#include "hmm_devmem.h"

struct dentry;

/* Steps of adding a region, in order; each can be made to fail once. */
enum hmm_devmem_step {
	HMM_DEVMEM_STEP_NONE,
	HMM_DEVMEM_STEP_ALLOC,
	HMM_DEVMEM_STEP_SEARCH,
	HMM_DEVMEM_STEP_MAP,
	HMM_DEVMEM_STEP_MANAGE,
};

/**
 * struct hmm_devmem_region - a region with the parts drivers do not see
 * @in_use: pages between hmm_devmem_page_get() and the end of @free
 * @dying: teardown has begun; set once, see hmm_devmem_use_begin()
 * @got: pages ever taken into use
 * @freed: pages ever given back
 * @faults: CPU faults handed to the driver
 * @fault_errors: those the driver answered with an error
 * @splits: folios split off others
 * @evict_rounds: calls of the evict operation
 * @name: copy of the device's name, for /proc/iomem
 * @dir: debugfs directory
 * @pub: what drivers see; last, because its pagemap ends in an array
 */
struct hmm_devmem_region {
	atomic_long_t in_use;
	bool dying;
	atomic_long_t got;
	atomic_long_t freed;
	atomic_long_t faults;
	atomic_long_t fault_errors;
	atomic_long_t splits;
	atomic_long_t evict_rounds;
	char *name;
	struct dentry *dir;
	struct hmm_devmem pub;
};

static inline struct hmm_devmem_region *to_region(const struct hmm_devmem *devmem)
{
	return container_of(devmem, struct hmm_devmem_region, pub);
}

static inline struct hmm_devmem_region *
pgmap_region(const struct dev_pagemap *pgmap)
{
	return container_of(pgmap, struct hmm_devmem_region, pub.pagemap);
}

/* devmem.c */
void hmm_devmem_use_end(struct hmm_devmem_region *region, unsigned long nr);

/* region.c */
int hmm_devmem_region_search(struct hmm_devmem_region *region,
			     unsigned long size);
void hmm_devmem_region_release(struct hmm_devmem_region *region);
int hmm_devmem_resource_check(const struct resource *res);
int hmm_devmem_region_map(struct hmm_devmem_region *region);
void hmm_devmem_region_unmap(struct hmm_devmem_region *region);
struct page *hmm_devmem_region_page(const struct hmm_devmem_region *region,
				    unsigned long pfn, unsigned long nr);

/* pagemap_ops.c */
const struct dev_pagemap_ops *hmm_devmem_pagemap_ops(enum memory_type type);
bool hmm_devmem_pagemap_ours(const struct dev_pagemap *pgmap);

/* debugfs.c */
void hmm_devmem_debugfs_init(void);
void hmm_devmem_debugfs_exit(void);
void hmm_devmem_debugfs_add(struct hmm_devmem_region *region);
void hmm_devmem_debugfs_remove(struct hmm_devmem_region *region);
bool hmm_devmem_fail(enum hmm_devmem_step step);

#endif /* HMM_DEVMEM_INTERNAL_H */
