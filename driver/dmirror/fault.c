// SPDX-License-Identifier: GPL-2.0
/*
 * Device faults.
 *
 * Asks the core for the process's translations of a window and installs them
 * in the leaf if nothing has changed meanwhile. Owns the decision what becomes
 * of a page found: a page of this device is entered as such and not brought
 * home, and one that is shared copy-on-write with another process is never
 * entered as writable; if a write is wanted the core is asked once more as if
 * the device did not own it, which brings the page home and breaks the sharing.
 *
 * Locks: the mmap lock inside the core's helper, then leaf->lock.
 */
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/magic.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "fault.h"
#include "mirror.h"
#include "place.h"
#include "trace.h"
#include "vram.h"

/**
 * struct dmirror_fault - one look at a window
 * @leaf: the leaf it lies in
 * @range: what the core is asked
 * @need: DMIRROR_PTE_* bits wanted of every page
 * @nowait: do not wait for another process, or for the mmap lock
 * @budget: how long to go on, in jiffies
 * @deadline: when that ends, in jiffies
 * @other: only find the pages of this device, NULL to install entries
 * @found: with @other: bit n: page n of the window is one of them
 * @pfns: the core's answers
 */
struct dmirror_fault {
	struct dmirror_leaf *leaf;
	struct hmm_range range;
	u64 need;
	bool nowait;
	unsigned long budget;
	unsigned long deadline;
	const struct dmirror_device *other;
	unsigned long *found;
	unsigned long pfns[DMIRROR_LEAF_PAGES];
};

/*
 * For a device page that is mapped whole, the core counts from its first frame
 * even when the window begins somewhere in the middle (seen in 7.3). Such a page
 * fills the leaf, so entry @idx is its page @idx.
 */
static struct page *dmirror_fault_page(struct dmirror_vram *vram,
				       unsigned long hmm_pfn, unsigned int idx)
{
	struct page *page = hmm_pfn_to_page(hmm_pfn);
	unsigned long pfn = page_to_pfn(page);

	if (hmm_pfn_to_map_order(hmm_pfn) != DMIRROR_LEAF_ORDER ||
	    !dmirror_vram_owns(vram, page))
		return page;
	return pfn_to_page(ALIGN_DOWN(pfn, DMIRROR_LEAF_PAGES) + idx);
}

/*
 * Is this memory that the kernel itself cannot address? memfd_secret() takes its
 * pages out of the direct map, and the core hands them out all the same. Asked
 * under leaf->lock, with a valid sequence: a mapped page stays with its file.
 */
static bool dmirror_fault_secret(struct page *page)
{
	struct address_space *mapping = folio_mapping(page_folio(page));

	return mapping && mapping->host &&
	       mapping->host->i_sb->s_magic == SECRETMEM_MAGIC;
}

/* Returns 0 for what the device has no access to. */
static dmirror_pte_t dmirror_fault_pte(struct dmirror_vram *vram,
				       unsigned long hmm_pfn, unsigned int idx)
{
	struct page *page;
	u64 flags = 0;

	if (!(hmm_pfn & HMM_PFN_VALID))
		return 0;

	page = dmirror_fault_page(vram, hmm_pfn, idx);
	if (dmirror_fault_secret(page))
		return 0;
	if (hmm_pfn & HMM_PFN_WRITE)
		flags |= DMIRROR_PTE_WRITE;
	if (dmirror_vram_owns(vram, page)) {
		flags |= DMIRROR_PTE_VRAM;
		dmirror_vram_touch(vram, page);
	}
	return dmirror_pte_make(page_to_pfn(page), flags);
}

static void dmirror_fault_note(struct dmirror_fault *f)
{
	unsigned int n = dmirror_leaf_count(f->range.start, f->range.end);
	unsigned int i;

	bitmap_zero(f->found, n);
	for (i = 0; i < n; i++)
		if ((f->pfns[i] & HMM_PFN_VALID) &&
		    dmirror_vram_owns(&f->other->vram, hmm_pfn_to_page(f->pfns[i])))
			__set_bit(i, f->found);
}

