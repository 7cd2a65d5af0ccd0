// SPDX-License-Identifier: GPL-2.0
/*
 * From the kernel's pagemap callbacks to the driver's operations.
 *
 * Owns: the two dev_pagemap_ops tables, which are also how a pagemap of ours is
 * told from a foreign one: nobody else can point at them.
 * Does not own: what the callbacks do; that is the driver's.
 * Locks: none. The free callback may run under a page table spinlock or in
 * softirq.
 */
#include "compat.h"
#include "devmem.h"

static void devmem_free(struct compat_freed *freed)
{
	struct page *head = compat_freed_page(freed);
	unsigned int order = compat_freed_order(freed);
	struct hmm_devmem_region *region = pgmap_region(compat_page_pgmap(head));
	const struct hmm_devmem_ops *ops = region->pub.ops;

	/*
	 * The driver may hand the page out again before its callback returns.
	 * What follows must not look at the page; the region is kept by the
	 * reference of the pagemap that the kernel drops after this.
	 */
	if (ops->free_folio)
		ops->free_folio(&region->pub, head, order);
	else
		ops->free(&region->pub, head);

	atomic_long_add(1L << order, &region->freed);
	hmm_devmem_use_end(region, 1UL << order);
}

static vm_fault_t devmem_migrate_to_ram(struct vm_fault *vmf)
{
	struct hmm_devmem_region *region =
		pgmap_region(compat_page_pgmap(vmf->page));
	const struct hmm_devmem_ops *ops = region->pub.ops;
	vm_fault_t ret;

	atomic_long_inc(&region->faults);
	if (ops->migrate_to_ram)
		ret = ops->migrate_to_ram(&region->pub, vmf);
	else
		ret = ops->fault(&region->pub, vmf->vma, vmf->address,
				 vmf->page, vmf->flags, vmf->pmd);
	if (ret & VM_FAULT_ERROR)
		atomic_long_inc(&region->fault_errors);
	return ret;
}

/* Having the callback switches the kernel's default off: do that part here. */
static void __maybe_unused devmem_split(struct folio *head,
					struct folio *tail)
{
	struct hmm_devmem_region *region =
		pgmap_region(compat_page_pgmap(&head->page));

	if (tail) {
		compat_folio_split_inherit(head, tail);
		atomic_long_inc(&region->splits);
	}
	if (region->pub.ops->split)
		region->pub.ops->split(&region->pub, head, tail);
}

static const struct dev_pagemap_ops devmem_private_ops = {
	.compat_free_op	= devmem_free,
	COMPAT_SPLIT_OP(devmem_split)
	.migrate_to_ram	= devmem_migrate_to_ram,
};

static const struct dev_pagemap_ops devmem_coherent_ops = {
	.compat_free_op	= devmem_free,
	COMPAT_SPLIT_OP(devmem_split)
};

const struct dev_pagemap_ops *hmm_devmem_pagemap_ops(enum memory_type type)
{
	return type == MEMORY_DEVICE_PRIVATE ? &devmem_private_ops :
					       &devmem_coherent_ops;
}

bool hmm_devmem_pagemap_ours(const struct dev_pagemap *pgmap)
{
	return pgmap->ops == &devmem_private_ops ||
	       pgmap->ops == &devmem_coherent_ops;
}
