// SPDX-License-Identifier: GPL-2.0
/*
 * One request over pages in every state. Each page has to end where its state
 * says, the rest of the range must not suffer, and the count in the answer must
 * be the count of pages that are really there.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>
#include "dm_harness.h"

DM_FIXTURE(migrate);

/*
 * Ask for the whole range and hold the answer against the facts: @stay pages
 * must not be on the device. Exact for this driver, whose answers are true;
 * test_hmm answers with what its tables happen to contain. The counters are
 * those of this request afterwards.
 */
static void ask(struct __test_metadata *_metadata, struct dm_ctx *dm,
		struct dm_buf *b, unsigned long stay)
{
	int want = stay ? -ENOENT : 0;
	struct hmm_dmirror_cmd res;

	dm_restart(dm);
	EXPECT_EQ(want, dm_to_dev(dm->fd, b->ptr, b->npages, b->mirror,
				  &res));
	EXPECT_EQ(b->npages - stay, dm_count(dm->fd, b->ptr, b->npages,
					     DM_ON_DEV));
	if (dm_ours())
		EXPECT_EQ(b->npages - stay, res.cpages);
	EXPECT_CLASSES(dm, "in", b->npages);
}

#define ASK(b, stay) ask(_metadata, &self->dm, b, stay)

/* How many pages of the last request became what. */
#define EXPECT_CLASS(name, n)	EXPECT_MOVED(&self->dm, name, n)

/* Written, empty and zero pages all move; empty ones as zero. */
TEST_F(migrate, populated_and_empty)
{
	unsigned long i;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 96, DM_BUF_SMALL));
	for (i = 0; i < 96; i += 3) {
		dm_fill(b.ptr + i * DM_PAGE, 1, b.ptr + i * DM_PAGE, 1,
			DM_CPU);
		__atomic_load_n(b.ptr + (i + 1) * DM_PAGE, __ATOMIC_RELAXED);
	}
	EXPECT_EQ(32, dm_count(self->dm.fd, b.ptr, 96, DM_SYS));
	EXPECT_EQ(32, dm_count(self->dm.fd, b.ptr, 96, DM_ZERO));
	EXPECT_EQ(32, dm_count(self->dm.fd, b.ptr, 96, DM_NOWHERE));
	ASK(&b, 0);
	EXPECT_CLASS("in_moved_pages", 96);
	for (i = 0; i < 96; i += 3) {
		EXPECT_TAGS(b.ptr + i * DM_PAGE, 1, b.ptr + i * DM_PAGE, 1,
			    DM_CPU);
		EXPECT_ZERO_PAGES(b.ptr + (i + 1) * DM_PAGE, 2);
	}
	dm_buf_free(&b);
}

/* Pages on a swap area are not migrated: they are reported and unharmed. */
TEST_F(migrate, swapped_pages)
{
	struct dm_zram z = { .id = -1 };
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	if (dm_zram_on(&z, 32 << 20)) {
		dm_zram_off(&z);
		SKIP(goto out, "no zram");
	}
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_swap_out(b.ptr + 16 * DM_PAGE, 16));
	EXPECT_ALL(self->dm.fd, b.ptr + 16 * DM_PAGE, 16, DM_SWAPPED);
	ASK(&b, 16);
	EXPECT_CLASS("in_moved_pages", 48);
	EXPECT_CLASS("in_elsewhere_pages", 16);
	EXPECT_ALL(self->dm.fd, b.ptr, 16, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 16 * DM_PAGE, 16, DM_SWAPPED);
	EXPECT_ALL(self->dm.fd, b.ptr + 32 * DM_PAGE, 32, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, 64, b.ptr, 1, DM_CPU);
	/* Once they are in memory again they can go. */
	ASK(&b, 0);
	EXPECT_TAGS(b.ptr, 64, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_zram_off(&z));
out:
	dm_buf_free(&b);
}

/* Pages that live on another device stay there and are not copied. */
TEST_F(migrate, other_device)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;
	int peer;

	peer = dm_open(self->dm.peer_index);
	ASSERT_GE(peer, 0);
	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_to_dev(peer, b.ptr + 16 * DM_PAGE, 8, b.mirror, &res));
	EXPECT_EQ(8, res.cpages);
	EXPECT_ALL(peer, b.ptr + 16 * DM_PAGE, 8, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 16 * DM_PAGE, 8, DM_ON_OTHER);
	ASK(&b, 8);
	EXPECT_CLASS("in_moved_pages", 56);
	EXPECT_CLASS("in_elsewhere_pages", 8);
	EXPECT_ALL(self->dm.fd, b.ptr, 16, DM_ON_DEV);
	EXPECT_ALL(peer, b.ptr + 16 * DM_PAGE, 8, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 24 * DM_PAGE, 40, DM_ON_DEV);

	/* Bringing back this device's pages leaves the other's alone. */
	dm_restart(&self->dm);
	EXPECT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, 64, &res));
	EXPECT_EQ(56, res.cpages);
	EXPECT_CLASS("out_moved_pages", 56);
	EXPECT_CLASS("out_elsewhere_pages", 8);
	EXPECT_CLASSES(&self->dm, "out", 64);
	EXPECT_ALL(peer, b.ptr + 16 * DM_PAGE, 8, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, 64, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, close(peer));
	dm_buf_free(&b);
}

