// SPDX-License-Identifier: GPL-2.0
/*
 * Hints: see hints.h.
 *
 * Owns the life of the advice and who may look at it when. A notifier over the
 * whole address space, there from the first advice on, tells what is unmapped:
 * leaves would not do, they exist only where the device has been. Advice is
 * forgotten there and then, so nobody finds any for a mapping that came later;
 * that may not allocate, which is why the array has room from the beginning.
 *
 * What the advice means is place.c's business and cpu_fault.c's.
 *
 * Locks: hints->advise; hints->lock and dev->hints_lock, both spinlocks that
 * are never taken in interrupts. CPU faults find hints under RCU, however many
 * files a process has; what they find may be on its way out, and has no ranges
 * then.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "hints.h"
#include "mirror.h"

/*
 * A page may move to the device once, and come back this often within the time;
 * then it stays where it is for as long as a hold.
 */
#define DMIRROR_THRASH_LIMIT		3
#define DMIRROR_THRASH_WINDOW_MS	500
#define DMIRROR_THRASH_HOLD_MS		500

int dmirror_hints_init(struct dmirror_client *client)
{
	struct dmirror_hints *hints = kvzalloc(sizeof(*hints), DMIRROR_GFP_CLIENT);

	if (!hints)
		return -ENOMEM;
	hints->client = client;
	hints->mm = client->mm;
	mutex_init(&hints->advise);
	spin_lock_init(&hints->lock);
	INIT_HLIST_NODE(&hints->link);
	hints->thrash.limit = DMIRROR_THRASH_LIMIT;
	hints->thrash.window = msecs_to_jiffies(DMIRROR_THRASH_WINDOW_MS);
	hints->thrash.hold = msecs_to_jiffies(DMIRROR_THRASH_HOLD_MS);
	client->hints = hints;
	return 0;
}

void dmirror_hints_fini(struct dmirror_client *client)
{
	struct dmirror_hints *hints = client->hints;
	struct dmirror_ranges last;

	if (!hints)
		return;
	if (hints->ranges.at) {
		spin_lock(&client->dev->hints_lock);
		hash_del_rcu(&hints->link);
		spin_unlock(&client->dev->hints_lock);
		dmirror_mirror_unwatch(client);
		spin_lock(&hints->lock);
		last = hints->ranges;
		hints->ranges = (struct dmirror_ranges){};
		spin_unlock(&hints->lock);
		kvfree(last.at);
	}
	mutex_destroy(&hints->advise);
	client->hints = NULL;
	kvfree_rcu(hints, rcu);
}

static int dmirror_ranges_alloc(struct dmirror_ranges *r)
{
	r->at = kvmalloc_array(DMIRROR_HINTS_MAX, sizeof(*r->at), DMIRROR_GFP_CLIENT);
	r->nr = 0;
	return r->at ? 0 : -ENOMEM;
}

/* Have memory, listen to what is unmapped, be found by CPU faults. */
static int dmirror_hints_begin(struct dmirror_hints *hints)
{
	struct dmirror_client *client = hints->client;
	struct dmirror_ranges first;
	int ret;

	lockdep_assert_held(&hints->advise);

	if (hints->ranges.at)
		return 0;
	ret = dmirror_ranges_alloc(&first);
	if (ret)
		return ret;
	ret = dmirror_mirror_watch(client);
	if (ret) {
		kvfree(first.at);
		return ret;
	}
	first.max = DMIRROR_HINTS_MAX;
	spin_lock(&hints->lock);
	hints->ranges = first;
	spin_unlock(&hints->lock);
	spin_lock(&client->dev->hints_lock);
	hash_add_rcu(client->dev->hints, &hints->link, (unsigned long)hints->mm);
	spin_unlock(&client->dev->hints_lock);
	return 0;
}

/* @next: memory for the outcome; receives what is to be freed. */
static int dmirror_hints_replace(struct dmirror_hints *hints,
				 struct dmirror_ranges *next,
				 unsigned long start, unsigned long end,
				 enum dmirror_attr attr, u32 value)
{
	int ret = 0;

	spin_lock(&hints->lock);
	/* What munmap() has cut may be changed, as long as it gets no more. */
	next->max = max(DMIRROR_HINTS_MAX / 2, hints->ranges.nr);
	if (dmirror_ranges_set(next, &hints->ranges, start, end, attr, value)) {
		next->max = DMIRROR_HINTS_MAX;
		swap(hints->ranges, *next);
	} else {
		ret = -ENOSPC;
	}
	spin_unlock(&hints->lock);
	return ret;
}

int dmirror_hints_set(struct dmirror_client *client, unsigned long start,
		      unsigned long end, enum dmirror_attr attr, u32 value)
{
	struct dmirror_hints *hints = client->hints;
	struct dmirror_ranges next;
	int ret;

	ret = dmirror_ranges_alloc(&next);
	if (ret)
		return ret;
	ret = mutex_lock_killable(&hints->advise);
	if (!ret) {
		ret = dmirror_hints_begin(hints);
		if (!ret)
			ret = dmirror_hints_replace(hints, &next, start, end,
						    attr, value);
		mutex_unlock(&hints->advise);
	}
	kvfree(next.at);
	return ret;
}

void dmirror_hints_forget(struct dmirror_hints *hints, unsigned long start,
			  unsigned long end)
{
	spin_lock(&hints->lock);
	dmirror_ranges_forget(&hints->ranges, start, end);
	spin_unlock(&hints->lock);
}

static void dmirror_hints_look(struct dmirror_hints *hints, unsigned long addr,
			       struct dmirror_range *found)
{
	spin_lock(&hints->lock);
	dmirror_ranges_find(&hints->ranges, addr, found);
	spin_unlock(&hints->lock);
}

void dmirror_hints_find(struct dmirror_client *client, unsigned long addr,
			struct dmirror_range *found)
{
	static const struct dmirror_ranges none;

	if (client->hints)
		dmirror_hints_look(client->hints, addr, found);
	else
		dmirror_ranges_find(&none, addr, found);
}

void dmirror_hints_around(struct dmirror_device *dev, const struct mm_struct *mm,
			  unsigned long addr, struct dmirror_range *found)
{
	struct dmirror_hints *hints;

	rcu_read_lock();
	hash_for_each_possible_rcu(dev->hints, hints, link, (unsigned long)mm) {
		if (hints->mm != mm)
			continue;
		dmirror_hints_look(hints, addr, found);
		if (found->advice.around)
			break;
	}
	rcu_read_unlock();
}

enum dmirror_verdict dmirror_hints_thrash(struct dmirror_client *client,
					  unsigned long addr, u32 pages)
{
	struct dmirror_hints *hints = client->hints;
	enum dmirror_verdict verdict;

	spin_lock(&hints->lock);
	verdict = dmirror_thrash_ask(&hints->thrash, addr >> DMIRROR_THRASH_SHIFT,
				     pages, jiffies);
	spin_unlock(&hints->lock);
	return verdict;
}
