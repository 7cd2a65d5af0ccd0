// SPDX-License-Identifier: GPL-2.0
/*
 * Pages the device has mapped move to another node, or to another place on
 * theirs: the device must follow. Moving between nodes needs two of them, see
 * check-guest; compaction does not.
 */
#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include "dm_harness.h"
#include "dm_madvise.h"

#define NPAGES		64UL
#define SCATTERED	8192UL	/* every other page of these stays */

DM_FIXTURE(mirror);

/* Generation 2, written by the device, which has all of it mapped. */
static void map_range(struct __test_metadata *_metadata, struct dm_ctx *dm,
		      struct dm_buf *b)
{
	ASSERT_EQ(0, dm_buf_anon(b, NPAGES, DM_BUF_SMALL));
	dm_fill(b->ptr, NPAGES, b->ptr, 1, DM_CPU);
	dm_fill(b->mirror, NPAGES, b->ptr, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(dm->fd, b->ptr, NPAGES, b->mirror, NULL));
	dm_restart(dm);
}

/* Node of each page; how many are on @node. */
static unsigned long pages_on(struct dm_buf *b, int node)
{
	void *page[NPAGES];
	int where[NPAGES];
	unsigned long i, n = 0;

	for (i = 0; i < NPAGES; i++)
		page[i] = b->ptr + i * DM_PAGE;
	if (syscall(SYS_move_pages, 0, NPAGES, page, NULL, where, 0))
		return 0;
	for (i = 0; i < NPAGES; i++)
		n += where[i] == node;
	return n;
}

static int move_to(struct dm_buf *b, int node)
{
	void *page[NPAGES];
	int to[NPAGES], where[NPAGES];
	unsigned long i;

	for (i = 0; i < NPAGES; i++) {
		page[i] = b->ptr + i * DM_PAGE;
		to[i] = node;
	}
	return syscall(SYS_move_pages, 0, NPAGES, page, to, where,
		       MPOL_MF_MOVE) ? -errno : 0;
}

static int bind_to(struct dm_buf *b, int node)
{
	unsigned long mask = 1UL << node;

	return syscall(SYS_mbind, b->ptr, b->size, MPOL_BIND, &mask,
		       8 * sizeof(mask), MPOL_MF_MOVE | MPOL_MF_STRICT) ?
	       -errno : 0;
}

/* There and back, and after each way both sides see what the other writes. */
static void follow(struct __test_metadata *_metadata, struct dm_ctx *dm,
		   int (*move)(struct dm_buf *b, int node))
{
	struct dm_buf b;
	int i, node;

	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one node only (check-guest boots a guest with two)");
	map_range(_metadata, dm, &b);
	for (i = 0; i < 2; i++) {
		node = pages_on(&b, 0) == NPAGES;
		dm_restart(dm);
		ASSERT_EQ(0, move(&b, node));
		ASSERT_EQ(NPAGES, pages_on(&b, node));
		EXPECT_MOVED_MIN(dm, "invalidated_pages", NPAGES);
		memset(b.mirror, 0xee, b.size);
		EXPECT_EQ(0, dm_read(dm->fd, b.ptr, NPAGES, b.mirror, NULL));
		EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 2 + 2 * i, DM_DEV);
		dm_fill(b.ptr, NPAGES, b.ptr, 3 + 2 * i, DM_CPU);
		EXPECT_EQ(0, dm_read(dm->fd, b.ptr, NPAGES, b.mirror, NULL));
		EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 3 + 2 * i, DM_CPU);
		dm_fill(b.mirror, NPAGES, b.ptr, 4 + 2 * i, DM_DEV);
		EXPECT_EQ(0, dm_write(dm->fd, b.ptr, NPAGES, b.mirror, NULL));
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 4 + 2 * i, DM_DEV);
	}
	dm_buf_free(&b);
}

TEST_F(mirror, move_pages)
{
	follow(_metadata, &self->dm, move_to);
}

TEST_F(mirror, mbind)
{
	follow(_metadata, &self->dm, bind_to);
}

/*
 * Taking a page out of use for good makes every processor give back the free
 * pages it keeps for later, of which there are thousands.
 */
