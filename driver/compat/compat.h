/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One face for many kernels.
 *
 * The probes beside this file say what the kernel offers; this header turns
 * their answers into functions and constants with names of our own. It is the
 * only place that looks at HAVE_*: code elsewhere calls compat_*() and never
 * asks which kernel it runs on.
 */
#ifndef HMM_COMPAT_H
#define HMM_COMPAT_H

#include <linux/dcache.h>
#include <linux/device/class.h>
#include <linux/err.h>
#include <linux/fault-inject.h>
#include <linux/gfp.h>
#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/oom.h>
#include <linux/pagemap.h>
#include <linux/platform_device.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

/*
 * Large folios: constants are 0 where the kernel has none, so that they can be
 * or-ed in anywhere; COMPAT_LARGE_FOLIOS says whether asking makes sense.
 */
#ifdef HAVE_MIGRATE_COMPOUND
#define COMPAT_MIGRATE_SELECT_COMPOUND	MIGRATE_VMA_SELECT_COMPOUND
#define COMPAT_MIGRATE_PFN_COMPOUND	MIGRATE_PFN_COMPOUND
#else
#define COMPAT_MIGRATE_SELECT_COMPOUND	0
#define COMPAT_MIGRATE_PFN_COMPOUND	0
#endif

#if defined(HAVE_MIGRATE_COMPOUND) && defined(HAVE_FOLIO_FREE_OP) && \
	defined(HAVE_FOLIO_SPLIT_OP) && \
	defined(HAVE_ZONE_DEVICE_PAGE_INIT_ORDER) && \
	(defined(CONFIG_ARCH_ENABLE_THP_MIGRATION) || \
	 defined(CONFIG_ARCH_HAS_PMD_SOFTLEAVES))
#define COMPAT_LARGE_FOLIOS	1
#else
#define COMPAT_LARGE_FOLIOS	0
#endif

/**
 * compat_page_pgmap - the pagemap a zone device page belongs to
 * @page: any page for which is_zone_device_page() holds
 *
 * Context: Any. The pagemap is only stable while the caller keeps the region
 * alive, for instance by a reference to the page.
 * Return: the pagemap.
 */
static inline struct dev_pagemap *compat_page_pgmap(const struct page *page)
{
#ifdef HAVE_PAGE_PGMAP
	return page_pgmap(page);
#else
	return compound_head(page)->pgmap;
#endif
}

/**
 * compat_get_dev_pagemap - look up the live pagemap of a page frame
 * @pfn: page frame number
 *
 * Context: Any.
 * Return: the pagemap with a reference for put_dev_pagemap(), or NULL when
 * there is none or it is going away.
 */
static inline struct dev_pagemap *compat_get_dev_pagemap(unsigned long pfn)
{
#ifdef HAVE_GET_DEV_PAGEMAP_PFN
	return get_dev_pagemap(pfn);
#else
	return get_dev_pagemap(pfn, NULL);
#endif
}

/**
 * compat_zone_device_page_init - make an idle device page live
 * @page: first of 1 << @order idle pages
 * @pgmap: the pagemap they belong to; it must not be going away
 * @order: 0 unless COMPAT_LARGE_FOLIOS
 *
 * The page comes back locked, with one reference.
 *
 * Context: Process context, may sleep (takes the page lock).
 */
static inline void compat_zone_device_page_init(struct page *page,
						struct dev_pagemap *pgmap,
						unsigned int order)
{
#ifdef HAVE_ZONE_DEVICE_PAGE_INIT_ORDER
	/* Not page_folio(): an idle page may still look like somebody's tail. */
	zone_device_folio_init((struct folio *)page, pgmap, order);
#else
	zone_device_page_init(page);
#endif
}

/*
 * A dev_pagemap_ops is written as
 *
 *	static void free(struct compat_freed *freed);
 *	static void __maybe_unused split(struct folio *head, struct folio *tail);
 *
 *	... = {
 *		.compat_free_op = free,
 *		COMPAT_SPLIT_OP(split)
 *		.migrate_to_ram = ...
 *	};
 *
 * and the free callback looks at its argument with the two helpers below.
 */
#ifdef HAVE_FOLIO_FREE_OP
#define compat_freed	folio
#define compat_free_op	folio_free
#else
#define compat_freed	page
#define compat_free_op	page_free
#endif

#ifdef HAVE_FOLIO_SPLIT_OP
#define COMPAT_SPLIT_OP(fn)	.folio_split = fn,
#else
#define COMPAT_SPLIT_OP(fn)
#endif

/**
 * compat_freed_page - the first page of what is being freed
 * @freed: argument of the free callback
 *
 * Context: Any.
 * Return: the page.
 */
static inline struct page *compat_freed_page(struct compat_freed *freed)
{
#ifdef HAVE_FOLIO_FREE_OP
	return folio_page(freed, 0);
#else
	return freed;
#endif
}

