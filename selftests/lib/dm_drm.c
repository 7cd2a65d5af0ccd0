// SPDX-License-Identifier: GPL-2.0
/*
 * The render node seen from a test: see dm_drm.h. Owns no state; takes no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xf86drm.h>
#include "dm_drm.h"
#include "dmirror.h"

#define MAX_NODES	64

static bool is_ours(const drmDevice *dev, const char *name)
{
	return dev->bustype == DRM_BUS_PLATFORM &&
	       !strcmp(dev->businfo.platform->fullname, name) &&
	       dev->available_nodes & (1 << DRM_NODE_RENDER);
}

int dmd_node(int number, char *path, size_t len)
{
	drmDevicePtr devs[MAX_NODES];
	int i, n, ret = -ENODEV;
	char name[32];

	snprintf(name, sizeof(name), DMD_NAME ".%d", number);
	n = drmGetDevices2(0, devs, MAX_NODES);
	if (n < 0)
		return n == -ENOENT ? -ENODEV : n;
	for (i = 0; i < n && ret; i++) {
		if (!is_ours(devs[i], name))
			continue;
		snprintf(path, len, "%s", devs[i]->nodes[DRM_NODE_RENDER]);
		ret = 0;
	}
	drmFreeDevices(devs, n);
	return ret;
}

int dmd_open(int number)
{
	char path[64];
	__u64 is;
	int fd, ret;

	ret = dmd_node(number, path, sizeof(path));
	if (ret)
		return ret;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = dmd_param(fd, HMM_DMIRROR_PARAM_DEVICE, &is);
	if (!ret && is != number)
		ret = -EXDEV;
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

int dmd_ioctl(int fd, unsigned long request, void *arg)
{
	return drmIoctl(fd, request, arg) ? -errno : 0;
}

int dmd_param(int fd, __u64 param, __u64 *value)
{
	struct drm_hmm_dmirror_get_param arg = { .param = param };
	int ret = dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_GET_PARAM, &arg);

	*value = arg.value;
	return ret;
}

bool dmd_has(int fd, __u64 feature)
{
	__u64 features;

	return !dmd_param(fd, HMM_DMIRROR_PARAM_FEATURES, &features) &&
	       (features & feature);
}

__u64 dmd_sum(const __u64 *pages)
{
	__u64 sum = 0;
	int i;

	for (i = 0; i < DMD_CLASSES; i++)
		sum += pages[i];
	return sum;
}

int dmd_migrate(int fd, const void *addr, size_t size, __u32 dest, __u32 flags,
		__u32 device, __u64 *pages)
{
	struct drm_hmm_dmirror_migrate arg = {
		.start = (uintptr_t)addr, .length = size, .dest = dest,
		.flags = flags, .device = device,
	};
	int ret = dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_MIGRATE, &arg);

	if (pages)
		memcpy(pages, arg.pages, DMD_CLASSES * sizeof(*pages));
	return ret;
}

static int migrate_all(int fd, const void *addr, size_t size, __u32 dest)
{
	__u64 pages[DMD_CLASSES];
	int ret = dmd_migrate(fd, addr, size, dest, 0, 0, pages);

	if (ret)
		return ret;
	return pages[HMM_DMIRROR_PAGE_MOVED] + pages[HMM_DMIRROR_PAGE_PRESENT] ==
	       size / DM_PAGE ? 0 : -EXDEV;
}

int dmd_to_vram(int fd, const void *addr, size_t size)
{
	return migrate_all(fd, addr, size, HMM_DMIRROR_DEST_VRAM);
}

int dmd_to_system(int fd, const void *addr, size_t size)
{
	return migrate_all(fd, addr, size, HMM_DMIRROR_DEST_SYSTEM);
}

int dmd_advise(int fd, const void *addr, size_t size, __u32 attr, __u64 value)
{
	struct drm_hmm_dmirror_advise arg = {
		.start = (uintptr_t)addr, .length = size, .attr = attr,
		.value = value,
	};

	return dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_ADVISE, &arg);
}

int dmd_submit(int fd, __u32 queue, const struct drm_hmm_dmirror_job *jobs,
	       __u32 nr, struct drm_hmm_dmirror_result *results, __u64 *seqno)
{
	struct drm_hmm_dmirror_submit arg = {
		.jobs = (uintptr_t)jobs, .results = (uintptr_t)results,
		.nr_jobs = nr, .queue = queue,
	};
	int ret = dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_SUBMIT, &arg);

	if (seqno)
		*seqno = arg.seqno;
	return ret;
}

int dmd_wait(int fd, __u32 queue, __u64 seqno, unsigned int timeout_ms,
	     __s32 *status)
{
	struct drm_hmm_dmirror_wait arg = { .seqno = seqno, .queue = queue };
	struct timespec now;
	int ret;

	if (timeout_ms) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		arg.timeout_ns = now.tv_sec * 1000000000LL + now.tv_nsec +
				 timeout_ms * 1000000LL;
	}
	ret = dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_WAIT, &arg);
	if (status)
		*status = arg.status;
	return ret;
}

int dmd_run(int fd, const struct drm_hmm_dmirror_job *job,
	    struct drm_hmm_dmirror_result *result)
{
	__s32 status = 0;
	__u64 seqno;
	int ret;

	ret = dmd_submit(fd, 0, job, 1, result, &seqno);
	if (!ret)
		ret = dmd_wait(fd, 0, seqno, 60000, &status);
	return ret ? ret : status;
}

int dmd_event(int fd, struct drm_hmm_dmirror_event *event, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK))
		return -errno;
	n = poll(&p, 1, timeout_ms);
	if (n < 0)
		return -errno;
	if (!n)
		return -ETIMEDOUT;
	n = read(fd, event, sizeof(*event));
	if (n < 0)
		return -errno;
	return n == sizeof(*event) ? 0 : -EIO;
}

int dmd_query(int fd, const void *addr, unsigned long npages, __u64 *pages)
{
	struct drm_hmm_dmirror_query arg = { .start = (uintptr_t)addr };
	__u64 max;
	int ret = dmd_param(fd, HMM_DMIRROR_PARAM_QUERY_PAGES, &max);

	while (npages && !ret) {
		unsigned long n = npages < max ? npages : max;

		arg.length = n * DM_PAGE;
		arg.pages = (uintptr_t)pages;
		ret = dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_QUERY, &arg);
		arg.start += n * DM_PAGE;
		pages += n;
		npages -= n;
	}
	return ret;
}

/* Can a page be there, by what its pagemap entry says? */
static bool agrees(unsigned int where, __u64 ent)
{
	bool present = ent & DM_PM_PRESENT;
	bool special = ent & DM_PM_SWAP && dm_pm_kind(ent) != DM_SWP_AREA;

	switch (where) {
	case HMM_DMIRROR_QUERY_ABSENT:
		return !present && !special;
	case HMM_DMIRROR_QUERY_SYSTEM:
	case HMM_DMIRROR_QUERY_ZERO:
		return present;
	case HMM_DMIRROR_QUERY_VRAM:
	case HMM_DMIRROR_QUERY_OTHER:
		/* Coherent memory is mapped like any other. */
		return present || special;
	default:
		return false;
	}
}

