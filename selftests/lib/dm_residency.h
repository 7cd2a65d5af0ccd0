/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where pages are, from the device and from /proc/self/pagemap. Part of dmirror.h.
 */
#ifndef SELFTESTS_LIB_DM_RESIDENCY_H
#define SELFTESTS_LIB_DM_RESIDENCY_H

#include <linux/types.h>

/* Bits 55, 56, 57, 61, 62 and 63 of a pagemap entry. */
#define DM_PM_SOFT_DIRTY	0x0080000000000000ULL
#define DM_PM_EXCLUSIVE		0x0100000000000000ULL
#define DM_PM_UFFD_WP		0x0200000000000000ULL
#define DM_PM_FILE		0x2000000000000000ULL
#define DM_PM_SWAP		0x4000000000000000ULL
#define DM_PM_PRESENT		0x8000000000000000ULL

/* Where a page is, when the device and /proc/self/pagemap agree about it. */
enum dm_where {
	DM_NOWHERE,		/* not populated */
	DM_SYS,			/* system memory, mapped */
	DM_ZERO,		/* the shared zero page */
	DM_SWAPPED,		/* on a swap device */
	DM_ON_DEV,		/* memory of the device asked */
	DM_ON_OTHER,		/* memory of another device */
	DM_EXCLUSIVE_ENTRY,	/* system memory, CPU access revoked */
	DM_UNCLEAR,		/* the two sources contradict each other */
};

/* One page, as both sources see it. */
struct dm_page {
	enum dm_where	where;
	__u64	pagemap;	/* raw /proc/self/pagemap entry */
	__u8		snap;		/* HMM_DMIRROR_PROT_* */
};

/**
 * dm_pagemap() - read pagemap entries of this process
 * @addr: start of the range
 * @npages: pages
 * @ent: receives one entry per page
 *
 * Return: 0 or a negative errno.
 */
int dm_pagemap(const void *addr, unsigned long npages, __u64 *ent);

/* What a pagemap entry that has DM_PM_SWAP stands for. */
enum dm_pm_kind {
	DM_SWP_AREA,		/* a page in a swap area */
	DM_SWP_MOVING,		/* migration or poison: not in a quiet range */
	DM_SWP_PRIVATE,		/* device-private */
	DM_SWP_EXCLUSIVE,	/* a page the device has exclusively */
	DM_SWP_MARKER,		/* no page: guard, poison, userfaultfd */
};

/**
 * dm_pm_kind() - what a pagemap entry that has DM_PM_SWAP stands for
 * @ent: pagemap entry
 */
enum dm_pm_kind dm_pm_kind(__u64 ent);

/**
 * dm_pm_pfn() - page frame of a present pagemap entry
 * @ent: pagemap entry
 *
 * Return: page frame number, 0 without CAP_SYS_ADMIN.
 */
__u64 dm_pm_pfn(__u64 ent);

/**
 * dm_is_soft_dirty() - soft-dirty bit of one page of this process
 * @addr: any address in the page
 *
 * Return: 1, 0 or a negative errno.
 */
int dm_is_soft_dirty(const void *addr);

/**
 * dm_clear_soft_dirty() - clear the soft-dirty bits of this process
 *
 * Return: 0 or a negative errno.
 */
int dm_clear_soft_dirty(void);

/**
 * dm_pages() - where each page is, from two independent sources
 * @fd: device that is asked
 * @addr: start of the range
 * @npages: pages
 * @pages: receives one entry per page
 *
 * A page is placed only when the SNAPSHOT ioctl of the device and the pagemap
 * of this process say the same; otherwise it is DM_UNCLEAR.
 *
 * Return: 0 or a negative errno.
 */
int dm_pages(int fd, const void *addr, unsigned long npages,
	     struct dm_page *pages);

/**
 * dm_count() - how many pages of a range are in one place
 * @fd: device that is asked
 * @addr: start of the range
 * @npages: pages
 * @where: place to count
 *
 * Return: number of pages, or a negative errno.
 */
long dm_count(int fd, const void *addr, unsigned long npages,
	      enum dm_where where);

/**
 * dm_all() - check that every page of a range is in one place
 * @fd: device that is asked
 * @addr: start of the range
 * @npages: pages
 * @where: expected place
 * @why: receives the first page that is elsewhere, DM_MSG bytes, may be NULL
 *
 * Return: 0 if all are, -EXDEV if one is elsewhere, or another negative errno.
 */
int dm_all(int fd, const void *addr, unsigned long npages, enum dm_where where,
	   char *why);

/**
 * dm_where_name() - name of a place
 * @where: place
 *
 * Return: a constant string.
 */
const char *dm_where_name(enum dm_where where);

#endif /* SELFTESTS_LIB_DM_RESIDENCY_H */
