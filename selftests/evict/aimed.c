// SPDX-License-Identifier: GPL-2.0
/*
 * EVICT: exactly what was aimed at leaves, and what it refuses.
 */
#include "dm_drm_harness.h"
#include "scene.h"

#define NPAGES	64UL
#define NOBODY	65534

DMD_FIXTURE(evict);

#define EVICT(what, addr, size, pages) \
	dmd_evict(self->drm, HMM_DMIRROR_EVICT_##what, addr, size, pages)

/* A buffer full of generation 1, on the device. */
#define ON_DEVICE(b, n) do {						\
	ASSERT_EQ(0, dm_buf_anon(b, n, DM_BUF_SMALL));			\
	dm_fill((b)->ptr, n, (b)->ptr, 1, DM_CPU);			\
	ASSERT_EQ(0, dmd_to_vram(self->drm, (b)->ptr, (b)->size));	\
} while (0)

static int dev_read(int drm, const void *addr, size_t size)
{
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_CHECKSUM, .length = size,
		.src = (__u64)(uintptr_t)addr,
	};

	return dmd_run(drm, &job, NULL);
}

/* The range leaves and its neighbours stay, to the page. */
TEST_F(evict, range)
{
	__u64 pages = DM_UNSET;
	struct dm_buf b;

	ON_DEVICE(&b, NPAGES);
	dm_restart(&self->dm);
	EXPECT_EQ(0, EVICT(RANGE, b.ptr + 17 * DM_PAGE, 3 * DM_PAGE, &pages));
	EXPECT_EQ(3, pages);
	EXPECT_ALL(self->dm.fd, b.ptr, 17, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 17 * DM_PAGE, 3, DM_SYS);
	EXPECT_ALL(self->dm.fd, b.ptr + 20 * DM_PAGE, NPAGES - 20, DM_ON_DEV);
	EXPECT_MOVED(&self->dm, "evicted_pages", 3);
	EXPECT_MOVED(&self->dm, "migrate_out_pages", 0);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", -3);

	/* What has left already does not leave. */
	EXPECT_EQ(0, EVICT(RANGE, b.ptr, 20 * DM_PAGE, &pages));
	EXPECT_EQ(17, pages);
	EXPECT_EQ(0, EVICT(RANGE, b.ptr, 20 * DM_PAGE, &pages));
	EXPECT_EQ(0, pages);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Holes are passed over, and what may not be read leaves like the rest. */
TEST_F(evict, range_with_holes)
{
	__u64 pages = DM_UNSET;
	struct dm_buf b;

	ON_DEVICE(&b, NPAGES);
	ASSERT_EQ(0, munmap(b.ptr + 4 * DM_PAGE, 2 * DM_PAGE));
	ASSERT_EQ(0, mprotect(b.ptr + 8 * DM_PAGE, 8 * DM_PAGE, PROT_NONE));
	dm_restart(&self->dm);
	EXPECT_EQ(0, EVICT(RANGE, b.ptr - 4 * DM_PAGE, b.size + 8 * DM_PAGE, &pages));
	EXPECT_EQ(NPAGES - 2, pages);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", 2 - (long)NPAGES);
	ASSERT_EQ(0, mprotect(b.ptr + 8 * DM_PAGE, 8 * DM_PAGE, PROT_READ));
	EXPECT_ALL(self->dm.fd, b.ptr, 4, DM_SYS);
	EXPECT_ALL(self->dm.fd, b.ptr + 6 * DM_PAGE, NPAGES - 6, DM_SYS);
	EXPECT_TAGS(b.ptr, 4, b.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr + 6 * DM_PAGE, NPAGES - 6, b.ptr + 6 * DM_PAGE, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Holes take no time, however large. */
TEST_F(evict, whole_address_space)
{
	__u64 pages = DM_UNSET;
	long long start;
	struct dm_buf b;

	ON_DEVICE(&b, NPAGES);
	start = sc_now_ms();
	EXPECT_EQ(0, EVICT(RANGE, (void *)DM_2M, (1UL << 47) - 2 * DM_2M, &pages));
	EXPECT_GT(sc_slow(500), sc_now_ms() - start);
	EXPECT_EQ(NPAGES, pages);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* By bytes the least recently used block leaves, and only as many as it takes. */
TEST_F(evict, bytes_by_lru)
{
	struct dm_buf b[3];
	__u64 pages;
	int i;

	ASSERT_EQ(0, EVICT(ALL, NULL, 0, NULL));
	/* In order; each is a block of its own. */
	for (i = 0; i < 3; i++)
		ON_DEVICE(&b[i], DM_2M_PAGES);
	EXPECT_EQ(0, EVICT(BYTES, NULL, DM_PAGE, &pages));
	EXPECT_EQ(DM_2M_PAGES, pages);
	EXPECT_ALL(self->dm.fd, b[0].ptr, DM_2M_PAGES, DM_SYS);
	EXPECT_ALL(self->dm.fd, b[1].ptr, DM_2M_PAGES, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b[2].ptr, DM_2M_PAGES, DM_ON_DEV);

	/* The second is older than the third, but was used since. */
	ASSERT_EQ(0, dm_read(self->dm.fd, b[1].ptr, 1, b[1].mirror, NULL));
	EXPECT_EQ(0, EVICT(BYTES, NULL, DM_2M, &pages));
	EXPECT_EQ(DM_2M_PAGES, pages);
	EXPECT_ALL(self->dm.fd, b[1].ptr, DM_2M_PAGES, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b[2].ptr, DM_2M_PAGES, DM_SYS);

	/* More than there is: all there is. */
	EXPECT_EQ(0, EVICT(BYTES, NULL, 64 * DM_2M, &pages));
	EXPECT_EQ(DM_2M_PAGES, pages);
	EXPECT_ALL(self->dm.fd, b[1].ptr, DM_2M_PAGES, DM_SYS);
	for (i = 0; i < 3; i++) {
		EXPECT_TAGS(b[i].ptr, DM_2M_PAGES, b[i].ptr, 1, DM_CPU);
		dm_buf_free(&b[i]);
	}
}

/* What the device has translations for is used without a fault, and is in use. */
TEST_F(evict, use_without_faults)
{
	struct dm_buf b[3];
	int i;

	ASSERT_EQ(0, EVICT(ALL, NULL, 0, NULL));
	for (i = 0; i < 3; i++) {
		ON_DEVICE(&b[i], DM_2M_PAGES);
		ASSERT_EQ(0, dmd_migrate(self->drm, b[i].ptr, b[i].size,
					 HMM_DMIRROR_DEST_VRAM,
					 HMM_DMIRROR_MIGRATE_MAP, 0, NULL));
	}
	/* All of them have been used: the oldest leaves, and no use counts now. */
	ASSERT_EQ(0, EVICT(BYTES, NULL, DM_PAGE, NULL));
	EXPECT_ALL(self->dm.fd, b[0].ptr, DM_2M_PAGES, DM_SYS);
	dm_restart(&self->dm);
	ASSERT_EQ(0, dev_read(self->drm, b[1].ptr, DM_PAGE));
	EXPECT_MOVED(&self->dm, "dev_faults", 0);
	ASSERT_EQ(0, EVICT(BYTES, NULL, DM_PAGE, NULL));
	EXPECT_ALL(self->dm.fd, b[1].ptr, DM_2M_PAGES, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b[2].ptr, DM_2M_PAGES, DM_SYS);
	for (i = 0; i < 3; i++) {
		EXPECT_TAGS(b[i].ptr, DM_2M_PAGES, b[i].ptr, 1, DM_CPU);
		dm_buf_free(&b[i]);
	}
}

TEST_F(evict, all)
{
	struct dm_buf a, b;
	__u64 pages;

	ASSERT_EQ(0, EVICT(ALL, NULL, 0, NULL));
	EXPECT_EQ(0, dm_stat_now(self->dm.index, "vram_resident_pages"));
	ON_DEVICE(&a, NPAGES);
	ON_DEVICE(&b, DM_2M_PAGES + 1);
	EXPECT_EQ(0, EVICT(ALL, NULL, 0, &pages));
	EXPECT_EQ(NPAGES + DM_2M_PAGES + 1, pages);
	EXPECT_EQ(0, dm_stat_now(self->dm.index, "vram_resident_pages"));
	EXPECT_TAGS(a.ptr, NPAGES, a.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, EVICT(ALL, NULL, 0, &pages));
	EXPECT_EQ(0, pages);
	dm_buf_free(&a);
	dm_buf_free(&b);
}

/* As somebody without privileges. Returns a number for what was wrong, or 0. */
static int as_nobody(int index, struct dm_buf *b)
{
	int fd = dmd_open(index);
	__u64 pages;

	if (fd < 0)
		return 1;
	if (setgid(NOBODY) || setuid(NOBODY))
		return 2;
	if (dmd_evict(fd, HMM_DMIRROR_EVICT_ALL, NULL, 0, NULL) != -EPERM)
		return 3;
	if (dmd_evict(fd, HMM_DMIRROR_EVICT_BYTES, NULL, DM_PAGE, NULL) != -EPERM)
		return 4;
	if (dmd_evict(fd, HMM_DMIRROR_EVICT_RANGE, b->ptr, b->size, &pages))
		return 5;
	return pages == b->npages ? 0 : 6;
}

/* What is everybody's takes a privilege; one's own range does not. */
TEST_F(evict, privilege)
{
	struct dm_buf b, other;
	int status;
	pid_t pid;

	ON_DEVICE(&other, NPAGES);
	ON_DEVICE(&b, NPAGES);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(as_nobody(self->dm.index, &b));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_ALL(self->dm.fd, other.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
	dm_buf_free(&other);
}

TEST_F(evict, bad_input)
{
	struct drm_hmm_dmirror_evict arg = { .what = HMM_DMIRROR_EVICT_ALL + 1 };
	struct dm_buf b;

	ON_DEVICE(&b, NPAGES);
	EXPECT_EQ(-EINVAL, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_EVICT, &arg));
	arg.what = HMM_DMIRROR_EVICT_ALL;
	arg.flags = 1;
	EXPECT_EQ(-EINVAL, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_EVICT, &arg));
	EXPECT_EQ(-EINVAL, EVICT(ALL, NULL, DM_PAGE, NULL));
	EXPECT_EQ(-EINVAL, EVICT(ALL, b.ptr, 0, NULL));
	EXPECT_EQ(-EINVAL, EVICT(BYTES, NULL, 0, NULL));
	EXPECT_EQ(-EINVAL, EVICT(BYTES, NULL, DM_PAGE + 1, NULL));
	EXPECT_EQ(-EINVAL, EVICT(BYTES, b.ptr, DM_PAGE, NULL));
	EXPECT_EQ(-EINVAL, EVICT(RANGE, b.ptr, 0, NULL));
	EXPECT_EQ(-EINVAL, EVICT(RANGE, b.ptr + 1, DM_PAGE, NULL));
	EXPECT_EQ(-EINVAL, EVICT(RANGE, b.ptr, DM_PAGE - 1, NULL));
	EXPECT_EQ(-EINVAL, EVICT(RANGE, (void *)-DM_PAGE, 2 * DM_PAGE, NULL));
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
