/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ioctl interface of the render nodes of hmm_dmirror, a GPU without hardware.
 *
 * Find a node with drmOpenWithType("hmm_dmirror", NULL, DRM_NODE_RENDER), or with
 * drmGetDevices2() where there are several devices, and issue commands with
 * drmIoctl(). There are no buffer objects: every command names virtual addresses
 * of the process that opened the node, and whatever is mapped there can be used by
 * the device. An open file serves that process only; for another one that inherited
 * it or was sent it the commands below fail.
 *
 * Addresses and lengths are in bytes. Ranges are page aligned, not empty and lie
 * in the user address space, except where a field says that any alignment will do.
 *
 * Errors, one meaning each for the whole interface:
 *
 *   EINVAL   an argument is malformed: misaligned, empty or out of the address
 *            space, an unknown value, flag or index, padding that is not zero
 *   E2BIG    more elements than GET_PARAM says a command takes
 *   EFAULT   something in the range is not mapped, or may not be accessed like
 *            this, or memory that a pointer names cannot be accessed
 *   EPERM    the file was opened by another process, or the caller lacks
 *            CAP_SYS_ADMIN where a command needs it
 *   ENOENT   no such queue, sequence number, sync object, device or point
 *   EBUSY    outrun by changes of the address space for longer than the retry
 *            budget, pages that somebody holds on to, or more translations in
 *            use than can be held for RESIDENT jobs; trying again may help
 *   ENOSPC   a limit of this file is reached: jobs that wait, events nobody reads,
 *            pieces of advice
 *   ETIME    the time given has passed
 *   EOPNOTSUPP  the kernel, or this kind of memory, cannot do it
 *   ECANCELED   a job was not run: its queue was reset, or is being closed
 *   ENOMEM   no memory, also of that a file may have for translations
 *   ENODEV   the device has gone
 *   EINTR    interrupted by a signal; drmIoctl() tries again
 *
 * No command fails with EAGAIN, for which libdrm would loop. Every command may be
 * interrupted by a signal and is then started again by the kernel or by drmIoctl();
 * what it had done by then stays done. Results are written back on failure, too.
 *
 * Rules for the future: structures grow at the end, and a field of 0 means what an
 * older kernel did; numbers are never used again; each addition raises the minor
 * version (drmGetVersion()). Structures have the same layout for 32-bit programs.
 * Padding and unknown flags must be 0, and are checked.
 */
#ifndef _HMM_DMIRROR_DRM_H
#define _HMM_DMIRROR_DRM_H

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* What drmGetVersion() says of a driver that does all that is in this file */
#define HMM_DMIRROR_DRM_MAJOR		1
#define HMM_DMIRROR_DRM_MINOR		0

#define DRM_HMM_DMIRROR_GET_PARAM	0x00
#define DRM_HMM_DMIRROR_MIGRATE		0x01
#define DRM_HMM_DMIRROR_ADVISE		0x02
#define DRM_HMM_DMIRROR_SUBMIT		0x03
#define DRM_HMM_DMIRROR_WAIT		0x04
#define DRM_HMM_DMIRROR_QUERY		0x05
#define DRM_HMM_DMIRROR_EVICT		0x06
#define DRM_HMM_DMIRROR_EXCLUSIVE	0x07
#define DRM_HMM_DMIRROR_STATS		0x08
#define DRM_HMM_DMIRROR_INJECT		0x09

/* Values of drm_hmm_dmirror_get_param.param */
#define HMM_DMIRROR_PARAM_FEATURES		0  /* HMM_DMIRROR_FEATURE_* */
#define HMM_DMIRROR_PARAM_VRAM_SIZE		1  /* bytes of device memory */
#define HMM_DMIRROR_PARAM_VRAM_FREE		2  /* bytes of it that are free now */
#define HMM_DMIRROR_PARAM_PAGE_ORDERS		3  /* bit n: pages of PAGE_SIZE << n;
						    * the kernel migrates base
						    * pages, and from 6.19 on those
						    * of PMD_SIZE, nothing between
						    */
