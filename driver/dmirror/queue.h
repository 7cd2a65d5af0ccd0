/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queues: in which order, and by whom, jobs are done.
 */
#ifndef DMIRROR_QUEUE_H
#define DMIRROR_QUEUE_H

#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "engine.h"
#include "fence.h"
#include "submission.h"
#include "types.h"

/* Limits; GET_PARAM tells them. */
#define DMIRROR_QUEUES			4
#define DMIRROR_JOBS_PER_SUBMIT		64
#define DMIRROR_JOBS_QUEUED		1024
#define DMIRROR_SYNCS_PER_SUBMIT	16

/* Submissions of a queue whose status is remembered; a power of two. */
#define DMIRROR_QUEUE_MEMORY		256

/* The queue for jobs that do not fault, behind the others. */
#define DMIRROR_QUEUE_INDEX_RESIDENT	DMIRROR_QUEUES

/**
 * struct dmirror_queue - jobs in order, one at a time
 * @set: the queues of the file
 * @index: which of them
 * @work: runs the head of @waiting for a while
 * @finish: RESIDENT: completes what is in @ran, and may fault
 * @turn: of whichever of the two a compute engine does
 * @bounce: DMIRROR_WALK_WINDOW bytes for @work, or NULL before the first submission
 * @context: RESIDENT: time line of the fences
 * @lock: protects what follows, and the stop of submissions that are queued
 * @waiting: submissions in order; the head is the one that runs
 * @ran: RESIDENT: submissions that ran and are not yet complete
 * @submitted: number of the last submission
 * @completed: number of the last complete one
 * @resets: how often a job ran for too long
 * @closed: nothing is accepted any more
 * @status: of the last submissions, by number
 */
struct dmirror_queue {
	struct dmirror_queues *set;
	unsigned int index;
	struct work_struct work;
	struct work_struct finish;
	struct dmirror_turn turn;
	void *bounce;
	u64 context;
	spinlock_t lock;		/* what follows */
	struct list_head waiting;
	struct list_head ran;
	u64 submitted;
	u64 completed;
	u32 resets;
	bool closed;
	int status[DMIRROR_QUEUE_MEMORY];
};

/**
 * struct dmirror_queues - the queues of a file
 * @client: the file
 * @link: in engines->sets
 * @id: number of the file, for traces
 * @wait: woken when a submission is complete and when the device goes
 * @bounce_lock: protects the making of bounce buffers
 * @nr_jobs: jobs that were submitted and are not complete
 * @busy_ns: for how long engines have worked for the file
 * @gave_up: whoever closes the file writes no more results
 * @queue: the queues, the RESIDENT one last
 */
struct dmirror_queues {
	struct dmirror_client *client;
	struct list_head link;
	u32 id;
	wait_queue_head_t wait;
	struct mutex bounce_lock;	/* queue[].bounce from NULL to not */
	atomic_t nr_jobs;
	atomic64_t busy_ns[DMIRROR_NR_ENGINES];
	bool gave_up;
	struct dmirror_queue queue[DMIRROR_QUEUES + 1];
};

/**
 * dmirror_queues_open() - give a file queues
 * @client: the file
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int dmirror_queues_open(struct dmirror_client *client);

/**
 * dmirror_queues_close() - end everything that is queued
 * @client: the file, used by nobody else any more
 *
 * Jobs end with -ECANCELED; as long as the process is there, results and fences
 * are written all the same.
 *
 * Context: process context; waits for what is running, not for what is queued.
 */
void dmirror_queues_close(struct dmirror_client *client);

/**
 * dmirror_queue_stop() - end all that is in a queue now
 * @q: the queue
 * @reason: negative errno for the jobs
 *
 * Does not wait for that.
 *
 * Context: any that may take a spinlock, also where a dma_fence depends on it.
 */
void dmirror_queue_stop(struct dmirror_queue *q, int reason);

/**
 * dmirror_queue_submit() - hand over jobs
 * @client: the file, inside an operation
 * @index: number of the queue, below DMIRROR_QUEUES or DMIRROR_QUEUE_INDEX_RESIDENT
 * @sub: the jobs
 * @seqno: (out) their number
 * @fence: (out) if @sub->fence: a reference to it, now initialised; may be NULL else
 *
 * Context: process context.
 * Return: 0, @sub belongs to the queue; or it does not: -ENOSPC when too many jobs
 * are queued; -EBUSY when the client has too many translations; -ENOMEM; -ENODEV.
 */
int dmirror_queue_submit(struct dmirror_client *client, unsigned int index,
			 struct dmirror_submission *sub, u64 *seqno,
			 struct dma_fence **fence);

/**
 * dmirror_queue_wait() - wait for a submission
 * @client: the file
 * @index: as for dmirror_queue_submit()
 * @seqno: number of the submission
 * @until: when to give up, CLOCK_MONOTONIC
 * @status: (out) how it ended; -ENOENT if that is no longer known
 * @resets: (out) how often the queue was reset
 *
 * Context: process context.
 * Return: 0; -ENOENT if there was no such submission; -ETIME; -ENODEV;
 * -ERESTARTSYS when interrupted.
 */
int dmirror_queue_wait(struct dmirror_client *client, unsigned int index, u64 seqno,
		       ktime_t until, s32 *status, u32 *resets);

/**
 * dmirror_queue_busy_ns() - for how long engines have worked for a file
 * @client: the file
 * @engine: which kind
 *
 * Return: nanoseconds, only ever growing.
 */
u64 dmirror_queue_busy_ns(const struct dmirror_client *client, enum dmirror_engine engine);

#endif /* DMIRROR_QUEUE_H */
