// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a process in a region of a driver that knows only the historic
 * operations: every way out of the region, faults counted one by one, and
 * unbinding while pages are in use.
 */
#include <linux/mman.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/uio.h>
#include "dt.h"

#define PAGES		64UL
#define REGION		(128UL << 20)	/* a section of x86-64 */
#define SIGBUS_RESULT	2	/* VM_FAULT_SIGBUS */
#define OOM_RESULT	1	/* VM_FAULT_OOM */

FIXTURE(pages)
{
	int fd;
	struct dm_health health;
	char before[DT_STATE];
	unsigned long start;	/* first byte of region 0 */
	size_t len;
	char *mem;
};

FIXTURE_SETUP(pages)
{
	int ret;

	dm_health_begin(&self->health);
	ASSERT_EQ(0, dt_load(""));
	self->fd = dt_open();
	ASSERT_GE(self->fd, 0);
	dt_traces(self->before);
	ret = dt_cmd(self->fd, "private 1");
	if (ret == -EOPNOTSUPP) {
		close(self->fd);
		dt_unload();
		SKIP(return, "kernel without CONFIG_DEVICE_PRIVATE");
	}
	ASSERT_EQ(0, ret);
	self->start = dt_val(self->fd, "first0") * getpagesize();
	self->len = PAGES * getpagesize();
	self->mem = mmap(NULL, self->len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	madvise(self->mem, self->len, MADV_NOHUGEPAGE);
	dm_fill(self->mem, PAGES, self->mem, 1, DM_CPU);
}

FIXTURE_TEARDOWN(pages)
{
	char after[DT_STATE], why[DM_MSG] = "";
	int i;

	munmap(self->mem, self->len);
	for (i = 0; i < 4; i++)
		dt_cmd(self->fd, "remove %d", i);
	close(self->fd);
	EXPECT_EQ(0, dt_unload());
	dt_traces(after);
	EXPECT_STREQ(self->before, after);
	EXPECT_EQ(0, dm_health_end(&self->health, why)) {
		TH_LOG("kernel health: %s", why);
	}
}

/* One load that the compiler cannot leave out. */
static void touch(const char *p)
{
	asm volatile("" :: "r" (__atomic_load_n(p, __ATOMIC_RELAXED)));
}

/* All pages into region @slot; the count is the module's. */
#define MIGRATE(slot)							\
do {									\
	ASSERT_EQ(0, dt_cmd(self->fd, "migrate %d %lu %lu", slot,	\
			    (unsigned long)self->mem, PAGES));		\
	ASSERT_EQ(PAGES, dt_val(self->fd, "moved"));			\
} while (0)

/* Every page that came into use was given back, exactly once. */
#define EXPECT_ALL_FREE()						\
do {									\
	EXPECT_EQ(0, dt_val(self->fd, "in_use0"));			\
	EXPECT_EQ(dt_region_stat(self->start, "got_pages"),		\
		  dt_region_stat(self->start, "freed_pages"));		\
	EXPECT_EQ(dt_region_stat(self->start, "freed_pages"),		\
		  dt_val(self->fd, "free_calls"));			\
} while (0)

TEST_F(pages, one_fault_a_page)
{
	__u64 ent[PAGES];
	size_t i;

	MIGRATE(0);
	EXPECT_EQ(PAGES, dt_val(self->fd, "in_use0"));
	ASSERT_EQ(0, dm_pagemap(self->mem, PAGES, ent));
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(DM_PM_SWAP, ent[i] & (DM_PM_SWAP | DM_PM_PRESENT));
		EXPECT_EQ(DM_SWP_PRIVATE, dm_pm_kind(ent[i]));
	}
	for (i = 0; i < PAGES; i++) {
		touch(self->mem + i * getpagesize());
		touch(self->mem + i * getpagesize());
		EXPECT_EQ(i + 1, dt_val(self->fd, "fault_calls"));
		EXPECT_EQ(PAGES - i - 1, dt_val(self->fd, "in_use0"));
	}
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
	EXPECT_EQ(PAGES, dt_region_stat(self->start, "faults"));
	EXPECT_EQ(0, dt_region_stat(self->start, "fault_errors"));
	EXPECT_ALL_FREE();
}

