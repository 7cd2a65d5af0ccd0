// SPDX-License-Identifier: GPL-2.0
/*
 * Queues: see queue.h.
 *
 * A queue is a work item that runs the submission at its head for a moment and then
 * queues itself again, behind the others: a file with much to do, or with one job
 * that never ends, leaves the engines to others in between. What the item works on
 * stays at the head until it is done. So it does when the process's memory cannot
 * be had because somebody holds its locks: it comes back again and again, but waits
 * for no process.
 *
 * Submissions to the RESIDENT queue have two parts. The first runs the jobs and
 * signals the fence; nothing in it allocates, faults or waits for what might. The
 * second, on the other work queue, writes results and the user fence, which may
 * fault.
 *
 * Owns the order, the limits, and what is remembered of what has ended. How jobs
 * are run is submission.c's.
 *
 * Locks: queue->lock; set->bounce_lock, which is a leaf of its own.
 */
#include <linux/dma-fence.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mirror.h"
#include "queue.h"
#include "vram.h"
#include "walk.h"

static bool dmirror_queue_is_resident(const struct dmirror_queue *q)
{
	return q->index == DMIRROR_QUEUE_INDEX_RESIDENT;
}

static struct dmirror_engines *dmirror_queue_engines(const struct dmirror_queue *q)
{
	return q->set->client->dev->engines;
}

static void dmirror_queue_kick(struct dmirror_queue *q)
{
	enum dmirror_engine engine = dmirror_queue_is_resident(q) ?
				     DMIRROR_ENGINE_COPY : DMIRROR_ENGINE_COMPUTE;

	queue_work(dmirror_queue_engines(q)->wq[engine], &q->work);
}

/* Then all that is left belongs to who closes it, and not to work items. */
static bool dmirror_queue_is_closed(struct dmirror_queue *q)
{
	bool closed;

	spin_lock(&q->lock);
	closed = q->closed;
	spin_unlock(&q->lock);
	return closed;
}

static void dmirror_queue_gate_open(void *q)
{
	dmirror_queue_kick(q);
}

void dmirror_queue_stop(struct dmirror_queue *q, int reason)
{
	struct dmirror_submission *sub;

	spin_lock(&q->lock);
	list_for_each_entry(sub, &q->waiting, link)
		if (!sub->stop)
			WRITE_ONCE(sub->stop, reason);
	spin_unlock(&q->lock);
	dmirror_queue_kick(q);
}

/* The submission to run now, if there is one that may. It stays in the queue. */
static struct dmirror_submission *dmirror_queue_head(struct dmirror_queue *q)
{
	struct dmirror_submission *sub;

	spin_lock(&q->lock);
	sub = list_first_entry_or_null(&q->waiting, struct dmirror_submission, link);
	if (sub && !sub->stop && !dmirror_gate_is_open(&sub->gate))
		sub = NULL;
	spin_unlock(&q->lock);
	return sub;
}

/* The first one has run for too long: what waits behind it is not run any more. */
static void dmirror_queue_reset(struct dmirror_queue *q)
{
	spin_lock(&q->lock);
	WRITE_ONCE(q->resets, q->resets + 1);
	spin_unlock(&q->lock);
	dmirror_client_count(q->set->client, DMIRROR_STAT_QUEUE_RESETS, 1);
	dmirror_queue_stop(q, -ECANCELED);
}

/* All is written: tell those who wait. */
static void dmirror_queue_complete(struct dmirror_queue *q, struct dmirror_submission *sub)
{
	int status = dmirror_submission_status(sub);
	struct dmirror_queues *set = q->set;

	/* Who closes the file has not a second for each of a thousand results. */
	if (sub->store_status == -EBUSY && dmirror_queue_is_closed(q))
		WRITE_ONCE(set->gave_up, true);

	spin_lock(&q->lock);
	list_del(&sub->link);
	q->status[sub->id.seqno % DMIRROR_QUEUE_MEMORY] = status;
	WRITE_ONCE(q->completed, sub->id.seqno);
	spin_unlock(&q->lock);

	atomic_sub(sub->nr_jobs, &set->nr_jobs);
	wake_up_all(&set->wait);
	if (sub->notify)
		sub->notify(sub, status);
	dmirror_submission_free(sub);
}

