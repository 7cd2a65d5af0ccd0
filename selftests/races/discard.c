// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that the process throws away while it is on its way to the device.
 * Afterwards neither side may see what was thrown away, nor what the freed
 * device memory holds for its next owner, nor may the device write there.
 *
 * One thread migrates and checks; another discards at a random moment of the
 * migration. A canary is migrated right behind, so that it gets whatever
 * device memory the discard has set free.
 */
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "dm_harness.h"
#include "race.h"
#include "scene.h"

#define NPAGES	64
#define RUN_MS	(1000 * sc_longer())

struct world {
	struct dm_ctx	dm;
	struct dm_buf	b, canary;
	uint8_t		*back;
	int		(*discard)(struct world *w);
	bool		may_keep;	/* old content is legal too */
	atomic_uint	phase, done;
	unsigned int	state, gen;
	unsigned long	stale, foreign, lost, damaged, other;
	int		error;
	char		first[DM_MSG];
	char		why[DM_MSG];
};

RACE_FIXTURE(discard);
RACE_VARIANTS(discard, NPAGES);

FIXTURE_SETUP(discard)
{
	struct world *w;

	RACE_SETUP(w);
	w->state = 2463534242U;
	ASSERT_EQ(0, dm_buf_anon(&w->b, variant->npages, variant->flags));
	ASSERT_EQ(0, dm_buf_anon(&w->canary, variant->npages, variant->flags));
	w->back = malloc(w->b.size);
	ASSERT_NE(NULL, w->back);
}

FIXTURE_TEARDOWN(discard)
{
	struct world *w = self->w;

	dm_buf_free(&w->b);
	dm_buf_free(&w->canary);
	dm_teardown(_metadata, &w->dm);
}

static void note(struct world *w, unsigned long *count, const char *what,
		 unsigned long page, const struct dm_bad *bad)
{
	char text[DM_MSG];

	if (!w->first[0])
		snprintf(w->first, sizeof(w->first),
			 "%s, page %lu, round %u: %.180s", what, page, w->gen,
			 dm_bad_str(bad, text));
	++*count;
}

/* One page as read after the discard: zero, or what the rules also allow. */
static void look_at(struct world *w, const char *who, const uint8_t *page,
		    unsigned long i)
{
	const uint8_t *va = w->b.ptr + i * DM_PAGE;
	const uint8_t *cva = w->canary.ptr + i * DM_PAGE;
	struct dm_bad bad, dummy;
	unsigned long c;

	if (!dm_verify_zero(page, 1, &bad))
		return;
	if (!dm_verify(page, 1, va, w->gen, DM_CPU, &dummy)) {
		if (!w->may_keep)
			note(w, &w->stale, who, i, &bad);
		return;
	}
	for (c = 0; c < w->canary.npages; c++) {
		cva = w->canary.ptr + c * DM_PAGE;
		if (!dm_verify(page, 1, cva, w->gen, DM_PEER, &dummy)) {
			note(w, &w->foreign, who, i, &bad);
			return;
		}
	}
	note(w, &w->other, who, i, &bad);
}

static void look(struct world *w, const char *who, const uint8_t *mem)
{
	unsigned long i;

	for (i = 0; i < w->b.npages; i++)
		look_at(w, who, mem + i * DM_PAGE, i);
}

/* What the device writes now must be seen, and nobody else may be hit. */
static void write_and_look(struct world *w)
{
	struct dm_bad bad;

	dm_fill(w->b.mirror, w->b.npages, w->b.ptr, w->gen, DM_DEV);
	do {
		w->error = dm_write(w->dm.fd, w->b.ptr, w->b.npages,
				    w->b.mirror, NULL);
	} while (w->error == -EBUSY && !race_over());
	if (w->error)
		return;
	if (dm_verify(w->b.ptr, w->b.npages, w->b.ptr, w->gen, DM_DEV, &bad))
		note(w, &w->lost, "device write", 0, &bad);
	dm_to_sys(w->dm.fd, w->canary.ptr, w->canary.npages, NULL);
	if (dm_verify(w->canary.ptr, w->canary.npages, w->canary.ptr, w->gen,
		      DM_PEER, &bad))
		note(w, &w->damaged, "canary", 0, &bad);
}

/* One round; ends when both the migration and the discard are over. */
static int mover(void *arg)
{
	struct world *w = arg;

	w->gen = (w->gen + 1) & 0xffff;
	dm_fill(w->b.ptr, w->b.npages, w->b.ptr, w->gen, DM_CPU);
	dm_fill(w->canary.ptr, w->canary.npages, w->canary.ptr, w->gen,
		DM_PEER);
	atomic_fetch_add(&w->phase, 1);
	dm_to_dev(w->dm.fd, w->b.ptr, w->b.npages, w->back, NULL);
	while (atomic_load(&w->done) != atomic_load(&w->phase)) {
		if (race_over())
			return 0;
		sched_yield();
	}
	dm_to_dev(w->dm.fd, w->canary.ptr, w->canary.npages, w->canary.mirror,
		  NULL);
	/* A starved machine may use up the time a command gives itself. */
	do {
		w->error = dm_read(w->dm.fd, w->b.ptr, w->b.npages, w->back,
				   NULL);
	} while (w->error == -EBUSY && !race_over());
	if (w->error)
		return w->error;
	look(w, "device read", w->back);
	write_and_look(w);
	return w->error;
}

/* Somewhere within the time a migration takes. */
static int discarder(void *arg)
{
	struct world *w = arg;
	unsigned int phase, n;
	int ret;

	while ((phase = atomic_load(&w->phase)) == atomic_load(&w->done)) {
		if (race_over())
			return 0;
		sched_yield();
	}
	for (n = race_rand(&w->state) % 1000000; n; n--)
		__asm__ volatile("" ::: "memory");
	ret = w->discard(w);
	atomic_store(&w->done, phase);
	return ret;
}

static int by_dontneed(struct world *w)
{
	return madvise(w->b.ptr, w->b.size, MADV_DONTNEED) ? -errno : 0;
}

static int by_free(struct world *w)
{
	return madvise(w->b.ptr, w->b.size, MADV_FREE) ? -errno : 0;
}

static int by_munmap(struct world *w)
{
	void *p;

	if (munmap(w->b.ptr, w->b.size))
		return -errno;
	p = mmap(w->b.ptr, w->b.size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return p == w->b.ptr ? 0 : -errno;
}

#define RACE(how) do {							\
	struct world *w = self->w;					\
	struct race_actor actors[] = {					\
		{ "migration in", mover, w, .least = 20 },		\
		{ "discard", discarder, w },				\
	};								\
									\
	w->discard = how;						\
	RACE_RUN(actors, 2, RUN_MS);					\
	EXPECT_EQ(0, w->stale + w->foreign + w->lost + w->damaged + w->other)\
		TH_LOG("%lu stale, %lu foreign, %lu other pages, %lu lost writes, %lu victims: %s",\
		       w->stale, w->foreign, w->other, w->lost,		\
		       w->damaged, w->first);				\
	EXPECT_GE(w->gen, 20);						\
} while (0)

TEST_F_TIMEOUT(discard, dontneed, dm_timeout(30))
{
	RACE(by_dontneed);
}

TEST_F_TIMEOUT(discard, free, dm_timeout(30))
{
	self->w->may_keep = true;
	RACE(by_free);
}

TEST_F_TIMEOUT(discard, munmap, dm_timeout(30))
{
	RACE(by_munmap);
}

TEST_HARNESS_MAIN
