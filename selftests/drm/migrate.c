// SPDX-License-Identifier: GPL-2.0
/*
 * MIGRATE: what it answers about every page, and what it refuses.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/uio.h>
#include "dm_drm_harness.h"

#define NPAGES	64UL

DMD_FIXTURE(drm);

#define EXPECT_PAGES(pages, class, n) \
	EXPECT_EQ((__u64)(n), (pages)[HMM_DMIRROR_PAGE_##class])

/* There and back: every page moves once, none the second time. */
TEST_F(drm, there_and_back)
{
	__u64 pages[DMD_CLASSES];
	struct dm_buf b;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size,
					 HMM_DMIRROR_DEST_VRAM, 0, 0, pages));
		EXPECT_PAGES(pages, MOVED, i ? 0 : NPAGES);
		EXPECT_PAGES(pages, PRESENT, i ? NPAGES : 0);
		EXPECT_EQ(NPAGES, dmd_sum(pages));
		EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	}
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size,
					 HMM_DMIRROR_DEST_SYSTEM, 0, 0, pages));
		EXPECT_PAGES(pages, MOVED, i ? 0 : NPAGES);
		EXPECT_PAGES(pages, PRESENT, i ? NPAGES : 0);
		EXPECT_EQ(NPAGES, dmd_sum(pages));
		EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	}
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_CLASSES(&self->dm, "in", 2 * NPAGES);
	EXPECT_CLASSES(&self->dm, "out", 2 * NPAGES);
	dm_buf_free(&b);
}

/* With MAP the device has its translations, without it has not. */
TEST_F(drm, map)
{
	__u64 pages[NPAGES];
	struct dm_buf b;
	unsigned long i;
	int map;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	for (map = 0; map < 2; map++) {
		ASSERT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size,
					 HMM_DMIRROR_DEST_VRAM, map, 0, NULL));
		ASSERT_EQ(0, dmd_query(self->drm, b.ptr, NPAGES, pages));
		for (i = 0; i < NPAGES; i++)
			EXPECT_EQ(map ? HMM_DMIRROR_QUERY_DEV_MAPPED |
					HMM_DMIRROR_QUERY_DEV_WRITABLE : 0,
				  pages[i] & (HMM_DMIRROR_QUERY_DEV_MAPPED |
					      HMM_DMIRROR_QUERY_DEV_WRITABLE));
	}
	EXPECT_WHERE(self->drm, b.ptr, NPAGES, VRAM);
	/* Only what is on the device is mapped. */
	ASSERT_EQ(0, dmd_to_system(self->drm, b.ptr, b.size));
	EXPECT_WHERE(self->drm, b.ptr, NPAGES, SYSTEM);
	ASSERT_EQ(0, dmd_query(self->drm, b.ptr, NPAGES, pages));
	for (i = 0; i < NPAGES; i++)
		EXPECT_EQ(0, pages[i] & HMM_DMIRROR_QUERY_DEV_MAPPED);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* What lies before a hole moves; the rest is untried, and the hole is a fault. */
TEST_F(drm, hole)
{
	__u64 pages[DMD_CLASSES];
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, munmap(b.ptr + 16 * DM_PAGE, DM_PAGE));
	EXPECT_EQ(-EFAULT, dmd_migrate(self->drm, b.ptr, b.size,
				       HMM_DMIRROR_DEST_VRAM, 0, 0, pages));
	EXPECT_PAGES(pages, MOVED, 16);
	EXPECT_PAGES(pages, UNTRIED, NPAGES - 16);
	EXPECT_ALL(self->dm.fd, b.ptr, 16, DM_ON_DEV);
	EXPECT_EQ(-EFAULT, dmd_migrate(self->drm, b.ptr, b.size,
				       HMM_DMIRROR_DEST_SYSTEM, 0, 0, pages));
	EXPECT_PAGES(pages, MOVED, 16);
	EXPECT_PAGES(pages, UNTRIED, NPAGES - 16);
	EXPECT_TAGS(b.ptr, 16, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* A kind of memory that never moves is a class and no error, wherever it lies. */
TEST_F(drm, unsupported)
{
	__u64 pages[DMD_CLASSES];
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	/* Pages of a driver, inserted one by one: the core refuses such mappings. */
	ASSERT_EQ(b.ptr + 16 * DM_PAGE,
		  mmap(b.ptr + 16 * DM_PAGE, 16 * DM_PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, self->dm.fd, 0));
	EXPECT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size,
				 HMM_DMIRROR_DEST_VRAM, 0, 0, pages));
	EXPECT_PAGES(pages, UNSUPPORTED, 16);
	EXPECT_PAGES(pages, MOVED, NPAGES - 16);
	EXPECT_ALL(self->dm.fd, b.ptr, 16, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 32 * DM_PAGE, NPAGES - 32, DM_ON_DEV);
	EXPECT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size,
				 HMM_DMIRROR_DEST_SYSTEM, 0, 0, pages));
	EXPECT_PAGES(pages, MOVED, NPAGES - 16);
	EXPECT_EQ(NPAGES, dmd_sum(pages));
	dm_buf_free(&b);
}

