// SPDX-License-Identifier: GPL-2.0
/*
 * Whole ranges to the device and back, by request and by CPU fault. Residency
 * is proven twice at every step and content by tags that name page, generation
 * and writer.
 */
#include "dm_harness.h"

#define NPAGES	256UL

DM_FIXTURE(migrate);

/* All of a range to the device; the device's view arrives in the mirror. */
static void to_dev(struct __test_metadata *_metadata, struct dm_ctx *dm,
		   struct dm_buf *b, unsigned long first, unsigned long n)
{
	struct hmm_dmirror_cmd res;
	__u8 *p = b->ptr + first * DM_PAGE;

	memset(b->mirror, 0xee, n * DM_PAGE);
	ASSERT_EQ(0, dm_to_dev(dm->fd, p, n, b->mirror, &res)) {
		TH_LOG("pages %lu+%lu: cpages %llu", first, n, res.cpages);
	}
	ASSERT_EQ(n, res.cpages);
	ASSERT_ALL(dm->fd, p, n, DM_ON_DEV);
}

#define TO_DEV(b, first, n) to_dev(_metadata, &self->dm, b, first, n)

/* Requests in both directions, a new generation each time around. */
TEST_F(migrate, by_request)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	for (i = 1; i <= 5; i++) {
		dm_fill(b.ptr, NPAGES, b.ptr, i, DM_CPU);
		ASSERT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
		TO_DEV(&b, 0, NPAGES);
		EXPECT_TAGS(b.mirror, NPAGES, b.ptr, i, DM_CPU);
		EXPECT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, NPAGES, &res));
		EXPECT_EQ(NPAGES, res.cpages);
		ASSERT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, i, DM_CPU);
	}
	EXPECT_MOVED(&self->dm, "migrate_in_pages", 5 * NPAGES);
	EXPECT_MOVED(&self->dm, "migrate_out_pages", 5 * NPAGES);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
	EXPECT_MOVED(&self->dm, "in_moved_pages", 5 * NPAGES);
	EXPECT_MOVED(&self->dm, "out_moved_pages", 5 * NPAGES);
	EXPECT_CLASSES(&self->dm, "in", 5 * NPAGES);
	EXPECT_CLASSES(&self->dm, "out", 5 * NPAGES);
	EXPECT_MOVED(&self->dm, "migrate_in_failed_pages", 0);
	EXPECT_MOVED(&self->dm, "migrate_out_failed_pages", 0);
	dm_buf_free(&b);
}

/*
 * The CPU touches private device memory: it comes back. Coherent memory is
 * read and written where it is.
 */
TEST_F(migrate, by_cpu_fault)
{
	enum dm_where after = self->dm.coherent ? DM_ON_DEV : DM_SYS;
	struct dm_buf b;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 0, DM_CPU);
	for (i = 1; i <= 5; i++) {
		TO_DEV(&b, 0, NPAGES);
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, i - 1, DM_CPU);
		EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, after);
		TO_DEV(&b, 0, NPAGES);
		dm_fill(b.ptr, NPAGES, b.ptr, i, DM_CPU);
		EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, after);
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, i, DM_CPU);
	}
	if (!self->dm.coherent) {
		EXPECT_MOVED(&self->dm, "cpu_fault_pages", 10 * NPAGES);
		EXPECT_MOVED_MIN(&self->dm, "cpu_faults", 1);
	}
	dm_buf_free(&b);
}

/* The device rewrites its own pages; the CPU sees that generation. */
TEST_F(migrate, device_writes_resident)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	TO_DEV(&b, 0, NPAGES);
	dm_fill(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(NPAGES, res.cpages);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	memset(b.mirror, 0xee, b.size);
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
	dm_buf_free(&b);
}

/*
 * After a migration the device works on the range without a single fault: that
 * is what it was moved for.
 */
