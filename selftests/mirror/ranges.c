// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges that are not one plain mapping: holes, borders, the ends of the
 * address space, mappings of other kinds; and what a snapshot says of them.
 */
#include <fcntl.h>
#include "dm_harness.h"

DM_FIXTURE(mirror);

/* Find a special mapping by name; false if this process has none. */
static bool find_map(const char *name, void **start, unsigned long *npages)
{
	unsigned long from, to;
	bool found = false;
	char line[512];
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (!strstr(line, name) ||
		    sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		*start = (void *)from;
		*npages = (to - from) / DM_PAGE;
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

/*
 * A hole in the middle is -EFAULT; what lies before it was read, what lies
 * behind was not, and the caller's buffer shows exactly that.
 */
TEST_F(mirror, hole)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 12, DM_BUF_SMALL));
	dm_fill(b.ptr, 12, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, munmap(b.ptr + 4 * DM_PAGE, 4 * DM_PAGE));
	dm_fill(b.mirror, 12, b.ptr, 7, DM_PEER);
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, b.ptr, 12, b.mirror, &res));
	EXPECT_TAGS(b.mirror + 4 * DM_PAGE, 8, b.ptr + 4 * DM_PAGE, 7,
		    DM_PEER);
	if (dm_ours()) {
		EXPECT_EQ(4, res.cpages);
		EXPECT_TAGS(b.mirror, 4, b.ptr, 1, DM_CPU);
	}
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr + 8 * DM_PAGE, 4, b.mirror,
			     &res));
	EXPECT_EQ(4, res.cpages);
	EXPECT_TAGS(b.mirror, 4, b.ptr + 8 * DM_PAGE, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Mappings that border on each other are one range for the device. */
TEST_F(mirror, across_mappings)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mprotect(b.ptr + 16 * DM_PAGE, 16 * DM_PAGE, PROT_READ));
	ASSERT_EQ(0, madvise(b.ptr + 48 * DM_PAGE, 16 * DM_PAGE,
			     MADV_DONTFORK));
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, 64, b.mirror, &res));
	EXPECT_EQ(64, res.cpages);
	EXPECT_EQ(1, res.faults);
	EXPECT_TAGS(b.mirror, 64, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Ranges that begin and end anywhere in a 2 MiB block, and cross one. */
TEST_F(mirror, unaligned_ranges)
{
	static const struct { unsigned long first, n; } part[] = {
		{ 0, 1 }, { 511, 1 }, { 511, 2 }, { 510, 514 }, { 1, 1023 },
		{ 300, 100 }, { 1023, 1 },
	};
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	unsigned int i;

	ASSERT_EQ(0, dm_buf_anon(&b, 2 * DM_2M_PAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, b.npages, b.ptr, 0, DM_DEV);
	for (i = 0; i < ARRAY_SIZE(part); i++) {
		__u8 *p = b.ptr + part[i].first * DM_PAGE;
		unsigned long n = part[i].n, last = part[i].first + n;

		dm_fill(b.mirror, n, p, 1, DM_DEV);
		EXPECT_EQ(0, dm_write(self->dm.fd, p, n, b.mirror, &res));
		EXPECT_EQ(n, res.cpages);
		/* Exactly those pages: both neighbours keep generation 0. */
		EXPECT_TAGS(p, n, p, 1, DM_DEV);
		if (part[i].first)
			EXPECT_TAGS(p - DM_PAGE, 1, p - DM_PAGE, 0, DM_DEV);
		if (last < b.npages)
			EXPECT_TAGS(b.ptr + last * DM_PAGE, 1,
				    b.ptr + last * DM_PAGE, 0, DM_DEV);
		dm_fill(p, n, p, 0, DM_DEV);
	}
	dm_buf_free(&b);
}

/* The last page a process can have. */
TEST_F(mirror, last_page)
{
	void *top = (void *)0x7fffffffe000UL;
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	void *p;

	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	p = mmap(top, DM_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != top)
		SKIP(return, "the last page is not free");
	dm_fill(p, 1, p, 1, DM_CPU);
	EXPECT_EQ(0, dm_read(self->dm.fd, p, 1, b.mirror, &res));
	EXPECT_EQ(1, res.cpages);
	EXPECT_TAGS(b.mirror, 1, p, 1, DM_CPU);
	dm_fill(b.mirror, 1, p, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, p, 1, b.mirror, &res));
	EXPECT_TAGS(p, 1, p, 2, DM_DEV);
	EXPECT_EQ(0, munmap(p, DM_PAGE));
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, p, 1, b.mirror, &res));
	dm_buf_free(&b);
}

