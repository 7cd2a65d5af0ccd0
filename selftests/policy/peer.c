// SPDX-License-Identifier: GPL-2.0
/*
 * From one device to another: in one step, with one copy of every page, and what
 * is told about pages that do not go that way.
 */
#include "dm_drm_harness.h"

#define NPAGES	64UL

FIXTURE(peer)
{
	struct dm_ctx	dm;	/* the device pages leave */
	int		drm;
	int		to_fd;	/* character device of the other */
	int		to_drm;
	struct dm_stats	to;	/* counters of the other at the start */
};

DM_VARIANTS(peer);
FIXTURE_VARIANT_ADD(peer, to_coherent) { .index = DM_PRIVATE0, .peer = DM_COHERENT0 };
FIXTURE_VARIANT_ADD(peer, to_private) { .index = DM_COHERENT0, .peer = DM_PRIVATE0 };

FIXTURE_SETUP(peer)
{
	self->to_fd = -1;
	self->to_drm = -1;
	self->drm = -1;
	self->dm.fd = -1;
	if (dm_ours() && !dm_node_exists(variant->peer))
		SKIP(return, "no device %d", variant->peer);
	DMD_SETUP(&self->dm, &self->drm, variant->index, variant->peer);
	self->to_fd = dm_open(variant->peer);
	ASSERT_GE(self->to_fd, 0);
	self->to_drm = dmd_open(variant->peer);
	ASSERT_GE(self->to_drm, 0);
	ASSERT_EQ(0, dm_stats_read(variant->peer, &self->to));
}

FIXTURE_TEARDOWN(peer)
{
	char why[DM_MSG] = "";
	struct dm_stats s;

	if (self->to_fd >= 0)
		EXPECT_EQ(0, close(self->to_fd));
	if (self->to_drm >= 0) {
		EXPECT_EQ(0, close(self->to_drm));
		EXPECT_EQ(0, dm_stats_read(variant->peer, &s));
		EXPECT_EQ(0, dm_stats_law(&s, why)) {
			TH_LOG("device %d: %s", variant->peer, why);
		}
	}
	dmd_teardown(_metadata, &self->dm, self->drm);
}

