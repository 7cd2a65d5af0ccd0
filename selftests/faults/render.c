// SPDX-License-Identifier: GPL-2.0
/*
 * Of the render node: what goes wrong only when something fails, or comes, at one
 * moment.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/uio.h>
#include "../jobs/fences.h"
#include "stage.h"
#include "windows.h"

#define SOURCE	DM_PRIVATE0
#define PEER	DM_PRIVATE1

FIXTURE(render) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct hand mover, other;
};

/* What the hands use and learn. */
static struct {
	int mover, other;
	__u64 pages[DMD_CLASSES];
} node = { -1, -1 };

FIXTURE_SETUP(render)
{
	DM_INJECT_SETUP();
	if (access("/sys/module/drm", F_OK))
		SKIP(return, "this kernel has no DRM");
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, 2 * DM_2M_PAGES, DM_BUF_THP));
	dm_fill(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, hand_init(&self->mover, SOURCE, &self->b));
	ASSERT_EQ(0, hand_init(&self->other, SOURCE, &self->b));
	node.mover = dmd_open(SOURCE);
	node.other = dmd_open(SOURCE);
	ASSERT_LE(0, node.mover);
	ASSERT_LE(0, node.other);
}

FIXTURE_TEARDOWN(render)
{
	if (dm_inject_status())
		return;
	dm_inject_off(SOURCE);
	dm_inject_off(PEER);
	hand_fini(&self->mover);
	hand_fini(&self->other);
	if (node.mover >= 0)
		close(node.mover);
	if (node.other >= 0)
		close(node.other);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

static int do_peer(struct hand *h)
{
	return dmd_migrate(node.mover, h->b->ptr, h->b->size, HMM_DMIRROR_DEST_DEVICE, 0,
			   PEER, node.pages);
}

static int do_second(struct hand *h)
{
	return dmd_to_vram(node.other, h->b->ptr + DM_2M, DM_2M);
}

/*
 * On the way to another device: the first 2 MiB page finds no place, of those that
 * were set aside for it. The second is not on the device when its pages are counted,
 * so nothing is set aside, and there when they are collected.
 */
TEST_F(render, comes_late)
{
	struct dm_stats peer;
	char why[DM_MSG] = "";

	ASSERT_EQ(0, dmd_to_vram(node.mover, self->b.ptr, DM_2M));
	if (!stage_delta(&self->dm, "large_in"))
		SKIP(return, "no 2 MiB page went to the device");
	/* Twice, as each window is tried. */
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "alloc_in_large", "nth=1 every=1 times=2 fail"));
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "alloc_in_small",
				   "nth=1 every=1 times=1024 fail"));
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "collect", "nth=3 delay_us=10000000"));
	hand_start(&self->mover, do_peer);
	ASSERT_EQ(0, dm_inject_wait(SOURCE, "collect", 1));
	EXPECT_EQ(1024, dm_inject_get(SOURCE, "alloc_in_small", "acted"));
	hand_start(&self->other, do_second);
	ASSERT_EQ(0, hand_wait(&self->other));
	ASSERT_EQ(1, dm_inject_get(SOURCE, "collect", "waiting"));
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "collect", ""));
	ASSERT_EQ(0, hand_wait(&self->mover));

	/* Tried once more it has a place of its own. */
	EXPECT_EQ(DM_2M_PAGES, node.pages[HMM_DMIRROR_PAGE_NOMEM]);
	EXPECT_EQ(DM_2M_PAGES, node.pages[HMM_DMIRROR_PAGE_MOVED]);
	ASSERT_EQ(0, dm_stats_read(PEER, &peer));
	EXPECT_EQ(0, dm_stats_law(&peer, why)) {
		TH_LOG("%s", why);
	}
	EXPECT_EQ(0, dm_stat(&peer, "vram_inflight_pages"));
	EXPECT_EQ(DM_2M_PAGES, dm_stat(&peer, "vram_resident_pages"));
	EXPECT_TAGS(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
}

static int do_home(struct hand *h)
{
	return dmd_migrate(node.mover, h->b->ptr, WIN_PAGES * DM_PAGE,
			   HMM_DMIRROR_DEST_SYSTEM, 0, 0, node.pages);
}

/*
 * A page in a pipe cannot move, and there is no memory to look for the reason: none is
 * given. Of the others is told what became of them.
 */
TEST_F(render, no_reason)
{
	__u8 *held = self->b.ptr + 3 * DM_PAGE;
	struct iovec iov = { .iov_base = held, .iov_len = DM_PAGE };
	__u64 pages[DMD_CLASSES];
	int fds[2];

	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_DONTNEED));
	dm_fill(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_CPU);
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	ASSERT_EQ(DM_PAGE, vmsplice(fds[1], &iov, 1, 0));
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "leaf", "nth=1 every=1 fail"));
	EXPECT_EQ(0, dmd_migrate(node.mover, self->b.ptr, WIN_PAGES * DM_PAGE,
				 HMM_DMIRROR_DEST_VRAM, 0, 0, pages));
	EXPECT_LE(1, dm_inject_get(SOURCE, "leaf", "acted"));
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "leaf", ""));
	EXPECT_EQ(1, pages[HMM_DMIRROR_PAGE_RACED]);
	EXPECT_EQ(WIN_PAGES - 1, pages[HMM_DMIRROR_PAGE_MOVED]);
	EXPECT_EQ(1, stage_delta(&self->dm, "in_raced_pages"));
	/* With it, it is. */
	EXPECT_EQ(0, dmd_migrate(node.mover, self->b.ptr, WIN_PAGES * DM_PAGE,
				 HMM_DMIRROR_DEST_VRAM, 0, 0, pages));
	EXPECT_EQ(1, pages[HMM_DMIRROR_PAGE_BUSY]);
	EXPECT_EQ(WIN_PAGES - 1, pages[HMM_DMIRROR_PAGE_PRESENT]);
	close(fds[0]);
	close(fds[1]);
	EXPECT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_CPU);
}

