// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that comes from a userfaultfd handler, wanted by the device, in a group
 * that is too small for all of it: each page is asked for once, and from then on
 * it is swapped out and in like any other. Or it is mapped by the handler, again
 * and again. What is write-protected stays so on all these ways.
 */
#include <sys/mman.h>
#include <linux/userfaultfd.h>

#include "dm_handler.h"
#include "pressure.h"

#define NPAGES	160UL
#define ROOM	(NPAGES * DM_PAGE / 2)

PR_FIXTURE_SWAP(handler);

#define E	(&self->e)
#define FD	(self->e.dm.fd)

/* Older kernels hold the mmap lock while the device faults: nobody can answer. */
#define NEEDS_WAITING() do {						\
	if (!sc_kernel_has("hmm_range_fault_unlocked_timeout"))		\
		SKIP(return, "a device fault cannot wait for a handler here"); \
} while (0)

/* What the handler hands out, generation 5, is not in the group. */
#define SETUP_SOURCE(h, b) do {						\
	ASSERT_EQ(0, dm_cg_leave());					\
	(h)->source = malloc((b)->size);				\
	ASSERT_NE(NULL, (h)->source);					\
	dm_fill((h)->source, NPAGES, (b)->ptr, 5, DM_PEER);		\
	ASSERT_EQ(0, dm_cg_enter(&self->e.cg));				\
} while (0)

