/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device memory as pages: hmm_devmem_add() and hmm_devmem_add_resource().
 *
 * A region gives every page of a device's memory a struct page, so that pages
 * of a process can migrate there and back. hmm_devmem_add() is for memory the
 * CPU cannot reach: it finds an unused range of physical addresses to number
 * the pages with, and a CPU access to such a page faults into the driver.
 * hmm_devmem_add_resource() is for memory the CPU can reach at the addresses
 * of a resource: the CPU keeps working on the page where it is.
 *
 * The regions belong to a struct device and go away with it: when the driver is
 * unbound, after its remove method, a region stops handing out pages, asks the
 * driver to evict those in use until none is left, and only then unmaps.
 *
 * Documentation/hmm-devmem.rst has the rules and a minimal driver.
 */
#ifndef HMM_DEVMEM_H
#define HMM_DEVMEM_H

#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>

struct device;
struct hmm_devmem;

/*
 * Value of resource.desc that hmm_devmem_add_resource() insists on. It lies
 * outside the kernel's enum on purpose: no resource the kernel itself made
 * carries it, so a driver has to say in a resource of its own that it means to
 * hand these addresses over. (The historic value, 7, means something else now.)
 */
#define HMM_DEVMEM_DESC_PUBLIC		0x48444d50UL

#ifndef IORES_DESC_DEVICE_PUBLIC_MEMORY
#define IORES_DESC_DEVICE_PUBLIC_MEMORY	HMM_DEVMEM_DESC_PUBLIC
#endif

/**
 * struct hmm_devmem_ops - what a driver does for its device memory
 * @free: the last reference to a page is gone and the driver owns it again.
 *	Only called for single pages. May be called under a page table spinlock,
 *	and for CPU-reachable memory from softirq: it must not sleep.
 * @fault: a process touched @addr, whose page is in unreachable memory. Migrate
 *	at least that page back to system memory; pass @page on as
 *	migrate_vma.fault_page. @page is referenced, and locked where the kernel
 *	locks it. Called with the mmap lock held for reading, may sleep. Returns
 *	0, or VM_FAULT_SIGBUS if the device lost the data, or VM_FAULT_OOM.
 * @free_folio: as @free for 1 << order pages beginning at @head; called instead
 *	of @free when set. Required for orders above 0.
 * @migrate_to_ram: as @fault with the kernel's own argument; called instead of
 *	@fault when set. vmf->pte is NULL when a whole PMD is to come back: no less
 *	of it can be moved then.
 * @split: optional. A device folio is being split and @tail, now a folio of its
 *	own, came out of it; pass on what the driver keeps per page. @tail is NULL
 *	when the split is complete and @head has its final order. May not sleep.
 * @evict: teardown, or hmm_devmem_remove(): move the pages in use out of the
 *	region. Called again and again, in process context, until no page is in
 *	use; one pass need not get them all. Without it teardown waits for the
 *	processes to give the pages up.
 *
 * Memory the CPU cannot reach needs @fault or @migrate_to_ram, and both kinds
 * need @free or @free_folio.
 */
struct hmm_devmem_ops {
	void (*free)(struct hmm_devmem *devmem, struct page *page);
	vm_fault_t (*fault)(struct hmm_devmem *devmem,
			    struct vm_area_struct *vma, unsigned long addr,
			    const struct page *page, unsigned int flags,
			    pmd_t *pmdp);
	void (*free_folio)(struct hmm_devmem *devmem, struct page *head,
			   unsigned int order);
	vm_fault_t (*migrate_to_ram)(struct hmm_devmem *devmem,
				     struct vm_fault *vmf);
	void (*split)(struct hmm_devmem *devmem, struct folio *head,
		      struct folio *tail);
	void (*evict)(struct hmm_devmem *devmem);
};

/**
 * struct hmm_devmem - a region of device memory
 * @pfn_first: first page frame number
 * @pfn_last: page frame number after the last one (the end is exclusive)
 * @resource: the physical addresses: found by hmm_devmem_add(), or the
 *	caller's
 * @device: the device the region belongs to
 * @ops: the driver's operations
 * @drvdata: the driver's, NULL at first, never looked at here
 * @pagemap: the kernel's view of the region
 */
struct hmm_devmem {
	unsigned long pfn_first;
	unsigned long pfn_last;
	struct resource *resource;
	struct device *device;
	const struct hmm_devmem_ops *ops;
	void *drvdata;
	struct dev_pagemap pagemap;
};

/**
 * hmm_devmem_add - add memory the CPU cannot reach
 * @ops: the driver's operations; must stay valid as long as the region
 * @device: the device the region belongs to; its name shows in /proc/iomem
 * @size: bytes, rounded up to a memory section (128 MiB on x86-64)
 *
 * Nothing is left behind by a failure.
 *
 * Context: Process context, may sleep; the driver is bound to @device or about
 * to be (this is a managed resource of the device).
 * Return: the region, never NULL, or an ERR_PTR: -EINVAL for a NULL argument,
 * missing operations, @size 0 or too big to be rounded up; -ERANGE when there
 * is no unused physical address range of that size; -EBUSY when the range found
 * overlaps somebody's unclaimed pagemap; -ENOMEM; -EOPNOTSUPP when the kernel
 * is built without CONFIG_DEVICE_PRIVATE.
 */
