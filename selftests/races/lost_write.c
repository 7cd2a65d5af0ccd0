// SPDX-License-Identifier: GPL-2.0
/*
 * A device write that was acknowledged survives whatever the pages go through
 * at that moment: CPU faults that bring them home, migration in either
 * direction, or all of it at once.
 *
 * One thread writes through the device and is the only writer; it raises the
 * generation of a page with each write and looks at once whether the page
 * holds exactly that, while other threads keep the pages moving.
 */
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "dm_harness.h"
#include "race.h"
#include "scene.h"

#define NPAGES		16
#define RUN_MS		(1000 * sc_longer())
#define SPINS		20000

struct world {
	struct dm_ctx	dm;
	struct dm_buf	b;
	uint8_t		*scratch, *back;
	/* What is being written: one write command covers "span" pages. */
	unsigned long	span;
	uint8_t		*target;
	atomic_uint	phase, moved;
	const uint8_t	*seen;
	uint16_t	gens[DM_2M_PAGES];
	unsigned int	state;
	bool		out;		/* the batch goes home */
	unsigned int	gen;
	unsigned long	lost, torn, other, writes, busy;
	bool		acked;
	int		error;
	char		why[DM_MSG];
};

RACE_FIXTURE(lost);
RACE_VARIANTS(lost, NPAGES);

FIXTURE_VARIANT_ADD(lost, device_private_range)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1,
	.npages = NPAGES, .span = NPAGES,
};

FIXTURE_SETUP(lost)
{
	struct world *w;

	RACE_SETUP(w);
	w->span = variant->span;
	ASSERT_EQ(0, dm_buf_anon(&w->b, variant->npages, variant->flags));
	w->target = w->b.ptr;
	w->state = 2463534242U;
	w->scratch = malloc(w->b.size);
	w->back = malloc(w->b.size);
	ASSERT_NE(NULL, w->scratch);
	ASSERT_NE(NULL, w->back);
	dm_fill(w->b.ptr, w->b.npages, w->b.ptr, 0, DM_DEV);
	ASSERT_EQ(0, race_to_dev_all(w->dm.fd, &w->b, w->why))
		TH_LOG("%s", w->why);
}

FIXTURE_TEARDOWN(lost)
{
	struct world *w = self->w;

	dm_buf_free(&w->b);
	dm_teardown(_metadata, &w->dm);
}

static void classify(struct world *w, const struct dm_bad *bad, int kind)
{
	const uint64_t *page = (void *)(w->seen +
					(bad->offset & ~(DM_PAGE - 1)));
	char text[DM_MSG];

	/* Stale from the first to the last word is lost, in part is torn. */
	if (kind != DM_BAD_STALE)
		w->other++;
	else if (bad->offset % DM_PAGE ||
		 page[DM_PAGE / 8 - 1] != bad->got_word + DM_PAGE / 8 - 1)
		w->torn++;
	else
		w->lost++;
	if (!w->why[0])
		snprintf(w->why, sizeof(w->why), "generation %u: %s", w->gen,
			 dm_bad_str(bad, text));
}

/* The next pages in turn; a new generation each time round. */
static void next_target(struct world *w)
{
	uint8_t *next = w->target + w->span * DM_PAGE;

	/* Others follow the target: it must never be out of bounds. */
	if (next >= w->b.ptr + w->b.size) {
		next = w->b.ptr;
		w->gen = (w->gen + 1) & 0xffff;
	}
	__atomic_store_n(&w->target, next, __ATOMIC_RELAXED);
}

/*
 * One write of the bounce buffer to the target. The device may give up on a
 * range that never holds still, and says so; then it is tried again.
 */
static int write_acked(struct world *w, unsigned long npages)
{
	int ret;

	w->acked = false;
	do {
		ret = dm_write(w->dm.fd, w->target, npages, w->b.mirror, NULL);
		w->busy += ret == -EBUSY;
	} while (ret == -EBUSY && !race_over());
	if (ret == -EBUSY)
		return 0;
	w->acked = !ret;
	w->writes += ret ? 0 : npages;
	return ret;
}

/* Write a generation to the target, then see whether every page holds it. */
static int write_target(struct world *w)
{
	struct dm_bad bad;
	int kind;

	dm_fill(w->b.mirror, w->span, w->target, w->gen, DM_DEV);
	atomic_fetch_add(&w->phase, 1);
	w->error = write_acked(w, w->span);
	if (w->error || !w->acked)
		return w->error;
	w->seen = w->target;
	kind = dm_verify(w->seen, w->span, w->target, w->gen, DM_DEV, &bad);
	if (kind)
		classify(w, &bad, kind);
	return w->error;
}

/* The pages are wherever the others left them. */
static int writer(void *arg)
{
	struct world *w = arg;

	next_target(w);
	return write_target(w);
}

/* The pages are on the device when the write starts, and on their way out. */
static int writer_from_dev(void *arg)
{
	struct world *w = arg;

	next_target(w);
	dm_to_dev(w->dm.fd, w->target, w->span, w->back, NULL);
	return write_target(w);
}

/* Every page of the range, as the device reads it, holds its own generation. */
static int look_at_all(struct world *w)
{
	struct dm_bad bad;
	unsigned long i;
	int kind;

	w->error = dm_read(w->dm.fd, w->b.ptr, w->b.npages, w->back, NULL);
	for (i = 0; i < w->b.npages && !w->error; i++) {
		w->target = w->b.ptr + i * DM_PAGE;
		w->seen = w->back + i * DM_PAGE;
		w->gen = w->gens[i];
		kind = dm_verify(w->seen, 1, w->target, w->gen, DM_DEV, &bad);
		if (kind)
			classify(w, &bad, kind);
	}
	return w->error;
}

