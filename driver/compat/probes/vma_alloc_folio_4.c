// SPDX-License-Identifier: GPL-2.0
/*
 * mm: vma_alloc_folio() lost its last argument (6.13).
 * Needed by compat_vma_alloc_folio().
 */
#include <linux/gfp.h>
#include <linux/mm.h>

struct folio *probe(struct vm_area_struct *vma);
struct folio *probe(struct vm_area_struct *vma)
{
	return vma_alloc_folio(GFP_HIGHUSER_MOVABLE, 0, vma, 0);
}
