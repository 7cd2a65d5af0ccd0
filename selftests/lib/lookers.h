/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What /proc says of memory that may be on its way from one place to another.
 */
#ifndef _SELFTESTS_LIB_LOOKERS_H
#define _SELFTESTS_LIB_LOOKERS_H

#include "dmirror.h"

/**
 * look_at_range() - is all of a populated anonymous buffer there, as /proc sees it?
 * @b: the buffer, all of its mapping, at most DM_2M_PAGES
 * @why: receives what is wrong, DM_MSG bytes
 *
 * pagemap has every page, smaps counts all of them as resident and none as swapped out,
 * maps has the mapping, and numa_maps, where there is one, no page twice. That holds also
 * while pages move. Allocates nothing, so that it works while the address space is locked
 * for reading; one thread at a time.
 *
 * Return: 0, -EXDEV when something is wrong, or another negative errno.
 */
int look_at_range(struct dm_buf *b, char *why);

#endif /* _SELFTESTS_LIB_LOOKERS_H */
