// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody else touches the device-private pages of a process: ptrace,
 * process_vm_readv(2), /proc/PID/mem, direct I/O, a core dump. They get the
 * right bytes and the pages come back. Owns its buffers and children; no locks.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "stage.h"

#define NPAGES	32UL

FIXTURE(cf_remote) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct sc_sync ready, check;
	pid_t kid;
};

/*
 * The other process: has its pages, generation 1, on a device of its own, and
 * at the end verifies that somebody made them generation 2. Exit status 0 only
 * if all pages were on the device before and in system memory afterwards.
 */
static int victim(struct dm_buf *b, struct sc_sync *ready,
		  struct sc_sync *check)
{
	int fd = dm_open(DM_PRIVATE0);

	if (fd < 0)
		return 10;
	dm_fill(b->ptr, b->npages, b->ptr, 1, DM_CPU);
	if (dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL))
		return 11;
	if (dm_all(fd, b->ptr, b->npages, DM_ON_DEV, NULL))
		return 12;
	if (sc_post(ready) || sc_wait(check))
		return 13;
	if (dm_all(fd, b->ptr, b->npages, DM_SYS, NULL))
		return 14;
	if (dm_verify(b->ptr, b->npages, b->ptr, 2, DM_PEER, NULL))
		return 15;
	return 0;
}

FIXTURE_SETUP(cf_remote)
{
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, sc_sync_init(&self->ready));
	ASSERT_EQ(0, sc_sync_init(&self->check));
	self->kid = fork();
	ASSERT_LE(0, self->kid);
	if (!self->kid)
		_exit(victim(&self->b, &self->ready, &self->check));
	ASSERT_EQ(0, sc_wait(&self->ready));
}

FIXTURE_TEARDOWN(cf_remote)
{
	if (self->kid > 0) {
		kill(self->kid, SIGKILL);
		sc_reap(self->kid);
	}
	sc_sync_fini(&self->ready);
	sc_sync_fini(&self->check);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* The victim agrees that its pages are back and hold the new generation. */
#define ASSERT_VICTIM_HAPPY() do {					\
	sc_post(&self->check);						\
	ASSERT_EQ(0, sc_reap(self->kid));				\
	self->kid = 0;							\
} while (0)

/* process_vm_readv() and process_vm_writev() on another's device pages. */
TEST_F(cf_remote, process_vm)
{
	size_t len = NPAGES * DM_PAGE;
	struct iovec here = { self->b.mirror, len };
	struct iovec there = { self->b.ptr, len };

	ASSERT_EQ(len, process_vm_readv(self->kid, &here, 1, &there, 1, 0));
	ASSERT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 1, DM_CPU);
	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 2, DM_PEER);
	ASSERT_EQ(len, process_vm_writev(self->kid, &here, 1, &there, 1, 0));
	ASSERT_VICTIM_HAPPY();
	if (self->dm.counters)
		ASSERT_EQ(NPAGES, stage_delta(&self->dm, "cpu_fault_pages"));
}

/* A store first: process_vm_writev() replaces pages it has never read. */
TEST_F(cf_remote, process_vm_write_first)
{
	size_t len = NPAGES * DM_PAGE;
	struct iovec here = { self->b.mirror, len };
	struct iovec there = { self->b.ptr, len };

	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 2, DM_PEER);
	ASSERT_EQ(len, process_vm_writev(self->kid, &here, 1, &there, 1, 0));
	ASSERT_VICTIM_HAPPY();
}

/* A debugger peeks and pokes every word of a page, one page after the other. */
TEST_F(cf_remote, ptrace)
{
	unsigned long page, word, want, *va;
	int status;

	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->kid, 0, 0));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->kid, 0, 0));
	ASSERT_EQ(self->kid, waitpid(self->kid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	for (page = 0; page < NPAGES; page++) {
		/* All words of two pages, two words of the others. */
		for (word = 0; word < 512; word += page < 2 ? 1 : 511) {
			va = (unsigned long *)(self->b.ptr + page * DM_PAGE) +
			     word;
			want = dm_tag(va, 1, DM_CPU, word);
			errno = 0;
			ASSERT_EQ(want, (unsigned long)
				  ptrace(PTRACE_PEEKDATA, self->kid, va, 0));
			ASSERT_EQ(0, errno);
		}
	}
	for (page = 0; page < NPAGES; page++) {
		for (word = 0; word < 512; word++) {
			va = (unsigned long *)(self->b.ptr + page * DM_PAGE) +
			     word;
			ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, self->kid, va,
					    dm_tag(va, 2, DM_PEER, word)));
		}
	}
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->kid, 0, 0));
	ASSERT_VICTIM_HAPPY();
}

