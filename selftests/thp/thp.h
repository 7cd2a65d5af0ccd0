/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Set-up of the huge page tests: one 2 MiB page full of tags, and what the
 * device and the kernel say about its size.
 */
#ifndef _SELFTESTS_THP_THP_H
#define _SELFTESTS_THP_THP_H

#include "dm_madvise.h"
#include "stage.h"
#include "vm_util.h"

#define NPAGES	DM_2M_PAGES

/* Is this 2 MiB of system memory mapped by one entry? */
static inline bool thp_is_huge(void *addr)
{
	return check_huge_anon(addr, DM_2M, 1, DM_2M);
}

/* Pages of the range that are on the device as part of a 2 MiB mapping. */
static inline long thp_on_dev_whole(int fd, const void *addr, unsigned long n)
{
	__u8 snap[2 * DM_2M_PAGES];
	unsigned long i;
	long whole = 0;
	int ret;

	ret = dm_snapshot(fd, addr, n, snap);
	for (i = 0; !ret && i < n; i++)
		whole += (snap[i] & HMM_DMIRROR_PROT_PMD) &&
			 (snap[i] & 0xf0) == HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL;
	return ret ? ret : whole;
}

/* A buffer of @n pages, huge and full of generation 1; false: no huge pages. */
static inline bool thp_make(struct dm_buf *b, unsigned long n)
{
	unsigned long i;

	if (dm_buf_anon(b, n, DM_BUF_THP))
		return false;
	dm_fill(b->ptr, n, b->ptr, 1, DM_CPU);
	for (i = 0; i < n; i += NPAGES) {
		if (!thp_is_huge(b->ptr + i * DM_PAGE) && n == NPAGES)
			return false;
	}
	return n == NPAGES || check_huge_anon(b->ptr, n * DM_PAGE, n / NPAGES,
					      DM_2M);
}

/* Set-up of a test with one huge page; the device must move it as one. */
#define THP_SETUP() do {						\
	STAGE_PRIVATE(&self->dm);					\
	if (!thp_make(&self->b, NPAGES))				\
		SKIP(return, "no huge page to be had");			\
	dm_restart(&self->dm);						\
} while (0)

#define NEEDS_WHOLE() do {						\
	if (!thp_moves_whole())						\
		SKIP(return, "this kernel splits huge pages to move them"); \
} while (0)

/* On the device, as one. */
#define ASSERT_WHOLE_TO_DEV(b, gen, writer) do {			\
	ASSERT_TO_DEV(self->dm.fd, b, gen, writer);			\
	if (thp_moves_whole())						\
		ASSERT_EQ((b)->npages, thp_on_dev_whole(self->dm.fd,	\
						(b)->ptr, (b)->npages)); \
} while (0)

#define ASSERT_COUNTED(name, n) do {					\
	if (self->dm.counters)						\
		ASSERT_EQ(n, stage_delta(&self->dm, name)) {		\
			TH_LOG("counter %s", name);			\
		}							\
} while (0)

#endif /* _SELFTESTS_THP_THP_H */