int dmd_all(int fd, const void *addr, unsigned long npages, unsigned int where,
	    char *why)
{
	unsigned long i, n, at;
	__u64 pages[256], ent[256];
	int ret;

	for (at = 0; at < npages; at += n) {
		const char *from = (const char *)addr + at * DM_PAGE;

		n = npages - at < 256 ? npages - at : 256;
		ret = dmd_query(fd, from, n, pages);
		if (!ret)
			ret = dm_pagemap(from, n, ent);
		if (ret)
			return ret;
		for (i = 0; i < n; i++) {
			if (HMM_DMIRROR_QUERY_LOCATION(pages[i]) == where &&
			    agrees(where, ent[i]))
				continue;
			if (why)
				snprintf(why, DM_MSG, "page %lu: query %#llx, pagemap %#llx",
					 at + i, (unsigned long long)pages[i],
					 (unsigned long long)ent[i]);
			return -EXDEV;
		}
	}
	return 0;
}

int dmd_evict(int fd, __u32 what, const void *addr, size_t size, __u64 *pages)
{
	struct drm_hmm_dmirror_evict arg = {
		.start = (uintptr_t)addr, .length = size, .what = what,
	};
	int ret = dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_EVICT, &arg);

	if (pages)
		*pages = arg.pages;
	return ret;
}

int dmd_exclusive(int fd, __u32 what, const void *addr, size_t size,
		  __u64 *pages)
{
	struct drm_hmm_dmirror_exclusive arg = {
		.start = (uintptr_t)addr, .length = size, .what = what,
	};
	int ret = dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_EXCLUSIVE, &arg);

	if (pages)
		*pages = arg.pages;
	return ret;
}

int dmd_stats(int fd, __u32 scope, __u64 *values, __u32 count)
{
	struct drm_hmm_dmirror_stats arg = {
		.values = (uintptr_t)values, .count = count, .scope = scope,
	};

	memset(values, 0, count * sizeof(*values));
	return dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_STATS, &arg);
}

int dmd_inject(int fd, struct drm_hmm_dmirror_inject *arg)
{
	return dmd_ioctl(fd, DRM_IOCTL_HMM_DMIRROR_INJECT, arg);
}
