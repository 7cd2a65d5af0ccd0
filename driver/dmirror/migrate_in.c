// SPDX-License-Identifier: GPL-2.0
/*
 * To the device: on request, or because a device fault wants pages there.
 *
 * Owns the choice of destinations. They are reserved, and others evicted for them,
 * before the core locks anything.
 *
 * Locks: the mmap lock, for reading, around one window.
 */
#include <linux/sched/mm.h>

#include "account.h"
#include "classify.h"
#include "compat.h"
#include "copy.h"
#include "evict.h"
#include "fault.h"
#include "migrate_steps.h"
#include "mirror.h"
#include "trace.h"

static bool dmirror_migrate_in_large(struct dmirror_migrate *m, unsigned int i)
{
	struct dmirror_vram *vram = &m->dev->vram;
	struct page *from = migrate_pfn_to_page(m->args.src[i]);
	struct page *to = NULL;
	unsigned int j;

	if (!dmirror_migrate_inject(m, DMIRROR_INJECT_ALLOC_IN_LARGE))
		to = dmirror_vram_take_large(vram, m->reserve);
	if (!to)
		return false;

	for (j = 0; j < DMIRROR_LEAF_PAGES; j++)
		if (!dmirror_copy_page(m->dev, dmirror_vram_data(vram, to + j),
				       from ? from + j : NULL)) {
			dmirror_vram_drop(to);
			return false;
		}
	m->args.dst[i] = dmirror_migrate_mpfn(to, m->args.src[i]) |
			 COMPAT_MIGRATE_PFN_COMPOUND;
	dmirror_migrate_count(m, DMIRROR_STAT_LARGE_IN, 1);
	return true;
}

static bool dmirror_migrate_in_small(struct dmirror_migrate *m, unsigned int i,
				     unsigned int sub)
{
	struct dmirror_vram *vram = &m->dev->vram;
	unsigned int pos = dmirror_leaf_index(m->args.start) + i + sub;
	struct page *from = migrate_pfn_to_page(m->args.src[i]);
	struct page *to = NULL;

	if (!dmirror_migrate_inject(m, DMIRROR_INJECT_ALLOC_IN_SMALL))
		to = dmirror_vram_take(vram, m->reserve, pos);
	if (!to)
		return false;

	if (!dmirror_copy_page(m->dev, dmirror_vram_data(vram, to),
			       from ? from + sub : NULL)) {
		dmirror_vram_drop(to);
		return false;
	}
	m->args.dst[i + sub] = dmirror_migrate_mpfn(to, m->args.src[i]);
	return true;
}

/*
 * What must not go to the device stays: no destination, and no look at its
 * content, which the kernel may not even be able to address (memfd_secret()).
 */
static void dmirror_migrate_refuse(struct dmirror_migrate *m)
{
	unsigned long i;

	for (i = 0; i < m->args.npages; i++) {
		struct page *page = migrate_pfn_to_page(m->args.src[i]);

		if (page && !dmirror_classify_movable(page_folio(page)))
			m->args.src[i] &= ~MIGRATE_PFN_MIGRATE;
	}
}

/*
 * May there be memory of the process's own? Of a file that is what it has written to
 * privately. Else the core is not asked: it would unmap the pages of the file, in all
 * processes, and wait for those that are locked, before it could be told that they
 * stay; and a page of FUSE is locked for as long as its server likes. What the core
 * refuses as a whole is the core's to refuse.
 */
static bool dmirror_migrate_own(struct vm_area_struct *vma)
{
	if (vma_is_anonymous(vma) || vma->vm_flags & (VM_SPECIAL | VM_HUGETLB) ||
	    vma_is_dax(vma))
		return true;
	return vma->anon_vma &&
	       !dmirror_fault_served(vma->vm_mm, vma->vm_start, vma->vm_end);
}

/* Is there something to migrate, and how far? Before anything is evicted. */
static int dmirror_migrate_check(struct mm_struct *mm, unsigned long start,
				 unsigned long *end, bool *own)
{
	struct vm_area_struct *vma;
	int ret = dmirror_mm_lock(mm);

	if (ret)
		return ret;
	vma = dmirror_migrate_vma(mm, start);
	if (vma) {
		*end = min(*end, vma->vm_end);
		*own = dmirror_migrate_own(vma);
	}
	mmap_read_unlock(mm);
	return vma ? 0 : -EFAULT;
}

