// SPDX-License-Identifier: GPL-2.0
/*
 * mm: check_stable_address_space() is offered to modules.
 * Needed by compat_hmm_range_fault().
 */
#include <linux/mm.h>
#include <linux/oom.h>

int probe(struct mm_struct *mm);
int probe(struct mm_struct *mm)
{
	return check_stable_address_space(mm) != 0;
}
