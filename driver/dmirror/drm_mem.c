// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of the render node that move memory and say where it should be.
 *
 * Owns their arguments: what is well formed, and how results are told. Takes no
 * locks.
 */
#include <linux/build_bug.h>
#include <linux/capability.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>

#include <drm/hmm_dmirror_drm.h>

#include "device.h"
#include "drm_cmd.h"
#include "ops.h"

int dmirror_drm_range(struct dmirror_op *op, u64 start, u64 length)
{
	u64 end;

	if (!length || !PAGE_ALIGNED(start) || !PAGE_ALIGNED(length) ||
	    check_add_overflow(start, length, &end) || end > TASK_SIZE_MAX)
		return -EINVAL;
	op->start = start;
	op->end = end;
	return 0;
}

#define DMIRROR_SAME_CLASS(name) \
	static_assert((int)DMIRROR_CLASS_##name == HMM_DMIRROR_PAGE_##name)

DMIRROR_SAME_CLASS(UNTRIED);
DMIRROR_SAME_CLASS(MOVED);
DMIRROR_SAME_CLASS(PRESENT);
DMIRROR_SAME_CLASS(HOLE);
DMIRROR_SAME_CLASS(BUSY);
DMIRROR_SAME_CLASS(ELSEWHERE);
DMIRROR_SAME_CLASS(UNSUPPORTED);
DMIRROR_SAME_CLASS(NOMEM);
DMIRROR_SAME_CLASS(RACED);
static_assert((int)DMIRROR_NR_CLASSES == HMM_DMIRROR_NR_PAGE_CLASSES);

static int dmirror_drm_migrate_peer(struct dmirror_op *op, u32 number)
{
	int ret;

	if (number == op->client->dev->id)
		return -EINVAL;
	op->peer = dmirror_device_lookup(number);
	if (!op->peer)
		return -ENOENT;
	ret = dmirror_op_migrate_peer(op);
	dmirror_device_put(op->peer);
	return ret;
}

static int dmirror_drm_migrate_run(struct dmirror_op *op,
				   const struct drm_hmm_dmirror_migrate *args)
{
	if (args->pad ||
	    (args->device && args->dest != HMM_DMIRROR_DEST_DEVICE))
		return -EINVAL;

	switch (args->dest) {
	case HMM_DMIRROR_DEST_SYSTEM:
		return args->flags ? -EINVAL : dmirror_op_migrate_out(op);
	case HMM_DMIRROR_DEST_VRAM:
		if (args->flags & ~HMM_DMIRROR_MIGRATE_MAP)
			return -EINVAL;
		op->map = args->flags & HMM_DMIRROR_MIGRATE_MAP;
		return dmirror_op_migrate_in(op);
	case HMM_DMIRROR_DEST_DEVICE:
		return args->flags ? -EINVAL :
				     dmirror_drm_migrate_peer(op, args->device);
	default:
		return -EINVAL;
	}
}

int dmirror_drm_migrate(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct dmirror_op op = { .client = dmirror_drm_client(file) };
	struct drm_hmm_dmirror_migrate *args = data;
	unsigned int i;
	int ret;

	ret = dmirror_drm_range(&op, args->start, args->length);
	if (!ret)
		ret = dmirror_drm_migrate_run(&op, args);

	memset(args->pages, 0, sizeof(args->pages));
	for (i = 0; i < DMIRROR_NR_CLASSES; i++)
		args->pages[i] = op.moved.pages[i];
	return ret;
}

/* Errnos of the kernel for memory that cannot be taken, in our words. */
static int dmirror_drm_exclusive_error(int ret)
{
	switch (ret) {
	case -EINVAL:
		return -EOPNOTSUPP;
	case -EPERM:
		return -EFAULT;
	default:
		return ret;
	}
}

int dmirror_drm_exclusive(struct drm_device *drm, void *data,
			  struct drm_file *file)
{
	struct dmirror_op op = { .client = dmirror_drm_client(file) };
	struct drm_hmm_dmirror_exclusive *args = data;
	int ret;

	ret = args->flags ? -EINVAL :
			    dmirror_drm_range(&op, args->start, args->length);
	if (ret)
		goto out;

	switch (args->what) {
	case HMM_DMIRROR_EXCLUSIVE_TAKE:
		ret = dmirror_drm_exclusive_error(dmirror_op_exclusive(&op));
		break;
	case HMM_DMIRROR_EXCLUSIVE_CHECK:
		ret = dmirror_op_check_exclusive(&op);
		break;
	case HMM_DMIRROR_EXCLUSIVE_DROP:
		ret = dmirror_op_drop_exclusive(&op);
		break;
	default:
		ret = -EINVAL;
	}
out:
	args->pages = op.done;
	return ret;
}

static_assert((int)DMIRROR_ATTR_ALL == HMM_DMIRROR_ADVISE_RESET);
static_assert((int)DMIRROR_ATTR_LOCATION == HMM_DMIRROR_ADVISE_LOCATION);
static_assert((int)DMIRROR_ATTR_READ_MOSTLY == HMM_DMIRROR_ADVISE_READ_MOSTLY);
static_assert((int)DMIRROR_ATTR_ATOMIC == HMM_DMIRROR_ADVISE_ATOMIC);
static_assert((int)DMIRROR_ATTR_GRANULARITY == HMM_DMIRROR_ADVISE_GRANULARITY);
static_assert((int)DMIRROR_ATTR_AROUND == HMM_DMIRROR_ADVISE_FAULT_AROUND);
static_assert((int)DMIRROR_LOCATION_DEFAULT == HMM_DMIRROR_LOCATION_DEFAULT);
static_assert((int)DMIRROR_LOCATION_SYSTEM == HMM_DMIRROR_LOCATION_SYSTEM);
static_assert((int)DMIRROR_LOCATION_DEVICE == HMM_DMIRROR_LOCATION_DEVICE(0));

static int dmirror_drm_location(u64 value)
{
	if (value <= HMM_DMIRROR_LOCATION_SYSTEM)
		return 0;
	if (value < HMM_DMIRROR_LOCATION_DEVICE(0) ||
	    value > HMM_DMIRROR_LOCATION_DEVICE(0xff))
		return -EINVAL;
	value -= HMM_DMIRROR_LOCATION_DEVICE(0);
	return value < DMIRROR_MAX_DEVICES &&
	       (dmirror_device_mask() & BIT_ULL(value)) ? 0 : -ENOENT;
}

/* Is it a value for the attribute? */
static int dmirror_drm_advice(u32 attr, u64 value)
{
	bool ok;

	switch (attr) {
	case HMM_DMIRROR_ADVISE_RESET:
		ok = !value;
		break;
	case HMM_DMIRROR_ADVISE_LOCATION:
		return dmirror_drm_location(value);
	case HMM_DMIRROR_ADVISE_READ_MOSTLY:
	case HMM_DMIRROR_ADVISE_ATOMIC:
		ok = value <= 1;
		break;
	case HMM_DMIRROR_ADVISE_GRANULARITY:
	case HMM_DMIRROR_ADVISE_FAULT_AROUND:
		ok = !value || (is_power_of_2(value) && value >= PAGE_SIZE &&
				value <= DMIRROR_LEAF_SIZE);
		break;
	default:
		ok = false;
	}
	return ok ? 0 : -EINVAL;
}

int dmirror_drm_advise(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct dmirror_op op = { .client = dmirror_drm_client(file) };
	const struct drm_hmm_dmirror_advise *args = data;
	int ret;

	ret = dmirror_drm_range(&op, args->start, args->length);
	if (!ret)
		ret = args->flags ? -EINVAL :
				    dmirror_drm_advice(args->attr, args->value);
	return ret ? : dmirror_op_advise(&op, args->attr, args->value);
}

static int dmirror_drm_evict_run(struct dmirror_op *op,
				 struct drm_hmm_dmirror_evict *args)
{
	bool range = args->what == HMM_DMIRROR_EVICT_RANGE;
	bool all = args->what == HMM_DMIRROR_EVICT_ALL;
	int ret;

	if (args->flags || args->what > HMM_DMIRROR_EVICT_ALL)
		return -EINVAL;
	if (range) {
		ret = dmirror_drm_range(op, args->start, args->length);
		return ret ? : dmirror_op_evict_range(op);
	}
	if (args->start || !args->length != all || !PAGE_ALIGNED(args->length))
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return all ? dmirror_op_evict_all(op->client, &op->done) :
		     dmirror_op_evict_some(op->client, args->length >> PAGE_SHIFT,
					   &op->done);
}

int dmirror_drm_evict(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct dmirror_op op = { .client = dmirror_drm_client(file) };
	struct drm_hmm_dmirror_evict *args = data;
	int ret;

	ret = dmirror_drm_evict_run(&op, args);
	args->pages = op.done;
	return ret;
}
