// SPDX-License-Identifier: GPL-2.0
/*
 * mm: dev_pagemap_ops gained folio_split (6.19).
 * Needed by COMPAT_PAGEMAP_OPS().
 */
#include <linux/memremap.h>

void probe(struct dev_pagemap_ops *ops, void (*fn)(struct folio *, struct folio *));
void probe(struct dev_pagemap_ops *ops, void (*fn)(struct folio *, struct folio *))
{
	ops->folio_split = fn;
}
