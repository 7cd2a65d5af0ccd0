/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of placement have in common: a device that reads and writes, and
 * exact counts of what moved for it.
 */
#ifndef SELFTESTS_POLICY_PLACE_H
#define SELFTESTS_POLICY_PLACE_H

#include "dm_drm_harness.h"

/* The device reads bytes. Returns 0 or the negative errno of the job. */
static inline int dev_read(int drm, const void *addr, size_t size)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_CHECKSUM, .length = size,
		.src = (__u64)(uintptr_t)addr,
	};

	return dmd_run(drm, &job, NULL);
}

/* The device fills memory with a word. Likewise. */
static inline int dev_fill(int drm, void *addr, size_t size, __u64 value)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_FILL, .length = size, .value = value,
		.dst = (__u64)(uintptr_t)addr,
	};

	return dmd_run(drm, &job, NULL);
}

/* The device copies. Likewise. */
static inline int dev_copy(int drm, void *to, const void *from, size_t size)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_COPY, .length = size,
		.dst = (__u64)(uintptr_t)to, .src = (__u64)(uintptr_t)from,
	};

	return dmd_run(drm, &job, NULL);
}

/* Is memory full of a word? */
static inline bool is_full_of(const void *addr, size_t size, __u64 value)
{
	const volatile __u64 *p = addr;
	size_t i;

	for (i = 0; i < size / sizeof(*p); i++)
		if (p[i] != value)
			return false;
	return true;
}

#define PAGE_AT(b, page) ((b).ptr + (unsigned long)(page) * DM_PAGE)

#define ADVISE(b, first, n, attr, value) \
	dmd_advise(self->drm, PAGE_AT(b, first), (n) * DM_PAGE, \
		   HMM_DMIRROR_ADVISE_##attr, value)

#endif /* SELFTESTS_POLICY_PLACE_H */
