// SPDX-License-Identifier: GPL-2.0
/*
 * The commands of the render node that are made to fail: see ops.h. Jobs do most of
 * their work in a thread of the driver, and are waited for. Owns nothing; gives no
 * verdicts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <kselftest.h>

#include "dm_crc.h"
#include "dm_drm.h"
#include "ops.h"

#define PEER		DM_PRIVATE1
#define RESIDENT	HMM_DMIRROR_QUEUE_RESIDENT
#define VA(p)		((__u64)(uintptr_t)(p))

/* All of it, on the device and known to it; a page may have a passing reference. */
static int map_all(struct fi *f, const void *addr)
{
	__u64 pages[DMD_CLASSES];
	int i, ret = 0;

	for (i = 0; i < 5 && !ret; i++) {
		ret = dmd_migrate(f->node, addr, f->b.size, HMM_DMIRROR_DEST_VRAM,
				  HMM_DMIRROR_MIGRATE_MAP, 0, pages);
		if (!ret && pages[HMM_DMIRROR_PAGE_MOVED] +
			    pages[HMM_DMIRROR_PAGE_PRESENT] == f->b.npages)
			return 0;
	}
	return ret ? ret : -ENOENT;
}

static int on_device_mapped(struct fi *f)
{
	return map_all(f, f->b.ptr);
}

/* What is written comes from the mirror, which is on the device then, too. */
static int both_mapped(struct fi *f)
{
	int ret = on_device_mapped(f);

	dm_fill(f->b.mirror, f->b.npages, f->b.ptr, f->gen + 1, DM_DEV);
	return ret ? ret : map_all(f, f->b.mirror);
}

static int stays_in_system(struct fi *f)
{
	return dmd_advise(f->node, f->b.ptr, f->b.size, HMM_DMIRROR_ADVISE_LOCATION,
			  HMM_DMIRROR_LOCATION_SYSTEM);
}

static int do_node_open(struct fi *f)
{
	int fd = open(f->node_path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* That pages stayed behind is no error of MIGRATE, but it is one here. */
static int migrate(struct fi *f, __u32 dest, __u32 flags, __u32 device)
{
	__u64 pages[DMD_CLASSES], there, sum;
	int ret = dmd_migrate(f->node, f->b.ptr, f->b.size, dest, flags, device, pages);

	sum = dmd_sum(pages);
	there = pages[HMM_DMIRROR_PAGE_MOVED] + pages[HMM_DMIRROR_PAGE_PRESENT];
	/* An answer that could not be copied out says nothing. */
	f->res.cpages = ret == -EFAULT && !sum ? DM_UNSET : there;
	if (!ret && sum != f->b.npages)
		return -EPROTO;
	return !ret && there != f->b.npages ? -ENOENT : ret;
}

static int do_node_in(struct fi *f)
{
	return migrate(f, HMM_DMIRROR_DEST_VRAM, HMM_DMIRROR_MIGRATE_MAP, 0);
}

static int do_node_out(struct fi *f)
{
	return migrate(f, HMM_DMIRROR_DEST_SYSTEM, 0, 0);
}

static int do_node_peer(struct fi *f)
{
	return migrate(f, HMM_DMIRROR_DEST_DEVICE, 0, PEER);
}

static int do_evict_range(struct fi *f)
{
	return dmd_evict(f->node, HMM_DMIRROR_EVICT_RANGE, f->b.ptr, f->b.size, NULL);
}

static int do_evict_bytes(struct fi *f)
{
	return dmd_evict(f->node, HMM_DMIRROR_EVICT_BYTES, NULL, DM_PAGE, NULL);
}

static int do_evict_all(struct fi *f)
{
	return dmd_evict(f->node, HMM_DMIRROR_EVICT_ALL, NULL, 0, NULL);
}

static int do_node_exclusive(struct fi *f)
{
	__u64 pages = 0;
	int ret = dmd_exclusive(f->node, HMM_DMIRROR_EXCLUSIVE_TAKE, f->b.ptr, f->b.size,
				&pages);

	return !ret && pages != f->b.npages ? -EPROTO : ret;
}

static int do_node_query(struct fi *f)
{
	__u64 pages[FI_SMALL];
	unsigned long i;
	int ret = dmd_query(f->node, f->b.ptr, f->b.npages, pages);

	for (i = 0; !ret && i < f->b.npages; i++)
		if (HMM_DMIRROR_QUERY_LOCATION(pages[i]) != HMM_DMIRROR_QUERY_VRAM)
			return -EPROTO;
	return ret;
}

static int do_node_advise(struct fi *f)
{
	return dmd_advise(f->node, f->b.ptr, f->b.size, HMM_DMIRROR_ADVISE_READ_MOSTLY,
			  1);
}

static int do_node_stats(struct fi *f)
{
	__u64 values[HMM_DMIRROR_NR_STATS];

	return dmd_stats(f->node, HMM_DMIRROR_STATS_DEVICE, values, HMM_DMIRROR_NR_STATS);
}

static int do_node_param(struct fi *f)
{
	__u64 value;

	return dmd_param(f->node, HMM_DMIRROR_PARAM_VRAM_FREE, &value);
}

/*
 * One job, and what it has done in bytes. Once submitted it runs, and has to have
 * ended before anybody looks at what it did: a WAIT that failed is done again.
 */
static int run_job(struct fi *f, struct drm_hmm_dmirror_job job, __u32 queue)
{
	struct drm_hmm_dmirror_result res = { .done = DM_UNSET };
	struct drm_hmm_dmirror_submit s = {
		.jobs = VA(&job), .nr_jobs = 1, .queue = queue, .results = VA(&res),
		.flags = queue == RESIDENT ? HMM_DMIRROR_SUBMIT_RESIDENT : 0,
	};
	__s32 status = 0;
	int ret, err, i;

	f->res.cpages = 0;
	err = dmd_ioctl(f->node, DRM_IOCTL_HMM_DMIRROR_SUBMIT, &s);
	/* The number could not be told, but is known: they count up from 1. */
	if (err == -EFAULT)
		s.seqno = f->seqno + 1;
	else if (err)
		return err;
	for (i = 0; i < 3; i++) {
		ret = dmd_wait(f->node, queue, s.seqno, 60000, &status);
		if (ret != -ENOMEM && ret != -EFAULT)
			break;
		err = ret;
	}
	/* That there is none by that number says that it was not submitted. */
	if (ret == -ENOENT && err)
		return err;
	f->seqno = s.seqno;
	/* It may have done all, and only that could not be told. */
	f->res.cpages = res.done == DM_UNSET ? DM_UNSET : res.done / DM_PAGE;
	f->value = res.value;
	if (ret)
		return ret;
	return status ? status : err;
}

static int copy_all(struct fi *f, __u32 queue)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_COPY, .length = f->b.size,
		.dst = VA(f->b.ptr), .src = VA(f->b.mirror),
	};

	return run_job(f, job, queue);
}

