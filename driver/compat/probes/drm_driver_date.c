// SPDX-License-Identifier: GPL-2.0
/*
 * drm: drm_driver.date went away (6.14); before, a driver without one gets a
 * warning when somebody asks for its version. Needed by COMPAT_DRM_DATE().
 */
#include <drm/drm_drv.h>

void probe(struct drm_driver *driver);
void probe(struct drm_driver *driver)
{
	driver->date = "";
}