/* Memory that grows: the heap after brk, and below the stack pointer. */
TEST_F(mirror, heap_and_stack)
{
	__u8 stack[3 * DM_PAGE], *p;
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	__u8 *heap;

	ASSERT_EQ(0, dm_buf_anon(&b, 8, DM_BUF_SMALL));
	heap = (__u8 *)(((uintptr_t)sbrk(0) + DM_PAGE - 1) & ~(DM_PAGE - 1));
	ASSERT_EQ(0, brk(heap + 8 * DM_PAGE));
	dm_fill(b.mirror, 8, heap, 1, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, heap, 8, b.mirror, &res));
	EXPECT_TAGS(heap, 8, heap, 1, DM_DEV);
	ASSERT_EQ(0, brk(heap + 4 * DM_PAGE));
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, heap, 8, b.mirror, &res));
	EXPECT_EQ(0, dm_read(self->dm.fd, heap, 4, b.mirror, &res));
	EXPECT_TAGS(b.mirror, 4, heap, 1, DM_DEV);

	p = (__u8 *)(((uintptr_t)stack + DM_PAGE - 1) & ~(DM_PAGE - 1));
	dm_fill(b.mirror, 2, p, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, p, 2, b.mirror, &res));
	EXPECT_TAGS(p, 2, p, 2, DM_DEV);
	dm_buf_free(&b);
}

/*
 * A snapshot tells permission, zero pages and emptiness exactly, and changes
 * none of them: what was empty before is empty after.
 */
TEST_F(mirror, snapshot_vector)
{
	const __u8 want[] = {
		HMM_DMIRROR_PROT_ERROR,
		HMM_DMIRROR_PROT_NONE,
		HMM_DMIRROR_PROT_ZERO | HMM_DMIRROR_PROT_READ,
		HMM_DMIRROR_PROT_READ,
		HMM_DMIRROR_PROT_WRITE,
		HMM_DMIRROR_PROT_NONE,
	};
	const unsigned long n = ARRAY_SIZE(want);
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	__u8 snap[8];
	unsigned long i;

	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	dm_fill(b.ptr + 3 * DM_PAGE, 2, b.ptr + 3 * DM_PAGE, 1, DM_CPU);
	EXPECT_EQ(0, __atomic_load_n(b.ptr + 2 * DM_PAGE, __ATOMIC_RELAXED));
	ASSERT_EQ(0, mprotect(b.ptr, DM_PAGE, PROT_NONE));
	ASSERT_EQ(0, mprotect(b.ptr + 3 * DM_PAGE, DM_PAGE, PROT_READ));
	memset(snap, 0xaa, sizeof(snap));
	EXPECT_EQ(0, dm_cmd(self->dm.fd, HMM_DMIRROR_SNAPSHOT, b.ptr, n, snap,
			    &res));
	EXPECT_EQ(n, res.cpages);
	for (i = 0; i < n; i++)
		EXPECT_EQ(want[i], snap[i]) {
			TH_LOG("page %lu", i);
		}
	EXPECT_EQ(0xaa, snap[n]);
	EXPECT_ALL(self->dm.fd, b.ptr + DM_PAGE, 1, DM_NOWHERE);
	EXPECT_ALL(self->dm.fd, b.ptr + 5 * DM_PAGE, 1, DM_NOWHERE);
	EXPECT_MOVED(&self->dm, "dev_faults", 0);
	dm_buf_free(&b);
}