static int dmirror_migrate_in_once(struct dmirror_migrate *m, unsigned long start,
				   unsigned long *end)
{
	struct mm_struct *mm = m->client->mm;
	struct vm_area_struct *vma;
	int ret = dmirror_mm_lock(mm);

	if (ret)
		return ret;
	vma = dmirror_migrate_vma(mm, start);
	if (!vma) {
		mmap_read_unlock(mm);
		return -EFAULT;
	}
	/* Mappings may have been split, or replaced, since the look before. */
	*end = min(*end, vma->vm_end);
	if (!dmirror_migrate_own(vma)) {
		if (m->classes)
			dmirror_classify_unseen(m->classes,
						dmirror_leaf_count(start, *end));
		mmap_read_unlock(mm);
		return 0;
	}

	dmirror_migrate_prepare(m, vma, start, *end, MIGRATE_VMA_SELECT_SYSTEM);
	ret = dmirror_migrate_collect(m);
	if (!ret) {
		dmirror_migrate_refuse(m);
		/* Holes, too, on request: the device gets a cleared page. */
		dmirror_migrate_fill(m, MIGRATE_PFN_MIGRATE |
				     (m->classes ? 0 : MIGRATE_PFN_VALID),
				     dmirror_migrate_in_large,
				     dmirror_migrate_in_small);
		dmirror_migrate_finish(m);
	}
	mmap_read_unlock(mm);
	return ret;
}

/* Reserve, evicting others if need be, move, give back what is not needed. */
static int dmirror_migrate_in_reserve(struct dmirror_migrate *m,
				      unsigned long start, unsigned long *end,
				      unsigned int want, int reason)
{
	int ret;

	ret = dmirror_evict_reserve(m->dev, m->client->account, m->reserve, want,
				    m->client->hints);
	if (ret)
		return ret;

	trace_dmirror_migrate_in_begin(m->dev->id, start, want, reason, 0, 0);
	ret = dmirror_migrate_in_once(m, start, end);
	dmirror_vram_unreserve(&m->dev->vram, m->reserve);
	trace_dmirror_migrate_in_end(m->dev->id, start, want, reason, m->moved,
				     m->tried - m->moved);

	dmirror_migrate_count(m, DMIRROR_STAT_MIGRATE_IN_PAGES, m->moved);
	dmirror_migrate_count(m, DMIRROR_STAT_MIGRATE_IN_FAILED, m->tried - m->moved);
	return ret;
}

static int dmirror_migrate_in_window(struct dmirror_migrate *m,
				     unsigned long start, unsigned long *end)
{
	unsigned int n, want;
	bool own;
	int ret;

	ret = dmirror_migrate_check(m->client->mm, start, end, &own);
	if (ret)
		return ret;
	n = dmirror_leaf_count(start, *end);
	if (!own) {
		dmirror_classify_unseen(m->classes, n);
		return 0;
	}
	want = n - dmirror_classify_present(m->client, start, *end);
	if (!want) {
		dmirror_classify_all(m->classes, n, DMIRROR_CLASS_PRESENT);
		return 0;
	}
	return dmirror_migrate_in_reserve(m, start, end, want,
					  DMIRROR_REASON_REQUEST);
}

int dmirror_migrate_in(struct dmirror_client *client, unsigned long start,
		       unsigned long *end, struct dmirror_migrate_buf *buf,
		       struct dmirror_moved *moved)
{
	struct dmirror_migrate m = {
		.dev = client->dev, .client = client, .urgent = -1,
		.reserve = &buf->reserve, .classes = &buf->classes,
		.patience = &buf->patience,
		.args = { .src = buf->src, .dst = buf->dst },
	};

	return dmirror_migrate_request(&m, dmirror_migrate_in_window, start, end,
				       moved);
}

int dmirror_migrate_place(struct dmirror_client *client, unsigned long start,
			  unsigned long *end, unsigned int want,
			  struct dmirror_migrate_buf *buf, unsigned int *moved)
{
	struct dmirror_device *dev = client->dev;
	struct dmirror_migrate m = {
		.dev = dev, .client = client, .urgent = -1,
		.reserve = &buf->reserve,
		.args = { .src = buf->src, .dst = buf->dst },
	};
	int ret;

	if (!dmirror_account_room(client->account))
		return 0;
	if (!dmirror_vram_get(&dev->vram))
		return -ENODEV;
	ret = dmirror_migrate_in_reserve(&m, start, end, want,
					 DMIRROR_REASON_DEV_FAULT);
	dmirror_vram_put(&dev->vram);

	dmirror_client_count(client, DMIRROR_STAT_DEV_FAULT_MOVED, m.moved);
	*moved += m.moved;
	return ret == -EINTR || ret == -ENODEV ? ret : 0;
}
