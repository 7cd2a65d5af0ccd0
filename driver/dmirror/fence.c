// SPDX-License-Identifier: GPL-2.0
/*
 * Fences: see fence.h.
 *
 * Owns the life of our fences, which ends whenever others let go of them, and the
 * callbacks on theirs. When a fence is signalled is queue.c's business.
 *
 * Locks: the lock of a fence, around its own signalling.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "fence.h"

/**
 * struct dmirror_fence - a fence of ours
 * @base: what others see
 * @lock: its lock
 */
struct dmirror_fence {
	struct dma_fence base;
	spinlock_t lock;	/* @base */
};

static const char *dmirror_fence_driver_name(struct dma_fence *fence)
{
	return DMIRROR_NAME;
}

static const char *dmirror_fence_timeline_name(struct dma_fence *fence)
{
	return "resident";
}

static void dmirror_fence_free_rcu(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct dmirror_fence, base.rcu));
	/* Unloading waits for this function to return, see module_exit below. */
	module_put(THIS_MODULE);
}

static void dmirror_fence_release(struct dma_fence *base)
{
	call_rcu(&base->rcu, dmirror_fence_free_rcu);
}

static const struct dma_fence_ops dmirror_fence_ops = {
	.get_driver_name = dmirror_fence_driver_name,
	.get_timeline_name = dmirror_fence_timeline_name,
	.release = dmirror_fence_release,
};

struct dma_fence *dmirror_fence_alloc(void)
{
	struct dmirror_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL_ACCOUNT);

	return fence ? &fence->base : NULL;
}

void dmirror_fence_discard(struct dma_fence *base)
{
	kfree(base ? container_of(base, struct dmirror_fence, base) : NULL);
}

void dmirror_fence_init(struct dma_fence *base, u64 context, u64 seqno)
{
	struct dmirror_fence *fence = container_of(base, struct dmirror_fence, base);

	/*
	 * A fence can outlast the file, in a sync file or another driver, and is
	 * asked for its names and freed by functions in here.
	 */
	__module_get(THIS_MODULE);
	spin_lock_init(&fence->lock);
	dma_fence_init(base, &dmirror_fence_ops, &fence->lock, context, seqno);
}

void dmirror_fence_signal(struct dma_fence *fence, int status)
{
	if (status)
		dma_fence_set_error(fence, status);
	dma_fence_signal(fence);
	dma_fence_put(fence);
}

void dmirror_fence_module_exit(void)
{
	rcu_barrier();
}

static void dmirror_gate_put(struct dmirror_gate *gate)
{
	if (atomic_dec_and_test(&gate->left))
		gate->open(gate->data);
}

static void dmirror_gate_signalled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	dmirror_gate_put(container_of(cb, struct dmirror_gate_in, cb)->gate);
}

int dmirror_gate_alloc(struct dmirror_gate *gate, unsigned int nr)
{
	unsigned int i;

	gate->in = kcalloc(nr, sizeof(*gate->in), GFP_KERNEL_ACCOUNT);
	if (!gate->in)
		return -ENOMEM;
	gate->nr = nr;
	for (i = 0; i < nr; i++)
		gate->in[i].gate = gate;
	return 0;
}

void dmirror_gate_arm(struct dmirror_gate *gate, void (*open)(void *data), void *data)
{
	unsigned int i;

	gate->open = open;
	gate->data = data;
	atomic_set(&gate->left, gate->nr + 1);
	for (i = 0; i < gate->nr; i++) {
		struct dmirror_gate_in *in = &gate->in[i];

		/* Fails if it is over already. */
		if (dma_fence_add_callback(in->fence, &in->cb, dmirror_gate_signalled))
			dmirror_gate_put(gate);
	}
	dmirror_gate_put(gate);
}

void dmirror_gate_free(struct dmirror_gate *gate)
{
	unsigned int i;

	for (i = 0; i < gate->nr; i++) {
		struct dmirror_gate_in *in = &gate->in[i];

		if (!in->fence)
			continue;
		/* Takes the lock under which callbacks run: none does afterwards. */
		if (in->cb.func)
			dma_fence_remove_callback(in->fence, &in->cb);
		dma_fence_put(in->fence);
	}
	kfree(gate->in);
	gate->in = NULL;
	gate->nr = 0;
}
