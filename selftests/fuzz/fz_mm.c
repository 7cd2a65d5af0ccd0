// SPDX-License-Identifier: GPL-2.0
/*
 * What else happens to the memory and the files of an input: mappings, protection,
 * advice, the CPU, pins, other processes and threads. Only the areas are touched, and
 * calls may fail as the kernel likes.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <kselftest.h>
#include "fuzz.h"

#define FZ_KSM	"/sys/kernel/mm/ksm/"

/* Missing in older headers. */
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE	0x08
#endif

/* A range of the areas, whole pages; false where the address is none of them. */
static bool fz_range(__u16 addr, __u16 len, __u8 **ptr, size_t *size)
{
	__u64 start = fz_addr(addr) & ~(DM_PAGE - 1), n = fz_len(len);

	if (start < FZ_BASE || start >= FZ_END)
		return false;
	n = (n + DM_PAGE - 1) & ~(DM_PAGE - 1);
	*ptr = (__u8 *)start;
	*size = n > FZ_END - start || !n ? DM_PAGE : n;
	return true;
}

static int fz_prot(__u16 arg)
{
	static const int prots[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE, PROT_WRITE,
				     PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC };

	return prots[arg % ARRAY_SIZE(prots)];
}

/* A file for a mapping, and the flags of mmap() for it; -1 for none. */
static int fz_backing(struct fz_actor *a, unsigned int what, size_t size, int *flags)
{
	int fd = -1;

	*flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	switch (what) {
	case 3:
		*flags = MAP_SHARED | MAP_ANONYMOUS;
		return -1;
	case 4:
	case 5:
		fd = syscall(SYS_memfd_create, "fuzz", 0);
		break;
	case 6:
		fd = syscall(SYS_memfd_secret, 0);
		break;
	case 7:
		fd = fz_chardev(a, 0);
		fd = fd < 0 ? -1 : dup(fd);
		break;
	case 8:
		*flags |= MAP_HUGETLB;
		return -1;
	case 9:
		*flags = MAP_DROPPABLE | MAP_ANONYMOUS;
		return -1;
	case 10:
		fd = open("/proc/self/exe", O_RDONLY);
		break;
	}
	if (fd >= 0 && what != 7 && what != 10 && ftruncate(fd, size / 2 + DM_PAGE))
		what = 4;
	if (fd >= 0)
		*flags = what == 4 || what == 10 ? MAP_PRIVATE : MAP_SHARED;
	return fd;
}

static void fz_m_map(struct fz_actor *a, const struct fz_op *op)
{
	unsigned int what = op->arg[0] % 12;
	int fd, flags, err;
	size_t size;
	__u8 *ptr;

	if (!fz_range(op->arg[1], op->arg[2], &ptr, &size))
		return;
	fd = fz_backing(a, what, size, &flags);
	err = mmap(ptr, size, fz_prot(op->arg[3]), flags | MAP_FIXED, fd, 0) == MAP_FAILED ?
	      errno : 0;
	fz_trace(a, "what %u %p size %#zx errno %d", what, ptr, size, err);
	if (fd >= 0)
		close(fd);
	if (!err && what == 1)
		madvise(ptr, size, MADV_HUGEPAGE);
	fz_saw(a, op, err, what);
}

static void fz_m_unmap(struct fz_actor *a, const struct fz_op *op)
{
	size_t size;
	__u8 *ptr;

	if (fz_range(op->arg[0], op->arg[1], &ptr, &size))
		munmap(ptr, size);
}

static void fz_m_protect(struct fz_actor *a, const struct fz_op *op)
{
	size_t size;
	__u8 *ptr;

	if (fz_range(op->arg[0], op->arg[1], &ptr, &size))
		fz_saw(a, op, mprotect(ptr, size, fz_prot(op->arg[2])) ? errno : 0, 0);
}

static void fz_m_advise(struct fz_actor *a, const struct fz_op *op)
{
	/* With numbers of 102 and more: guard pages. 26: MADV_COLLAPSE is 25. */
	static const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLD,
		MADV_PAGEOUT, 22, 23, 25, MADV_DONTFORK, MADV_WIPEONFORK, MADV_MERGEABLE,
		MADV_UNMERGEABLE, MADV_REMOVE, 102, 103,
	};
	int what = advice[op->arg[2] % ARRAY_SIZE(advice)], err;
	size_t size;
	__u8 *ptr;

	if (!fz_range(op->arg[0], op->arg[1], &ptr, &size))
		return;
	err = madvise(ptr, size, what) ? errno : 0;
	fz_trace(a, "advice %d %p size %#zx errno %d", what, ptr, size, err);
	fz_saw(a, op, err, what);
}

static void fz_m_move(struct fz_actor *a, const struct fz_op *op)
{
	size_t size, size2;
	__u8 *ptr, *to;
	int flags = op->arg[3] & 1 ? 4 : 0;	/* MREMAP_DONTUNMAP */

	if (!fz_range(op->arg[0], op->arg[1], &ptr, &size) ||
	    !fz_range(op->arg[2], op->arg[1], &to, &size2))
		return;
	size = size < size2 ? size : size2;
	fz_saw(a, op, mremap(ptr, size, size, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to) ==
		      MAP_FAILED ? errno : 0, flags);
}

static void fz_m_lock(struct fz_actor *a, const struct fz_op *op)
{
	size_t size;
	__u8 *ptr;

	if (!fz_range(op->arg[0], op->arg[1], &ptr, &size))
		return;
	fz_saw(a, op, (op->arg[2] & 1 ? munlock(ptr, size) : mlock(ptr, size)) ? errno : 0, 0);
}

