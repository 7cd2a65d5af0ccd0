/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * ioctl interface of the character devices /dev/hmm_dmirrorN.
 *
 * Numbers, layouts and meanings are those of the kernel's own test_hmm module,
 * so that a program built against either header runs on either driver. The
 * wording and the notes on errors are this project's.
 *
 * Every command takes the same structure and works on whole pages of the
 * address space of the process that opened the file. Addresses are in bytes
 * and must be page aligned; counts are in pages.
 *
 * Errors, one meaning each for the whole interface:
 *   EINVAL   misaligned address, no pages, a range outside the user address
 *            space, an unknown command or flag, or (for the commands that walk
 *            mappings) a hole, a mapping without read permission or of a kind
 *            that cannot be migrated
 *   EFAULT   the structure or the buffer at @ptr cannot be accessed, or a page
 *            of the range cannot be read by the device
 *   EPERM    a device write to a page the process may not write; for
 *            CHECK_EXCLUSIVE: at least one page is still held exclusively
 *   ENOENT   MIGRATE_TO_DEV: not every page of the range is on the device
 *   EBUSY    the range kept changing for longer than the retry budget; for
 *            RELEASE: somebody holds pages on the device, or more came meanwhile
 *   EOPNOTSUPP  EXCLUSIVE of memory that is not private and anonymous
 *   ENOMEM   no memory, or too many translations that cannot be dropped
 *   EINTR    the calling task is being killed
 *   ENODEV   the device has been unbound (opening its node then: ENXIO)
 *
 * @cpages and @faults are written back on success and on failure alike, unless
 * the command was refused for its address or length.
 */
#ifndef _HMM_DMIRROR_TEST_HMM_H
#define _HMM_DMIRROR_TEST_HMM_H

#include <linux/types.h>
#include <linux/ioctl.h>

/**
 * struct hmm_dmirror_cmd - argument of every command
 * @addr: (in) first byte of the range, page aligned
 * @ptr: (in) buffer in the caller's memory that data comes from or goes to:
 *	@npages pages, for SNAPSHOT @npages bytes; not used by MIGRATE_TO_SYS,
 *	CHECK_EXCLUSIVE, RELEASE and FLAGS
 * @npages: (in) length of the range in pages, at least 1; for FLAGS the flag
 *	bits
 * @cpages: (out) pages completed: copied, described, made exclusive, brought
 *	back to system memory or, for MIGRATE_TO_DEV, found on the device when
 *	the command ends
 * @faults: (out) how many times the device had to stop and fault before it
 *	could go on; a fault that continues straight after the previous one
 *	belongs to the same stop
 */
struct hmm_dmirror_cmd {
	__u64		addr;
	__u64		ptr;
	__u64		npages;
	__u64		cpages;
	__u64		faults;
};

/* The device reads the range; the data goes to @ptr. */
#define HMM_DMIRROR_READ		_IOWR('H', 0x00, struct hmm_dmirror_cmd)
/* The device writes the data at @ptr to the range. */
#define HMM_DMIRROR_WRITE		_IOWR('H', 0x01, struct hmm_dmirror_cmd)
/* Move the range into device memory; the device's view of it goes to @ptr. */
#define HMM_DMIRROR_MIGRATE_TO_DEV	_IOWR('H', 0x02, struct hmm_dmirror_cmd)
/* Move what the range has in this device's memory back to system memory. */
#define HMM_DMIRROR_MIGRATE_TO_SYS	_IOWR('H', 0x03, struct hmm_dmirror_cmd)
/* One HMM_DMIRROR_PROT_* byte per page goes to @ptr; nothing is faulted in. */
#define HMM_DMIRROR_SNAPSHOT		_IOWR('H', 0x04, struct hmm_dmirror_cmd)
/* Take device-exclusive access to each page; the data goes to @ptr. */
#define HMM_DMIRROR_EXCLUSIVE		_IOWR('H', 0x05, struct hmm_dmirror_cmd)
/* Succeeds when no page of the range is held exclusively any more. */
#define HMM_DMIRROR_CHECK_EXCLUSIVE	_IOWR('H', 0x06, struct hmm_dmirror_cmd)
/* Move everything in the device's memory back, whoever it belongs to. */
#define HMM_DMIRROR_RELEASE		_IOWR('H', 0x07, struct hmm_dmirror_cmd)
/* Set the flags of this file to @npages (HMM_DMIRROR_FLAG_*). */
#define HMM_DMIRROR_FLAGS		_IOWR('H', 0x08, struct hmm_dmirror_cmd)
/* As READ, and faults may be resolved by a userfaultfd handler. */
#define HMM_DMIRROR_READ_UNLOCKED	_IOWR('H', 0x09, struct hmm_dmirror_cmd)

/*
 * Let the next allocation of a migration destination that this file causes
 * fail once; a large page then falls back to small ones.
 */
#define HMM_DMIRROR_FLAG_FAIL_ALLOC	(1ULL << 0)

/*
 * What SNAPSHOT says of a page. READ or WRITE is the access the process has;
 * PMD or PUD is added where a page of that size is mapped whole. Bit 0x10
 * alone is the zero page, together with a device code it means "remote". A
 * device-private page of another device reads as NONE, or as ERROR where one of
 * 2 MiB is mapped whole: the kernel does not show it to a device that does not
 * own it.
 */
enum {
	HMM_DMIRROR_PROT_ERROR			= 0xFF,
	HMM_DMIRROR_PROT_NONE			= 0x00,
	HMM_DMIRROR_PROT_READ			= 0x01,
	HMM_DMIRROR_PROT_WRITE			= 0x02,
	HMM_DMIRROR_PROT_PMD			= 0x04,
	HMM_DMIRROR_PROT_PUD			= 0x08,
	HMM_DMIRROR_PROT_ZERO			= 0x10,
	HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL	= 0x20,
	HMM_DMIRROR_PROT_DEV_PRIVATE_REMOTE	= 0x30,
	HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL	= 0x40,
	HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE	= 0x50,
};

/* Kinds of device memory. Zero is left out so that it can mean "not set". */
enum {
	HMM_DMIRROR_MEMORY_DEVICE_PRIVATE = 1,
	HMM_DMIRROR_MEMORY_DEVICE_COHERENT,
};

#endif /* _HMM_DMIRROR_TEST_HMM_H */
