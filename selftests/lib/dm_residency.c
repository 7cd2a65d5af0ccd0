// SPDX-License-Identifier: GPL-2.0
/*
 * Where pages are, proven twice: by the SNAPSHOT ioctl of the device and by
 * /proc/self/pagemap, which knows nothing of the driver. Owns no state; takes
 * no locks. Results are only stable while nobody else works on the range.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/utsname.h>
#include "dmirror.h"

#define DM_PM_FRAME		((1ULL << 55) - 1)
#define DM_COHERENT_BYTES	(256UL << 20)

int dm_pagemap(const void *addr, unsigned long npages, __u64 *ent)
{
	size_t len = npages * sizeof(*ent);
	off_t off = (uintptr_t)addr / DM_PAGE * sizeof(*ent);
	size_t done = 0;
	int fd, ret = 0;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (done < len) {
		ssize_t n = pread(fd, (char *)ent + done, len - done,
				  off + done);

		if (n <= 0) {
			ret = n ? -errno : -EFAULT;
			break;
		}
		done += n;
	}
	close(fd);
	return ret;
}

/* Is the running kernel of this version or newer? */
static bool dm_kernel_since(int major, int minor)
{
	int is_major = 0, is_minor = 0;
	struct utsname u;

	if (uname(&u) || sscanf(u.release, "%d.%d", &is_major, &is_minor) != 2)
		return true;
	return is_major > major || (is_major == major && is_minor >= minor);
}

/*
 * The kernel hands out the types of its special entries from the top: 31 is a
 * marker, two of them before 6.2; then follow device exclusive, for writing and for
 * reading apart before 6.15; two for device private; four for migration and poison.
 */
enum dm_pm_kind dm_pm_kind(__u64 ent)
{
	int left = 31 - (ent & 0x1f);

	left -= dm_kernel_since(6, 2) ? 1 : 2;
	if (left < 0)
		return DM_SWP_MARKER;
	left -= dm_kernel_since(6, 15) ? 1 : 2;
	if (left < 0)
		return DM_SWP_EXCLUSIVE;
	left -= 2;
	if (left < 0)
		return DM_SWP_PRIVATE;
	return left < 4 ? DM_SWP_MOVING : DM_SWP_AREA;
}

__u64 dm_pm_pfn(__u64 ent)
{
	return ent & DM_PM_PRESENT ? ent & DM_PM_FRAME : 0;
}

int dm_is_soft_dirty(const void *addr)
{
	__u64 ent;
	int ret = dm_pagemap(addr, 1, &ent);

	return ret ? ret : !!(ent & DM_PM_SOFT_DIRTY);
}

int dm_clear_soft_dirty(void)
{
	return dm_write_file("/proc/self/clear_refs", "4");
}

static bool dm_param(const char *name, __u64 *val)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s",
		 dm_ours() ? "hmm_dmirror" : "test_hmm", name);
	return dm_read_u64(path, val) == 0;
}

/* The memory the coherent devices were given; no length where there is none. */
struct dm_spm {
	__u64 base[2], len[2];
};

/* Tests load the module anew, so this is not kept for longer than one look. */
static void dm_spm_read(struct dm_spm *spm)
{
	static const char * const names[] = { "spm_addr_dev0",
					      "spm_addr_dev1" };
	__u64 mb, len = DM_COHERENT_BYTES;
	unsigned int i;

	if (dm_param("vram_mb", &mb))
		len = mb << 20;
	for (i = 0; i < 2; i++) {
		spm->base[i] = 0;
		spm->len[i] = 0;
		if (dm_param(names[i], &spm->base[i]) && spm->base[i])
			spm->len[i] = len;
	}
}

static bool dm_spm_has(const struct dm_spm *spm, __u64 pfn)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (pfn * DM_PAGE - spm->base[i] < spm->len[i])
			return true;
	}
	return false;
}

static enum dm_where dm_where_swap(__u64 ent, __u8 snap)
{
	bool none = snap == HMM_DMIRROR_PROT_NONE ||
		    snap == HMM_DMIRROR_PROT_ERROR;

	switch (dm_pm_kind(ent)) {
	case DM_SWP_AREA:
		return none ? DM_SWAPPED : DM_UNCLEAR;
	case DM_SWP_MARKER:
		return none ? DM_NOWHERE : DM_UNCLEAR;
	case DM_SWP_EXCLUSIVE:
		return none ? DM_EXCLUSIVE_ENTRY : DM_UNCLEAR;
	case DM_SWP_PRIVATE:
		if ((snap & 0xf0) == HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL)
			return DM_ON_DEV;
		if ((snap & 0xf0) == HMM_DMIRROR_PROT_DEV_PRIVATE_REMOTE)
			return DM_ON_OTHER;
		return none ? DM_ON_OTHER : DM_UNCLEAR;
	default:
		return DM_UNCLEAR;
	}
}