/* Some pages are just being moved by somebody else: the rest leaves, and it is told. */
TEST_F(render, evict_all_busy)
{
	__u8 *rest = self->b.ptr + DM_2M;
	__u64 pages = DM_UNSET;

	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, madvise(self->b.ptr, self->b.size, MADV_DONTNEED));
	dm_fill(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_CPU);
	dm_fill(rest, WIN_PAGES, rest, 3, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(node.mover, self->b.ptr, WIN_PAGES * DM_PAGE));
	ASSERT_EQ(0, dmd_to_vram(node.other, rest, WIN_PAGES * DM_PAGE));
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "commit", WIN_ARM));
	hand_start(&self->mover, do_home);
	ASSERT_EQ(0, dm_inject_wait(SOURCE, "commit", 1));
	EXPECT_EQ(-EBUSY, dmd_evict(node.other, HMM_DMIRROR_EVICT_ALL, NULL, 0, &pages));
	EXPECT_EQ(WIN_PAGES, pages);
	EXPECT_EQ(WIN_PAGES, dm_stat_now(SOURCE, "vram_resident_pages"));
	ASSERT_EQ(1, dm_inject_get(SOURCE, "commit", "waiting"));
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "commit", ""));
	EXPECT_EQ(0, hand_wait(&self->mover));
	EXPECT_EQ(WIN_PAGES, node.pages[HMM_DMIRROR_PAGE_MOVED]);
	EXPECT_EQ(0, dmd_evict(node.other, HMM_DMIRROR_EVICT_ALL, NULL, 0, &pages));
	EXPECT_EQ(0, pages);
	EXPECT_EQ(0, dm_stat_now(SOURCE, "vram_resident_pages"));
	EXPECT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_CPU);
	EXPECT_TAGS(rest, WIN_PAGES, rest, 3, DM_CPU);
}

/* A fault is told of a job that ended with one, and of no other. */
TEST_F(render, no_fault)
{
	job_t copy = job_copy(self->b.ptr + DM_2M, self->b.ptr, 2 * DM_PAGE);
	res_t res;

	/* The source has a leaf then, and a hole. */
	ASSERT_EQ(0, job_run1(node.mover, job_crc(self->b.ptr, DM_PAGE, 0), &res));
	ASSERT_EQ(0, mprotect(self->b.ptr + DM_PAGE, DM_PAGE, PROT_NONE));
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "leaf", "nth=1 fail"));
	EXPECT_EQ(-ENOMEM, dmd_run(node.mover, &copy, &res));
	EXPECT_EQ(1, dm_inject_get(SOURCE, "leaf", "acted"));
	EXPECT_EQ(-ENOMEM, res.status);
	EXPECT_EQ(HMM_DMIRROR_ACCESS_NONE, res.access);
	EXPECT_EQ(0, res.fault_addr);
	EXPECT_EQ(0, res.done);
	EXPECT_EQ(-EFAULT, dmd_run(node.mover, &copy, &res));
	EXPECT_FAULT(&res, self->b.ptr + DM_PAGE, READ);
	EXPECT_EQ(DM_PAGE, res.done);
}

/* A job that others wait for runs too long: its fence says so, and that behind it. */
TEST_F(render, resident_timeout)
{
	struct drm_hmm_dmirror_wait wait;
	const int want[] = { -ETIME, -ECANCELED, 1 };
	struct dm_buf r;
	__u64 seqno;
	__u32 out[3];
	int i, fd;

	ASSERT_EQ(0, resident_buf(node.mover, &r, 256));
	ASSERT_EQ(0, dm_inject_arm(SOURCE, "access", "nth=1 delay_us=3000000"));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, drmSyncobjCreate(node.mover, 0, &out[i]));
		/* The third when that is over. */
		if (i == 2)
			ASSERT_EQ(0, dmd_wait(node.mover, RESIDENT, 2, 60000, NULL));
		ASSERT_EQ(0, resident(node.mover, job_fill(r.ptr, r.size, i + 2), 0,
				      out[i], NULL, &seqno));
		ASSERT_EQ(i + 1, seqno);
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, drmSyncobjExportSyncFile(node.mover, out[i], &fd));
		EXPECT_TRUE(sync_file_signals(fd, 60000));
		EXPECT_EQ(want[i], sync_file_status(fd, NULL));
		close(fd);
		ASSERT_EQ(0, dmd_wait(node.mover, RESIDENT, i + 1, 60000, NULL));
		wait = (struct drm_hmm_dmirror_wait){ .seqno = i + 1, .queue = RESIDENT };
		ASSERT_EQ(0, dmd_ioctl(node.mover, DRM_IOCTL_HMM_DMIRROR_WAIT, &wait));
		EXPECT_EQ(want[i] < 0 ? want[i] : 0, wait.status);
		EXPECT_EQ(1, wait.resets);
	}
	EXPECT_EQ(1, stage_delta(&self->dm, "jobs_timed_out"));
	EXPECT_EQ(1, stage_delta(&self->dm, "queue_resets"));
	EXPECT_EQ(4, *(__u64 *)(r.ptr + r.size - 8));
	dm_buf_free(&r);
}

/* No job but the one that is meant to takes longer than that, on a slow machine too. */
DM_INJECT_MAIN(1, "vram_mb=8 job_timeout_ms=2000")
