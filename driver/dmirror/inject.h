/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection: named points in the driver that can be told to fail or to
 * take their time, and switches that make it misbehave on purpose.
 *
 * Off unless the module parameter inject says otherwise; a point then costs one
 * branch that is patched out, and there is no way to arm it. How to use it from
 * a shell: Documentation/fault-injection.rst.
 */
#ifndef DMIRROR_INJECT_H
#define DMIRROR_INJECT_H

#include <linux/jump_label.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct dentry;
struct dmirror_device;
struct dmirror_inject;

/**
 * enum dmirror_inject_point - where something can be made to happen
 * @DMIRROR_INJECT_DEVICE: load: memory for a device object
 * @DMIRROR_INJECT_POOL: load: each allocation for the device memory
 * @DMIRROR_INJECT_REGION: load: asking for the region of device pages
 * @DMIRROR_INJECT_NODE: load: making the character device
 * @DMIRROR_INJECT_BUFFER: working memory of an operation
 * @DMIRROR_INJECT_LEAF: memory for a leaf
 * @DMIRROR_INJECT_NOTIFIER: inserting an interval notifier
 * @DMIRROR_INJECT_TABLE: entering a leaf into the table of leaves
 * @DMIRROR_INJECT_RESERVE: setting device pages aside; failing, there are none
 * @DMIRROR_INJECT_ALLOC_IN_SMALL: a device page to migrate to
 * @DMIRROR_INJECT_ALLOC_IN_LARGE: likewise a large folio
 * @DMIRROR_INJECT_ALLOC_OUT_SMALL: a system page to migrate back to
 * @DMIRROR_INJECT_ALLOC_OUT_LARGE: likewise a large folio
 * @DMIRROR_INJECT_ALLOC_EVICT_SMALL: a system page to evict to
 * @DMIRROR_INJECT_ALLOC_EVICT_LARGE: likewise a large folio
 * @DMIRROR_INJECT_COPY: the copy of one page that moves
 * @DMIRROR_INJECT_INSTALL: before entries looked up are installed in a leaf;
 *	failing, they count as outdated
 * @DMIRROR_INJECT_QUEUE: taking a job into a queue
 * @DMIRROR_INJECT_ACCESS: delay only: device access, leaf->lock held
 * @DMIRROR_INJECT_INVALIDATE: delay only: invalidate callback, before it takes
 *	leaf->lock, if it may wait
 * @DMIRROR_INJECT_COLLECT: delay only: before a window is collected, mmap lock
 *	held
 * @DMIRROR_INJECT_COMMIT: delay only: the pages are copied, not yet migrated
 * @DMIRROR_INJECT_FINALIZE: delay only: the pages are migrated, still locked
 * @DMIRROR_INJECT_EVICT: delay only: a block is isolated, before its pages are
 *	collected
 * @DMIRROR_INJECT_EVICT_COMMIT: delay only: as COMMIT, for an eviction
 * @DMIRROR_INJECT_EVICT_FINALIZE: delay only: as FINALIZE, for an eviction
 * @DMIRROR_SABOTAGE_INVALIDATE: an invalidation is ignored
 * @DMIRROR_SABOTAGE_RETRY: entries are installed although they are outdated
 * @DMIRROR_SABOTAGE_COPY: a page moves without its content
 * @DMIRROR_SABOTAGE_DIRTY: a device write does not mark the page dirty
 * @DMIRROR_SABOTAGE_LEAK: a device page that becomes free is not reused
 * @DMIRROR_SABOTAGE_COUNT: a page that moved is not counted
 * @DMIRROR_NR_INJECT: how many there are
 *
 * The names are in inject.c, in the same order. New points go before the first
 * DMIRROR_SABOTAGE_*, those that act at load before DMIRROR_INJECT_BUFFER.
 */
enum dmirror_inject_point {
	DMIRROR_INJECT_DEVICE,
	DMIRROR_INJECT_POOL,
	DMIRROR_INJECT_REGION,
	DMIRROR_INJECT_NODE,
	DMIRROR_INJECT_BUFFER,
	DMIRROR_INJECT_LEAF,
	DMIRROR_INJECT_NOTIFIER,
	DMIRROR_INJECT_TABLE,
	DMIRROR_INJECT_RESERVE,
	DMIRROR_INJECT_ALLOC_IN_SMALL,
	DMIRROR_INJECT_ALLOC_IN_LARGE,
	DMIRROR_INJECT_ALLOC_OUT_SMALL,
	DMIRROR_INJECT_ALLOC_OUT_LARGE,
	DMIRROR_INJECT_ALLOC_EVICT_SMALL,
	DMIRROR_INJECT_ALLOC_EVICT_LARGE,
	DMIRROR_INJECT_COPY,
	DMIRROR_INJECT_INSTALL,
	DMIRROR_INJECT_QUEUE,
	DMIRROR_INJECT_ACCESS,
	DMIRROR_INJECT_INVALIDATE,
	DMIRROR_INJECT_COLLECT,
	DMIRROR_INJECT_COMMIT,
	DMIRROR_INJECT_FINALIZE,
	DMIRROR_INJECT_EVICT,
	DMIRROR_INJECT_EVICT_COMMIT,
	DMIRROR_INJECT_EVICT_FINALIZE,
	DMIRROR_SABOTAGE_INVALIDATE,
	DMIRROR_SABOTAGE_RETRY,
	DMIRROR_SABOTAGE_COPY,
	DMIRROR_SABOTAGE_DIRTY,
	DMIRROR_SABOTAGE_LEAK,
	DMIRROR_SABOTAGE_COUNT,
	DMIRROR_NR_INJECT
};

/* The longest delay; it ends early when the point is set or the task killed. */
#define DMIRROR_INJECT_MAX_DELAY_US	10000000U