static bool dmirror_queue_slice(struct dmirror_queue *q, struct dmirror_submission *sub,
				bool store)
{
	struct dmirror_slice slice = {
		.client = q->set->client, .bounce = q->bounce,
		.timeout_ms = dmirror_queue_engines(q)->timeout_ms,
		.resident = dmirror_queue_is_resident(q), .store = store,
		.hurry = dmirror_queue_is_closed(q),
	};
	enum dmirror_engine engine = slice.resident ? DMIRROR_ENGINE_COPY :
						      DMIRROR_ENGINE_COMPUTE;
	u64 start = ktime_get_ns();
	bool done = dmirror_submission_run(sub, &slice);

	atomic64_add(ktime_get_ns() - start, &q->set->busy_ns[engine]);
	/* Once, and before a fence says so. */
	if (done && sub->status == -ETIME && !sub->reset) {
		sub->reset = true;
		dmirror_queue_reset(q);
	}
	return done;
}

/*
 * An operation that memory is allocated in for a process, and not by it: the
 * process's group is charged, not that of whoever works for it. @charged: who was.
 */
static int dmirror_queue_enter(struct dmirror_client *client,
			       struct mem_cgroup **charged)
{
	int ret = READ_ONCE(client->queues->gave_up) ? -ESRCH : dmirror_mirror_enter(client);

	if (!ret)
		*charged = set_active_memcg(get_mem_cgroup_from_mm(client->mm));
	return ret;
}

static void dmirror_queue_exit(struct dmirror_client *client,
			       struct mem_cgroup *charged)
{
	mem_cgroup_put(set_active_memcg(charged));
	dmirror_mirror_exit(client);
}

/* Jobs that may fault. */
static void dmirror_queue_run(struct dmirror_queue *q, struct dmirror_submission *sub)
{
	struct dmirror_client *client = q->set->client;
	struct mem_cgroup *charged;
	int ret = dmirror_queue_enter(client, &charged);
	bool done;

	/* The process has gone, or the device, or whoever closes the file. */
	if (ret)
		dmirror_queue_stop(q, ret == -ENODEV ? ret : -ECANCELED);
	done = dmirror_queue_slice(q, sub, !ret);
	if (!ret) {
		if (done)
			done = dmirror_submission_store_fence(sub, client,
							      dmirror_queue_is_closed(q));
		dmirror_queue_exit(client, charged);
	}
	if (done)
		dmirror_queue_complete(q, sub);
}

/* Jobs that a fence depends on; they end up in q->ran. */
static void dmirror_queue_run_resident(struct dmirror_queue *q,
				       struct dmirror_submission *sub)
{
	bool cookie = dma_fence_begin_signalling();
	bool done = dmirror_queue_slice(q, sub, false);

	if (done && sub->fence) {
		dmirror_fence_signal(sub->fence, sub->status);
		sub->fence = NULL;
	}
	dma_fence_end_signalling(cookie);
	if (!done)
		return;

	dmirror_mirror_unpin(q->set->client);
	spin_lock(&q->lock);
	list_move_tail(&sub->link, &q->ran);
	spin_unlock(&q->lock);
	queue_work(dmirror_queue_engines(q)->wq[DMIRROR_ENGINE_COMPUTE], &q->finish);
}

static bool dmirror_queue_work_once(struct dmirror_queue *q)
{
	struct dmirror_submission *sub = dmirror_queue_head(q);

	if (!sub)
		return false;
	if (dmirror_queue_is_resident(q))
		dmirror_queue_run_resident(q, sub);
	else
		dmirror_queue_run(q, sub);
	return true;
}

static void dmirror_queue_work(struct work_struct *work)
{
	struct dmirror_queue *q = container_of(work, struct dmirror_queue, work);
	bool again, compute = !dmirror_queue_is_resident(q);

	if (dmirror_queue_is_closed(q))
		return;
	if (compute)
		dmirror_turn_begin(&q->turn);
	again = dmirror_queue_work_once(q);
	if (compute)
		dmirror_turn_end(&q->turn);
	if (again)
		dmirror_queue_kick(q);
}

