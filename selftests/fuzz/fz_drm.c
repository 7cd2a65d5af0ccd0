// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of the render nodes, as operations of an input, and which answers they
 * may give.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <kselftest.h>
#include "fuzz.h"

static bool fz_documented(const struct fz_actor *a, unsigned long request, int err)
{
	switch (err) {
	case 0:
	case EINVAL:
	case E2BIG:
	case EFAULT:
	case EPERM:
	case ENOENT:
	case EBUSY:
	case ENOSPC:
	case ETIME:
	case EOPNOTSUPP:
	case ENOMEM:
		return true;
	case EINTR:
		/* Signals come every few milliseconds. */
		return request == DRM_IOCTL_HMM_DMIRROR_WAIT;
	case EBADF:
	case ENOTTY:
		return a->proc->threads;
	}
	return false;
}

/* Returns the errno, -1 when there is no such device. */
static int fz_command(struct fz_actor *a, const struct fz_op *op, unsigned long request,
		      void *arg)
{
	int fd = fz_drm(a, op->arg[0]), err;

	if (fd < 0)
		return -1;
	fz_trace(a, "fd %d request %#lx", fd, request);
	/* Not by drmIoctl(), which hides some answers. */
	err = ioctl(fd, request, arg) ? errno : 0;
	fz_trace(a, "errno %d", err);
	if (!fz_documented(a, request, err))
		fz_fail(a, "%s: errno %d is not documented", fz_kind(op->kind)->name, err);
	return err;
}

/* An answer that says how many pages of a range something was done to. */
static void fz_judge_pages(struct fz_actor *a, const struct fz_op *op, int err,
			   __u64 pages, __u64 length, bool all)
{
	if (err < 0 || err == EINVAL || err == EPERM || err == EBADF || err == ENOTTY)
		return;
	if (pages > length / DM_PAGE || (!err && all && pages != length / DM_PAGE))
		fz_fail(a, "%s: errno %d, %llu pages of %#llx bytes", fz_kind(op->kind)->name,
			err, pages, length);
}

static void fz_d_param(struct fz_actor *a, const struct fz_op *op)
{
	struct drm_hmm_dmirror_get_param arg = { .param = fz_value(op->arg[1]) };
	int err = fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_GET_PARAM, &arg);

	fz_saw(a, op, err, arg.param < 32 ? arg.param : 32);
}

static void fz_d_migrate(struct fz_actor *a, const struct fz_op *op)
{
	struct drm_hmm_dmirror_migrate arg = {
		.start = fz_addr(op->arg[1]), .length = fz_len(op->arg[2]),
		.dest = op->arg[3] % 4, .flags = fz_flags(op->arg[4]),
		.device = op->arg[5], .pad = fz_flags(op->arg[6]),
	};
	unsigned int i, seen = 0;
	__u64 sum = 0;
	int err;

	fz_trace(a, "start %#llx length %#llx dest %u flags %#x device %u pad %u", arg.start,
		 arg.length, arg.dest, arg.flags, arg.device, arg.pad);
	err = fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_MIGRATE, &arg);
	for (i = 0; i < ARRAY_SIZE(arg.pages); i++) {
		sum += arg.pages[i];
		if (arg.pages[i])
			seen |= 1 << i;
	}
	/* ENOENT: no such device, nothing was tried. */
	if (err != ENOENT && err != EOPNOTSUPP)
		fz_judge_pages(a, op, err, sum, arg.length, true);
	fz_saw(a, op, err, arg.dest << 9 | (seen & 0x1ff));
}

static void fz_d_advise(struct fz_actor *a, const struct fz_op *op)
{
	struct drm_hmm_dmirror_advise arg = {
		.start = fz_addr(op->arg[1]), .length = fz_len(op->arg[2]),
		.attr = op->arg[3] % 7, .flags = fz_flags(op->arg[4]),
		.value = fz_value(op->arg[5]),
	};

	if (arg.attr == HMM_DMIRROR_ADVISE_LOCATION && arg.value > 1 && arg.value < 12)
		arg.value = HMM_DMIRROR_LOCATION_DEVICE(arg.value - 2);
	fz_trace(a, "start %#llx length %#llx attr %u flags %#x value %#llx", arg.start,
		 arg.length, arg.attr, arg.flags, arg.value);
	fz_saw(a, op, fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_ADVISE, &arg), arg.attr);
}