#define HMM_DMIRROR_PARAM_DEVICE		4  /* number of this device */
#define HMM_DMIRROR_PARAM_DEVICES		5  /* bit n: device n exists */
#define HMM_DMIRROR_PARAM_CLIENT_VRAM		6  /* bytes a file may have resident */
#define HMM_DMIRROR_PARAM_QUEUES		7  /* queues of a file */
#define HMM_DMIRROR_PARAM_JOBS_PER_SUBMIT	8  /* jobs in one SUBMIT */
#define HMM_DMIRROR_PARAM_JOBS_QUEUED		9  /* jobs of a file that wait */
#define HMM_DMIRROR_PARAM_JOB_TIMEOUT_MS	10 /* longest time a job may run */
#define HMM_DMIRROR_PARAM_SYNCS_PER_SUBMIT	11 /* sync objects, each way */
#define HMM_DMIRROR_PARAM_NR_STATS		12 /* counters STATS knows */
#define HMM_DMIRROR_PARAM_QUERY_PAGES		13 /* pages in one QUERY */

/* Bits of HMM_DMIRROR_PARAM_FEATURES */
#define HMM_DMIRROR_FEATURE_COHERENT		(1ULL << 0) /* the CPU can reach VRAM */
#define HMM_DMIRROR_FEATURE_LARGE_FOLIOS	(1ULL << 1) /* 2 MiB pages move whole */
#define HMM_DMIRROR_FEATURE_EXCLUSIVE		(1ULL << 2) /* EXCLUSIVE, device atomics */
#define HMM_DMIRROR_FEATURE_INJECT		(1ULL << 3) /* INJECT is enabled */

/**
 * struct drm_hmm_dmirror_get_param - ask for a property
 * @param: (in) HMM_DMIRROR_PARAM_*; EINVAL for one that is not known
 * @value: (out) the answer
 */
struct drm_hmm_dmirror_get_param {
	__u64 param;
	__u64 value;
};

/*
 * What became of a page of a MIGRATE request: index into its @pages. What was
 * asked for is the sum of all of them.
 */
#define HMM_DMIRROR_PAGE_UNTRIED	0 /* the request ended before it, with an error */
#define HMM_DMIRROR_PAGE_MOVED		1 /* changed place, or was made where none was */
#define HMM_DMIRROR_PAGE_PRESENT	2 /* was there already */
#define HMM_DMIRROR_PAGE_HOLE		3 /* no page there, and none made */
#define HMM_DMIRROR_PAGE_BUSY		4 /* pinned, or held by somebody for more than a moment */
#define HMM_DMIRROR_PAGE_ELSEWHERE	5 /* swapped out, or on a device that kept it; */
					  /* DEST_DEVICE: in system memory, too */
#define HMM_DMIRROR_PAGE_UNSUPPORTED	6 /* its kind does not move: of files, of hugetlb */
#define HMM_DMIRROR_PAGE_NOMEM		7 /* no room for it, or over the file's limit */
#define HMM_DMIRROR_PAGE_RACED		8 /* changed meanwhile, or no memory to fill a hole */
#define HMM_DMIRROR_NR_PAGE_CLASSES	9

/* Values of drm_hmm_dmirror_migrate.dest */
#define HMM_DMIRROR_DEST_SYSTEM		0 /* from this device to system memory */
#define HMM_DMIRROR_DEST_VRAM		1 /* to this device */
#define HMM_DMIRROR_DEST_DEVICE		2 /* from this device to device @device */

/*
 * drm_hmm_dmirror_migrate.flags: also enter the pages in the device page table, so
 * that the next access of the device does not fault. For DEST_VRAM.
 */
#define HMM_DMIRROR_MIGRATE_MAP		(1 << 0)

/**
 * struct drm_hmm_dmirror_migrate - move a range
 * @start: (in) first byte
 * @length: (in) bytes
 * @dest: (in) HMM_DMIRROR_DEST_*
 * @flags: (in) HMM_DMIRROR_MIGRATE_*
 * @device: (in) for DEST_DEVICE: number of the device, from PARAM_DEVICES; else 0
 * @pad: (in) 0
 * @pages: (out) pages by HMM_DMIRROR_PAGE_*; the indices above them are 0
 *
 * That pages could not move is not an error; @pages tells. Moving to a device that
 * is full evicts other pages. A range that is not all mapped: EFAULT, after what
 * comes before the hole has moved.
 */
struct drm_hmm_dmirror_migrate {
	__u64 start;
	__u64 length;
	__u32 dest;
	__u32 flags;
	__u32 device;
	__u32 pad;
	__u64 pages[16];
};