/* Complete the first of those that ran. */
static bool dmirror_queue_finish_once(struct dmirror_queue *q)
{
	struct dmirror_client *client = q->set->client;
	bool hurry = dmirror_queue_is_closed(q), done = true;
	struct dmirror_submission *sub;
	struct mem_cgroup *charged;

	spin_lock(&q->lock);
	sub = list_first_entry_or_null(&q->ran, struct dmirror_submission, link);
	spin_unlock(&q->lock);
	if (!sub)
		return false;

	if (!dmirror_queue_enter(client, &charged)) {
		done = dmirror_submission_store_results(sub, client, hurry) &&
		       dmirror_submission_store_fence(sub, client, hurry);
		dmirror_queue_exit(client, charged);
	}
	if (done)
		dmirror_queue_complete(q, sub);
	return true;
}

static void dmirror_queue_finish(struct work_struct *work)
{
	struct dmirror_queue *q = container_of(work, struct dmirror_queue, finish);
	bool again;

	if (dmirror_queue_is_closed(q))
		return;
	dmirror_turn_begin(&q->turn);
	again = dmirror_queue_finish_once(q);
	dmirror_turn_end(&q->turn);
	if (again)
		queue_work(dmirror_queue_engines(q)->wq[DMIRROR_ENGINE_COMPUTE],
			   &q->finish);
}

static void dmirror_queue_init(struct dmirror_queues *set, unsigned int index)
{
	struct dmirror_queue *q = &set->queue[index];

	q->set = set;
	q->index = index;
	q->context = dma_fence_context_alloc(1);
	INIT_WORK(&q->work, dmirror_queue_work);
	INIT_WORK(&q->finish, dmirror_queue_finish);
	dmirror_turn_init(&q->turn, set->client);
	INIT_LIST_HEAD(&q->waiting);
	INIT_LIST_HEAD(&q->ran);
	spin_lock_init(&q->lock);
}

int dmirror_queues_open(struct dmirror_client *client)
{
	struct dmirror_engines *engines = client->dev->engines;
	struct dmirror_queues *set;
	unsigned int i;

	set = kvzalloc(sizeof(*set), DMIRROR_GFP_CLIENT);
	if (!set)
		return -ENOMEM;
	set->client = client;
	init_waitqueue_head(&set->wait);
	mutex_init(&set->bounce_lock);
	for (i = 0; i < ARRAY_SIZE(set->queue); i++)
		dmirror_queue_init(set, i);
	client->queues = set;

	mutex_lock(&engines->lock);
	set->id = engines->next_id++;
	list_add_tail(&set->link, &engines->sets);
	mutex_unlock(&engines->lock);
	return 0;
}

static void dmirror_queue_close(struct dmirror_queue *q)
{
	spin_lock(&q->lock);
	q->closed = true;
	spin_unlock(&q->lock);
	dmirror_queue_stop(q, -ECANCELED);

	/* From here on work items do nothing; what is left ends at once. */
	cancel_work_sync(&q->work);
	while (dmirror_queue_work_once(q))
		;
	cancel_work_sync(&q->finish);
	while (dmirror_queue_finish_once(q))
		;
	/* Gates that opened meanwhile have called for work once more. */
	cancel_work_sync(&q->work);
	kvfree(q->bounce);
}

void dmirror_queues_close(struct dmirror_client *client)
{
	struct dmirror_engines *engines = client->dev->engines;
	struct dmirror_queues *set = client->queues;
	int i;

	mutex_lock(&engines->lock);
	list_del(&set->link);
	mutex_unlock(&engines->lock);

	/* What others may wait for first. */
	for (i = ARRAY_SIZE(set->queue) - 1; i >= 0; i--)
		dmirror_queue_close(&set->queue[i]);
	mutex_destroy(&set->bounce_lock);
	client->queues = NULL;
	kvfree(set);
}

