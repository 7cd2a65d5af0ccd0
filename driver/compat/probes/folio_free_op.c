// SPDX-License-Identifier: GPL-2.0
/*
 * mm: dev_pagemap_ops.page_free became folio_free (6.19).
 * Needed by COMPAT_PAGEMAP_OPS().
 */
#include <linux/memremap.h>

void probe(struct dev_pagemap_ops *ops, void (*fn)(struct folio *folio));
void probe(struct dev_pagemap_ops *ops, void (*fn)(struct folio *folio))
{
	ops->folio_free = fn;
}
