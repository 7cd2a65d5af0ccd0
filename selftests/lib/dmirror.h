/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers shared by the test programs: the device node and its ioctls, test
 * buffers, content tags, residency, counters, kernel health, cgroup and swap.
 *
 * Functions return 0 or a negative errno unless they say otherwise. None of
 * them prints or exits: the verdict belongs to the test. No function here is
 * safe to call from a signal handler; all may be called from several threads
 * on different objects.
 */
#ifndef SELFTESTS_LIB_DMIRROR_H
#define SELFTESTS_LIB_DMIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/types.h>
#include <hmm_dmirror/test_hmm.h>
#include "dm_residency.h"
#include "dm_stats.h"
#include "dm_system.h"

/* Device minors: two with private memory, two with coherent memory. */
enum dm_index {
	DM_PRIVATE0,
	DM_PRIVATE1,
	DM_COHERENT0,
	DM_COHERENT1,
};

/* Which module answers behind /dev/hmm_dmirrorN. */
enum dm_target {
	DM_TARGET_OURS,
	DM_TARGET_TEST_HMM,
};

#define DM_PAGE		4096UL
#define DM_2M		(2UL << 20)
#define DM_2M_PAGES	(DM_2M / DM_PAGE)
#define DM_MSG		256

/* What dm_cmd() puts in cpages and faults before the call. */
#define DM_UNSET	(~0ULL)

/**
 * dm_target() - which module is under test
 *
 * The environment variable DMIRROR_TARGET decides ("test_hmm" or
 * "hmm_dmirror"); without it, the module that is loaded.
 *
 * Return: the target; DM_TARGET_OURS when nothing says otherwise.
 */
enum dm_target dm_target(void);

/**
 * dm_ours() - true when the module under test is hmm_dmirror
 *
 * Return: true for hmm_dmirror, whose promises go beyond the shared ABI.
 */
bool dm_ours(void);

/**
 * dm_open() - open a device node
 * @index: minor number, enum dm_index
 *
 * Return: a file descriptor, or a negative errno (-ENOENT: no such node).
 */
int dm_open(int index);

/**
 * dm_node_exists() - is there a node for this minor
 * @index: minor number, enum dm_index
 *
 * Return: true if /dev/hmm_dmirror<index> exists.
 */
bool dm_node_exists(int index);

/**
 * dm_is_coherent() - does this minor have CPU-visible memory
 * @index: minor number, enum dm_index
 *
 * Return: true for the coherent devices.
 */
bool dm_is_coherent(int index);

/**
 * dm_cmd_once() - issue one ioctl exactly once
 * @fd: device
 * @request: HMM_DMIRROR_*
 * @addr: start of the range, any value
 * @npages: length in pages
 * @ptr: result or source buffer
 * @res: receives the structure as the kernel left it, may be NULL
 *
 * cpages and faults are DM_UNSET before the call, so that a test can see
 * whether the kernel copied the structure back.
 *
 * Return: 0 or the negative errno of the ioctl, -EINTR included.
 */
int dm_cmd_once(int fd, unsigned long request, const void *addr,
		unsigned long npages, const void *ptr,
		struct hmm_dmirror_cmd *res);

/**
 * dm_cmd() - like dm_cmd_once(), repeated while a signal interrupts it
 * @fd: device
 * @request: HMM_DMIRROR_*
 * @addr: start of the range
 * @npages: length in pages
 * @ptr: result or source buffer
 * @res: receives the structure of the last attempt, may be NULL
 *
 * Return: 0 or a negative errno, never -EINTR.
 */
int dm_cmd(int fd, unsigned long request, const void *addr,
	   unsigned long npages, const void *ptr, struct hmm_dmirror_cmd *res);

/**
 * dm_read() - the device reads @npages at @addr into @out
 * @fd: device
 * @addr: start of the range in the mirrored process
 * @npages: pages
 * @out: receives the data, @npages pages
 * @res: cpages (pages read) and faults (passes that faulted), may be NULL
 *
 * Return: 0 or a negative errno.
 */
int dm_read(int fd, const void *addr, unsigned long npages, void *out,
	    struct hmm_dmirror_cmd *res);

