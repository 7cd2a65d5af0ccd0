// SPDX-License-Identifier: GPL-2.0
/*
 * Device access.
 *
 * Moves bytes between a bounce buffer and the pages the leaves point to, under
 * leaf->lock: an invalidation, and so any migration, of a page waits until the
 * bytes are in or out, which is why an acknowledged write is never lost. User
 * memory is touched without any lock.
 *
 * Owns the bounce buffer and the retry budget. Faulting is fault.c's.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "access.h"
#include "copy.h"
#include "fault.h"
#include "mirror.h"
#include "policy.h"
#include "vram.h"

/* A single slow fault must not use up the time budget. */
#define DMIRROR_MAX_STALLS	16

/* Also how long an invalidation may have to wait: one copy of this size. */
#define DMIRROR_BOUNCE_SIZE	SZ_256K

/**
 * struct dmirror_bounce - progress of one access
 * @a: the access
 * @buf: the bounce buffer
 * @span: pages to fault at a time; shrinks to find the page that cannot be
 * @faulted: where the last fault ended
 * @stalls: faults in a row after which nothing was accessible all the same
 * @deadline: when stalling is no longer put up with, in jiffies
 */
struct dmirror_bounce {
	struct dmirror_access *a;
	void *buf;
	unsigned int span;
	unsigned long faulted;
	unsigned int stalls;
	unsigned long deadline;
};

static struct page *dmirror_access_page(struct dmirror_vram *vram, dmirror_pte_t pte)
{
	struct page *page = pfn_to_page(dmirror_pte_pfn(pte));

	if (!(pte & DMIRROR_PTE_VRAM))
		return page;
	dmirror_vram_touch(vram, page);
	return dmirror_vram_data(vram, page);
}

static void dmirror_access_one(struct dmirror_bounce *b, dmirror_pte_t pte, void *buf)
{
	struct page *page = dmirror_access_page(&b->a->client->dev->vram, pte);

	if (!b->a->write) {
		dmirror_copy_out(buf, page);
		return;
	}
	dmirror_copy_in(page, buf);
	/*
	 * The CPU's entry may be clean: without this the page could be dropped
	 * as unchanged. The dirty bit of a device page travels with it.
	 */
	if (!dmirror_sabotage(b->a->client->dev, DMIRROR_SABOTAGE_DIRTY))
		set_page_dirty(pfn_to_page(dmirror_pte_pfn(pte)));
}

/* Copy what is accessible from @addr on. Returns pages copied. */
static unsigned int dmirror_access_copy(struct dmirror_bounce *b,
					struct dmirror_leaf *leaf,
					unsigned long addr, unsigned long end,
					void *buf)
{
	u64 need = DMIRROR_PTE_VALID | (b->a->write ? DMIRROR_PTE_WRITE : 0);
	unsigned int first = dmirror_leaf_index(addr);
	unsigned int i, n;

	mutex_lock(&leaf->lock);
	n = dmirror_pt_run(&leaf->pt, first,
			   first + dmirror_leaf_count(addr, end), need);
	if (n)
		dmirror_inject(b->a->client->dev, DMIRROR_INJECT_ACCESS);
	for (i = 0; i < n; i++)
		dmirror_access_one(b, leaf->pt.pte[first + i], buf + i * PAGE_SIZE);
	mutex_unlock(&leaf->lock);
	return n;
}

/*
 * Fault the window that begins at @addr. If it cannot be had whole, try less,
 * so that all pages before the first impossible one get done.
 */
static int dmirror_access_fault(struct dmirror_bounce *b, struct dmirror_leaf *leaf,
				unsigned long addr)
{
	struct dmirror_access *a = b->a;
	unsigned long end;
	int ret;

	if (addr != b->faulted)
		a->faults++;
	for (;;) {
		end = dmirror_policy_window_end(addr, a->end, DMIRROR_LEAF_SIZE);
		end = min(end, addr + ((unsigned long)b->span << PAGE_SHIFT));
		ret = dmirror_fault_window(a->client, leaf, addr, end, a->write);
		if ((ret != -EFAULT && ret != -EPERM) || b->span == 1)
			break;
		b->span = min(b->span, dmirror_leaf_count(addr, end)) / 2 ? : 1;
	}
	b->faulted = end;
	return ret;
}

/*
 * Nothing was accessible where a fault had just succeeded: somebody takes the
 * pages away faster than they are used. Ask for less at a time, and not for
 * ever.
 */
static bool dmirror_access_stalled(struct dmirror_bounce *b, unsigned int copied)
{
	if (copied) {
		b->stalls = 0;
		b->deadline = jiffies + msecs_to_jiffies(DMIRROR_RETRY_MS);
		return false;
	}
	if (b->stalls++)
		b->span = b->span / 2 ? : 1;
	return b->stalls > DMIRROR_MAX_STALLS && time_after(jiffies, b->deadline);
}

/* Move pages [addr, end), all in one leaf, between leaf and @buf. */
static int dmirror_access_chunk(struct dmirror_bounce *b, unsigned long addr,
				unsigned long end, unsigned int *done)
{
	struct dmirror_leaf *leaf = dmirror_leaf_get(b->a->client, addr);
	unsigned int n;
	int ret;

	*done = 0;
	if (IS_ERR(leaf))
		return PTR_ERR(leaf);

	while (addr < end) {
		n = dmirror_access_copy(b, leaf, addr, end,
					b->buf + *done * PAGE_SIZE);
		*done += n;
		addr += (unsigned long)n << PAGE_SHIFT;
		if (addr == end)
			break;
		if (dmirror_access_stalled(b, n))
			return -EBUSY;
		ret = dmirror_access_fault(b, leaf, addr);
		if (ret)
			return ret;
		cond_resched();
	}
	return 0;
}

static int dmirror_access_step(struct dmirror_bounce *b)
{
	struct dmirror_access *a = b->a;
	unsigned long end = dmirror_policy_window_end(a->addr, a->end,
						      DMIRROR_BOUNCE_SIZE);
	unsigned int done;
	size_t bytes;
	int ret;

	if (a->write && copy_from_user(b->buf, a->user, end - a->addr))
		return -EFAULT;
	ret = dmirror_access_chunk(b, a->addr, end, &done);
	bytes = (size_t)done << PAGE_SHIFT;
	if (!a->write && copy_to_user(a->user, b->buf, bytes))
		return -EFAULT;

	a->addr += bytes;
	a->user += bytes;
	a->done += done;
	dmirror_stat_add(&a->client->dev->stats, a->write ?
			 DMIRROR_STAT_WRITE_PAGES : DMIRROR_STAT_READ_PAGES, done);
	return ret;
}

int dmirror_access_run(struct dmirror_access *a)
{
	struct dmirror_bounce b = { .a = a, .faulted = a->end };
	int ret = 0;

	if (!dmirror_inject(a->client->dev, DMIRROR_INJECT_BUFFER))
		b.buf = kvmalloc(min_t(size_t, DMIRROR_BOUNCE_SIZE,
				       a->end - a->addr), GFP_KERNEL);
	if (!b.buf)
		return -ENOMEM;

	b.span = DMIRROR_LEAF_PAGES;
	while (!ret && a->addr < a->end) {
		b.stalls = 0;
		b.deadline = jiffies + msecs_to_jiffies(DMIRROR_RETRY_MS);
		if (!(a->addr & (DMIRROR_LEAF_SIZE - 1)))
			b.span = DMIRROR_LEAF_PAGES;
		ret = dmirror_access_step(&b);
		if (!ret && a->addr < a->end)
			ret = dmirror_mirror_relax(a->client);
	}
	kvfree(b.buf);
	return ret;
}