/* Values of drm_hmm_dmirror_advise.attr, with what @value may be. */
#define HMM_DMIRROR_ADVISE_RESET	0 /* all attributes to their defaults; @value 0 */
#define HMM_DMIRROR_ADVISE_LOCATION	1 /* HMM_DMIRROR_LOCATION_* */
#define HMM_DMIRROR_ADVISE_READ_MOSTLY	2 /* 0 or 1 */
#define HMM_DMIRROR_ADVISE_ATOMIC	3 /* HMM_DMIRROR_ATOMIC_* */
#define HMM_DMIRROR_ADVISE_GRANULARITY	4 /* bytes, power of two, PAGE_SIZE to 2 MiB, 0 default */
#define HMM_DMIRROR_ADVISE_FAULT_AROUND	5 /* likewise */

/*
 * Where the pages of a range should be when the device accesses them.
 * DEFAULT: in VRAM, as long as that does not thrash. SYSTEM: never moved by a
 * device fault. DEVICE(n): in the memory of device n; a fault of another device
 * uses them in system memory.
 */
#define HMM_DMIRROR_LOCATION_DEFAULT	0
#define HMM_DMIRROR_LOCATION_SYSTEM	1
#define HMM_DMIRROR_LOCATION_DEVICE(n)	(0x100 + (n))

/*
 * How device atomics are kept atomic with respect to the CPU. In VRAM of this device
 * they are, whatever is advised: the CPU cannot reach it, or, where it is coherent, both
 * use atomic instructions. DEFAULT: elsewhere the device takes the page exclusively for
 * the moment. DEVICE: there the page is held exclusively until the CPU wants it. A page
 * that cannot be taken, of a file for instance, is shared by atomic instructions of both.
 */
#define HMM_DMIRROR_ATOMIC_DEFAULT	0
#define HMM_DMIRROR_ATOMIC_DEVICE	1

/**
 * struct drm_hmm_dmirror_advise - say how a range will be used
 * @start: (in) first byte
 * @length: (in) bytes
 * @attr: (in) HMM_DMIRROR_ADVISE_*
 * @flags: (in) 0
 * @value: (in) see @attr
 *
 * READ_MOSTLY: the device reads such pages where they are, without moving them; a
 * device write moves them as usual. GRANULARITY: how much around the address a
 * device fault moves to VRAM, within the mapping. FAULT_AROUND: how much a CPU fault brings back.
 *
 * Advice belongs to the file and to addresses, mapped or not. It moves nothing by
 * itself but counts from the next access on. It is forgotten where the process unmaps,
 * and where mremap() moves pages away from: it does not follow them. It is not handed
 * on over fork(): a child opens the node for itself. A file may have a few thousand
 * pieces of advice; munmap() in the middle of one makes it two, and should there be no
 * room for that it forgets the shorter of them.
 */
struct drm_hmm_dmirror_advise {
	__u64 start;
	__u64 length;
	__u32 attr;
	__u32 flags;
	__u64 value;
};

/* Values of drm_hmm_dmirror_job.op. @src, @value and @count are 0 where unused. */
#define HMM_DMIRROR_JOB_NOP		0
#define HMM_DMIRROR_JOB_FILL		1 /* @dst, @length: the 8 bytes of @value over and over */
#define HMM_DMIRROR_JOB_COPY		2 /* @dst, @src, @length; may not overlap */
#define HMM_DMIRROR_JOB_CHECKSUM	3 /* @src, @length: CRC32C, begun with @value (*) */
#define HMM_DMIRROR_JOB_COMPARE		4 /* @dst, @src, @length */
#define HMM_DMIRROR_JOB_ATOMIC_ADD32	5 /* @dst, 4-byte aligned: add @value, @count times */
#define HMM_DMIRROR_JOB_ATOMIC_ADD64	6 /* @dst, 8-byte aligned: likewise */
#define HMM_DMIRROR_JOB_CHASE		7 /* @src: follow @count pointers of 8 bytes each */
/*
 * (*) As it is, so that one job can go on where another ended. The usual checksum
 * begins with 0xffffffff and is inverted at the end.
 */

/**
 * struct drm_hmm_dmirror_job - one thing for the device to do
 * @op: (in) HMM_DMIRROR_JOB_*
 * @flags: (in) 0
 * @dst: (in) address, any alignment unless @op says otherwise
 * @src: (in) address, any alignment; CHASE: 8-byte aligned
 * @length: (in) bytes, not 0 for the operations that have one
 * @value: (in) see @op
 * @count: (in) see @op; at least 1 there
 */
