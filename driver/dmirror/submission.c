// SPDX-License-Identifier: GPL-2.0
/*
 * Submissions: see submission.h.
 *
 * Owns what is counted and traced of a job, what becomes of the jobs after one that
 * failed, and the time a job may take: what it runs, not what it waits for others.
 * Takes no locks.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "mirror.h"
#include "submission.h"
#include "trace.h"

/* How long one submission runs before others get their turn. */
#define DMIRROR_SLICE_NS	(5 * NSEC_PER_MSEC)

struct dmirror_submission *dmirror_submission_alloc(unsigned int nr_jobs)
{
	struct dmirror_submission *sub;

	sub = kvzalloc(struct_size(sub, jobs, nr_jobs), DMIRROR_GFP_CLIENT);
	if (sub)
		sub->nr_jobs = nr_jobs;
	return sub;
}

void dmirror_submission_free(struct dmirror_submission *sub)
{
	dmirror_gate_free(&sub->gate);
	/* In a queue it would have been signalled. */
	dmirror_fence_discard(sub->fence);
	kvfree(sub);
}

static enum dmirror_stat dmirror_submission_stat(int status)
{
	switch (status) {
	case 0:
		return DMIRROR_STAT_JOBS_OK;
	case -ETIME:
		return DMIRROR_STAT_JOBS_TIMED_OUT;
	case -ECANCELED:
		return DMIRROR_STAT_JOBS_CANCELED;
	default:
		return DMIRROR_STAT_JOBS_FAILED;
	}
}

static void dmirror_submission_end_job(struct dmirror_submission *sub,
				       struct dmirror_client *client, int status)
{
	struct dmirror_job *job = &sub->jobs[sub->next];

	job->res.status = status;
	dmirror_client_count(client, dmirror_submission_stat(status), 1);
	if (job->arg.length)
		dmirror_client_count(client, DMIRROR_STAT_JOB_BYTES, job->res.done);
	if (sub->began)
		trace_dmirror_job_end(client->dev->id, &sub->id, sub->next, &job->arg,
				      &job->res);
	if (!sub->status)
		sub->status = status;
	sub->next++;
	sub->began = false;
	sub->ran_ns = 0;
}

/* One step of the job whose turn it is. Returns as dmirror_job_step(). */
static int dmirror_submission_step(struct dmirror_submission *sub,
				   const struct dmirror_slice *slice, u64 until)
{
	struct dmirror_job_env env = {
		.client = slice->client, .bounce = slice->bounce,
		.resident = slice->resident, .stop = &sub->stop, .until = until,
	};
	u64 limit_ms = slice->timeout_ms - div_u64(sub->ran_ns, NSEC_PER_MSEC);
	struct dmirror_job *job = &sub->jobs[sub->next];
	u64 start = ktime_get_ns();
	int ret = READ_ONCE(sub->stop);

	if (ret)
		return ret;
	if (sub->status)
		return -ECANCELED;
	if (!sub->began) {
		sub->began = true;
		trace_dmirror_job_begin(slice->client->dev->id, &sub->id, sub->next,
					&job->arg, &job->res);
	}
	if (sub->ran_ns > slice->timeout_ms * (u64)NSEC_PER_MSEC)
		return -ETIME;
	/* 0 would be no limit. */
	env.limit = (jiffies + msecs_to_jiffies(limit_ms)) | 1;
	ret = dmirror_job_step(job, &env);
	if (ret != -EINPROGRESS)
		sub->ran_ns += ktime_get_ns() - start;
	return ret;
}

/* Is that the end of writing something? */
static bool dmirror_submission_stored(struct dmirror_submission *sub, int ret, bool hurry)
{
	if (ret == -EINPROGRESS) {
		if (!hurry)
			return false;
		ret = -EBUSY;
	}
	if (!sub->store_status)
		sub->store_status = ret;
	return true;
}

bool dmirror_submission_store_results(struct dmirror_submission *sub,
				      struct dmirror_client *client, bool hurry)
{
	const struct drm_hmm_dmirror_result *res;
	int ret;

	for (; sub->stored < sub->next; sub->stored++) {
		if (!sub->results || (hurry && sub->store_status == -EBUSY))
			continue;
		res = &sub->jobs[sub->stored].res;
		ret = dmirror_job_store(client, sub->results + sub->stored * sizeof(*res),
					res, sizeof(*res));
		if (!dmirror_submission_stored(sub, ret, hurry))
			return false;
	}
	return true;
}

bool dmirror_submission_run(struct dmirror_submission *sub,
			    const struct dmirror_slice *slice)
{
	u64 end = ktime_get_ns() + DMIRROR_SLICE_NS;
	int ret;

	for (;;) {
		if (slice->store &&
		    !dmirror_submission_store_results(sub, slice->client, slice->hurry))
			return false;
		if (sub->next == sub->nr_jobs)
			return true;
		ret = dmirror_submission_step(sub, slice, end);
		if (ret == -EINPROGRESS)
			return false;
		if (ret <= 0)
			dmirror_submission_end_job(sub, slice->client, ret);
		/* Its result does not matter: what ends jobs sets sub->stop. */
		if (slice->resident || !slice->store)
			cond_resched();
		else
			dmirror_mirror_relax(slice->client);
		if (ktime_get_ns() >= end && sub->next < sub->nr_jobs)
			return false;
	}
}

bool dmirror_submission_store_fence(struct dmirror_submission *sub,
				    struct dmirror_client *client, bool hurry)
{
	int ret;

	if (!sub->fence_addr || (hurry && sub->store_status == -EBUSY))
		return true;
	ret = dmirror_job_store_fence(client, sub->fence_addr, sub->fence_value);
	return dmirror_submission_stored(sub, ret, hurry);
}