struct hmm_devmem *hmm_devmem_add(const struct hmm_devmem_ops *ops,
				  struct device *device, unsigned long size);

/**
 * hmm_devmem_add_resource - add memory the CPU can reach
 * @ops: the driver's operations; must stay valid as long as the region
 * @device: the device the region belongs to
 * @res: the physical addresses, with desc HMM_DEVMEM_DESC_PUBLIC. The caller
 *	keeps it, owns the addresses and must keep both as long as the region.
 *
 * Nothing is left behind by a failure, and no bad argument makes the kernel
 * warn.
 *
 * Context: as hmm_devmem_add().
 * Return: the region, never NULL, or an ERR_PTR: -EINVAL for a NULL argument, a
 * different desc, missing operations, an empty resource or one whose ends are
 * not multiples of the subsection size (2 MiB on x86-64); -ERANGE beyond the
 * end of physical address space; -ENXIO when any of it is system RAM; -EBUSY
 * when it overlaps another pagemap; -ENOMEM.
 */
struct hmm_devmem *hmm_devmem_add_resource(const struct hmm_devmem_ops *ops,
					   struct device *device,
					   struct resource *res);

/**
 * hmm_devmem_remove - remove a region before its device goes away
 * @devmem: the region; gone on return
 *
 * Does what unbinding the device would do: no new pages, eviction until no page
 * is in use, unmapping. It waits as long as it takes.
 *
 * Context: Process context, may sleep; holds no lock that @ops->evict,
 * @ops->free or a fault of a process on a page of the region needs.
 */
void hmm_devmem_remove(struct hmm_devmem *devmem);

/**
 * hmm_devmem_page_get - take an idle page into use
 * @devmem: the region; must not have been removed
 * @pfn: first page frame number
 * @order: 1 << @order pages; above 0 only where the kernel can migrate large
 *	folios, for memory the CPU cannot reach, up to the size of a PMD and with
 *	@ops->free_folio
 *
 * Which pages are idle is the driver's to know: a page is idle at first, and
 * from the moment @ops->free or @ops->free_folio is called for it.
 *
 * Context: Process context, may sleep (takes the page lock).
 * Return: the page, locked and with one reference, ready to be the destination
 * of a migration; or an ERR_PTR: -EINVAL for a range outside the region, not
 * aligned to @order or an order that cannot be; -EBUSY for a page in use;
 * -ENODEV once the teardown of the region has begun.
 */
struct page *hmm_devmem_page_get(struct hmm_devmem *devmem, unsigned long pfn,
				 unsigned int order);

/**
 * hmm_devmem_page_put - give back a page that was not needed after all
 * @page: the page as returned by hmm_devmem_page_get(), still locked
 *
 * Unlocks and drops the reference; @ops->free or @ops->free_folio follows at
 * once unless somebody else holds one.
 *
 * Context: Any in which @ops->free may run.
 */
void hmm_devmem_page_put(struct page *page);

/**
 * hmm_devmem_from_page - the region a page belongs to
 * @page: any page with a reference, or NULL
 *
 * Context: Any.
 * Return: the region, or NULL for system memory and for device memory of
 * somebody else.
 */
struct hmm_devmem *hmm_devmem_from_page(const struct page *page);

/**
 * hmm_devmem_in_use - how many pages are in use
 * @devmem: the region
 *
 * A page counts from hmm_devmem_page_get() until @ops->free has returned.
 *
 * Context: Any.
 * Return: the number of pages; exact when nothing is in flight.
 */
unsigned long hmm_devmem_in_use(const struct hmm_devmem *devmem);

/**
 * hmm_vma_alloc_locked_page - allocate a page to migrate to
 * @vma: the mapping
 * @addr: address the page is meant for
 *
 * Context: Process context, mmap lock held, may sleep.
 * Return: a locked page of system memory by the policy of @vma, or NULL.
 */
struct page *hmm_vma_alloc_locked_page(struct vm_area_struct *vma,
				       unsigned long addr);

/**
 * hmm_devmem_owner - the value that says "mine" to the kernel
 * @devmem: the region
 *
 * For migrate_vma.pgmap_owner and hmm_range.dev_private_owner. No two regions
 * have the same.
 *
 * Context: Any.
 * Return: an opaque pointer.
 */
static inline void *hmm_devmem_owner(const struct hmm_devmem *devmem)
{
	return devmem->pagemap.owner;
}

/**
 * hmm_devmem_page_set_drvdata - attach a value to a page
 * @page: a page of a region; the first one if it is part of a large folio
 * @data: the value; kept while the page is idle, too, but lost by a page that
 *	becomes part of a large folio without being its first
 *
 * Context: Any; the driver serialises.
 */
static inline void hmm_devmem_page_set_drvdata(struct page *page,
					       unsigned long data)
{
	page->zone_device_data = (void *)data;
}

/**
 * hmm_devmem_page_get_drvdata - the value attached to a page
 * @page: a page of a region; the first one if it is part of a large folio
 *
 * Context: Any; the driver serialises.
 * Return: what hmm_devmem_page_set_drvdata() stored.
 */
static inline unsigned long hmm_devmem_page_get_drvdata(const struct page *page)
{
	return (unsigned long)page->zone_device_data;
}

#endif /* HMM_DEVMEM_H */