struct drm_hmm_dmirror_job {
	__u32 op;
	__u32 flags;
	__u64 dst;
	__u64 src;
	__u64 length;
	__u64 value;
	__u64 count;
};

/* Values of drm_hmm_dmirror_result.access */
#define HMM_DMIRROR_ACCESS_NONE		0
#define HMM_DMIRROR_ACCESS_READ		1
#define HMM_DMIRROR_ACCESS_WRITE	2
#define HMM_DMIRROR_ACCESS_ATOMIC	3

/**
 * struct drm_hmm_dmirror_result - how a job ended
 * @status: (out) 0 or a negative errno: -EFAULT with @fault_addr, -ETIME when it ran
 *	too long, -ECANCELED when it was not run, -EBUSY, -ENOMEM, -ENODEV
 * @access: (out) HMM_DMIRROR_ACCESS_*: what failed at @fault_addr
 * @fault_addr: (out) page of the first access that was not possible, else 0
 * @done: (out) bytes of FILL, COPY, CHECKSUM and COMPARE, or operations of the
 *	others, that were completed; of COMPARE those before the first difference
 * @value: (out) CHECKSUM: the CRC32C; COMPARE: offset of the first byte that
 *	differs, or the length; ATOMIC_ADD*: the value before the last addition;
 *	CHASE: the last pointer
 */
struct drm_hmm_dmirror_result {
	__s32 status;
	__u32 access;
	__u64 fault_addr;
	__u64 done;
	__u64 value;
};

/*
 * drm_hmm_dmirror_submit.flags
 *
 * EVENT: send struct drm_hmm_dmirror_event to the file when all jobs have ended.
 *
 * RESIDENT: FILL and COPY inside memory that is in this device's VRAM and entered
 * in its page table (MIGRATE with HMM_DMIRROR_MIGRATE_MAP does both). Such jobs do
 * not fault: a page that is not there fails the job. In return they may wait for
 * sync objects and signal them. They go to queue HMM_DMIRROR_QUEUE_RESIDENT, and
 * nothing else does.
 */
#define HMM_DMIRROR_SUBMIT_EVENT	(1 << 0)
#define HMM_DMIRROR_SUBMIT_RESIDENT	(1 << 1)

#define HMM_DMIRROR_QUEUE_RESIDENT	0xffffffffU

/**
 * struct drm_hmm_dmirror_submit - hand jobs to a queue
 * @jobs: (in) array of struct drm_hmm_dmirror_job
 * @results: (in) array of struct drm_hmm_dmirror_result, one for each job, written
 *	as the jobs end, RESIDENT: when all have ended; 0 if not wanted
 * @nr_jobs: (in) how many, at least 1
 * @queue: (in) number of one of the file's queues, or QUEUE_RESIDENT
 * @flags: (in) HMM_DMIRROR_SUBMIT_*
 * @pad: (in) 0
 * @fence_addr: (in) user fence: where @fence_value is stored, as a __u64, when all
 *	jobs have ended and @results is written; 8-byte aligned; 0 for none
 * @fence_value: (in) the value; 0 without @fence_addr
 * @user_data: (in) handed back in the event; means nothing without one
 * @in_syncs: (in) array of __u32 sync object handles to wait for; RESIDENT only.
 *	ENOENT for one that nobody is going to signal
 * @out_syncs: (in) likewise, to signal when the jobs have ended, which may be
 *	before @results is written
 * @nr_in_syncs: (in) how many
 * @nr_out_syncs: (in) how many
 * @seqno: (out) what to WAIT for on this queue; numbers of a queue count up from 1
 *
 * A queue runs its submissions in order and one at a time; different queues run at
 * the same time. The first job of a submission that fails ends it: those after it
 * are -ECANCELED. Results, the fence and the event then follow as usual, and the
 * queue goes on with the next submission; but a job that exceeds the time limit
 * resets its queue, which cancels all that wait in it. Results or a fence that
 * cannot be written change nothing but the status that WAIT and the event report.
 *
 * Jobs do not wait for other processes: an access that a userfaultfd handler would
 * have to serve, and any to a mapping of a FUSE file, is a fault. While the address
 * space is locked by somebody who waits, they are put aside, and if the file is closed
 * then, results and fences are not written.
 */