/* What somebody holds stays, is told, and goes when he has let go. */
TEST_F(drm, busy)
{
	__u64 pages[DMD_CLASSES];
	struct iovec iov;
	struct dm_buf b;
	int fds[2], i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	iov.iov_base = b.ptr + 5 * DM_PAGE;
	iov.iov_len = 3 * DM_PAGE;
	ASSERT_EQ(iov.iov_len, vmsplice(fds[1], &iov, 1, 0));
	EXPECT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size,
				 HMM_DMIRROR_DEST_VRAM, 0, 0, pages));
	EXPECT_PAGES(pages, BUSY, 3);
	EXPECT_PAGES(pages, MOVED, NPAGES - 3);
	EXPECT_EQ(NPAGES, dmd_sum(pages));
	EXPECT_ALL(self->dm.fd, b.ptr, 5, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 5 * DM_PAGE, 3, DM_SYS);
	EXPECT_ALL(self->dm.fd, b.ptr + 8 * DM_PAGE, NPAGES - 8, DM_ON_DEV);
	ASSERT_EQ(iov.iov_len, read(fds[0], b.mirror, iov.iov_len));
	EXPECT_TAGS(b.mirror, 3, iov.iov_base, 1, DM_CPU);
	close(fds[0]);
	close(fds[1]);
	/* The last reference may go a moment later. */
	for (i = 0; i < 200 && dmd_to_vram(self->drm, b.ptr, b.size); i++)
		usleep(1000);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Each field, wrong on its own; nothing moves and nothing is answered. */
TEST_F(drm, bad_input)
{
	const __u64 top = 1ULL << 63;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);

	const __u64 va = (uintptr_t)b.ptr;
	const struct drm_hmm_dmirror_migrate bad[] = {
		{ .start = va + 1, .length = DM_PAGE, .dest = 1 },
		{ .start = va, .length = 0, .dest = 1 },
		{ .start = va, .length = DM_PAGE + 8, .dest = 1 },
		{ .start = va, .length = -DM_PAGE, .dest = 1 },
		{ .start = top, .length = DM_PAGE, .dest = 1 },
		{ .start = -DM_PAGE, .length = DM_PAGE, .dest = 1 },
		{ .start = -DM_PAGE, .length = 2 * DM_PAGE, .dest = 1 },
		{ .start = 0, .length = top, .dest = 1 },
		{ .start = va, .length = b.size, .dest = 3 },
		{ .start = va, .length = b.size, .dest = ~0U },
		{ .start = va, .length = b.size, .dest = 0, .flags = 1 },
		{ .start = va, .length = b.size, .dest = 1, .flags = 2 },
		{ .start = va, .length = b.size, .dest = 1, .flags = 1U << 31 },
		{ .start = va, .length = b.size, .dest = 1, .device = 1 },
		{ .start = va, .length = b.size, .dest = 0, .device = 1 },
		{ .start = va, .length = b.size, .dest = 1, .pad = 1 },
		{ .start = va, .length = b.size, .dest = 0, .pad = 1U << 31 },
	};
	struct drm_hmm_dmirror_migrate arg;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = bad[i];
		memset(arg.pages, 0xff, sizeof(arg.pages));
		EXPECT_EQ(-EINVAL, dmd_ioctl(self->drm,
					     DRM_IOCTL_HMM_DMIRROR_MIGRATE, &arg)) {
			TH_LOG("case %u", i);
		}
		for (j = 0; j < 16; j++)
			EXPECT_EQ(0, arg.pages[j]);
	}
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_CLASSES(&self->dm, "in", 0);
	EXPECT_CLASSES(&self->dm, "out", 0);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
