// SPDX-License-Identifier: GPL-2.0
/*
 * mm: migrate_vma moves large folios (6.19).
 * Needed by COMPAT_MIGRATE_* and COMPAT_LARGE_FOLIOS.
 */
#include <linux/migrate.h>

unsigned long probe(void);
unsigned long probe(void)
{
	return MIGRATE_VMA_SELECT_COMPOUND | MIGRATE_PFN_COMPOUND;
}