struct drm_hmm_dmirror_submit {
	__u64 jobs;
	__u64 results;
	__u32 nr_jobs;
	__u32 queue;
	__u32 flags;
	__u32 pad;
	__u64 fence_addr;
	__u64 fence_value;
	__u64 user_data;
	__u64 in_syncs;
	__u64 out_syncs;
	__u32 nr_in_syncs;
	__u32 nr_out_syncs;
	__u64 seqno;
};

/**
 * struct drm_hmm_dmirror_wait - wait for a submission
 * @seqno: (in) from SUBMIT
 * @timeout_ns: (in) when to give up, CLOCK_MONOTONIC, absolute so that the command
 *	can be started again after a signal; in the past to only look
 * @queue: (in) the queue
 * @flags: (in) 0
 * @status: (out) once it has ended: 0, or the status of the job that failed;
 *	-ENOENT when so many have ended since that it was forgotten (the last 256
 *	of a queue are remembered)
 * @resets: (out) how often this queue was reset
 *
 * ETIME when it has not ended in time.
 */
struct drm_hmm_dmirror_wait {
	__u64 seqno;
	__s64 timeout_ns;
	__u32 queue;
	__u32 flags;
	__s32 status;
	__u32 resets;
};

/* Type of the event in struct drm_event; read the file to get it. */
#define HMM_DMIRROR_EVENT_JOBS		0x80000000U

/**
 * struct drm_hmm_dmirror_event - a submission with SUBMIT_EVENT has ended
 * @base: type HMM_DMIRROR_EVENT_JOBS
 * @user_data: from the submission
 * @seqno: of the submission
 * @queue: of the submission
 * @status: as in struct drm_hmm_dmirror_wait
 */
struct drm_hmm_dmirror_event {
	struct drm_event base;
	__u64 user_data;
	__u64 seqno;
	__u32 queue;
	__s32 status;
};

/*
 * QUERY describes a page by a __u64.
 *
 * Location: ABSENT covers a page that is swapped out, held exclusively through another
 * file, or in private memory of another driver's device, too: the kernel does not tell
 * a module, /proc/PID/pagemap does. OTHER is another device, its number in
 * QUERY_DEVICE(), 255 for coherent memory of another driver.
 */
#define HMM_DMIRROR_QUERY_LOCATION(q)	((q) & 0x7)
#define HMM_DMIRROR_QUERY_ABSENT	0 /* no page */
#define HMM_DMIRROR_QUERY_SYSTEM	1 /* system memory */
#define HMM_DMIRROR_QUERY_ZERO		2 /* the zero page */
#define HMM_DMIRROR_QUERY_VRAM		3 /* memory of this device */
#define HMM_DMIRROR_QUERY_OTHER		4 /* memory of another device */
#define HMM_DMIRROR_QUERY_UNMAPPED	5 /* not mapped, or not readable */
#define HMM_DMIRROR_QUERY_WRITABLE	(1ULL << 3) /* the process's page table allows writes now */
#define HMM_DMIRROR_QUERY_DEV_MAPPED	(1ULL << 4) /* in this device's page table */
#define HMM_DMIRROR_QUERY_DEV_WRITABLE	(1ULL << 5) /* likewise, writable */
#define HMM_DMIRROR_QUERY_EXCLUSIVE	(1ULL << 6) /* held exclusively through this file */
#define HMM_DMIRROR_QUERY_READ_MOSTLY	(1ULL << 7) /* advised so */
#define HMM_DMIRROR_QUERY_ATOMIC	(1ULL << 8) /* advised HMM_DMIRROR_ATOMIC_DEVICE */
#define HMM_DMIRROR_QUERY_ORDER(q)	(((q) >> 16) & 0xff) /* mapped as PAGE_SIZE << n */
#define HMM_DMIRROR_QUERY_DEVICE(q)	(((q) >> 24) & 0xff) /* with OTHER: which one */
#define HMM_DMIRROR_QUERY_ADVICE(q)	(((q) >> 32) & 0xffff) /* HMM_DMIRROR_LOCATION_* */

/**
 * struct drm_hmm_dmirror_query - where are the pages of a range?
 * @start: (in) first byte
 * @length: (in) bytes; E2BIG beyond HMM_DMIRROR_PARAM_QUERY_PAGES
 * @pages: (in) array of __u64, one for each page
 * @flags: (in) 0
 * @pad: (in) 0
 * @nr_pages: (out) how many were written
 *
 * Nothing is faulted in and nothing moves.
 */
