// SPDX-License-Identifier: GPL-2.0
/*
 * Operations: see ops.h.
 *
 * Cuts ranges into windows, adds up what happened and decides what that means
 * for the request. Between windows no lock but client->ops is held.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "access.h"
#include "device.h"
#include "evict.h"
#include "exclusive.h"
#include "fault.h"
#include "hints.h"
#include "migrate.h"
#include "mirror.h"
#include "ops.h"
#include "peer.h"
#include "policy.h"
#include "query.h"
#include "snapshot.h"
#include "trace.h"
#include "vram.h"

/* How often evicting everything is tried before what is left is reported. */
#define DMIRROR_EVICT_PASSES	8

static int dmirror_op_access_entered(struct dmirror_op *op, bool write)
{
	struct dmirror_access a = {
		.client = op->client, .write = write, .user = op->user,
		.addr = op->start, .end = op->end,
	};
	int ret = dmirror_access_run(&a);

	op->done = a.done;
	op->faults = a.faults;
	return ret;
}

static int dmirror_op_access(struct dmirror_op *op, bool write)
{
	int ret = dmirror_mirror_enter(op->client);

	if (ret)
		return ret;
	ret = dmirror_op_access_entered(op, write);
	dmirror_mirror_exit(op->client);
	return ret;
}

int dmirror_op_read(struct dmirror_op *op)
{
	return dmirror_op_access(op, false);
}

int dmirror_op_write(struct dmirror_op *op)
{
	return dmirror_op_access(op, true);
}

/* One window of a request to migrate, each way. */
typedef int (*dmirror_window_fn)(struct dmirror_op *op, unsigned long start,
				 unsigned long *end,
				 struct dmirror_migrate_buf *buf);

static int dmirror_op_window_in(struct dmirror_op *op, unsigned long start,
				unsigned long *end, struct dmirror_migrate_buf *buf)
{
	return dmirror_migrate_in(op->client, start, end, buf, &op->moved);
}

static int dmirror_op_window_out(struct dmirror_op *op, unsigned long start,
				 unsigned long *end, struct dmirror_migrate_buf *buf)
{
	return dmirror_migrate_out(op->client, start, end, buf, &op->moved);
}

static int dmirror_op_window_peer(struct dmirror_op *op, unsigned long start,
				  unsigned long *end,
				  struct dmirror_migrate_buf *buf)
{
	return dmirror_migrate_peer(op->client, op->peer, start, end, buf,
				    &op->moved);
}

static int dmirror_op_window_evict(struct dmirror_op *op, unsigned long start,
				   unsigned long *end,
				   struct dmirror_migrate_buf *buf)
{
	return dmirror_migrate_evict(op->client, start, end, buf, &op->done);
}

