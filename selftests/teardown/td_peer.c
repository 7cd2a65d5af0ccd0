// SPDX-License-Identifier: GPL-2.0
/*
 * Pages on their way from one device to another all the time, and one of the two is
 * taken away: that ends in bounded time and no byte is lost wherever the page was.
 * What happens in each window of a move is in faults/peer_unbind.c. Owns its buffer
 * and threads; no locks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "dm_drm.h"
#include "teardown.h"

#define NPAGES	64UL
/* An unbinding, with all it has to do. */
#define SOON_MS	(1000LL * dm_timeout(5))

struct mover {
	struct dm_buf *b;
	int *drm;
	int ret;
	__u64 pages[DMD_CLASSES];
	atomic_bool stop;
	unsigned long rounds;
};

static int there(struct mover *m, int from)
{
	return dmd_migrate(m->drm[from], m->b->ptr, m->b->size,
			   HMM_DMIRROR_DEST_DEVICE, 0, !from, m->pages);
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

FIXTURE(td_peer) {
	struct td td;
	struct dm_buf b;
	int drm[2];
};

FIXTURE_SETUP(td_peer)
{
	TD_SETUP(&self->td);
	if (access("/sys/module/drm", F_OK))
		SKIP(return, "this kernel has no DRM");
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(td_peer)
{
	dm_buf_free(&self->b);
	td_restore(_metadata, &self->td);
}

/* To and fro all the time while one device after the other goes and comes. */
TEST_F(td_peer, to_and_fro)
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
		usleep(50000);
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

TEST_HARNESS_MAIN