struct drm_hmm_dmirror_query {
	__u64 start;
	__u64 length;
	__u64 pages;
	__u32 flags;
	__u32 pad;
	__u64 nr_pages;
};

/* Values of drm_hmm_dmirror_evict.what. BYTES and ALL need CAP_SYS_ADMIN. */
#define HMM_DMIRROR_EVICT_RANGE		0 /* what @start, @length has on this device */
#define HMM_DMIRROR_EVICT_BYTES		1 /* at least @length bytes, least recently used first */
#define HMM_DMIRROR_EVICT_ALL		2 /* everything; EBUSY when some of it stays */

/**
 * struct drm_hmm_dmirror_evict - move pages out of device memory
 * @start: (in) RANGE: first byte; else 0
 * @length: (in) RANGE, BYTES: bytes; ALL: 0
 * @what: (in) HMM_DMIRROR_EVICT_*
 * @flags: (in) 0
 * @pages: (out) pages that left
 *
 * RANGE does not mind holes and, unlike MIGRATE to system memory, mappings that are
 * not readable. BYTES goes by blocks of 2 MiB of device memory.
 */
struct drm_hmm_dmirror_evict {
	__u64 start;
	__u64 length;
	__u32 what;
	__u32 flags;
	__u64 pages;
};

/* Values of drm_hmm_dmirror_exclusive.what */
#define HMM_DMIRROR_EXCLUSIVE_TAKE	0 /* EFAULT, EOPNOTSUPP: memory that is not anonymous */
#define HMM_DMIRROR_EXCLUSIVE_CHECK	1 /* count what is still held */
#define HMM_DMIRROR_EXCLUSIVE_DROP	2 /* give up what is held */

/**
 * struct drm_hmm_dmirror_exclusive - access that excludes the CPU
 * @start: (in) first byte
 * @length: (in) bytes
 * @what: (in) HMM_DMIRROR_EXCLUSIVE_*
 * @flags: (in) 0
 * @pages: (out) pages taken, held or dropped
 *
 * The first CPU access to a page ends it for that page.
 */
struct drm_hmm_dmirror_exclusive {
	__u64 start;
	__u64 length;
	__u32 what;
	__u32 flags;
	__u64 pages;
};

/*
 * Counters: number, name in debugfs and documentation, what is counted. They only
 * ever grow; pages are of PAGE_SIZE, whatever they are a part of. The one list of
 * them: expand it with a macro X(ID, name, what), as the enumeration below does.
 *
 * A counter is added at the end and never goes away. What became of the pages of
 * requests is told apart as by HMM_DMIRROR_PAGE_*, in that order: what was asked for
 * is the sum. MIGRATE_* count movements, each attempt, also those nobody asked for.
 */
