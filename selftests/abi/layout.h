/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One list of everything in the interface that has a number. layout_ours.c and
 * layout_kernel.c compile it against two headers that define the same names,
 * which is why they cannot be in one file; layout.c holds both against a table.
 */
#ifndef _SELFTESTS_ABI_LAYOUT_H
#define _SELFTESTS_ABI_LAYOUT_H

struct layout_row {
	const char		*name;
	unsigned long		value;
};

/* Ended by a row without a name. */
extern const struct layout_row layout_ours[];
extern const struct layout_row layout_kernel[];

#define LAYOUT_FIELD(f)							\
	{ "offset of " #f, offsetof(struct hmm_dmirror_cmd, f) },	\
	{ "size of " #f, sizeof(((struct hmm_dmirror_cmd *)0)->f) }

#define LAYOUT_NUMBER(n)	{ #n, (unsigned long)(n) }

#define LAYOUT_ROWS {							\
	{ "size of the structure", sizeof(struct hmm_dmirror_cmd) },	\
	LAYOUT_FIELD(addr),						\
	LAYOUT_FIELD(ptr),						\
	LAYOUT_FIELD(npages),						\
	LAYOUT_FIELD(cpages),						\
	LAYOUT_FIELD(faults),						\
	LAYOUT_NUMBER(HMM_DMIRROR_READ),				\
	LAYOUT_NUMBER(HMM_DMIRROR_WRITE),				\
	LAYOUT_NUMBER(HMM_DMIRROR_MIGRATE_TO_DEV),			\
	LAYOUT_NUMBER(HMM_DMIRROR_MIGRATE_TO_SYS),			\
	LAYOUT_NUMBER(HMM_DMIRROR_SNAPSHOT),				\
	LAYOUT_NUMBER(HMM_DMIRROR_EXCLUSIVE),				\
	LAYOUT_NUMBER(HMM_DMIRROR_CHECK_EXCLUSIVE),			\
	LAYOUT_NUMBER(HMM_DMIRROR_RELEASE),				\
	LAYOUT_NUMBER(HMM_DMIRROR_FLAGS),				\
	LAYOUT_NUMBER(HMM_DMIRROR_READ_UNLOCKED),			\
	LAYOUT_NUMBER(HMM_DMIRROR_FLAG_FAIL_ALLOC),			\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_ERROR),				\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_NONE),				\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_READ),				\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_WRITE),				\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_PMD),				\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_PUD),				\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_ZERO),				\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL),		\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_DEV_PRIVATE_REMOTE),		\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL),		\
	LAYOUT_NUMBER(HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE),		\
	LAYOUT_NUMBER(HMM_DMIRROR_MEMORY_DEVICE_PRIVATE),		\
	LAYOUT_NUMBER(HMM_DMIRROR_MEMORY_DEVICE_COHERENT),		\
	{ 0 }								\
}

#endif /* _SELFTESTS_ABI_LAYOUT_H */
