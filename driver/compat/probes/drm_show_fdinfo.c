// SPDX-License-Identifier: GPL-2.0
/*
 * drm: the core writes the common lines of fdinfo and asks the driver for the
 * others (6.5). Needed by COMPAT_DRM_FDINFO().
 */
#include <drm/drm_drv.h>
#include <drm/drm_file.h>

void probe(struct drm_driver *driver, struct seq_file *m, struct file *f,
	   void (*fn)(struct drm_printer *p, struct drm_file *file));
void probe(struct drm_driver *driver, struct seq_file *m, struct file *f,
	   void (*fn)(struct drm_printer *p, struct drm_file *file))
{
	driver->show_fdinfo = fn;
	drm_show_fdinfo(m, f);
}