#define HMM_DMIRROR_STATS_LIST(X) \
	X(MIGRATE_IN_PAGES, migrate_in_pages, "pages moved to the device") \
	X(MIGRATE_OUT_PAGES, migrate_out_pages, \
	  "pages moved back, on request or by a CPU fault") \
	X(MIGRATE_IN_FAILED, migrate_in_failed_pages, \
	  "pages that were ready to move in and did not") \
	X(MIGRATE_OUT_FAILED, migrate_out_failed_pages, \
	  "pages that were ready to move back and did not") \
	X(IN_UNTRIED, in_untried_pages, \
	  "pages of requests to migrate in: never tried") \
	X(IN_MOVED, in_moved_pages, \
	  "pages of requests to migrate in: moved, or made") \
	X(IN_PRESENT, in_present_pages, \
	  "pages of requests to migrate in: there already") \
	X(IN_HOLE, in_hole_pages, \
	  "pages of requests to migrate in: no page, and none made") \
	X(IN_BUSY, in_busy_pages, \
	  "pages of requests to migrate in: pinned, locked or referenced by somebody") \
	X(IN_ELSEWHERE, in_elsewhere_pages, \
	  "pages of requests to migrate in: swapped out, or on another device") \
	X(IN_UNSUPPORTED, in_unsupported_pages, \
	  "pages of requests to migrate in: of a kind that does not move") \
	X(IN_NOMEM, in_nomem_pages, \
	  "pages of requests to migrate in: no destination to be had") \
	X(IN_RACED, in_raced_pages, \
	  "pages of requests to migrate in: changed meanwhile") \
	X(OUT_UNTRIED, out_untried_pages, \
	  "pages of requests to migrate out: never tried") \
	X(OUT_MOVED, out_moved_pages, \
	  "pages of requests to migrate out: moved, or made") \
	X(OUT_PRESENT, out_present_pages, \
	  "pages of requests to migrate out: there already") \
	X(OUT_HOLE, out_hole_pages, \
	  "pages of requests to migrate out: no page, and none made") \
	X(OUT_BUSY, out_busy_pages, \
	  "pages of requests to migrate out: pinned, locked or referenced by somebody") \
	X(OUT_ELSEWHERE, out_elsewhere_pages, \
	  "pages of requests to migrate out: swapped out, or on another device") \
	X(OUT_UNSUPPORTED, out_unsupported_pages, \
	  "pages of requests to migrate out: of a kind that does not move") \
	X(OUT_NOMEM, out_nomem_pages, \
	  "pages of requests to migrate out: no destination to be had") \
	X(OUT_RACED, out_raced_pages, \
	  "pages of requests to migrate out: changed meanwhile") \
	X(LARGE_IN, large_in, \
	  "2 MiB folios given a large place on the device") \
	X(LARGE_OUT, large_out, "2 MiB folios given a large place back") \
	X(LARGE_FALLBACKS, large_fallbacks, \
	  "2 MiB folios that had to move as small pages") \
	X(FOLIO_SPLITS, folio_splits, "device folios split") \
	X(CPU_FAULTS, cpu_faults, "CPU faults on device pages") \
	X(CPU_FAULT_PAGES, cpu_fault_pages, "pages brought back by CPU faults") \
	X(DEV_FAULTS, dev_faults, "windows the device faulted on") \
	X(DEV_FAULT_PAGES, dev_fault_pages, "pages made accessible by device faults") \
	X(DEV_FAULT_RETRIES, dev_fault_retries, \
	  "device faults begun again, the page table had changed") \
	X(COW_BREAKS, cow_breaks, "device pages unshared for a device write") \
	X(INVALIDATIONS, invalidations, "notifications that concerned a leaf") \
	X(INVALIDATED_PAGES, invalidated_pages, "entries of leaves cleared by notifications") \
	X(INVALIDATIONS_NONBLOCK_FAILED, invalidations_nonblock_failed, \
	  "notifications refused because they could not wait") \
	X(EVICTIONS, evictions, "times a block was evicted from") \
	X(EVICTED_PAGES, evicted_pages, "pages that moved out by eviction") \
	X(EVICT_FAILED, evict_failed_pages, "pages that were to be evicted and stayed") \
	X(EXCLUSIVE_PAGES, exclusive_taken_pages, \
	  "pages taken for exclusive access") \
	X(READ_PAGES, read_pages, "pages the device read") \
	X(WRITE_PAGES, write_pages, "pages the device wrote") \
	X(LEAVES_PRUNED, leaves_pruned, "leaves dropped to save memory") \
	X(INVALIDATIONS_NONBLOCK, invalidations_nonblock, \
	  "notifications that could not wait, served or refused") \
	X(JOBS_OK, jobs_ok, "jobs that ended well") \
	X(JOBS_FAILED, jobs_failed, "jobs that could not be done") \
	X(JOBS_CANCELED, jobs_canceled, "jobs that were not run, or not to their end") \
	X(JOBS_TIMED_OUT, jobs_timed_out, "jobs that ran too long") \
	X(JOB_BYTES, job_bytes, "bytes of ranges that jobs worked on") \
	X(QUEUE_RESETS, queue_resets, "queues reset because of a job that ran too long") \
	X(DEV_FAULT_MOVED, dev_fault_moved_pages, "pages device faults moved to the device") \
	X(THRASH_HOLDS, thrash_holds, \
	  "times 64 KiB that moved back and forth were put on hold") \
	X(THRASH_HELD_PAGES, thrash_held_pages, \
	  "pages the device used where they were because of a hold") \
	X(EVICTED_AHEAD, evicted_ahead_pages, \
	  "pages evicted before somebody had to wait for room") \
	X(PEER_OUT_PAGES, peer_out_pages, "pages moved straight to another device") \
	X(PEER_IN_PAGES, peer_in_pages, "pages moved here straight from another device") \
	X(ENGINES_LENT, engines_lent, \
	  "times an engine was added for others because one was stuck")

