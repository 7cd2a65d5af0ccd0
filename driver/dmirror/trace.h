/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints. Fields are numbers only: addresses and lengths in bytes, counts
 * in pages, the device by its minor. Begin and end events of the same task
 * pair up. Tracepoints are not an ABI.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hmm_dmirror

#if !defined(DMIRROR_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DMIRROR_TRACE_H

#include <linux/kconfig.h>
#include <linux/tracepoint.h>

#if IS_ENABLED(CONFIG_DRM)
#include <drm/hmm_dmirror_drm.h>
#endif

#ifndef DMIRROR_TRACE_ENUMS
#define DMIRROR_TRACE_ENUMS
/**
 * struct dmirror_submission_id - the name of a submission on its device
 * @file: number of the file
 * @queue: number of the queue
 * @seqno: number in the queue
 */
struct dmirror_submission_id {
	u32 file;
	u32 queue;
	u64 seqno;
};

/* Why pages move. */
enum dmirror_reason {
	DMIRROR_REASON_REQUEST,		/* asked for through a front end */
	DMIRROR_REASON_CPU_FAULT,
	DMIRROR_REASON_DEV_FAULT,	/* policy wants it on the device */
	DMIRROR_REASON_EVICT,
	DMIRROR_REASON_AHEAD,		/* evicted before anybody had to wait */
	DMIRROR_REASON_TEARDOWN,
};
#endif

TRACE_DEFINE_ENUM(DMIRROR_REASON_REQUEST);
TRACE_DEFINE_ENUM(DMIRROR_REASON_CPU_FAULT);
TRACE_DEFINE_ENUM(DMIRROR_REASON_DEV_FAULT);
TRACE_DEFINE_ENUM(DMIRROR_REASON_EVICT);
TRACE_DEFINE_ENUM(DMIRROR_REASON_AHEAD);
TRACE_DEFINE_ENUM(DMIRROR_REASON_TEARDOWN);

#define dmirror_show_reason(r) \
	__print_symbolic(r, \
		{ DMIRROR_REASON_REQUEST, "request" }, \
		{ DMIRROR_REASON_CPU_FAULT, "cpu_fault" }, \
		{ DMIRROR_REASON_DEV_FAULT, "dev_fault" }, \
		{ DMIRROR_REASON_EVICT, "evict" }, \
		{ DMIRROR_REASON_AHEAD, "ahead" }, \
		{ DMIRROR_REASON_TEARDOWN, "teardown" })

DECLARE_EVENT_CLASS(dmirror_window,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long end,
		 int arg),
	TP_ARGS(dev, start, end, arg),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(int, arg)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->start = start;
		__entry->end = end;
		__entry->arg = arg;
	),
	TP_printk("dev=%u start=0x%lx end=0x%lx arg=%d", __entry->dev,
		  __entry->start, __entry->end, __entry->arg)
);

/* arg: 1 for a write, 0 for a read */
DEFINE_EVENT(dmirror_window, dmirror_fault_begin,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long end, int arg),
	TP_ARGS(dev, start, end, arg));

/* arg: 0 or a negative errno */
DEFINE_EVENT(dmirror_window, dmirror_fault_end,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long end, int arg),
	TP_ARGS(dev, start, end, arg));

/* arg: 1 if it may sleep; what lies between the two is the wait for the leaf */
DEFINE_EVENT(dmirror_window, dmirror_invalidate_begin,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long end, int arg),
	TP_ARGS(dev, start, end, arg));

/* arg: entries cleared, or -EAGAIN if that had to wait and may not */
DEFINE_EVENT(dmirror_window, dmirror_invalidate_end,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long end, int arg),
	TP_ARGS(dev, start, end, arg));

DECLARE_EVENT_CLASS(dmirror_migrate,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned long, start)
		__field(unsigned long, npages)
		__field(int, reason)
		__field(unsigned long, moved)
		__field(unsigned long, failed)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->start = start;
		__entry->npages = npages;
		__entry->reason = reason;
		__entry->moved = moved;
		__entry->failed = failed;
	),
	TP_printk("dev=%u start=0x%lx npages=%lu reason=%s moved=%lu failed=%lu",
		  __entry->dev, __entry->start, __entry->npages,
		  dmirror_show_reason(__entry->reason), __entry->moved,
		  __entry->failed)
);

