// SPDX-License-Identifier: GPL-2.0
/*
 * mm/hmm: hmm_range_fault_unlocked_timeout() was added (7.x).
 * Needed by compat_hmm_range_fault().
 */
#include <linux/hmm.h>

int probe(struct hmm_range *range);
int probe(struct hmm_range *range)
{
	return hmm_range_fault_unlocked_timeout(range, 1UL);
}
