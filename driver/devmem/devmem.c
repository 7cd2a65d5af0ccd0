// SPDX-License-Identifier: GPL-2.0
/*
 * Lifetime of the regions and of the pages in them; the module.
 *
 * Owns: adding, removing, the managed-resource action, the count of pages in
 * use and the decision that no page may come into use any more.
 * Does not own: physical addresses and the pagemap (region.c), what happens to
 * a page's content (the driver).
 * Locks: none. A page comes into use and teardown begins without a lock, see
 * use_begin().
 * Limit: a driver must not call in with a region it removed; it learns from its
 * own remove method that it may not.
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "compat.h"
#include "devmem.h"
#include "hmm_version.h"

#define EVICT_PAUSE_MS		10
#define EVICT_REPORT_SECS	10

/* Migration knows nothing above a PMD. */
#define MAX_DEVMEM_ORDER	(PMD_SHIFT - PAGE_SHIFT)

/*
 * A page may not come into use after teardown has seen the count at 0. Both
 * sides write first and look second, with a full barrier between: either we see
 * that teardown has begun, or teardown sees our pages.
 */
static bool use_begin(struct hmm_devmem_region *region, unsigned long nr)
{
	atomic_long_add(nr, &region->in_use);
	smp_mb__after_atomic();		/* pairs with the one in drain() */
	if (!READ_ONCE(region->dying))
		return true;
	atomic_long_sub(nr, &region->in_use);
	return false;
}

void hmm_devmem_use_end(struct hmm_devmem_region *region, unsigned long nr)
{
	/* Release: the driver is done with the pages before the count says so. */
	atomic_long_sub_return_release(nr, &region->in_use);
}

/* Wait until no page is in use, and see to it that it comes to that. */
static void drain(struct hmm_devmem_region *region)
{
	struct hmm_devmem *devmem = &region->pub;
	unsigned long report = jiffies + EVICT_REPORT_SECS * HZ;

	WRITE_ONCE(region->dying, true);
	smp_mb();			/* pairs with the one in use_begin() */

	while (atomic_long_read_acquire(&region->in_use)) {
		if (devmem->ops->evict) {
			atomic_long_inc(&region->evict_rounds);
			devmem->ops->evict(devmem);
			if (!hmm_devmem_in_use(devmem))
				break;
		}
		if (time_after(jiffies, report)) {
			dev_warn(devmem->device,
				 "waiting for %lu device pages still in use\n",
				 hmm_devmem_in_use(devmem));
			report = jiffies + EVICT_REPORT_SECS * HZ;
		}
		msleep(EVICT_PAUSE_MS);
	}
}

static void region_free(struct hmm_devmem_region *region)
{
	kfree(region->name);
	kfree(region);
}

/* The managed-resource action: everything, in the only order that works. */
static void region_teardown(void *data)
{
	struct hmm_devmem_region *region = data;
	bool claimed = region->pub.pagemap.type == MEMORY_DEVICE_PRIVATE;

	drain(region);
	hmm_devmem_debugfs_remove(region);
	hmm_devmem_region_unmap(region);
	if (claimed)
		hmm_devmem_region_release(region);
	region_free(region);
}

static bool ops_valid(const struct hmm_devmem_ops *ops, enum memory_type type)
{
	if (!ops || !(ops->free || ops->free_folio))
		return false;
	return type != MEMORY_DEVICE_PRIVATE ||
	       ops->fault || ops->migrate_to_ram;
}

static struct hmm_devmem_region *region_alloc(const struct hmm_devmem_ops *ops,
					      struct device *device,
					      enum memory_type type)
{
	struct hmm_devmem_region *region;

	if (hmm_devmem_fail(HMM_DEVMEM_STEP_ALLOC))
		return NULL;

	region = compat_kzalloc_obj(*region);
	if (!region)
		return NULL;

	region->name = kstrdup(dev_name(device), GFP_KERNEL);
	if (!region->name) {
		kfree(region);
		return NULL;
	}

	region->pub.ops = ops;
	region->pub.device = device;
	region->pub.pfn_first = -1UL;
	region->pub.pfn_last = -1UL;
	region->pub.pagemap.type = type;
	return region;
}

/* Map a region whose addresses are settled and tie it to its device. */
static int region_publish(struct hmm_devmem_region *region)
{
	int ret;

	if (hmm_devmem_fail(HMM_DEVMEM_STEP_MAP))
		return -ENOMEM;

	ret = hmm_devmem_region_map(region);
	if (ret)
		return ret;

	if (hmm_devmem_fail(HMM_DEVMEM_STEP_MANAGE))
		ret = -ENOMEM;
	else
		ret = devm_add_action(region->pub.device, region_teardown,
				      region);
	if (ret) {
		hmm_devmem_region_unmap(region);
		return ret;
	}

	hmm_devmem_debugfs_add(region);
	return 0;
}

struct hmm_devmem *hmm_devmem_add(const struct hmm_devmem_ops *ops,
				  struct device *device, unsigned long size)
{
	struct hmm_devmem_region *region;
	int ret;

	if (!device || !ops_valid(ops, MEMORY_DEVICE_PRIVATE))
		return ERR_PTR(-EINVAL);

	region = region_alloc(ops, device, MEMORY_DEVICE_PRIVATE);
	if (!region)
		return ERR_PTR(-ENOMEM);

	ret = hmm_devmem_fail(HMM_DEVMEM_STEP_SEARCH) ? -ENOMEM :
	      hmm_devmem_region_search(region, size);
	if (ret)
		goto out_free;