/* A snapshot shows the size of a page only where it is mapped as a whole. */
TEST_F(mirror, snapshot_order)
{
	const unsigned long n = 2 * DM_2M_PAGES;
	unsigned long i, huge = 0;
	struct dm_buf b;
	__u8 *snap;

	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_THP));
	dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
	snap = calloc(1, n);
	ASSERT_EQ(0, dm_snapshot(self->dm.fd, b.ptr, n, snap));
	for (i = 0; i < n; i++)
		huge += snap[i] == (HMM_DMIRROR_PROT_WRITE |
				    HMM_DMIRROR_PROT_PMD);
	if (huge < n)
		SKIP(goto out, "no huge pages were available");
	/* The second half of the second huge page is read-only now. */
	ASSERT_EQ(0, mprotect(b.ptr + 3 * DM_2M / 2, DM_2M / 2, PROT_READ));
	ASSERT_EQ(0, dm_snapshot(self->dm.fd, b.ptr, n, snap));
	for (i = 0; i < n; i++) {
		__u8 want = i < DM_2M_PAGES ?
			HMM_DMIRROR_PROT_WRITE | HMM_DMIRROR_PROT_PMD :
			i < 3 * DM_2M_PAGES / 2 ? HMM_DMIRROR_PROT_WRITE :
			HMM_DMIRROR_PROT_READ;

		ASSERT_EQ(want, snap[i]) {
			TH_LOG("page %lu", i);
		}
	}
out:
	free(snap);
	dm_buf_free(&b);
}

/* hugetlb pages can be mirrored, seen as huge, but not migrated. */
TEST_F(mirror, hugetlb)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	__u8 snap = 0;

	dm_write_file("/proc/sys/vm/nr_hugepages", "4");
	if (dm_buf_map(&b, DM_2M_PAGES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0))
		SKIP(return, "no hugetlb pages");
	dm_fill(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, b.npages, b.mirror, &res));
	EXPECT_EQ(b.npages, res.cpages);
	EXPECT_TAGS(b.mirror, b.npages, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, b.npages, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, b.npages, b.mirror, &res));
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_snapshot(self->dm.fd, b.ptr, 1, &snap));
	EXPECT_EQ(HMM_DMIRROR_PROT_WRITE | HMM_DMIRROR_PROT_PMD, snap);
	EXPECT_EQ(-EINVAL, dm_to_dev(self->dm.fd, b.ptr, b.npages, b.mirror,
				     &res));
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 2, DM_DEV);
	dm_buf_free(&b);
	dm_write_file("/proc/sys/vm/nr_hugepages", "0");
}

/* The node's own mapping: pages without a file, read right, shown as such. */
TEST_F(mirror, own_node)
{
	struct dm_buf b;
	__u8 snap[4];
	unsigned int i;

	ASSERT_EQ(0, dm_buf_map(&b, 4, PROT_READ, MAP_PRIVATE, self->dm.fd,
				0));
	EXPECT_EQ(0, dm_snapshot(self->dm.fd, b.ptr, 4, snap));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(HMM_DMIRROR_PROT_READ, snap[i]);
	memset(b.mirror, 0xff, b.size);
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, 4, b.mirror, NULL));
	EXPECT_ZERO_PAGES(b.mirror, 4);
	EXPECT_EQ(-EPERM, dm_write(self->dm.fd, b.ptr, 4, b.mirror, NULL));
	dm_buf_free(&b);
}

/* Frames without a struct page are refused, code of the kernel is readable. */
TEST_F(mirror, special_mappings)
{
	struct hmm_dmirror_cmd res;
	unsigned long n;
	struct dm_buf b;
	void *p;

	ASSERT_EQ(0, dm_buf_anon(&b, 16, DM_BUF_SMALL));
	if (find_map("[vvar]", &p, &n))
		EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, p, 1, b.mirror, &res));
	if (find_map("[vdso]", &p, &n)) {
		n = n < 16 ? n : 16;
		EXPECT_EQ(0, dm_read(self->dm.fd, p, n, b.mirror, &res));
		EXPECT_EQ(n, res.cpages);
		EXPECT_EQ(0, memcmp(p, b.mirror, n * DM_PAGE));
		EXPECT_EQ(-EPERM, dm_write(self->dm.fd, p, 1, b.mirror, &res));
	}
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
