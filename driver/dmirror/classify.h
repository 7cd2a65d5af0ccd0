/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What became of the pages of a request to migrate, each of them.
 */
#ifndef DMIRROR_CLASSIFY_H
#define DMIRROR_CLASSIFY_H

#include <linux/bitmap.h>

#include "types.h"

struct folio;
struct migrate_vma;

/**
 * enum dmirror_class - what became of a page
 * @DMIRROR_CLASS_UNTRIED: nothing was tried: the request ended, with an error,
 *	before it came to this page or at the window that has it
 * @DMIRROR_CLASS_MOVED: it changed place, or a page was made where none was
 * @DMIRROR_CLASS_PRESENT: it was there already: in this device's memory on the
 *	way in, in system memory on the way out, in the other device's
 * @DMIRROR_CLASS_HOLE: there is no page, and none is made here: on the way out,
 *	in a mapping that is not anonymous, where a userfaultfd handler wants to
 *	supply what is missing
 * @DMIRROR_CLASS_BUSY: it is in the right kind of memory but the core did not
 *	let it go, however often it was asked: pinned, locked by somebody else, or
 *	referenced
 * @DMIRROR_CLASS_ELSEWHERE: it is on a swap area or in the memory of another
 *	device; the core does not tell a module which. On the way from one device
 *	to another also: it is in system memory
 * @DMIRROR_CLASS_UNSUPPORTED: pages of its kind never move: of a file, merged
 *	by KSM, or of a mapping the core refuses
 * @DMIRROR_CLASS_NOMEM: no destination could be had for it, or not for all of
 *	the large page or 2 MiB hole that it is a part of
 * @DMIRROR_CLASS_RACED: it changed while the request looked at it
 * @DMIRROR_NR_CLASSES: how many classes there are
 *
 * The counters from %DMIRROR_STAT_IN_UNTRIED and %DMIRROR_STAT_OUT_UNTRIED on
 * have the same order.
 */
enum dmirror_class {
	DMIRROR_CLASS_UNTRIED,
	DMIRROR_CLASS_MOVED,
	DMIRROR_CLASS_PRESENT,
	DMIRROR_CLASS_HOLE,
	DMIRROR_CLASS_BUSY,
	DMIRROR_CLASS_ELSEWHERE,
	DMIRROR_CLASS_UNSUPPORTED,
	DMIRROR_CLASS_NOMEM,
	DMIRROR_CLASS_RACED,
	DMIRROR_NR_CLASSES
};

/**
 * struct dmirror_moved - what became of the pages of a migration
 * @pages: how many pages of each enum dmirror_class
 *
 * For a request the sum is the number of pages asked for, also when it fails.
 */
struct dmirror_moved {
	unsigned long pages[DMIRROR_NR_CLASSES];
};

/**
 * enum dmirror_way - where a request moves pages
 * @DMIRROR_WAY_IN: from system memory to the device
 * @DMIRROR_WAY_OUT: from the device to system memory
 * @DMIRROR_WAY_PEER: from the device to another one
 */
enum dmirror_way {
	DMIRROR_WAY_IN,
	DMIRROR_WAY_OUT,
	DMIRROR_WAY_PEER,
};

/**
 * struct dmirror_classes - the pages of one window of a request
 * @way: the direction
 * @peer: the device to go to if that is another one
 * @there: with @peer: bit n: page n is in its memory
 * @anon: the mapping is anonymous
 * @held: after dmirror_classify_look(): not 0 if there are pages the core could not
 *	have and perhaps can in a moment: they are busy, but not pinned
 * @of: enum dmirror_class of each page, or one of the states in between that
 *	classify.c keeps to itself
 */
struct dmirror_classes {
	enum dmirror_way way;
	struct dmirror_device *peer;
	DECLARE_BITMAP(there, DMIRROR_LEAF_PAGES);
	bool anon;
	unsigned int held;
	u8 of[DMIRROR_LEAF_PAGES];
};

/**
 * dmirror_classify_movable() - is this a page of a kind that can go to a device?
 * @folio: a folio in system memory that the caller keeps from being freed
 *
 * Pages of files cannot, the core would refuse them in the end. Pages that KSM
 * has merged must not: it goes on reading them by their frame number.
 *
 * Return: true if it is.
 */
bool dmirror_classify_movable(struct folio *folio);

/**
 * dmirror_classify_begin() - start with a window
 * @c: the classes; all untried afterwards
 * @way: the direction
 * @peer: the device to go to if that is another one, else NULL
 */
void dmirror_classify_begin(struct dmirror_classes *c, enum dmirror_way way,
			    struct dmirror_device *peer);

/**
 * dmirror_classify_all() - one class for what has not moved
 * @c: the classes
 * @n: pages of the window
 * @class: for all that have not moved in an earlier attempt
 */
void dmirror_classify_all(struct dmirror_classes *c, unsigned int n,
			  enum dmirror_class class);

/**
 * dmirror_classify_unseen() - the core was not asked for any of these pages
 * @c: classes
 * @n: pages of the window
 *
 * Of a file, and dmirror_classify_look() says of each whether it is there.
 *
 * Context: any.
 */
void dmirror_classify_unseen(struct dmirror_classes *c, unsigned int n);

/**
 * dmirror_classify_offer() - after the destinations have been chosen
 * @c: the classes
 * @args: collected, destinations filled in, not committed
 *
 * Context: mmap lock held.
 */
void dmirror_classify_offer(struct dmirror_classes *c,
			    const struct migrate_vma *args);

/**
 * dmirror_classify_result() - after the migration has been committed
 * @c: the classes
 * @args: committed, not finalized: the pages are still locked
 *
 * Context: mmap lock held.
 */
void dmirror_classify_result(struct dmirror_classes *c,
			     const struct migrate_vma *args);

/**
 * dmirror_classify_look() - find out why the core passed over some pages
 * @c: the classes
 * @client: the client, inside an operation
 * @start: first byte of the window
 * @end: byte after the last
 *
 * Looks at the process's page table once more, and only if there is a page that
 * the core said nothing about or may be asked for again. What cannot be found out
 * any more has raced.
 *
 * Context: process context, no mmap lock.
 */
void dmirror_classify_look(struct dmirror_classes *c,
			   struct dmirror_client *client,
			   unsigned long start, unsigned long end);

/**
 * dmirror_classify_end() - count a window
 * @c: the classes
 * @client: who asked, for its counters and those of its device
 * @n: pages of the window
 * @moved: counts by class are added to it
 */
void dmirror_classify_end(const struct dmirror_classes *c,
			  struct dmirror_client *client, unsigned int n,
			  struct dmirror_moved *moved);

/**
 * dmirror_classify_untried() - count pages a request never came to
 * @client: who asked, for its counters and those of its device
 * @n: how many
 * @out: the direction
 * @moved: they are added to it
 */
void dmirror_classify_untried(struct dmirror_client *client, unsigned long n,
			      bool out, struct dmirror_moved *moved);

/**
 * dmirror_classify_present() - pages of a window known to be on the device
 * @client: the client, inside an operation
 * @start: first byte
 * @end: byte after the last
 *
 * Return: how many, from the device's own translations alone.
 */
unsigned int dmirror_classify_present(struct dmirror_client *client,
				      unsigned long start, unsigned long end);

#endif /* DMIRROR_CLASSIFY_H */
