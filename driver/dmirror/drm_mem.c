// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of the render node that move memory and say where it should be.
 *
 * Owns their arguments: what is well formed, and how results are told. Takes no
 * locks.
 */
#include <linux/build_bug.h>
#include <linux/mm.h>
#include <linux/overflow.h>

#include <drm/hmm_dmirror_drm.h>

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

static int dmirror_drm_migrate_run(struct dmirror_op *op,
				   const struct drm_hmm_dmirror_migrate *args)
{
	if (args->pad || args->device)
		return -EINVAL;

	switch (args->dest) {
	case HMM_DMIRROR_DEST_SYSTEM:
		return args->flags ? -EINVAL : dmirror_op_migrate_out(op);
	case HMM_DMIRROR_DEST_VRAM:
		if (args->flags & ~HMM_DMIRROR_MIGRATE_MAP)
			return -EINVAL;
		op->map = args->flags & HMM_DMIRROR_MIGRATE_MAP;
		return dmirror_op_migrate_in(op);
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
