// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the kernel warn once, in earnest, when it is loaded, and refuses to
 * stay. Owns nothing, takes no locks. Only for machines that are thrown away
 * afterwards: the warning taints the kernel.
 */
#include <linux/bug.h>
#include <linux/module.h>

static int __init splat_init(void)
{
	WARN(1, "splat: this warning is wanted\n");
	return -ENODEV;
}
module_init(splat_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Warns once, to see whether somebody notices");
