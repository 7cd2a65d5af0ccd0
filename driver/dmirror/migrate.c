// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of virtual address ranges.
 *
 * One window at a time, at most 2 MiB in one leaf: collect (the core locks and
 * unmaps what can move), find destinations, copy, commit, finish. Owns the
 * choice of destinations and the count of what really moved; what became of the
 * pages of a request, one by one, is worked out in classify.c. The device's
 * translations are not touched here: the core's notifications clear them before
 * the copy, and whoever wants them back faults again, so a racing munmap or
 * madvise cannot leave a stale one behind.
 *
 * Device pages are reserved, and others evicted for them, before the core locks
 * anything.
 *
 * Locks: the mmap lock, for reading, around one window. The CPU fault path has
 * it already.
 */
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "classify.h"
#include "compat.h"
#include "copy.h"
#include "evict.h"
#include "migrate.h"
#include "mirror.h"
#include "trace.h"

/**
 * struct dmirror_migrate - one window on its way
 * @dev: the device
 * @client: who asked; NULL for a CPU fault
 * @reserve: device pages to go to; NULL on the way out
 * @classes: what becomes of each page; NULL for a CPU fault
 * @args: what the core is given
 * @urgent: entry that must find a destination, the page of a CPU fault; -1 if
 *	there is none
 * @tried: pages the core was ready to move
 * @moved: pages that did
 * @nomem: pages without a destination
 */
struct dmirror_migrate {
	struct dmirror_device *dev;
	struct dmirror_client *client;
	struct dmirror_reserve *reserve;
	struct dmirror_classes *classes;
	struct migrate_vma args;
	int urgent;
	unsigned int tried;
	unsigned int moved;
	unsigned int nomem;
};

static void dmirror_migrate_count(struct dmirror_migrate *m,
				  enum dmirror_stat stat, u64 n)
{
	if (m->client)
		dmirror_client_count(m->client, stat, n);
	else
		dmirror_stat_add(&m->dev->stats, stat, n);
}

/* Is there to be no destination? Or none just once: HMM_DMIRROR_FLAG_FAIL_ALLOC. */
static bool dmirror_migrate_inject(struct dmirror_migrate *m,
				   enum dmirror_inject_point point)
{
	return dmirror_inject(m->dev, point) ||
	       (m->client && test_bit(0, &m->client->fail_alloc) &&
		test_and_clear_bit(0, &m->client->fail_alloc));
}

static void dmirror_migrate_prepare(struct dmirror_migrate *m,
				    struct vm_area_struct *vma,
				    unsigned long start, unsigned long end,
				    unsigned long flags)
{
	m->args.vma = vma;
	m->args.start = start;
	m->args.end = end;
	m->args.pgmap_owner = m->dev->vram.owner;
	m->args.flags = flags;
	memset(m->args.dst, 0, dmirror_leaf_count(start, end) * sizeof(long));
	/* Coherent pages are mapped by PTEs only, so large folios are split. */
	if (m->dev->vram.kind == DMIRROR_PRIVATE)
		m->args.flags |= COMPAT_MIGRATE_SELECT_COMPOUND;
}

/* Commit what has a destination, count it, and let go of the window. */
static void dmirror_migrate_finish(struct dmirror_migrate *m)
{
	unsigned int i;

	if (m->classes)
		dmirror_classify_offer(m->classes, &m->args);
	dmirror_inject(m->dev, DMIRROR_INJECT_COMMIT);
	migrate_vma_pages(&m->args);
	dmirror_inject(m->dev, DMIRROR_INJECT_FINALIZE);
	if (m->classes)
		dmirror_classify_result(m->classes, &m->args);
	for (i = 0; i < m->args.npages; i++) {
		if (!m->args.dst[i] || !(m->args.src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		if (dmirror_sabotage(m->dev, DMIRROR_SABOTAGE_COUNT))
			continue;
		m->moved += m->args.dst[i] & COMPAT_MIGRATE_PFN_COMPOUND ?
			    DMIRROR_LEAF_PAGES : 1;
	}
	migrate_vma_finalize(&m->args);
}

/*
 * The core fills a 2 MiB hole with small pages all or none and does not look
 * whether it got them all. Without its first page it leaves the hole alone.
 */
static void dmirror_migrate_drop_hole(struct dmirror_migrate *m, unsigned int i)
{
	struct page *first = migrate_pfn_to_page(m->args.dst[i]);

	if (m->args.src[i] & MIGRATE_PFN_VALID)
		return;
	m->args.dst[i] = 0;
	if (first)
		dmirror_vram_drop(first);
}

/*
 * Give every page the core is ready to move a destination. Entries lacking any
 * of the bits @need are none of our business. The callbacks handle one entry,
 * small() page @sub of the folio at entry @i.
 */
static void dmirror_migrate_fill(struct dmirror_migrate *m, unsigned long need,
				 bool (*large)(struct dmirror_migrate *, unsigned int),
				 bool (*small)(struct dmirror_migrate *, unsigned int,
					       unsigned int))
{
	unsigned int i, j, nr;

	for (i = 0; i < m->args.npages; i += nr) {
		unsigned long src = m->args.src[i];
		unsigned int nomem = m->nomem;

		nr = 1;
		if ((src & need) != need)
			continue;
		if (src & COMPAT_MIGRATE_PFN_COMPOUND) {
			nr = DMIRROR_LEAF_PAGES;
			m->tried += nr;
			if (large(m, i))
				continue;
			dmirror_migrate_count(m, DMIRROR_STAT_LARGE_FALLBACKS, 1);
		} else {
			m->tried++;
		}
		for (j = 0; j < nr; j++)
			if (!small(m, i, j))
				m->nomem++;
		if (nr > 1 && m->nomem != nomem)
			dmirror_migrate_drop_hole(m, i);
	}
}

static unsigned long dmirror_migrate_mpfn(struct page *page, unsigned long src)
{
	return migrate_pfn(page_to_pfn(page)) | (src & MIGRATE_PFN_WRITE);
}

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

static struct vm_area_struct *dmirror_migrate_vma(struct mm_struct *mm,
						  unsigned long addr)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);

	return vma && (vma->vm_flags & VM_READ) ? vma : NULL;
}

