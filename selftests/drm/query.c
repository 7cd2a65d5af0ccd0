// SPDX-License-Identifier: GPL-2.0
/*
 * QUERY: one word for each page, true about both page tables, and nothing moves.
 */
#include "dm_drm_harness.h"

#define NPAGES	64UL

#define WHERE(q)	HMM_DMIRROR_QUERY_LOCATION(q)

DMD_FIXTURE(query);

/* Untouched, read, written, on the device, unmapped, unreadable: side by side. */
TEST_F(query, each_place)
{
	struct dm_buf b;
	__u64 q[8];
	__u8 *p;

	ASSERT_EQ(0, dm_buf_anon(&b, 8, DM_BUF_SMALL));
	p = b.ptr;
	/* 0 untouched, 1 zero page, 2 written, 3 on the device */
	EXPECT_EQ(0, __atomic_load_n(p + DM_PAGE, __ATOMIC_RELAXED));
	dm_fill(p + 2 * DM_PAGE, 6, p + 2 * DM_PAGE, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, p + 3 * DM_PAGE, DM_PAGE));
	/* 4 unmapped, 5 unreadable, 6 read only, 7 read only on the device */
	ASSERT_EQ(0, munmap(p + 4 * DM_PAGE, DM_PAGE));
	ASSERT_EQ(0, mprotect(p + 5 * DM_PAGE, DM_PAGE, PROT_NONE));
	ASSERT_EQ(0, mprotect(p + 6 * DM_PAGE, 2 * DM_PAGE, PROT_READ));
	ASSERT_EQ(0, dmd_to_vram(self->drm, p + 7 * DM_PAGE, DM_PAGE));

	ASSERT_EQ(0, dmd_query(self->drm, p, 8, q));
	EXPECT_EQ(HMM_DMIRROR_QUERY_ABSENT, q[0]);
	EXPECT_EQ(HMM_DMIRROR_QUERY_ZERO, q[1]);
	EXPECT_EQ(HMM_DMIRROR_QUERY_SYSTEM | HMM_DMIRROR_QUERY_WRITABLE, q[2]);
	EXPECT_EQ(HMM_DMIRROR_QUERY_VRAM | HMM_DMIRROR_QUERY_WRITABLE, q[3]);
	EXPECT_EQ(HMM_DMIRROR_QUERY_UNMAPPED, q[4]);
	EXPECT_EQ(HMM_DMIRROR_QUERY_UNMAPPED, q[5]);
	EXPECT_EQ(HMM_DMIRROR_QUERY_SYSTEM, q[6]);
	EXPECT_EQ(HMM_DMIRROR_QUERY_VRAM, q[7]);
	/* Asking has changed nothing. */
	EXPECT_WHERE(self->drm, p, 1, ABSENT);
	EXPECT_WHERE(self->drm, p + 3 * DM_PAGE, 1, VRAM);
	EXPECT_MOVED(&self->dm, "cpu_faults", 0);
	EXPECT_MOVED(&self->dm, "dev_faults", 0);
	EXPECT_TAGS(p + 2 * DM_PAGE, 2, p + 2 * DM_PAGE, 1, DM_CPU);
	EXPECT_TAGS(p + 6 * DM_PAGE, 2, p + 6 * DM_PAGE, 1, DM_CPU);
	dm_buf_free(&b);
}

/* The other device's pages are its own, and named so by each of the two. */
TEST_F(query, other_device)
{
	int fd = dmd_open(self->dm.peer_index);
	struct dm_buf b;
	__u64 q[3];

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, dm_buf_anon(&b, 3, DM_BUF_SMALL));
	dm_fill(b.ptr, 3, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, DM_PAGE));
	ASSERT_EQ(0, dmd_to_vram(fd, b.ptr + DM_PAGE, DM_PAGE));

	ASSERT_EQ(0, dmd_query(self->drm, b.ptr, 3, q));
	EXPECT_EQ(HMM_DMIRROR_QUERY_VRAM, WHERE(q[0]));
	EXPECT_EQ(HMM_DMIRROR_QUERY_OTHER, WHERE(q[1]));
	EXPECT_EQ(self->dm.peer_index, HMM_DMIRROR_QUERY_DEVICE(q[1]));
	EXPECT_TRUE(q[1] & HMM_DMIRROR_QUERY_WRITABLE);
	EXPECT_EQ(HMM_DMIRROR_QUERY_SYSTEM, WHERE(q[2]));

	ASSERT_EQ(0, dmd_query(fd, b.ptr, 3, q));
	EXPECT_EQ(HMM_DMIRROR_QUERY_OTHER, WHERE(q[0]));
	EXPECT_EQ(self->dm.index, HMM_DMIRROR_QUERY_DEVICE(q[0]));
	EXPECT_EQ(HMM_DMIRROR_QUERY_VRAM, WHERE(q[1]));
	EXPECT_EQ(HMM_DMIRROR_QUERY_SYSTEM, WHERE(q[2]));
	EXPECT_TAGS(b.ptr, 3, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, close(fd));
	dm_buf_free(&b);
}