/**
 * dm_read_unlocked() - dm_read() that lets userfaultfd resolve faults
 * @fd: device
 * @addr: start of the range in the mirrored process
 * @npages: pages
 * @out: receives the data, @npages pages
 * @res: cpages and faults, may be NULL
 *
 * Return: 0 or a negative errno.
 */
int dm_read_unlocked(int fd, const void *addr, unsigned long npages, void *out,
		     struct hmm_dmirror_cmd *res);

/**
 * dm_write() - the device writes @npages from @in to @addr
 * @fd: device
 * @addr: start of the range in the mirrored process
 * @npages: pages
 * @in: data to write, @npages pages
 * @res: cpages (pages written) and faults, may be NULL
 *
 * Return: 0 or a negative errno.
 */
int dm_write(int fd, const void *addr, unsigned long npages, const void *in,
	     struct hmm_dmirror_cmd *res);

/**
 * dm_to_dev() - migrate a range to the memory of this device
 * @fd: device
 * @addr: start of the range
 * @npages: pages
 * @out: receives the data as the device sees it, @npages pages
 * @res: cpages: pages that are on the device afterwards, may be NULL
 *
 * Return: 0 or a negative errno; -ENOENT when part of the range stayed.
 */
int dm_to_dev(int fd, const void *addr, unsigned long npages, void *out,
	      struct hmm_dmirror_cmd *res);

/**
 * dm_to_sys() - migrate a range back to system memory
 * @fd: device
 * @addr: start of the range
 * @npages: pages
 * @res: cpages: pages that came back, may be NULL
 *
 * Return: 0 or a negative errno.
 */
int dm_to_sys(int fd, const void *addr, unsigned long npages,
	      struct hmm_dmirror_cmd *res);

/**
 * dm_snapshot() - state of each page as the device sees it, without faulting
 * @fd: device
 * @addr: start of the range
 * @npages: pages
 * @prot: receives one HMM_DMIRROR_PROT_* byte per page
 *
 * Return: 0 or a negative errno.
 */
int dm_snapshot(int fd, const void *addr, unsigned long npages, __u8 *prot);

/**
 * dm_exclusive() - take exclusive device access to a range
 * @fd: device
 * @addr: start of the range
 * @npages: pages
 * @out: receives the data as the device sees it, @npages pages
 * @res: cpages: pages now exclusive, may be NULL
 *
 * Return: 0 or a negative errno.
 */
int dm_exclusive(int fd, const void *addr, unsigned long npages, void *out,
		 struct hmm_dmirror_cmd *res);

/**
 * dm_check_exclusive() - does the device still hold exclusive access
 * @fd: device
 * @addr: start of the range
 * @npages: pages
 *
 * Return: 0 if no page is exclusive, -EPERM if any is.
 */
int dm_check_exclusive(int fd, const void *addr, unsigned long npages);

/**
 * dm_release() - give up the device memory of this device
 * @fd: device
 *
 * Return: 0 or a negative errno.
 */
int dm_release(int fd);

/**
 * dm_flags() - set the flags of this file, HMM_DMIRROR_FLAG_*
 * @fd: device
 * @flags: not zero (the ABI rejects an empty range before it looks at flags)
 *
 * Return: 0 or a negative errno.
 */
int dm_flags(int fd, __u64 flags);

/*
 * A range of process memory and a bounce buffer of the same size. The range is
 * 2 MiB aligned and has an inaccessible gap on both sides, so that no other
 * mapping merges with it.
 */
struct dm_buf {
	__u8		*ptr;		/* the range */
	__u8		*mirror;	/* bounce buffer, never on a device */
	unsigned long	npages;
	size_t		size;		/* npages in bytes */
	void		*area;		/* reservation around the range */
	size_t		area_size;
};

#define DM_BUF_SMALL	0	/* MADV_NOHUGEPAGE: base pages only */
#define DM_BUF_THP	1	/* MADV_HUGEPAGE: huge pages where possible */

/**
 * dm_buf_anon() - a private anonymous read-write buffer, not populated
 * @b: filled in
 * @npages: pages
 * @flags: DM_BUF_SMALL or DM_BUF_THP
 *
 * Return: 0 or a negative errno.
 */
