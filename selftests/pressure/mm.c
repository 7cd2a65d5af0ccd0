// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own housekeeping at work on a range that is partly on the device:
 * compaction, cache dropping, page merging, khugepaged, splitting, and folios of
 * middling size, with swap behind it all.
 */
#include <fcntl.h>
#include <pthread.h>

#include "dm_madvise.h"
#include "pressure.h"

#define NPAGES	1024UL
#define KSM	"/sys/kernel/mm/ksm/"
#define THP	"/sys/kernel/mm/transparent_hugepage/"

PR_FIXTURE_SWAP(mm);

#define E		(&self->e)
#define FD		(self->e.dm.fd)

struct keeper {
	const char *file;
	const char *text;
	bool stop;
	unsigned long rounds;
};

/* Writes to a file of the kernel all the time. */
static void *keep_writing(void *arg)
{
	struct keeper *k = arg;

	while (!__atomic_load_n(&k->stop, __ATOMIC_RELAXED)) {
		dm_write_file(k->file, k->text);
		k->rounds++;
	}
	return NULL;
}

/* Generation after generation through the device until @ms have passed. */
static void churn(struct __test_metadata *_metadata, struct pr_env *e,
		  struct dm_buf *b, int ms)
{
	long long end = sc_now_ms() + ms;
	unsigned int gen;
	int fd = e->dm.fd;

	for (gen = 1; gen < 3 || sc_now_ms() < end; gen++) {
		dm_fill(b->ptr, b->npages, b->ptr, gen, DM_CPU);
		ASSERT_DEV_READS(fd, b, gen, DM_CPU);
		ASSERT_EQ(0, pr_to_dev(e, b->ptr, b->npages / 2, b->mirror));
		ASSERT_TAGS(b->mirror, b->npages / 2, b->ptr, gen, DM_CPU);
		ASSERT_DEV_WRITES(fd, b, gen, DM_DEV);
		if (gen % 2)
			ASSERT_EQ(0, dm_to_sys(fd, b->ptr, b->npages, NULL));
		ASSERT_TAGS(b->ptr, b->npages, b->ptr, gen, DM_DEV);
	}
}

/* The device reads every other page, and it is what was written. */
static bool every_other_is(int fd, const __u8 *p, unsigned long npages, void *page)
{
	unsigned long i;

	for (i = 1; i < npages; i += 2) {
		if (dm_read(fd, p + i * DM_PAGE, 1, page, NULL) ||
		    dm_verify(page, 1, p + i * DM_PAGE, 3, DM_CPU, NULL))
			return false;
	}
	return true;
}

/*
 * Memory is compacted all the time, in holes made for that. Which pages fill them is
 * not the test's to say; where it is, see numa.
 */
TEST_F(mm, compaction)
{
	struct keeper k = { "/proc/sys/vm/compact_memory", "1" };
	unsigned long long scanned = pr_vmstat("compact_migrate_scanned");
	const unsigned long npages = 4096;
	struct dm_buf b, holes;
	unsigned long i;
	pthread_t t;

	ONE_SWAP_WILL_DO(E);
	if (access(k.file, W_OK))
		SKIP(return, "no compaction");
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&holes, npages, DM_BUF_SMALL));
	dm_fill(holes.ptr, npages, holes.ptr, 3, DM_CPU);
	for (i = 0; i < npages; i += 2)
		madvise(holes.ptr + i * DM_PAGE, DM_PAGE, MADV_DONTNEED);
	EXPECT_TRUE(every_other_is(FD, holes.ptr, npages, b.mirror));
	ASSERT_EQ(0, pthread_create(&t, NULL, keep_writing, &k));
	churn(_metadata, E, &b, 1500);
	__atomic_store_n(&k.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_LT(0, k.rounds);
	EXPECT_LT(scanned, pr_vmstat("compact_migrate_scanned"));
	EXPECT_TRUE(every_other_is(FD, holes.ptr, npages, b.mirror));
	dm_buf_free(&holes);
	dm_buf_free(&b);
}

/* Wait until nothing of a mapping of a file is in memory. */
static bool all_dropped(struct dm_buf *b)
{
	long long end = sc_now_ms() + 1000LL * dm_timeout(5);
	unsigned char vec[NPAGES];
	unsigned long i, n;

	do {
		if (mincore(b->ptr, b->size, vec))
			return false;
		for (i = n = 0; i < b->npages; i++)
			n += vec[i] & 1;
		if (n)
			usleep(1000);
	} while (n && sc_now_ms() < end);
	return !n;
}