/* Collect. A mapping of a kind that cannot migrate is refused as a whole. */
static int dmirror_migrate_collect(struct dmirror_migrate *m)
{
	int ret;

	dmirror_inject(m->dev, DMIRROR_INJECT_COLLECT);
	ret = migrate_vma_setup(&m->args);

	if (ret && m->classes)
		dmirror_classify_all(m->classes,
				     dmirror_leaf_count(m->args.start, m->args.end),
				     DMIRROR_CLASS_UNSUPPORTED);
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

/* Is there something to migrate, and how far? Before anything is evicted. */
static int dmirror_migrate_check(struct mm_struct *mm, unsigned long start,
				 unsigned long *end)
{
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = dmirror_migrate_vma(mm, start);
	if (vma)
		*end = min(*end, vma->vm_end);
	mmap_read_unlock(mm);
	return vma ? 0 : -EFAULT;
}

static int dmirror_migrate_in_once(struct dmirror_migrate *m, unsigned long start,
				   unsigned long *end)
{
	struct mm_struct *mm = m->client->mm;
	struct vm_area_struct *vma;
	int ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = dmirror_migrate_vma(mm, start);
	if (!vma) {
		mmap_read_unlock(mm);
		return -EFAULT;
	}
	/* Mappings may have been split since the look before. */
	*end = min(*end, vma->vm_end);

	dmirror_migrate_prepare(m, vma, start, *end, MIGRATE_VMA_SELECT_SYSTEM);
	ret = dmirror_migrate_collect(m);
	if (!ret) {
		dmirror_migrate_refuse(m);
		/* Holes, too: the device gets a cleared page. */
		dmirror_migrate_fill(m, MIGRATE_PFN_MIGRATE,
				     dmirror_migrate_in_large,
				     dmirror_migrate_in_small);
		dmirror_migrate_finish(m);
	}
	mmap_read_unlock(mm);
	return ret;
}

static int dmirror_migrate_in_window(struct dmirror_migrate *m,
				     unsigned long start, unsigned long *end)
{
	unsigned int n, want;
	int ret;

	ret = dmirror_migrate_check(m->client->mm, start, end);
	if (ret)
		return ret;
	n = dmirror_leaf_count(start, *end);
	want = n - dmirror_classify_present(m->client, start, *end);
	if (!want) {
		dmirror_classify_all(m->classes, n, DMIRROR_CLASS_PRESENT);
		return 0;
	}
	ret = dmirror_evict_reserve(m->dev, m->client->account, m->reserve, want);
	if (ret)
		return ret;

	trace_dmirror_migrate_in_begin(m->dev->id, start, want,
				       DMIRROR_REASON_REQUEST, 0, 0);
	ret = dmirror_migrate_in_once(m, start, end);
	dmirror_vram_unreserve(&m->dev->vram, m->reserve);
	trace_dmirror_migrate_in_end(m->dev->id, start, want,
				     DMIRROR_REASON_REQUEST, m->moved,
				     m->tried - m->moved);

	dmirror_migrate_count(m, DMIRROR_STAT_MIGRATE_IN_PAGES, m->moved);
	dmirror_migrate_count(m, DMIRROR_STAT_MIGRATE_IN_FAILED, m->tried - m->moved);
	dmirror_classify_look(m->classes, m->client, start, *end);
	return ret;
}

/* One window of a request; every page of it is accounted for, whatever happens. */
static int dmirror_migrate_request(struct dmirror_migrate *m,
				   int (*window)(struct dmirror_migrate *,
						 unsigned long, unsigned long *),
				   unsigned long start, unsigned long *end,
				   struct dmirror_moved *moved)
{
	int ret = -ENODEV, tries = 2;

	dmirror_classify_begin(m->classes, !m->reserve);
	if (dmirror_vram_get(&m->dev->vram)) {
		/* What found no destination gets a second chance. */
		do {
			m->tried = 0;
			m->moved = 0;
			m->nomem = 0;
			ret = window(m, start, end);
		} while (!ret && m->nomem && --tries);
		dmirror_vram_put(&m->dev->vram);
	}
	dmirror_classify_end(m->classes, m->client,
			     dmirror_leaf_count(start, *end), moved);
	return ret;
}

int dmirror_migrate_in(struct dmirror_client *client, unsigned long start,
		       unsigned long *end, struct dmirror_migrate_buf *buf,
		       struct dmirror_moved *moved)
{
	struct dmirror_migrate m = {
		.dev = client->dev, .client = client, .urgent = -1,
		.reserve = &buf->reserve, .classes = &buf->classes,
		.args = { .src = buf->src, .dst = buf->dst },
	};

	return dmirror_migrate_request(&m, dmirror_migrate_in_window, start, end,
				       moved);
}

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

static bool dmirror_migrate_out_small(struct dmirror_migrate *m, unsigned int i,
				      unsigned int sub)
{
	struct page *from = migrate_pfn_to_page(m->args.src[i]);
	struct page *to;

	if (m->args.dst[i + sub])
		return true;	/* the urgent one, served first */
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

/* With the mmap lock held: collect, fill, commit, finish. */
static int dmirror_migrate_out_locked(struct dmirror_migrate *m,
				      struct vm_area_struct *vma,
				      unsigned long start, unsigned long end)
{
	/* The core offers holes on the way out as well. */
	const unsigned long need = MIGRATE_PFN_MIGRATE | MIGRATE_PFN_VALID;
	int ret;

	mmap_assert_locked(vma->vm_mm);
	dmirror_migrate_prepare(m, vma, start, end,
				m->dev->vram.kind == DMIRROR_PRIVATE ?
				MIGRATE_VMA_SELECT_DEVICE_PRIVATE :
				MIGRATE_VMA_SELECT_DEVICE_COHERENT);
	ret = dmirror_migrate_collect(m);
	if (ret)
		return ret;

	if (m->urgent >= 0 &&
	    (m->args.src[m->urgent] & (need | COMPAT_MIGRATE_PFN_COMPOUND)) == need)
		dmirror_migrate_out_small(m, m->urgent, 0);
	dmirror_migrate_fill(m, need, dmirror_migrate_out_large,
			     dmirror_migrate_out_small);
	dmirror_migrate_finish(m);
	return 0;
}

static void dmirror_migrate_out_count(struct dmirror_migrate *m, int reason,
				      unsigned long start)
{
	trace_dmirror_migrate_out_end(m->dev->id, start, m->tried, reason,
				      m->moved, m->tried - m->moved);
	dmirror_migrate_count(m, DMIRROR_STAT_MIGRATE_OUT_PAGES, m->moved);
	dmirror_migrate_count(m, DMIRROR_STAT_MIGRATE_OUT_FAILED,
			      m->tried - m->moved);
}

static int dmirror_migrate_out_window(struct dmirror_migrate *m,
				      unsigned long start, unsigned long *end)
{
	struct mm_struct *mm = m->client->mm;
	struct vm_area_struct *vma;
	int ret = -EFAULT;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = dmirror_migrate_vma(mm, start);
	if (vma) {
		*end = min(*end, vma->vm_end);
		trace_dmirror_migrate_out_begin(m->dev->id, start,
						dmirror_leaf_count(start, *end),
						DMIRROR_REASON_REQUEST, 0, 0);
		ret = dmirror_migrate_out_locked(m, vma, start, *end);
		dmirror_migrate_out_count(m, DMIRROR_REASON_REQUEST, start);
	}
	mmap_read_unlock(mm);
	if (!ret)
		dmirror_classify_look(m->classes, m->client, start, *end);
	return ret;
}

int dmirror_migrate_out(struct dmirror_client *client, unsigned long start,
			unsigned long *end, struct dmirror_migrate_buf *buf,
			struct dmirror_moved *moved)
{
	struct dmirror_migrate m = {
		.dev = client->dev, .client = client, .urgent = -1,
		.classes = &buf->classes,
		.args = { .src = buf->src, .dst = buf->dst },
	};

	return dmirror_migrate_request(&m, dmirror_migrate_out_window, start, end,
				       moved);
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
	int ret;

	trace_dmirror_migrate_out_begin(dev->id, start,
					dmirror_leaf_count(start, end),
					DMIRROR_REASON_CPU_FAULT, 0, 0);
	ret = dmirror_migrate_out_locked(&m, vmf->vma, start, end);
	dmirror_migrate_out_count(&m, DMIRROR_REASON_CPU_FAULT, start);
	*moved = m.moved;
	if (ret)
		return VM_FAULT_SIGBUS;
	/* Partly out of memory is all right as long as the page itself moved. */
	return m.nomem && !m.args.dst[m.urgent] ? VM_FAULT_OOM : 0;
}