/* Pages that are missing, handed out one by one; the first ones leave again. */
TEST_F(handler, missing)
{
	struct dm_handler h = { 0 };
	struct dm_buf b;

	NEEDS_WAITING();
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	SETUP_SOURCE(&h, &b);
	h.uffd = dm_uffd_open(0);
	if (h.uffd < 0)
		SKIP(goto out, "no userfaultfd");
	ASSERT_EQ(0, dm_uffd_watch(h.uffd, &b, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, pr_limit(E, "memory.max", ROOM));
	ASSERT_EQ(0, dm_handler_start(&h, &b));
	memset(b.mirror, 0xff, b.size);
	ASSERT_EQ(0, dm_read_unlocked(FD, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 5, DM_PEER);
	EXPECT_EQ(NPAGES, h.events);
	EXPECT_LT(0, pr_stat(E, "memory.events", "max"));
	EXPECT_LE(NPAGES / 4, dm_count(FD, b.ptr, NPAGES, DM_SWAPPED));
	/* Without the handler, out of swap. */
	ASSERT_DEV_READS(FD, &b, 5, DM_PEER);
	ASSERT_DEV_WRITES(FD, &b, 6, DM_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 6, DM_DEV);
	EXPECT_NO_OOM(E);
	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.max", "max"));
	EXPECT_SOME_SWAP_USED(E);
	/* And to the device with it, watched as it is. */
	ASSERT_EQ(0, pr_to_dev(E, b.ptr, NPAGES, b.mirror));
	EXPECT_ALL(FD, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 6, DM_DEV);
	EXPECT_EQ(NPAGES, h.events);
	dm_handler_stop(&h);
	close(h.uffd);
out:
	free(h.source);
	dm_buf_free(&b);
}

/* What one page holds. */
struct page {
	unsigned int gen, writer;
};

static unsigned long wrong_content(const __u8 *mem, struct dm_buf *b,
				   const struct page *want)
{
	unsigned long i, n = 0;

	for (i = 0; i < NPAGES; i++)
		n += !!dm_verify(mem + i * DM_PAGE, 1, b->ptr + i * DM_PAGE,
				 want[i].gen, want[i].writer, NULL);
	return n;
}

/* Pages that are write-protected and should not be, or the other way round. */
static unsigned long wrong_protection(struct dm_buf *b, const bool *protect)
{
	unsigned long i, n = 0;
	__u64 ent[NPAGES];

	if (dm_pagemap(b->ptr, NPAGES, ent))
		return ~0UL;
	for (i = 0; i < NPAGES; i++)
		n += !!(ent[i] & DM_PM_UFFD_WP) != protect[i];
	return n;
}

/*
 * The device reads page by page: whenever it has to wait it begins what it was asked
 * for anew, and what it waited for before may be gone by then.
 */
static int read_all(int fd, struct dm_buf *b)
{
	unsigned long i;
	int ret = 0;

	memset(b->mirror, 0xff, b->size);
	for (i = 0; i < NPAGES && !ret; i++)
		ret = dm_read_unlocked(fd, b->ptr + i * DM_PAGE, 1,
				       b->mirror + i * DM_PAGE, NULL);
	return ret;
}

/* There is hardly any room, and what is compressed would take some of it. */
static int limit_to_half(struct pr_env *e)
{
	int ret = 0;

	if (e->swap == PR_ZSWAP)
		ret = dm_cg_write(&e->cg, "memory.zswap.max", "32K");
	return ret ? ret : pr_limit(e, "memory.max", ROOM);
}

/* The device sees all of it as it is, and has not changed who is told of what. */
#define EXPECT_SEEN(b, want, protect) do {				\
	ASSERT_EQ(0, read_all(FD, b));					\
	EXPECT_EQ(0, wrong_content((b)->mirror, b, want));		\
	EXPECT_EQ(0, wrong_protection(b, protect));			\
} while (0)

/* Pages [@from], and every @step after it, are written. Returns how many are protected. */
static unsigned long write_some(struct __test_metadata *_metadata, struct pr_env *e,
				struct dm_handler *h, struct page *want,
				unsigned long from, unsigned long step, bool cpu)
{
	unsigned long i, reported = 0;

	for (i = from; i < NPAGES; i += step) {
		__u8 *p = h->b->ptr + i * DM_PAGE;

		want[i] = cpu ? (struct page){ 7, DM_CPU } : (struct page){ 6, DM_DEV };
		reported += h->protect[i];
		dm_fill(cpu ? p : h->b->mirror, 1, p, want[i].gen, want[i].writer);
		if (!cpu)
			EXPECT_EQ(0, dm_write(e->dm.fd, p, 1, h->b->mirror, NULL));
	}
	return reported;
}

/*
 * The device writes to two pages in five, the CPU to another one. Each write to a page
 * that is protected is reported, once, and unprotects that page; no other is.
 */
static void write_around(struct __test_metadata *_metadata, struct pr_env *e,
			 struct dm_handler *h, struct page *want)
{
	unsigned long n;

	n = write_some(_metadata, e, h, want, 0, 5, false);
	EXPECT_LT(NPAGES / 5 / 4, n);
	EXPECT_EQ(n, h->wp_events);
	n += write_some(_metadata, e, h, want, 1, 5, false);
	EXPECT_EQ(n, h->wp_events);
	n += write_some(_metadata, e, h, want, 2, 5, true);
	EXPECT_EQ(n, h->wp_events);
}

/* One page in three is to be write-protected, all have what @gen and @writer say. */
static void begin(bool *protect, struct page *want, unsigned int gen,
		  unsigned int writer)
{
	unsigned long i;

	for (i = 0; i < NPAGES; i++) {
		protect[i] = i % 3 == 0;
		want[i] = (struct page){ gen, writer };
	}
}

/*
 * Some pages are handed out write-protected, others become so where they happen to
 * be, half of them in swap. The bit is on those and no others, in memory, in swap and
 * on the device, until somebody writes.
 */
TEST_F(handler, write_protected)
{
	const unsigned long at = NPAGES / 2 - 10, n = 20;
	struct page want[NPAGES];
	unsigned long i;
	struct dm_handler h = { 0 };
	bool protect[NPAGES];
	struct dm_buf b;

	NEEDS_WAITING();
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	SETUP_SOURCE(&h, &b);
	begin(protect, want, 5, DM_PEER);
	h.protect = protect;
	h.uffd = dm_uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (h.uffd < 0)
		SKIP(goto out, "no userfaultfd write protection");
	ASSERT_EQ(0, dm_uffd_watch(h.uffd, &b, UFFDIO_REGISTER_MODE_MISSING |
					       UFFDIO_REGISTER_MODE_WP));
	ASSERT_EQ(0, limit_to_half(E));
	ASSERT_EQ(0, dm_handler_start(&h, &b));
	EXPECT_SEEN(&b, want, protect);
	EXPECT_EQ(NPAGES, h.events);
	EXPECT_LE(NPAGES / 4, dm_count(FD, b.ptr, NPAGES, DM_SWAPPED));

	/* All of a stretch, then not the second half of it. */
	ASSERT_EQ(0, dm_uffd_protect(h.uffd, b.ptr + at * DM_PAGE, n, true));
	for (i = at; i < at + n; i++)
		protect[i] = true;
	EXPECT_EQ(0, wrong_protection(&b, protect));
	ASSERT_EQ(0, dm_uffd_protect(h.uffd, b.ptr + (at + n / 2) * DM_PAGE,
				     n / 2, false));
	for (i = at + n / 2; i < at + n; i++)
		protect[i] = false;
	EXPECT_SEEN(&b, want, protect);

	write_around(_metadata, E, &h, want);
	EXPECT_SEEN(&b, want, protect);
	EXPECT_EQ(NPAGES + h.wp_events, h.events);
	EXPECT_LT(0, pr_stat(E, "memory.events", "max"));
	EXPECT_NO_OOM(E);

	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.max", "max"));
	EXPECT_SOME_SWAP_USED(E);
	ASSERT_EQ(0, pr_to_dev(E, b.ptr, NPAGES, b.mirror));
	EXPECT_ALL(FD, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_SEEN(&b, want, protect);
	EXPECT_EQ(0, wrong_content(b.ptr, &b, want));
	EXPECT_EQ(0, wrong_protection(&b, protect));
	EXPECT_EQ(NPAGES + h.wp_events, h.events);
	dm_handler_stop(&h);
	close(h.uffd);
out:
	free(h.source);
	dm_buf_free(&b);
}

/*
 * A file in memory, whose pages the handler maps, which reclaim unmaps and swaps
 * out, so that it is asked again. Of what is write-protected a mark is left behind
 * in the page table then.
 */
TEST_F(handler, minor)
{
	struct dm_handler h = { .minor = true };
	struct dm_buf b, alias;
	struct page want[NPAGES];
	bool protect[NPAGES];
	int memfd;

	NEEDS_WAITING();
	memfd = memfd_create("minor", MFD_CLOEXEC);
	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ftruncate(memfd, NPAGES * DM_PAGE));
	ASSERT_EQ(0, dm_cg_leave());
	ASSERT_EQ(0, dm_buf_map(&b, NPAGES, PROT_READ | PROT_WRITE, MAP_SHARED,
				memfd, 0));
	ASSERT_EQ(0, dm_buf_map(&alias, NPAGES, PROT_READ | PROT_WRITE,
				MAP_SHARED, memfd, 0));
	memset(b.mirror, 0xee, b.size);
	ASSERT_EQ(0, dm_cg_enter(&self->e.cg));
	begin(protect, want, 5, DM_PEER);
	h.protect = protect;
	h.uffd = dm_uffd_open(UFFD_FEATURE_MINOR_SHMEM |
			      UFFD_FEATURE_PAGEFAULT_FLAG_WP |
			      UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
	if (h.uffd < 0 || dm_uffd_watch(h.uffd, &b, UFFDIO_REGISTER_MODE_MINOR |
						    UFFDIO_REGISTER_MODE_WP))
		SKIP(goto out, "no minor faults or write protection for shared memory");
	dm_fill(alias.ptr, NPAGES, b.ptr, 5, DM_PEER);
	ASSERT_EQ(0, limit_to_half(E));
	ASSERT_EQ(0, dm_handler_start(&h, &b));
	EXPECT_SEEN(&b, want, protect);
	EXPECT_LE(NPAGES, h.events);
	EXPECT_LT(0, pr_stat(E, "memory.swap.current", NULL));
	/* No room for all of it: some is unmapped by now. */
	EXPECT_SEEN(&b, want, protect);
	EXPECT_LT(NPAGES, h.events);

	write_around(_metadata, E, &h, want);
	EXPECT_SEEN(&b, want, protect);
	EXPECT_LT(0, pr_stat(E, "memory.events", "max"));
	EXPECT_NO_OOM(E);
	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.max", "max"));
	EXPECT_SOME_SWAP_USED(E);
	/* It is the file that has all this. */
	EXPECT_EQ(0, wrong_content(alias.ptr, &b, want));
	EXPECT_EQ(0, wrong_protection(&b, protect));
	dm_handler_stop(&h);
	close(h.uffd);
out:
	dm_buf_free(&alias);
	dm_buf_free(&b);
	close(memfd);
}

TEST_HARNESS_MAIN