	ret = region_publish(region);
	if (ret)
		goto out_release;
	return &region->pub;

out_release:
	hmm_devmem_region_release(region);
out_free:
	region_free(region);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(hmm_devmem_add);

struct hmm_devmem *hmm_devmem_add_resource(const struct hmm_devmem_ops *ops,
					   struct device *device,
					   struct resource *res)
{
	struct hmm_devmem_region *region;
	int ret;

	if (!res || res->desc != HMM_DEVMEM_DESC_PUBLIC)
		return ERR_PTR(-EINVAL);
	if (!device || !ops_valid(ops, MEMORY_DEVICE_COHERENT))
		return ERR_PTR(-EINVAL);

	ret = hmm_devmem_resource_check(res);
	if (ret)
		return ERR_PTR(ret);

	region = region_alloc(ops, device, MEMORY_DEVICE_COHERENT);
	if (!region)
		return ERR_PTR(-ENOMEM);

	region->pub.resource = res;
	ret = region_publish(region);
	if (ret) {
		region_free(region);
		return ERR_PTR(ret);
	}
	return &region->pub;
}
EXPORT_SYMBOL_GPL(hmm_devmem_add_resource);

void hmm_devmem_remove(struct hmm_devmem *devmem)
{
	devm_release_action(devmem->device, region_teardown, to_region(devmem));
}
EXPORT_SYMBOL_GPL(hmm_devmem_remove);

static bool order_possible(const struct hmm_devmem *devmem, unsigned int order)
{
	if (!order)
		return true;
	return COMPAT_LARGE_FOLIOS && order <= MAX_DEVMEM_ORDER &&
	       devmem->ops->free_folio &&
	       devmem->pagemap.type == MEMORY_DEVICE_PRIVATE;
}

/*
 * An idle page has no reference, but neither has a later page of a large folio.
 * What was one once keeps pointing at its former head, which may be anything
 * by now: only a head in use that still reaches this far counts.
 */
static bool page_idle(struct page *page)
{
	struct folio *folio = page_folio(page);

	if (page_ref_count(page))
		return false;
	if (!PageTail(page) || !folio_ref_count(folio))
		return true;
	return page_to_pfn(page) - folio_pfn(folio) >= folio_nr_pages(folio);
}

/* A driver that is wrong about its idle pages is told so, not crashed. */
static bool pages_idle(struct page *page, unsigned long nr)
{
	unsigned long i;

	for (i = 0; i < nr; i++)
		if (!page_idle(page + i))
			return false;
	return true;
}

struct page *hmm_devmem_page_get(struct hmm_devmem *devmem, unsigned long pfn,
				 unsigned int order)
{
	struct hmm_devmem_region *region = to_region(devmem);
	unsigned long nr;
	struct page *page;

	if (!order_possible(devmem, order))
		return ERR_PTR(-EINVAL);

	nr = 1UL << order;
	page = hmm_devmem_region_page(region, pfn, nr);
	if (!page)
		return ERR_PTR(-EINVAL);

	if (!use_begin(region, nr))
		return ERR_PTR(-ENODEV);

	if (!pages_idle(page, nr)) {
		hmm_devmem_use_end(region, nr);
		return ERR_PTR(-EBUSY);
	}

	compat_zone_device_page_init(page, &devmem->pagemap, order);
	atomic_long_add(nr, &region->got);
	return page;
}
EXPORT_SYMBOL_GPL(hmm_devmem_page_get);

void hmm_devmem_page_put(struct page *page)
{
	unlock_page(page);
	put_page(page);
}
EXPORT_SYMBOL_GPL(hmm_devmem_page_put);

struct hmm_devmem *hmm_devmem_from_page(const struct page *page)
{
	struct dev_pagemap *pgmap;

	if (!page || !is_zone_device_page(page))
		return NULL;

	pgmap = compat_page_pgmap(page);
	if (!pgmap || !hmm_devmem_pagemap_ours(pgmap))
		return NULL;
	return &pgmap_region(pgmap)->pub;
}
EXPORT_SYMBOL_GPL(hmm_devmem_from_page);

unsigned long hmm_devmem_in_use(const struct hmm_devmem *devmem)
{
	return atomic_long_read_acquire(&to_region(devmem)->in_use);
}
EXPORT_SYMBOL_GPL(hmm_devmem_in_use);

struct page *hmm_vma_alloc_locked_page(struct vm_area_struct *vma,
				       unsigned long addr)
{
	struct folio *folio = compat_vma_alloc_folio(GFP_HIGHUSER_MOVABLE, 0,
						     vma, addr);

	if (!folio)
		return NULL;
	folio_lock(folio);
	return folio_page(folio, 0);
}
EXPORT_SYMBOL_GPL(hmm_vma_alloc_locked_page);

static int __init hmm_devmem_init(void)
{
	hmm_devmem_debugfs_init();
	if (!IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		pr_info("hmm_devmem: this kernel lacks CONFIG_DEVICE_PRIVATE: memory the CPU cannot reach is not available\n");
	return 0;
}

static void __exit hmm_devmem_exit(void)
{
	hmm_devmem_debugfs_exit();
}

module_init(hmm_devmem_init);
module_exit(hmm_devmem_exit);

MODULE_DESCRIPTION("Device memory regions: hmm_devmem_add() and hmm_devmem_add_resource()");
MODULE_LICENSE("GPL");
MODULE_VERSION(HMM_VERSION);
MODULE_INFO(test, "Y");
