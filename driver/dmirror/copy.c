// SPDX-License-Identifier: GPL-2.0
/*
 * Copy engine: see copy.h. Owns no state and takes no locks; who may touch a
 * page at what time is the caller's business.
 */
#include <linux/highmem.h>

#include "copy.h"

void dmirror_copy_page(struct page *to, struct page *from)
{
	if (from)
		copy_highpage(to, from);
	else
		clear_highpage(to);
}

void dmirror_copy_out(void *buf, struct page *from)
{
	memcpy_from_page(buf, from, 0, PAGE_SIZE);
}

void dmirror_copy_in(struct page *to, const void *buf)
{
	memcpy_to_page(to, 0, buf, PAGE_SIZE);
}
