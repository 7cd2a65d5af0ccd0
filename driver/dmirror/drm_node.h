/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Render nodes: the native interface, uapi/drm/hmm_dmirror_drm.h.
 */
#ifndef DMIRROR_DRM_NODE_H
#define DMIRROR_DRM_NODE_H

#include <linux/kconfig.h>

#include "types.h"

#if IS_ENABLED(CONFIG_DRM)
/**
 * dmirror_drm_add() - make the DRM device and its nodes
 * @dev: the device, ready for use; bound to @dev->parent
 *
 * Context: process context, in probe.
 * Return: 0 or a negative errno from the DRM core; what is left behind then
 * goes with the binding.
 */
int dmirror_drm_add(struct dmirror_device *dev);

/**
 * dmirror_drm_del() - take the nodes away
 * @dev: the device
 *
 * No file is opened and no command begins afterwards. Commands that run end
 * when they find the device dead; open files stay until they are closed.
 *
 * Context: process context, in remove.
 */
void dmirror_drm_del(struct dmirror_device *dev);
#else
static inline int dmirror_drm_add(struct dmirror_device *dev)
{
	return 0;
}

static inline void dmirror_drm_del(struct dmirror_device *dev)
{
}
#endif

#endif /* DMIRROR_DRM_NODE_H */
