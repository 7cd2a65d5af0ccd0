// SPDX-License-Identifier: GPL-2.0
/*
 * CPU faults.
 *
 * Decides how much comes back with the page that is needed: the whole folio
 * when it is mapped whole, else an aligned window clipped to the mapping. The
 * migration itself is migrate.c's. Never takes a lock that is held across an
 * allocation elsewhere in the driver.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "cpu_fault.h"
#include "migrate.h"
#include "policy.h"

vm_fault_t dmirror_cpu_fault(struct dmirror_device *dev, struct vm_fault *vmf,
			     unsigned long around)
{
	struct dmirror_migrate_buf *buf;
	struct dmirror_moved moved = { 0 };
	unsigned long start, end;
	vm_fault_t ret;

	buf = kvmalloc(sizeof(*buf), GFP_KERNEL);
	if (!buf)
		return VM_FAULT_OOM;

	/* No PTE: a whole 2 MiB page is wanted back. */
	if (COMPAT_LARGE_FOLIOS && !vmf->pte)
		around = DMIRROR_LEAF_SIZE;
	dmirror_policy_around(vmf->address, around, vmf->vma->vm_start,
			      vmf->vma->vm_end, &start, &end);

	ret = dmirror_migrate_fault(dev, vmf, start, end, buf, &moved);
	dmirror_stat_add(&dev->stats, DMIRROR_STAT_CPU_FAULTS, 1);
	dmirror_stat_add(&dev->stats, DMIRROR_STAT_CPU_FAULT_PAGES, moved.moved);
	kvfree(buf);
	return ret;
}
