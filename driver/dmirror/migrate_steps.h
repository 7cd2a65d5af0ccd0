/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The steps every migration of a window is made of: prepare, collect, fill,
 * finish. For migrate.c and the files that go other ways with the same steps.
 *
 * Context of all of them, unless they say something else: the mmap lock held for
 * reading from the first to the last.
 */
#ifndef DMIRROR_MIGRATE_STEPS_H
#define DMIRROR_MIGRATE_STEPS_H

#include <linux/migrate.h>

#include "migrate.h"

/**
 * struct dmirror_migrate - one window on its way
 * @dev: the device the pages come to, or from
 * @peer: the device to go to, when it is neither to @dev nor to system memory
 * @client: who asked; NULL for a CPU fault
 * @reserve: device pages to go to; NULL on the way out
 * @classes: what becomes of each page of a request; NULL for a fault
 * @patience: ticks a request may still wait for pages that somebody holds; unused
 *	without @classes
 * @args: what the core is given
 * @urgent: entry that must find a destination, the page of a CPU fault; -1 if
 *	there is none
 * @tried: pages the core was ready to move
 * @moved: pages that did
 * @nomem: pages without a destination
 * @starved: the urgent one is among them
 */
struct dmirror_migrate {
	struct dmirror_device *dev;
	struct dmirror_device *peer;
	struct dmirror_client *client;
	struct dmirror_reserve *reserve;
	struct dmirror_classes *classes;
	unsigned int *patience;
	struct migrate_vma args;
	int urgent;
	unsigned int tried;
	unsigned int moved;
	unsigned int nomem;
	bool starved;
};

/**
 * dmirror_migrate_prepare() - set up what the core is given
 * @m: the window, @m->dev set
 * @vma: the mapping it lies in
 * @start: first byte
 * @end: byte after the last
 * @flags: MIGRATE_VMA_SELECT_*: which pages
 */
void dmirror_migrate_prepare(struct dmirror_migrate *m, struct vm_area_struct *vma,
			     unsigned long start, unsigned long end,
			     unsigned long flags);

/**
 * dmirror_migrate_collect() - have the core lock and unmap what can move
 * @m: the window, prepared
 *
 * Return: 0, or a negative errno for a mapping of a kind that cannot migrate.
 */
int dmirror_migrate_collect(struct dmirror_migrate *m);

/**
 * dmirror_migrate_fill() - find destinations and copy
 * @m: the window, collected
 * @need: MIGRATE_PFN_* bits; entries lacking any of them are left alone
 * @large: gives the large folio at an entry a large destination
 * @small: gives page @sub of the folio at an entry a destination
 *
 * Both return whether there was one.
 */
void dmirror_migrate_fill(struct dmirror_migrate *m, unsigned long need,
			  bool (*large)(struct dmirror_migrate *m, unsigned int i),
			  bool (*small)(struct dmirror_migrate *m, unsigned int i,
					unsigned int sub));

/**
 * dmirror_migrate_finish() - commit what has a destination, count it, let go
 * @m: the window, filled
 */
void dmirror_migrate_finish(struct dmirror_migrate *m);

/**
 * dmirror_migrate_away() - all steps, for pages that leave the device
 * @m: the window, @m->dev set
 * @vma: the mapping it lies in
 * @start: first byte
 * @end: byte after the last
 * @large: as for dmirror_migrate_fill()
 * @small: likewise; called first for @m->urgent, and then once more, which it has
 *	to notice
 *
 * Return: as dmirror_migrate_collect().
 */
int dmirror_migrate_away(struct dmirror_migrate *m, struct vm_area_struct *vma,
			 unsigned long start, unsigned long end,
			 bool (*large)(struct dmirror_migrate *m, unsigned int i),
			 bool (*small)(struct dmirror_migrate *m, unsigned int i,
				       unsigned int sub));

/**
 * dmirror_migrate_away_from() - the same, and what comes before
 * @m: the window, @m->dev set
 * @start: first byte
 * @end: (in, out) byte after the last; on return where the mapping ended if that
 *	was earlier
 * @large: as for dmirror_migrate_away()
 * @small: likewise
 *
 * Context: process context, no mmap lock.
 * Return: as dmirror_migrate_away(); -EFAULT for a hole or a mapping without read
 * permission; -EINPROGRESS as dmirror_mm_lock().
 */
int dmirror_migrate_away_from(struct dmirror_migrate *m, unsigned long start,
			      unsigned long *end,
			      bool (*large)(struct dmirror_migrate *m, unsigned int i),
			      bool (*small)(struct dmirror_migrate *m, unsigned int i,
					    unsigned int sub));

/**
 * dmirror_migrate_mpfn() - the entry for a destination
 * @page: the destination, locked
 * @src: the entry of the source
 *
 * Return: the entry, writable if the source is.
 */
static inline unsigned long dmirror_migrate_mpfn(struct page *page,
						 unsigned long src)
{
	return migrate_pfn(page_to_pfn(page)) | (src & MIGRATE_PFN_WRITE);
}

/**
 * dmirror_migrate_count() - count for the client, if there is one, and the device
 * @m: the window
 * @stat: which counter
 * @n: by how much
 */
void dmirror_migrate_count(struct dmirror_migrate *m, enum dmirror_stat stat,
			   u64 n);

/**
 * dmirror_migrate_inject() - is there to be no destination this once?
 * @m: the window
 * @point: DMIRROR_INJECT_ALLOC_*
 *
 * Return: true also for the failure of HMM_DMIRROR_FLAG_FAIL_ALLOC.
 */
bool dmirror_migrate_inject(struct dmirror_migrate *m,
			    enum dmirror_inject_point point);

/**
 * dmirror_migrate_vma() - the mapping a window begins in
 * @mm: the process
 * @addr: first byte of the window
 *
 * Return: the mapping, or NULL if there is none that is readable.
 */
struct vm_area_struct *dmirror_migrate_vma(struct mm_struct *mm,
					   unsigned long addr);

/**
 * dmirror_migrate_request() - one window of a request
 * @m: the window, with @m->classes and @m->patience
 * @window: moves it; called again, after a pause, if there are pages that somebody
 *	holds perhaps for a moment only
 * @start: first byte
 * @end: (in, out) byte after the last; @window may make it less
 * @moved: every page is added to it, whatever happens
 *
 * Context: process context, no mmap lock, which is @window's to take. May sleep for
 * as long as @m->patience says.
 * Return: what @window did the first time; -ENODEV; -EINTR when being killed.
 */
int dmirror_migrate_request(struct dmirror_migrate *m,
			    int (*window)(struct dmirror_migrate *m,
					  unsigned long start,
					  unsigned long *end),
			    unsigned long start, unsigned long *end,
			    struct dmirror_moved *moved);

#endif /* DMIRROR_MIGRATE_STEPS_H */
