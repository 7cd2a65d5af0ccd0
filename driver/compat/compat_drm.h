/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One face for many kernels: what concerns DRM drivers. See compat.h.
 */
#ifndef HMM_COMPAT_DRM_H
#define HMM_COMPAT_DRM_H

#include <linux/fs.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_print.h>

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

/*
 * COMPAT_DRM_FDINFO(fn, id) - fdinfo of a file: the common lines and the driver's
 *
 * @fn: void fn(struct drm_printer *, struct drm_file *), writes the driver's lines
 * @id: u64 id(struct drm_file *), tells clients apart where the core does not
 *
 * Defines fn##_fop; use it as file_operations.show_fdinfo, and
 * COMPAT_DRM_SHOW_FDINFO(fn) as a member of the struct drm_driver.
 */
#ifdef HAVE_DRM_SHOW_FDINFO
#define COMPAT_DRM_SHOW_FDINFO(fn)	.show_fdinfo = fn,
#define COMPAT_DRM_FDINFO(fn, id)					\
static void fn##_fop(struct seq_file *m, struct file *f)		\
{									\
	drm_show_fdinfo(m, f);						\
}
#else
#define COMPAT_DRM_SHOW_FDINFO(fn)
#define COMPAT_DRM_FDINFO(fn, id)					\
static void fn##_fop(struct seq_file *m, struct file *f)		\
{									\
	struct drm_file *file = f->private_data;			\
	struct drm_device *drm = file->minor->dev;			\
	struct drm_printer p = drm_seq_file_printer(m);			\
	int idx;							\
									\
	if (!drm_dev_enter(drm, &idx))					\
		return;							\
	drm_printf(&p, "drm-driver:\t%s\n", drm->driver->name);		\
	drm_printf(&p, "drm-client-id:\t%llu\n", id(file));		\
	fn(&p, file);							\
	drm_dev_exit(idx);						\
}
#endif

#endif /* HMM_COMPAT_DRM_H */
