// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of the render node that ask and change nothing.
 *
 * Owns their arguments, and what a parameter is. Takes no locks.
 */
#include <linux/kconfig.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include <drm/hmm_dmirror_drm.h>

#include "client.h"
#include "compat.h"
#include "device.h"
#include "drm_cmd.h"
#include "inject.h"
#include "ops.h"
#include "queue.h"

/* Pages in one QUERY. */
#define DMIRROR_QUERY_PAGES	BIT(18)

static bool dmirror_drm_large(const struct dmirror_vram *vram)
{
	return COMPAT_LARGE_FOLIOS && vram->kind == DMIRROR_PRIVATE;
}

static u64 dmirror_drm_features(const struct dmirror_vram *vram)
{
	u64 features = 0;

	if (vram->kind == DMIRROR_COHERENT)
		features |= HMM_DMIRROR_FEATURE_COHERENT;
	if (dmirror_drm_large(vram))
		features |= HMM_DMIRROR_FEATURE_LARGE_FOLIOS;
	if (IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		features |= HMM_DMIRROR_FEATURE_EXCLUSIVE;
	if (static_key_enabled(&dmirror_inject_key))
		features |= HMM_DMIRROR_FEATURE_INJECT;
	return features;
}

static u64 dmirror_drm_orders(const struct dmirror_vram *vram)
{
	return BIT_ULL(0) |
	       (dmirror_drm_large(vram) ? BIT_ULL(DMIRROR_LEAF_ORDER) : 0);
}

int dmirror_drm_get_param(struct drm_device *drm, void *data,
			  struct drm_file *file)
{
	struct dmirror_device *dev = dmirror_drm_client(file)->dev;
	struct drm_hmm_dmirror_get_param *args = data;
	const struct dmirror_vram *vram = &dev->vram;

	switch (args->param) {
	case HMM_DMIRROR_PARAM_FEATURES:
		args->value = dmirror_drm_features(vram);
		return 0;
	case HMM_DMIRROR_PARAM_VRAM_SIZE:
		args->value = (u64)vram->nr_pages << PAGE_SHIFT;
		return 0;
	case HMM_DMIRROR_PARAM_VRAM_FREE:
		args->value = (u64)READ_ONCE(vram->pool.nr_free) << PAGE_SHIFT;
		return 0;
	case HMM_DMIRROR_PARAM_PAGE_ORDERS:
		args->value = dmirror_drm_orders(vram);
		return 0;
	case HMM_DMIRROR_PARAM_DEVICE:
		args->value = dev->id;
		return 0;
	case HMM_DMIRROR_PARAM_DEVICES:
		args->value = dmirror_device_mask();
		return 0;
	case HMM_DMIRROR_PARAM_QUERY_PAGES:
		args->value = DMIRROR_QUERY_PAGES;
		return 0;
	case HMM_DMIRROR_PARAM_CLIENT_VRAM:
		args->value = (u64)dmirror_client_vram(dmirror_drm_client(file)) <<
			      PAGE_SHIFT;
		return 0;
	case HMM_DMIRROR_PARAM_NR_STATS:
		args->value = DMIRROR_NR_STATS;
		return 0;
	case HMM_DMIRROR_PARAM_QUEUES:
		args->value = DMIRROR_QUEUES;
		return 0;
	case HMM_DMIRROR_PARAM_JOBS_PER_SUBMIT:
		args->value = DMIRROR_JOBS_PER_SUBMIT;
		return 0;
	case HMM_DMIRROR_PARAM_JOBS_QUEUED:
		args->value = DMIRROR_JOBS_QUEUED;
		return 0;
	case HMM_DMIRROR_PARAM_JOB_TIMEOUT_MS:
		args->value = dev->engines->timeout_ms;
		return 0;
	case HMM_DMIRROR_PARAM_SYNCS_PER_SUBMIT:
		args->value = DMIRROR_SYNCS_PER_SUBMIT;
		return 0;
	default:
		return -EINVAL;
	}
}

int dmirror_drm_query(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct dmirror_op op = { .client = dmirror_drm_client(file) };
	struct drm_hmm_dmirror_query *args = data;
	int ret;

	ret = args->flags || args->pad ? -EINVAL :
	      dmirror_drm_range(&op, args->start, args->length);
	if (!ret && args->length >> PAGE_SHIFT > DMIRROR_QUERY_PAGES)
		ret = -E2BIG;
	if (!ret) {
		op.user = u64_to_user_ptr(args->pages);
		ret = dmirror_op_query(&op);
	}
	args->nr_pages = op.done;
	return ret;
}

static u64 dmirror_drm_stat(struct dmirror_client *client, u32 scope,
			    enum dmirror_stat stat)
{
	if (scope == HMM_DMIRROR_STATS_FILE)
		return atomic64_read(&client->stats.count[stat]);
	return dmirror_stat_read(&client->dev->stats, stat);
}

int dmirror_drm_stats(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct dmirror_client *client = dmirror_drm_client(file);
	struct drm_hmm_dmirror_stats *args = data;
	unsigned int i, n = min_t(u32, args->count, DMIRROR_NR_STATS);
	u64 values[DMIRROR_NR_STATS];

	if (args->flags || args->pad || args->scope > HMM_DMIRROR_STATS_FILE)
		return -EINVAL;
	for (i = 0; i < n; i++)
		values[i] = dmirror_drm_stat(client, args->scope, i);
	args->count = DMIRROR_NR_STATS;
	return copy_to_user(u64_to_user_ptr(args->values), values,
			    n * sizeof(*values)) ? -EFAULT : 0;
}
