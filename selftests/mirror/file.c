// SPDX-License-Identifier: GPL-2.0
/*
 * File and shared memory: what the device writes reaches the file when the
 * mapping is shared and never when it is private, and the page cache is not
 * taken away by a migration.
 */
#include <fcntl.h>
#include "dm_harness.h"

#define NPAGES	16UL

FIXTURE(mirror)
{
	struct dm_ctx	dm;
	struct dm_buf	b;
	int		file;
	__u8		*bytes;		/* the file as read(2) sees it */
};

DM_VARIANTS(mirror);

FIXTURE_SETUP(mirror)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->bytes = malloc(NPAGES * DM_PAGE);
	self->file = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ASSERT_GE(self->file, 0);
}

FIXTURE_TEARDOWN(mirror)
{
	dm_buf_free(&self->b);
	close(self->file);
	free(self->bytes);
	dm_teardown(_metadata, &self->dm);
}

/* A file of tagged pages, mapped; tags are for the addresses of the mapping. */
static void map_file(struct __test_metadata *_metadata,
		     struct _test_data_mirror *self, int fd, int flags)
{
	size_t len = NPAGES * DM_PAGE;

	ASSERT_EQ(0, ftruncate(fd, len));
	ASSERT_EQ(0, dm_buf_map(&self->b, NPAGES, PROT_READ | PROT_WRITE,
				flags, fd, 0));
	dm_fill(self->bytes, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(len, pwrite(fd, self->bytes, len, 0));
}

#define SETUP_FILE(fd, flags) map_file(_metadata, self, fd, flags)

/* The file holds these tags according to read(2). */
#define EXPECT_FILE(fd, npages, gen, writer)				\
do {									\
	unsigned long _n = (npages);					\
	EXPECT_EQ(_n * DM_PAGE,						\
		  pread(fd, self->bytes, _n * DM_PAGE, 0));		\
	EXPECT_TAGS(self->bytes, _n, self->b.ptr, gen, writer);		\
} while (0)

static void shared_write(struct __test_metadata *_metadata,
			 struct _test_data_mirror *self, int fd)
{
	struct dm_buf *b = &self->b;

	SETUP_FILE(fd, MAP_SHARED);
	EXPECT_EQ(0, dm_read(self->dm.fd, b->ptr, NPAGES, b->mirror, NULL));
	EXPECT_TAGS(b->mirror, NPAGES, b->ptr, 1, DM_CPU);
	dm_fill(b->mirror, NPAGES, b->ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b->ptr, NPAGES, b->mirror, NULL));
	EXPECT_FILE(fd, NPAGES, 2, DM_DEV);
}

/*
 * A device write to a shared mapping of a file is in the file, and still there
 * after the page cache was written back and dropped: the pages were dirty.
 */
TEST_F(mirror, shared_file_write)
{
	shared_write(_metadata, self, self->file);
	ASSERT_EQ(0, fsync(self->file));
	dm_buf_free(&self->b);
	/* Tags are for the old addresses: keep what was read last. */
	__u8 *want = self->bytes, *got = malloc(NPAGES * DM_PAGE);

	EXPECT_EQ(0, posix_fadvise(self->file, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_EQ(NPAGES * DM_PAGE,
		  pread(self->file, got, NPAGES * DM_PAGE, 0));
	EXPECT_EQ(0, memcmp(want, got, NPAGES * DM_PAGE));
	free(got);
}

/* The same for shared memory without a file system. */
TEST_F(mirror, shared_memory_write)
{
	int fd = memfd_create("shared", MFD_CLOEXEC);

	ASSERT_GE(fd, 0);
	shared_write(_metadata, self, fd);
	close(fd);
}

/* A hole punched under the device mapping reads zero through it. */
TEST_F(mirror, punch_hole)
{
	struct dm_buf *b = &self->b;
	int fd = memfd_create("hole", MFD_CLOEXEC);

	ASSERT_GE(fd, 0);
	shared_write(_metadata, self, fd);
	dm_restart(&self->dm);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       4 * DM_PAGE, 4 * DM_PAGE));
	EXPECT_EQ(0, dm_read(self->dm.fd, b->ptr, NPAGES, b->mirror, NULL));
	EXPECT_TAGS(b->mirror, 4, b->ptr, 2, DM_DEV);
	EXPECT_ZERO_PAGES(b->mirror + 4 * DM_PAGE, 4);
	EXPECT_TAGS(b->mirror + 8 * DM_PAGE, 8, b->ptr + 8 * DM_PAGE, 2,
		    DM_DEV);
	EXPECT_MOVED_MIN(&self->dm, "invalidations", 1);
	close(fd);
}

/*
 * After truncation the device can neither read nor write behind the end, and
 * what it tried to write there does not appear when the file grows again.
 */