TEST_F(pages, holes)
{
	ASSERT_EQ(0, madvise(self->mem, self->len, MADV_DONTNEED));
	MIGRATE(0);
	EXPECT_EQ(PAGES, dt_val(self->fd, "in_use0"));
	EXPECT_ZERO_PAGES(self->mem, PAGES);
	EXPECT_EQ(PAGES, dt_val(self->fd, "fault_calls"));
	EXPECT_ALL_FREE();
}

TEST_F(pages, munmap)
{
	MIGRATE(0);
	ASSERT_EQ(0, munmap(self->mem, self->len / 2));
	EXPECT_EQ(PAGES / 2, dt_val(self->fd, "in_use0"));
	ASSERT_EQ(0, munmap(self->mem + self->len / 2, self->len / 2));
	EXPECT_EQ(0, dt_val(self->fd, "fault_calls"));
	EXPECT_ALL_FREE();
}

TEST_F(pages, dontneed)
{
	MIGRATE(0);
	ASSERT_EQ(0, madvise(self->mem, self->len, MADV_DONTNEED));
	EXPECT_EQ(0, dt_val(self->fd, "fault_calls"));
	EXPECT_ALL_FREE();
	EXPECT_ZERO_PAGES(self->mem, PAGES);
}

TEST_F(pages, mremap)
{
	char *to = mmap(NULL, self->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	ASSERT_NE(MAP_FAILED, to);
	MIGRATE(0);
	ASSERT_EQ(to, mremap(self->mem, self->len, self->len,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(PAGES, dt_val(self->fd, "in_use0"));
	EXPECT_TAGS(to, PAGES, self->mem, 1, DM_CPU);
	EXPECT_EQ(PAGES, dt_val(self->fd, "fault_calls"));
	EXPECT_ALL_FREE();
	self->mem = to;
}

/* What a child that only exits leaves to its parent: everything. */
TEST_F(pages, fork_exit)
{
	int status;
	pid_t pid;

	MIGRATE(0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(PAGES, dt_val(self->fd, "in_use0"));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
	EXPECT_ALL_FREE();
}

TEST_F(pages, fork_write)
{
	int status;
	pid_t pid;

	MIGRATE(0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		dm_fill(self->mem, PAGES, self->mem, 2, DM_CHILD);
		_exit(dm_verify(self->mem, PAGES, self->mem, 2, DM_CHILD,
				NULL));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
	EXPECT_ALL_FREE();
}

TEST_F(pages, killed_owner)
{
	int status, ready[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (!dt_cmd(self->fd, "migrate 0 %lu %lu",
			    (unsigned long)self->mem, PAGES))
			write(ready[1], "x", 1);
		pause();
	}
	ASSERT_EQ(1, read(ready[0], &c, 1));
	/* Shared with us since the fork: neither process owns them alone. */
	EXPECT_EQ(dt_val(self->fd, "moved"), dt_val(self->fd, "in_use0"));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
	EXPECT_ALL_FREE();
}

TEST_F(pages, kernel_access)
{
	struct iovec to, from = { self->mem, self->len };

	to.iov_len = self->len;
	to.iov_base = malloc(self->len);
	ASSERT_NE(NULL, to.iov_base);
	MIGRATE(0);
	ASSERT_EQ(self->len, process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	EXPECT_TAGS(to.iov_base, PAGES, self->mem, 1, DM_CPU);
	EXPECT_EQ(PAGES, dt_val(self->fd, "fault_calls"));
	EXPECT_ALL_FREE();
	free(to.iov_base);
}

/* The device lost one page: who touches it dies, nobody else notices. */
TEST_F(pages, fault_error)
{
	int status;
	pid_t pid;

	MIGRATE(0);
	ASSERT_EQ(0, dt_cmd(self->fd, "faultresult %d", SIGBUS_RESULT));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		touch(self->mem);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) {
		TH_LOG("status %#x", status);
	}
	EXPECT_EQ(1, dt_region_stat(self->start, "fault_errors"));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
	EXPECT_ALL_FREE();
}

/* No memory at this moment: the fault is tried again, and nobody dies. */
TEST_F(pages, fault_out_of_memory)
{
	MIGRATE(0);
	ASSERT_EQ(0, dt_cmd(self->fd, "faultresult %d", OOM_RESULT));
	touch(self->mem);
	EXPECT_EQ(2, dt_val(self->fd, "fault_calls"));
	EXPECT_EQ(1, dt_region_stat(self->start, "fault_errors"));
	EXPECT_EQ(PAGES - 1, dt_val(self->fd, "in_use0"));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
	EXPECT_ALL_FREE();
}

#define CHARGED	4096UL	/* pages; what processors keep for later is far less */

/* Usage of the group, within what each processor may keep for later. */
#define EXPECT_CHARGE(cg, want)						\
do {									\
	__u64 now_ = 0;							\
									\
	ASSERT_EQ(0, dm_cg_read(cg, "memory.current", &now_));		\
	EXPECT_LE(llabs((long long)(now_ - (want))), 2 << 20);		\
} while (0)

/*
 * A migration changes who pays for a page as little as moving it in RAM, and at
 * the limit of the group, where not one page more can be charged, the way back
 * is open all the same.
 */
TEST_F(pages, memcg_charge)
{
	const size_t len = CHARGED * getpagesize();
	__u64 anon, there, kills = 1;
	struct dm_cg cg;
	char text[32];
	char *mem;

	if (dm_cg_create(&cg, "devmem"))
		SKIP(return, "no cgroup v2 memory controller");
	ASSERT_EQ(0, dm_cg_enter(&cg));
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	dm_fill(mem, CHARGED, mem, 3, DM_CPU);
	ASSERT_EQ(0, dm_cg_read(&cg, "memory.current", &anon));
	EXPECT_GE(anon, len);
	ASSERT_EQ(0, dt_cmd(self->fd, "migrate 0 %lu %lu", (unsigned long)mem,
			    CHARGED));
	ASSERT_EQ(CHARGED, dt_val(self->fd, "moved"));
	EXPECT_CHARGE(&cg, anon);
	EXPECT_EQ(0, dm_cg_write(&cg, "memory.swap.max", "0"));
	ASSERT_EQ(0, dm_cg_read(&cg, "memory.current", &there));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)there);
	EXPECT_EQ(0, dm_cg_write(&cg, "memory.max", text));
	EXPECT_TAGS(mem, CHARGED, mem, 3, DM_CPU);
	EXPECT_EQ(CHARGED, dt_val(self->fd, "fault_calls"));
	EXPECT_CHARGE(&cg, anon);
	EXPECT_EQ(0, dm_cg_key(&cg, "memory.events", "oom", &kills));
	EXPECT_EQ(0, kills);
	EXPECT_EQ(0, dm_cg_write(&cg, "memory.max", "max"));
	munmap(mem, len);
	EXPECT_CHARGE(&cg, anon - len);
	EXPECT_EQ(0, dm_cg_leave());
	EXPECT_EQ(0, dm_cg_destroy(&cg));
	EXPECT_ALL_FREE();
}

TEST_F(pages, remove_resident)
{
	MIGRATE(0);
	ASSERT_EQ(0, dt_cmd(self->fd, "remove 0"));
	EXPECT_EQ(-ENODEV, dt_val(self->fd, "dying_get"));
	EXPECT_GE(dt_val(self->fd, "evict_calls"), 1);
	EXPECT_EQ(PAGES, dt_val(self->fd, "free_calls"));
	EXPECT_EQ(0, dt_val(self->fd, "fault_calls"));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
	EXPECT_EQ(0, dt_val(self->fd, "fault_calls"));
	EXPECT_EQ(-ENOENT, dt_cmd(self->fd, "migrate 0 %lu 1",
				  (unsigned long)self->mem));
}

TEST_F(pages, unbind_resident)
{
	char text[64];
	int other;

	MIGRATE(0);
	other = dt_open();
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, dt_bind("unbind", "devmem_test.0"));
	EXPECT_EQ(0, mc_iomem("devmem_test.0"));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
	EXPECT_EQ(-ENODEV, dt_cmd(self->fd, "private 1"));
	EXPECT_EQ(-ENODEV, dt_cmd(self->fd, "migrate 0 %lu %lu",
				  (unsigned long)self->mem, PAGES));
	EXPECT_EQ(-1, read(other, text, sizeof(text)));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-ENOENT, dt_open());

	/* The other device lives, and this one comes back as new. */
	EXPECT_EQ(0, access("/dev/devmem_test1", F_OK));
	ASSERT_EQ(0, dt_bind("bind", "devmem_test.0"));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(other));
	self->fd = dt_open();
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, dt_cmd(self->fd, "private 1"));
	MIGRATE(0);
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
}

