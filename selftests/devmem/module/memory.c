// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of the test device, written against the historic operations
 * (free and fault) plus eviction.
 *
 * Owns: which pages of a region are idle, where the content of a page is (a
 * page of system memory stands in for memory the CPU cannot reach), migration
 * both ways.
 * Does not own: commands and the device (command.c, main.c).
 * Locks: dt_region.lock around the bitmap only; the free operation may run under
 * a page table lock.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/pfn.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "devmem_test.h"

#define DT_BATCH	64UL

static struct dt_region *devmem_region(struct hmm_devmem *devmem)
{
	return devmem->drvdata;
}

static bool reachable(const struct dt_region *region)
{
	return region->devmem->pagemap.type == MEMORY_DEVICE_COHERENT;
}

static unsigned long region_pages(const struct dt_region *region)
{
	return region->devmem->pfn_last - region->devmem->pfn_first;
}

/* Where the bytes of a device page are. */
static struct page *content(struct dt_region *region, struct page *page)
{
	if (reachable(region))
		return page;
	return (struct page *)hmm_devmem_page_get_drvdata(page);
}

static void release_content(struct dt_region *region, struct page *page)
{
	if (!reachable(region) && hmm_devmem_page_get_drvdata(page))
		__free_page(content(region, page));
	hmm_devmem_page_set_drvdata(page, 0);
}

static bool mark(struct dt_region *region, unsigned long offset,
		 unsigned long nr, bool busy)
{
	unsigned long flags;
	bool ok;

	spin_lock_irqsave(&region->lock, flags);
	ok = !busy ||
	     find_next_bit(region->busy, offset + nr, offset) >= offset + nr;
	if (ok && busy)
		bitmap_set(region->busy, offset, nr);
	else if (ok)
		bitmap_clear(region->busy, offset, nr);
	spin_unlock_irqrestore(&region->lock, flags);
	return ok;
}

struct page *dt_page_get(struct dt_region *region, unsigned long offset,
			 unsigned int order)
{
	struct hmm_devmem *devmem = region->devmem;
	unsigned long nr = 1UL << min(order, 20U);
	bool inside = offset < region_pages(region) &&
		      nr <= region_pages(region) - offset;
	struct page *page;

	/* Nonsense goes through: hmm_devmem_page_get() has to refuse it. */
	if (inside && !mark(region, offset, nr, true))
		return hmm_devmem_page_get(devmem, devmem->pfn_first + offset,
					   order);

	page = hmm_devmem_page_get(devmem, devmem->pfn_first + offset, order);
	if (!IS_ERR(page))
		hmm_devmem_page_set_drvdata(page, 0);
	else if (inside)
		mark(region, offset, nr, false);
	return page;
}

/* Any idle page with room for content. */
static struct page *take_page(struct dt_region *region)
{
	struct page *page, *backing = NULL;
	unsigned long offset;

	do {
		offset = find_first_zero_bit(region->busy,
					     region_pages(region));
		if (offset == region_pages(region))
			return NULL;
	} while (!mark(region, offset, 1, true));

	if (!reachable(region))
		backing = alloc_page(GFP_HIGHUSER);
	page = hmm_devmem_page_get(region->devmem,
				   region->devmem->pfn_first + offset, 0);
	if (IS_ERR(page) || (!backing && !reachable(region))) {
		if (backing)
			__free_page(backing);
		if (IS_ERR(page))
			mark(region, offset, 1, false);
		else
			hmm_devmem_page_put(page);
		return NULL;
	}
	hmm_devmem_page_set_drvdata(page, (unsigned long)backing);
	return page;
}

static void give_pages(struct hmm_devmem *devmem, struct page *head,
		       unsigned int order)
{
	struct dt_region *region = devmem_region(devmem);

	atomic_long_inc(&region->owner->free_calls);
	release_content(region, head);
	mark(region, page_to_pfn(head) - devmem->pfn_first, 1UL << order,
	     false);
}

static void dt_free(struct hmm_devmem *devmem, struct page *page)
{
	give_pages(devmem, page, 0);
}

