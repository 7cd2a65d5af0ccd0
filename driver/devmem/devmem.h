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

/**
 * to_region() - from what drivers see to the whole
 * @devmem: the public part of a region
 *
 * Return: the region.
 */
static inline struct hmm_devmem_region *to_region(const struct hmm_devmem *devmem)
{
	return container_of(devmem, struct hmm_devmem_region, pub);
}

/**
 * pgmap_region() - from the kernel's view to the whole
 * @pgmap: a pagemap for which hmm_devmem_pagemap_ours() holds
 *
 * Return: the region.
 */
static inline struct hmm_devmem_region *
pgmap_region(const struct dev_pagemap *pgmap)
{
	return container_of(pgmap, struct hmm_devmem_region, pub.pagemap);
}

/**
 * hmm_devmem_use_end() - pages are idle again
 * @region: the region
 * @nr: how many
 *
 * Context: any; the driver's free operation has returned.
 */
void hmm_devmem_use_end(struct hmm_devmem_region *region, unsigned long nr);

/**
 * hmm_devmem_region_search() - find and claim unused physical addresses
 * @region: the region; its resource is set
 * @size: bytes, as the driver asked
 *
 * Return: 0; -EINVAL for a size that cannot be rounded up to a section;
 * -EOPNOTSUPP without CONFIG_DEVICE_PRIVATE; -ERANGE when there is no room;
 * -ENOMEM.
 */
int hmm_devmem_region_search(struct hmm_devmem_region *region,
			     unsigned long size);

/**
 * hmm_devmem_region_release() - give claimed addresses back
 * @region: a region from hmm_devmem_region_search(), not mapped
 */
void hmm_devmem_region_release(struct hmm_devmem_region *region);

/**
 * hmm_devmem_resource_check() - would the kernel take this resource quietly?
 * @res: the caller's resource
 *
 * Return: 0; -EINVAL for a wrong desc, an empty or misaligned range; -ERANGE
 * beyond physical address space; -ENXIO when any of it is system RAM.
 */
int hmm_devmem_resource_check(const struct resource *res);

/**
 * hmm_devmem_region_map() - give the addresses their pages
 * @region: the region, its resource set
 *
 * Context: process context, sleeps.
 * Return: 0; -EBUSY when another pagemap overlaps; what memremap_pages()
 * returned otherwise.
 */
int hmm_devmem_region_map(struct hmm_devmem_region *region);

/**
 * hmm_devmem_region_unmap() - take the pages away
 * @region: a mapped region of which no page is in use
 *
 * Context: process context, sleeps.
 */
void hmm_devmem_region_unmap(struct hmm_devmem_region *region);

/**
 * hmm_devmem_region_page() - page of a frame number
 * @region: the region
 * @pfn: first frame
 * @nr: frames, a power of two; @pfn must be a multiple
 *
 * Return: the page, or NULL when any of it lies outside or is misaligned.
 */
struct page *hmm_devmem_region_page(const struct hmm_devmem_region *region,
				    unsigned long pfn, unsigned long nr);

/**
 * hmm_devmem_pagemap_ops() - the callbacks for a kind of memory
 * @type: MEMORY_DEVICE_PRIVATE or MEMORY_DEVICE_COHERENT
 *
 * Return: the operations, constant.
 */
const struct dev_pagemap_ops *hmm_devmem_pagemap_ops(enum memory_type type);

/**
 * hmm_devmem_pagemap_ours() - is this the pagemap of a region?
 * @pgmap: any pagemap
 *
 * Return: true if pgmap_region() may be used on it.
 */
bool hmm_devmem_pagemap_ours(const struct dev_pagemap *pgmap);

/**
 * hmm_devmem_debugfs_init() - make the top directory
 */
void hmm_devmem_debugfs_init(void);

/**
 * hmm_devmem_debugfs_exit() - remove the top directory
 */
void hmm_devmem_debugfs_exit(void);

/**
 * hmm_devmem_debugfs_add() - make the directory of a region
 * @region: the region, ready for use
 */
void hmm_devmem_debugfs_add(struct hmm_devmem_region *region);

/**
 * hmm_devmem_debugfs_remove() - remove it
 * @region: the region
 */
void hmm_devmem_debugfs_remove(struct hmm_devmem_region *region);

/**
 * hmm_devmem_fail() - is this step to fail? (fault injection, debugfs)
 * @step: the step
 *
 * Return: true once after the step was asked to fail.
 */
bool hmm_devmem_fail(enum hmm_devmem_step step);

#endif /* HMM_DEVMEM_INTERNAL_H */
