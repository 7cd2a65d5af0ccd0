/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Jobs: what the device does with memory when it works for itself.
 */
#ifndef DMIRROR_JOB_H
#define DMIRROR_JOB_H

#include <drm/hmm_dmirror_drm.h>

#include "types.h"

/**
 * struct dmirror_job - one job and how far it is
 * @arg: what to do, checked with dmirror_job_check()
 * @res: (out) how it went; @res.done and @res.value are kept up to date as it goes
 * @exclusive: it has taken the page it works on away from the CPU
 */
struct dmirror_job {
	struct drm_hmm_dmirror_job arg;
	struct drm_hmm_dmirror_result res;
	bool exclusive;
};

/**
 * struct dmirror_job_env - what a job runs in
 * @client: whose memory, inside an operation unless @resident
 * @bounce: DMIRROR_WALK_WINDOW bytes for jobs that have two places
 * @stop: where a negative errno appears when the job has to end
 * @limit: when it has run too long, in jiffies
 * @until: when it is the turn of others, by ktime_get_ns()
 * @resident: only use memory that is on this device and mapped by it; do not fault
 */
struct dmirror_job_env {
	struct dmirror_client *client;
	void *bounce;
	const int *stop;
	unsigned long limit;
	u64 until;
	bool resident;
};

/**
 * dmirror_job_check() - is this a job?
 * @arg: what user space wants
 * @resident: as @resident of struct dmirror_job_env
 *
 * Return: 0; -EINVAL for an unknown operation, one that has to fault if @resident,
 * misaligned or overlapping ranges or ones outside of the address space, and values
 * that do not belong there.
 */
int dmirror_job_check(const struct drm_hmm_dmirror_job *arg, bool resident);

/**
 * dmirror_job_step() - do a part of a job
 * @job: the job
 * @env: its surroundings; may be others each time
 *
 * At most 256 KiB or 1024 operations. No leaf is held across two steps.
 *
 * Context: process context, no locks; if @env->resident, any that may take a mutex:
 * nothing is allocated, nothing waits for memory or for user space.
 * Return: 1 if there is more to do, 0 at the end, -EINPROGRESS if it cannot go on at
 * the moment, or another negative errno that ends the job: -EFAULT, with address and
 * access in @job->res; -ETIME past @env->limit; what @env->stop says; -EBUSY, -ENOMEM,
 * -ENODEV as dmirror_fault_window().
 */
int dmirror_job_step(struct dmirror_job *job, const struct dmirror_job_env *env);

/**
 * dmirror_job_store() - the device writes something of its own
 * @client: whose memory, inside an operation
 * @addr: any user address
 * @buf: the bytes
 * @len: how many
 *
 * The page stays where it is. Never waits for a userfaultfd handler.
 *
 * Context: process context, no locks.
 * Return: 0; -EFAULT, -EBUSY, -ENOMEM, -ENODEV; -EINPROGRESS if not at the moment.
 */
int dmirror_job_store(struct dmirror_client *client, u64 addr, const void *buf,
		      size_t len);

/**
 * dmirror_job_store_fence() - the device writes a user fence
 * @client: whose memory, inside an operation
 * @addr: user address, 8-byte aligned
 * @value: what to store, at once; who sees it sees all that was stored before
 *
 * Context: process context, no locks.
 * Return: as dmirror_job_store().
 */
int dmirror_job_store_fence(struct dmirror_client *client, u64 addr, u64 value);

#endif /* DMIRROR_JOB_H */
