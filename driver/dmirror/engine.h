/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Engines: the part of a device that works by itself.
 */
#ifndef DMIRROR_ENGINE_H
#define DMIRROR_ENGINE_H

#include <linux/kconfig.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "types.h"

struct seq_file;

/**
 * enum dmirror_engine - what kinds of engines there are
 * @DMIRROR_ENGINE_COMPUTE: for jobs that may fault
 * @DMIRROR_ENGINE_COPY: for those that may not, and never wait for the others
 * @DMIRROR_NR_ENGINES: how many kinds there are
 */
enum dmirror_engine {
	DMIRROR_ENGINE_COMPUTE,
	DMIRROR_ENGINE_COPY,
	DMIRROR_NR_ENGINES
};

/**
 * struct dmirror_engines - the working part of a device
 * @wq: work queues; how many items run at once is how many engines there are
 * @nr: that number, of each kind
 * @timeout_ms: longest time a job may run
 * @lock: protects what follows
 * @sets: queues of all files
 * @next_id: number of the next file
 * @lent: engines there are beyond @nr, because that many are stuck
 */
struct dmirror_engines {
	struct workqueue_struct *wq[DMIRROR_NR_ENGINES];
	unsigned int nr;
	unsigned int timeout_ms;
	struct mutex lock;		/* what follows */
	struct list_head sets;
	u32 next_id;
	unsigned int lent;
};

/**
 * struct dmirror_turn - a compute engine works for somebody
 * @client: for whom
 * @watch: when that takes too long
 * @lent: it does, and there is one engine more; @watch's until that has ended
 */
struct dmirror_turn {
	struct dmirror_client *client;
	struct delayed_work watch;
	bool lent;
};

#if IS_ENABLED(CONFIG_DRM)
/**
 * dmirror_engines_create() - give a device engines
 * @dev: the device
 * @nr: how many of each kind
 * @timeout_ms: longest time a job may run
 *
 * Return: 0 or -ENOMEM.
 */
int dmirror_engines_create(struct dmirror_device *dev, unsigned int nr,
			   unsigned int timeout_ms);

/**
 * dmirror_engines_destroy() - undo dmirror_engines_create()
 * @dev: the device, which may have no engines; no file has queues any more
 */
void dmirror_engines_destroy(struct dmirror_device *dev);

/**
 * dmirror_engines_kill() - the device has gone: end all jobs
 * @dev: the device; dmirror_vram_kill() was called
 *
 * Does not wait for them.
 *
 * Context: process context.
 */
void dmirror_engines_kill(struct dmirror_device *dev);

/**
 * dmirror_turn_init() - prepare turns
 * @turn: of one queue; only one of them at a time
 * @client: whose queue
 */
void dmirror_turn_init(struct dmirror_turn *turn, struct dmirror_client *client);

/**
 * dmirror_turn_begin() - a compute engine begins to work
 * @turn: ends with dmirror_turn_end()
 *
 * What works for a process can wait in the kernel for what the process does, for
 * instance until none of its memory is being invalidated. Should this last longer than
 * a tenth of a second, others get an engine more until it ends.
 *
 * Context: process context, no locks.
 */
void dmirror_turn_begin(struct dmirror_turn *turn);

/**
 * dmirror_turn_end() - it has done its share
 * @turn: the turn
 *
 * Context: process context, no locks.
 */
void dmirror_turn_end(struct dmirror_turn *turn);

/**
 * dmirror_engines_show() - print the queues in use, a line each
 * @dev: the device
 * @m: where to
 */
void dmirror_engines_show(struct dmirror_device *dev, struct seq_file *m);

/**
 * dmirror_engines_module_exit() - wait for code that runs without a reference
 */
void dmirror_engines_module_exit(void);
#else
static inline int dmirror_engines_create(struct dmirror_device *dev, unsigned int nr,
					 unsigned int timeout_ms)
{
	return 0;
}

static inline void dmirror_engines_destroy(struct dmirror_device *dev)
{
}

static inline void dmirror_engines_kill(struct dmirror_device *dev)
{
}

static inline void dmirror_engines_show(struct dmirror_device *dev, struct seq_file *m)
{
}

static inline void dmirror_engines_module_exit(void)
{
}
#endif

#endif /* DMIRROR_ENGINE_H */
