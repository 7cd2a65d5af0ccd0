// SPDX-License-Identifier: GPL-2.0
/*
 * CPU faults.
 *
 * Decides how much comes back with the page that is needed: the whole folio
 * when it is mapped whole, else an aligned window clipped to the mapping, as
 * large as a client's advice says and no farther than that reaches. The
 * migration itself is migrate.c's. Never takes a lock that is held across an
 * allocation elsewhere in the driver.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "cpu_fault.h"
#include "hints.h"
#include "migrate.h"
#include "policy.h"

/* Windows up to this many pages need no allocation. */
#define DMIRROR_FAULT_SMALL	16

/**
 * struct dmirror_fault_buf - working memory for one fault
 * @src: one entry per page, in @small or allocated
 * @dst: likewise
 * @small: enough for a small window
 */
struct dmirror_fault_buf {
	unsigned long *src;
	unsigned long *dst;
	unsigned long small[2 * DMIRROR_FAULT_SMALL];
};

/*
 * A fault must not fail for want of working memory: without it the window is a
 * small one, unless all of it has to come (@whole). Returns how many bytes it may
 * have.
 */
static unsigned long dmirror_fault_buf_get(struct dmirror_device *dev,
					   struct dmirror_fault_buf *buf,
					   unsigned long around, bool whole)
{
	gfp_t gfp = GFP_KERNEL | (whole ? __GFP_NOFAIL : __GFP_NOWARN);
	unsigned int n = around >> PAGE_SHIFT;

	buf->src = NULL;
	if (whole || (n > DMIRROR_FAULT_SMALL &&
		      !dmirror_inject(dev, DMIRROR_INJECT_BUFFER)))
		buf->src = kvmalloc_array(2 * n, sizeof(long), gfp);
	if (!buf->src) {
		buf->src = buf->small;
		n = min_t(unsigned int, n, DMIRROR_FAULT_SMALL);
	}
	buf->dst = buf->src + n;
	return (unsigned long)n << PAGE_SHIFT;
}

static void dmirror_fault_buf_put(struct dmirror_fault_buf *buf)
{
	if (buf->src != buf->small)
		kvfree(buf->src);
}

vm_fault_t dmirror_cpu_fault(struct dmirror_device *dev, struct vm_fault *vmf,
			     unsigned long around)
{
	struct dmirror_range advised = {
		.start = vmf->vma->vm_start, .end = vmf->vma->vm_end,
	};
	/*
	 * No PTE: the folio is mapped whole. A window that is less of it would have the
	 * core split it, which cannot be: both the fault and the core's collecting hold
	 * a reference then, and only one is expected. Nothing would move, and the fault
	 * come again for ever.
	 */
	bool whole = COMPAT_LARGE_FOLIOS && !vmf->pte;
	struct dmirror_fault_buf buf;
	unsigned long start, end;
	unsigned int moved;
	vm_fault_t ret;

	if (whole) {
		around = DMIRROR_LEAF_SIZE;
	} else if (COMPAT_LARGE_FOLIOS && folio_test_large(page_folio(vmf->page))) {
		/*
		 * Mapped by PTEs, it gets split. The core (6.19 to 7.3) then goes on
		 * with the folio there was before, whose first page is not locked any
		 * more: as a part of the window it would be migrated, and unlocked,
		 * all the same. The next fault finds a small page.
		 */
		around = PAGE_SIZE;
	} else {
		dmirror_hints_around(dev, vmf->vma->vm_mm, vmf->address, &advised);
		around = advised.advice.around ? : around;
	}
	around = dmirror_fault_buf_get(dev, &buf, around, whole);
	dmirror_policy_around(vmf->address, around,
			      max(advised.start, vmf->vma->vm_start),
			      min(advised.end, vmf->vma->vm_end), &start, &end);

	ret = dmirror_migrate_fault(dev, vmf, start, end, buf.src, buf.dst, &moved);
	dmirror_stat_add(&dev->stats, DMIRROR_STAT_CPU_FAULTS, 1);
	dmirror_stat_add(&dev->stats, DMIRROR_STAT_CPU_FAULT_PAGES, moved);
	dmirror_fault_buf_put(&buf);
	return ret;
}
