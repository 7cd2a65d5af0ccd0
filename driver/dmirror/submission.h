/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Submissions: jobs that were handed over together, and their running.
 */
#ifndef DMIRROR_SUBMISSION_H
#define DMIRROR_SUBMISSION_H

#include <linux/list.h>

#include "fence.h"
#include "job.h"
#include "trace.h"
#include "types.h"

/**
 * struct dmirror_submission - jobs that were submitted together
 * @link: in a queue
 * @id: its name
 * @results: where the user wants the results, or 0
 * @fence_addr: where the user fence is, or 0
 * @fence_value: what to store there
 * @gate: RESIDENT: what to wait for
 * @fence: RESIDENT: what to signal, or NULL
 * @notify: called once at the very end, in process context, or NULL
 * @notify_data: for @notify
 * @stop: negative errno when it has to end; may be set at any time
 * @status: of the first job that failed, or 0
 * @store_status: of the first result that could not be written, or 0
 * @nr_jobs: how many
 * @next: the job to do; @nr_jobs when all are done
 * @stored: results that were written, or could not be
 * @began: that job has begun
 * @reset: its queue was reset because of it
 * @ran_ns: for how long it has been running
 * @jobs: the jobs
 *
 * Belongs to who made it until a queue has it, then to whoever runs the head of
 * the queue.
 */
struct dmirror_submission {
	struct list_head link;
	struct dmirror_submission_id id;
	u64 results;
	u64 fence_addr;
	u64 fence_value;
	struct dmirror_gate gate;
	struct dma_fence *fence;
	void (*notify)(struct dmirror_submission *sub, int status);
	void *notify_data;
	int stop;
	int status;
	int store_status;
	unsigned int nr_jobs;
	unsigned int next;
	unsigned int stored;
	bool began;
	bool reset;
	u64 ran_ns;
	struct dmirror_job jobs[];
};

/**
 * struct dmirror_slice - some time to run jobs
 * @client: whose jobs
 * @bounce: DMIRROR_WALK_WINDOW bytes
 * @timeout_ms: longest time a job may run
 * @resident: the jobs must not fault
 * @store: write each result as soon as it is there; inside an operation only
 * @hurry: what cannot be written at once is not written
 */
struct dmirror_slice {
	struct dmirror_client *client;
	void *bounce;
	unsigned int timeout_ms;
	bool resident;
	bool store;
	bool hurry;
};

/**
 * dmirror_submission_alloc() - room for jobs
 * @nr_jobs: how many
 *
 * Return: a submission that is all zero but for @nr_jobs, or NULL.
 */
struct dmirror_submission *dmirror_submission_alloc(unsigned int nr_jobs);

/**
 * dmirror_submission_free() - forget about it
 * @sub: a submission no queue has; with it go the fences of its gate and its own
 *	fence, if that was never one
 */
void dmirror_submission_free(struct dmirror_submission *sub);

/**
 * dmirror_submission_run() - run jobs until they are done, the time is up or they
 *	cannot go on at the moment
 * @sub: the jobs; when @sub->stop is set, what remains ends at once and needs no
 *	operation on the mirror
 * @slice: how
 *
 * Context: process context, no locks; with @slice->resident also where a
 * dma_fence depends on it.
 * Return: true when all are done, and with @slice->store their results written.
 */
bool dmirror_submission_run(struct dmirror_submission *sub,
			    const struct dmirror_slice *slice);

/**
 * dmirror_submission_store_results() - write the results that are there
 * @sub: the jobs
 * @client: whose they are, inside an operation
 * @hurry: give up what cannot be written at once
 *
 * Return: true when there are no more of them, false to come back.
 */
bool dmirror_submission_store_results(struct dmirror_submission *sub,
				      struct dmirror_client *client, bool hurry);

/**
 * dmirror_submission_store_fence() - write the user fence, if there is one
 * @sub: the jobs, all done, results written
 * @client: whose they are, inside an operation
 * @hurry: as for the results
 *
 * Return: as for the results.
 */
bool dmirror_submission_store_fence(struct dmirror_submission *sub,
				    struct dmirror_client *client, bool hurry);

/**
 * dmirror_submission_status() - what WAIT and the event say
 * @sub: the jobs, all done
 *
 * Return: 0, or the status of the first job that failed, or else of the first
 * result or fence that could not be written.
 */
static inline int dmirror_submission_status(const struct dmirror_submission *sub)
{
	return sub->status ? : sub->store_status;
}

#endif /* DMIRROR_SUBMISSION_H */