#define EXPECT_PAGES(pages, class, n) \
	EXPECT_EQ((__u64)(n), (pages)[HMM_DMIRROR_PAGE_##class])

/* A counter of the other device moved by @n since setup. */
#define EXPECT_OTHER(name, n) do {					\
	struct dm_stats _s;						\
	ASSERT_EQ(0, dm_stats_read(variant->peer, &_s));		\
	EXPECT_EQ((__s64)(n), dm_stat_delta(&self->to, &_s, name)) {	\
		TH_LOG("counter %s of the other device", name);		\
	}								\
} while (0)

#define TO_PEER(addr, size, pages) \
	dmd_migrate(self->drm, addr, size, HMM_DMIRROR_DEST_DEVICE, 0, \
		    variant->peer, pages)

/* One copy: it leaves here, arrives there, and nothing is left or counted twice. */
TEST_F(peer, there)
{
	__u64 pages[DMD_CLASSES];
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	dm_restart(&self->dm);

	EXPECT_EQ(0, TO_PEER(b.ptr, b.size, pages));
	EXPECT_PAGES(pages, MOVED, NPAGES);
	EXPECT_EQ(NPAGES, dmd_sum(pages));
	EXPECT_ALL(self->to_fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_MOVED(&self->dm, "vram_resident_pages", -(long)NPAGES);
	EXPECT_MOVED(&self->dm, "peer_out_pages", NPAGES);
	EXPECT_MOVED(&self->dm, "migrate_out_pages", 0);
	EXPECT_MOVED(&self->dm, "cpu_fault_pages", 0);
	EXPECT_MOVED(&self->dm, "evicted_pages", 0);
	EXPECT_OTHER("vram_resident_pages", NPAGES);
	EXPECT_OTHER("peer_in_pages", NPAGES);
	EXPECT_OTHER("migrate_in_pages", 0);
	EXPECT_CLASSES(&self->dm, "out", NPAGES);

	/* The other device works on it without a migration. */
	EXPECT_EQ(0, dm_read(self->to_fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_CPU);
	dm_fill(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->to_fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_ALL(self->to_fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_OTHER("vram_resident_pages", dm_is_coherent(variant->peer) ? NPAGES : 0);
	dm_buf_free(&b);
}

/* Back and forth many times: every byte of every generation. */
TEST_F(peer, and_back)
{
	struct dm_buf b;
	int round;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 0, DM_DEV);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	for (round = 1; round <= 10; round++) {
		bool out = round & 1;
		int fd = out ? self->drm : self->to_drm;

		ASSERT_EQ(0, dmd_migrate(fd, b.ptr, b.size, HMM_DMIRROR_DEST_DEVICE,
					 0, out ? variant->peer : variant->index,
					 NULL));
		fd = out ? self->to_fd : self->dm.fd;
		ASSERT_ALL(fd, b.ptr, NPAGES, DM_ON_DEV);
		ASSERT_EQ(0, dm_read(fd, b.ptr, NPAGES, b.mirror, NULL));
		ASSERT_TAGS(b.mirror, NPAGES, b.ptr, round - 1, DM_DEV);
		dm_fill(b.mirror, NPAGES, b.ptr, round, DM_DEV);
		ASSERT_EQ(0, dm_write(fd, b.ptr, NPAGES, b.mirror, NULL));
	}
	EXPECT_MOVED(&self->dm, "peer_out_pages", 5 * NPAGES);
	EXPECT_MOVED(&self->dm, "peer_in_pages", 5 * NPAGES);
	EXPECT_MOVED(&self->dm, "migrate_out_pages", 0);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 10, DM_DEV);
	dm_buf_free(&b);
}

/* A 2 MiB page goes as one where both devices can have such pages. */
TEST_F(peer, large)
{
	unsigned long whole;
	struct dm_buf b;
	__u64 large;

	ASSERT_EQ(0, dm_buf_anon(&b, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	large = dm_stat_now(self->dm.index, "large_in") -
		dm_stat(&self->dm.start, "large_in");
	ASSERT_EQ(dmd_has(self->drm, HMM_DMIRROR_FEATURE_LARGE_FOLIOS), large);
	dm_restart(&self->dm);
	whole = large && dmd_has(self->to_drm, HMM_DMIRROR_FEATURE_LARGE_FOLIOS);
	EXPECT_EQ(0, TO_PEER(b.ptr, b.size, NULL));
	EXPECT_ALL(self->to_fd, b.ptr, b.npages, DM_ON_DEV);
	EXPECT_MOVED(&self->dm, "peer_out_pages", b.npages);
	EXPECT_MOVED(&self->dm, "large_out", whole);
	/* In pieces, if the other cannot have it whole. */
	EXPECT_MOVED(&self->dm, "folio_splits", large && !whole);
	EXPECT_OTHER("large_in", whole);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* A part of a 2 MiB page goes, the rest of it stays. */
TEST_F(peer, part_of_a_large_page)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	EXPECT_MOVED(&self->dm, "large_in",
		     dmd_has(self->drm, HMM_DMIRROR_FEATURE_LARGE_FOLIOS));
	EXPECT_EQ(0, TO_PEER(b.ptr + 16 * DM_PAGE, 16 * DM_PAGE, NULL));
	EXPECT_ALL(self->dm.fd, b.ptr, 16, DM_ON_DEV);
	EXPECT_ALL(self->to_fd, b.ptr + 16 * DM_PAGE, 16, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 32 * DM_PAGE, b.npages - 32, DM_ON_DEV);
	EXPECT_MOVED(&self->dm, "peer_out_pages", 16);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Only what is on this device goes; every other page is told apart. */
TEST_F(peer, mixed)
{
	__u64 pages[DMD_CLASSES];
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	/* 16 pages on this device, 16 in system memory, 16 on the other, 16 holes */
	dm_fill(b.ptr, 48, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, 16 * DM_PAGE));
	ASSERT_EQ(0, dmd_to_vram(self->to_drm, b.ptr + 32 * DM_PAGE, 16 * DM_PAGE));
	EXPECT_EQ(0, TO_PEER(b.ptr, b.size, pages));
	EXPECT_PAGES(pages, MOVED, 16);
	EXPECT_PAGES(pages, ELSEWHERE, 16);
	EXPECT_PAGES(pages, PRESENT, 16);
	EXPECT_PAGES(pages, HOLE, 16);
	EXPECT_EQ(NPAGES, dmd_sum(pages));
	EXPECT_ALL(self->to_fd, b.ptr, 16, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 16 * DM_PAGE, 16, DM_SYS);
	EXPECT_ALL(self->to_fd, b.ptr + 32 * DM_PAGE, 16, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 48 * DM_PAGE, 16, DM_NOWHERE);
	EXPECT_TAGS(b.ptr, 48, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* A full device makes room; nothing of either is lost. */
TEST_F(peer, to_a_full_device)
{
	unsigned long capacity = dm_stat(&self->to, "vram_capacity_pages");
	__u64 pages[DMD_CLASSES];
	struct dm_buf full, b;

	if (capacity * DM_PAGE > 128UL << 20)
		SKIP(return, "too much device memory for this test");
	ASSERT_EQ(0, dm_buf_anon(&full, capacity, DM_BUF_SMALL));
	dm_fill(full.ptr, capacity, full.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 2, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	ASSERT_EQ(0, dmd_to_vram(self->to_drm, full.ptr, full.size));
	ASSERT_EQ(0, dm_stat_now(variant->peer, "vram_free_pages"));

	EXPECT_EQ(0, TO_PEER(b.ptr, b.size, pages));
	EXPECT_PAGES(pages, MOVED, NPAGES);
	EXPECT_ALL(self->to_fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_CPU);
	EXPECT_TAGS(full.ptr, capacity, full.ptr, 1, DM_CPU);
	dm_buf_free(&full);
	dm_buf_free(&b);
}

/* A page of the device shared with a child goes as any other. */
TEST_F(peer, shared_after_fork)
{
	struct dm_buf b;
	int status;
	pid_t pid;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		raise(SIGSTOP);
		_exit(dm_verify(b.ptr, NPAGES, b.ptr, 1, DM_CPU, NULL));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	EXPECT_EQ(0, TO_PEER(b.ptr, b.size, NULL));
	EXPECT_ALL(self->to_fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_EQ(0, kill(pid, SIGCONT));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

TEST_F(peer, bad_input)
{
	struct drm_hmm_dmirror_migrate arg = { .dest = HMM_DMIRROR_DEST_DEVICE };
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	EXPECT_EQ(-ENOENT, dmd_migrate(self->drm, b.ptr, b.size,
				       HMM_DMIRROR_DEST_DEVICE, 0, 4, NULL));
	EXPECT_EQ(-ENOENT, dmd_migrate(self->drm, b.ptr, b.size,
				       HMM_DMIRROR_DEST_DEVICE, 0, ~0U, NULL));
	EXPECT_EQ(-EINVAL, dmd_migrate(self->drm, b.ptr, b.size,
				       HMM_DMIRROR_DEST_DEVICE, 0,
				       variant->index, NULL));
	EXPECT_EQ(-EINVAL, dmd_migrate(self->drm, b.ptr, b.size,
				       HMM_DMIRROR_DEST_DEVICE,
				       HMM_DMIRROR_MIGRATE_MAP, variant->peer, NULL));
	EXPECT_EQ(-EINVAL, dmd_migrate(self->drm, b.ptr, b.size,
				       HMM_DMIRROR_DEST_VRAM, 0, 1, NULL));
	EXPECT_EQ(-EINVAL, dmd_migrate(self->drm, b.ptr, b.size,
				       HMM_DMIRROR_DEST_SYSTEM, 0, 1, NULL));
	arg.start = (__u64)(uintptr_t)b.ptr;
	arg.length = b.size;
	arg.device = variant->peer;
	arg.pad = 1;
	EXPECT_EQ(-EINVAL, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_MIGRATE, &arg));
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