static int do_job_copy(struct fi *f)
{
	dm_fill(f->b.mirror, f->b.npages, f->b.ptr, f->gen + 1, DM_DEV);
	return copy_all(f, 0);
}

static int do_job_crc(struct fi *f)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_CHECKSUM, .length = f->b.size,
		.src = VA(f->b.ptr), .value = ~0U,
	};

	return run_job(f, job, 0);
}

/* Nothing is added, by way of all that adding takes. */
static int do_job_add(struct fi *f)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_ATOMIC_ADD64, .count = 3,
		.dst = VA(f->b.ptr + 3 * DM_PAGE),
	};

	return run_job(f, job, 0);
}

static int do_job_resident(struct fi *f)
{
	return copy_all(f, RESIDENT);
}

/* The device has read what the CPU reads. */
static int right_crc(struct fi *f)
{
	return f->value == crc32c(~0U, f->b.ptr, f->b.size) ? 0 : -EIO;
}

const struct fi_op fi_drm_ops[] = {
	{ "node_open", FI_SMALL, 0, NULL, do_node_open, .drm = true },
	{ "node_in", FI_SMALL, 0, NULL, do_node_in, fi_all_at,
	  "in", DM_ON_DEV, -ENOENT, .drm = true },
	{ "node_in_large", DM_2M_PAGES, DM_BUF_THP, NULL, do_node_in, fi_all_at,
	  "in", DM_ON_DEV, -ENOENT, .drm = true },
	{ "node_out", FI_SMALL, 0, on_device_mapped, do_node_out, fi_all_at,
	  "out", DM_SYS, -ENOENT, .drm = true },
	{ "node_peer", FI_SMALL, 0, on_device_mapped, do_node_peer, fi_all_at,
	  "out", DM_ON_OTHER, -ENOENT, .drm = true },
	{ "node_peer_large", DM_2M_PAGES, DM_BUF_THP, on_device_mapped, do_node_peer,
	  fi_all_at, "out", DM_ON_OTHER, -ENOENT, .drm = true },
	{ "evict_range", FI_SMALL, 0, on_device_mapped, do_evict_range, fi_all_at,
	  NULL, DM_SYS, .drm = true },
	{ "evict_bytes", FI_SMALL, 0, on_device_mapped, do_evict_bytes, fi_all_at,
	  NULL, DM_SYS, .drm = true },
	{ "evict_all", FI_SMALL, 0, on_device_mapped, do_evict_all, fi_all_at,
	  NULL, DM_SYS, .drm = true },
	{ "node_exclusive", FI_SMALL, 0, NULL, do_node_exclusive, .drm = true },
	{ "node_query", FI_SMALL, 0, fi_on_device, do_node_query, .drm = true },
	{ "node_advise", FI_SMALL, 0, NULL, do_node_advise, .drm = true },
	{ "node_stats", FI_SMALL, 0, NULL, do_node_stats, .drm = true },
	{ "node_param", FI_SMALL, 0, NULL, do_node_param, .drm = true },
	{ "job_copy", FI_SMALL, 0, NULL, do_job_copy, fi_written,
	  .drm = true, .writes = true },
	{ "job_crc", FI_SMALL, 0, fi_on_device, do_job_crc, right_crc, .drm = true },
	{ "job_add", FI_SMALL, 0, NULL, do_job_add, .drm = true },
	{ "job_add_exclusive", FI_SMALL, 0, stays_in_system, do_job_add, .drm = true },
	{ "job_resident", FI_SMALL, 0, both_mapped, do_job_resident, fi_written,
	  .drm = true, .writes = true },
};

const int fi_nr_drm_ops = ARRAY_SIZE(fi_drm_ops);