/* start: address; moved and failed are 0 at the beginning */
DEFINE_EVENT(dmirror_migrate, dmirror_migrate_in_begin,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

DEFINE_EVENT(dmirror_migrate, dmirror_migrate_in_end,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

DEFINE_EVENT(dmirror_migrate, dmirror_migrate_out_begin,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

DEFINE_EVENT(dmirror_migrate, dmirror_migrate_out_end,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

/* dev: which one they leave */
DEFINE_EVENT(dmirror_migrate, dmirror_migrate_peer_begin,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

DEFINE_EVENT(dmirror_migrate, dmirror_migrate_peer_end,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

/* start: page number within the device's memory */
DEFINE_EVENT(dmirror_migrate, dmirror_evict_begin,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

DEFINE_EVENT(dmirror_migrate, dmirror_evict_end,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

#if IS_ENABLED(CONFIG_DRM)
#define dmirror_show_job_op(op) \
	__print_symbolic(op, \
		{ HMM_DMIRROR_JOB_NOP, "nop" }, \
		{ HMM_DMIRROR_JOB_FILL, "fill" }, \
		{ HMM_DMIRROR_JOB_COPY, "copy" }, \
		{ HMM_DMIRROR_JOB_CHECKSUM, "checksum" }, \
		{ HMM_DMIRROR_JOB_COMPARE, "compare" }, \
		{ HMM_DMIRROR_JOB_ATOMIC_ADD32, "atomic_add32" }, \
		{ HMM_DMIRROR_JOB_ATOMIC_ADD64, "atomic_add64" }, \
		{ HMM_DMIRROR_JOB_CHASE, "chase" })

/*
 * The two of a job pair up by dev, file, queue, seqno and index: tasks take turns
 * with a job. A job that was not run has neither. status: 0 or a negative errno; it
 * and done, what was done by then, are for the end.
 */
DECLARE_EVENT_CLASS(dmirror_job,
	TP_PROTO(unsigned int dev, const struct dmirror_submission_id *id,
		 unsigned int index, const struct drm_hmm_dmirror_job *job,
		 const struct drm_hmm_dmirror_result *res),
	TP_ARGS(dev, id, index, job, res),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(u32, file)
		__field(u32, queue)
		__field(u64, seqno)
		__field(unsigned int, index)
		__field(u32, op)
		__field(u64, dst)
		__field(u64, src)
		__field(u64, length)
		__field(u64, count)
		__field(s32, status)
		__field(u64, done)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->file = id->file;
		__entry->queue = id->queue;
		__entry->seqno = id->seqno;
		__entry->index = index;
		__entry->op = job->op;
		__entry->dst = job->dst;
		__entry->src = job->src;
		__entry->length = job->length;
		__entry->count = job->count;
		__entry->status = res->status;
		__entry->done = res->done;
	),
	TP_printk("dev=%u file=%u queue=%u seqno=%llu index=%u op=%s dst=0x%llx src=0x%llx length=%llu count=%llu",
		  __entry->dev, __entry->file, __entry->queue, __entry->seqno,
		  __entry->index, dmirror_show_job_op(__entry->op), __entry->dst,
		  __entry->src, __entry->length, __entry->count)
);

DEFINE_EVENT(dmirror_job, dmirror_job_begin,
	TP_PROTO(unsigned int dev, const struct dmirror_submission_id *id,
		 unsigned int index, const struct drm_hmm_dmirror_job *job,
		 const struct drm_hmm_dmirror_result *res),
	TP_ARGS(dev, id, index, job, res)
);

DEFINE_EVENT_PRINT(dmirror_job, dmirror_job_end,
	TP_PROTO(unsigned int dev, const struct dmirror_submission_id *id,
		 unsigned int index, const struct drm_hmm_dmirror_job *job,
		 const struct drm_hmm_dmirror_result *res),
	TP_ARGS(dev, id, index, job, res),
	TP_printk("dev=%u file=%u queue=%u seqno=%llu index=%u op=%s status=%d done=%llu",
		  __entry->dev, __entry->file, __entry->queue, __entry->seqno,
		  __entry->index, dmirror_show_job_op(__entry->op), __entry->status,
		  __entry->done)
);
#endif

#endif /* DMIRROR_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
