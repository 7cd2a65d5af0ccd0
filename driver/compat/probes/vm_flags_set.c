// SPDX-License-Identifier: GPL-2.0
/*
 * mm: vma->vm_flags is written through helpers (6.3).
 * Needed by compat_vm_flags_set().
 */
#include <linux/mm.h>

void probe(struct vm_area_struct *vma);
void probe(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_DONTEXPAND);
}