/**
 * struct dmirror_inject_params - what a point is to do
 * @nth: the first hit from now on that something happens at; 0: none
 * @every: and every so many hits after it; 0: no more
 * @times: at most so often; 0: no limit
 * @delay_us: wait that long, at most DMIRROR_INJECT_MAX_DELAY_US
 * @fail: fail, after the delay
 */
struct dmirror_inject_params {
	u32 nth;
	u32 every;
	u32 times;
	u32 delay_us;
	bool fail;
};

/**
 * struct dmirror_inject_state - a point and what it has seen
 * @params: what it is to do
 * @hits: how often it was passed since @params were set
 * @acted: how often something happened since then
 * @waiting: tasks in a delay of it now
 * @gen: changes when @params are set, which ends delays
 * @set: what it is one of, constant
 */
struct dmirror_inject_state {
	struct dmirror_inject_params params;
	unsigned long hits;
	unsigned long acted;
	unsigned int waiting;
	unsigned int gen;
	struct dmirror_inject *set;
};

/**
 * struct dmirror_inject - the points of a device
 * @lock: protects @points; nothing is taken under it
 * @wait: tasks in a delay
 * @points: by enum dmirror_inject_point; those that act at load are in the set
 *	of the driver
 */
struct dmirror_inject {
	spinlock_t lock;		/* @points */
	wait_queue_head_t wait;
	struct dmirror_inject_state points[DMIRROR_NR_INJECT];
};

DECLARE_STATIC_KEY_FALSE(dmirror_inject_key);
DECLARE_STATIC_KEY_FALSE(dmirror_sabotage_key);

/**
 * dmirror_inject_hit() - the part of dmirror_inject() behind the static key
 * @dev: the device; NULL for a point that acts at load
 * @point: the point
 *
 * Context: process context, may sleep.
 * Return: true if the point is to fail.
 */
bool dmirror_inject_hit(struct dmirror_device *dev,
			enum dmirror_inject_point point);

/**
 * dmirror_inject() - a point is passed
 * @dev: the device; NULL for a point that acts at load
 * @point: DMIRROR_INJECT_*
 *
 * May be delayed here. Points that only delay always return false.
 *
 * Context: process context, may sleep.
 * Return: true if what follows is to fail.
 */
static inline bool dmirror_inject(struct dmirror_device *dev,
				  enum dmirror_inject_point point)
{
	return static_branch_unlikely(&dmirror_inject_key) &&
	       dmirror_inject_hit(dev, point);
}

/**
 * dmirror_sabotage_hit() - the part of dmirror_sabotage() behind the static key
 * @dev: the device
 * @what: DMIRROR_SABOTAGE_*
 *
 * Context: any.
 * Return: true to misbehave.
 */
bool dmirror_sabotage_hit(struct dmirror_device *dev,
			  enum dmirror_inject_point what);

/**
 * dmirror_sabotage() - is the driver to misbehave here?
 * @dev: the device
 * @what: DMIRROR_SABOTAGE_*
 *
 * Context: any.
 * Return: true to misbehave.
 */
static inline bool dmirror_sabotage(struct dmirror_device *dev,
				    enum dmirror_inject_point what)
{
	return static_branch_unlikely(&dmirror_sabotage_key) &&
	       dmirror_sabotage_hit(dev, what);
}

/**
 * dmirror_inject_name() - name of a point
 * @point: the point, below DMIRROR_NR_INJECT
 *
 * Return: a constant string.
 */
const char *dmirror_inject_name(enum dmirror_inject_point point);

/**
 * dmirror_inject_find() - the point of a name
 * @name: the name
 *
 * Return: the point or -ENOENT.
 */
int dmirror_inject_find(const char *name);

/**
 * dmirror_inject_set() - tell a point what to do
 * @dev: the device; for points that act at load it does not matter
 * @point: the point, any value
 * @params: what to do; the hits are counted from here
 *
 * Tasks that are in a delay of the point leave it.
 *
 * Return: 0; -EINVAL for a number that is no point, a delay that is too long,
 * or something the point cannot do; -EPERM when the module parameter does not
 * allow it.
 */
int dmirror_inject_set(struct dmirror_device *dev, unsigned int point,
		       const struct dmirror_inject_params *params);

/**
 * dmirror_inject_get() - what a point does and has seen
 * @dev: the device; for points that act at load it does not matter
 * @point: the point, any value
 * @state: (out) a copy
 *
 * Return: 0, -EINVAL or -EPERM as dmirror_inject_set().
 */
int dmirror_inject_get(struct dmirror_device *dev, unsigned int point,
		       struct dmirror_inject_state *state);

/**
 * dmirror_inject_init() - the points of a new device
 * @inject: the points; they do what the module parameter inject_arm says
 */
void dmirror_inject_init(struct dmirror_inject *inject);

/**
 * dmirror_inject_debugfs_add() - files of the points of a device
 * @dev: the device; NULL for the points that act at load
 * @parent: directory to make them in, removed with it
 */
void dmirror_inject_debugfs_add(struct dmirror_device *dev, struct dentry *parent);

/**
 * dmirror_inject_module_init() - turn fault injection on or leave it off
 * @level: 0: off; 1: points; 2: also sabotage
 * @arm: what the points are to do from the start, "point:control;..." with
 *	commas for blanks, or NULL
 *
 * Return: 0; -EINVAL for what cannot be read or done; -EPERM for what @level does
 * not allow; -ENOMEM.
 */
int dmirror_inject_module_init(unsigned int level, const char *arm);

/**
 * dmirror_inject_module_exit() - undo dmirror_inject_module_init()
 *
 * The directories must be gone.
 */
void dmirror_inject_module_exit(void);

#endif /* DMIRROR_INJECT_H */