/* HMM_DMIRROR_STAT_*, and HMM_DMIRROR_NR_STATS */
#define HMM_DMIRROR_STATS_ENUM(id, name, what) HMM_DMIRROR_STAT_##id,
enum drm_hmm_dmirror_stat {
	HMM_DMIRROR_STATS_LIST(HMM_DMIRROR_STATS_ENUM)
	HMM_DMIRROR_NR_STATS
};

/* Values of drm_hmm_dmirror_stats.scope */
#define HMM_DMIRROR_STATS_DEVICE	0 /* since the device appeared */
#define HMM_DMIRROR_STATS_FILE		1 /* since the file was opened, caused by it */

/**
 * struct drm_hmm_dmirror_stats - read counters
 * @values: (in) array of __u64, indexed by enum drm_hmm_dmirror_stat
 * @count: (in) elements of the array; (out) counters there are. What fits is written.
 * @scope: (in) HMM_DMIRROR_STATS_*
 * @flags: (in) 0
 * @pad: (in) 0
 *
 * No file causes CPU faults and evictions; they are counted for the device only.
 */
struct drm_hmm_dmirror_stats {
	__u64 values;
	__u32 count;
	__u32 scope;
	__u32 flags;
	__u32 pad;
};

/* drm_hmm_dmirror_inject.flags */
#define HMM_DMIRROR_INJECT_SET		(1 << 0) /* begin anew with these values */
#define HMM_DMIRROR_INJECT_FAIL		(1 << 1) /* fail, after the delay */

/**
 * struct drm_hmm_dmirror_inject - make something fail or take long
 * @point: (in) name of the point; Documentation/fault-injection.rst has a table
 * @flags: (in) HMM_DMIRROR_INJECT_*; without SET only look, and all up to @delay_us
 *	is 0
 * @nth: (in) the first pass from now on that something happens at; 0: none
 * @every: (in) and every so many passes after it; 0: no more
 * @times: (in) at most so often; 0: no limit
 * @delay_us: (in) wait that long
 * @waiting: (out) tasks that wait there now
 * @hits: (out) passes since the point was set
 * @acted: (out) how often something happened since then
 *
 * Needs CAP_SYS_ADMIN, else EPERM, and the module parameter "inject", else
 * EOPNOTSUPP. ENOENT: no such point. EINVAL also for what the point cannot do.
 */
struct drm_hmm_dmirror_inject {
	char point[32];
	__u32 flags;
	__u32 nth;
	__u32 every;
	__u32 times;
	__u32 delay_us;
	__u32 waiting;
	__u64 hits;
	__u64 acted;
};

#define DRM_IOCTL_HMM_DMIRROR_GET_PARAM \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_GET_PARAM, \
		 struct drm_hmm_dmirror_get_param)
#define DRM_IOCTL_HMM_DMIRROR_MIGRATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_MIGRATE, \
		 struct drm_hmm_dmirror_migrate)
#define DRM_IOCTL_HMM_DMIRROR_ADVISE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_ADVISE, \
		struct drm_hmm_dmirror_advise)
#define DRM_IOCTL_HMM_DMIRROR_SUBMIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_SUBMIT, \
		 struct drm_hmm_dmirror_submit)
#define DRM_IOCTL_HMM_DMIRROR_WAIT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_WAIT, \
		 struct drm_hmm_dmirror_wait)
#define DRM_IOCTL_HMM_DMIRROR_QUERY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_QUERY, \
		 struct drm_hmm_dmirror_query)
#define DRM_IOCTL_HMM_DMIRROR_EVICT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_EVICT, \
		 struct drm_hmm_dmirror_evict)
#define DRM_IOCTL_HMM_DMIRROR_EXCLUSIVE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_EXCLUSIVE, \
		 struct drm_hmm_dmirror_exclusive)
#define DRM_IOCTL_HMM_DMIRROR_STATS \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_STATS, \
		 struct drm_hmm_dmirror_stats)
#define DRM_IOCTL_HMM_DMIRROR_INJECT \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_HMM_DMIRROR_INJECT, \
		 struct drm_hmm_dmirror_inject)

#if defined(__cplusplus)
}
#endif

#endif /* _HMM_DMIRROR_DRM_H */
