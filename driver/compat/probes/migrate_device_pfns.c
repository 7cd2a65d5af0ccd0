// SPDX-License-Identifier: GPL-2.0
/*
 * mm: migrate_device_pfns() migrates scattered device pages (6.15).
 * Needed by compat_migrate_device_pfns().
 */
#include <linux/migrate.h>

int probe(unsigned long *pfns);
int probe(unsigned long *pfns)
{
	return migrate_device_pfns(pfns, 1);
}
