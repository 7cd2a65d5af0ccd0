/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device page table, one leaf: the translations of 2 MiB of address space.
 *
 * A leaf is an array of 512 entries and the sums the rest of the driver asks
 * for often. It knows nothing of locks, notifiers or struct page: whoever owns
 * the leaf (struct dmirror_leaf) serialises access.
 */
#ifndef DMIRROR_PT_H
#define DMIRROR_PT_H

#include "kdeps.h"

#define DMIRROR_LEAF_ORDER	9
#define DMIRROR_LEAF_PAGES	512U	/* 1 << DMIRROR_LEAF_ORDER */

/*
 * An entry is a page frame number above the flag bits. Zero is "not mapped".
 * For device memory the frame is that of the device page, not of the memory
 * behind it.
 */
typedef u64 dmirror_pte_t;

#define DMIRROR_PTE_VALID	BIT_ULL(0)	/* the device may read */
#define DMIRROR_PTE_WRITE	BIT_ULL(1)	/* the device may write */
#define DMIRROR_PTE_EXCLUSIVE	BIT_ULL(2)	/* the CPU has no access */
#define DMIRROR_PTE_VRAM	BIT_ULL(3)	/* in this device's memory */
#define DMIRROR_PTE_FLAGS	0xffULL
#define DMIRROR_PTE_PFN_SHIFT	8

/**
 * struct dmirror_pt - one leaf of the device page table
 * @pte: the entries
 * @nr_valid: entries with DMIRROR_PTE_VALID
 * @nr_vram: entries with DMIRROR_PTE_VRAM
 * @nr_exclusive: entries with DMIRROR_PTE_EXCLUSIVE
 */
struct dmirror_pt {
	dmirror_pte_t pte[DMIRROR_LEAF_PAGES];
	unsigned int nr_valid;
	unsigned int nr_vram;
	unsigned int nr_exclusive;
};

/**
 * dmirror_pte_make() - build an entry
 * @pfn: page frame number
 * @flags: DMIRROR_PTE_* beside VALID, which is always set
 *
 * Return: the entry.
 */
static inline dmirror_pte_t dmirror_pte_make(unsigned long pfn, u64 flags)
{
	return ((u64)pfn << DMIRROR_PTE_PFN_SHIFT) | DMIRROR_PTE_VALID | flags;
}

/**
 * dmirror_pte_pfn() - page frame number of an entry
 * @pte: a valid entry
 *
 * Return: the page frame number.
 */
static inline unsigned long dmirror_pte_pfn(dmirror_pte_t pte)
{
	return pte >> DMIRROR_PTE_PFN_SHIFT;
}

/**
 * dmirror_pt_init() - make a leaf empty
 * @pt: the leaf
 */
void dmirror_pt_init(struct dmirror_pt *pt);

/**
 * dmirror_pt_set() - store one entry
 * @pt: the leaf
 * @idx: entry number, below DMIRROR_LEAF_PAGES
 * @pte: the new entry; 0 clears it
 */
void dmirror_pt_set(struct dmirror_pt *pt, unsigned int idx, dmirror_pte_t pte);

/**
 * dmirror_pt_clear() - clear the entries [first, end)
 * @pt: the leaf
 * @first: first entry
 * @end: the entry after the last one
 *
 * Return: how many of them had been valid.
 */
unsigned int dmirror_pt_clear(struct dmirror_pt *pt, unsigned int first,
			      unsigned int end);

/**
 * dmirror_pt_run() - length of the run of entries that allow an access
 * @pt: the leaf
 * @first: first entry
 * @end: the entry after the last one of interest
 * @need: DMIRROR_PTE_* bits each entry of the run must have
 *
 * Return: how many entries from @first on, in one piece, have all of @need.
 */
unsigned int dmirror_pt_run(const struct dmirror_pt *pt, unsigned int first,
			    unsigned int end, u64 need);

/**
 * dmirror_pt_count() - count the entries of [first, end) with given flags
 * @pt: the leaf
 * @first: first entry
 * @end: the entry after the last one
 * @need: DMIRROR_PTE_* bits an entry must have to be counted
 *
 * Return: the number of such entries.
 */
unsigned int dmirror_pt_count(const struct dmirror_pt *pt, unsigned int first,
			      unsigned int end, u64 need);

#endif /* DMIRROR_PT_H */