/* All pages where the move starts, and known to the device there. */
static int set_out(struct world *w)
{
	if (w->out) {
		dm_to_dev(w->dm.fd, w->b.ptr, w->b.npages, w->back, NULL);
		return 0;
	}
	dm_to_sys(w->dm.fd, w->b.ptr, w->b.npages, NULL);
	return dm_read(w->dm.fd, w->b.ptr, w->b.npages, w->back, NULL);
}

/*
 * The pages are about to move together: write single pages for as long as that
 * takes, then look at all of them.
 */
static int batch_writer(void *arg)
{
	struct world *w = arg;
	unsigned long i;

	w->error = set_out(w);
	atomic_fetch_add(&w->phase, 1);
	while (!w->error && !race_over() &&
	       atomic_load(&w->moved) != atomic_load(&w->phase)) {
		i = race_rand(&w->state) % w->b.npages;
		w->target = w->b.ptr + i * DM_PAGE;
		dm_fill(w->b.mirror, 1, w->target, w->gens[i] + 1, DM_DEV);
		w->error = write_acked(w, 1);
		w->gens[i] += w->acked;
	}
	return w->error ? w->error : look_at_all(w);
}

/* Waits for the next write, then a moment longer, never the same; 0: none. */
static unsigned int wait_phase(struct world *w)
{
	static __thread unsigned int seen, state = 88675123;
	unsigned int n;
	long spins = 0;

	while (atomic_load(&w->phase) == seen) {
		if (spins++ > SPINS)
			return 0;
		sched_yield();
	}
	seen = atomic_load(&w->phase);
	for (n = race_rand(&state) % 20000; n; n--)
		__asm__ volatile("" ::: "memory");
	return seen;
}

/* Brings the pages home by touching them while they are being written. */
static int toucher(void *arg)
{
	struct world *w = arg;
	volatile uint8_t *p;
	unsigned int i;

	if (!wait_phase(w))
		return 0;
	p = w->target;
	for (i = 0; i < w->span; i++)
		(void)p[i * DM_PAGE];
	return 0;
}

static int batch_mover(void *arg)
{
	struct world *w = arg;
	unsigned int seen = wait_phase(w);

	if (!seen)
		return 0;
	if (w->out)
		dm_to_sys(w->dm.fd, w->b.ptr, w->b.npages, NULL);
	else
		dm_to_dev(w->dm.fd, w->b.ptr, w->b.npages, w->scratch, NULL);
	atomic_store(&w->moved, seen);
	return 0;
}

static int fetcher(void *arg)
{
	struct world *w = arg;

	if (wait_phase(w))
		dm_to_sys(w->dm.fd, w->target, w->span, NULL);
	return 0;
}

/* Not in step with the writer, and all pages at once. */
static int shuffler(void *arg)
{
	struct world *w = arg;

	dm_to_dev(w->dm.fd, w->b.ptr, w->b.npages, w->scratch, NULL);
	return 0;
}

#define RACE(...) do {							\
	struct world *w = self->w;					\
	struct race_actor actors[] = { __VA_ARGS__ };			\
									\
	RACE_RUN(actors, ARRAY_SIZE(actors), RUN_MS);\
	EXPECT_EQ(0, w->lost + w->torn + w->other)			\
		TH_LOG("%lu lost, %lu torn, %lu other in %lu acknowledged page writes; first: %s",\
		       w->lost, w->torn, w->other, w->writes, w->why);	\
	TH_LOG("%lu page writes acknowledged, %lu times busy", w->writes,\
	       w->busy);						\
	EXPECT_GT(w->writes, 0);					\
} while (0)

TEST_F_TIMEOUT(lost, against_cpu_faults, dm_timeout(30))
{
	RACE({ "device writer", writer_from_dev, w, .least = 20 },
	     { "CPU reader", toucher, w });
}

/* A whole batch: the wider the window, the fewer rounds it takes. */
#define BATCH_RACE(home) do {						\
	struct dm_buf *b = &self->w->b;					\
									\
	dm_buf_free(b);							\
	ASSERT_EQ(0, dm_buf_anon(b, DM_2M_PAGES, variant->flags));	\
	self->w->scratch = realloc(self->w->scratch, b->size);		\
	self->w->back = realloc(self->w->back, b->size);		\
	dm_fill(b->ptr, b->npages, b->ptr, 0, DM_DEV);			\
	self->w->out = home;						\
	RACE({ "device writer", batch_writer, w, .least = 5 },		\
	     { "migration", batch_mover, w });				\
} while (0)

TEST_F_TIMEOUT(lost, against_migration_in, dm_timeout(30))
{
	BATCH_RACE(false);
}

TEST_F_TIMEOUT(lost, against_migration_out, dm_timeout(30))
{
	BATCH_RACE(true);
}

TEST_F_TIMEOUT(lost, against_everything, dm_timeout(30))
{
	RACE({ "device writer", writer, w, .least = 20 },
	     { "CPU reader", toucher, w },
	     { "migration in", shuffler, w },
	     { "migration out", fetcher, w });
}

TEST_HARNESS_MAIN
