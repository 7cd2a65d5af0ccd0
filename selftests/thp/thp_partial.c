// SPDX-License-Identifier: GPL-2.0
/*
 * Parts of a 2 MiB page that is on the device are unmapped, moved, protected
 * or discarded. What is left keeps its content, the device sees the new truth,
 * and in the end every page of device memory is free. Owns its buffers; no
 * locks.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "actor.h"
#include "thp.h"

FIXTURE(thp_partial) {
	struct dm_ctx dm;
	struct dm_buf b;
	__u8 *cut;		/* the part */
	unsigned long first, n;	/* its first page and length */
};

FIXTURE_VARIANT(thp_partial) {
	unsigned long first, n;
};

FIXTURE_VARIANT_ADD(thp_partial, head) {
	.first = 0, .n = 256,
};

FIXTURE_VARIANT_ADD(thp_partial, middle) {
	.first = 128, .n = 256,
};

FIXTURE_VARIANT_ADD(thp_partial, tail) {
	.first = 256, .n = 256,
};

FIXTURE_VARIANT_ADD(thp_partial, last_page) {
	.first = 511, .n = 1,
};

FIXTURE_SETUP(thp_partial)
{
	THP_SETUP();
	self->first = variant->first;
	self->n = variant->n;
	self->cut = self->b.ptr + self->first * DM_PAGE;
	ASSERT_WHOLE_TO_DEV(&self->b, 1, DM_CPU);
}

FIXTURE_TEARDOWN(thp_partial)
{
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

static __u8 *after(struct _test_data_thp_partial *self)
{
	return self->cut + self->n * DM_PAGE;
}

static unsigned long nr_after(struct _test_data_thp_partial *self)
{
	return NPAGES - self->first - self->n;
}

/* Is what is left, before and after the part, still on the device? */
static int rest_on_dev(struct _test_data_thp_partial *self, char *why)
{
	int ret = 0;

	if (self->first)
		ret = dm_all(self->dm.fd, self->b.ptr, self->first, DM_ON_DEV,
			     why);
	if (!ret && nr_after(self))
		ret = dm_all(self->dm.fd, after(self), nr_after(self),
			     DM_ON_DEV, why);
	return ret;
}

#define ASSERT_REST_ON_DEV() do {					\
	char why_[DM_MSG] = "";						\
									\
	ASSERT_EQ(0, rest_on_dev(self, why_)) {				\
		TH_LOG("the rest: %s", why_);				\
	}								\
} while (0)

static int dev_reads(struct _test_data_thp_partial *self, __u8 *at, unsigned long n)
{
	int ret;

	if (!n)
		return 0;
	ret = dm_read(self->dm.fd, at, n, self->b.mirror, NULL);
	return ret ? ret : dm_verify(self->b.mirror, n, at, 1, DM_CPU, NULL);
}

/* What is left, as the device reads it and then as the CPU does. */
#define ASSERT_REST_READABLE() do {					\
	ASSERT_EQ(0, dev_reads(self, self->b.ptr, self->first));	\
	ASSERT_EQ(0, dev_reads(self, after(self), nr_after(self)));	\
	ASSERT_TAGS(self->b.ptr, self->first, self->b.ptr, 1, DM_CPU);	\
	ASSERT_TAGS(after(self), nr_after(self), after(self), 1, DM_CPU); \
} while (0)

/* munmap() of a part: unmapped for the device too, the rest is whole. */
TEST_F(thp_partial, munmap)
{
	ASSERT_EQ(0, munmap(self->cut, self->n * DM_PAGE));
	ASSERT_REST_ON_DEV();
	ASSERT_EQ(-EFAULT, dm_read(self->dm.fd, self->cut, 1, self->b.mirror,
				   NULL));
	ASSERT_REST_READABLE();
	ASSERT_COUNTED("vram_resident_pages", 0);
}

/* MADV_DONTNEED of a part: zeroes for CPU and device, the rest is whole. */
TEST_F(thp_partial, madv_dontneed)
{
	ASSERT_EQ(0, madvise(self->cut, self->n * DM_PAGE, MADV_DONTNEED));
	ASSERT_REST_ON_DEV();
	ASSERT_ALL(self->dm.fd, self->cut, self->n, DM_NOWHERE);
	ASSERT_EQ(0, dm_read(self->dm.fd, self->cut, self->n, self->b.mirror,
			     NULL));
	ASSERT_ZERO_PAGES(self->b.mirror, self->n);
	ASSERT_ZERO_PAGES(self->cut, self->n);
	ASSERT_REST_READABLE();
	ASSERT_COUNTED("vram_resident_pages", 0);
}

