// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of the render node that hand over jobs and wait for them.
 *
 * Owns their arguments, the event at the end, and what becomes of sync object
 * handles. Everything is copied in, found and allocated before a queue sees any of
 * it; from then on nothing can fail. Takes no locks.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>
#include <drm/drm_syncobj.h>
#include <drm/hmm_dmirror_drm.h>

#include "drm_cmd.h"
#include "mirror.h"
#include "queue.h"

/**
 * struct dmirror_drm_event - what DRM sends and frees
 * @base: for the DRM core
 * @event: what user space reads
 * @drm: whom to give it to
 */
struct dmirror_drm_event {
	struct drm_pending_event base;
	struct drm_hmm_dmirror_event event;
	struct drm_device *drm;
};

/**
 * struct dmirror_drm_submit - a SUBMIT in progress
 * @drm: the DRM device
 * @file: the open file
 * @client: the same for us
 * @args: the argument
 * @index: number of the queue
 * @sub: what the queue is going to get
 * @out: sync objects to signal
 */
struct dmirror_drm_submit {
	struct drm_device *drm;
	struct drm_file *file;
	struct dmirror_client *client;
	struct drm_hmm_dmirror_submit *args;
	unsigned int index;
	struct dmirror_submission *sub;
	struct drm_syncobj *out[DMIRROR_SYNCS_PER_SUBMIT];
};

static int dmirror_drm_queue(u32 queue, unsigned int *index)
{
	if (queue == HMM_DMIRROR_QUEUE_RESIDENT) {
		*index = DMIRROR_QUEUE_INDEX_RESIDENT;
		return 0;
	}
	if (queue >= DMIRROR_QUEUES)
		return -ENOENT;
	*index = array_index_nospec(queue, DMIRROR_QUEUES);
	return 0;
}

/* Do @nr elements of @size lie in the address space? None need not. */
static bool dmirror_drm_array_ok(u64 addr, u64 nr, size_t size)
{
	u64 end;

	if (!nr)
		return !addr;
	return !check_add_overflow(addr, nr * size, &end) && end <= TASK_SIZE_MAX;
}

static int dmirror_drm_submit_check_syncs(const struct drm_hmm_dmirror_submit *args)
{
	if (args->nr_in_syncs > DMIRROR_SYNCS_PER_SUBMIT ||
	    args->nr_out_syncs > DMIRROR_SYNCS_PER_SUBMIT)
		return -E2BIG;
	if (!(args->flags & HMM_DMIRROR_SUBMIT_RESIDENT) &&
	    (args->nr_in_syncs || args->nr_out_syncs))
		return -EINVAL;
	if (!dmirror_drm_array_ok(args->in_syncs, args->nr_in_syncs, sizeof(u32)) ||
	    !dmirror_drm_array_ok(args->out_syncs, args->nr_out_syncs, sizeof(u32)))
		return -EINVAL;
	return 0;
}

static int dmirror_drm_submit_check(struct dmirror_drm_submit *s)
{
	const struct drm_hmm_dmirror_submit *args = s->args;
	const u32 known = HMM_DMIRROR_SUBMIT_EVENT | HMM_DMIRROR_SUBMIT_RESIDENT;
	bool flag = args->flags & HMM_DMIRROR_SUBMIT_RESIDENT;
	bool resident = args->queue == HMM_DMIRROR_QUEUE_RESIDENT;

	if (args->pad || args->flags & ~known || !args->nr_jobs || flag != resident)
		return -EINVAL;
	if (!args->fence_addr && args->fence_value)
		return -EINVAL;
	if (!IS_ALIGNED(args->fence_addr, sizeof(u64)) ||
	    !dmirror_drm_array_ok(args->fence_addr, !!args->fence_addr, sizeof(u64)))
		return -EINVAL;
	if (args->nr_jobs > DMIRROR_JOBS_PER_SUBMIT)
		return -E2BIG;
	if (!dmirror_drm_array_ok(args->results, args->results ? args->nr_jobs : 0,
				  sizeof(struct drm_hmm_dmirror_result)))
		return -EINVAL;
	return dmirror_drm_submit_check_syncs(args) ? :
	       dmirror_drm_queue(args->queue, &s->index);
}

static int dmirror_drm_submit_jobs(struct dmirror_drm_submit *s)
{
	struct drm_hmm_dmirror_submit *args = s->args;
	struct drm_hmm_dmirror_job __user *user = u64_to_user_ptr(args->jobs);
	bool resident = args->flags & HMM_DMIRROR_SUBMIT_RESIDENT;
	unsigned int i;
	int ret;

	s->sub = dmirror_submission_alloc(args->nr_jobs);
	if (!s->sub)
		return -ENOMEM;
	for (i = 0; i < args->nr_jobs; i++) {
		struct drm_hmm_dmirror_job *job = &s->sub->jobs[i].arg;

		if (copy_from_user(job, &user[i], sizeof(*job)))
			return -EFAULT;
		ret = dmirror_job_check(job, resident);
		if (ret)
			return ret;
	}
	s->sub->results = args->results;
	s->sub->fence_addr = args->fence_addr;
	s->sub->fence_value = args->fence_value;
	return 0;
}

static int dmirror_drm_submit_handles(u64 from, u32 nr, u32 *handles)
{
	if (copy_from_user(handles, u64_to_user_ptr(from), nr * sizeof(*handles)))
		return -EFAULT;
	return 0;
}

