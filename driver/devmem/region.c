// SPDX-License-Identifier: GPL-2.0
/*
 * Physical address space of the regions.
 *
 * Owns: finding and claiming the address range of memory the CPU cannot reach,
 * judging a caller's range, creating and destroying the pagemap, and the only
 * step from a page frame number to a struct page.
 * Does not own: lifetime and eviction (devmem.c); a caller's resource.
 * Locks: map_lock, so that the overlap check and the mapping are one step for
 * all regions of this module. It may be held for as long as memory hotplug
 * takes and is never taken by a driver's callback.
 */
#include <linux/err.h>
#include <linux/ioport.h>
#include <linux/memory_hotplug.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/sched.h>

#include "compat.h"
#include "devmem.h"

static DEFINE_MUTEX(map_lock);

/* Claim an unused range below the top of physical address space. */
int hmm_devmem_region_search(struct hmm_devmem_region *region,
			     unsigned long size)
{
	const unsigned long section = 1UL << PA_SECTION_SHIFT;
	struct resource *res;

	if (!size || size > ULONG_MAX - section + 1)
		return -EINVAL;
	if (!IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		return -EOPNOTSUPP;
	/* Some kernels lose their way when the size exceeds the space. */
	if (size > iomem_resource.end)
		return -ERANGE;

	res = request_free_mem_region(&iomem_resource, ALIGN(size, section),
				      region->name);
	if (IS_ERR(res))
		return PTR_ERR(res);

	region->pub.resource = res;
	return 0;
}

void hmm_devmem_region_release(struct hmm_devmem_region *region)
{
	struct resource *res = region->pub.resource;

	release_mem_region(res->start, resource_size(res));
	region->pub.resource = NULL;
}

/*
 * Everything memremap_pages() would refuse with a warning is refused here
 * without one: a bad argument is the driver's problem, not the kernel's.
 */
int hmm_devmem_resource_check(const struct resource *res)
{
	const unsigned long align = memremap_compat_align();

	if (res->end < res->start || !resource_size(res))
		return -EINVAL;
	if (!IS_ALIGNED(res->start, align) ||
	    !IS_ALIGNED(resource_size(res), align))
		return -EINVAL;
	if (res->end > iomem_resource.end || res->end >> MAX_PHYSMEM_BITS)
		return -ERANGE;
	if (region_intersects(res->start, resource_size(res),
			      IORESOURCE_SYSTEM_RAM, IORES_DESC_NONE) !=
	    REGION_DISJOINT)
		return -ENXIO;
	return 0;
}

/*
 * Pagemaps begin and end at subsections, so one look-up in each finds them all;
 * the kernel itself only looks at the two ends.
 */
static bool range_has_pagemap(const struct resource *res)
{
	unsigned long end = PFN_DOWN(res->end) + 1;
	unsigned long pfn;

	for (pfn = PFN_DOWN(res->start); pfn < end; pfn += PAGES_PER_SUBSECTION) {
		struct dev_pagemap *pgmap = compat_get_dev_pagemap(pfn);

		if (pgmap) {
			put_dev_pagemap(pgmap);
			return true;
		}
		cond_resched();
	}
	return false;
}

int hmm_devmem_region_map(struct hmm_devmem_region *region)
{
	struct hmm_devmem *devmem = &region->pub;
	struct dev_pagemap *pgmap = &devmem->pagemap;
	struct resource *res = devmem->resource;
	void *addr;

	pgmap->ops = hmm_devmem_pagemap_ops(pgmap->type);
	pgmap->owner = devmem;
	pgmap->nr_range = 1;
	pgmap->range.start = res->start;
	pgmap->range.end = res->end;

	mutex_lock(&map_lock);
	if (range_has_pagemap(res))
		addr = ERR_PTR(-EBUSY);
	else
		addr = memremap_pages(pgmap, dev_to_node(devmem->device));
	mutex_unlock(&map_lock);
	if (IS_ERR(addr))
		return PTR_ERR(addr);

	devmem->pfn_first = PFN_DOWN(res->start);
	devmem->pfn_last = PFN_DOWN(res->end) + 1;
	return 0;
}

/* No page is in use any more, so this does not wait for anybody's page. */
void hmm_devmem_region_unmap(struct hmm_devmem_region *region)
{
	mutex_lock(&map_lock);
	memunmap_pages(&region->pub.pagemap);
	mutex_unlock(&map_lock);
}

/* The first of @nr pages at @pfn, or NULL if the region has no such range. */
struct page *hmm_devmem_region_page(const struct hmm_devmem_region *region,
				    unsigned long pfn, unsigned long nr)
{
	const struct hmm_devmem *devmem = &region->pub;

	if (pfn < devmem->pfn_first || pfn >= devmem->pfn_last ||
	    nr > devmem->pfn_last - pfn || !IS_ALIGNED(pfn, nr))
		return NULL;
	return pfn_to_page(pfn);
}
