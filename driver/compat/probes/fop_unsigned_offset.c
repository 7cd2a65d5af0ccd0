// SPDX-License-Identifier: GPL-2.0
/*
 * fs: file_operations.fop_flags with FOP_UNSIGNED_OFFSET (6.12), which the DRM
 * core insists on from then on. Needed by COMPAT_DRM_FOP_FLAGS.
 */
#include <linux/fs.h>

extern const struct file_operations probe;
const struct file_operations probe = {
	.fop_flags = FOP_UNSIGNED_OFFSET,
};