/* The other device's pages are read and written by way of system memory. */
TEST_F(migrate, access_to_other_device)
{
	struct dm_buf b;
	int peer;

	peer = dm_open(self->dm.peer_index);
	ASSERT_GE(peer, 0);
	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(peer, b.ptr, 64, b.mirror, NULL));
	memset(b.mirror, 0xee, b.size);
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, 64, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, 64, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_to_dev(peer, b.ptr, 64, b.mirror, NULL));
	dm_fill(b.mirror, 64, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, 64, b.mirror, NULL));
	memset(b.mirror, 0xee, b.size);
	EXPECT_EQ(0, dm_read(peer, b.ptr, 64, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, 64, b.ptr, 2, DM_DEV);
	EXPECT_TAGS(b.ptr, 64, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, close(peer));
	dm_buf_free(&b);
}

/* Locked pages may move, and are still locked when they come back. */
TEST_F(migrate, locked_pages)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mlock(b.ptr, b.size));
	ASK(&b, 0);
	EXPECT_TAGS(b.mirror, 64, b.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, 64, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dm_to_sys(self->dm.fd, b.ptr, 64, NULL));
	EXPECT_ALL(self->dm.fd, b.ptr, 64, DM_SYS);
	/* Locked memory is not paged out, wherever it has been. */
	EXPECT_EQ(-1, madvise(b.ptr, b.size, MADV_PAGEOUT));
	EXPECT_ALL(self->dm.fd, b.ptr, 64, DM_SYS);
	ASSERT_EQ(0, munlock(b.ptr, b.size));
	dm_buf_free(&b);
}

/*
 * Lazily freed pages: each one is the old page or zero afterwards, and one that
 * was written again is the new one.
 */
TEST_F(migrate, lazily_freed_pages)
{
	unsigned long i;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_FREE));
	dm_fill(b.ptr, 8, b.ptr, 2, DM_CPU);
	ASK(&b, 0);
	EXPECT_TAGS(b.ptr, 8, b.ptr, 2, DM_CPU);
	for (i = 8; i < 64; i++) {
		const void *p = b.ptr + i * DM_PAGE;

		if (dm_verify_zero(p, 1, NULL))
			EXPECT_TAGS(p, 1, p, 1, DM_CPU);
	}
	dm_buf_free(&b);
}

/* A hole or a mapping that may not be read is -EINVAL; the pages are unharmed. */
TEST_F(migrate, hole_and_prot_none)
{
	struct hmm_dmirror_cmd res;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mprotect(b.ptr + 16 * DM_PAGE, 16 * DM_PAGE, PROT_NONE));
	EXPECT_EQ(-EINVAL, dm_to_dev(self->dm.fd, b.ptr, 64, b.mirror, &res));
	if (dm_ours())
		EXPECT_EQ(dm_count(self->dm.fd, b.ptr, 64, DM_ON_DEV),
			  res.cpages);
	EXPECT_CLASS("in_moved_pages", 16);
	EXPECT_CLASS("in_untried_pages", 48);
	EXPECT_CLASSES(&self->dm, "in", 64);
	ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_READ));
	EXPECT_TAGS(b.ptr, 64, b.ptr, 1, DM_CPU);

	ASSERT_EQ(0, munmap(b.ptr + 32 * DM_PAGE, 16 * DM_PAGE));
	EXPECT_EQ(-EINVAL, dm_to_dev(self->dm.fd, b.ptr, 64, b.mirror, &res));
	EXPECT_TAGS(b.ptr, 32, b.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr + 48 * DM_PAGE, 16, b.ptr + 48 * DM_PAGE, 1, DM_CPU);
	EXPECT_EQ(-EINVAL, dm_to_sys(self->dm.fd, b.ptr, 64, &res));
	EXPECT_TAGS(b.ptr, 32, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Read-only memory moves, and is still read-only for both sides. */
TEST_F(migrate, readonly_pages)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_READ));
	ASK(&b, 0);
	/* test_hmm makes the kernel warn when asked to write here. */
	if (dm_ours()) {
		dm_fill(b.mirror, 64, b.ptr, 2, DM_DEV);
		EXPECT_EQ(-EPERM, dm_write(self->dm.fd, b.ptr, 64, b.mirror,
					   NULL));
	}
	EXPECT_TAGS(b.ptr, 64, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

static int watch_missing(struct dm_buf *b)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)b->ptr, .len = b->size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

/* Missing pages of a watched range belong to its handler: only the rest moves. */
TEST_F(migrate, userfaultfd_range)
{
	struct dm_buf b;
	int uffd;

	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	dm_fill(b.ptr, 16, b.ptr, 1, DM_CPU);
	uffd = watch_missing(&b);
	if (uffd < 0)
		SKIP(goto out, "no userfaultfd");
	ASK(&b, 48);
	EXPECT_CLASS("in_moved_pages", 16);
	EXPECT_CLASS("in_hole_pages", 48);
	EXPECT_ALL(self->dm.fd, b.ptr, 16, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 16 * DM_PAGE, 48, DM_NOWHERE);
	EXPECT_TAGS(b.ptr, 16, b.ptr, 1, DM_CPU);
	close(uffd);
out:
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
