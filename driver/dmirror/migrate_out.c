// SPDX-License-Identifier: GPL-2.0
/*
 * Back to system memory: on request, or because the CPU touched a page.
 *
 * Owns the choice of destinations, and which of them must be had.
 *
 * Locks: the mmap lock, for reading, around one window. The CPU fault path has
 * it already.
 */
#include <linux/pagemap.h>
#include <linux/sched/mm.h>

#include "classify.h"
#include "compat.h"
#include "copy.h"
#include "migrate_steps.h"
#include "mirror.h"
#include "trace.h"

/*
 * Large pages, and the neighbours of a faulting page, are a bonus. The first
 * page of a folio is not: without it the core does not split the folio.
 */
static bool dmirror_migrate_must(struct dmirror_migrate *m, unsigned int i,
				 unsigned int sub)
{
	return m->urgent < 0 || m->urgent == i + sub ||
	       (!sub && (m->args.src[i] & COMPAT_MIGRATE_PFN_COMPOUND));
}

static struct page *dmirror_migrate_alloc(struct dmirror_migrate *m,
					  unsigned int order, unsigned int i,
					  bool must)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE;
	struct folio *folio;

	if (dmirror_migrate_inject(m, order ? DMIRROR_INJECT_ALLOC_OUT_LARGE :
					      DMIRROR_INJECT_ALLOC_OUT_SMALL))
		return NULL;
	if (!must)
		gfp |= __GFP_NORETRY | __GFP_NOWARN;
	folio = compat_vma_alloc_folio(gfp, order, m->args.vma,
				       m->args.start + ((unsigned long)i << PAGE_SHIFT));
	if (!folio)
		return NULL;
	folio_lock(folio);
	return folio_page(folio, 0);
}

/* An allocated destination cannot be filled. */
static void dmirror_migrate_free(struct page *page)
{
	unlock_page(page);
	put_page(page);
}

static bool dmirror_migrate_out_large(struct dmirror_migrate *m, unsigned int i)
{
	struct page *from = migrate_pfn_to_page(m->args.src[i]);
	struct page *to;
	unsigned int j;

	to = dmirror_migrate_alloc(m, DMIRROR_LEAF_ORDER, i, false);
	if (!to)
		return false;

	for (j = 0; j < DMIRROR_LEAF_PAGES; j++)
		if (!dmirror_copy_page(m->dev, to + j,
				       dmirror_vram_data(&m->dev->vram, from + j))) {
			dmirror_migrate_free(to);
			return false;
		}
	m->args.dst[i] = dmirror_migrate_mpfn(to, m->args.src[i]) |
			 COMPAT_MIGRATE_PFN_COMPOUND;
	dmirror_migrate_count(m, DMIRROR_STAT_LARGE_OUT, 1);
	return true;
}

static bool dmirror_migrate_out_page(struct dmirror_migrate *m, unsigned int i,
				     unsigned int sub)
{
	struct page *from = migrate_pfn_to_page(m->args.src[i]);
	struct page *to;

	to = dmirror_migrate_alloc(m, 0, i + sub, dmirror_migrate_must(m, i, sub));
	if (!to)
		return false;

	if (!dmirror_copy_page(m->dev, to,
			       dmirror_vram_data(&m->dev->vram, from + sub))) {
		dmirror_migrate_free(to);
		return false;
	}
	m->args.dst[i + sub] = dmirror_migrate_mpfn(to, m->args.src[i]);
	return true;
}

static bool dmirror_migrate_out_small(struct dmirror_migrate *m, unsigned int i,
				      unsigned int sub)
{
	bool found;

	if (m->args.dst[i + sub])
		return true;	/* the urgent one, served first */
	found = dmirror_migrate_out_page(m, i, sub);
	if (m->urgent == i + sub)
		m->starved = !found;
	return found;
}

static int dmirror_migrate_out_locked(struct dmirror_migrate *m,
				      struct vm_area_struct *vma,
				      unsigned long start, unsigned long end)
{
	return dmirror_migrate_away(m, vma, start, end, dmirror_migrate_out_large,
				    dmirror_migrate_out_small);
}

/* The end of a window of @n pages. */
static void dmirror_migrate_out_count(struct dmirror_migrate *m, int reason,
				      unsigned long start, unsigned int n)
{
	trace_dmirror_migrate_out_end(m->dev->id, start, n, reason, m->moved,
				      m->tried - m->moved);
	dmirror_migrate_count(m, DMIRROR_STAT_MIGRATE_OUT_PAGES, m->moved);
	dmirror_migrate_count(m, DMIRROR_STAT_MIGRATE_OUT_FAILED,
			      m->tried - m->moved);
}