/**
 * compat_freed_order - the order of what is being freed
 * @freed: argument of the free callback
 *
 * Context: Any.
 * Return: the order, 0 on kernels without large device folios.
 */
static inline unsigned int compat_freed_order(const struct compat_freed *freed)
{
#ifdef HAVE_FOLIO_FREE_OP
	return folio_order(freed);
#else
	return 0;
#endif
}

/**
 * compat_folio_split_inherit - what the kernel passes on when folios split
 * @head: the folio being split
 * @tail: a folio that came out of it
 *
 * For a split callback: a pagemap that has one has to do this part itself.
 *
 * Context: Any; the folios are frozen.
 */
static inline void compat_folio_split_inherit(struct folio *head,
					      struct folio *tail)
{
#ifdef HAVE_FOLIO_SPLIT_OP
	tail->pgmap = head->pgmap;
	tail->mapping = head->mapping;
#endif
}

/**
 * compat_make_device_exclusive - take a page away from the CPU for the device
 * @mm: address space
 * @addr: address of the page
 * @owner: handed to the notifier, so that the caller knows its own event
 * @foliop: the folio, locked and referenced, on success
 *
 * Context: Process context, @mm's mmap lock held for reading, may sleep.
 * Return: the page, or an ERR_PTR: -EBUSY when another reference to the page or
 * a race prevents it (try again), -EOPNOTSUPP without CONFIG_DEVICE_PRIVATE,
 * -EINVAL for a page that is not anonymous, or what faulting the page in
 * returned.
 */
static inline struct page *compat_make_device_exclusive(struct mm_struct *mm,
							unsigned long addr,
							void *owner,
							struct folio **foliop)
{
#if !defined(CONFIG_DEVICE_PRIVATE)
	return ERR_PTR(-EOPNOTSUPP);
#elif defined(HAVE_MAKE_DEVICE_EXCLUSIVE)
	return make_device_exclusive(mm, addr, owner, foliop);
#else
	struct page *page = NULL;
	int ret;

	ret = make_device_exclusive_range(mm, addr, addr + PAGE_SIZE, &page,
					  owner);
	if (ret < 0)
		return ERR_PTR(ret);
	if (!ret || !page)
		return ERR_PTR(-EBUSY);
	*foliop = page_folio(page);
	return page;
#endif
}

/**
 * compat_migrate_device_pfns - collect given device pages for migration
 * @src_pfns: (in) page frame numbers, ascending, all in use; (out) the src
 *	array of the migration
 * @npages: how many
 *
 * Pages that are locked, or freed meanwhile, are left out.
 *
 * Context: Process context, may sleep; no folio lock held.
 */
static inline void compat_migrate_device_pfns(unsigned long *src_pfns,
					      unsigned long npages)
{
#ifdef HAVE_MIGRATE_DEVICE_PFNS
	migrate_device_pfns(src_pfns, npages);
#else
	unsigned long i, run;

	for (i = 0; i < npages; i += run) {
		unsigned long first = src_pfns[i];

		for (run = 1; i + run < npages; run++)
			if (src_pfns[i + run] != first + run)
				break;
		migrate_device_range(src_pfns + i, first, run);
	}
#endif
}

/* Whether a device fault may drop the mmap lock (userfaultfd and friends). */
#ifdef HAVE_HMM_RANGE_FAULT_UNLOCKED
#define COMPAT_HMM_FAULT_UNLOCKED	1
#else
#define COMPAT_HMM_FAULT_UNLOCKED	0
#endif

/**
 * compat_mm_unstable - has the OOM killer reaped this address space already?
 * @mm: address space
 *
 * Context: any; with the mmap lock held the answer lasts.
 * Return: true if its content can no longer be trusted; kernels that do not
 * tell modules say false.
 */
static inline bool compat_mm_unstable(struct mm_struct *mm)
{
#ifdef HAVE_CHECK_STABLE_ADDRESS_SPACE
	return check_stable_address_space(mm);
#else
	return false;
#endif
}

/**
 * compat_hmm_range_fault_locked - fault in a range without letting go
 * @range: the range; notifier_seq is set here, the pfns are in and out
 * @timeout_jiffies: how long to retry after invalidations, 0 for ever
 * @lock: takes the mmap lock for reading, or returns a negative errno
 * @refuse: says, with the mmap lock held, what is not to be faulted; or NULL
 *
 * As compat_hmm_range_fault(), but the mmap lock is held throughout: a page that
 * a userfaultfd handler would have to bring is an error.
 *
 * Context: Process context, mmap lock not held, a reference to the mm held.
 * Return: as compat_hmm_range_fault(); -EFAULT also for such a page, and for what
 * @refuse does; what @lock says.
 */