/* Jobs are put together one by one, and handed over by d_submit. */
static void fz_d_job(struct fz_actor *a, const struct fz_op *op)
{
	struct drm_hmm_dmirror_job *job = &a->job[a->nr_jobs % FZ_JOBS];

	*job = (struct drm_hmm_dmirror_job) {
		.op = op->arg[0] % 9, .dst = fz_addr(op->arg[1]), .src = fz_addr(op->arg[2]),
		.length = fz_len(op->arg[3]), .value = fz_value(op->arg[4]),
		.count = fz_value(op->arg[5]), .flags = fz_flags(op->arg[6]),
	};
	/* What an operation does not use must be 0; now and then it is not. */
	if (op->arg[7] % 8) {
		bool pair = job->op == HMM_DMIRROR_JOB_COPY || job->op == HMM_DMIRROR_JOB_COMPARE;
		bool dst = pair || job->op == HMM_DMIRROR_JOB_FILL ||
			   job->op == HMM_DMIRROR_JOB_ATOMIC_ADD32 ||
			   job->op == HMM_DMIRROR_JOB_ATOMIC_ADD64;
		bool src = pair || job->op == HMM_DMIRROR_JOB_CHECKSUM ||
			   job->op == HMM_DMIRROR_JOB_CHASE;
		bool length = pair || job->op == HMM_DMIRROR_JOB_FILL ||
			      job->op == HMM_DMIRROR_JOB_CHECKSUM;

		job->dst *= dst;
		job->src *= src;
		job->length *= length;
		job->value *= !pair && job->op && job->op != HMM_DMIRROR_JOB_CHASE;
		job->count *= !length && job->op;
	}
	a->nr_jobs = a->nr_jobs < FZ_JOBS ? a->nr_jobs + 1 : FZ_JOBS;
	fz_trace(a, "op %u dst %#llx src %#llx length %#llx value %#llx count %#llx flags %#x",
		 job->op, job->dst, job->src, job->length, job->value, job->count, job->flags);
}

static void fz_d_submit(struct fz_actor *a, const struct fz_op *op)
{
	__u32 handles[16] = { 1, 2, 3, 1, 2, 3, 0, ~0U };
	__u32 queue = op->arg[1] % 8, sync = op->arg[7];
	struct drm_hmm_dmirror_submit arg = {
		.jobs = (__u64)a->job, .nr_jobs = a->nr_jobs,
		.queue = queue < 5 ? queue : HMM_DMIRROR_QUEUE_RESIDENT,
		.flags = fz_flags(op->arg[2]), .results = op->arg[3] ? fz_addr(op->arg[3]) : 0,
		.fence_addr = op->arg[4] ? fz_addr(op->arg[4]) : 0,
		.fence_value = op->arg[4] ? fz_value(op->arg[5]) : op->arg[5] >> 14,
		.pad = op->arg[6] >> 14, .user_data = a->at,
	};
	int err;

	if (queue >= 5)
		arg.flags ^= HMM_DMIRROR_SUBMIT_RESIDENT;
	if (op->arg[6] & 1)
		arg.nr_jobs = fz_value(op->arg[6] & 0x3fff);
	if (sync & 1) {
		arg.in_syncs = (__u64)handles;
		arg.nr_in_syncs = 1 + (sync >> 2) % 3;
	}
	if (sync & 2) {
		arg.out_syncs = (__u64)handles;
		arg.nr_out_syncs = sync & 0x100 ? fz_value(sync) : 1 + (sync >> 4) % 3;
	}
	fz_trace(a, "queue %u flags %#x results %#llx fence %#llx jobs %u syncs %u %u", arg.queue,
		 arg.flags, arg.results, arg.fence_addr, arg.nr_jobs, arg.nr_in_syncs,
		 arg.nr_out_syncs);
	err = fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_SUBMIT, &arg);
	if (!err) {
		a->seqno = arg.seqno;
		if (!arg.seqno)
			fz_fail(a, "d_submit: no sequence number");
	}
	a->nr_jobs = 0;
	fz_saw(a, op, err, arg.flags & 3);
}

static void fz_d_wait(struct fz_actor *a, const struct fz_op *op)
{
	__u32 queue = op->arg[1] % 8;
	struct drm_hmm_dmirror_wait arg = {
		.seqno = op->arg[2] ? fz_value(op->arg[2]) : a->seqno,
		.queue = queue < 5 ? queue : HMM_DMIRROR_QUEUE_RESIDENT,
		.timeout_ns = (__s64)fz_value(op->arg[3]), .flags = fz_flags(op->arg[4]),
	};
	struct timespec now;
	int err, tries = 0;

	/* Most wait for a moment only. */
	if (op->arg[3] < 16) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		arg.timeout_ns = now.tv_sec * 1000000000LL + now.tv_nsec + op->arg[3] * 4000000LL;
	}
	do
		err = fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_WAIT, &arg);
	while (err == EINTR && ++tries < 10);
	fz_trace(a, "status %d resets %u", arg.status, arg.resets);
	if (arg.status > 0)
		fz_fail(a, "d_wait: status %d", arg.status);
	fz_saw(a, op, err, -arg.status);
}