static int dmirror_migrate_out_window(struct dmirror_migrate *m,
				      unsigned long start, unsigned long *end)
{
	unsigned int n = dmirror_leaf_count(start, *end);
	int ret;

	trace_dmirror_migrate_out_begin(m->dev->id, start, n, DMIRROR_REASON_REQUEST,
					0, 0);
	ret = dmirror_migrate_away_from(m, start, end, dmirror_migrate_out_large,
					dmirror_migrate_out_small);
	dmirror_migrate_out_count(m, DMIRROR_REASON_REQUEST, start, n);
	return ret;
}

int dmirror_migrate_out(struct dmirror_client *client, unsigned long start,
			unsigned long *end, struct dmirror_migrate_buf *buf,
			struct dmirror_moved *moved)
{
	struct dmirror_migrate m = {
		.dev = client->dev, .client = client, .urgent = -1,
		.classes = &buf->classes, .patience = &buf->patience,
		.args = { .src = buf->src, .dst = buf->dst },
	};

	return dmirror_migrate_request(&m, dmirror_migrate_out_window, start, end,
				       moved);
}

/*
 * One mapping of a window. @start and @end become what it covers of them; without
 * one, @end is where the next begins.
 */
static int dmirror_migrate_evict_vma(struct dmirror_migrate *m,
				     unsigned long *start, unsigned long *end)
{
	struct mm_struct *mm = m->client->mm;
	struct vm_area_struct *vma;
	unsigned int n;
	int ret = dmirror_mm_lock(mm);

	m->tried = 0;
	m->moved = 0;
	if (ret)
		return ret;
	vma = find_vma(mm, *start);
	if (vma && vma->vm_start < *end) {
		*start = max(*start, vma->vm_start);
		*end = min(*end, vma->vm_end);
		n = dmirror_leaf_count(*start, *end);
		trace_dmirror_migrate_out_begin(m->dev->id, *start, n,
						DMIRROR_REASON_EVICT, 0, 0);
		/* A mapping of a kind that cannot migrate has nothing here. */
		dmirror_migrate_out_locked(m, vma, *start, *end);
		trace_dmirror_migrate_out_end(m->dev->id, *start, n,
					      DMIRROR_REASON_EVICT, m->moved,
					      m->tried - m->moved);
	} else {
		*end = vma ? vma->vm_start : ULONG_MAX;
	}
	mmap_read_unlock(mm);
	return 0;
}

int dmirror_migrate_evict(struct dmirror_client *client, unsigned long start,
			  unsigned long *end, struct dmirror_migrate_buf *buf,
			  u64 *moved)
{
	struct dmirror_device *dev = client->dev;
	struct dmirror_migrate m = {
		.dev = dev, .client = client, .urgent = -1,
		.args = { .src = buf->src, .dst = buf->dst },
	};
	unsigned long next;
	int ret = 0;

	for (; start < *end && !ret; start = next) {
		next = *end;
		if (!dmirror_vram_get(&dev->vram)) {
			ret = -ENODEV;
			break;
		}
		ret = dmirror_migrate_evict_vma(&m, &start, &next);
		dmirror_vram_put(&dev->vram);
		dmirror_stat_add(&dev->stats, DMIRROR_STAT_EVICTED_PAGES, m.moved);
		dmirror_stat_add(&dev->stats, DMIRROR_STAT_EVICT_FAILED,
				 m.tried - m.moved);
		*moved += m.moved;
		if (ret == -EINPROGRESS) {
			next = start;
			ret = dmirror_mm_wait(client->mm);
		}
	}
	*end = max(*end, start);
	return ret;
}

vm_fault_t dmirror_migrate_fault(struct dmirror_device *dev, struct vm_fault *vmf,
				 unsigned long start, unsigned long end,
				 unsigned long *src, unsigned long *dst,
				 unsigned int *moved)
{
	struct dmirror_migrate m = {
		.dev = dev,
		.urgent = dmirror_leaf_count(start, vmf->address & PAGE_MASK),
		.args = { .src = src, .dst = dst, .fault_page = vmf->page },
	};
	unsigned int n = dmirror_leaf_count(start, end);
	int ret;

	trace_dmirror_migrate_out_begin(dev->id, start, n, DMIRROR_REASON_CPU_FAULT,
					0, 0);
	ret = dmirror_migrate_out_locked(&m, vmf->vma, start, end);
	dmirror_migrate_out_count(&m, DMIRROR_REASON_CPU_FAULT, start, n);
	*moved = m.moved;
	if (ret)
		return VM_FAULT_SIGBUS;
	/*
	 * A page that the core did not offer is wanted again, by the next fault; and
	 * that its neighbours found no memory does not matter.
	 */
	return m.starved ? VM_FAULT_OOM : 0;
}
