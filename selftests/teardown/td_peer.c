// SPDX-License-Identifier: GPL-2.0
/*
 * Pages on their way from one device to another, and one of the two is taken
 * away: that ends in bounded time, the move is told, no byte is lost wherever
 * the page was, and the device that is left works. Owns its buffer and threads;
 * no locks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "dm_drm.h"
#include "dm_inject.h"
#include "teardown.h"

#define NPAGES	64UL
/* How long the window stays open for who does not close it. */
#define WINDOW	"nth=1 delay_us=1000000"
/* An unbinding that waits for the window and all else it has to do. */
#define SOON_MS	(1000LL * dm_timeout(5))

FIXTURE(td_peer) {
	struct td td;
	struct dm_buf b;
	int drm[2];
};

/* Of two devices, pages come from the one, @victim 0, and go to the other. */
FIXTURE_VARIANT(td_peer) { const char *window; int victim; int first; };

#define GOES(point)							\
	FIXTURE_VARIANT_ADD(td_peer, point##_source_goes) {		\
		#point, 0, DM_PRIVATE0 };				\
	FIXTURE_VARIANT_ADD(td_peer, point##_destination_goes) {	\
		#point, 1, DM_PRIVATE0 }
#define GOES_COHERENT(point)						\
	FIXTURE_VARIANT_ADD(td_peer, coherent_##point##_source_goes) {	\
		#point, 0, DM_COHERENT0 };				\
	FIXTURE_VARIANT_ADD(td_peer, coherent_##point##_destination_goes) { \
		#point, 1, DM_COHERENT0 }

GOES(collect);
GOES(copy);
GOES(commit);
GOES(finalize);
GOES_COHERENT(commit);

FIXTURE_SETUP(td_peer)
{
	int i;

	self->drm[0] = -1;
	self->drm[1] = -1;
	DM_INJECT_SETUP();
	TD_SETUP(&self->td);
	TD_NEEDS(variant->first);
	if (access("/sys/module/drm", F_OK))
		SKIP(return, "this kernel has no DRM");
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	for (i = 0; i < 2; i++) {
		self->drm[i] = dmd_open(variant->first + i);
		ASSERT_LE(0, self->drm[i]);
	}
}

FIXTURE_TEARDOWN(td_peer)
{
	char why[DM_MSG];
	struct dm_stats s;
	int i;

	for (i = 0; i < 2; i++) {
		if (self->drm[i] >= 0)
			EXPECT_EQ(0, close(self->drm[i]));
	}
	dm_buf_free(&self->b);
	td_restore(_metadata, &self->td);
	for (i = 0; i < 2; i++) {
		dm_inject_off(variant->first + i);
		EXPECT_EQ(0, dm_stats_read(variant->first + i, &s));
		EXPECT_EQ(0, dm_stats_idle(&s, why)) {
			TH_LOG("device %d: %s", variant->first + i, why);
		}
	}
}

struct mover {
	struct dm_buf *b;
	int *drm;
	int first;		/* number of the first device */
	int ret;
	__u64 pages[DMD_CLASSES];
	atomic_bool stop;
	volatile unsigned long rounds;
};

static int there(struct mover *m, int from)
{
	return dmd_migrate(m->drm[from], m->b->ptr, m->b->size,
			   HMM_DMIRROR_DEST_DEVICE, 0, m->first + !from, m->pages);
}

static void *move_once(void *arg)
{
	struct mover *m = arg;

	m->ret = there(m, 0);
	return NULL;
}

/* What a move that lost a device may say. */
static bool fair(int ret)
{
	return !ret || ret == -ENODEV || ret == -EBUSY;
}

/* In each window of the move, either device goes. */
TEST_F(td_peer, in_the_window)
{
	struct mover m = { .b = &self->b, .drm = self->drm, .first = variant->first };
	int left = !variant->victim, gone = variant->first + variant->victim;
	unsigned long i, moved = 0;
	long long start;
	pthread_t t;

	ASSERT_EQ(0, dmd_to_vram(self->drm[0], self->b.ptr, self->b.size));
	ASSERT_EQ(0, dm_inject_arm(variant->first, variant->window, WINDOW));
	ASSERT_EQ(0, pthread_create(&t, NULL, move_once, &m));
	ASSERT_EQ(0, dm_inject_wait(variant->first, variant->window, 1));
	start = sc_now_ms();
	EXPECT_EQ(0, mc_bind(gone, false));
	EXPECT_GT(SOON_MS, sc_now_ms() - start);
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_GT(SOON_MS, sc_now_ms() - start);
	EXPECT_TRUE(fair(m.ret)) {
		TH_LOG("the move says %d", m.ret);
	}
	/* Each page was counted once. */
	for (i = 0; i < DMD_CLASSES; i++)
		moved += m.pages[i];
	if (!m.ret)
		EXPECT_EQ(NPAGES, moved);
	EXPECT_EQ(-ENODEV, dmd_to_vram(self->drm[variant->victim],
				       self->b.ptr, self->b.size));
	/* No CPU access yet: the other device can have what there is. */
	EXPECT_EQ(0, dmd_to_vram(self->drm[left], self->b.ptr, self->b.size));
	EXPECT_EQ(0, dmd_all(self->drm[left], self->b.ptr, NPAGES,
			     HMM_DMIRROR_QUERY_VRAM, NULL));
	EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mc_wait_node(gone, false));
}

static void *keep_moving(void *arg)
{
	struct mover *m = arg;
	int from = 0, ret;

	while (!atomic_load(&m->stop)) {
		ret = there(m, from);
		if (ret == -ENODEV || ret == -ENOENT)
			dmd_to_vram(m->drm[from], m->b->ptr, m->b->size);
		else if (ret && ret != -EBUSY)
			m->ret = ret;
		from = !from;
		m->rounds++;
	}
	return NULL;
}

FIXTURE(td_peers) {
	struct td td;
	struct dm_buf b;
	int drm[2];
};

FIXTURE_SETUP(td_peers)
{
	DM_INJECT_SETUP();
	TD_SETUP(&self->td);
	if (access("/sys/module/drm", F_OK))
		SKIP(return, "this kernel has no DRM");
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(td_peers)
{
	dm_buf_free(&self->b);
	td_restore(_metadata, &self->td);
}

/* To and fro all the time while one device after the other goes and comes. */
TEST_F(td_peers, to_and_fro)
{
	struct mover m = { .b = &self->b, .drm = self->drm };
	int round, victim, i;
	long long start;
	pthread_t t;

	for (round = 0; round < 6; round++) {
		victim = round % 2;
		for (i = 0; i < 2; i++) {
			self->drm[i] = dmd_open(i);
			ASSERT_LE(0, self->drm[i]);
		}
		ASSERT_EQ(0, dmd_to_vram(self->drm[0], self->b.ptr, self->b.size));
		m.rounds = 0;
		atomic_store(&m.stop, false);
		ASSERT_EQ(0, pthread_create(&t, NULL, keep_moving, &m));
		start = sc_now_ms();
		while (m.rounds <= 2 && sc_now_ms() - start < SOON_MS)
			usleep(1000);
		usleep(30000);
		start = sc_now_ms();
		EXPECT_EQ(0, mc_bind(victim, false));
		EXPECT_GT(SOON_MS, sc_now_ms() - start);
		usleep(20000);
		atomic_store(&m.stop, true);
		ASSERT_EQ(0, pthread_join(t, NULL));
		EXPECT_EQ(0, m.ret);
		EXPECT_LT(2, m.rounds);
		EXPECT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
		for (i = 0; i < 2; i++)
			EXPECT_EQ(0, close(self->drm[i]));
		ASSERT_EQ(0, mc_wait_node(victim, false));
		ASSERT_EQ(0, mc_bind(victim, true));
		ASSERT_EQ(0, mc_wait_node(victim, true));
	}
}

DM_INJECT_MAIN(1, "vram_mb=16")