/* One percpu_ref a region: two on one device must not wait for each other. */
TEST_F(pages, two_regions)
{
	ASSERT_EQ(0, dt_cmd(self->fd, "private 1"));
	ASSERT_EQ(0, dt_cmd(self->fd, "migrate 1 %lu %lu",
			    (unsigned long)self->mem, PAGES / 2));
	ASSERT_EQ(PAGES / 2, dt_val(self->fd, "moved"));
	ASSERT_EQ(0, dt_cmd(self->fd, "migrate 0 %lu %lu",
			    (unsigned long)self->mem + self->len / 2,
			    PAGES / 2));
	ASSERT_EQ(PAGES / 2, dt_val(self->fd, "moved"));
	EXPECT_EQ(PAGES / 2, dt_val(self->fd, "in_use0"));
	EXPECT_EQ(PAGES / 2, dt_val(self->fd, "in_use1"));
	ASSERT_EQ(0, dt_bind("unbind", "devmem_test.0"));
	EXPECT_EQ(0, mc_iomem("devmem_test.0"));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
}

static void *unbinder(void *arg)
{
	*(int *)arg = dt_bind("unbind", "devmem_test.0");
	return NULL;
}

/* kill, drain, unmap, in this order: nothing goes while a page is held. */
TEST_F(pages, unbind_waits)
{
	unsigned long end = self->start + REGION - 1;
	pthread_t thread;
	int i, ret = 1;

	ASSERT_EQ(0, dt_cmd(self->fd, "get 0 100 0"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unbinder, &ret));
	for (i = 0; i < 2000 && dt_region_stat(self->start, "evict_rounds") < 5;
	     i++)
		poll(NULL, 0, 10);
	EXPECT_LT(i, 2000);
	EXPECT_EQ(1, ret);
	EXPECT_EQ(1, dt_region_stat(self->start, "dying"));
	EXPECT_EQ(1, dt_region_stat(self->start, "in_use_pages"));
	EXPECT_TRUE(dt_iomem_has(self->start, end, "devmem_test.0"));
	EXPECT_EQ(-ENODEV, dt_cmd(self->fd, "get 0 101 0"));

	EXPECT_EQ(0, dt_cmd(self->fd, "put"));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, mc_iomem("devmem_test.0"));
}

