// SPDX-License-Identifier: GPL-2.0
/*
 * The device node seen from a test: which module is behind it, one wrapper per
 * ioctl, and the buffers ioctls work on. Owns no state; takes no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "dmirror.h"

enum dm_target dm_target(void)
{
	const char *name = getenv("DMIRROR_TARGET");

	if (name && !strcmp(name, "test_hmm"))
		return DM_TARGET_TEST_HMM;
	if (name && *name)
		return DM_TARGET_OURS;
	return dm_module_loaded("test_hmm") ? DM_TARGET_TEST_HMM :
					      DM_TARGET_OURS;
}

bool dm_ours(void)
{
	return dm_target() == DM_TARGET_OURS;
}

static void dm_node(int index, char *path, size_t len)
{
	snprintf(path, len, "/dev/hmm_dmirror%d", index);
}

int dm_open(int index)
{
	char path[32];
	int fd;

	dm_node(index, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool dm_node_exists(int index)
{
	char path[32];

	dm_node(index, path, sizeof(path));
	return access(path, F_OK) == 0;
}

bool dm_is_coherent(int index)
{
	return index == DM_COHERENT0 || index == DM_COHERENT1;
}

int dm_cmd_once(int fd, unsigned long request, const void *addr,
		unsigned long npages, const void *ptr,
		struct hmm_dmirror_cmd *res)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)addr,
		.ptr = (uintptr_t)ptr,
		.npages = npages,
		.cpages = DM_UNSET,
		.faults = DM_UNSET,
	};
	int ret = ioctl(fd, request, &cmd) ? -errno : 0;

	if (res)
		*res = cmd;
	return ret;
}

int dm_cmd(int fd, unsigned long request, const void *addr,
	   unsigned long npages, const void *ptr, struct hmm_dmirror_cmd *res)
{
	int ret;

	do {
		ret = dm_cmd_once(fd, request, addr, npages, ptr, res);
	} while (ret == -EINTR);
	return ret;
}

int dm_read(int fd, const void *addr, unsigned long npages, void *out,
	    struct hmm_dmirror_cmd *res)
{
	return dm_cmd(fd, HMM_DMIRROR_READ, addr, npages, out, res);
}

int dm_read_unlocked(int fd, const void *addr, unsigned long npages, void *out,
		     struct hmm_dmirror_cmd *res)
{
	return dm_cmd(fd, HMM_DMIRROR_READ_UNLOCKED, addr, npages, out, res);
}

int dm_write(int fd, const void *addr, unsigned long npages, const void *in,
	     struct hmm_dmirror_cmd *res)
{
	return dm_cmd(fd, HMM_DMIRROR_WRITE, addr, npages, in, res);
}

int dm_to_dev(int fd, const void *addr, unsigned long npages, void *out,
	      struct hmm_dmirror_cmd *res)
{
	return dm_cmd(fd, HMM_DMIRROR_MIGRATE_TO_DEV, addr, npages, out, res);
}

int dm_to_sys(int fd, const void *addr, unsigned long npages,
	      struct hmm_dmirror_cmd *res)
{
	return dm_cmd(fd, HMM_DMIRROR_MIGRATE_TO_SYS, addr, npages, NULL, res);
}

int dm_snapshot(int fd, const void *addr, unsigned long npages, __u8 *prot)
{
	return dm_cmd(fd, HMM_DMIRROR_SNAPSHOT, addr, npages, prot, NULL);
}

int dm_exclusive(int fd, const void *addr, unsigned long npages, void *out,
		 struct hmm_dmirror_cmd *res)
{
	return dm_cmd(fd, HMM_DMIRROR_EXCLUSIVE, addr, npages, out, res);
}

int dm_check_exclusive(int fd, const void *addr, unsigned long npages)
{
	return dm_cmd(fd, HMM_DMIRROR_CHECK_EXCLUSIVE, addr, npages, NULL,
		      NULL);
}

int dm_release(int fd)
{
	return dm_cmd(fd, HMM_DMIRROR_RELEASE, NULL, 1, NULL, NULL);
}

int dm_flags(int fd, __u64 flags)
{
	return dm_cmd(fd, HMM_DMIRROR_FLAGS, NULL, flags, NULL, NULL);
}

/*
 * Reserve address space with a gap before and after, so that the kernel can
 * never merge the buffer with a neighbour and a stray access faults.
 */
static int dm_buf_reserve(struct dm_buf *b, unsigned long npages)
{
	uintptr_t start;

	memset(b, 0, sizeof(*b));
	b->npages = npages;
	b->size = npages * DM_PAGE;
	b->area_size = b->size + 3 * DM_2M;
	b->area = mmap(NULL, b->area_size, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (b->area == MAP_FAILED) {
		b->area = NULL;
		return -errno;
	}
	start = ((uintptr_t)b->area + 2 * DM_2M - 1) & ~(DM_2M - 1);
	b->ptr = (__u8 *)start;

	b->mirror = mmap(NULL, b->size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (b->mirror == MAP_FAILED) {
		b->mirror = NULL;
		return -errno;
	}
	return 0;
}

int dm_buf_map(struct dm_buf *b, unsigned long npages, int prot, int flags,
	       int fd, off_t offset)
{
	int ret = dm_buf_reserve(b, npages);
	void *p;

	if (ret)
		goto fail;
	p = mmap(b->ptr, b->size, prot, flags | MAP_FIXED, fd, offset);
	if (p == MAP_FAILED) {
		ret = -errno;
		goto fail;
	}
	return 0;

fail:
	dm_buf_free(b);
	return ret;
}

int dm_buf_anon(struct dm_buf *b, unsigned long npages, int flags)
{
	int advice = flags & DM_BUF_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
	int ret;

	ret = dm_buf_map(b, npages, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ret)
		return ret;
	/* A kernel without huge pages refuses the advice: nothing to avoid. */
	if (madvise(b->ptr, b->size, advice) && flags & DM_BUF_THP) {
		ret = -errno;
		dm_buf_free(b);
	}
	return ret;
}

void dm_buf_free(struct dm_buf *b)
{
	if (b->area)
		munmap(b->area, b->area_size);
	if (b->mirror)
		munmap(b->mirror, b->size);
	memset(b, 0, sizeof(*b));
}
