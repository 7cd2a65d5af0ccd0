/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One face for many kernels: what concerns DRM drivers. See compat.h.
 */
#ifndef HMM_COMPAT_DRM_H
#define HMM_COMPAT_DRM_H

#include <linux/fs.h>

#include <drm/drm_drv.h>

/* COMPAT_DRM_DATE(date) - member of a struct drm_driver, where it has one */
#ifdef HAVE_DRM_DRIVER_DATE
#define COMPAT_DRM_DATE(text)	.date = text,
#else
#define COMPAT_DRM_DATE(text)
#endif

/* COMPAT_DRM_FOP_FLAGS - member of the struct file_operations of a drm_driver */
#ifdef HAVE_FOP_UNSIGNED_OFFSET
#define COMPAT_DRM_FOP_FLAGS	.fop_flags = FOP_UNSIGNED_OFFSET,
#else
#define COMPAT_DRM_FOP_FLAGS
#endif

#endif /* HMM_COMPAT_DRM_H */
