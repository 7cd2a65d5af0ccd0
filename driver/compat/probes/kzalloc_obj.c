// SPDX-License-Identifier: GPL-2.0
/* slab: kzalloc_obj() and its family (7.0). Needed by compat_kzalloc_obj(). */
#include <linux/slab.h>

int *probe(void);
int *probe(void)
{
	return kzalloc_obj(int);
}
