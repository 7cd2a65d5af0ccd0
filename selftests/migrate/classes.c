// SPDX-License-Identifier: GPL-2.0
/*
 * Every page of a request is accounted for: what was there already, what is not
 * there at all, what never moves. The other classes are looked at where the
 * tests bring them about: pinned pages in pin.c, pages without a destination in
 * partial.c, mixtures in mix.c. Promises of this driver only.
 */
#include "dm_harness.h"

#define NPAGES	64UL

DM_FIXTURE(migrate);

/* One request in or out; the counters are those of this request afterwards. */
static void ask(struct __test_metadata *_metadata, struct dm_ctx *dm, int fd,
		struct dm_buf *b, bool out, int want)
{
	int ret;

	dm_restart(dm);
	ret = out ? dm_to_sys(fd, b->ptr, b->npages, NULL) :
		    dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL);
	EXPECT_EQ(want, ret);
	EXPECT_CLASSES(dm, out ? "out" : "in", b->npages);
	EXPECT_CLASSES(dm, out ? "in" : "out", 0);
}

#define ASK_IN(fd, b, want)	ask(_metadata, &self->dm, fd, b, false, want)
#define ASK_OUT(fd, b, want)	ask(_metadata, &self->dm, fd, b, true, want)
#define EXPECT_CLASS(name, n)	EXPECT_MOVED(&self->dm, name, n)

/* What is there already is told from what has moved, whoever asks. */
TEST_F(migrate, already_there)
{
	struct dm_buf b;
	int other;

	if (!dm_ours())
		SKIP(return, "test_hmm has no counters");
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, 48, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr, 16, b.mirror, NULL));
	ASK_IN(self->dm.fd, &b, 0);
	EXPECT_CLASS("in_present_pages", 16);
	EXPECT_CLASS("in_moved_pages", 48);
	ASK_IN(self->dm.fd, &b, 0);
	EXPECT_CLASS("in_present_pages", NPAGES);

	/* A file that knows nothing yet comes to the same result. */
	other = dm_open(self->dm.index);
	ASSERT_GE(other, 0);
	ASK_IN(other, &b, 0);
	EXPECT_CLASS("in_present_pages", NPAGES);
	EXPECT_EQ(0, close(other));
	dm_buf_free(&b);
}

/* Back: some are there, some are nowhere, the rest moves. */
TEST_F(migrate, back_from_everywhere)
{
	struct dm_buf b;

	if (!dm_ours())
		SKIP(return, "test_hmm has no counters");
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, b.ptr + 32 * DM_PAGE, 32, b.mirror,
			       NULL));
	ASSERT_EQ(0, madvise(b.ptr, 8 * DM_PAGE, MADV_DONTNEED));
	ASK_OUT(self->dm.fd, &b, 0);
	EXPECT_CLASS("out_hole_pages", 8);
	EXPECT_CLASS("out_present_pages", 24);
	EXPECT_CLASS("out_moved_pages", 32);
	EXPECT_TAGS(b.ptr + 8 * DM_PAGE, 56, b.ptr + 8 * DM_PAGE, 1, DM_CPU);
	dm_buf_free(&b);
}

#define FILE_OF_PAGES(file) do {					\
	(file) = memfd_create("pages", MFD_CLOEXEC);			\
	ASSERT_GE(file, 0);						\
	ASSERT_EQ(0, ftruncate(file, NPAGES * DM_PAGE));		\
} while (0)

/* Pages of a file do not move; where it has none in memory none are made. */
TEST_F(migrate, file_pages)
{
	struct dm_buf b;
	int file;

	if (!dm_ours())
		SKIP(return, "test_hmm has no counters");
	FILE_OF_PAGES(file);
	ASSERT_EQ(0, dm_buf_map(&b, NPAGES, PROT_READ | PROT_WRITE, MAP_SHARED,
				file, 0));
	dm_fill(b.ptr, 24, b.ptr, 1, DM_CPU);
	ASK_IN(self->dm.fd, &b, -ENOENT);
	EXPECT_CLASS("in_unsupported_pages", 24);
	EXPECT_CLASS("in_hole_pages", 40);
	ASK_OUT(self->dm.fd, &b, 0);
	EXPECT_CLASS("out_present_pages", 24);
	EXPECT_CLASS("out_hole_pages", 40);
	EXPECT_TAGS(b.ptr, 24, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, close(file));
	dm_buf_free(&b);
}

/* A request for pages of a file that cannot move disturbs nobody who has it mapped. */
TEST_F(migrate, files_of_others)
{
	struct dm_buf b, other;
	int file;

	if (!dm_ours())
		SKIP(return, "test_hmm has no counters");
	FILE_OF_PAGES(file);
	ASSERT_EQ(0, dm_buf_map(&b, NPAGES, PROT_READ, MAP_PRIVATE, file, 0));
	ASSERT_EQ(0, dm_buf_map(&other, NPAGES, PROT_READ | PROT_WRITE, MAP_SHARED,
				file, 0));
	dm_fill(other.ptr, NPAGES, other.ptr, 1, DM_CPU);
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_POPULATE_READ));
	/* The device would be told if these were unmapped. */
	ASSERT_EQ(0, dm_read(self->dm.fd, other.ptr, NPAGES, other.mirror, NULL));
	dm_restart(&self->dm);
	ASK_IN(self->dm.fd, &b, -ENOENT);
	EXPECT_CLASS("in_unsupported_pages", NPAGES);
	EXPECT_MOVED(&self->dm, "invalidations", 0);
	EXPECT_TAGS(other.ptr, NPAGES, other.ptr, 1, DM_CPU);
	EXPECT_EQ(0, close(file));
	dm_buf_free(&other);
	dm_buf_free(&b);
}

/* A mapping ends the request: what lies behind it was not tried. */
TEST_F(migrate, ends_early)
{
	struct dm_buf b;

	if (!dm_ours())
		SKIP(return, "test_hmm has no counters");
	ASSERT_EQ(0, dm_buf_anon(&b, 2 * DM_2M_PAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, 40, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, munmap(b.ptr + 40 * DM_PAGE, DM_PAGE));
	ASK_IN(self->dm.fd, &b, -EINVAL);
	EXPECT_CLASS("in_moved_pages", 40);
	EXPECT_CLASS("in_untried_pages", 2 * DM_2M_PAGES - 40);
	ASK_OUT(self->dm.fd, &b, -EINVAL);
	EXPECT_CLASS("out_moved_pages", 40);
	EXPECT_CLASS("out_untried_pages", 2 * DM_2M_PAGES - 40);
	EXPECT_TAGS(b.ptr, 40, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