/* mprotect() of a part: the device may read but not write there. */
TEST_F(thp_partial, mprotect)
{
	unsigned long other = self->first ? 0 : self->n;

	ASSERT_EQ(0, mprotect(self->cut, self->n * DM_PAGE, PROT_READ));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	dm_fill(self->b.mirror, 1, self->cut, 2, DM_DEV);
	ASSERT_EQ(-EPERM, dm_write(self->dm.fd, self->cut, 1, self->b.mirror,
				   NULL));
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	dm_fill(self->b.mirror, 1, self->b.ptr + other * DM_PAGE, 1, DM_CPU);
	ASSERT_EQ(0, dm_write(self->dm.fd, self->b.ptr + other * DM_PAGE, 1,
			      self->b.mirror, NULL));
	ASSERT_EQ(0, mprotect(self->cut, self->n * DM_PAGE,
			      PROT_READ | PROT_WRITE));
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 2, DM_DEV);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 2, DM_DEV);
	ASSERT_COUNTED("vram_resident_pages", 0);
}

/*
 * Protecting a part takes the page apart in the page table only. The first page the CPU
 * reads then is none of the first ones of what comes back with it.
 */
TEST_F(thp_partial, read_inside)
{
	const unsigned long first[] = { 5, 300, 511, 0, 255, 128 };
	unsigned long i;

	ASSERT_EQ(0, mprotect(self->cut, self->n * DM_PAGE, PROT_READ));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	for (i = 0; i < ARRAY_SIZE(first); i++) {
		__u8 *page = self->b.ptr + first[i] * DM_PAGE;

		ASSERT_TAGS(page, 1, page, 1, DM_CPU);
	}
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	ASSERT_COUNTED("vram_resident_pages", 0);
}

/*
 * mremap() of a part to an address that is no multiple of 2 MiB: the content
 * is at the new place for CPU and device, nothing at the old one.
 */
TEST_F(thp_partial, mremap)
{
	size_t len = self->n * DM_PAGE;
	__u8 *hole, *to;

	hole = mmap(NULL, len + DM_PAGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	to = hole + DM_PAGE;
	ASSERT_EQ(to, mremap(self->cut, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to));
	ASSERT_REST_ON_DEV();
	ASSERT_ALL(self->dm.fd, to, self->n, DM_ON_DEV);
	ASSERT_EQ(0, dm_read(self->dm.fd, to, self->n, self->b.mirror, NULL));
	ASSERT_TAGS(self->b.mirror, self->n, self->cut, 1, DM_CPU);
	ASSERT_EQ(-EFAULT, dm_read(self->dm.fd, self->cut, 1, self->b.mirror,
				   NULL));
	ASSERT_TAGS(to, self->n, self->cut, 1, DM_CPU);
	ASSERT_REST_READABLE();
	ASSERT_COUNTED("vram_resident_pages", 0);
	munmap(hole, len + DM_PAGE);
}

/* The device writes the rest after a part has gone. */
TEST_F(thp_partial, write_after_munmap)
{
	__u8 *at = self->first ? self->b.ptr :
				    self->cut + self->n * DM_PAGE;
	unsigned long n = self->first ? self->first : NPAGES - self->n;

	ASSERT_EQ(0, munmap(self->cut, self->n * DM_PAGE));
	dm_fill(self->b.mirror, n, at, 2, DM_DEV);
	ASSERT_EQ(0, dm_write(self->dm.fd, at, n, self->b.mirror, NULL));
	ASSERT_ALL(self->dm.fd, at, n, DM_ON_DEV);
	ASSERT_TAGS(at, n, at, 2, DM_DEV);
}

/* Everything goes, in two steps: no page of the device is left behind. */
TEST_F(thp_partial, munmap_all)
{
	ASSERT_EQ(0, munmap(self->cut, self->n * DM_PAGE));
	ASSERT_EQ(0, munmap(self->b.ptr, self->b.size));
	ASSERT_COUNTED("vram_resident_pages", 0);
	ASSERT_COUNTED("migrate_out_pages", 0);
}

/* A part is discarded in a child: the parent's page is as it was. */
TEST_F(thp_partial, child_discards)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		if (madvise(self->cut, self->n * DM_PAGE, MADV_DONTNEED) ||
		    dm_verify_zero(self->cut, self->n, NULL) ||
		    (self->first && dm_verify(self->b.ptr, 1, self->b.ptr, 1,
					      DM_CPU, NULL)))
			_exit(1);
		_exit(0);
	}
	ASSERT_EQ(0, sc_reap(pid));
	ASSERT_DEV_READS(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_COUNTED("vram_resident_pages", 0);
}

/* Split in the page table only, then migrated home as a whole range. */
TEST_F(thp_partial, to_sys_after_split)
{
	struct hmm_dmirror_cmd res;

	ASSERT_EQ(0, mprotect(self->cut, self->n * DM_PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(self->cut, self->n * DM_PAGE,
			      PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, &res));
	if (dm_ours())
		ASSERT_EQ(NPAGES, res.cpages);
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_SYS);
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_COUNTED("vram_resident_pages", 0);
}

TEST_HARNESS_MAIN