static int dmirror_queue_prepare(struct dmirror_queue *q)
{
	struct dmirror_queues *set = q->set;

	if (dmirror_inject(set->client->dev, DMIRROR_INJECT_QUEUE))
		return -ENOMEM;
	mutex_lock(&set->bounce_lock);
	if (!q->bounce)
		q->bounce = kvmalloc(DMIRROR_WALK_WINDOW, DMIRROR_GFP_CLIENT);
	mutex_unlock(&set->bounce_lock);
	return q->bounce ? 0 : -ENOMEM;
}

/* Make it the last of the queue, with a number and, if it is to have one, a fence. */
static int dmirror_queue_add(struct dmirror_queue *q, struct dmirror_submission *sub,
			     u64 *seqno, struct dma_fence **fence)
{
	int ret = 0;

	spin_lock(&q->lock);
	if (q->closed || dmirror_vram_dead(&q->set->client->dev->vram)) {
		ret = -ENODEV;
	} else {
		*seqno = ++q->submitted;
		sub->id = (struct dmirror_submission_id) {
			.file = q->set->id, .queue = q->index, .seqno = *seqno,
		};
		if (sub->fence) {
			dmirror_fence_init(sub->fence, q->context, *seqno);
			*fence = dma_fence_get(sub->fence);
		}
		list_add_tail(&sub->link, &q->waiting);
	}
	spin_unlock(&q->lock);
	return ret;
}

int dmirror_queue_submit(struct dmirror_client *client, unsigned int index,
			 struct dmirror_submission *sub, u64 *seqno,
			 struct dma_fence **fence)
{
	struct dmirror_queues *set = client->queues;
	struct dmirror_queue *q = &set->queue[index];
	int ret;

	ret = dmirror_queue_prepare(q);
	if (ret)
		return ret;
	ret = dmirror_queue_is_resident(q) ? dmirror_mirror_pin(client) : 0;
	if (ret)
		return ret;
	ret = -ENOSPC;
	if (atomic_add_return(sub->nr_jobs, &set->nr_jobs) > DMIRROR_JOBS_QUEUED)
		goto out_jobs;
	dmirror_gate_arm(&sub->gate, dmirror_queue_gate_open, q);
	ret = dmirror_queue_add(q, sub, seqno, fence);
	if (ret)
		goto out_jobs;
	dmirror_queue_kick(q);
	return 0;

out_jobs:
	atomic_sub(sub->nr_jobs, &set->nr_jobs);
	if (dmirror_queue_is_resident(q))
		dmirror_mirror_unpin(client);
	return ret;
}

/* Has it ended? If so, or if it never will, @ret is the answer. */
static bool dmirror_queue_ended(struct dmirror_queue *q, u64 seqno, s32 *status,
				u32 *resets, int *ret)
{
	bool ended;

	spin_lock(&q->lock);
	ended = q->completed >= seqno;
	*ret = seqno && q->submitted >= seqno ? 0 : -ENOENT;
	*resets = q->resets;
	if (ended)
		*status = q->completed - seqno < DMIRROR_QUEUE_MEMORY ?
			  q->status[seqno % DMIRROR_QUEUE_MEMORY] : -ENOENT;
	spin_unlock(&q->lock);

	if (*ret || ended)
		return true;
	if (!dmirror_vram_dead(&q->set->client->dev->vram))
		return false;
	*ret = -ENODEV;
	return true;
}

int dmirror_queue_wait(struct dmirror_client *client, unsigned int index, u64 seqno,
		       ktime_t until, s32 *status, u32 *resets)
{
	struct dmirror_queue *q = &client->queues->queue[index];
	ktime_t now = ktime_get();
	int ret, err;

	if (dmirror_queue_ended(q, seqno, status, resets, &ret))
		return ret;
	if (until <= now)
		return -ETIME;
	err = wait_event_interruptible_hrtimeout(q->set->wait,
						 dmirror_queue_ended(q, seqno, status,
								     resets, &ret),
						 ktime_sub(until, now));
	return err ? : ret;
}

u64 dmirror_queue_busy_ns(const struct dmirror_client *client, enum dmirror_engine engine)
{
	return atomic64_read(&client->queues->busy_ns[engine]);
}