static int dmirror_fault_enter(struct dmirror_fault *f)
{
	struct dmirror_leaf *leaf = f->leaf;
	unsigned int first = dmirror_leaf_index(f->range.start);
	unsigned int n = dmirror_leaf_count(f->range.start, f->range.end);
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++) {
		dmirror_pte_t pte = dmirror_fault_pte(&leaf->client->dev->vram,
						      f->pfns[i], first + i);

		if (!pte && f->need)
			ret = -EFAULT;
		/* So that policy hears of a write, which it may treat differently. */
		if (leaf->client->hints && !(f->need & DMIRROR_PTE_WRITE) &&
		    !(pte & DMIRROR_PTE_VRAM))
			pte &= ~DMIRROR_PTE_WRITE;
		/* An exclusive entry is better than what the CPU can offer. */
		if (pte && !(leaf->pt.pte[first + i] & DMIRROR_PTE_EXCLUSIVE))
			dmirror_pt_set(&leaf->pt, first + i, pte);
	}
	return ret;
}

static int dmirror_fault_install(struct dmirror_fault *f)
{
	struct dmirror_leaf *leaf = f->leaf;
	int ret;

	ret = dmirror_leaf_lock_valid(leaf, f->range.notifier_seq);
	if (ret)
		return ret;
	if (f->other)
		dmirror_fault_note(f);
	else
		ret = dmirror_fault_enter(f);
	mutex_unlock(&leaf->lock);
	return ret;
}

/* Not virtiofs: that is served by the host, and not by a process. */
static bool dmirror_fault_fuse(const struct vm_area_struct *vma)
{
	return vma->vm_file &&
	       !strncmp(file_inode(vma->vm_file)->i_sb->s_type->name, "fuse", 4);
}

bool dmirror_fault_served(struct mm_struct *mm, unsigned long start,
			  unsigned long end)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	for_each_vma_range(vmi, vma, end)
		if (dmirror_fault_fuse(vma))
			return true;
	return false;
}

static int dmirror_fault_ask(struct dmirror_fault *f)
{
	return f->nowait ?
	       compat_hmm_range_fault_locked(&f->range, f->budget, dmirror_mm_lock,
					     f->need ? dmirror_fault_served : NULL) :
	       compat_hmm_range_fault(&f->range, f->budget);
}

/* Ask the core until the answer can be installed. */
static int dmirror_fault_range(struct dmirror_fault *f, unsigned long start,
			       unsigned long end, void *owner)
{
	unsigned int tries = 0;
	int ret;

	f->range.start = start;
	f->range.end = end;
	f->range.dev_private_owner = owner;
	f->range.default_flags = f->need ? HMM_PFN_REQ_FAULT : 0;
	if (f->need & DMIRROR_PTE_WRITE)
		f->range.default_flags |= HMM_PFN_REQ_WRITE;

	for (;;) {
		memset(f->pfns, 0, dmirror_leaf_count(start, end) * sizeof(long));
		ret = dmirror_fault_ask(f);
		if (!ret)
			ret = dmirror_fault_install(f);
		if (ret != -EAGAIN)
			return ret;

		dmirror_client_count(f->leaf->client,
				     DMIRROR_STAT_DEV_FAULT_RETRIES, 1);
		if (fatal_signal_pending(current))
			return -EINTR;
		if (++tries >= DMIRROR_RETRY_MIN && time_after(jiffies, f->deadline))
			return -EBUSY;
		cond_resched();
	}
}

/*
 * The core hands out pages of this device without the write access that was
 * asked for when they are shared after fork. Find the first run of them.
 */
static bool dmirror_fault_shared(struct dmirror_fault *f, unsigned long *start,
				 unsigned long *end)
{
	const struct dmirror_pt *pt = &f->leaf->pt;
	unsigned int last = dmirror_leaf_index(f->range.end - 1) + 1;
	unsigned int i = dmirror_leaf_index(f->range.start);
	unsigned int n;

	mutex_lock(&f->leaf->lock);
	while (i < last && (pt->pte[i] & (f->need | DMIRROR_PTE_VRAM)) !=
			   (DMIRROR_PTE_VALID | DMIRROR_PTE_VRAM))
		i++;
	for (n = 0; i + n < last; n++)
		if ((pt->pte[i + n] & (f->need | DMIRROR_PTE_VRAM)) !=
		    (DMIRROR_PTE_VALID | DMIRROR_PTE_VRAM))
			break;
	mutex_unlock(&f->leaf->lock);

	*start = f->leaf->base + ((unsigned long)i << PAGE_SHIFT);
	*end = *start + ((unsigned long)n << PAGE_SHIFT);
	return n;
}

