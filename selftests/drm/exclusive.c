// SPDX-License-Identifier: GPL-2.0
/*
 * EXCLUSIVE: taken, seen to be held, ended by the CPU or given up.
 */
#include "dm_drm_harness.h"
#include "scene.h"

#define NPAGES	16UL

DMD_FIXTURE(exclusive);

#define TAKE	HMM_DMIRROR_EXCLUSIVE_TAKE
#define CHECK	HMM_DMIRROR_EXCLUSIVE_CHECK
#define DROP	HMM_DMIRROR_EXCLUSIVE_DROP

#define SKIP_WITHOUT_EXCLUSIVE() do {					\
	if (!dmd_has(self->drm, HMM_DMIRROR_FEATURE_EXCLUSIVE))		\
		SKIP(return, "this kernel has no exclusive access");	\
} while (0)

#define EXPECT_HELD(fd, b, n) do {					\
	__u64 _pages = ~0ULL;						\
	EXPECT_EQ(0, dmd_exclusive(fd, CHECK, (b)->ptr, (b)->size, &_pages)); \
	EXPECT_EQ((__u64)(n), _pages);					\
} while (0)

/* Each CPU access ends it for its page, and for no other. */
TEST_F(exclusive, until_the_cpu)
{
	struct dm_buf b;
	__u64 pages;

	SKIP_WITHOUT_EXCLUSIVE();
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_HELD(self->drm, &b, 0);
	EXPECT_EQ(0, dmd_exclusive(self->drm, TAKE, b.ptr, b.size, &pages));
	EXPECT_EQ(NPAGES, pages);
	EXPECT_HELD(self->drm, &b, NPAGES);
	EXPECT_MOVED(&self->dm, "exclusive_taken_pages", NPAGES);

	EXPECT_TAGS(b.ptr + 3 * DM_PAGE, 1, b.ptr + 3 * DM_PAGE, 1, DM_CPU);
	EXPECT_HELD(self->drm, &b, NPAGES - 1);
	__atomic_fetch_add(&b.ptr[5 * DM_PAGE], 0, __ATOMIC_RELAXED);
	EXPECT_HELD(self->drm, &b, NPAGES - 2);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_HELD(self->drm, &b, 0);
	dm_buf_free(&b);
}

/* Given up, part by part; what is not held is not counted. */
TEST_F(exclusive, dropped)
{
	struct dm_buf b;
	__u64 pages, q[NPAGES];
	unsigned long i;

	SKIP_WITHOUT_EXCLUSIVE();
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, dmd_exclusive(self->drm, DROP, b.ptr, b.size, &pages));
	EXPECT_EQ(0, pages);
	ASSERT_EQ(0, dmd_exclusive(self->drm, TAKE, b.ptr, b.size, NULL));
	EXPECT_EQ(0, dmd_exclusive(self->drm, DROP, b.ptr, 4 * DM_PAGE, &pages));
	EXPECT_EQ(4, pages);
	EXPECT_HELD(self->drm, &b, NPAGES - 4);

	ASSERT_EQ(0, dmd_query(self->drm, b.ptr, NPAGES, q));
	for (i = 0; i < NPAGES; i++) {
		EXPECT_EQ(HMM_DMIRROR_QUERY_SYSTEM,
			  HMM_DMIRROR_QUERY_LOCATION(q[i]));
		EXPECT_EQ(i < 4, !(q[i] & HMM_DMIRROR_QUERY_EXCLUSIVE));
		EXPECT_TRUE(q[i] & HMM_DMIRROR_QUERY_DEV_MAPPED);
	}
	EXPECT_EQ(0, dmd_exclusive(self->drm, DROP, b.ptr, b.size, &pages));
	EXPECT_EQ(NPAGES - 4, pages);
	EXPECT_HELD(self->drm, &b, 0);
	/* The CPU finds the pages back without another fault of its own. */
	EXPECT_WHERE(self->drm, b.ptr, NPAGES, SYSTEM);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* What nobody has used takes no time to look at, however large. */
