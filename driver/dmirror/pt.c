// SPDX-License-Identifier: GPL-2.0
/*
 * Device page table leaf: see pt.h for the model.
 *
 * Owns the entries and the sums over them, and keeps the two in step. Takes no
 * locks and builds on the host, where the unit tests compare it with a model.
 */
#include "pt.h"

static void dmirror_pt_account(struct dmirror_pt *pt, dmirror_pte_t pte, int sign)
{
	if (pte & DMIRROR_PTE_VALID)
		pt->nr_valid += sign;
	if (pte & DMIRROR_PTE_VRAM)
		pt->nr_vram += sign;
	if (pte & DMIRROR_PTE_EXCLUSIVE)
		pt->nr_exclusive += sign;
}

void dmirror_pt_init(struct dmirror_pt *pt)
{
	memset(pt, 0, sizeof(*pt));
}

void dmirror_pt_set(struct dmirror_pt *pt, unsigned int idx, dmirror_pte_t pte)
{
	dmirror_pt_account(pt, pt->pte[idx], -1);
	dmirror_pt_account(pt, pte, 1);
	pt->pte[idx] = pte;
}

unsigned int dmirror_pt_clear(struct dmirror_pt *pt, unsigned int first,
			      unsigned int end)
{
	unsigned int before = pt->nr_valid;
	unsigned int i;

	for (i = first; i < end && pt->nr_valid; i++)
		if (pt->pte[i])
			dmirror_pt_set(pt, i, 0);
	return before - pt->nr_valid;
}

unsigned int dmirror_pt_run(const struct dmirror_pt *pt, unsigned int first,
			    unsigned int end, u64 need)
{
	unsigned int i = first;

	while (i < end && (pt->pte[i] & need) == need)
		i++;
	return i - first;
}

unsigned int dmirror_pt_count(const struct dmirror_pt *pt, unsigned int first,
			      unsigned int end, u64 need)
{
	unsigned int i, n = 0;

	for (i = first; i < end; i++)
		n += (pt->pte[i] & need) == need;
	return n;
}
