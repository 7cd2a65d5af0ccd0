// SPDX-License-Identifier: GPL-2.0
/*
 * mm: make_device_exclusive_range() became make_device_exclusive() (6.15).
 * Needed by compat_make_device_exclusive().
 */
#include <linux/mm.h>
#include <linux/rmap.h>

struct page *probe(struct mm_struct *mm, struct folio **folio);
struct page *probe(struct mm_struct *mm, struct folio **folio)
{
	return make_device_exclusive(mm, 0, NULL, folio);
}