/* The CPU; what it cannot access it leaves. */
static void fz_m_touch(struct fz_actor *a, const struct fz_op *op)
{
	volatile __u8 *ptr;
	volatile size_t i = 0;
	size_t size;
	__u8 *start;

	if (!fz_range(op->arg[0], op->arg[1], &start, &size))
		return;
	ptr = start;
	sigsetjmp(a->back, 1);
	a->catching = true;
	for (; i < size; ) {
		size_t at = i;

		/* Advanced first: a fault goes on with the next page. */
		i += DM_PAGE;
		if (op->arg[2] & 1)
			ptr[at + (op->arg[2] >> 4) % DM_PAGE] = op->arg[2];
		else
			(void)ptr[at];
	}
	a->catching = false;
}

/* The kernel for the CPU: no signals, another way to fault. */
static void fz_m_kernel(struct fz_actor *a, const struct fz_op *op)
{
	static __thread __u8 buf[16 * DM_PAGE];
	struct iovec local = { buf, sizeof(buf) }, remote;
	__u8 *ptr;

	if (!fz_range(op->arg[0], op->arg[1], &ptr, &remote.iov_len))
		return;
	remote.iov_base = ptr;
	if (op->arg[2] & 1)
		process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
	else
		process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

/* Pins pages in a pipe until it is read, or the process ends. */
static void fz_m_pin(struct fz_actor *a, const struct fz_op *op)
{
	int *p = a->proc->pipe;
	struct iovec iov;
	char buf[DM_PAGE];
	__u8 *ptr;

	if (p[0] < 0 && pipe2(p, O_NONBLOCK | O_CLOEXEC))
		return;
	if (op->arg[2] & 1) {
		while (read(p[0], buf, sizeof(buf)) > 0)
			;
		return;
	}
	if (fz_range(op->arg[0], op->arg[1], &ptr, &iov.iov_len)) {
		iov.iov_base = ptr;
		fz_saw(a, op, vmsplice(p[1], &iov, 1, SPLICE_F_NONBLOCK) < 0 ? errno : 0, 0);
	}
}

/* Pages with the same content, merged; waits for that. */
static void fz_m_ksm(struct fz_actor *a, const struct fz_op *op)
{
	__u64 before = 0, after = 0;
	size_t size, i;
	__u8 *ptr;

	if (!fz_range(op->arg[0], op->arg[1], &ptr, &size) || size > 64 * DM_PAGE ||
	    mmap(ptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED || madvise(ptr, size, MADV_NOHUGEPAGE))
		return;
	/* Another thread may take it away again. */
	if (!sigsetjmp(a->back, 1)) {
		a->catching = true;
		memset(ptr, 0x5a, size);
	}
	a->catching = false;
	if (madvise(ptr, size, MADV_MERGEABLE))
		return;
	dm_read_u64(FZ_KSM "pages_sharing", &before);
	dm_write_file(FZ_KSM "pages_to_scan", "1000");
	dm_write_file(FZ_KSM "sleep_millisecs", "2");
	dm_write_file(FZ_KSM "run", "1");
	for (i = 0; i < 100 && after < before + size / DM_PAGE - 1; i++) {
		usleep(5000);
		dm_read_u64(FZ_KSM "pages_sharing", &after);
	}
	dm_write_file(FZ_KSM "run", "0");
	fz_trace(a, "%llu pages share", after - before);
	fz_saw(a, op, 0, after > before);
}

static void fz_m_close(struct fz_actor *a, const struct fz_op *op)
{
	int *fd = &a->proc->fd[op->arg[0] % FZ_FILES];
	int old = *fd;

	*fd = -1;
	if (old >= 0)
		close(old);
}

static void fz_m_fork(struct fz_actor *a, const struct fz_op *op)
{
	fz_branch(a, 1 + op->arg[0] % 8, false);
}

static void fz_m_thread(struct fz_actor *a, const struct fz_op *op)
{
	fz_branch(a, 1 + op->arg[0] % 8, true);
}

#define FZ_MEM FZ_ADDR, FZ_LEN

const struct fz_kind fz_mm_kinds[] = {
	{ "map",	10, { FZ_SMALL, FZ_MEM, FZ_SMALL }, fz_m_map },
	{ "unmap",	4, { FZ_MEM }, fz_m_unmap },
	{ "protect",	5, { FZ_MEM, FZ_SMALL }, fz_m_protect },
	{ "advise",	8, { FZ_MEM, FZ_SMALL }, fz_m_advise },
	{ "move",	4, { FZ_MEM, FZ_ADDR, FZ_SMALL }, fz_m_move },
	{ "lock",	1, { FZ_MEM, FZ_SMALL }, fz_m_lock },
	{ "touch",	8, { FZ_MEM, FZ_SMALL }, fz_m_touch },
	{ "kernel",	3, { FZ_MEM, FZ_SMALL }, fz_m_kernel },
	{ "pin",	3, { FZ_MEM, FZ_SMALL }, fz_m_pin },
	{ "ksm",	0, { FZ_MEM }, fz_m_ksm },
	{ "close",	4, { FZ_FILE }, fz_m_close },
	{ "fork",	3, { FZ_SMALL }, fz_m_fork },
	{ "thread",	4, { FZ_SMALL }, fz_m_thread },
};

const unsigned int fz_nr_mm = ARRAY_SIZE(fz_mm_kinds);