/* The first access of a debugger is a store. */
TEST_F(cf_remote, proc_mem)
{
	size_t len = NPAGES * DM_PAGE;
	off_t at = (off_t)(uintptr_t)self->b.ptr;
	char path[64];
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/mem", self->kid);
	mem = open(path, O_RDWR);
	ASSERT_LE(0, mem);
	/* Half of it written before it is read. */
	dm_fill(self->b.mirror, NPAGES / 2, self->b.ptr, 2, DM_PEER);
	ASSERT_EQ(len / 2, pwrite(mem, self->b.mirror, len / 2, at));
	ASSERT_EQ(len, pread(mem, self->b.mirror, len, at));
	ASSERT_TAGS(self->b.mirror, NPAGES / 2, self->b.ptr, 2, DM_PEER);
	ASSERT_TAGS(self->b.mirror + len / 2, NPAGES / 2,
		    self->b.ptr + len / 2, 1, DM_CPU);
	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 2, DM_PEER);
	ASSERT_EQ(len, pwrite(mem, self->b.mirror, len, at));
	close(mem);
	ASSERT_VICTIM_HAPPY();
}

/*
 * A core dump holds the bytes that were on the device. The core goes to a file
 * in the directory of the victim's choice, so to memory.
 */
TEST_F(cf_remote, core_dump)
{
	char old[256] = "", dir[] = "/dev/shm/cf-core-XXXXXX", path[64];
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };
	Elf64_Phdr ph = { 0 };
	Elf64_Ehdr eh;
	__u64 off = 0;
	int core, i;

	if (access("/dev/shm", W_OK))
		SKIP(return, "no /dev/shm");
	ASSERT_LE(0, dm_read_file("/proc/sys/kernel/core_pattern", old,
				  sizeof(old)));
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/core", dir);
	ASSERT_EQ(0, dm_write_file("/proc/sys/kernel/core_pattern", path));
	ASSERT_EQ(0, prlimit(self->kid, RLIMIT_CORE, &lim, NULL));
	ASSERT_EQ(0, kill(self->kid, SIGABRT));
	EXPECT_EQ(128 + SIGABRT, sc_reap(self->kid));
	self->kid = 0;
	EXPECT_EQ(0, dm_write_file("/proc/sys/kernel/core_pattern", old));

	core = open(path, O_RDONLY);
	ASSERT_LE(0, core) {
		TH_LOG("no core file");
	}
	ASSERT_EQ(sizeof(eh), pread(core, &eh, sizeof(eh), 0));
	for (i = 0; i < eh.e_phnum && !off; i++) {
		ASSERT_EQ(sizeof(ph), pread(core, &ph, sizeof(ph),
					    eh.e_phoff + i * sizeof(ph)));
		if (ph.p_type == PT_LOAD &&
		    ph.p_vaddr <= (uintptr_t)self->b.ptr &&
		    ph.p_vaddr + ph.p_filesz >= (uintptr_t)self->b.ptr +
						NPAGES * DM_PAGE)
			off = ph.p_offset + (uintptr_t)self->b.ptr - ph.p_vaddr;
	}
	ASSERT_NE(0, off);
	ASSERT_EQ(NPAGES * DM_PAGE, pread(core, self->b.mirror,
					  NPAGES * DM_PAGE, off));
	ASSERT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 1, DM_CPU);
	close(core);
	unlink(path);
	rmdir(dir);
}

/* A RAM disk to do direct I/O on; -1 where there is none. */
static int ram_disk(void)
{
	const char *const probe[] = { "modprobe", "-q", "brd", "rd_nr=1",
				      "rd_size=4096", NULL };

	if (access("/dev/ram0", F_OK) && dm_run(probe))
		return -1;
	return open("/dev/ram0", O_RDWR | O_DIRECT);
}

/*
 * Direct I/O pins the process's own pages: it writes what was on the device to
 * the disk, and what it reads from the disk replaces it.
 */
TEST_F(cf_remote, direct_io)
{
	size_t len = NPAGES * DM_PAGE;
	int disk = ram_disk();

	if (disk < 0)
		SKIP(return, "no RAM disk");
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 5, DM_CPU);
	ASSERT_TO_DEV(self->dm.fd, &self->b, 5, DM_CPU);
	ASSERT_EQ(len, pwrite(disk, self->b.ptr, len, 0));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	memset(self->b.mirror, 0xff, len);
	ASSERT_EQ(len, pread(disk, self->b.mirror, len, 0));
	ASSERT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 5, DM_CPU);

	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 6, DM_PEER);
	ASSERT_EQ(len, pwrite(disk, self->b.mirror, len, 0));
	ASSERT_TO_DEV(self->dm.fd, &self->b, 5, DM_CPU);
	ASSERT_EQ(len, pread(disk, self->b.ptr, len, 0));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 6, DM_PEER);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 6, DM_PEER);
	close(disk);
}

TEST_HARNESS_MAIN