static void fz_d_event(struct fz_actor *a, const struct fz_op *op)
{
	struct pollfd p = { .fd = fz_drm(a, op->arg[0]), .events = POLLIN };
	char buf[256];
	ssize_t n;

	if (p.fd < 0 || poll(&p, 1, op->arg[1] % 16) <= 0 || !(p.revents & POLLIN))
		return;
	/* Another thread may have taken it: then this is what waits for a signal. */
	n = read(p.fd, buf, fz_len(op->arg[2]) % sizeof(buf));
	fz_saw(a, op, n < 0 ? errno : 0, n > 0);
}

static void fz_d_query(struct fz_actor *a, const struct fz_op *op)
{
	struct drm_hmm_dmirror_query arg = {
		.start = fz_addr(op->arg[1]), .length = fz_len(op->arg[2]),
		.pages = fz_addr(op->arg[3]), .flags = fz_flags(op->arg[4]),
		.pad = fz_flags(op->arg[5]),
	};
	int err;

	fz_trace(a, "start %#llx length %#llx pages %#llx", arg.start, arg.length, arg.pages);
	err = fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_QUERY, &arg);
	if (err != E2BIG)
		fz_judge_pages(a, op, err, arg.nr_pages, arg.length, true);
	fz_saw(a, op, err, 0);
}

static void fz_d_evict(struct fz_actor *a, const struct fz_op *op)
{
	struct drm_hmm_dmirror_evict arg = {
		.what = op->arg[3] % 4, .flags = fz_flags(op->arg[4]),
	};
	int err;

	if (!arg.what || op->arg[5] & 8)
		arg.start = fz_addr(op->arg[1]);
	if (arg.what != HMM_DMIRROR_EVICT_ALL || op->arg[5] & 4)
		arg.length = fz_len(op->arg[2]);
	fz_trace(a, "start %#llx length %#llx what %u", arg.start, arg.length, arg.what);
	err = fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_EVICT, &arg);
	if (arg.what == HMM_DMIRROR_EVICT_RANGE)
		fz_judge_pages(a, op, err, arg.pages, arg.length, false);
	fz_saw(a, op, err, arg.what << 1 | !arg.pages);
}

static void fz_d_exclusive(struct fz_actor *a, const struct fz_op *op)
{
	struct drm_hmm_dmirror_exclusive arg = {
		.start = fz_addr(op->arg[1]), .length = fz_len(op->arg[2]),
		.what = op->arg[3] % 4, .flags = fz_flags(op->arg[4]),
	};
	int err;

	fz_trace(a, "start %#llx length %#llx what %u", arg.start, arg.length, arg.what);
	err = fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_EXCLUSIVE, &arg);
	fz_judge_pages(a, op, err, arg.pages, arg.length, !arg.what);
	fz_saw(a, op, err, arg.what << 1 | !arg.pages);
}

static void fz_d_stats(struct fz_actor *a, const struct fz_op *op)
{
	struct drm_hmm_dmirror_stats arg = {
		.values = fz_addr(op->arg[1]), .count = fz_count(op->arg[2]),
		.scope = op->arg[3] % 3, .flags = fz_flags(op->arg[4]),
		.pad = fz_flags(op->arg[5]),
	};
	int err = fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_STATS, &arg);

	if (!err && arg.count != HMM_DMIRROR_NR_STATS)
		fz_fail(a, "d_stats: %u counters", arg.count);
	fz_saw(a, op, err, 0);
}

/* The points do nothing unless the module allows it; the argument is checked. */
static void fz_d_inject(struct fz_actor *a, const struct fz_op *op)
{
	static const char points[][33] = {
		"", "pool", "copy", "notifier", "nonsense", "12345678901234567890123456789012",
	};
	struct drm_hmm_dmirror_inject arg = {
		.flags = fz_flags(op->arg[2]), .nth = fz_value(op->arg[3]),
		.every = fz_value(op->arg[4]), .times = fz_value(op->arg[5]),
	};

	memcpy(arg.point, points[op->arg[1] % ARRAY_SIZE(points)], sizeof(arg.point));
	fz_saw(a, op, fz_command(a, op, DRM_IOCTL_HMM_DMIRROR_INJECT, &arg), 0);
}