/* A large page says so, here and on another device. */
TEST_F(query, large)
{
	int peer = dmd_open(self->dm.peer_index);
	struct dm_buf b;
	__u64 q[2];

	ASSERT_GE(peer, 0);
	if (!dmd_has(self->drm, HMM_DMIRROR_FEATURE_LARGE_FOLIOS))
		SKIP(return, "no large pages in this device memory");
	ASSERT_EQ(0, dm_buf_anon(&b, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(b.ptr, DM_2M_PAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_query(self->drm, b.ptr, 2, q));
	if (HMM_DMIRROR_QUERY_ORDER(q[0]) != 9)
		SKIP(return, "no huge page to be had");
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	ASSERT_EQ(0, dmd_query(self->drm, b.ptr, 2, q));
	EXPECT_EQ(HMM_DMIRROR_QUERY_VRAM, WHERE(q[1]));
	EXPECT_EQ(9, HMM_DMIRROR_QUERY_ORDER(q[1]));
	ASSERT_EQ(0, dmd_query(peer, b.ptr, 2, q));
	EXPECT_EQ(HMM_DMIRROR_QUERY_OTHER, WHERE(q[1]));
	EXPECT_EQ(self->dm.index, HMM_DMIRROR_QUERY_DEVICE(q[1]));
	EXPECT_EQ(9, HMM_DMIRROR_QUERY_ORDER(q[1]));
	EXPECT_TAGS(b.ptr, DM_2M_PAGES, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, close(peer));
	dm_buf_free(&b);
}

/* Many windows in one command, and each word in its place. */
TEST_F(query, long_range)
{
	const unsigned long n = 3 * DM_2M_PAGES + 5;
	struct drm_hmm_dmirror_query arg = { 0 };
	struct dm_buf b;
	unsigned long i;
	__u64 *q;

	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	q = calloc(n + 1, sizeof(*q));
	ASSERT_NE(NULL, q);
	q[n] = 0x55;
	for (i = 0; i < n; i += 100)
		b.ptr[i * DM_PAGE] = 1;
	arg.start = (uintptr_t)b.ptr;
	arg.length = b.size;
	arg.pages = (uintptr_t)q;
	EXPECT_EQ(0, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_QUERY, &arg));
	EXPECT_EQ(n, arg.nr_pages);
	for (i = 0; i < n; i++)
		EXPECT_EQ(i % 100 ? HMM_DMIRROR_QUERY_ABSENT :
				    HMM_DMIRROR_QUERY_SYSTEM, WHERE(q[i]));
	EXPECT_EQ(0x55, q[n]);
	free(q);
	dm_buf_free(&b);
}

TEST_F(query, bad_input)
{
	struct dm_buf b;
	__u64 q[4], max;

	ASSERT_EQ(0, dm_buf_anon(&b, 4, DM_BUF_SMALL));
	ASSERT_EQ(0, dmd_param(self->drm, HMM_DMIRROR_PARAM_QUERY_PAGES, &max));

	const __u64 va = (uintptr_t)b.ptr, to = (uintptr_t)q;
	const struct {
		struct drm_hmm_dmirror_query arg;
		int ret;
	} bad[] = {
		{ { .start = va + 8, .length = DM_PAGE, .pages = to }, -EINVAL },
		{ { .start = va, .length = 0, .pages = to }, -EINVAL },
		{ { .start = va, .length = 1, .pages = to }, -EINVAL },
		{ { .start = va, .length = -DM_PAGE, .pages = to }, -EINVAL },
		{ { .start = -DM_PAGE, .length = DM_PAGE, .pages = to }, -EINVAL },
		{ { .start = va, .length = DM_PAGE, .pages = to, .flags = 1 }, -EINVAL },
		{ { .start = va, .length = DM_PAGE, .pages = to, .pad = 1 }, -EINVAL },
		{ { .start = 0, .length = (max + 1) * DM_PAGE, .pages = to }, -E2BIG },
		{ { .start = va, .length = DM_PAGE, .pages = 0 }, -EFAULT },
		{ { .start = va, .length = DM_PAGE, .pages = ~0ULL - 15 }, -EFAULT },
	};
	struct drm_hmm_dmirror_query arg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = bad[i].arg;
		arg.nr_pages = 77;
		EXPECT_EQ(bad[i].ret, dmd_ioctl(self->drm,
						DRM_IOCTL_HMM_DMIRROR_QUERY, &arg)) {
			TH_LOG("case %u", i);
		}
		EXPECT_EQ(0, arg.nr_pages);
	}
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
