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

#include <linux/tracepoint.h>

#ifndef DMIRROR_TRACE_ENUMS
#define DMIRROR_TRACE_ENUMS
/* Why pages move. */
enum dmirror_reason {
	DMIRROR_REASON_REQUEST,		/* asked for through a front end */
	DMIRROR_REASON_CPU_FAULT,
	DMIRROR_REASON_EVICT,
	DMIRROR_REASON_TEARDOWN,
};
#endif

TRACE_DEFINE_ENUM(DMIRROR_REASON_REQUEST);
TRACE_DEFINE_ENUM(DMIRROR_REASON_CPU_FAULT);
TRACE_DEFINE_ENUM(DMIRROR_REASON_EVICT);
TRACE_DEFINE_ENUM(DMIRROR_REASON_TEARDOWN);

#define dmirror_show_reason(r) \
	__print_symbolic(r, \
		{ DMIRROR_REASON_REQUEST, "request" }, \
		{ DMIRROR_REASON_CPU_FAULT, "cpu_fault" }, \
		{ DMIRROR_REASON_EVICT, "evict" }, \
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

/* arg: entries cleared */
DEFINE_EVENT(dmirror_window, dmirror_invalidate,
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

/* start: page number within the device's memory */
DEFINE_EVENT(dmirror_migrate, dmirror_evict_begin,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

DEFINE_EVENT(dmirror_migrate, dmirror_evict_end,
	TP_PROTO(unsigned int dev, unsigned long start, unsigned long npages,
		 int reason, unsigned long moved, unsigned long failed),
	TP_ARGS(dev, start, npages, reason, moved, failed));

#endif /* DMIRROR_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