TEST_F(migrate, no_faults_after_migration)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	TO_DEV(&b, 0, NPAGES);
	dm_restart(&self->dm);
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(0, res.faults);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, &res));
	EXPECT_EQ(0, res.faults);
	EXPECT_MOVED(&self->dm, "dev_faults", 0);
	EXPECT_MOVED(&self->dm, "cpu_faults", 0);
	dm_buf_free(&b);
}

/* What is there already stays, and is counted as there. */
TEST_F(migrate, twice)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	TO_DEV(&b, 64, 64);
	dm_restart(&self->dm);
	TO_DEV(&b, 0, NPAGES);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_MOVED(&self->dm, "migrate_in_pages", NPAGES - 64);
	TO_DEV(&b, 0, NPAGES);
	EXPECT_MOVED(&self->dm, "migrate_in_pages", NPAGES - 64);

	/* The other way: pages that are home are not pages that came back. */
	EXPECT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, 100, &res));
	EXPECT_EQ(100, res.cpages);
	EXPECT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, NPAGES, &res));
	EXPECT_EQ(NPAGES - 100, res.cpages);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Odd ranges: one page, unaligned ends, more than one 2 MiB block. */
TEST_F(migrate, odd_ranges)
{
	static const struct { unsigned long first, n; } part[] = {
		{ 0, 1 }, { 511, 1 }, { 511, 2 }, { 1, 1 }, { 300, 900 },
		{ 3, 1530 }, { 0, 1536 },
	};
	const unsigned long total = 3 * DM_2M_PAGES;
	struct hmm_dmirror_cmd res;
	unsigned int i;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, total, DM_BUF_SMALL));
	dm_fill(b.ptr, total, b.ptr, 1, DM_CPU);
	for (i = 0; i < ARRAY_SIZE(part); i++) {
		unsigned long first = part[i].first, n = part[i].n;

		TO_DEV(&b, first, n);
		EXPECT_TAGS(b.mirror, n, b.ptr + first * DM_PAGE, 1, DM_CPU);
		/* Those pages and no other. */
		EXPECT_EQ(n, dm_count(self->dm.fd, b.ptr, total, DM_ON_DEV));
		EXPECT_EQ(total - n, dm_count(self->dm.fd, b.ptr, total,
					      DM_SYS));
		EXPECT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, total, &res));
		EXPECT_EQ(n, res.cpages);
	}
	EXPECT_ALL(self->dm.fd, b.ptr, total, DM_SYS);
	EXPECT_TAGS(b.ptr, total, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* One request over several mappings that border on each other. */
TEST_F(migrate, across_mappings)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mprotect(b.ptr + 32 * DM_PAGE, 32 * DM_PAGE, PROT_READ));
	ASSERT_EQ(0, madvise(b.ptr + 128 * DM_PAGE, 64 * DM_PAGE,
			     MADV_DONTFORK));
	TO_DEV(&b, 0, NPAGES);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, NPAGES, &res));
	EXPECT_EQ(NPAGES, res.cpages);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/*
 * Memory nobody touched arrives on the device as zero, and the process is
 * charged for it like for any other page.
 */
TEST_F(migrate, untouched)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	TO_DEV(&b, 0, NPAGES);
	EXPECT_ZERO_PAGES(b.mirror, NPAGES);
	EXPECT_ZERO_PAGES(b.ptr, NPAGES);
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Munmap of resident pages gives the device memory back at once. */
TEST_F(migrate, unmap_frees)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	TO_DEV(&b, 0, NPAGES);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", NPAGES);
	ASSERT_EQ(0, munmap(b.ptr, b.size / 2));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", NPAGES / 2);
	ASSERT_EQ(0, madvise(b.ptr + b.size / 2, b.size / 4, MADV_DONTNEED));
	EXPECT_MOVED(&self->dm, "vram_resident_pages", NPAGES / 4);
	EXPECT_TAGS(b.ptr + 3 * b.size / 4, NPAGES / 4,
		    b.ptr + 3 * b.size / 4, 1, DM_CPU);
	dm_buf_free(&b);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 0);
}

TEST_HARNESS_MAIN
