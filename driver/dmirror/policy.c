// SPDX-License-Identifier: GPL-2.0
/*
 * Window arithmetic: see policy.h. No state, no locks.
 */
#include "policy.h"

void dmirror_policy_around(unsigned long addr, unsigned long size,
			   unsigned long lo, unsigned long hi,
			   unsigned long *start, unsigned long *end)
{
	unsigned long first = ALIGN_DOWN(addr, size);
	unsigned long last = first + (size - 1);

	*start = max(first, lo);
	/* Compare the last bytes: first + size may wrap at the very top. */
	*end = min(last, hi - 1) + 1;
}

unsigned long dmirror_policy_window_end(unsigned long addr, unsigned long end,
					unsigned long size)
{
	unsigned long last = ALIGN_DOWN(addr, size) + (size - 1);

	return min(last, end - 1) + 1;
}