/* One batch of a process's pages into the region. */
static long migrate_batch(struct dt_region *region, struct vm_area_struct *vma,
			  unsigned long start, unsigned long end)
{
	unsigned long src[DT_BATCH] = {}, dst[DT_BATCH] = {};
	struct migrate_vma args = {
		.vma = vma, .start = start, .end = end, .src = src, .dst = dst,
		.pgmap_owner = hmm_devmem_owner(region->devmem),
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
	};
	unsigned long i, n = (end - start) >> PAGE_SHIFT;
	long moved = 0;
	int ret;

	ret = migrate_vma_setup(&args);
	if (ret)
		return ret;

	for (i = 0; i < n; i++) {
		struct page *from = migrate_pfn_to_page(src[i]), *to;

		if (!(src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		to = take_page(region);
		if (!to)
			continue;
		if (from)
			copy_highpage(content(region, to), from);
		else
			clear_highpage(content(region, to));
		dst[i] = migrate_pfn(page_to_pfn(to)) |
			 (src[i] & MIGRATE_PFN_WRITE);
	}
	migrate_vma_pages(&args);
	for (i = 0; i < n; i++)
		moved += dst[i] && (src[i] & MIGRATE_PFN_MIGRATE);
	migrate_vma_finalize(&args);
	return moved;
}

long dt_migrate(struct dt_region *region, unsigned long addr,
		unsigned long npages)
{
	struct mm_struct *mm = current->mm;
	unsigned long end = addr + (npages << PAGE_SHIFT);
	struct vm_area_struct *vma;
	long moved = 0, ret = 0;

	if (!npages || npages > SZ_1M || end < addr || !PAGE_ALIGNED(addr))
		return -EINVAL;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (!vma || end > vma->vm_end)
		ret = -EFAULT;
	while (ret >= 0 && addr < end) {
		unsigned long next = min(addr + DT_BATCH * PAGE_SIZE, end);

		ret = migrate_batch(region, vma, addr, next);
		if (ret > 0)
			moved += ret;
		addr = next;
	}
	mmap_read_unlock(mm);
	return ret < 0 ? ret : moved;
}

/* The historic fault operation: this page back to system memory. */
static vm_fault_t dt_fault(struct hmm_devmem *devmem,
			   struct vm_area_struct *vma, unsigned long addr,
			   const struct page *page, unsigned int flags,
			   pmd_t *pmdp)
{
	struct dt_region *region = devmem_region(devmem);
	unsigned long src = 0, dst = 0;
	struct migrate_vma args = {
		.vma = vma, .src = &src, .dst = &dst,
		.start = addr & PAGE_MASK,
		.end = (addr & PAGE_MASK) + PAGE_SIZE,
		.pgmap_owner = hmm_devmem_owner(devmem),
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
		.fault_page = (struct page *)page,
	};
	vm_fault_t ret = xchg(&region->owner->fault_result, 0);
	struct page *to;

	atomic_long_inc(&region->owner->fault_calls);
	if (ret)
		return ret;
	if (migrate_vma_setup(&args))
		return VM_FAULT_SIGBUS;

	if (src & MIGRATE_PFN_MIGRATE) {
		to = hmm_vma_alloc_locked_page(vma, addr);
		if (to) {
			copy_highpage(to, content(region,
						  migrate_pfn_to_page(src)));
			dst = migrate_pfn(page_to_pfn(to));
		} else {
			ret = VM_FAULT_OOM;
		}
	}
	migrate_vma_pages(&args);
	migrate_vma_finalize(&args);
	return ret;
}

static void evict_batch(struct dt_region *region, unsigned long *src,
			unsigned long *dst, unsigned long pfn, unsigned long n)
{
	unsigned long i;

	memset(dst, 0, n * sizeof(*dst));
	migrate_device_range(src, pfn, n);
	for (i = 0; i < n; i++) {
		struct page *to, *from = migrate_pfn_to_page(src[i]);

		/* A page somebody merely holds has nothing to move. */
		if (!(src[i] & MIGRATE_PFN_MIGRATE) || !content(region, from))
			continue;
		to = alloc_page(GFP_HIGHUSER_MOVABLE);
		if (!to)
			continue;
		lock_page(to);
		copy_highpage(to, content(region, from));
		dst[i] = migrate_pfn(page_to_pfn(to)) |
			 (src[i] & MIGRATE_PFN_WRITE);
	}
	migrate_device_pages(src, dst, n);
	migrate_device_finalize(src, dst, n);
}

static void dt_evict(struct hmm_devmem *devmem)
{
	struct dt_region *region = devmem_region(devmem);
	unsigned long *src = kvcalloc(2 * DT_BATCH, sizeof(*src), GFP_KERNEL);
	unsigned long offset, pages = region_pages(region);
	struct page *page;

	atomic_long_inc(&region->owner->evict_calls);

	/* Teardown has begun: an idle page must not come into use any more. */
	offset = find_first_zero_bit(region->busy, pages);
	page = hmm_devmem_page_get(devmem, devmem->pfn_first + offset, 0);
	region->owner->dying_get = PTR_ERR_OR_ZERO(page);
	if (!IS_ERR(page))
		hmm_devmem_page_put(page);

	for (offset = 0; src && offset < pages; offset += DT_BATCH)
		evict_batch(region, src, src + DT_BATCH,
			    devmem->pfn_first + offset, DT_BATCH);
	kvfree(src);
}

static const struct hmm_devmem_ops dt_ops = {
	.free	= dt_free,
	.fault	= dt_fault,
	.evict	= dt_evict,
};

static const struct hmm_devmem_ops dt_folio_ops = {
	.free_folio	= give_pages,
	.fault		= dt_fault,
	.evict		= dt_evict,
};

static bool folio_ops;
module_param(folio_ops, bool, 0644);
MODULE_PARM_DESC(folio_ops, "use free_folio instead of free");

/* Nothing may use the region any more. */
void dt_forget(struct dt_region *region)
{
	vfree(region->busy);
	region->busy = NULL;
	region->devmem = NULL;
	region->owner = NULL;
}

static struct dt_region *empty_slot(struct dt_device *dt)
{
	int i;

	for (i = 0; i < DT_REGIONS; i++)
		if (!dt->regions[i].owner)
			return &dt->regions[i];
	return NULL;
}

static int fill_slot(struct dt_device *dt, struct dt_region *region,
		     struct hmm_devmem *devmem)
{
	region->busy = vzalloc(BITS_TO_LONGS(devmem->pfn_last -
					     devmem->pfn_first) *
			       sizeof(long));
	if (!region->busy) {
		hmm_devmem_remove(devmem);
		return -ENOMEM;
	}
	spin_lock_init(&region->lock);
	region->owner = dt;
	region->devmem = devmem;
	devmem->drvdata = region;
	return 0;
}

int dt_add_private(struct dt_device *dt, unsigned long size)
{
	struct dt_region *region = empty_slot(dt);
	struct hmm_devmem *devmem;

	if (!region)
		return -ENOSPC;
	devmem = hmm_devmem_add(folio_ops ? &dt_folio_ops : &dt_ops, dt->dev,
				size);
	if (IS_ERR(devmem))
		return PTR_ERR(devmem);
	return fill_slot(dt, region, devmem);
}

int dt_add_resource(struct dt_device *dt, u64 start, u64 size,
		    unsigned long desc)
{
	struct dt_region *region = empty_slot(dt);
	struct hmm_devmem *devmem;

	if (!region)
		return -ENOSPC;
	region->res = (struct resource){
		.start = start, .end = start + size - 1, .name = dt->name,
		.flags = IORESOURCE_MEM, .desc = desc,
	};
	devmem = hmm_devmem_add_resource(&dt_ops, dt->dev, &region->res);
	if (IS_ERR(devmem))
		return PTR_ERR(devmem);
	return fill_slot(dt, region, devmem);
}

/* Calls that have to be refused; a success is reported as -ENOTRECOVERABLE. */
int dt_add_bad(struct dt_device *dt, const char *kind)
{
	static const struct hmm_devmem_ops no_free = { .fault = dt_fault };
	static const struct hmm_devmem_ops no_fault = { .free = dt_free };
	static struct resource res = { .desc = HMM_DEVMEM_DESC_PUBLIC };
	struct hmm_devmem *devmem;

	if (!strcmp(kind, "noops"))
		devmem = hmm_devmem_add(NULL, dt->dev, SZ_128M);
	else if (!strcmp(kind, "nodev"))
		devmem = hmm_devmem_add(&dt_ops, NULL, SZ_128M);
	else if (!strcmp(kind, "nofree"))
		devmem = hmm_devmem_add(&no_free, dt->dev, SZ_128M);
	else if (!strcmp(kind, "nofault"))
		devmem = hmm_devmem_add(&no_fault, dt->dev, SZ_128M);
	else if (!strcmp(kind, "res-noops"))
		devmem = hmm_devmem_add_resource(NULL, dt->dev, &res);
	else if (!strcmp(kind, "res-nodev"))
		devmem = hmm_devmem_add_resource(&dt_ops, NULL, &res);
	else if (!strcmp(kind, "res-null"))
		devmem = hmm_devmem_add_resource(&dt_ops, dt->dev, NULL);
	else if (!strcmp(kind, "res-nofree"))
		devmem = hmm_devmem_add_resource(&no_free, dt->dev, &res);
	else
		return -EDOM;
	return IS_ERR(devmem) ? PTR_ERR(devmem) : -ENOTRECOVERABLE;
}