int dm_buf_anon(struct dm_buf *b, unsigned long npages, int flags);

/**
 * dm_buf_map() - a buffer over any mapping
 * @b: filled in
 * @npages: pages
 * @prot: PROT_*
 * @flags: MAP_* without MAP_FIXED
 * @fd: file or -1
 * @offset: in the file, bytes
 *
 * Return: 0 or a negative errno.
 */
int dm_buf_map(struct dm_buf *b, unsigned long npages, int prot, int flags,
	       int fd, off_t offset);

/**
 * dm_buf_free() - unmap a buffer and its bounce buffer
 * @b: buffer, may be all zero; all zero afterwards
 */
void dm_buf_free(struct dm_buf *b);

/* Content tags ----------------------------------------------------------- */

/*
 * Every 8 bytes of a tagged page say which page of the address space they
 * belong to, which generation they are, who wrote them and which word of the
 * page they are. So a zero page, an older generation, a neighbour's page,
 * another writer's data and a torn page all look different.
 */
enum dm_bad_kind {
	DM_BAD_NONE,
	DM_BAD_ZERO,		/* the word is zero */
	DM_BAD_STALE,		/* right page, another generation */
	DM_BAD_NEIGHBOUR,	/* data of another page */
	DM_BAD_WRITER,		/* right page and generation, other writer */
	DM_BAD_SHIFTED,		/* right page, word from another offset */
	DM_BAD_GARBAGE,		/* not a tag at all */
};

/* Where and how content differs from what was expected. */
struct dm_bad {
	enum dm_bad_kind kind;
	size_t		offset;		/* first wrong byte, from the start */
	__u8		want;		/* the byte expected there */
	__u8		got;		/* the byte found there */
	__u64	want_word;
	__u64	got_word;
	unsigned long	bad_pages;	/* pages with at least one wrong byte */
};

/* Usual writers; any value up to 127 will do. */
enum dm_writer {
	DM_CPU = 1,
	DM_DEV = 2,
	DM_CHILD = 3,
	DM_PEER = 4,
};

/**
 * dm_tag() - the content of one 8-byte word
 * @va: address the page is tagged for, any address inside it
 * @generation: 0 to 65535
 * @writer: 0 to 127
 * @word: index of the word in its page, 0 to 511
 *
 * Return: the word; never zero.
 */
__u64 dm_tag(const void *va, unsigned int generation, unsigned int writer,
	     unsigned int word);

/**
 * dm_fill() - write tags
 * @mem: memory to write, @npages pages
 * @npages: pages
 * @va: address the first page is tagged for (@mem itself for a range filled in
 *      place, the target range for a bounce buffer)
 * @generation: 0 to 65535
 * @writer: enum dm_writer or any value up to 127
 */
void dm_fill(void *mem, unsigned long npages, const void *va,
	     unsigned int generation, unsigned int writer);

/**
 * dm_verify() - compare memory with the tags it should hold
 * @mem: memory to read, @npages pages
 * @npages: pages
 * @va: address the first page is tagged for
 * @generation: expected
 * @writer: expected
 * @bad: receives the first difference, may be NULL
 *
 * Return: 0 if every byte is right, else the enum dm_bad_kind of the first
 * wrong word.
 */
int dm_verify(const void *mem, unsigned long npages, const void *va,
	      unsigned int generation, unsigned int writer, struct dm_bad *bad);

/**
 * dm_verify_zero() - check that memory is all zero
 * @mem: memory to read, @npages pages
 * @npages: pages
 * @bad: receives the first difference, may be NULL
 *
 * Return: 0 if every byte is zero, else an enum dm_bad_kind.
 */
int dm_verify_zero(const void *mem, unsigned long npages, struct dm_bad *bad);

/**
 * dm_bad_str() - describe a difference in one line
 * @bad: as filled in by dm_verify()
 * @buf: room for the text, DM_MSG bytes
 *
 * Return: the text, in @buf or constant.
 */
const char *dm_bad_str(const struct dm_bad *bad, char *buf);

#endif /* SELFTESTS_LIB_DMIRROR_H */
