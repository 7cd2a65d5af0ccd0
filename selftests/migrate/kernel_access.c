// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel, on behalf of this process or another one, reads and writes pages
 * that are on the device: system calls, another process's memory, a debugger,
 * direct I/O, a core dump of sorts. Bytes must be right, and each page comes
 * home by exactly one fault.
 */
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include "dm_harness.h"

#define NPAGES	16UL

FIXTURE(migrate)
{
	struct dm_ctx	dm;
	struct dm_buf	b;
	__u8		*got;		/* never on a device */
};

DM_VARIANTS(migrate);

FIXTURE_SETUP(migrate)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->got = malloc(NPAGES * DM_PAGE);
	memset(self->got, 0xee, NPAGES * DM_PAGE);
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
			       self->b.mirror, NULL));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	dm_restart(&self->dm);
}

FIXTURE_TEARDOWN(migrate)
{
	dm_buf_free(&self->b);
	free(self->got);
	dm_teardown(_metadata, &self->dm);
}

/*
 * All pages were touched by the kernel: private ones are home, coherent ones
 * may have been accessed in place. No page was migrated twice.
 */
static void expect_home(struct __test_metadata *_metadata, struct dm_ctx *dm,
			struct dm_buf *b)
{
	if (dm->coherent)
		return;
	EXPECT_ALL(dm->fd, b->ptr, NPAGES, DM_SYS);
	EXPECT_MOVED(dm, "cpu_fault_pages", NPAGES);
}

#define EXPECT_HOME() expect_home(_metadata, &self->dm, &self->b)

/* write(2) from the pages, read(2) into them. */
TEST_F(migrate, system_calls)
{
	size_t len = NPAGES * DM_PAGE;
	int fd = memfd_create("copy", MFD_CLOEXEC);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(len, pwrite(fd, self->b.ptr, len, 0));
	EXPECT_EQ(len, pread(fd, self->got, len, 0));
	EXPECT_TAGS(self->got, NPAGES, self->b.ptr, 1, DM_CPU);
	EXPECT_HOME();

	dm_fill(self->got, NPAGES, self->b.ptr, 2, DM_PEER);
	EXPECT_EQ(len, pwrite(fd, self->got, len, 0));
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
			       self->b.mirror, NULL));
	EXPECT_EQ(len, pread(fd, self->b.ptr, len, 0));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 2, DM_PEER);
	close(fd);
}

/* process_vm_readv(2) and process_vm_writev(2). */
TEST_F(migrate, process_vm)
{
	size_t len = NPAGES * DM_PAGE;
	struct iovec mine = { self->got, len };
	struct iovec its = { self->b.ptr, len };

	EXPECT_EQ(len, process_vm_readv(getpid(), &mine, 1, &its, 1, 0));
	EXPECT_TAGS(self->got, NPAGES, self->b.ptr, 1, DM_CPU);
	EXPECT_HOME();

	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
			       self->b.mirror, NULL));
	dm_fill(self->got, NPAGES, self->b.ptr, 2, DM_PEER);
	EXPECT_EQ(len, process_vm_writev(getpid(), &mine, 1, &its, 1, 0));
	memset(self->b.mirror, 0xee, len);
	EXPECT_EQ(0, dm_read(self->dm.fd, self->b.ptr, NPAGES, self->b.mirror,
			     NULL));
	EXPECT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 2, DM_PEER);
}

/* /proc/self/mem. */
TEST_F(migrate, proc_mem)
{
	size_t len = NPAGES * DM_PAGE;
	off_t at = (uintptr_t)self->b.ptr;
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(len, pread(fd, self->got, len, at));
	EXPECT_TAGS(self->got, NPAGES, self->b.ptr, 1, DM_CPU);
	EXPECT_HOME();

	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
			       self->b.mirror, NULL));
	dm_fill(self->got, NPAGES, self->b.ptr, 2, DM_PEER);
	EXPECT_EQ(len, pwrite(fd, self->got, len, at));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 2, DM_PEER);
	close(fd);
}

/* Direct I/O out of the pages and into them, past the page cache. */
TEST_F(migrate, direct_io)
{
	size_t len = NPAGES * DM_PAGE;
	struct dm_zram z = { .id = -1 };
	int fd;

	/* A block device in memory; swap on it is of no interest here. */
	if (dm_zram_on(&z, 16 << 20)) {
		dm_zram_off(&z);
		SKIP(return, "no zram");
	}
	dm_swap_stop(&z);
	fd = open(z.dev, O_RDWR | O_DIRECT | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(len, pwrite(fd, self->b.ptr, len, 0));
	EXPECT_HOME();
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
			       self->b.mirror, NULL));
	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(self->dm.fd, self->b.ptr, NPAGES,
			      self->b.mirror, NULL));
	/* Generation 1 comes back from the disk over generation 2. */
	EXPECT_EQ(len, pread(fd, self->b.ptr, len, 0));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	close(fd);
	EXPECT_EQ(0, dm_zram_off(&z));
}

/* A child with pages on the device, stopped for its parent. */
static void traced(int index, void *addr, int done)
{
	int fd = dm_open(index);
	__u8 *out = malloc(NPAGES * DM_PAGE);

	if (fd < 0 || ptrace(PTRACE_TRACEME, 0, 0, 0))
		_exit(3);
	dm_fill(addr, NPAGES, addr, 5, DM_CHILD);
	if (dm_to_dev(fd, addr, NPAGES, out, NULL) ||
	    dm_all(fd, addr, NPAGES, DM_ON_DEV, NULL))
		_exit(4);
	raise(SIGSTOP);
	/* What the parent poked is what is there. */
	_exit(dm_verify(addr, 1, addr, 6, DM_PEER, NULL) ||
	      dm_verify((__u8 *)addr + DM_PAGE, NPAGES - 1,
			(__u8 *)addr + DM_PAGE, 5, DM_CHILD, NULL) ? 5 : 0);
}

/* A debugger peeks at and pokes into device pages of another process. */
TEST_F(migrate, debugger)
{
	struct iovec mine = { self->got, NPAGES * DM_PAGE };
	struct iovec its = { self->b.ptr, NPAGES * DM_PAGE };
	int status;
	pid_t pid;
	size_t i;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		traced(self->dm.index, self->b.ptr, 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status)) {
		TH_LOG("status %#x", status);
	}
	for (i = 0; i < NPAGES; i++) {
		errno = 0;
		EXPECT_EQ((long)dm_tag(self->b.ptr + i * DM_PAGE, 5, DM_CHILD,
				       0),
			  ptrace(PTRACE_PEEKDATA, pid,
				 self->b.ptr + i * DM_PAGE, 0));
		EXPECT_EQ(0, errno);
	}
	EXPECT_EQ(its.iov_len, process_vm_readv(pid, &mine, 1, &its, 1, 0));
	EXPECT_TAGS(self->got, NPAGES, self->b.ptr, 5, DM_CHILD);
	for (i = 0; i < DM_PAGE / 8; i++)
		ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, pid, self->b.ptr + 8 * i,
				    dm_tag(self->b.ptr, 6, DM_PEER, i)));
	ASSERT_EQ(0, ptrace(PTRACE_CONT, pid, 0, 0));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* This process's own pages are where and what they were. */
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

TEST_HARNESS_MAIN
