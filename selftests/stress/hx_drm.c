// SPDX-License-Identifier: GPL-2.0
/*
 * Operations of hmmx through the render nodes: jobs, migration between devices,
 * aimed eviction, exclusive access, advice. As in hx_op.c, each is done to the memory
 * and to the model, and what makes no sense does nothing.
 */
#include <errno.h>
#include <string.h>

#include "dm_drm.h"
#include "hmmx.h"

/* In a result before the job has run. */
#define HX_NOT_RUN	1

/* Two bits of the argument choose the device; -1 where there is no render node. */
static int hx_node(struct hx_actor *a, const struct hx_op *op)
{
	unsigned int i;

	for (i = 0; i < HX_DEVICES; i++) {
		int fd = a->drm[(op->arg + i) % HX_DEVICES];

		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* Bytes that may be accessed from @off of the first page on. */
static unsigned long hx_can(const struct hx_area *area, unsigned int page,
			    unsigned long off, unsigned long len, __u8 flags)
{
	unsigned int npages = (off + len + DM_PAGE - 1) / DM_PAGE;
	unsigned long can = hx_model_run(area, page, npages, flags) * DM_PAGE;

	return can < off ? 0 : can - off < len ? can - off : len;
}

/*
 * Judge how a job on @len bytes ended of which @can may be accessed. To be outrun by
 * others, or short of memory, is always allowed.
 */
static int hx_job_answer(struct hx_actor *a, const struct hx_op *op, int ret,
			 const struct drm_hmm_dmirror_result *res, __u64 can, __u64 len)
{
	/* It was not even queued. */
	if (res->status == HX_NOT_RUN && (ret == -EBUSY || ret == -ENOMEM))
		return 0;
	if (ret && ret != -EFAULT && ret != -EBUSY && ret != -ENOMEM)
		return hx_fail(a, op, "the job answers %d", ret);
	if (ret != res->status)
		return hx_fail(a, op, "the submission answers %d, its job %d", ret, res->status);
	if (res->done > can || (!ret && res->done != len))
		return hx_fail(a, op, "the job answers %d and did %llu of %llu, %llu are allowed",
			       ret, res->done, len, can);
	if (ret == -EFAULT && (can == len || res->done != can))
		return hx_fail(a, op, "the job faults at %#llx after %llu of %llu, %llu allowed",
			       res->fault_addr, res->done, len, can);
	return 0;
}

int hx_op_job_fill(struct hx_actor *a, const struct hx_op *op)
{
	struct drm_hmm_dmirror_result res = { .status = HX_NOT_RUN };
	struct drm_hmm_dmirror_job job = { .op = HMM_DMIRROR_JOB_FILL };
	struct hx_area *area = &a->run->area[op->area];
	unsigned long off, len, can, i;
	int ret, fd = hx_node(a, op);

	if (fd < 0)
		return 0;
	hx_bytes(area, op, &off, &len);
	can = hx_can(area, op->page, off, len, HX_WRITE);
	job.dst = (uintptr_t)hx_addr(a, op) + off;
	job.length = len;
	job.value = (op->arg ^ ++a->gen) * 0x9e3779b97f4a7c15ULL;
	ret = dmd_run(fd, &job, &res);
	if (hx_job_answer(a, op, ret, &res, can, len))
		return 1;
	for (i = 0; i < res.done; i++)
		a->bounce[i] = (__u8)(job.value >> 8 * (i % 8));
	if (res.done)
		hx_model_write(area, op->page * DM_PAGE + off, res.done, a->bounce);
	return 0;
}

/*
 * The other end of a job with two: the first byte, in the same area, not overlapping
 * the span and not lazily freed; false if the argument has none.
 */
static bool hx_source(const struct hx_area *area, const struct hx_op *op, unsigned long len,
		      unsigned long *from)
{
	unsigned long at = (op->arg >> 14) % HX_AREA_SIZE, i;

	if (at + len > HX_AREA_SIZE ||
	    (at < (op->page + op->npages) * DM_PAGE && op->page * DM_PAGE < at + len))
		return false;
	for (i = at / DM_PAGE; i <= (at + len - 1) / DM_PAGE; i++)
		if (area->state[i] & HX_LAZY)
			return false;
	*from = at;
	return true;
}

int hx_op_job_copy(struct hx_actor *a, const struct hx_op *op)
{
	struct drm_hmm_dmirror_result res = { .status = HX_NOT_RUN };
	struct drm_hmm_dmirror_job job = { .op = HMM_DMIRROR_JOB_COPY };
	struct hx_area *area = &a->run->area[op->area];
	unsigned long off, len, from, can, readable;
	int ret, fd = hx_node(a, op);

	hx_bytes(area, op, &off, &len);
	if (fd < 0 || !hx_source(area, op, len, &from))
		return 0;
	can = hx_can(area, op->page, off, len, HX_WRITE);
	readable = hx_can(area, from / DM_PAGE, from % DM_PAGE, len, HX_READ);
	job.dst = (uintptr_t)hx_addr(a, op) + off;
	job.src = (uintptr_t)area->ptr + from;
	job.length = len;
	ret = dmd_run(fd, &job, &res);
	if (hx_job_answer(a, op, ret, &res, can < readable ? can : readable, len))
		return 1;
	if (res.done)
		hx_model_write(area, op->page * DM_PAGE + off, res.done, area->shadow + from);
	return 0;
}

/* The device finds the first difference where the model has it. */
int hx_op_job_compare(struct hx_actor *a, const struct hx_op *op)
{
	struct drm_hmm_dmirror_result res = { .status = HX_NOT_RUN };
	struct drm_hmm_dmirror_job job = { .op = HMM_DMIRROR_JOB_COMPARE };
	struct hx_area *area = &a->run->area[op->area];
	unsigned long off, len, from, can, readable, same = 0;
	int ret, fd = hx_node(a, op);
	const __u8 *x, *y;

	hx_bytes(area, op, &off, &len);
	if (fd < 0 || !hx_source(area, op, len, &from) ||
	    hx_model_lazy(area, op->page, op->npages))
		return 0;
	can = hx_can(area, op->page, off, len, HX_READ);
	readable = hx_can(area, from / DM_PAGE, from % DM_PAGE, len, HX_READ);
	can = can < readable ? can : readable;
	x = area->shadow + op->page * DM_PAGE + off;
	y = area->shadow + from;
	while (same < can && x[same] == y[same])
		same++;
	job.dst = (uintptr_t)hx_addr(a, op) + off;
	job.src = (uintptr_t)area->ptr + from;
	job.length = len;
	ret = dmd_run(fd, &job, &res);
	if (!ret && same < can) {
		if (res.value == same)
			return 0;
		return hx_fail(a, op, "the device sees a difference at %llu, not at %lu",
			       res.value, same);
	}
	if (ret == -EBUSY || ret == -ENOMEM)
		return 0;
	/* No difference as far as both may be read: all of it, or a fault there. */
	if (same < can)
		return hx_fail(a, op, "the job answers %d, a difference is at %lu", ret, same);
	return hx_job_answer(a, op, ret, &res, can, len);
}

int hx_op_job_add(struct hx_actor *a, const struct hx_op *op)
{
	struct drm_hmm_dmirror_result res = { .status = HX_NOT_RUN };
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_ATOMIC_ADD64, .value = op->arg >> 8 | 1,
		.count = 1 + (op->arg >> 4) % 100,
	};
	struct hx_area *area = &a->run->area[op->area];
	unsigned long off = op->page * DM_PAGE + (op->arg >> 20) % (DM_PAGE / 8) * 8;
	int ret, fd = hx_node(a, op);
	__u64 word;

	if (fd < 0 || area->state[op->page] & HX_LAZY)
		return 0;
	job.dst = (uintptr_t)area->ptr + off;
	ret = dmd_run(fd, &job, &res);
	if (hx_job_answer(a, op, ret, &res,
			  area->state[op->page] & HX_WRITE ? job.count : 0, job.count))
		return 1;
	if (!res.done)
		return 0;
	memcpy(&word, area->shadow + off, sizeof(word));
	word += (res.done - 1) * job.value;
	if (!ret && res.value != word)
		return hx_fail(a, op, "the job added to %016llx, not to %016llx", res.value, word);
	word += job.value;
	hx_model_write(area, off, sizeof(word), &word);
	return 0;
}

/* Every page of a request is in one class, and it fails where there is a hole. */
static int hx_moved(struct hx_actor *a, const struct hx_op *op, int ret, const __u64 *pages)
{
	unsigned int can, i;
	__u64 sum = 0;

	if (ret && ret != -EFAULT && ret != -EBUSY && ret != -ENOMEM && ret != -EOPNOTSUPP)
		return hx_fail(a, op, "migration answers %d", ret);
	for (i = 0; i < DMD_CLASSES; i++)
		sum += pages[i];
	if (sum != op->npages)
		return hx_fail(a, op, "migration answers %d and accounts for %llu pages", ret, sum);
	if (op->area / HX_AREAS != a->id)
		return 0;
	can = hx_model_run(&a->run->area[op->area], op->page, op->npages, HX_READ);
	if (ret == -EFAULT ? can == op->npages : !ret && can < op->npages)
		return hx_fail(a, op, "migration answers %d, %u pages are mapped", ret, can);
	return 0;
}

int hx_op_drm_migrate(struct hx_actor *a, const struct hx_op *op)
{
	bool in = op->arg >> 8 & 3;
	__u64 pages[DMD_CLASSES] = { 0 };
	int ret, fd = hx_node(a, op);

	if (fd < 0)
		return 0;
	ret = dmd_migrate(fd, hx_addr(a, op), op->npages * DM_PAGE,
			  in ? HMM_DMIRROR_DEST_VRAM : HMM_DMIRROR_DEST_SYSTEM,
			  in && op->arg >> 12 & 1 ? HMM_DMIRROR_MIGRATE_MAP : 0, 0, pages);
	return hx_moved(a, op, ret, pages);
}

int hx_op_peer(struct hx_actor *a, const struct hx_op *op)
{
	__u64 pages[DMD_CLASSES] = { 0 };
	unsigned int from = op->arg % HX_DEVICES, to = op->arg / HX_DEVICES % HX_DEVICES;
	int ret;

	if (from == to || a->drm[from] < 0 || a->drm[to] < 0)
		return 0;
	ret = dmd_migrate(a->drm[from], hx_addr(a, op), op->npages * DM_PAGE,
			  HMM_DMIRROR_DEST_DEVICE, 0, to, pages);
	return hx_moved(a, op, ret, pages);
}

int hx_op_evict(struct hx_actor *a, const struct hx_op *op)
{
	bool some = !(op->arg >> 8 & 7);
	int ret, fd = hx_node(a, op);
	__u64 pages = 0;

	if (fd < 0)
		return 0;
	ret = dmd_evict(fd, some ? HMM_DMIRROR_EVICT_BYTES : HMM_DMIRROR_EVICT_RANGE,
			some ? NULL : hx_addr(a, op), op->npages * DM_PAGE, &pages);
	if (ret && ret != -EBUSY && ret != -ENOMEM)
		return hx_fail(a, op, "eviction answers %d", ret);
	if (!some && pages > op->npages)
		return hx_fail(a, op, "eviction of %u pages moved %llu", op->npages, pages);
	return 0;
}

int hx_op_drm_exclusive(struct hx_actor *a, const struct hx_op *op)
{
	static const __u32 what[] = { HMM_DMIRROR_EXCLUSIVE_TAKE, HMM_DMIRROR_EXCLUSIVE_TAKE,
				      HMM_DMIRROR_EXCLUSIVE_CHECK, HMM_DMIRROR_EXCLUSIVE_DROP };
	__u32 which = what[op->arg >> 8 & 3];
	int ret, fd = hx_node(a, op);
	__u64 pages = 0;

	if (fd < 0)
		return 0;
	ret = dmd_exclusive(fd, which, hx_addr(a, op), op->npages * DM_PAGE, &pages);
	if (ret && ret != -EFAULT && ret != -EBUSY && ret != -ENOMEM && ret != -EOPNOTSUPP)
		return hx_fail(a, op, "exclusive access answers %d", ret);
	if (pages > op->npages ||
	    (!ret && which == HMM_DMIRROR_EXCLUSIVE_TAKE && pages != op->npages))
		return hx_fail(a, op, "exclusive access answers %d, %llu pages", ret, pages);
	return 0;
}

int hx_op_advise(struct hx_actor *a, const struct hx_op *op)
{
	__u64 r = op->arg >> 8, value = 0;
	__u32 attr = op->arg >> 4 & 7;
	int ret, fd = hx_node(a, op);

	switch (attr) {
	case HMM_DMIRROR_ADVISE_LOCATION:
		value = r % 4 < 2 ? r % 4 : HMM_DMIRROR_LOCATION_DEVICE(r / 4 % HX_DEVICES);
		if (r % 4 >= 2 && a->drm[r / 4 % HX_DEVICES] < 0)
			return 0;
		break;
	case HMM_DMIRROR_ADVISE_READ_MOSTLY:
	case HMM_DMIRROR_ADVISE_ATOMIC:
		value = r & 1;
		break;
	case HMM_DMIRROR_ADVISE_GRANULARITY:
	case HMM_DMIRROR_ADVISE_FAULT_AROUND:
		value = r % 11 < 10 ? DM_PAGE << r % 11 : 0;
		break;
	default:
		attr = HMM_DMIRROR_ADVISE_RESET;
	}
	if (fd < 0)
		return 0;
	ret = dmd_advise(fd, hx_addr(a, op), op->npages * DM_PAGE, attr, value);
	return ret && ret != -ENOSPC && ret != -ENOMEM && ret != -EBUSY ?
	       hx_fail(a, op, "advice answers %d", ret) : 0;
}