/*
 * Clean pages of a file are dropped as soon as the process has them mapped no more,
 * also where the device had; what it reads then comes from the disk again.
 */
TEST_F(mm, drop_caches)
{
	struct keeper k = { "/proc/sys/vm/drop_caches", "3" };
	struct dm_buf anon, file;
	struct dm_zram disk;
	pthread_t t;
	int fd, i;

	ONE_SWAP_WILL_DO(E);
	ASSERT_EQ(0, dm_zram_on(&disk, NPAGES * DM_PAGE));
	ASSERT_EQ(0, dm_swap_stop(&disk));
	fd = open(disk.dev, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pr_buf(E, &anon, NPAGES, DM_BUF_SMALL));
	dm_fill(anon.mirror, NPAGES, anon.ptr, 9, DM_PEER);
	ASSERT_EQ(anon.size, pwrite(fd, anon.mirror, anon.size, 0));
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(0, dm_buf_map(&file, NPAGES, PROT_READ, MAP_PRIVATE, fd, 0));
	ASSERT_EQ(0, pthread_create(&t, NULL, keep_writing, &k));
	for (i = 0; i < 4; i++) {
		memset(file.mirror, 0xee, file.size);
		ASSERT_EQ(0, dm_read(FD, file.ptr, NPAGES, file.mirror, NULL));
		ASSERT_TAGS(file.mirror, NPAGES, anon.ptr, 9, DM_PEER);
		churn(_metadata, E, &anon, 100);
		ASSERT_EQ(0, madvise(file.ptr, file.size, MADV_DONTNEED));
		ASSERT_TRUE(all_dropped(&file));
	}
	__atomic_store_n(&k.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_LT(0, k.rounds);
	dm_buf_free(&file);
	close(fd);
	EXPECT_EQ(0, dm_zram_off(&disk));
	dm_buf_free(&anon);
}

static unsigned long same_frames(struct dm_buf *a, struct dm_buf *b)
{
	__u64 x[NPAGES], y[NPAGES];
	unsigned long i, n = 0;

	if (dm_pagemap(a->ptr, a->npages, x) || dm_pagemap(b->ptr, b->npages, y))
		return 0;
	for (i = 0; i < a->npages; i++)
		n += dm_pm_pfn(x[i]) && dm_pm_pfn(x[i]) == dm_pm_pfn(y[i]);
	return n;
}

/* Let ksmd look at everything at least @scans times more. */
static bool ksm_scan(unsigned int scans)
{
	long long end = sc_now_ms() + 1000LL * dm_timeout(5);
	__u64 start, now = 0;

	/* Do not pass over pages that have not been merged for some time. */
	dm_write_file(KSM "smart_scan", "0");
	dm_write_file(KSM "pages_to_scan", "5000");
	dm_write_file(KSM "sleep_millisecs", "5");
	if (dm_read_u64(KSM "full_scans", &start))
		return false;
	dm_write_file(KSM "run", "1");
	do {
		usleep(5000);
		dm_read_u64(KSM "full_scans", &now);
	} while (now < start + scans && sc_now_ms() < end);
	dm_write_file(KSM "run", "0");
	return now >= start + scans;
}

/*
 * Merged pages are migrated, or are not; swapped out, and read back; and a write
 * by either side of the device is a write to one of the twins.
 */
TEST_F(mm, merged_pages)
{
	const unsigned long n = 64;
	struct dm_buf a, b;

	if (access(KSM "run", W_OK))
		SKIP(return, "no KSM");
	ASSERT_EQ(0, pr_buf(E, &a, n, DM_BUF_SMALL));
	ASSERT_EQ(0, pr_buf(E, &b, n, DM_BUF_SMALL));
	dm_fill(a.ptr, n, a.ptr, 1, DM_CPU);
	dm_fill(b.ptr, n, a.ptr, 1, DM_CPU);
	/* Half of one twin is on the device when the scanner comes. */
	ASSERT_EQ(0, dm_to_dev(FD, a.ptr, n / 2, a.mirror, NULL));
	ASSERT_EQ(0, madvise(a.ptr, a.size, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_MERGEABLE));
	ASSERT_TRUE(ksm_scan(4));
	EXPECT_EQ(n / 2, same_frames(&a, &b));
	EXPECT_ALL(FD, a.ptr, n / 2, DM_ON_DEV);
	ASSERT_EQ(0, dm_to_sys(FD, a.ptr, n, NULL));
	ASSERT_TRUE(ksm_scan(4));
	EXPECT_EQ(n, same_frames(&a, &b));

	dm_restart(&E->dm);
	dm_to_dev(FD, a.ptr, n, a.mirror, NULL);
	EXPECT_CLASSES(&E->dm, "in", n);
	dm_fill(a.mirror, n, a.ptr, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(FD, a.ptr, n / 2, a.mirror, NULL));
	EXPECT_TAGS(b.ptr, n, a.ptr, 1, DM_CPU);
	EXPECT_TAGS(a.ptr, n / 2, a.ptr, 2, DM_DEV);
	EXPECT_TAGS(a.ptr + n / 2 * DM_PAGE, n / 2, a.ptr + n / 2 * DM_PAGE, 1,
		    DM_CPU);
	pr_reclaim(E, a.size + b.size);
	EXPECT_SOME_SWAP_USED(E);
	ASSERT_EQ(0, dm_read(FD, b.ptr, n, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, n, a.ptr, 1, DM_CPU);
	EXPECT_TAGS(a.ptr, n / 2, a.ptr, 2, DM_DEV);
	dm_write_file(KSM "run", "2");
	dm_buf_free(&a);
	dm_buf_free(&b);
}

/* Is the page mapped as part of 2 MiB? */
static bool is_huge(int fd, const void *addr)
{
	__u8 snap;

	return !dm_snapshot(fd, addr, 1, &snap) && (snap & HMM_DMIRROR_PROT_PMD);
}

/* Wait until khugepaged has looked at everything @n more times. */
static bool khugepaged_scans(unsigned int n)
{
	long long end = sc_now_ms() + 1000LL * dm_timeout(10);
	__u64 start, now;

	if (dm_read_u64(THP "khugepaged/full_scans", &start))
		return false;
	do {
		usleep(10000);
		if (dm_read_u64(THP "khugepaged/full_scans", &now))
			return false;
	} while (now < start + n && sc_now_ms() < end);
	return now >= start + n;
}

/* Values of files that a test changes, to be put back. */
struct setting {
	const char *file;
	char was[64];
};

static void set(struct setting *s, const char *file, const char *text)
{
	char *mark, *end;

	s->file = file;
	if (dm_read_file(file, s->was, sizeof(s->was)) < 0)
		s->was[0] = '\0';
	/* "always [madvise] never": the one in brackets. */
	mark = strchr(s->was, '[');
	end = mark ? strchr(mark, ']') : NULL;
	if (end) {
		*end = '\0';
		memmove(s->was, mark + 1, strlen(mark + 1) + 1);
	}
	dm_write_file(file, text);
}

static void put_back(struct setting *s)
{
	if (s->was[0])
		dm_write_file(s->file, s->was);
}

/*
 * Four ranges of 2 MiB: one in memory, one half on the device, one half in swap,
 * one a bit of each. khugepaged works through them; what it may collapse it
 * does, and what is on the device stays.
 */
TEST_F(mm, khugepaged)
{
	const unsigned long n = DM_2M_PAGES;
	struct setting s[3];
	unsigned long i;
	struct dm_buf b;

	if (access(THP "khugepaged/full_scans", R_OK))
		SKIP(return, "no khugepaged");
	ASSERT_EQ(0, pr_buf(E, &b, 4 * n, DM_BUF_SMALL));
	dm_fill(b.ptr, 4 * n, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr + n * DM_PAGE, n / 2, b.mirror, NULL));
	ASSERT_EQ(0, dm_swap_out(b.ptr + 2 * n * DM_PAGE, n / 2));
	for (i = 3 * n; i < 4 * n; i += 3 * n / 8) {
		ASSERT_EQ(0, dm_to_dev(FD, b.ptr + i * DM_PAGE, n / 8, b.mirror,
				       NULL));
		ASSERT_EQ(0, dm_swap_out(b.ptr + (i + n / 8) * DM_PAGE, n / 8));
	}
	EXPECT_SOME_SWAP_USED(E);
	dm_restart(&E->dm);
	set(&s[0], THP "khugepaged/scan_sleep_millisecs", "5");
	set(&s[1], THP "khugepaged/pages_to_scan", "100000");
	set(&s[2], THP "khugepaged/alloc_sleep_millisecs", "5");
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_HUGEPAGE));
	EXPECT_TRUE(khugepaged_scans(3));
	for (i = 0; i < 3; i++)
		put_back(&s[i]);

	EXPECT_TRUE(is_huge(FD, b.ptr));
	EXPECT_ALL(FD, b.ptr + n * DM_PAGE, n / 2, DM_ON_DEV);
	EXPECT_MOVED(&E->dm, "vram_resident_pages", 0);
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, 4 * n, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Split, by order of debugfs, what is on the device whole and what is here. */
TEST_F(mm, split_huge_pages)
{
	const char *const file = "/sys/kernel/debug/split_huge_pages";
	const unsigned long n = DM_2M_PAGES;
	struct dm_buf b;
	char text[96];

	ONE_SWAP_WILL_DO(E);
	if (access(file, W_OK))
		SKIP(return, "no debugfs file to split huge pages");
	ASSERT_EQ(0, pr_buf(E, &b, 2 * n, DM_BUF_THP));
	dm_fill(b.ptr, 2 * n, b.ptr, 1, DM_CPU);
	if (!is_huge(FD, b.ptr) || !is_huge(FD, b.ptr + n * DM_PAGE))
		SKIP(goto out, "no huge pages to be had");
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, n, b.mirror, NULL));
	ASSERT_EQ(0, dm_read(FD, b.ptr + n * DM_PAGE, n, b.mirror, NULL));
	dm_restart(&E->dm);
	snprintf(text, sizeof(text), "%d,%#lx,%#lx,0", getpid(),
		 (unsigned long)b.ptr, (unsigned long)b.ptr + b.size);
	EXPECT_EQ(0, dm_write_file(file, text));
	/* The one in memory is split; the one on the device is not lost. */
	EXPECT_FALSE(is_huge(FD, b.ptr + n * DM_PAGE));
	EXPECT_ALL(FD, b.ptr, n, DM_ON_DEV);
	EXPECT_MOVED(&E->dm, "vram_resident_pages", 0);
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	ASSERT_DEV_WRITES(FD, &b, 2, DM_DEV);
	ASSERT_EQ(0, dm_swap_out(b.ptr + n * DM_PAGE, n));
	EXPECT_SOME_SWAP_USED(E);
	ASSERT_DEV_READS(FD, &b, 2, DM_DEV);
	EXPECT_TAGS(b.ptr, 2 * n, b.ptr, 2, DM_DEV);