static int dmirror_fault_break_cow(struct dmirror_fault *f, unsigned long start,
				   unsigned long end)
{
	unsigned long from, to;
	int ret = 0;

	f->range.start = start;
	f->range.end = end;
	while (!ret && dmirror_fault_shared(f, &from, &to)) {
		dmirror_client_count(f->leaf->client, DMIRROR_STAT_COW_BREAKS,
				     dmirror_leaf_count(from, to));
		ret = dmirror_fault_range(f, from, to, NULL);
		f->range.start = to;
		f->range.end = end;
		if (to >= end)
			break;
	}
	return ret;
}

static void dmirror_fault_set_budget(struct dmirror_fault *f, unsigned int ms)
{
	f->budget = msecs_to_jiffies(ms);
	f->deadline = jiffies + f->budget;
}

static struct dmirror_fault *dmirror_fault_new(struct dmirror_leaf *leaf, u64 need,
					       unsigned int flags)
{
	struct dmirror_fault *f = NULL;

	if (!dmirror_inject(leaf->client->dev, DMIRROR_INJECT_BUFFER))
		f = kmalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return NULL;
	f->leaf = leaf;
	f->need = need;
	f->nowait = flags & DMIRROR_FAULT_NOWAIT;
	f->other = NULL;
	dmirror_fault_set_budget(f, DMIRROR_RETRY_MS);
	f->range = (struct hmm_range) {
		.notifier = &leaf->notifier,
		.hmm_pfns = f->pfns,
	};
	return f;
}

static int dmirror_fault_map(struct dmirror_client *client,
			     struct dmirror_leaf *leaf, unsigned long start,
			     unsigned long end, unsigned int flags)
{
	bool write = flags & DMIRROR_FAULT_WRITE;
	struct dmirror_fault *f;
	int ret;

	f = dmirror_fault_new(leaf, DMIRROR_PTE_VALID |
			      (write ? DMIRROR_PTE_WRITE : 0), flags);
	if (!f)
		return -ENOMEM;
	if (end - start > PAGE_SIZE)
		dmirror_fault_set_budget(f, DMIRROR_RETRY_WINDOW_MS);
	ret = dmirror_fault_range(f, start, end, client->dev->vram.owner);
	if (!ret && write)
		ret = dmirror_fault_break_cow(f, start, end);
	kfree(f);
	return ret;
}

/* Enter what there is; once more if some of it has been moved then. */
static int dmirror_fault_place(struct dmirror_client *client,
			       struct dmirror_leaf *leaf, unsigned long start,
			       unsigned long end, unsigned int flags)
{
	bool moved;
	int ret;

	ret = dmirror_fault_map(client, leaf, start, end, flags);
	if (ret || !client->hints || (flags & DMIRROR_FAULT_STAY))
		return ret;
	ret = dmirror_place_window(client, leaf, start, end,
				   flags & DMIRROR_FAULT_WRITE, &moved);
	if (!ret && moved)
		ret = dmirror_fault_map(client, leaf, start, end, flags);
	return ret;
}

int dmirror_fault_window(struct dmirror_client *client, struct dmirror_leaf *leaf,
			 unsigned long start, unsigned long end, unsigned int flags)
{
	struct dmirror_device *dev = client->dev;
	int ret;

	trace_dmirror_fault_begin(dev->id, start, end, flags & DMIRROR_FAULT_WRITE);
	ret = dmirror_fault_place(client, leaf, start, end, flags);
	trace_dmirror_fault_end(dev->id, start, end, ret);

	dmirror_client_count(client, DMIRROR_STAT_DEV_FAULTS, 1);
	if (!ret)
		dmirror_client_count(client, DMIRROR_STAT_DEV_FAULT_PAGES,
				     dmirror_leaf_count(start, end));
	return ret;
}

int dmirror_fault_populate(struct dmirror_client *client,
			   struct dmirror_leaf *leaf, unsigned long start,
			   unsigned long end, unsigned int flags)
{
	struct dmirror_fault *f = dmirror_fault_new(leaf, 0, flags);
	int ret;

	if (!f)
		return -ENOMEM;
	ret = dmirror_fault_range(f, start, end, client->dev->vram.owner);
	kfree(f);
	return ret;
}

int dmirror_fault_find(struct dmirror_leaf *leaf, unsigned long start,
		       unsigned long end, const struct dmirror_device *other,
		       unsigned long *pages)
{
	struct dmirror_fault *f = dmirror_fault_new(leaf, 0, DMIRROR_FAULT_NOWAIT);
	int ret;

	if (!f)
		return -ENOMEM;
	f->other = other;
	f->found = pages;
	ret = dmirror_fault_range(f, start, end, other->vram.owner);
	kfree(f);
	return ret;
}
