// SPDX-License-Identifier: GPL-2.0
/*
 * Engines: see engine.h.
 *
 * Owns the work queues and the list of what feeds them. Jobs that may fault and
 * jobs that a dma_fence depends on have work queues of their own: the former wait
 * for memory, for locks of processes and for eviction, and freeing memory may wait
 * for a fence.
 *
 * Locks: engines->lock, then queue->lock.
 */
#include <linux/nodemask.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "engine.h"
#include "fence.h"
#include "queue.h"

/* How long a turn, of a few milliseconds by itself, may take. */
#define DMIRROR_TURN_MS		100

static struct workqueue_struct *dmirror_engines_wq(struct dmirror_device *dev,
						   const char *what, unsigned int flags)
{
	return alloc_workqueue(DMIRROR_NAME "%u-%s", WQ_UNBOUND | flags,
			       dev->engines->nr, dev->id, what);
}

int dmirror_engines_create(struct dmirror_device *dev, unsigned int nr,
			   unsigned int timeout_ms)
{
	struct dmirror_engines *engines = kzalloc(sizeof(*engines), GFP_KERNEL);

	if (!engines)
		return -ENOMEM;
	mutex_init(&engines->lock);
	INIT_LIST_HEAD(&engines->sets);
	engines->nr = nr;
	engines->timeout_ms = timeout_ms;
	dev->engines = engines;

	engines->wq[DMIRROR_ENGINE_COMPUTE] = dmirror_engines_wq(dev, "compute", 0);
	engines->wq[DMIRROR_ENGINE_COPY] = dmirror_engines_wq(dev, "copy",
							      WQ_MEM_RECLAIM);
	if (engines->wq[DMIRROR_ENGINE_COMPUTE] && engines->wq[DMIRROR_ENGINE_COPY])
		return 0;
	dmirror_engines_destroy(dev);
	return -ENOMEM;
}

void dmirror_engines_destroy(struct dmirror_device *dev)
{
	unsigned int i;

	if (!dev->engines)
		return;
	for (i = 0; i < DMIRROR_NR_ENGINES; i++)
		if (dev->engines->wq[i])
			destroy_workqueue(dev->engines->wq[i]);
	mutex_destroy(&dev->engines->lock);
	kfree(dev->engines);
	dev->engines = NULL;
}

void dmirror_engines_kill(struct dmirror_device *dev)
{
	struct dmirror_engines *engines = dev->engines;
	struct dmirror_queues *set;
	unsigned int i;

	mutex_lock(&engines->lock);
	list_for_each_entry(set, &engines->sets, link) {
		for (i = 0; i < ARRAY_SIZE(set->queue); i++)
			dmirror_queue_stop(&set->queue[i], -ENODEV);
		wake_up_all(&set->wait);
	}
	mutex_unlock(&engines->lock);
}

/*
 * @n is 1 for an engine more, -1 for one less. Each node has a share of what may run
 * at once, and those that are stuck may all be on one.
 */
static void dmirror_engines_lend(struct dmirror_engines *engines, int n)
{
	unsigned int max;

	mutex_lock(&engines->lock);
	engines->lent += n;
	max = engines->nr + engines->lent;
	if (engines->lent)
		max *= num_online_nodes();
	workqueue_set_max_active(engines->wq[DMIRROR_ENGINE_COMPUTE],
				 min_t(unsigned int, max, WQ_MAX_ACTIVE));
	mutex_unlock(&engines->lock);
}

static void dmirror_turn_late(struct work_struct *work)
{
	struct dmirror_turn *turn = container_of(work, struct dmirror_turn, watch.work);

	turn->lent = true;
	dmirror_client_count(turn->client, DMIRROR_STAT_ENGINES_LENT, 1);
	dmirror_engines_lend(turn->client->dev->engines, 1);
}

void dmirror_turn_init(struct dmirror_turn *turn, struct dmirror_client *client)
{
	turn->client = client;
	INIT_DELAYED_WORK(&turn->watch, dmirror_turn_late);
}

void dmirror_turn_begin(struct dmirror_turn *turn)
{
	schedule_delayed_work(&turn->watch, msecs_to_jiffies(DMIRROR_TURN_MS));
}

void dmirror_turn_end(struct dmirror_turn *turn)
{
	if (cancel_delayed_work(&turn->watch))
		return;
	cancel_delayed_work_sync(&turn->watch);
	if (turn->lent)
		dmirror_engines_lend(turn->client->dev->engines, -1);
	turn->lent = false;
}

static void dmirror_engines_show_queue(struct dmirror_queue *q, struct seq_file *m)
{
	u64 submitted, completed;
	u32 resets;

	spin_lock(&q->lock);
	submitted = q->submitted;
	completed = q->completed;
	resets = q->resets;
	spin_unlock(&q->lock);
	if (submitted)
		seq_printf(m, "file %u queue %u: submitted %llu completed %llu resets %u\n",
			   q->set->id, q->index, submitted, completed, resets);
}

void dmirror_engines_show(struct dmirror_device *dev, struct seq_file *m)
{
	struct dmirror_engines *engines = dev->engines;
	struct dmirror_queues *set;
	unsigned int i;

	mutex_lock(&engines->lock);
	list_for_each_entry(set, &engines->sets, link)
		for (i = 0; i < ARRAY_SIZE(set->queue); i++)
			dmirror_engines_show_queue(&set->queue[i], m);
	mutex_unlock(&engines->lock);
}

void dmirror_engines_module_exit(void)
{
	dmirror_fence_module_exit();
}