TEST_F(exclusive, whole_address_space)
{
	const size_t all = (1UL << 47) - 2 * DM_2M;
	long long start;
	struct dm_buf b;
	__u64 pages;

	SKIP_WITHOUT_EXCLUSIVE();
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_exclusive(self->drm, TAKE, b.ptr, b.size, NULL));
	start = sc_now_ms();
	EXPECT_EQ(0, dmd_exclusive(self->drm, CHECK, (void *)DM_2M, all, &pages));
	EXPECT_EQ(NPAGES, pages);
	EXPECT_EQ(0, dmd_exclusive(self->drm, DROP, (void *)DM_2M, all, &pages));
	EXPECT_EQ(NPAGES, pages);
	EXPECT_GT(sc_slow(500), sc_now_ms() - start);
	EXPECT_HELD(self->drm, &b, 0);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Held through one file is not held through another, but is ended by its taking. */
TEST_F(exclusive, of_a_file)
{
	int fd = dmd_open(self->dm.index);
	struct dm_buf b;

	ASSERT_GE(fd, 0);
	SKIP_WITHOUT_EXCLUSIVE();
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_exclusive(self->drm, TAKE, b.ptr, b.size, NULL));
	EXPECT_HELD(fd, &b, 0);
	EXPECT_EQ(0, dmd_exclusive(fd, DROP, b.ptr, b.size, NULL));
	EXPECT_HELD(self->drm, &b, NPAGES);
	ASSERT_EQ(0, dmd_exclusive(fd, TAKE, b.ptr, b.size, NULL));
	EXPECT_HELD(fd, &b, NPAGES);
	EXPECT_HELD(self->drm, &b, 0);
	/* Closing gives it up as far as this device goes; the CPU gets it back. */
	EXPECT_EQ(0, close(fd));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* From device memory it comes home first. */
TEST_F(exclusive, of_device_memory)
{
	struct dm_buf b;

	SKIP_WITHOUT_EXCLUSIVE();
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	EXPECT_EQ(0, dmd_exclusive(self->drm, TAKE, b.ptr, b.size, NULL));
	EXPECT_HELD(self->drm, &b, NPAGES);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

TEST_F(exclusive, refused)
{
	struct dm_buf b, shared;
	__u64 pages;

	SKIP_WITHOUT_EXCLUSIVE();
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	/* What comes before the hole has been taken. */
	ASSERT_EQ(0, munmap(b.ptr + 4 * DM_PAGE, DM_PAGE));
	EXPECT_EQ(-EFAULT, dmd_exclusive(self->drm, TAKE, b.ptr, b.size, &pages));
	EXPECT_EQ(4, pages);
	EXPECT_EQ(0, dmd_exclusive(self->drm, DROP, b.ptr, b.size, &pages));
	EXPECT_EQ(4, pages);
	ASSERT_EQ(0, mprotect(b.ptr, DM_PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, dmd_exclusive(self->drm, TAKE, b.ptr, DM_PAGE, &pages));
	EXPECT_EQ(0, pages);

	ASSERT_EQ(0, dm_buf_map(&shared, NPAGES, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	dm_fill(shared.ptr, NPAGES, shared.ptr, 1, DM_CPU);
	EXPECT_EQ(-EOPNOTSUPP, dmd_exclusive(self->drm, TAKE, shared.ptr,
					     DM_PAGE, &pages));
	EXPECT_EQ(0, pages);
	EXPECT_TAGS(shared.ptr, NPAGES, shared.ptr, 1, DM_CPU);
	dm_buf_free(&shared);
	dm_buf_free(&b);
}

TEST_F(exclusive, bad_input)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));

	const __u64 va = (uintptr_t)b.ptr;
	const struct drm_hmm_dmirror_exclusive bad[] = {
		{ .start = va + 1, .length = DM_PAGE },
		{ .start = va, .length = 0 },
		{ .start = va, .length = DM_PAGE - 1 },
		{ .start = -DM_PAGE, .length = DM_PAGE },
		{ .start = va, .length = -DM_PAGE },
		{ .start = va, .length = DM_PAGE, .what = 3 },
		{ .start = va, .length = DM_PAGE, .what = ~0U },
		{ .start = va, .length = DM_PAGE, .flags = 1 },
		{ .start = va, .length = DM_PAGE, .what = DROP, .flags = 1U << 31 },
	};
	struct drm_hmm_dmirror_exclusive arg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = bad[i];
		arg.pages = 77;
		EXPECT_EQ(-EINVAL, dmd_ioctl(self->drm,
					     DRM_IOCTL_HMM_DMIRROR_EXCLUSIVE, &arg)) {
			TH_LOG("case %u", i);
		}
		EXPECT_EQ(0, arg.pages);
	}
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
