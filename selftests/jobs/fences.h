/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sync objects, and a fence that is signalled when the test says so: that of the
 * kernel's vgem driver, which was made for tests like these.
 */
#ifndef SELFTESTS_JOBS_FENCES_H
#define SELFTESTS_JOBS_FENCES_H

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <xf86drm.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include "jobs.h"

/* Of the C library's kernel headers. */
#include <drm/vgem_drm.h>

/* Wait until a sync object has signalled. Return: 0 or a negative errno, -ETIME. */
static inline int syncobj_wait(int fd, __u32 syncobj, int ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return drmSyncobjWait(fd, &syncobj, 1, now.tv_sec * 1000000000LL + now.tv_nsec +
			      sc_slow(ms) * 1000000LL, 0, NULL);
}

/* A fence of vgem; it ends by itself after ten seconds. */
struct pending {
	int fd;			/* of vgem, or -1 */
	__u32 fence;
	int sync_file;
};

/*
 * Return: 0, -ENODEV when there is no vgem here, or another negative errno.
 */
static inline int pending_make(struct pending *p)
{
	struct drm_mode_create_dumb bo = { .width = 64, .height = 1, .bpp = 32 };
	struct dma_buf_export_sync_file ex = { .flags = DMA_BUF_SYNC_RW, .fd = -1 };
	struct drm_vgem_fence_attach at = { .flags = VGEM_FENCE_WRITE };
	int buf, ret = -EIO;

	*p = (struct pending){ .fd = -1, .sync_file = -1 };
	if (!dm_module_loaded("vgem"))
		dm_run((const char *const[]){ "modprobe", "vgem", NULL });
	p->fd = drmOpen("vgem", NULL);
	if (p->fd < 0)
		return -ENODEV;
	if (drmIoctl(p->fd, DRM_IOCTL_MODE_CREATE_DUMB, &bo) ||
	    drmPrimeHandleToFD(p->fd, bo.handle, DRM_CLOEXEC | DRM_RDWR, &buf))
		return -errno;
	at.handle = bo.handle;
	if (!drmIoctl(p->fd, DRM_IOCTL_VGEM_FENCE_ATTACH, &at) &&
	    !ioctl(buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &ex))
		ret = 0;
	p->fence = at.out_fence;
	p->sync_file = ex.fd;
	close(buf);
	return ret;
}

static inline int pending_signal(struct pending *p)
{
	struct drm_vgem_fence_signal sig = { .fence = p->fence };

	return drmIoctl(p->fd, DRM_IOCTL_VGEM_FENCE_SIGNAL, &sig) ? -errno : 0;
}

static inline void pending_free(struct pending *p)
{
	if (p->sync_file >= 0)
		close(p->sync_file);
	if (p->fd >= 0)
		close(p->fd);
}

/* Has a sync file signalled? 0: no; 1: yes; negative: with this error. */
static inline int sync_file_status(int fd, char *driver)
{
	struct sync_fence_info fence = { 0 };
	struct sync_file_info info = {
		.num_fences = 1, .sync_fence_info = VA(&fence),
	};

	if (ioctl(fd, SYNC_IOC_FILE_INFO, &info))
		return -errno;
	if (driver)
		strcpy(driver, fence.driver_name);
	return fence.status;
}

static inline bool sync_file_signals(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

/* A RESIDENT submission of one job that waits for one and signals one; 0: none. */
static inline int resident(int fd, job_t job, __u32 in, __u32 out, res_t *res,
			   __u64 *seqno)
{
	submit_t s = {
		.in_syncs = in ? VA(&in) : 0, .nr_in_syncs = !!in,
		.out_syncs = out ? VA(&out) : 0, .nr_out_syncs = !!out,
	};
	int ret = job_resident(fd, &s, &job, 1, res);

	if (seqno)
		*seqno = s.seqno;
	return ret;
}

/* A buffer in device memory, with translations of this file. */
static inline int resident_buf(int fd, struct dm_buf *b, unsigned long npages)
{
	__u64 pages[DMD_CLASSES];
	int ret = dm_buf_anon(b, npages, DM_BUF_SMALL);

	if (ret)
		return ret;
	dm_fill(b->ptr, npages, b->ptr, 1, DM_CPU);
	ret = dmd_migrate(fd, b->ptr, b->size, HMM_DMIRROR_DEST_VRAM,
			  HMM_DMIRROR_MIGRATE_MAP, 0, pages);
	return ret ? ret : pages[HMM_DMIRROR_PAGE_MOVED] == npages ? 0 : -EXDEV;
}

#endif /* SELFTESTS_JOBS_FENCES_H */
