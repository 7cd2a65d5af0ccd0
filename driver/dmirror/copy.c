// SPDX-License-Identifier: GPL-2.0
/*
 * Copy engine: see copy.h. Owns no state and takes no locks; who may touch a
 * page at what time is the caller's business.
 */
#include <linux/highmem.h>

#include "copy.h"
#include "inject.h"

bool dmirror_copy_page(struct dmirror_device *dev, struct page *to,
		       struct page *from)
{
	if (dmirror_inject(dev, DMIRROR_INJECT_COPY))
		return false;
	if (dmirror_sabotage(dev, DMIRROR_SABOTAGE_COPY))
		return true;
	if (from)
		copy_highpage(to, from);
	else
		clear_highpage(to);
	return true;
}