/* @stop is where it ended, for whatever reason, @tried what it came to. */
static int dmirror_op_windows(struct dmirror_op *op, dmirror_window_fn window,
			      unsigned long *stop, unsigned long *tried)
{
	struct dmirror_migrate_buf *buf = NULL;
	int ret = 0;

	*stop = op->start;
	*tried = op->start;
	if (!dmirror_inject(op->client->dev, DMIRROR_INJECT_BUFFER))
		buf = kvmalloc(sizeof(*buf), GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	buf->patience = msecs_to_jiffies(DMIRROR_MIGRATE_PATIENCE_MS);

	while (!ret && *stop < op->end) {
		*tried = dmirror_policy_window_end(*stop, op->end,
						   DMIRROR_LEAF_SIZE);
		ret = window(op, *stop, tried, buf);
		/*
		 * A mapping of a kind that never moves does not end it, unless
		 * it is to be strict.
		 */
		if (ret == -EOPNOTSUPP && !op->strict)
			ret = 0;
		if (ret)
			break;
		*stop = *tried;
		ret = dmirror_mirror_relax(op->client);
	}
	kvfree(buf);
	return ret;
}

static int dmirror_op_migrate(struct dmirror_op *op, dmirror_window_fn window,
			      unsigned long *stop)
{
	unsigned long tried;
	int ret;

	ret = dmirror_op_windows(op, window, stop, &tried);
	dmirror_classify_untried(op->client, (op->end - tried) >> PAGE_SHIFT,
				 window != dmirror_op_window_in, &op->moved);
	return ret;
}

/* Pages of a window that are on the device now. */
static int dmirror_op_resident_window(struct dmirror_client *client,
				      unsigned long start, unsigned long end,
				      u64 *resident)
{
	struct dmirror_leaf *leaf = dmirror_leaf_get(client, start);
	unsigned int first = dmirror_leaf_index(start);
	unsigned int n = dmirror_leaf_count(start, end);
	int ret;

	if (IS_ERR(leaf))
		return PTR_ERR(leaf);
	ret = dmirror_fault_populate(client, leaf, start, end, 0);
	if (ret)
		return ret;
	mutex_lock(&leaf->lock);
	*resident += dmirror_pt_count(&leaf->pt, first, first + n, DMIRROR_PTE_VRAM);
	mutex_unlock(&leaf->lock);
	return 0;
}

static int dmirror_op_resident(struct dmirror_client *client, unsigned long start,
			       unsigned long end, u64 *resident)
{
	unsigned long next;
	int ret = 0;

	for (; start < end && !ret; start = next) {
		next = dmirror_policy_window_end(start, end, DMIRROR_LEAF_SIZE);
		ret = dmirror_op_resident_window(client, start, next, resident);
		if (!ret)
			ret = dmirror_mirror_relax(client);
	}
	return ret;
}

/* Begin; what a request that cannot begin was to move remains untried. */
static int dmirror_op_migrate_enter(struct dmirror_op *op, bool out)
{
	int ret = dmirror_mirror_enter(op->client);

	if (ret)
		dmirror_classify_untried(op->client,
					 (op->end - op->start) >> PAGE_SHIFT,
					 out, &op->moved);
	return ret;
}

int dmirror_op_migrate_in(struct dmirror_op *op)
{
	unsigned long stop;
	int ret, err;

	ret = dmirror_op_migrate_enter(op, false);
	if (ret)
		return ret;
	ret = dmirror_op_migrate(op, dmirror_op_window_in, &stop);
	if (op->map) {
		/* Not what was moved: some of it may have left again. */
		err = dmirror_op_resident(op->client, op->start, stop, &op->done);
		if (!ret)
			ret = err;
	} else {
		op->done = op->moved.pages[DMIRROR_CLASS_MOVED];
	}
	dmirror_mirror_exit(op->client);
	return ret;
}

static int dmirror_op_migrate_away(struct dmirror_op *op, dmirror_window_fn window)
{
	unsigned long stop;
	int ret;

	ret = dmirror_op_migrate_enter(op, true);
	if (ret)
		return ret;
	ret = dmirror_op_migrate(op, window, &stop);
	op->done = op->moved.pages[DMIRROR_CLASS_MOVED];
	dmirror_mirror_exit(op->client);
	return ret;
}

int dmirror_op_migrate_out(struct dmirror_op *op)
{
	return dmirror_op_migrate_away(op, dmirror_op_window_out);
}

int dmirror_op_migrate_peer(struct dmirror_op *op)
{
	return dmirror_op_migrate_away(op, dmirror_op_window_peer);
}

int dmirror_op_advise(struct dmirror_op *op, enum dmirror_attr attr, u32 value)
{
	int ret = dmirror_mirror_enter(op->client);

	if (ret)
		return ret;
	ret = dmirror_hints_set(op->client, op->start, op->end, attr, value);
	/* What is used in place already would never be looked at again. */
	if (!ret)
		dmirror_mirror_unmap(op->client, op->start, op->end);
	dmirror_mirror_exit(op->client);
	return ret;
}

/* What a snapshot is told to the user with. */
struct dmirror_op_snapshot {
	struct dmirror_snapshot snap;
	u8 prot[DMIRROR_SNAPSHOT_PAGES];
};

static void dmirror_op_snapshot_page(void *arg, unsigned int i,
				     unsigned long hmm_pfn)
{
	struct dmirror_op_snapshot *s = arg;

	s->prot[i] = dmirror_snapshot_prot(&s->snap.client->dev->vram, hmm_pfn);
}

static int dmirror_op_snapshot_entered(struct dmirror_op *op)
{
	const unsigned long size = DMIRROR_SNAPSHOT_PAGES << PAGE_SHIFT;
	struct dmirror_op_snapshot *s = NULL;
	unsigned long addr, end;
	int ret = 0;

	if (!dmirror_inject(op->client->dev, DMIRROR_INJECT_BUFFER))
		s = kmalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->snap.client = op->client;
	s->snap.owner = op->client->dev->vram.owner;
	s->snap.nowait = false;
	s->snap.describe = dmirror_op_snapshot_page;
	s->snap.arg = s;

	for (addr = op->start; addr < op->end && !ret; addr = end) {
		unsigned int n;

		end = dmirror_policy_window_end(addr, op->end, size);
		n = dmirror_leaf_count(addr, end);
		ret = dmirror_snapshot_take(&s->snap, addr, end);
		if (ret)
			break;
		if (copy_to_user(op->user + op->done, s->prot, n))
			ret = -EFAULT;
		else
			op->done += n;
		if (!ret)
			ret = dmirror_mirror_relax(op->client);
	}
	kfree(s);
	return ret;
}

int dmirror_op_snapshot(struct dmirror_op *op)
{
	int ret = dmirror_mirror_enter(op->client);

	if (ret)
		return ret;
	ret = dmirror_op_snapshot_entered(op);
	dmirror_mirror_exit(op->client);
	return ret;
}

/* The other device must be able to go while we wait for the process. */
static int dmirror_op_query_device(struct dmirror_query *q, struct mm_struct *mm,
				   struct dmirror_device *dev,
				   unsigned long start, unsigned long end)
{
	int ret = 0;

	do {
		if (!dmirror_vram_get(&dev->vram))
			break;
		ret = dmirror_query_device(q, dev, start, end);
		dmirror_vram_put(&dev->vram);
	} while (ret == -EINPROGRESS && !(ret = dmirror_mm_wait(mm)));
	return ret;
}

static int dmirror_op_query_window(struct dmirror_query *q,
				   struct dmirror_client *client,
				   unsigned long start, unsigned long end)
{
	struct dmirror_device *dev;
	unsigned int id;
	int ret;

	ret = dmirror_query_window(q, client, start, end);
	for (id = 0; id < DMIRROR_MAX_DEVICES && !ret; id++) {
		dev = dmirror_device_lookup(id);
		if (!dev)
			continue;
		if (dev != client->dev)
			ret = dmirror_op_query_device(q, client->mm, dev, start, end);
		dmirror_device_put(dev);
	}
	return ret;
}

static int dmirror_op_query_entered(struct dmirror_op *op)
{
	const unsigned long size = DMIRROR_SNAPSHOT_PAGES << PAGE_SHIFT;
	struct dmirror_query *q = NULL;
	unsigned long addr, end;
	int ret = 0;

	if (!dmirror_inject(op->client->dev, DMIRROR_INJECT_BUFFER))
		q = kmalloc(sizeof(*q), GFP_KERNEL);
	if (!q)
		return -ENOMEM;

	for (addr = op->start; addr < op->end && !ret; addr = end) {
		unsigned int n;

		end = dmirror_policy_window_end(addr, op->end, size);
		n = dmirror_leaf_count(addr, end);
		ret = dmirror_op_query_window(q, op->client, addr, end);
		if (!ret && copy_to_user(op->user + op->done * sizeof(*q->pages),
					 q->pages, n * sizeof(*q->pages)))
			ret = -EFAULT;
		if (ret)
			break;
		op->done += n;
		ret = dmirror_mirror_relax(op->client);
	}
	kfree(q);
	return ret;
}

int dmirror_op_query(struct dmirror_op *op)
{
	int ret = dmirror_mirror_enter(op->client);

	if (ret)
		return ret;
	ret = dmirror_op_query_entered(op);
	dmirror_mirror_exit(op->client);
	return ret;
}

static int dmirror_op_exclusive_entered(struct dmirror_op *op)
{
	struct dmirror_leaf *leaf;
	unsigned long addr;
	int ret;

	for (addr = op->start; addr < op->end; addr += PAGE_SIZE) {
		leaf = dmirror_leaf_get(op->client, addr);
		if (IS_ERR(leaf))
			return PTR_ERR(leaf);
		ret = dmirror_exclusive_page(op->client, leaf, addr, 0);
		if (ret)
			return ret;
		op->done++;
		ret = dmirror_mirror_relax(op->client);
		if (ret)
			return ret;
	}
	return 0;
}

int dmirror_op_exclusive(struct dmirror_op *op)
{
	int ret = dmirror_mirror_enter(op->client);

	if (ret)
		return ret;
	ret = dmirror_op_exclusive_entered(op);
	dmirror_mirror_exit(op->client);
	return ret;
}

/* Window by window, what there is of exclusive pages: count it or drop it. */
static int dmirror_op_held(struct dmirror_op *op,
			   int (*window)(struct dmirror_client *, unsigned long,
					 unsigned long, u64 *))
{
	unsigned long addr, end;
	int ret;

	ret = dmirror_mirror_enter(op->client);
	if (ret)
		return ret;
	for (addr = op->start; !ret; addr = end) {
		addr = dmirror_leaf_next(op->client, addr);
		if (addr >= op->end)
			break;
		end = dmirror_policy_window_end(addr, op->end, DMIRROR_LEAF_SIZE);
		ret = window(op->client, addr, end, &op->done);
		if (!ret)
			ret = dmirror_mirror_relax(op->client);
	}
	dmirror_mirror_exit(op->client);
	return ret;
}

static int dmirror_op_count_window(struct dmirror_client *client,
				   unsigned long start, unsigned long end,
				   u64 *pages)
{
	*pages += dmirror_exclusive_count(client, start, end);
	return 0;
}

int dmirror_op_check_exclusive(struct dmirror_op *op)
{
	return dmirror_op_held(op, dmirror_op_count_window);
}

int dmirror_op_drop_exclusive(struct dmirror_op *op)
{
	return dmirror_op_held(op, dmirror_exclusive_drop);
}

int dmirror_op_evict_range(struct dmirror_op *op)
{
	unsigned long stop, tried;
	int ret;

	ret = dmirror_mirror_enter(op->client);
	if (ret)
		return ret;
	ret = dmirror_op_windows(op, dmirror_op_window_evict, &stop, &tried);
	dmirror_mirror_exit(op->client);
	return ret;
}

int dmirror_op_evict_some(struct dmirror_client *client, unsigned long want,
			  u64 *pages)
{
	struct dmirror_device *dev = client->dev;

	if (!dmirror_vram_get(&dev->vram))
		return -ENODEV;
	*pages += dmirror_evict_some(dev, want, DMIRROR_REASON_EVICT);
	dmirror_vram_put(&dev->vram);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

int dmirror_op_evict_all(struct dmirror_client *client, u64 *pages)
{
	unsigned int pass;
	int ret;

	for (pass = 0; pass < DMIRROR_EVICT_PASSES; pass++) {
		ret = dmirror_op_evict_some(client, ULONG_MAX, pages);
		if (ret || !dmirror_evict_left(client->dev))
			return ret;
		cond_resched();
	}
	return -EBUSY;
}