static enum dm_where dm_where_present(const struct dm_spm *spm, __u64 ent, __u8 snap)
{
	bool coherent = dm_spm_has(spm, dm_pm_pfn(ent));

	/* A range the process may not read: the device has no opinion. */
	if (snap == HMM_DMIRROR_PROT_ERROR)
		return coherent ? DM_UNCLEAR : DM_SYS;
	switch (snap & 0xf0) {
	case 0:
		/* Present in pagemap, unknown to the device: PROT_NONE. */
		return coherent ? DM_UNCLEAR : DM_SYS;
	case HMM_DMIRROR_PROT_ZERO:
		return coherent ? DM_UNCLEAR : DM_ZERO;
	case HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL:
		return coherent ? DM_ON_DEV : DM_UNCLEAR;
	case HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE:
		return coherent ? DM_ON_OTHER : DM_UNCLEAR;
	}
	return DM_UNCLEAR;
}

static enum dm_where dm_where_of(const struct dm_spm *spm, __u64 ent, __u8 snap)
{
	bool none = snap == HMM_DMIRROR_PROT_NONE ||
		    snap == HMM_DMIRROR_PROT_ERROR;

	if (ent & DM_PM_PRESENT)
		return dm_where_present(spm, ent, snap);
	if (ent & DM_PM_SWAP)
		return dm_where_swap(ent, snap);
	return none ? DM_NOWHERE : DM_UNCLEAR;
}

int dm_pages(int fd, const void *addr, unsigned long npages,
	     struct dm_page *pages)
{
	__u64 *ent = calloc(npages, sizeof(*ent));
	__u8 *snap = calloc(npages, 1);
	struct dm_spm spm;
	unsigned long i;
	int ret = -ENOMEM;

	if (!ent || !snap)
		goto out;
	ret = dm_snapshot(fd, addr, npages, snap);
	if (!ret)
		ret = dm_pagemap(addr, npages, ent);
	if (ret)
		goto out;
	dm_spm_read(&spm);
	for (i = 0; i < npages; i++) {
		pages[i].pagemap = ent[i];
		pages[i].snap = snap[i];
		pages[i].where = dm_where_of(&spm, ent[i], snap[i]);
	}
out:
	free(ent);
	free(snap);
	return ret;
}

long dm_count(int fd, const void *addr, unsigned long npages,
	      enum dm_where where)
{
	struct dm_page *pages = calloc(npages, sizeof(*pages));
	unsigned long i;
	long n = 0;
	int ret;

	if (!pages)
		return -ENOMEM;
	ret = dm_pages(fd, addr, npages, pages);
	for (i = 0; !ret && i < npages; i++)
		n += pages[i].where == where;
	free(pages);
	return ret ? ret : n;
}

int dm_all(int fd, const void *addr, unsigned long npages, enum dm_where where,
	   char *why)
{
	struct dm_page *pages = calloc(npages, sizeof(*pages));
	unsigned long i, wrong = 0, first = 0;
	int ret;

	if (!pages)
		return -ENOMEM;
	ret = dm_pages(fd, addr, npages, pages);
	for (i = 0; !ret && i < npages; i++) {
		if (pages[i].where != where && !wrong++)
			first = i;
	}
	if (wrong) {
		ret = -EXDEV;
		if (why)
			snprintf(why, DM_MSG,
				 "page %lu %s, want %s; %#04x %#llx; %lu of %lu wrong",
				 first, dm_where_name(pages[first].where),
				 dm_where_name(where), pages[first].snap,
				 pages[first].pagemap, wrong, npages);
	} else if (ret && why) {
		snprintf(why, DM_MSG, "no residency: errno %d", -ret);
	}
	free(pages);
	return ret;
}

const char *dm_where_name(enum dm_where where)
{
	static const char * const names[] = {
		[DM_NOWHERE] = "not populated",
		[DM_SYS] = "in system memory",
		[DM_ZERO] = "the zero page",
		[DM_SWAPPED] = "swapped",
		[DM_ON_DEV] = "on the device",
		[DM_ON_OTHER] = "on another device",
		[DM_EXCLUSIVE_ENTRY] = "exclusive",
		[DM_UNCLEAR] = "unclear (the sources contradict)",
	};

	return names[where];
}