out:
	dm_buf_free(&b);
}

/* Are all pages where those of a folio of @n pages are: next to each other, aligned? */
static bool in_folios_of(struct dm_buf *b, unsigned int n)
{
	__u64 pm[NPAGES];
	unsigned long i;

	if (dm_pagemap(b->ptr, b->npages, pm))
		return false;
	for (i = 0; i < b->npages; i++)
		if (dm_pm_pfn(pm[i]) != dm_pm_pfn(pm[i - i % n]) + i % n ||
		    dm_pm_pfn(pm[i - i % n]) % n)
			return false;
	return true;
}

/* Folios of 64 KiB: to the device, home, out whole and back, a part at a time. */
TEST_F(mm, middle_sized_folios)
{
	const char *const file = THP "hugepages-64kB/enabled";
	const unsigned long n = 256;
	struct setting s;
	unsigned long i;
	struct dm_buf b;

	if (access(file, W_OK))
		SKIP(return, "no folios of 64 KiB");
	set(&s, file, "always");
	ASSERT_EQ(0, pr_buf(E, &b, n, DM_BUF_THP));
	/* Not 2 MiB at once. */
	for (i = 0; i < n; i += 16)
		dm_fill(b.ptr + i * DM_PAGE, 16, b.ptr + i * DM_PAGE, 1, DM_CPU);
	EXPECT_TRUE(in_folios_of(&b, 16));
	ASSERT_EQ(0, dm_swap_out(b.ptr, n));
	EXPECT_SOME_SWAP_USED(E);
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	/* A part of each folio goes to the device, the rest to swap. */
	for (i = 0; i < n; i += 16) {
		__u8 *p = b.ptr + i * DM_PAGE;

		ASSERT_EQ(0, pr_to_dev(E, p + 4 * DM_PAGE, 4, b.mirror));
		ASSERT_EQ(0, dm_swap_out(p + 8 * DM_PAGE, 8));
		EXPECT_ALL(FD, p + 4 * DM_PAGE, 4, DM_ON_DEV);
	}
	ASSERT_DEV_WRITES(FD, &b, 2, DM_DEV);
	EXPECT_TAGS(b.ptr, n, b.ptr, 2, DM_DEV);
	put_back(&s);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