TEST_F(mirror, truncate_under_device)
{
	struct dm_buf *b = &self->b;
	int fd = memfd_create("short", MFD_CLOEXEC);
	__u8 *tail = NULL;

	ASSERT_GE(fd, 0);
	shared_write(_metadata, self, fd);
	tail = b->ptr + 8 * DM_PAGE;
	ASSERT_EQ(0, ftruncate(fd, 8 * DM_PAGE));
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, tail, 8, b->mirror, NULL));
	dm_fill(b->mirror, 8, tail, 3, DM_DEV);
	EXPECT_EQ(-EFAULT, dm_write(self->dm.fd, tail, 8, b->mirror, NULL));
	ASSERT_EQ(0, ftruncate(fd, NPAGES * DM_PAGE));
	EXPECT_EQ(8 * DM_PAGE,
		  pread(fd, self->bytes, 8 * DM_PAGE, 8 * DM_PAGE));
	EXPECT_ZERO_PAGES(self->bytes, 8);
	EXPECT_FILE(fd, 8, 2, DM_DEV);
	EXPECT_EQ(0, dm_read(self->dm.fd, tail, 8, b->mirror, NULL));
	EXPECT_ZERO_PAGES(b->mirror, 8);
	close(fd);
}

/* MADV_REMOVE through the mapping itself. */
TEST_F(mirror, remove_pages)
{
	struct dm_buf *b = &self->b;
	int fd = memfd_create("remove", MFD_CLOEXEC);

	ASSERT_GE(fd, 0);
	shared_write(_metadata, self, fd);
	ASSERT_EQ(0, madvise(b->ptr, 4 * DM_PAGE, MADV_REMOVE));
	EXPECT_EQ(0, dm_read(self->dm.fd, b->ptr, NPAGES, b->mirror, NULL));
	EXPECT_ZERO_PAGES(b->mirror, 4);
	EXPECT_TAGS(b->mirror + 4 * DM_PAGE, 12, b->ptr + 4 * DM_PAGE, 2,
		    DM_DEV);
	close(fd);
}

/*
 * A private mapping: the device reads the file's bytes, its write makes a copy
 * for this process, and the file never changes.
 */
TEST_F(mirror, private_file)
{
	struct dm_buf *b = &self->b;

	SETUP_FILE(self->file, MAP_PRIVATE);
	EXPECT_EQ(0, dm_read(self->dm.fd, b->ptr, NPAGES, b->mirror, NULL));
	EXPECT_TAGS(b->mirror, NPAGES, b->ptr, 1, DM_CPU);
	dm_fill(b->mirror, NPAGES, b->ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b->ptr, 8, b->mirror, NULL));
	EXPECT_TAGS(b->ptr, 8, b->ptr, 2, DM_DEV);
	EXPECT_TAGS(b->ptr + 8 * DM_PAGE, 8, b->ptr + 8 * DM_PAGE, 1, DM_CPU);
	EXPECT_FILE(self->file, NPAGES, 1, DM_CPU);

	/* Pages still shared with the file follow it, the copies do not. */
	dm_fill(self->bytes, NPAGES, b->ptr, 3, DM_CPU);
	ASSERT_EQ(NPAGES * DM_PAGE, pwrite(self->file, self->bytes,
					   NPAGES * DM_PAGE, 0));
	EXPECT_EQ(0, dm_read(self->dm.fd, b->ptr, NPAGES, b->mirror, NULL));
	EXPECT_TAGS(b->mirror, 8, b->ptr, 2, DM_DEV);
	EXPECT_TAGS(b->mirror + 8 * DM_PAGE, 8, b->ptr + 8 * DM_PAGE, 3,
		    DM_CPU);
}

/* Shared pages are not migrated, and the page cache is as it was. */
TEST_F(mirror, shared_pages_stay)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf *b = &self->b;
	unsigned char core[NPAGES];
	unsigned long i;

	SETUP_FILE(self->file, MAP_SHARED);
	EXPECT_TAGS(b->ptr, NPAGES, b->ptr, 1, DM_CPU);
	EXPECT_EQ(-ENOENT, dm_to_dev(self->dm.fd, b->ptr, NPAGES, b->mirror,
				     &res));
	if (dm_ours())
		EXPECT_EQ(0, res.cpages);
	EXPECT_ALL(self->dm.fd, b->ptr, NPAGES, DM_SYS);
	ASSERT_EQ(0, mincore(b->ptr, b->size, core));
	for (i = 0; i < NPAGES; i++)
		EXPECT_EQ(1, core[i] & 1);
	EXPECT_FILE(self->file, NPAGES, 1, DM_CPU);
}

/* Clean pages of a private file mapping belong to the page cache, too. */
TEST_F(mirror, clean_private_pages_stay)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf *b = &self->b;

	SETUP_FILE(self->file, MAP_PRIVATE);
	EXPECT_TAGS(b->ptr, NPAGES, b->ptr, 1, DM_CPU);
	EXPECT_EQ(-ENOENT, dm_to_dev(self->dm.fd, b->ptr, NPAGES, b->mirror,
				     &res));
	EXPECT_ALL(self->dm.fd, b->ptr, NPAGES, DM_SYS);

	/* Copies of this process may go, and the file does not notice. */
	dm_fill(b->ptr, NPAGES, b->ptr, 2, DM_CPU);
	EXPECT_EQ(0, dm_to_dev(self->dm.fd, b->ptr, NPAGES, b->mirror, &res));
	EXPECT_EQ(NPAGES, res.cpages);
	EXPECT_ALL(self->dm.fd, b->ptr, NPAGES, DM_ON_DEV);
	EXPECT_FILE(self->file, NPAGES, 1, DM_CPU);
	EXPECT_TAGS(b->ptr, NPAGES, b->ptr, 2, DM_CPU);
}

TEST_HARNESS_MAIN
