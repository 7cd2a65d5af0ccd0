// SPDX-License-Identifier: GPL-2.0
/*
 * The page table leaf against an array of plain entries.
 *
 * After any sequence of sets and clears every entry is the last one stored,
 * every sum is what counting gives, and the answers about ranges are what a
 * look at each entry gives.
 */
#include "pt.h"
#include "unit.h"

#define STEPS	3000

struct pair {
	struct dmirror_pt *pt;
	u64 model[DMIRROR_LEAF_PAGES];
};

static struct pair *pair_new(void)
{
	struct pair *pair = unit_alloc(sizeof(*pair));

	/* Alone in its memory, with old contents, as a recycled leaf has. */
	pair->pt = unit_alloc(sizeof(*pair->pt));
	memset(pair->pt, 0xa5, sizeof(*pair->pt));
	dmirror_pt_init(pair->pt);
	return pair;
}

static unsigned int naive_count(const struct pair *pair, unsigned int first,
				unsigned int end, u64 need)
{
	unsigned int n = 0;

	for (; first < end; first++)
		if (!(need & ~pair->model[first]))
			n++;
	return n;
}

static unsigned int naive_run(const struct pair *pair, unsigned int first,
			      unsigned int end, u64 need)
{
	unsigned int n = 0;

	while (first + n < end && !(need & ~pair->model[first + n]))
		n++;
	return n;
}

static void compare(const struct pair *pair)
{
	unsigned int i;

	for (i = 0; i < DMIRROR_LEAF_PAGES; i++)
		CHECK_EQ(pair->pt->pte[i], pair->model[i]);
	CHECK_EQ(pair->pt->nr_valid,
		 naive_count(pair, 0, DMIRROR_LEAF_PAGES, DMIRROR_PTE_VALID));
	CHECK_EQ(pair->pt->nr_vram,
		 naive_count(pair, 0, DMIRROR_LEAF_PAGES, DMIRROR_PTE_VRAM));
	CHECK_EQ(pair->pt->nr_exclusive,
		 naive_count(pair, 0, DMIRROR_LEAF_PAGES, DMIRROR_PTE_EXCLUSIVE));
}

static u64 random_flags(void)
{
	static const u64 flags[] = {
		DMIRROR_PTE_WRITE, DMIRROR_PTE_EXCLUSIVE, DMIRROR_PTE_VRAM,
	};
	u64 picked = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (unit_once_in(2))
			picked |= flags[i];
	return picked;
}

static u64 random_pte(void)
{
	if (unit_once_in(5))
		return 0;
	return dmirror_pte_make(unit_random() & ((1UL << 52) - 1), random_flags());
}

static void set_one(struct pair *pair, unsigned int idx, u64 pte)
{
	dmirror_pt_set(pair->pt, idx, pte);
	pair->model[idx] = pte;
}

static void clear_some(struct pair *pair)
{
	unsigned int first, end, valid;

	unit_range(DMIRROR_LEAF_PAGES, &first, &end);
	valid = naive_count(pair, first, end, DMIRROR_PTE_VALID);
	CHECK_EQ(dmirror_pt_clear(pair->pt, first, end), valid);
	memset(pair->model + first, 0, (end - first) * sizeof(u64));
}

static void ask(const struct pair *pair)
{
	u64 need = random_flags() | (unit_once_in(2) ? DMIRROR_PTE_VALID : 0);
	unsigned int first, end;

	unit_range(DMIRROR_LEAF_PAGES, &first, &end);
	CHECK_EQ(dmirror_pt_run(pair->pt, first, end, need),
		 naive_run(pair, first, end, need));
	CHECK_EQ(dmirror_pt_count(pair->pt, first, end, need),
		 naive_count(pair, first, end, need));
}

/* A stretch of entries of one kind, so that long runs exist to be found. */
static void set_stretch(struct pair *pair)
{
	unsigned int first, end;
	u64 flags = random_flags();

	unit_range(DMIRROR_LEAF_PAGES, &first, &end);
	for (; first < end; first++)
		set_one(pair, first, dmirror_pte_make(first + 1, flags));
}

static void random_sequence(void)
{
	struct pair *pair = pair_new();
	unsigned int step;

	compare(pair);
	for (step = 0; step < STEPS * unit_rounds; step++) {
		unsigned int what = unit_below(16);

		if (what < 8)
			set_one(pair, unit_below(DMIRROR_LEAF_PAGES), random_pte());
		else if (what < 9)
			set_stretch(pair);
		else if (what < 10)
			clear_some(pair);
		else
			ask(pair);
		compare(pair);
	}
}

static void entry_keeps_frame_and_flags(void)
{
	unsigned int bit;

	for (bit = 0; bit < 64 - DMIRROR_PTE_PFN_SHIFT; bit++) {
		u64 flags = random_flags();
		u64 pte = dmirror_pte_make(1UL << bit, flags);

		CHECK_EQ(dmirror_pte_pfn(pte), 1UL << bit);
		CHECK_EQ(pte & DMIRROR_PTE_FLAGS, flags | DMIRROR_PTE_VALID);
	}
	CHECK(dmirror_pte_make(0, 0) != 0);
}

static void first_and_last_entry(void)
{
	struct pair *pair = pair_new();
	unsigned int last = DMIRROR_LEAF_PAGES - 1;
	u64 need = DMIRROR_PTE_VALID | DMIRROR_PTE_WRITE;

	set_one(pair, 0, dmirror_pte_make(1, DMIRROR_PTE_WRITE));
	set_one(pair, last, dmirror_pte_make(2, DMIRROR_PTE_WRITE));
	compare(pair);
	CHECK_EQ(dmirror_pt_run(pair->pt, last, last + 1, need), 1);
	CHECK_EQ(dmirror_pt_run(pair->pt, 0, last + 1, need), 1);
	CHECK_EQ(dmirror_pt_count(pair->pt, 0, last + 1, need), 2);
	CHECK_EQ(dmirror_pt_clear(pair->pt, 1, last), 0);
	CHECK_EQ(dmirror_pt_clear(pair->pt, last, last + 1), 1);
	CHECK_EQ(dmirror_pt_clear(pair->pt, 0, 1), 1);
	CHECK_EQ(dmirror_pt_clear(pair->pt, 0, last + 1), 0);
	CHECK_EQ(pair->pt->nr_valid, 0);
}

/* A write to a read-only entry must not be taken for allowed. */
static void read_only_ends_a_writable_run(void)
{
	struct pair *pair = pair_new();
	unsigned int i;

	for (i = 0; i < 16; i++)
		set_one(pair, i, dmirror_pte_make(i, i == 7 ? 0 : DMIRROR_PTE_WRITE));
	CHECK_EQ(dmirror_pt_run(pair->pt, 0, 16, DMIRROR_PTE_VALID), 16);
	CHECK_EQ(dmirror_pt_run(pair->pt, 0, 16,
				DMIRROR_PTE_VALID | DMIRROR_PTE_WRITE), 7);
	CHECK_EQ(dmirror_pt_run(pair->pt, 7, 16, DMIRROR_PTE_WRITE), 0);
}

const struct unit_test pt_tests[] = {
	{ "entry_keeps_frame_and_flags", entry_keeps_frame_and_flags },
	{ "first_and_last_entry", first_and_last_entry },
	{ "read_only_ends_a_writable_run", read_only_ends_a_writable_run },
	{ "random_sequence", random_sequence },
	{ NULL, NULL },
};