/* Until there is one region less, or time is up. */
static void wait_regions(int n)
{
	int i;

	for (i = 0; i < 1000 && mc_iomem("devmem_test.0") != n; i++)
		poll(NULL, 0, 10);
}

/*
 * The last region added is the first to go, and one that waits for its pages
 * holds up those before it, not those after it.
 */
TEST_F(pages, unbind_order)
{
	pthread_t thread;
	int ret = 1;

	ASSERT_EQ(0, dt_cmd(self->fd, "private 1"));
	ASSERT_EQ(0, dt_cmd(self->fd, "private 1"));
	ASSERT_EQ(3, mc_iomem("devmem_test.0"));
	/* Each lies below the one before it. */
	ASSERT_EQ(0, dt_cmd(self->fd, "get 1 7 0"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unbinder, &ret));
	wait_regions(2);
	EXPECT_EQ(2, mc_iomem("devmem_test.0"));
	while (dt_region_stat(self->start - REGION, "evict_rounds") < 3)
		poll(NULL, 0, 10);
	EXPECT_EQ(1, ret);
	EXPECT_EQ(2, mc_iomem("devmem_test.0"));
	EXPECT_EQ(1, dt_region_stat(self->start - REGION, "dying"));
	EXPECT_EQ(0, dt_region_stat(self->start, "dying"));
	EXPECT_EQ(LONG_MIN, dt_region_stat(self->start - 2 * REGION, "dying"));
	EXPECT_EQ(0, dt_cmd(self->fd, "put"));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, mc_iomem("devmem_test.0"));
}

