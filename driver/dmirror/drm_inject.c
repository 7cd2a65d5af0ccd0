// SPDX-License-Identifier: GPL-2.0
/*
 * The command of the render node that makes something fail or take long.
 *
 * Owns its arguments; the points are in inject.c. Takes no locks.
 */
#include <linux/capability.h>
#include <linux/string.h>

#include <drm/hmm_dmirror_drm.h>

#include "drm_cmd.h"
#include "inject.h"

static int dmirror_drm_inject_point(const struct drm_hmm_dmirror_inject *args)
{
	if (strnlen(args->point, sizeof(args->point)) == sizeof(args->point))
		return -EINVAL;
	return dmirror_inject_find(args->point);
}

static int dmirror_drm_inject_run(struct dmirror_device *dev,
				  struct drm_hmm_dmirror_inject *args,
				  struct dmirror_inject_state *state)
{
	const struct dmirror_inject_params params = {
		.nth = args->nth, .every = args->every, .times = args->times,
		.delay_us = args->delay_us,
		.fail = args->flags & HMM_DMIRROR_INJECT_FAIL,
	};
	int point, ret = 0;

	if (args->flags & ~(HMM_DMIRROR_INJECT_FAIL | HMM_DMIRROR_INJECT_SET))
		return -EINVAL;
	if (!(args->flags & HMM_DMIRROR_INJECT_SET) &&
	    (params.nth || params.every || params.times || params.delay_us ||
	     params.fail))
		return -EINVAL;

	point = dmirror_drm_inject_point(args);
	if (point < 0)
		return point;
	if (args->flags & HMM_DMIRROR_INJECT_SET)
		ret = dmirror_inject_set(dev, point, &params);
	return ret ? : dmirror_inject_get(dev, point, state);
}

int dmirror_drm_inject(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct dmirror_device *dev = dmirror_drm_client(file)->dev;
	struct drm_hmm_dmirror_inject *args = data;
	struct dmirror_inject_state state = { };
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	ret = dmirror_drm_inject_run(dev, args, &state);
	/* What the module parameter forbids, not what the caller lacks. */
	if (ret == -EPERM)
		ret = -EOPNOTSUPP;
	args->hits = state.hits;
	args->acted = state.acted;
	args->waiting = state.waiting;
	return ret;
}
