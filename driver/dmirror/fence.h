/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dma_fences: those that say when something of ours is over, and those of others
 * that have to be over first.
 */
#ifndef DMIRROR_FENCE_H
#define DMIRROR_FENCE_H

#include <linux/atomic.h>
#include <linux/dma-fence.h>

#include "types.h"

/**
 * dmirror_fence_alloc() - memory for a fence
 *
 * Context: process context.
 * Return: what dmirror_fence_init() makes a fence, or NULL.
 */
struct dma_fence *dmirror_fence_alloc(void);

/**
 * dmirror_fence_discard() - free what was not made a fence
 * @fence: from dmirror_fence_alloc(), or NULL
 */
void dmirror_fence_discard(struct dma_fence *fence);

/**
 * dmirror_fence_init() - from here on it is a fence, and must be signalled
 * @fence: from dmirror_fence_alloc()
 * @context: time line
 * @seqno: number on it
 *
 * The module stays for as long as anybody has a reference.
 *
 * Context: any that may sleep or not.
 */
void dmirror_fence_init(struct dma_fence *fence, u64 context, u64 seqno);

/**
 * dmirror_fence_signal() - it is over
 * @fence: the fence; the caller's reference is dropped
 * @status: 0 or a negative errno
 *
 * Context: any; the caller may have begun signalling.
 */
void dmirror_fence_signal(struct dma_fence *fence, int status);

/**
 * dmirror_fence_module_exit() - wait until no code of fences runs any more
 */
void dmirror_fence_module_exit(void);

struct dmirror_gate;

/**
 * struct dmirror_gate_in - a fence that a gate waits for
 * @cb: with @fence, while armed
 * @fence: the fence, referenced
 * @gate: the gate
 */
struct dmirror_gate_in {
	struct dma_fence_cb cb;
	struct dma_fence *fence;
	struct dmirror_gate *gate;
};

/**
 * struct dmirror_gate - waits until fences of others are over
 * @left: how many are not, and one until armed
 * @nr: elements of @in
 * @open: called when none is left, from any context
 * @data: for @open
 * @in: the fences
 *
 * Whether they ended well makes no difference.
 */
struct dmirror_gate {
	atomic_t left;
	unsigned int nr;
	void (*open)(void *data);
	void *data;
	struct dmirror_gate_in *in;
};

/**
 * dmirror_gate_alloc() - room for fences
 * @gate: zeroed
 * @nr: how many; the caller sets @gate->in[].fence and hands its reference over
 *
 * Return: 0 or -ENOMEM.
 */
int dmirror_gate_alloc(struct dmirror_gate *gate, unsigned int nr);

/**
 * dmirror_gate_arm() - begin to wait
 * @gate: the gate, fences set
 * @open: called once, when dmirror_gate_is_open() begins to hold; perhaps at once
 * @data: for @open, valid until dmirror_gate_free() returns
 *
 * Context: process context.
 */
void dmirror_gate_arm(struct dmirror_gate *gate, void (*open)(void *data), void *data);

/**
 * dmirror_gate_is_open() - are all fences over?
 * @gate: the gate, armed
 *
 * Return: true if they are.
 */
static inline bool dmirror_gate_is_open(const struct dmirror_gate *gate)
{
	return !atomic_read(&gate->left);
}

/**
 * dmirror_gate_free() - wait no longer
 * @gate: the gate, zeroed or allocated, armed or not
 *
 * Context: process context, outside of signalling. @open does not run any more.
 */
void dmirror_gate_free(struct dmirror_gate *gate);

#endif /* DMIRROR_FENCE_H */
