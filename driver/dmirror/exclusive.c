// SPDX-License-Identifier: GPL-2.0
/*
 * Device-exclusive access.
 *
 * The core replaces the CPU's entry by one that faults and tells everybody; the
 * client that asked ignores that one event (mirror.c). The folio stays locked
 * until the device's entry is in place, so the CPU cannot take the page back in
 * between; what does not need the folio lock, such as munmap, is caught by the
 * sequence check.
 *
 * Locks: mmap lock for reading, folio lock (both by the core), leaf->lock.
 */
#include <linux/jiffies.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "compat.h"
#include "exclusive.h"
#include "fault.h"
#include "mirror.h"
#include "vram.h"

static int dmirror_exclusive_install(struct dmirror_leaf *leaf, unsigned long addr,
				     struct page *page, unsigned long seq)
{
	u64 flags = DMIRROR_PTE_WRITE | DMIRROR_PTE_EXCLUSIVE;
	int ret;

	ret = dmirror_leaf_lock_valid(leaf, seq);
	if (ret)
		return ret;
	if (dmirror_vram_owns(&leaf->client->dev->vram, page))
		flags |= DMIRROR_PTE_VRAM;
	dmirror_pt_set(&leaf->pt, dmirror_leaf_index(addr),
		       dmirror_pte_make(page_to_pfn(page), flags));
	mutex_unlock(&leaf->lock);
	return 0;
}

static int dmirror_exclusive_lock(struct mm_struct *mm, bool nowait)
{
	return nowait ? dmirror_mm_lock(mm) : mmap_read_lock_killable(mm);
}

static int dmirror_exclusive_try(struct dmirror_client *client,
				 struct dmirror_leaf *leaf, unsigned long addr,
				 bool nowait)
{
	struct folio *folio = NULL;
	unsigned long seq;
	struct page *page;
	int ret;

	seq = dmirror_leaf_read_begin(leaf);
	ret = dmirror_exclusive_lock(client->mm, nowait);
	if (ret)
		return ret;
	/* Of a file, so not to be had; and the core would wait for the page. */
	page = ERR_PTR(-EOPNOTSUPP);
	if (!dmirror_fault_served(client->mm, addr, addr + PAGE_SIZE))
		page = compat_make_device_exclusive(client->mm, addr, client, &folio);
	ret = PTR_ERR_OR_ZERO(page);
	if (!ret) {
		ret = dmirror_exclusive_install(leaf, addr, page, seq);
		folio_unlock(folio);
		folio_put(folio);
	}
	/* No sooner: fork() fails when it finds an exclusive page locked. */
	mmap_read_unlock(client->mm);
	return ret;
}

int dmirror_exclusive_page(struct dmirror_client *client,
			   struct dmirror_leaf *leaf, unsigned long addr,
			   unsigned int flags)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(DMIRROR_RETRY_MS);
	unsigned int tries = 0;
	int ret;

	for (;;) {
		ret = dmirror_exclusive_try(client, leaf, addr,
					    flags & DMIRROR_FAULT_NOWAIT);
		if (ret != -EAGAIN && ret != -EBUSY)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (++tries >= DMIRROR_RETRY_MIN && time_after(jiffies, deadline))
			return -EBUSY;
		/*
		 * The page may be exclusive now without an entry of ours to
		 * show for it. Taking it once more would give it back to the
		 * CPU first, which looks like another change: undo that here.
		 */
		ret = dmirror_fault_window(client, leaf, addr, addr + PAGE_SIZE,
					   flags | DMIRROR_FAULT_WRITE |
					   DMIRROR_FAULT_STAY);
		if (ret)
			break;
		cond_resched();
	}
	if (!ret)
		dmirror_client_count(client, DMIRROR_STAT_EXCLUSIVE_PAGES, 1);
	return ret;
}

unsigned int dmirror_exclusive_count(struct dmirror_client *client,
				     unsigned long start, unsigned long end)
{
	struct dmirror_leaf *leaf = dmirror_leaf_find(client, start);
	unsigned int first = dmirror_leaf_index(start);
	unsigned int n;

	if (!leaf)
		return 0;
	mutex_lock(&leaf->lock);
	n = dmirror_pt_count(&leaf->pt, first,
			     first + dmirror_leaf_count(start, end),
			     DMIRROR_PTE_EXCLUSIVE);
	mutex_unlock(&leaf->lock);
	return n;
}

static bool dmirror_exclusive_held(struct dmirror_leaf *leaf, unsigned long addr)
{
	bool held;

	mutex_lock(&leaf->lock);
	held = leaf->pt.pte[dmirror_leaf_index(addr)] & DMIRROR_PTE_EXCLUSIVE;
	mutex_unlock(&leaf->lock);
	return held;
}

int dmirror_exclusive_drop(struct dmirror_client *client, unsigned long start,
			   unsigned long end, u64 *pages)
{
	struct dmirror_leaf *leaf = dmirror_leaf_find(client, start);
	unsigned long addr;
	int ret;

	if (!leaf || !READ_ONCE(leaf->pt.nr_exclusive))
		return 0;
	for (addr = start; addr < end; addr += PAGE_SIZE) {
		if (!dmirror_exclusive_held(leaf, addr))
			continue;
		/* Faulting the page in, as the CPU would, is what gives it back. */
		ret = dmirror_fault_window(client, leaf, addr, addr + PAGE_SIZE,
					   DMIRROR_FAULT_STAY);
		/* It can be unmapped meanwhile; it is not held then, either. */
		if (ret && ret != -EFAULT)
			return ret;
		if (!dmirror_exclusive_held(leaf, addr))
			++*pages;
		cond_resched();
	}
	return 0;
}
