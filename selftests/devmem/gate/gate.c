// SPDX-License-Identifier: GPL-2.0
/* A module that uses an export of ours; what decides is its licence. */
#include <linux/module.h>

#include <hmm_devmem.h>

static int __init gate_init(void)
{
	hmm_devmem_remove(NULL);
	return 0;
}

module_init(gate_init);

MODULE_DESCRIPTION("Licence gate");
MODULE_LICENSE(GATE_LICENCE);
