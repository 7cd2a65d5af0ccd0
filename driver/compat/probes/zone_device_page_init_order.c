// SPDX-License-Identifier: GPL-2.0
/*
 * mm: zone_device_page_init() takes a pagemap and an order (6.19).
 * Needed by compat_zone_device_page_init().
 */
#include <linux/memremap.h>

void probe(struct page *page, struct dev_pagemap *pgmap);
void probe(struct page *page, struct dev_pagemap *pgmap)
{
	zone_device_page_init(page, pgmap, 0);
	zone_device_folio_init(page_folio(page), pgmap, 0);
}
