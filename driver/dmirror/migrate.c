// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of virtual address ranges: the steps.
 *
 * One window at a time, at most 2 MiB in one leaf: collect (the core locks and
 * unmaps what can move), find destinations, copy, commit, finish. Owns all talk
 * with the core about that and the count of what really moved; which pages go
 * where is decided in migrate_in.c, migrate_out.c and peer.c, and what became of
 * the pages of a request, one by one, is worked out in classify.c. The device's
 * translations are not touched here: the core's notifications clear them before
 * the copy, and whoever wants them back faults again, so a racing munmap or
 * madvise cannot leave a stale one behind.
 *
 * Locks: none of its own; the mmap lock is held by whoever takes these steps, but
 * for dmirror_migrate_away_from(), which takes it for reading.
 */
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "account.h"
#include "classify.h"
#include "compat.h"
#include "copy.h"
#include "evict.h"
#include "migrate_steps.h"
#include "mirror.h"
#include "trace.h"

void dmirror_migrate_count(struct dmirror_migrate *m, enum dmirror_stat stat,
			   u64 n)
{
	if (m->client)
		dmirror_client_count(m->client, stat, n);
	else
		dmirror_stat_add(&m->dev->stats, stat, n);
}

/* Is there to be no destination? Or none just once: HMM_DMIRROR_FLAG_FAIL_ALLOC. */
bool dmirror_migrate_inject(struct dmirror_migrate *m,
			    enum dmirror_inject_point point)
{
	return dmirror_inject(m->dev, point) ||
	       (m->client && test_bit(0, &m->client->fail_alloc) &&
		test_and_clear_bit(0, &m->client->fail_alloc));
}

void dmirror_migrate_prepare(struct dmirror_migrate *m, struct vm_area_struct *vma,
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
	if (m->dev->vram.kind == DMIRROR_PRIVATE &&
	    (!m->peer || m->peer->vram.kind == DMIRROR_PRIVATE))
		m->args.flags |= COMPAT_MIGRATE_SELECT_COMPOUND;
}

/* Commit what has a destination, count it, and let go of the window. */
void dmirror_migrate_finish(struct dmirror_migrate *m)
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
void dmirror_migrate_fill(struct dmirror_migrate *m, unsigned long need,
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

struct vm_area_struct *dmirror_migrate_vma(struct mm_struct *mm,
					   unsigned long addr)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);

	return vma && (vma->vm_flags & VM_READ) ? vma : NULL;
}

/* Collect. A mapping of a kind that cannot migrate is refused as a whole. */
int dmirror_migrate_collect(struct dmirror_migrate *m)
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

/* All steps of a window whose pages leave the device. */
int dmirror_migrate_away(struct dmirror_migrate *m, struct vm_area_struct *vma,
			 unsigned long start, unsigned long end,
			 bool (*large)(struct dmirror_migrate *, unsigned int),
			 bool (*small)(struct dmirror_migrate *, unsigned int,
				       unsigned int))
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
		small(m, m->urgent, 0);
	dmirror_migrate_fill(m, need, large, small);
	dmirror_migrate_finish(m);
	return 0;
}

int dmirror_migrate_away_from(struct dmirror_migrate *m, unsigned long start,
			      unsigned long *end,
			      bool (*large)(struct dmirror_migrate *, unsigned int),
			      bool (*small)(struct dmirror_migrate *, unsigned int,
					    unsigned int))
{
	struct mm_struct *mm = m->client->mm;
	struct vm_area_struct *vma;
	int ret = dmirror_mm_lock(mm);

	if (ret)
		return ret;
	ret = -EFAULT;
	vma = dmirror_migrate_vma(mm, start);
	if (vma) {
		*end = min(*end, vma->vm_end);
		ret = dmirror_migrate_away(m, vma, start, *end, large, small);
	}
	mmap_read_unlock(mm);
	return ret;
}

/*
 * How often a window is tried while somebody holds pages of it for a moment only: a
 * batch of the LRU on another CPU, a reader of /proc, reclaim. The core's own
 * migrate_pages() does it ten times.
 */
#define DMIRROR_MIGRATE_TRIES	5

/* What found no destination gets a second chance. */
static int dmirror_migrate_tries(struct dmirror_migrate *m,
				 int (*window)(struct dmirror_migrate *,
					       unsigned long, unsigned long *),
				 unsigned long start, unsigned long *end)
{
	int ret, tries = 2;

	do {
		m->tried = 0;
		m->moved = 0;
		m->nomem = 0;
		ret = window(m, start, end);
	} while (!ret && m->nomem && --tries);
	return ret;
}

/* All a window takes but waiting for pages that others hold. */
static int dmirror_migrate_attempt(struct dmirror_migrate *m,
				   int (*window)(struct dmirror_migrate *,
						 unsigned long, unsigned long *),
				   unsigned long start, unsigned long *end)
{
	int ret;

	m->classes->held = 0;
	do {
		ret = -ENODEV;
		if (!dmirror_vram_get(&m->dev->vram))
			break;
		ret = dmirror_migrate_tries(m, window, start, end);
		dmirror_vram_put(&m->dev->vram);
		/* The device must be able to go meanwhile. */
	} while (ret == -EINPROGRESS && !(ret = dmirror_mm_wait(m->client->mm)));
	if (ret != -EINTR && ret != -ENODEV)
		dmirror_classify_look(m->classes, m->client, start, *end);
	return ret;
}

/* For others to let go of pages; the processor they need may be this one. */
static int dmirror_migrate_pause(struct dmirror_migrate *m, unsigned int ticks)
{
	ticks = min(ticks, *m->patience);
	*m->patience -= ticks;
	schedule_timeout_killable(ticks);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Once more what was held. The window has come through already, so it is no error of
 * the request if the mapping has changed by now, and its end stays where it was.
 */
static int dmirror_migrate_again(struct dmirror_migrate *m,
				 int (*window)(struct dmirror_migrate *,
					       unsigned long, unsigned long *),
				 unsigned long start, unsigned long end)
{
	unsigned long until;
	unsigned int i;
	int ret = 0;

	for (i = 1; i < DMIRROR_MIGRATE_TRIES; i++) {
		if (ret || !m->classes->held || !*m->patience)
			break;
		ret = dmirror_migrate_pause(m, 1U << (i - 1));
		until = end;
		if (!ret)
			ret = dmirror_migrate_attempt(m, window, start, &until);
	}
	return ret == -EINTR || ret == -ENODEV ? ret : 0;
}

/* One window of a request; every page of it is accounted for, whatever happens. */
int dmirror_migrate_request(struct dmirror_migrate *m,
			    int (*window)(struct dmirror_migrate *,
					  unsigned long, unsigned long *),
			    unsigned long start, unsigned long *end,
			    struct dmirror_moved *moved)
{
	int ret;

	dmirror_classify_begin(m->classes, m->peer ? DMIRROR_WAY_PEER :
			       m->reserve ? DMIRROR_WAY_IN : DMIRROR_WAY_OUT,
			       m->peer);
	ret = dmirror_migrate_attempt(m, window, start, end);
	if (!ret)
		ret = dmirror_migrate_again(m, window, start, *end);
	dmirror_classify_end(m->classes, m->client,
			     dmirror_leaf_count(start, *end), moved);
	return ret;
}