static inline int
compat_hmm_range_fault_locked(struct hmm_range *range, unsigned long timeout_jiffies,
			      int (*lock)(struct mm_struct *mm),
			      bool (*refuse)(struct mm_struct *mm,
					     unsigned long start, unsigned long end))
{
	struct mm_struct *mm = range->notifier->mm;
	unsigned long deadline = jiffies + timeout_jiffies;
	int ret;

	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		range->notifier_seq = mmu_interval_read_begin(range->notifier);
		ret = lock(mm);
		if (ret)
			return ret;
		ret = -EFAULT;
		if (!compat_mm_unstable(mm) &&
		    !(refuse && refuse(mm, range->start, range->end)))
			ret = hmm_range_fault(range);
		mmap_read_unlock(mm);
	} while (ret == -EBUSY &&
		 (!timeout_jiffies || time_before(jiffies, deadline)));
	return ret;
}

/**
 * compat_hmm_range_fault - fault in a range and read its page table
 * @range: the range; notifier_seq is set here, the pfns are in and out
 * @timeout_jiffies: how long to retry after invalidations, 0 for ever
 *
 * The caller checks mmu_interval_read_retry() under its own lock, as after
 * hmm_range_fault().
 *
 * Context: Process context, mmap lock not held, a reference to the mm held.
 * Return: 0, -EBUSY when the budget is spent, -EINTR on a fatal signal, -EFAULT
 * also for an address space that was reaped, and the errors of
 * hmm_range_fault().
 */
static inline int compat_hmm_range_fault(struct hmm_range *range,
					 unsigned long timeout_jiffies)
{
#ifdef HAVE_HMM_RANGE_FAULT_UNLOCKED
	return hmm_range_fault_unlocked_timeout(range, timeout_jiffies);
#else
	return compat_hmm_range_fault_locked(range, timeout_jiffies,
					     mmap_read_lock_killable, NULL);
#endif
}

/**
 * compat_vma_alloc_folio - allocate by the memory policy of a mapping
 * @gfp: allocation flags
 * @order: size is PAGE_SIZE << @order
 * @vma: the mapping
 * @addr: address the folio is meant for
 *
 * Context: Process context, the mmap lock of the mapping held.
 * Return: the folio, or NULL.
 */
static inline struct folio *compat_vma_alloc_folio(gfp_t gfp, int order,
						   struct vm_area_struct *vma,
						   unsigned long addr)
{
#ifdef HAVE_VMA_ALLOC_FOLIO_4
	return vma_alloc_folio(gfp, order, vma, addr);
#else
	return vma_alloc_folio(gfp, order, vma, addr, false);
#endif
}

/**
 * compat_vm_flags_set - add flags to a mapping
 * @vma: the mapping
 * @flags: VM_* to set
 *
 * Context: Process context, mmap lock held for writing (as in ->mmap()).
 */
static inline void compat_vm_flags_set(struct vm_area_struct *vma,
				       unsigned long flags)
{
#ifdef HAVE_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

/* Zeroed memory for what @obj is an example of, as kzalloc_obj(@obj). */
#ifdef HAVE_KZALLOC_OBJ
#define compat_kzalloc_obj(obj)		kzalloc_obj(obj)
#else
#define compat_kzalloc_obj(obj)		kzalloc(sizeof(obj), GFP_KERNEL)
#endif

/* A macro: class_create() hides a lock class key per call site. */
#ifdef HAVE_CLASS_CREATE_NAME
#define compat_class_create(name)	class_create(name)
#else
#define compat_class_create(name)	class_create(THIS_MODULE, name)
#endif

/*
 * COMPAT_PLATFORM_REMOVE(fn) - adapt void fn(struct platform_device *)
 *
 * Defines fn##_op; use it as platform_driver.remove.
 */
#ifdef HAVE_PLATFORM_REMOVE_VOID
#define COMPAT_PLATFORM_REMOVE(fn)					\
static void fn##_op(struct platform_device *pdev)			\
{									\
	fn(pdev);							\
}
#else
#define COMPAT_PLATFORM_REMOVE(fn)					\
static int fn##_op(struct platform_device *pdev)			\
{									\
	fn(pdev);							\
	return 0;							\
}
#endif

/**
 * compat_mm_orphaned - has every process that ran in an address space gone?
 * @mm: the address space
 *
 * What keeps it alive then are others that look at it, as a worker does that
 * works on it. If they take turns it never ends by itself.
 *
 * Context: Any.
 * Return: true if all have exited or run another program; false if not, or on a
 * kernel without CONFIG_MEMCG, which does not know.
 */
static inline bool compat_mm_orphaned(const struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	return !rcu_access_pointer(mm->owner);
#else
	return false;
#endif
}

#ifdef CONFIG_FAULT_INJECTION
/**
 * compat_fault_attr_put - let go of what fault_create_debugfs_attr() has kept
 * @attr: the attribute; its directory has been removed, or never made
 *
 * Context: Process context.
 */
static inline void compat_fault_attr_put(struct fault_attr *attr)
{
#ifdef HAVE_FAULT_ATTR_DENTRY
	dput(attr->dname);
	attr->dname = NULL;
#endif
}
#endif

#endif /* HMM_COMPAT_H */