static void fz_d_sync(struct fz_actor *a, const struct fz_op *op)
{
	__u32 handle = 1 + op->arg[2] % 4;
	struct drm_syncobj_create create = { .flags = op->arg[1] >> 8 & 1 };
	struct drm_syncobj_destroy destroy = { .handle = handle };
	struct drm_syncobj_array array = { .handles = (__u64)&handle, .count_handles = 1 };
	struct drm_syncobj_wait wait = { .handles = (__u64)&handle, .count_handles = 1 };
	int fd = fz_drm(a, op->arg[0]), ret = 0;

	if (fd < 0)
		return;
	switch (op->arg[1] % 6) {
	case 0:
	case 1:
		ret = ioctl(fd, DRM_IOCTL_SYNCOBJ_CREATE, &create);
		break;
	case 2:
		ret = ioctl(fd, DRM_IOCTL_SYNCOBJ_DESTROY, &destroy);
		break;
	case 3:
		ret = ioctl(fd, DRM_IOCTL_SYNCOBJ_SIGNAL, &array);
		break;
	case 4:
		ret = ioctl(fd, DRM_IOCTL_SYNCOBJ_RESET, &array);
		break;
	case 5:
		ret = ioctl(fd, DRM_IOCTL_SYNCOBJ_WAIT, &wait);
		break;
	}
	fz_saw(a, op, ret ? errno : 0, op->arg[1] % 6);
}

/*
 * Any number, any size, on either front end; @arg[4] fills what it points to. The
 * DRM core answers for its own commands.
 */
static void fz_raw(struct fz_actor *a, const struct fz_op *op)
{
	unsigned int dir = op->arg[1] & 3, type = op->arg[1] & 4 ? 'd' : 'H';
	unsigned int nr = op->arg[2] & 0xff, size = fz_len(op->arg[3]) & 0x3fff;
	__u64 addr = fz_addr(op->arg[4]), value = fz_value(op->arg[5]);
	int fd = fz_file(a, op->arg[0]), err;

	if (op->arg[1] & 8)
		nr = DRM_COMMAND_BASE + nr % 16;
	if (fd < 0)
		return;
	if (addr >= FZ_SCRATCH && addr < FZ_SCRATCH + FZ_SCRATCH_SIZE / 2)
		for (unsigned int i = 0; i < 32; i++)
			((__u64 *)FZ_SCRATCH)[i] = i % 2 ? 0 : value;
	fz_trace(a, "fd %d type %c nr %#x size %u arg %#llx", fd, type, nr, size, addr);
	err = ioctl(fd, _IOC(dir, type, nr, size), addr) ? errno : 0;
	fz_trace(a, "errno %d", err);
	if (err == EAGAIN && nr >= DRM_COMMAND_BASE && nr < DRM_COMMAND_END)
		fz_fail(a, "raw: command %#x: EAGAIN", nr);
	fz_saw(a, op, err, nr);
}

#define FZ_RANGE FZ_FILE, FZ_ADDR, FZ_LEN

const struct fz_kind fz_drm_kinds[] = {
	{ "d_param",	1, { FZ_FILE, FZ_VALUE }, fz_d_param },
	{ "d_migrate",	14, { FZ_RANGE, FZ_SMALL, FZ_FLAGS, FZ_SMALL, FZ_FLAGS }, fz_d_migrate },
	{ "d_advise",	8, { FZ_RANGE, FZ_SMALL, FZ_FLAGS, FZ_VALUE }, fz_d_advise },
	{ "d_job",	14, { FZ_SMALL, FZ_ADDR, FZ_ADDR, FZ_LEN, FZ_VALUE, FZ_VALUE, FZ_FLAGS,
			      FZ_SMALL }, fz_d_job },
	{ "d_submit",	12, { FZ_FILE, FZ_SMALL, FZ_FLAGS, FZ_ADDR, FZ_ADDR, FZ_VALUE, FZ_FLAGS,
			      FZ_FLAGS }, fz_d_submit },
	{ "d_wait",	6, { FZ_FILE, FZ_SMALL, FZ_FLAGS, FZ_SMALL, FZ_FLAGS }, fz_d_wait },
	{ "d_event",	2, { FZ_FILE, FZ_SMALL, FZ_LEN }, fz_d_event },
	{ "d_query",	5, { FZ_RANGE, FZ_ADDR, FZ_FLAGS, FZ_FLAGS }, fz_d_query },
	{ "d_evict",	4, { FZ_RANGE, FZ_SMALL, FZ_FLAGS, FZ_SMALL }, fz_d_evict },
	{ "d_exclusive", 6, { FZ_RANGE, FZ_SMALL, FZ_FLAGS }, fz_d_exclusive },
	{ "d_stats",	1, { FZ_FILE, FZ_ADDR, FZ_COUNT, FZ_SMALL, FZ_FLAGS, FZ_FLAGS },
	  fz_d_stats },
	{ "d_inject",	1, { FZ_FILE, FZ_SMALL, FZ_FLAGS, FZ_VALUE, FZ_VALUE, FZ_VALUE },
	  fz_d_inject },
	{ "d_sync",	3, { FZ_FILE, FZ_SMALL, FZ_SMALL }, fz_d_sync },
	{ "raw",	3, { FZ_FILE, FZ_SMALL, FZ_VALUE, FZ_LEN, FZ_ADDR, FZ_VALUE }, fz_raw },
};

const unsigned int fz_nr_drm = ARRAY_SIZE(fz_drm_kinds);
