// SPDX-License-Identifier: GPL-2.0
/*
 * fault injection: struct fault_attr kept its directory, with a reference, before
 * it kept the name of it (7.x). Needed by compat_fault_attr_put().
 */
#include <linux/dcache.h>
#include <linux/fault-inject.h>

void probe(struct fault_attr *attr);
void probe(struct fault_attr *attr)
{
	dput(attr->dname);
}