/* What a page frame number leads to while a device is bound, and afterwards. */
TEST_F(pages, unbind_lookup)
{
	unsigned long pfn = self->start / getpagesize();
	int other = open("/dev/devmem_test1", O_RDWR | O_CLOEXEC);

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, dt_cmd(other, "private 1"));
	MIGRATE(0);
	EXPECT_EQ(-EXDEV, dt_cmd(other, "lookup 0 %lu", pfn));
	EXPECT_EQ(0, dt_cmd(self->fd, "lookup 0 %lu", pfn));
	ASSERT_EQ(0, dt_bind("unbind", "devmem_test.0"));
	EXPECT_EQ(-ENOENT, dt_cmd(other, "lookup 0 %lu", pfn));
	EXPECT_EQ(-ENOENT, dt_cmd(other, "lookup 0 %lu",
				  pfn + REGION / getpagesize() - 1));
	EXPECT_EQ(0, dt_cmd(other, "lookup 0 %ld", dt_val(other, "first0")));
	EXPECT_EQ(0, dt_cmd(other, "remove 0"));
	EXPECT_EQ(0, close(other));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
}

/* The memory map of 128 MiB is 2 MiB: ten leaks would be hard to miss. */
TEST_F(pages, bind_loop)
{
	char buf[4096];
	long before, after;
	int i;

	ASSERT_EQ(0, dt_cmd(self->fd, "remove 0"));
	ASSERT_EQ(0, dt_bind("unbind", "devmem_test.1"));
	ASSERT_EQ(0, dm_write_file(DT_PARAM "probe_regions", "2"));
	dm_write_file("/proc/sys/vm/drop_caches", "3");
	ASSERT_GT(dm_read_file("/proc/meminfo", buf, sizeof(buf)), 0);
	before = dt_line(buf, "MemAvailable");
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, dt_bind("bind", "devmem_test.1"));
		EXPECT_EQ(2, mc_iomem("devmem_test.1"));
		ASSERT_EQ(0, dt_bind("unbind", "devmem_test.1"));
		EXPECT_EQ(0, mc_iomem("devmem_test.1"));
	}
	dm_write_file("/proc/sys/vm/drop_caches", "3");
	ASSERT_GT(dm_read_file("/proc/meminfo", buf, sizeof(buf)), 0);
	after = dt_line(buf, "MemAvailable");
	EXPECT_GT(after, before - 20 * 1024) {
		TH_LOG("MemAvailable %ld kB, then %ld kB", before, after);
	}
}

TEST_HARNESS_MAIN
