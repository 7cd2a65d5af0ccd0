/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The render node seen from a test: finding it through libdrm, and one wrapper
 * per command. See dmirror.h for the rules these helpers keep.
 *
 * Wrappers issue their command with drmIoctl(), which starts it again after a
 * signal, and return 0 or the negative errno.
 */
#ifndef SELFTESTS_LIB_DM_DRM_H
#define SELFTESTS_LIB_DM_DRM_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <drm/hmm_dmirror_drm.h>

#define DMD_NAME	"hmm_dmirror"
#define DMD_CLASSES	HMM_DMIRROR_NR_PAGE_CLASSES

/**
 * dmd_node() - path of the render node of a device
 * @number: number of the device, enum dm_index
 * @path: receives it
 * @len: bytes at @path
 *
 * Return: 0, -ENODEV if libdrm finds no such device, or another negative errno.
 */
int dmd_node(int number, char *path, size_t len);

/**
 * dmd_open() - open the render node of a device
 * @number: number of the device, enum dm_index
 *
 * Return: a file descriptor or a negative errno, -ENODEV as dmd_node(); -EXDEV
 * if the node says that it belongs to another device.
 */
int dmd_open(int number);

/**
 * dmd_ioctl() - issue any command
 * @fd: node
 * @request: DRM_IOCTL_*
 * @arg: its structure
 *
 * Return: 0 or a negative errno.
 */
int dmd_ioctl(int fd, unsigned long request, void *arg);

/**
 * dmd_param() - GET_PARAM
 * @fd: node
 * @param: HMM_DMIRROR_PARAM_*
 * @value: receives the answer
 *
 * Return: 0 or a negative errno.
 */
int dmd_param(int fd, __u64 param, __u64 *value);

/**
 * dmd_has() - is a feature there?
 * @fd: node
 * @feature: HMM_DMIRROR_FEATURE_*
 *
 * Return: true if it is.
 */
bool dmd_has(int fd, __u64 feature);

/**
 * dmd_migrate() - MIGRATE
 * @fd: node
 * @addr: first byte
 * @size: bytes
 * @dest: HMM_DMIRROR_DEST_*
 * @flags: HMM_DMIRROR_MIGRATE_*
 * @device: for DEST_DEVICE, else 0
 * @pages: receives DMD_CLASSES counts, on failure too; may be NULL
 *
 * Return: 0 or a negative errno.
 */
int dmd_migrate(int fd, const void *addr, size_t size, __u32 dest, __u32 flags,
		__u32 device, __u64 *pages);

/**
 * dmd_sum() - all pages of a MIGRATE request, whatever became of them
 * @pages: DMD_CLASSES counts
 */
__u64 dmd_sum(const __u64 *pages);

/**
 * dmd_to_vram() - migrate all of a range to the device
 * @fd: node
 * @addr: first byte
 * @size: bytes
 *
 * Return: 0; -EXDEV when some of it did not go; or another negative errno.
 */
int dmd_to_vram(int fd, const void *addr, size_t size);

/**
 * dmd_to_system() - migrate all that a range has on the device back
 * @fd: node
 * @addr: first byte
 * @size: bytes
 *
 * Return: 0; -EXDEV when some of it did not go; or another negative errno.
 */
int dmd_to_system(int fd, const void *addr, size_t size);

/**
 * dmd_advise() - ADVISE
 * @fd: node
 * @addr: first byte
 * @size: bytes
 * @attr: HMM_DMIRROR_ADVISE_*
 * @value: for the attribute
 *
 * Return: 0 or a negative errno.
 */
int dmd_advise(int fd, const void *addr, size_t size, __u32 attr, __u64 value);

/**
 * dmd_submit() - SUBMIT without anything special
 * @fd: node
 * @queue: queue number
 * @jobs: jobs
 * @nr: how many
 * @results: receives as many results; may be NULL
 * @seqno: receives the number to wait for; may be NULL
 *
 * Return: 0 or a negative errno.
 */
