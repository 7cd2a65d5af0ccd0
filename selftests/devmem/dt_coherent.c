// SPDX-License-Identifier: GPL-2.0
/*
 * A region of memory the CPU can reach: pages of a process live there and the
 * process works on them in place. The memory is that of a PCI device, if there
 * is one with nothing but memory, else it is taken from the end of a range that
 * the kernel was told to keep off (memmap=SIZE$START), as long as no other
 * driver uses that part.
 */
#include <glob.h>

#include "dt.h"

#define PAGES	64UL
#define SIZE	(64UL << 20)

FIXTURE(coherent)
{
	int fd;
	struct dm_health health;
	char before[DT_STATE];
	unsigned long start;
	size_t len;
	char *mem;
};

/* End of the memory of an ivshmem device, 0 if there is none. */
static unsigned long bar_end(void)
{
	unsigned long start, end, found = 0;
	char text[4096], *p;
	size_t i, bar;
	glob_t g;

	if (glob("/sys/bus/pci/devices/*/vendor", 0, NULL, &g))
		return 0;
	for (i = 0; i < g.gl_pathc && !found; i++) {
		if (dm_read_file(g.gl_pathv[i], text, sizeof(text)) < 0 ||
		    strcmp(text, "0x1af4\n"))
			continue;
		strcpy(strrchr(g.gl_pathv[i], '/') + 1, "device");
		if (dm_read_file(g.gl_pathv[i], text, sizeof(text)) < 0 ||
		    strcmp(text, "0x1110\n"))
			continue;
		strcpy(strrchr(g.gl_pathv[i], '/') + 1, "resource");
		if (dm_read_file(g.gl_pathv[i], text, sizeof(text)) < 0)
			continue;
		for (p = text, bar = 0; p && bar < 2; bar++)
			p = strchr(p, '\n') + 1;
		if (sscanf(p, "%lx %lx", &start, &end) == 2 &&
		    end - start + 1 >= SIZE)
			found = end + 1;
	}
	globfree(&g);
	return found;
}

/* End of the last range kept off, 0 if there is none. */
static unsigned long reserved_end(void)
{
	unsigned long size, start, end = 0;
	char text[4096], *p, *q;

	if (dm_read_file("/proc/cmdline", text, sizeof(text)) < 0)
		return 0;
	for (p = text; (p = strstr(p, "memmap=")); p = q) {
		size = strtoul(p + 7, &q, 0);
		size <<= *q == 'G' ? 30 : *q == 'M' ? 20 : *q == 'K' ? 10 : 0;
		q += *q == 'G' || *q == 'M' || *q == 'K';
		if (*q != '$' || size < SIZE)
			continue;
		start = strtoul(q + 1, &q, 0);
		if (start + size > end)
			end = start + size;
	}
	return end & -DT_SUBSECTION;
}

FIXTURE_SETUP(coherent)
{
	unsigned long end = bar_end();
	int ret;

	if (!end)
		end = reserved_end();
	if (!end)
		SKIP(return, "no memory to use: boot with memmap=128M$<address>");
	dm_health_begin(&self->health);
	ASSERT_EQ(0, dt_load(""));
	self->fd = dt_open();
	ASSERT_GE(self->fd, 0);
	dt_traces(self->before);
	self->start = end - SIZE;
	ret = dt_cmd(self->fd, "resource %lu %lu %lu", self->start, SIZE,
		     DT_DESC);
	if (ret == -EBUSY) {
		close(self->fd);
		dt_unload();
		SKIP(return, "another driver uses the memory kept off");
	}
	ASSERT_EQ(0, ret);
	self->len = PAGES * getpagesize();
	self->mem = mmap(NULL, self->len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	madvise(self->mem, self->len, MADV_NOHUGEPAGE);
	dm_fill(self->mem, PAGES, self->mem, 1, DM_CPU);
	ASSERT_EQ(0, dt_cmd(self->fd, "migrate 0 %lu %lu",
			    (unsigned long)self->mem, PAGES));
	ASSERT_EQ(PAGES, dt_val(self->fd, "moved"));
}

FIXTURE_TEARDOWN(coherent)
{
	char after[DT_STATE], why[DM_MSG] = "";

	munmap(self->mem, self->len);
	dt_cmd(self->fd, "remove 0");
	close(self->fd);
	EXPECT_EQ(0, dt_unload());
	dt_traces(after);
	EXPECT_STREQ(self->before, after);
	EXPECT_EQ(0, dm_health_end(&self->health, why)) {
		TH_LOG("kernel health: %s", why);
	}
}

/* How many of the pages are in the region, by their physical addresses. */
static unsigned long inside(const char *mem, unsigned long start)
{
	unsigned long i, n = 0, pfn = start / getpagesize();
	__u64 ent[PAGES];

	if (dm_pagemap(mem, PAGES, ent))
		return 0;
	for (i = 0; i < PAGES; i++)
		n += (ent[i] & DM_PM_PRESENT) && dm_pm_pfn(ent[i]) >= pfn &&
		     dm_pm_pfn(ent[i]) < pfn + SIZE / getpagesize();
	return n;
}

TEST_F(coherent, in_place)
{
	EXPECT_EQ(PAGES, inside(self->mem, self->start));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
	dm_fill(self->mem, PAGES, self->mem, 2, DM_CPU);
	EXPECT_TAGS(self->mem, PAGES, self->mem, 2, DM_CPU);
	EXPECT_EQ(PAGES, inside(self->mem, self->start));
	EXPECT_EQ(0, dt_val(self->fd, "fault_calls"));
	EXPECT_EQ(PAGES, dt_val(self->fd, "in_use0"));
	ASSERT_EQ(0, munmap(self->mem, self->len));
	EXPECT_EQ(0, dt_val(self->fd, "in_use0"));
	EXPECT_EQ(PAGES, dt_val(self->fd, "free_calls"));
}

TEST_F(coherent, unbind)
{
	dm_fill(self->mem, PAGES, self->mem, 3, DM_CPU);
	ASSERT_EQ(0, dt_bind("unbind", "devmem_test.0"));
	EXPECT_EQ(0, inside(self->mem, self->start));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 3, DM_CPU);
}

/* The resource is the driver's: adding it again works right away. */
TEST_F(coherent, again)
{
	ASSERT_EQ(0, dt_cmd(self->fd, "remove 0"));
	EXPECT_EQ(0, inside(self->mem, self->start));
	ASSERT_EQ(0, dt_cmd(self->fd, "resource %lu %lu %lu", self->start, SIZE,
			    DT_DESC));
	ASSERT_EQ(0, dt_cmd(self->fd, "migrate 0 %lu %lu",
			    (unsigned long)self->mem, PAGES));
	EXPECT_EQ(PAGES, inside(self->mem, self->start));
	EXPECT_TAGS(self->mem, PAGES, self->mem, 1, DM_CPU);
}

TEST_HARNESS_MAIN
