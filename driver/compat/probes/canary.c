// SPDX-License-Identifier: GPL-2.0
/* Must compile: the kernel headers and the flags are usable at all. */
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/memremap.h>

int probe(struct page *page);
int probe(struct page *page)
{
	return is_zone_device_page(page);
}
