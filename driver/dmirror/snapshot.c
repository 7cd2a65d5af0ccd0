// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots.
 *
 * Owns a notifier of its own for the moment of a look, because the range may
 * lie anywhere and nothing of it is to be remembered, and the translation from
 * the core's answer to the bytes of the character devices' interface.
 *
 * Locks: snap->lock, nested like leaf->lock.
 */
#include <linux/hmm.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>

#include <hmm_dmirror/test_hmm.h>

#include "compat.h"
#include "mirror.h"
#include "snapshot.h"
#include "vram.h"

static bool dmirror_snapshot_invalidate(struct mmu_interval_notifier *notifier,
					const struct mmu_notifier_range *range,
					unsigned long cur_seq)
{
	struct dmirror_snapshot *snap =
		container_of(notifier, struct dmirror_snapshot, notifier);

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&snap->lock);
	else if (!mutex_trylock(&snap->lock))
		return false;
	mmu_interval_set_seq(notifier, cur_seq);
	mutex_unlock(&snap->lock);
	return true;
}

static const struct mmu_interval_notifier_ops dmirror_snapshot_ops = {
	.invalidate = dmirror_snapshot_invalidate,
};

static u8 dmirror_snapshot_kind(const struct dmirror_vram *vram, struct page *page)
{
	bool mine = dmirror_vram_owns(vram, page);

	if (is_device_private_page(page))
		return mine ? HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL :
			      HMM_DMIRROR_PROT_DEV_PRIVATE_REMOTE;
	if (is_device_coherent_page(page))
		return mine ? HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL :
			      HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE;
	if (is_zero_pfn(page_to_pfn(page)))
		return HMM_DMIRROR_PROT_ZERO;
	return HMM_DMIRROR_PROT_NONE;
}

u8 dmirror_snapshot_prot(const struct dmirror_vram *vram, unsigned long hmm_pfn)
{
	unsigned int order = hmm_pfn_to_map_order(hmm_pfn);
	u8 prot;

	if (hmm_pfn & HMM_PFN_ERROR)
		return HMM_DMIRROR_PROT_ERROR;
	if (!(hmm_pfn & HMM_PFN_VALID))
		return HMM_DMIRROR_PROT_NONE;

	prot = dmirror_snapshot_kind(vram, hmm_pfn_to_page(hmm_pfn));
	prot |= hmm_pfn & HMM_PFN_WRITE ? HMM_DMIRROR_PROT_WRITE :
					  HMM_DMIRROR_PROT_READ;
	if (order == PMD_SHIFT - PAGE_SHIFT)
		prot |= HMM_DMIRROR_PROT_PMD;
	else if (order == PUD_SHIFT - PAGE_SHIFT)
		prot |= HMM_DMIRROR_PROT_PUD;
	return prot;
}

static int dmirror_snapshot_ask(struct dmirror_snapshot *snap, struct hmm_range *range)
{
	const unsigned long budget = msecs_to_jiffies(DMIRROR_RETRY_MS);

	return snap->nowait ?
	       compat_hmm_range_fault_locked(range, budget, dmirror_mm_lock, NULL) :
	       compat_hmm_range_fault(range, budget);
}

/* Returns -EAGAIN when the page table changed while it was looked at. */
static int dmirror_snapshot_look(struct dmirror_snapshot *snap,
				 struct hmm_range *range)
{
	const struct dmirror_vram *vram = &snap->client->dev->vram;
	unsigned int i, n = dmirror_leaf_count(range->start, range->end);
	int ret;

	memset(snap->pfns, 0, sizeof(snap->pfns));
	ret = dmirror_snapshot_ask(snap, range);
	if (ret)
		return ret;

	if (dmirror_inject(snap->client->dev, DMIRROR_INJECT_INSTALL))
		return -EAGAIN;
	mutex_lock(&snap->lock);
	if (dmirror_vram_dead(vram))
		ret = -ENODEV;
	else if (mmu_interval_read_retry(&snap->notifier, range->notifier_seq))
		ret = -EAGAIN;
	for (i = 0; !ret && i < n; i++)
		snap->describe(snap->arg, i, snap->pfns[i]);
	mutex_unlock(&snap->lock);
	return ret;
}

int dmirror_snapshot_take(struct dmirror_snapshot *snap, unsigned long start,
			  unsigned long end)
{
	unsigned long deadline = jiffies + msecs_to_jiffies(DMIRROR_RETRY_MS);
	struct hmm_range range = {
		.notifier = &snap->notifier,
		.start = start,
		.end = end,
		.hmm_pfns = snap->pfns,
		.dev_private_owner = snap->owner,
	};
	int ret;

	mutex_init(&snap->lock);
	if (dmirror_inject(snap->client->dev, DMIRROR_INJECT_NOTIFIER))
		return -ENOMEM;
	ret = mmu_interval_notifier_insert(&snap->notifier, snap->client->mm,
					   start, end - start,
					   &dmirror_snapshot_ops);
	if (ret)
		return ret;

	do {
		ret = dmirror_snapshot_look(snap, &range);
		if (ret == -EAGAIN && fatal_signal_pending(current))
			ret = -EINTR;
		else if (ret == -EAGAIN && time_after(jiffies, deadline))
			ret = -EBUSY;
	} while (ret == -EAGAIN);

	mmu_interval_notifier_remove(&snap->notifier);
	mutex_destroy(&snap->lock);
	return ret;
}
