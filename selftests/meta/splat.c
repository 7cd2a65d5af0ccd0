// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the kernel warn once, in earnest, when it is loaded, or leaks memory
 * instead, and refuses to stay. Owns nothing, takes no locks. Only for machines
 * that are thrown away afterwards: the warning taints the kernel.
 */
#include <linux/bug.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>

/* A stale copy of a pointer somewhere hides one object, not all of them. */
#define LEAKS 64

static bool leak;
module_param(leak, bool, 0);
MODULE_PARM_DESC(leak, "leak memory instead of a warning");

static int __init splat_init(void)
{
	void *lost;
	int i;

	for (i = 0; leak && i < LEAKS; i++) {
		lost = kmalloc(128, GFP_KERNEL);
		OPTIMIZER_HIDE_VAR(lost);
	}
	if (leak)
		return -ENODEV;
	WARN(1, "splat: this warning is wanted\n");
	return -ENODEV;
}
module_init(splat_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Warns or leaks once, to see whether somebody notices");
