// SPDX-License-Identifier: GPL-2.0
/*
 * Taking a full device away while several threads want pages of it: one of them
 * evicts, the others wait for their turn, and when it comes the device has gone.
 * Owns its buffers and threads; no locks.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sched.h>

#include "teardown.h"

/* Two windows fit on the device, each worker wants one. */
#define SMALL_DEVICE	"vram_mb=4"
#define NPAGES		DM_2M_PAGES
#define WORKERS		4
/* Emulated machines are slow; a device that never goes is slower. */
#define UNBIND_MS	(1000LL * dm_timeout(10))

/**
 * struct worker - a thread that keeps moving its buffer to the device
 * @b: the buffer
 * @thread: the thread
 * @fd: its file
 * @gen: generation that was acknowledged last
 * @part: so many pages are one generation further, by writes that failed then
 * @moves: requests answered
 * @last: the answer that ended it
 * @odd: an answer that is not documented; 0 if there was none
 */
struct worker {
	struct dm_buf	b;
	pthread_t	thread;
	int		fd;
	unsigned int	gen;
	unsigned long	part;
	atomic_ulong	moves;
	int		last;
	int		odd;
};

FIXTURE(td_full) {
	struct td td;
	struct worker w[WORKERS];
};

FIXTURE_VARIANT(td_full) { int index; int rounds; };
FIXTURE_VARIANT_ADD(td_full, private) { DM_PRIVATE0, 6 };
FIXTURE_VARIANT_ADD(td_full, coherent) { DM_COHERENT0, 2 };

FIXTURE_SETUP(td_full)
{
	char params[sizeof(self->td.params) + 16];
	int i;

	TD_SETUP(&self->td);
	TD_NEEDS(variant->index);
	/* What is said last counts. */
	snprintf(params, sizeof(params), "%s " SMALL_DEVICE, self->td.params);
	TD_RELOAD(params);
	ASSERT_EQ(0, mc_wait_node(variant->index, true));
	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(0, dm_buf_anon(&self->w[i].b, NPAGES, DM_BUF_SMALL));
}

FIXTURE_TEARDOWN(td_full)
{
	int i;

	for (i = 0; i < WORKERS; i++)
		dm_buf_free(&self->w[i].b);
	EXPECT_EQ(0, mc_down(false));
	td_restore(_metadata, &self->td);
}

/* What the interface allows for a request that races with everything. */
static bool documented(int ret)
{
	return !ret || ret == -ENOENT || ret == -EBUSY || ret == -ENODEV;
}

/* Generation @gen, or the next one where a write has come before it failed. */
static int content(struct worker *w, const __u8 *mem)
{
	size_t done = w->part * DM_PAGE;

	return dm_verify(mem, w->part, w->b.ptr, w->gen + 1, DM_DEV, NULL) ||
	       dm_verify(mem + done, NPAGES - w->part, w->b.ptr + done, w->gen,
			 DM_DEV, NULL) ? -EILSEQ : 0;
}

/* In, and a new generation written by the device, until the device is gone. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct hmm_dmirror_cmd res = { 0 };
	struct dm_buf *b = &w->b;
	int ret = 0;

	while (ret != -ENODEV) {
		ret = dm_to_dev(w->fd, b->ptr, NPAGES, b->mirror, NULL);
		if (!documented(ret))
			w->odd = ret;
		if (!ret && !w->odd)
			w->odd = content(w, b->mirror);
		if (w->odd)
			break;
		atomic_fetch_add(&w->moves, 1);
		if (ret == -ENODEV)
			break;
		dm_fill(b->mirror, NPAGES, b->ptr, w->gen + 1, DM_DEV);
		ret = dm_write(w->fd, b->ptr, NPAGES, b->mirror, &res);
		if (!documented(ret))
			w->odd = ret;
		if (ret && res.cpages > w->part)
			w->part = res.cpages;
		if (ret)
			continue;
		w->gen++;
		w->part = 0;
	}
	w->last = ret;
	return NULL;
}

static int start(struct worker *w, int index)
{
	w->gen = 1;
	w->part = 0;
	w->moves = 0;
	w->odd = 0;
	w->last = 0;
	w->fd = dm_open(index);
	if (w->fd < 0)
		return w->fd;
	dm_fill(w->b.ptr, NPAGES, w->b.ptr, 1, DM_DEV);
	return -pthread_create(&w->thread, NULL, work, w);
}

/* At home, with every write that was acknowledged and no other. */
static void check(struct __test_metadata *_metadata, struct worker *w)
{
	ASSERT_EQ(0, pthread_join(w->thread, NULL));
	EXPECT_EQ(0, w->odd);
	EXPECT_EQ(-ENODEV, w->last);
	EXPECT_EQ(0, close(w->fd));
	EXPECT_EQ(0, td_all_home(&w->b));
	EXPECT_EQ(0, content(w, w->b.ptr)) {
		TH_LOG("generation %u, %lu pages one further", w->gen, w->part);
	}
}

/*
 * What is evicted after the unbinding began leaves pages free without memory
 * behind them: nobody who waited for them may get one.
 */
TEST_F(td_full, waiting_for_eviction)
{
	char why[DM_MSG] = "";
	struct dm_stats s;
	long long began;
	int round, i;

	for (round = 0; round < variant->rounds; round++) {
		for (i = 0; i < WORKERS; i++)
			ASSERT_EQ(0, start(&self->w[i], variant->index));
		/* Everybody has been served, so somebody was evicted. */
		for (i = 0; i < WORKERS; i++) {
			while (atomic_load(&self->w[i].moves) < 2 &&
			       !self->w[i].odd)
				sched_yield();
		}
		ASSERT_EQ(0, dm_stats_read(variant->index, &s));
		EXPECT_LT(0, dm_stat(&s, "evictions"));
		began = sc_now_ms();
		ASSERT_EQ(0, mc_bind(variant->index, false));
		EXPECT_GT(UNBIND_MS, sc_now_ms() - began);
		ASSERT_EQ(0, mc_wait_node(variant->index, false));
		for (i = 0; i < WORKERS; i++)
			check(_metadata, &self->w[i]);
		ASSERT_EQ(0, mc_bind(variant->index, true));
		ASSERT_EQ(0, mc_wait_node(variant->index, true));
		ASSERT_EQ(0, dm_stats_read(variant->index, &s));
		EXPECT_EQ(0, dm_stats_idle(&s, why)) {
			TH_LOG("%s", why);
		}
	}
}

TEST_HARNESS_MAIN
