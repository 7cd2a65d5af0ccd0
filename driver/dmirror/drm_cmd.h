/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands of the render node, for the table in drm_node.c.
 *
 * Each is called by the DRM core with the argument copied in, and the result
 * copied out whatever is returned. drm_node.c has made sure that the caller is the
 * process the file serves. Return values are those of the table in
 * uapi/drm/hmm_dmirror_drm.h, never -EAGAIN.
 */
#ifndef DMIRROR_DRM_CMD_H
#define DMIRROR_DRM_CMD_H

#include <drm/drm_file.h>

#include "types.h"

struct dmirror_op;

/**
 * dmirror_drm_client() - what a file is for us
 * @file: an open file
 *
 * Return: the client.
 */
static inline struct dmirror_client *dmirror_drm_client(const struct drm_file *file)
{
	return file->driver_priv;
}

/**
 * dmirror_drm_range() - check a range of user addresses
 * @op: (out) start and end
 * @start: first byte, as the user gave it
 * @length: bytes, likewise
 *
 * Return: 0; -EINVAL when it is misaligned, empty or out of the address space.
 */
int dmirror_drm_range(struct dmirror_op *op, u64 start, u64 length);

/**
 * dmirror_drm_get_param() - DRM_IOCTL_HMM_DMIRROR_GET_PARAM
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_get_param
 * @file: the open file
 *
 * Return: 0; -EINVAL; -ENODEV.
 */
int dmirror_drm_get_param(struct drm_device *drm, void *data,
			  struct drm_file *file);

/**
 * dmirror_drm_migrate() - DRM_IOCTL_HMM_DMIRROR_MIGRATE
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_migrate
 * @file: the open file
 *
 * Return: 0; -EINVAL; -EFAULT; -ENOMEM; -EBUSY; -EINTR; -ENODEV.
 */
int dmirror_drm_migrate(struct drm_device *drm, void *data,
			struct drm_file *file);

/**
 * dmirror_drm_query() - DRM_IOCTL_HMM_DMIRROR_QUERY
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_query
 * @file: the open file
 *
 * Return: 0; -EINVAL; -E2BIG; -EFAULT; -ENOMEM; -EBUSY; -EINTR; -ENODEV.
 */
int dmirror_drm_query(struct drm_device *drm, void *data, struct drm_file *file);

/**
 * dmirror_drm_exclusive() - DRM_IOCTL_HMM_DMIRROR_EXCLUSIVE
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_exclusive
 * @file: the open file
 *
 * Return: 0; -EINVAL; -EFAULT; -EOPNOTSUPP; -ENOMEM; -EBUSY; -EINTR; -ENODEV.
 */
int dmirror_drm_exclusive(struct drm_device *drm, void *data,
			  struct drm_file *file);

/**
 * dmirror_drm_stats() - DRM_IOCTL_HMM_DMIRROR_STATS
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_stats
 * @file: the open file
 *
 * Return: 0; -EINVAL; -EFAULT; -ENODEV.
 */
int dmirror_drm_stats(struct drm_device *drm, void *data, struct drm_file *file);

/**
 * dmirror_drm_inject() - DRM_IOCTL_HMM_DMIRROR_INJECT
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_inject
 * @file: the open file
 *
 * Return: 0; -EINVAL; -ENOENT; -EPERM; -EOPNOTSUPP.
 */
int dmirror_drm_inject(struct drm_device *drm, void *data, struct drm_file *file);

/**
 * dmirror_drm_submit() - DRM_IOCTL_HMM_DMIRROR_SUBMIT
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_submit
 * @file: the open file
 *
 * Return: 0; -EINVAL; -E2BIG; -EFAULT for an array that cannot be read; -ENOENT
 * for a queue or sync object; -ENOSPC; -EBUSY; -ENOMEM; -EINTR; -ENODEV. Nothing
 * was queued then.
 */
int dmirror_drm_submit(struct drm_device *drm, void *data,
		       struct drm_file *file);

/**
 * dmirror_drm_wait() - DRM_IOCTL_HMM_DMIRROR_WAIT
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_wait
 * @file: the open file
 *
 * Return: 0; -EINVAL; -ENOENT for a queue or number; -ETIME; -ENODEV;
 * -ERESTARTSYS.
 */
int dmirror_drm_wait(struct drm_device *drm, void *data,
		     struct drm_file *file);

/**
 * dmirror_drm_advise() - DRM_IOCTL_HMM_DMIRROR_ADVISE
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_advise
 * @file: the open file
 *
 * Return: 0; -EINVAL; -ENOENT for a device there is not; -ENOSPC; -ENOMEM; -EINTR;
 * -ENODEV.
 */
int dmirror_drm_advise(struct drm_device *drm, void *data, struct drm_file *file);

/**
 * dmirror_drm_evict() - DRM_IOCTL_HMM_DMIRROR_EVICT
 * @drm: the DRM device
 * @data: struct drm_hmm_dmirror_evict
 * @file: the open file
 *
 * Return: 0; -EINVAL; -EPERM without CAP_SYS_ADMIN where it takes that; -EBUSY;
 * -ENOMEM; -EINTR; -ENODEV.
 */
int dmirror_drm_evict(struct drm_device *drm, void *data, struct drm_file *file);

#endif /* DMIRROR_DRM_CMD_H */