int dmd_submit(int fd, __u32 queue, const struct drm_hmm_dmirror_job *jobs,
	       __u32 nr, struct drm_hmm_dmirror_result *results, __u64 *seqno);

/**
 * dmd_wait() - WAIT
 * @fd: node
 * @queue: queue number
 * @seqno: what for
 * @timeout_ms: from now; 0 to only look
 * @status: receives the status of the submission; may be NULL
 *
 * Return: 0 or a negative errno, -ETIME when it has not ended in time.
 */
int dmd_wait(int fd, __u32 queue, __u64 seqno, unsigned int timeout_ms,
	     __s32 *status);

/**
 * dmd_run() - one job on queue 0, and wait for it
 * @fd: node
 * @job: the job
 * @result: receives its result; may be NULL
 *
 * Return: the status of the job, -ETIME after 60 seconds, or another negative
 * errno of SUBMIT or WAIT.
 */
int dmd_run(int fd, const struct drm_hmm_dmirror_job *job,
	    struct drm_hmm_dmirror_result *result);

/**
 * dmd_event() - the next event of a submission
 * @fd: node; reading it never waits from then on
 * @event: receives it
 * @timeout_ms: how long to wait for one; 0 to only look
 *
 * Return: 0, -ETIMEDOUT when there was none in time, or another negative errno.
 */
int dmd_event(int fd, struct drm_hmm_dmirror_event *event, int timeout_ms);

/**
 * dmd_query() - QUERY, in as many commands as it takes
 * @fd: node
 * @addr: first byte
 * @npages: pages
 * @pages: receives one entry per page
 *
 * Return: 0 or a negative errno.
 */
int dmd_query(int fd, const void *addr, unsigned long npages, __u64 *pages);

/**
 * dmd_all() - check that every page of a range is in one place
 * @fd: node
 * @addr: first byte
 * @npages: pages
 * @where: HMM_DMIRROR_QUERY_ABSENT, SYSTEM, ZERO, VRAM or OTHER
 * @why: receives the first page that is elsewhere, DM_MSG bytes, may be NULL
 *
 * By QUERY, and by /proc/self/pagemap, which have to agree.
 *
 * Return: 0 if all are, -EXDEV if one is elsewhere, or another negative errno.
 */
int dmd_all(int fd, const void *addr, unsigned long npages, unsigned int where,
	    char *why);

/**
 * dmd_evict() - EVICT
 * @fd: node
 * @what: HMM_DMIRROR_EVICT_*
 * @addr: for RANGE, else NULL
 * @size: bytes for RANGE and BYTES, else 0
 * @pages: receives the pages that left; may be NULL
 *
 * Return: 0 or a negative errno.
 */
int dmd_evict(int fd, __u32 what, const void *addr, size_t size, __u64 *pages);

/**
 * dmd_exclusive() - EXCLUSIVE
 * @fd: node
 * @what: HMM_DMIRROR_EXCLUSIVE_*
 * @addr: first byte
 * @size: bytes
 * @pages: receives the count; may be NULL
 *
 * Return: 0 or a negative errno.
 */
int dmd_exclusive(int fd, __u32 what, const void *addr, size_t size,
		  __u64 *pages);

/**
 * dmd_stats() - STATS
 * @fd: node
 * @scope: HMM_DMIRROR_STATS_*
 * @values: receives up to @count counters; what the kernel has not got is 0
 * @count: room at @values
 *
 * Return: 0 or a negative errno.
 */
int dmd_stats(int fd, __u32 scope, __u64 *values, __u32 count);

/**
 * dmd_inject() - INJECT
 * @fd: node
 * @arg: the structure, in and out
 *
 * Return: 0 or a negative errno.
 */
int dmd_inject(int fd, struct drm_hmm_dmirror_inject *arg);

#endif /* SELFTESTS_LIB_DM_DRM_H */
