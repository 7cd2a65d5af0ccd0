// SPDX-License-Identifier: GPL-2.0
/*
 * Either device goes while pages move from the one to the other. What has moved is
 * where it went or, if that is the device that goes, in system memory; what has not
 * is accounted for, and not a byte is lost.
 */
#define _GNU_SOURCE
#include "dm_drm.h"
#include "modctl.h"
#include "stage.h"
#include "windows.h"

#define SOURCE	DM_PRIVATE0
#define PEER	DM_PRIVATE1
/* Two windows, so that there is one that nobody has begun. */
#define NPAGES	(2 * DM_2M_PAGES)

/* What the thread that moves uses and learns. */
static struct {
	int drm;
	__u64 pages[DMD_CLASSES];
} move;

FIXTURE(peer_unbind) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct hand mover, other;
};

/*
 * @window: where it is held
 * @at: the device that has this window
 * @gone: the device that goes
 * @done: the first window has been decided upon, it moves
 */
FIXTURE_VARIANT(peer_unbind) { const char *window; int at; int gone; bool done; };

#define WINDOW(name, at, done)						\
	FIXTURE_VARIANT_ADD(peer_unbind, name##_source) {		\
		#name, at, SOURCE, done };				\
	FIXTURE_VARIANT_ADD(peer_unbind, name##_peer) {			\
		#name, at, PEER, done }
WINDOW(install, SOURCE, false);
WINDOW(reserve, PEER, false);
WINDOW(collect, SOURCE, false);
WINDOW(copy, SOURCE, false);
WINDOW(commit, SOURCE, true);
WINDOW(finalize, SOURCE, true);

FIXTURE_SETUP(peer_unbind)
{
	move.drm = -1;
	DM_INJECT_SETUP();
	if (access("/sys/module/drm", F_OK))
		SKIP(return, "this kernel has no DRM");
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, hand_init(&self->mover, SOURCE, &self->b));
	ASSERT_EQ(0, hand_init(&self->other, SOURCE, &self->b));
	move.drm = dmd_open(SOURCE);
	ASSERT_LE(0, move.drm);
	ASSERT_EQ(0, dmd_to_vram(move.drm, self->b.ptr, self->b.size));
	memset(move.pages, 0xff, sizeof(move.pages));
}

FIXTURE_TEARDOWN(peer_unbind)
{
	if (dm_inject_status())
		return;
	dm_inject_off(SOURCE);
	dm_inject_off(PEER);
	hand_fini(&self->mover);
	hand_fini(&self->other);
	if (move.drm >= 0)
		close(move.drm);
	if (!dm_node_exists(variant->gone))
		EXPECT_EQ(0, mc_bind(variant->gone, true));
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

static int do_peer(struct hand *h)
{
	return dmd_migrate(move.drm, h->b->ptr, h->b->size, HMM_DMIRROR_DEST_DEVICE, 0,
			   PEER, move.pages);
}

static int do_unbind_peer(struct hand *h)
{
	return mc_bind(PEER, false);
}

/* The last that goes before the memory does: from here on nothing new begins. */
static void wait_files_gone(int index)
{
	long long end = sc_now_ms() + 10000;

	while (dm_inject_get(index, "copy", "hits") >= 0 && sc_now_ms() < end)
		usleep(1000);
}

/* All that was asked for is told, and is where that says. */
static void check_pages(struct __test_metadata *_metadata, int gone, bool done)
{
	__u64 moved = move.pages[HMM_DMIRROR_PAGE_MOVED];
	int left = gone == PEER ? SOURCE : PEER;

	EXPECT_EQ(NPAGES, dmd_sum(move.pages));
	EXPECT_LE(DM_2M_PAGES, move.pages[HMM_DMIRROR_PAGE_UNTRIED]);
	if (done)
		EXPECT_EQ(DM_2M_PAGES, moved);
	EXPECT_EQ(gone == PEER ? NPAGES - moved : moved,
		  dm_stat_now(left, "vram_resident_pages"));
}

/* No CPU access yet: the device that is left can have what there is. */
static int all_for(int index, struct dm_buf *b)
{
	int fd = dmd_open(index), ret;

	if (fd < 0)
		return fd;
	ret = dmd_to_vram(fd, b->ptr, b->size);
	if (!ret)
		ret = dmd_all(fd, b->ptr, b->npages, HMM_DMIRROR_QUERY_VRAM, NULL);
	close(fd);
	return ret;
}

TEST_F(peer_unbind, moving)
{
	bool ours = variant->at != variant->gone;
	int fd, us = dm_timeout(1) * 500000;
	char soon[64];

	/* The files of a device that goes go first: its window closes by itself. */
	snprintf(soon, sizeof(soon), "nth=1 delay_us=%d", us < 10000000 ? us : 10000000);
	ASSERT_EQ(0, dm_inject_arm(variant->at, variant->window,
				   ours ? WIN_ARM : soon));
	hand_start(&self->mover, do_peer);
	ASSERT_EQ(0, dm_inject_wait(variant->at, variant->window, 1));
	hand_start(&self->other, variant->gone == PEER ? do_unbind_peer : do_unbind);
	wait_files_gone(variant->gone);
	EXPECT_TRUE(hand_stuck(&self->other)) {
		TH_LOG("a device went while it was being moved to or from");
	}
	if (ours)
		ASSERT_EQ(0, dm_inject_arm(variant->at, variant->window, ""));
	ASSERT_EQ(0, hand_wait(&self->other));
	EXPECT_EQ(-ENODEV, hand_wait(&self->mover));
	check_pages(_metadata, variant->gone, variant->done);
	EXPECT_EQ(0, all_for(variant->gone == PEER ? SOURCE : PEER, &self->b));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);

	/* The one goes on, and so does the other when it is back. */
	if (variant->gone == SOURCE) {
		EXPECT_EQ(-ENODEV, dmd_to_vram(move.drm, self->b.ptr, DM_PAGE));
		ASSERT_EQ(0, close(self->dm.fd));
		self->dm.fd = -1;
	} else {
		EXPECT_EQ(-ENOENT, do_peer(&self->mover));
	}
	ASSERT_EQ(0, mc_bind(variant->gone, true));
	ASSERT_EQ(0, mc_wait_node(variant->gone, true));
	ASSERT_EQ(0, close(move.drm));
	move.drm = dmd_open(SOURCE);
	ASSERT_LE(0, move.drm);
	EXPECT_EQ(0, dmd_to_vram(move.drm, self->b.ptr, self->b.size));
	EXPECT_EQ(0, do_peer(&self->mover));
	EXPECT_EQ(NPAGES, move.pages[HMM_DMIRROR_PAGE_MOVED]);
	fd = dm_open(PEER);
	ASSERT_LE(0, fd);
	EXPECT_ALL(fd, self->b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_EQ(0, close(fd));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

DM_INJECT_MAIN(1, "vram_mb=8")
