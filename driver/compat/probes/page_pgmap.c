// SPDX-License-Identifier: GPL-2.0
/* mm: page->pgmap became page_pgmap() (6.15). Needed by compat_page_pgmap(). */
#include <linux/mm.h>
#include <linux/memremap.h>

struct dev_pagemap *probe(const struct page *page);
struct dev_pagemap *probe(const struct page *page)
{
	return page_pgmap(page);
}
