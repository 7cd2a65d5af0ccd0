// SPDX-License-Identifier: GPL-2.0
/*
 * Whole 2 MiB pages on the device when system memory has not one piece of that
 * size left, and nothing that compaction could make one of: eviction can use the
 * device's spare, once, and unbinding brings all of them home. Takes nearly all
 * memory of the machine, so it wants a small one of its own, see check-guest.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dm_madvise.h"
#include "teardown.h"

#define LARGE		4UL	/* whole pages on the device */
#define KEEP		32UL	/* one page of so many stays */
#define MAX_KB		(2UL << 20)
#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT		1
#endif

FIXTURE(td_fragmented) {
	struct td td;
	struct dm_buf b;
	uint8_t *mem;
	size_t size;
};

static unsigned long meminfo_kb(const char *key)
{
	char text[4096], *p;

	if (dm_read_file("/proc/meminfo", text, sizeof(text)) < 0)
		return 0;
	p = strstr(text, key);
	return p ? strtoul(p + strlen(key), NULL, 10) : 0;
}

FIXTURE_SETUP(td_fragmented)
{
	if (meminfo_kb("MemTotal:") > MAX_KB)
		SKIP(return, "more memory than can be filled in good time");
	TD_SETUP(&self->td);
	TD_RELOAD("vram_mb=8");
	ASSERT_EQ(0, dm_buf_anon(&self->b, LARGE * DM_2M_PAGES, DM_BUF_THP));
}

FIXTURE_TEARDOWN(td_fragmented)
{
	dm_write_file(HUGE_PAGES, "0");
	munmap(self->mem, self->size);
	dm_write_file("/proc/sys/vm/compact_unevictable_allowed", "1");
	dm_buf_free(&self->b);
	td_restore(_metadata, &self->td);
}

/* Free pieces of 2 MiB and more, after an attempt to make some. */
static long large_pieces(void)
{
	FILE *f;
	char line[512];
	long n[11], sum = 0;

	dm_write_file("/proc/sys/vm/compact_memory", "1");
	f = fopen("/proc/buddyinfo", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %*d, zone %*s %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld",
			   n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7,
			   n + 8, n + 9, n + 10) == 11)
			sum += n[9] + n[10];
	}
	if (f)
		fclose(f);
	return sum;
}

/*
 * Take all memory but a little as locked single pages, give most of it back:
 * one page of KEEP that cannot move is in the way everywhere.
 */
static int fragment(uint8_t **mem, size_t *size)
{
	size_t page;

	dm_write_file("/proc/sys/vm/drop_caches", "3");
	if (dm_write_file("/proc/sys/vm/compact_unevictable_allowed", "0"))
		return -1;
	*size = (meminfo_kb("MemFree:") << 10) - (24UL << 20);
	*mem = mmap(NULL, *size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (*mem == MAP_FAILED || madvise(*mem, *size, MADV_NOHUGEPAGE) ||
	    mlock2(*mem, *size, MLOCK_ONFAULT))
		return -2;
	for (page = 0; page < *size / DM_PAGE; page++)
		(*mem)[page * DM_PAGE] = 1;
	for (page = 0; page + KEEP <= *size / DM_PAGE; page += KEEP)
		if (madvise(*mem + (page + 1) * DM_PAGE, (KEEP - 1) * DM_PAGE,
			    MADV_DONTNEED_LOCKED))
			return -3;
	return 0;
}

/*
 * What there is left, and what reclaim and compaction can make: the kernel tries
 * as hard for its pool of huge pages as it does for an eviction.
 */
static int use_up(void)
{
	__u64 before, after = 0;

	do {
		char text[24];

		before = after;
		snprintf(text, sizeof(text), "%llu", before + 64);
		if (dm_write_file(HUGE_PAGES, text) || dm_read_u64(HUGE_PAGES, &after))
			return -1;
	} while (after > before);
	return 0;
}

TEST_F_TIMEOUT(td_fragmented, unbind, dm_timeout(75))
{
	unsigned long i, whole = 0;
	uint8_t map[LARGE * DM_2M_PAGES];
	int fd = dm_open(DM_PRIVATE0);

	ASSERT_LE(0, fd);
	dm_fill(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, dm_snapshot(fd, self->b.ptr, self->b.npages, map));
	for (i = 0; i < self->b.npages; i++)
		whole += !!(map[i] & HMM_DMIRROR_PROT_PMD);
	if (!whole)
		SKIP(return, "this kernel moves no whole pages");
	ASSERT_EQ(self->b.npages, whole);
	/* Or compaction would make the pieces of this. */
	ASSERT_EQ(0, mlock(self->b.mirror, self->b.size));

	ASSERT_EQ(0, fragment(&self->mem, &self->size));
	ASSERT_EQ(0, use_up());
	ASSERT_EQ(0, large_pieces());
	TH_LOG("%lu MiB free, none of it in pieces of 2 MiB",
	       meminfo_kb("MemFree:") >> 10);

	/* While the device stays there is the spare, and then no more. */
	EXPECT_EQ(-EBUSY, dm_release(fd));
	ASSERT_EQ((LARGE - 1) * DM_2M_PAGES,
		  dm_stat_now(DM_PRIVATE0, "vram_resident_pages"));
	ASSERT_EQ(0, large_pieces());
	ASSERT_EQ(0, close(fd));

	ASSERT_EQ(0, mc_bind(0, false));
	ASSERT_EQ(0, mc_wait_node(0, false));
	for (i = 0; i < LARGE; i++) {
		struct dm_buf part = self->b;

		part.ptr += i * DM_2M;
		part.npages = DM_2M_PAGES;
		ASSERT_HOME(&part, 1, DM_CPU);
	}
}

TEST_HARNESS_MAIN