static int drain_free_pages(void)
{
	struct dm_buf b;
	int ret = dm_buf_anon(&b, 1, DM_BUF_SMALL);

	if (ret)
		return ret;
	memset(b.ptr, 1, DM_PAGE);
	ret = madvise(b.ptr, DM_PAGE, MADV_SOFT_OFFLINE) ? -errno : 0;
	dm_buf_free(&b);
	return ret;
}

#define ATTEMPTS	8

/* Every other page of a buffer, on the device's page table as well. */
static void scatter(struct __test_metadata *_metadata, struct dm_ctx *dm,
		    struct dm_buf *b)
{
	unsigned long i;

	ASSERT_EQ(0, dm_buf_anon(b, SCATTERED, DM_BUF_SMALL));
	dm_fill(b->mirror, SCATTERED, b->ptr, 1, DM_DEV);
	ASSERT_EQ(0, dm_write(dm->fd, b->ptr, SCATTERED, b->mirror, NULL));
	for (i = 0; i < SCATTERED; i += 2)
		ASSERT_EQ(0, madvise(b->ptr + i * DM_PAGE, DM_PAGE,
				     MADV_DONTNEED));
	/*
	 * Map the rest again; what is gone stays gone. What the kernel moves from
	 * here on, also before it is asked to, the device hears of.
	 */
	dm_restart(dm);
	for (i = 1; i < SCATTERED; i += 2)
		ASSERT_EQ(0, dm_read(dm->fd, b->ptr + i * DM_PAGE, 1,
				     b->mirror, NULL));
}

/* Have memory compacted. Returns how many pages of the buffer moved. */
static unsigned long compact(struct __test_metadata *_metadata, struct dm_buf *b)
{
	__u64 *before = calloc(2 * SCATTERED, sizeof(*before));
	__u64 *after = before + SCATTERED;
	unsigned long i, moved = 0;

	ASSERT_NE(NULL, before);
	ASSERT_EQ(0, dm_pagemap(b->ptr, SCATTERED, before));
	ASSERT_EQ(0, dm_write_file("/proc/sys/vm/compact_memory", "1"));
	ASSERT_EQ(0, dm_pagemap(b->ptr, SCATTERED, after));
	for (i = 1; i < SCATTERED; i += 2)
		moved += dm_pm_pfn(before[i]) != dm_pm_pfn(after[i]);
	TH_LOG("compaction moved %lu of %lu pages", moved, SCATTERED / 2);
	free(before);
	return moved;
}

/* Both sides see what the other writes. */
static void agree(struct __test_metadata *_metadata, struct dm_ctx *dm,
		  struct dm_buf *b)
{
	unsigned long i;
	__u8 *page;

	for (i = 1; i < SCATTERED; i += 2) {
		page = b->ptr + i * DM_PAGE;
		ASSERT_EQ(0, dm_read(dm->fd, page, 1, b->mirror, NULL));
		ASSERT_EQ(0, dm_verify(b->mirror, 1, page, 1, DM_DEV, NULL));
		dm_fill(b->mirror, 1, page, 2, DM_DEV);
		ASSERT_EQ(0, dm_write(dm->fd, page, 1, b->mirror, NULL));
		ASSERT_EQ(0, dm_verify(page, 1, page, 2, DM_DEV, NULL));
	}
}

/*
 * Memory full of one-page holes is worth compacting: pages move. Those already
 * at the end of their zone do not, so there may have to be more of them.
 */
TEST_F(mirror, compaction)
{
	struct dm_buf b[ATTEMPTS];
	unsigned long moved = 0;
	unsigned int n = 0;

	if (access("/proc/sys/vm/compact_memory", F_OK))
		SKIP(return, "kernel without CONFIG_COMPACTION");
	while (!moved && n < ATTEMPTS) {
		scatter(_metadata, &self->dm, &b[n]);
		if (drain_free_pages()) {
			dm_buf_free(&b[n]);
			SKIP(goto out, "kernel without soft offlining");
		}
		moved = compact(_metadata, &b[n++]);
	}
	ASSERT_LT(0, moved);
	EXPECT_MOVED_MIN(&self->dm, "invalidated_pages", moved);
	agree(_metadata, &self->dm, &b[n - 1]);
out:
	while (n)
		dm_buf_free(&b[--n]);
}

TEST_HARNESS_MAIN