/* An object that is not there, and one without a fence to wait for: -ENOENT. */
static int dmirror_drm_submit_in_syncs(struct dmirror_drm_submit *s)
{
	struct dmirror_gate *gate = &s->sub->gate;
	u32 handles[DMIRROR_SYNCS_PER_SUBMIT];
	u32 i, nr = s->args->nr_in_syncs;
	int ret;

	if (!nr)
		return 0;
	ret = dmirror_drm_submit_handles(s->args->in_syncs, nr, handles);
	if (!ret)
		ret = dmirror_gate_alloc(gate, nr);
	for (i = 0; i < nr && !ret; i++)
		if (drm_syncobj_find_fence(s->file, handles[i], 0, 0, &gate->in[i].fence))
			ret = -ENOENT;
	return ret;
}

static int dmirror_drm_submit_out_syncs(struct dmirror_drm_submit *s)
{
	u32 handles[DMIRROR_SYNCS_PER_SUBMIT];
	u32 i, nr = s->args->nr_out_syncs;
	int ret;

	if (!nr)
		return 0;
	ret = dmirror_drm_submit_handles(s->args->out_syncs, nr, handles);
	if (ret)
		return ret;
	for (i = 0; i < nr; i++) {
		s->out[i] = drm_syncobj_find(s->file, handles[i]);
		if (!s->out[i])
			return -ENOENT;
	}
	s->sub->fence = dmirror_fence_alloc();
	return s->sub->fence ? 0 : -ENOMEM;
}

static void dmirror_drm_submit_notify(struct dmirror_submission *sub, int status)
{
	struct dmirror_drm_event *event = sub->notify_data;

	event->event.seqno = sub->id.seqno;
	event->event.status = status;
	/* If the file is being closed this only frees it. */
	drm_send_event(event->drm, &event->base);
}

static int dmirror_drm_submit_event(struct dmirror_drm_submit *s)
{
	struct dmirror_drm_event *event;
	int ret;

	if (!(s->args->flags & HMM_DMIRROR_SUBMIT_EVENT))
		return 0;
	event = kzalloc(sizeof(*event), GFP_KERNEL_ACCOUNT);
	if (!event)
		return -ENOMEM;
	event->drm = s->drm;
	event->event.base.type = HMM_DMIRROR_EVENT_JOBS;
	event->event.base.length = sizeof(event->event);
	event->event.user_data = s->args->user_data;
	event->event.queue = s->args->queue;
	ret = drm_event_reserve_init(s->drm, s->file, &event->base,
				     &event->event.base);
	if (ret) {
		kfree(event);
		/* Nobody reads the events that wait. */
		return ret == -ENOMEM ? -ENOSPC : ret;
	}
	s->sub->notify = dmirror_drm_submit_notify;
	s->sub->notify_data = event;
	return 0;
}

static int dmirror_drm_submit_queue(struct dmirror_drm_submit *s)
{
	struct dma_fence *fence = NULL;
	u32 i;
	int ret;

	ret = dmirror_mirror_enter(s->client);
	if (ret)
		return ret;
	ret = dmirror_queue_submit(s->client, s->index, s->sub, &s->args->seqno, &fence);
	dmirror_mirror_exit(s->client);
	if (ret)
		return ret;

	s->sub = NULL;
	for (i = 0; i < s->args->nr_out_syncs; i++)
		drm_syncobj_replace_fence(s->out[i], fence);
	dma_fence_put(fence);
	return 0;
}

static void dmirror_drm_submit_cleanup(struct dmirror_drm_submit *s)
{
	unsigned int i;

	for (i = 0; i < DMIRROR_SYNCS_PER_SUBMIT && s->out[i]; i++)
		drm_syncobj_put(s->out[i]);
	if (!s->sub)
		return;
	if (s->sub->notify) {
		struct dmirror_drm_event *event = s->sub->notify_data;

		drm_event_cancel_free(s->drm, &event->base);
	}
	dmirror_submission_free(s->sub);
}

int dmirror_drm_submit(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct dmirror_drm_submit s = {
		.drm = drm, .file = file, .args = data,
		.client = dmirror_drm_client(file),
	};
	int ret;

	s.args->seqno = 0;
	ret = dmirror_drm_submit_check(&s);
	if (!ret)
		ret = dmirror_drm_submit_jobs(&s);
	if (!ret)
		ret = dmirror_drm_submit_in_syncs(&s);
	if (!ret)
		ret = dmirror_drm_submit_out_syncs(&s);
	if (!ret)
		ret = dmirror_drm_submit_event(&s);
	if (!ret)
		ret = dmirror_drm_submit_queue(&s);
	dmirror_drm_submit_cleanup(&s);
	return ret;
}

int dmirror_drm_wait(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_hmm_dmirror_wait *args = data;
	unsigned int index;
	int ret;

	args->status = 0;
	args->resets = 0;
	if (args->flags)
		return -EINVAL;
	ret = dmirror_drm_queue(args->queue, &index);
	if (ret)
		return ret;
	return dmirror_queue_wait(dmirror_drm_client(file), index, args->seqno,
				  ns_to_ktime(args->timeout_ns), &args->status,
				  &args->resets);
}
