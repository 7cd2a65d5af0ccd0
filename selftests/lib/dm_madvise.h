/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Advice and flags of <sys/mman.h> that are younger than some C libraries.
 */
#ifndef _SELFTESTS_LIB_DM_MADVISE_H
#define _SELFTESTS_LIB_DM_MADVISE_H

#include <sys/mman.h>

#ifndef MADV_COLD
#define MADV_COLD		20
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif
#ifndef MADV_GUARD_REMOVE
#define MADV_GUARD_REMOVE	103
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#endif /* _SELFTESTS_LIB_DM_MADVISE_H */
