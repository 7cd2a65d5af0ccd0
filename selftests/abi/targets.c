// SPDX-License-Identifier: GPL-2.0
/*
 * Maps address ranges of every kind a command may meet, and holds the table of
 * answers that Documentation/uapi-compat.rst promises. No verdicts, no state;
 * what is mapped here is unmapped by the end of the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "targets.h"

#define SIZE	(T_NPAGES * DM_PAGE)

const unsigned long command_nr[C_COUNT] = {
	HMM_DMIRROR_READ, HMM_DMIRROR_WRITE, HMM_DMIRROR_MIGRATE_TO_DEV,
	HMM_DMIRROR_MIGRATE_TO_SYS, HMM_DMIRROR_SNAPSHOT,
	HMM_DMIRROR_EXCLUSIVE, HMM_DMIRROR_CHECK_EXCLUSIVE,
	HMM_DMIRROR_RELEASE, HMM_DMIRROR_FLAGS, HMM_DMIRROR_READ_UNLOCKED,
};

const char * const command_name[C_COUNT] = {
	"READ", "WRITE", "MIGRATE_TO_DEV", "MIGRATE_TO_SYS", "SNAPSHOT",
	"EXCLUSIVE", "CHECK_EXCLUSIVE", "RELEASE", "FLAGS", "READ_UNLOCKED",
};

/* Inside a reservation that ends the mapping on both sides. */
static void *place(int prot, int flags, int fd)
{
	uint8_t *room = mmap(NULL, 3 * SIZE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return room;
	return mmap(room + SIZE, SIZE, prot, flags | MAP_FIXED, fd, 0);
}

static void *filled(void *p)
{
	if (p != MAP_FAILED)
		dm_fill(p, T_NPAGES, p, 1, DM_CPU);
	return p;
}

static void *make_anon(int fd)
{
	return filled(place(PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1));
}

static void *make_untouched(int fd)
{
	return place(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void *make_hole(int fd)
{
	void *p = make_anon(fd);

	return p == MAP_FAILED || munmap(p, SIZE) ? MAP_FAILED : p;
}

static void *make_hole_inside(int fd)
{
	uint8_t *p = make_anon(fd);

	if (p == MAP_FAILED || munmap(p + 2 * DM_PAGE, DM_PAGE))
		return MAP_FAILED;
	return p;
}

static void *make_none(int fd)
{
	void *p = make_anon(fd);

	return p == MAP_FAILED || mprotect(p, SIZE, PROT_NONE) ? MAP_FAILED : p;
}

static void *make_readonly(int fd)
{
	void *p = make_anon(fd);

	return p == MAP_FAILED || mprotect(p, SIZE, PROT_READ) ? MAP_FAILED : p;
}

/* A multiple of nothing but base pages: a part of one huge page. */
static void *make_hugetlb(int fd)
{
	uint8_t *p;

	dm_write_file("/proc/sys/vm/nr_hugepages", "16");
	p = mmap(NULL, DM_2M, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	return filled(p);
}

static int temp_file(void)
{
	static uint8_t page[SIZE];
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0 || write(fd, page, sizeof(page)) != sizeof(page))
		return -1;
	return fd;
}

static void *make_file_private(int fd)
{
	return place(PROT_READ | PROT_WRITE, MAP_PRIVATE, temp_file());
}

static void *make_file_private_written(int fd)
{
	return filled(make_file_private(fd));
}

static void *make_file_shared(int fd)
{
	return filled(place(PROT_READ | PROT_WRITE, MAP_SHARED, temp_file()));
}

static void *make_memfd(int fd)
{
	int m = memfd_create("abi", 0);

	if (m < 0 || ftruncate(m, SIZE))
		return MAP_FAILED;
	return filled(place(PROT_READ | PROT_WRITE, MAP_SHARED, m));
}

/* Out of the kernel's own reach, too. ENOSYS where there is no such thing. */
static void *make_secret(int fd)
{
	int m = syscall(__NR_memfd_secret, O_CLOEXEC);

	if (m < 0 || ftruncate(m, SIZE))
		return MAP_FAILED;
	return filled(place(PROT_READ | PROT_WRITE, MAP_SHARED, m));
}

static void *make_shared_anon(int fd)
{
	return filled(place(PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1));
}

/* The file ends before the range does. */
static void *make_beyond_eof(int fd)
{
	int m = memfd_create("abi", 0);

	if (m < 0 || ftruncate(m, DM_PAGE))
		return MAP_FAILED;
	return place(PROT_READ | PROT_WRITE, MAP_SHARED, m);
}

static void *make_node(int fd)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void *special(const char *name)
{
	unsigned long start;
	char line[300];
	FILE *f = fopen("/proc/self/maps", "r");
	void *p = MAP_FAILED;

	while (f && p == MAP_FAILED && fgets(line, sizeof(line), f))
		if (strstr(line, name) && sscanf(line, "%lx-", &start) == 1)
			p = (void *)start;
	if (f)
		fclose(f);
	return p;
}

static void *make_vdso(int fd)
{
	return special("[vdso]");
}

static void *make_vvar(int fd)
{
	void *p = special("[vvar_vclock]");

	/* Older kernels have all of it in one mapping. */
	return p == MAP_FAILED ? special("[vvar]") : p;
}

/*
 * READ, WRITE, TO_DEV, TO_SYS, SNAPSHOT, EXCLUSIVE, CHECK, RELEASE, FLAGS,
 * READ_UNLOCKED
 */
const struct target targets[] = {
	{ "anonymous memory", make_anon,
	  { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ "untouched memory", make_untouched,
	  { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ "a hole", make_hole,
	  { EFAULT, EFAULT, EINVAL, EINVAL, 0, EFAULT, 0, 0, 0, EFAULT } },
	{ "a hole inside", make_hole_inside,
	  { EFAULT, EFAULT, EINVAL, EINVAL, 0, EFAULT, 0, 0, 0, EFAULT } },
	{ "no access", make_none,
	  { EFAULT, EFAULT, EINVAL, EINVAL, 0, EFAULT, 0, 0, 0, EFAULT } },
	{ "read-only memory", make_readonly,
	  { 0, EPERM, 0, 0, 0, EFAULT, 0, 0, 0, 0 } },
	{ "a hugetlb page", make_hugetlb,
	  { 0, 0, EINVAL, EINVAL, 0, EOPNOTSUPP, 0, 0, 0, 0 } },
	{ "a private file", make_file_private,
	  { 0, 0, ENOENT, 0, 0, 0, 0, 0, 0, 0 } },
	{ "a private file, written", make_file_private_written,
	  { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ "a shared file", make_file_shared,
	  { 0, 0, ENOENT, 0, 0, EOPNOTSUPP, 0, 0, 0, 0 } },
	{ "a memfd", make_memfd,
	  { 0, 0, ENOENT, 0, 0, EOPNOTSUPP, 0, 0, 0, 0 } },
	{ "secret memory", make_secret,
	  { EFAULT, EFAULT, ENOENT, 0, 0, EFAULT, 0, 0, 0, EFAULT } },
	{ "shared anonymous memory", make_shared_anon,
	  { 0, 0, ENOENT, 0, 0, EOPNOTSUPP, 0, 0, 0, 0 } },
	{ "beyond the end of a file", make_beyond_eof,
	  { EFAULT, EFAULT, ENOENT, 0, 0, EOPNOTSUPP, 0, 0, 0, EFAULT } },
	{ "memory of the node", make_node,
	  { 0, 0, EINVAL, EINVAL, 0, EOPNOTSUPP, 0, 0, 0, 0 } },
	{ "the vdso", make_vdso,
	  { 0, EPERM, EINVAL, EINVAL, 0, EFAULT, 0, 0, 0, 0 } },
	{ "a device mapping", make_vvar,
	  { EFAULT, EFAULT, EINVAL, EINVAL, 0, EFAULT, 0, 0, 0, EFAULT } },
	{ 0 }
};

bool can_exclusive(void)
{
	return dm_node_exists(DM_PRIVATE0);
}

const struct target *target_named(const char *name)
{
	const struct target *t;

	for (t = targets; t->name; t++)
		if (!strcmp(t->name, name))
			return t;
	return NULL;
}
