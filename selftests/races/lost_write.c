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
#include <stdatomic.h>
#include <sys/mman.h>

#include "dm_harness.h"
#include "race.h"
#include "scene.h"

#define NPAGES		16
#define RUN_MS		15000

struct world {
	struct dm_ctx	dm;
	struct dm_buf	b;
	/* The movers use files of their own where that makes a difference. */
	int		mover_fd;
	uint8_t		*scratch;
	atomic_uint	phase;
	unsigned int	gen;
	unsigned int	seed;
	unsigned long	lost, torn, other, writes;
	int		error;
	char		why[DM_MSG];
};

FIXTURE(lost)
{
	struct world *w;
};

FIXTURE_VARIANT(lost)
{
	int		index, peer;
	unsigned long	npages;
	int		flags;
};

FIXTURE_VARIANT_ADD(lost, device_private)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .npages = NPAGES, .flags = DM_BUF_SMALL,
};

FIXTURE_VARIANT_ADD(lost, device_private_thp)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .npages = DM_2M_PAGES, .flags = DM_BUF_THP,
};

FIXTURE_VARIANT_ADD(lost, device_coherent)
{
	.index = DM_COHERENT0, .peer = DM_COHERENT1, .npages = NPAGES, .flags = DM_BUF_SMALL,
};

FIXTURE_SETUP(lost)
{
	struct world *w;

	self->w = w = calloc(1, sizeof(*w));
	ASSERT_NE(NULL, w);
	dm_setup(_metadata, &w->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	w->mover_fd = w->dm.fd;
	w->seed = 2463534242U;
	ASSERT_EQ(0, dm_buf_anon(&w->b, variant->npages, variant->flags));
	w->scratch = malloc(w->b.size);
	ASSERT_NE(NULL, w->scratch);
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
	const uint64_t *page = (void *)(w->b.ptr + (bad->offset & ~(DM_PAGE - 1)));
	char text[DM_MSG];

	/* Stale throughout is lost; stale in part is torn. */
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

/* Write a generation, then see whether every page holds it. */
static int writer(void *arg)
{
	struct world *w = arg;
	struct dm_bad bad;
	int kind;

	w->gen = (w->gen + 1) & 0xffff;
	dm_fill(w->b.mirror, w->b.npages, w->b.ptr, w->gen, DM_DEV);
	atomic_fetch_add(&w->phase, 1);
	w->error = dm_write(w->dm.fd, w->b.ptr, w->b.npages, w->b.mirror, NULL);
	if (w->error)
		return w->error;
	w->writes += w->b.npages;
	kind = dm_verify(w->b.ptr, w->b.npages, w->b.ptr, w->gen, DM_DEV, &bad);
	if (kind)
		classify(w, &bad, kind);
	return 0;
}

static unsigned int wait_phase(struct world *w, unsigned int seen)
{
	unsigned int now;
	long spins = 0;

	while ((now = atomic_load(&w->phase)) == seen && spins++ < 2000000)
		;
	return now;
}

/* Brings the pages home by touching them while they are being written. */
static int toucher(void *arg)
{
	struct world *w = arg;
	static __thread unsigned int seen, state = 88675123;
	volatile uint8_t *p;
	unsigned int i, n;

	seen = wait_phase(w, seen);
	for (n = race_rand(&state) % 20000; n; n--)
		__asm__ volatile("" ::: "memory");
	for (i = 0; i < w->b.npages; i++) {
		p = w->b.ptr + i * DM_PAGE;
		(void)*p;
	}
	return 0;
}

/* Sends the pages back to the device after the toucher had them. */
static int sender(void *arg)
{
	struct world *w = arg;

	dm_to_dev(w->mover_fd, w->b.ptr, w->b.npages, w->scratch, NULL);
	return 0;
}

static int fetcher(void *arg)
{
	struct world *w = arg;

	dm_to_sys(w->mover_fd, w->b.ptr, w->b.npages, NULL);
	return 0;
}

/* In again before each write, so that the pages are on their way out. */
static int resident_writer(void *arg)
{
	struct world *w = arg;

	dm_to_dev(w->dm.fd, w->b.ptr, w->b.npages, w->scratch, NULL);
	return writer(arg);
}

#define RACE(...) do {							\
	struct world *w = self->w;					\
	struct race_actor actors[] = { __VA_ARGS__ };			\
	int n = sizeof(actors) / sizeof(actors[0]), i;			\
									\
	EXPECT_EQ(0, race_run(actors, n, RUN_MS, w->why))		\
		TH_LOG("%s", w->why);					\
	for (i = 0; i < n; i++)						\
		TH_LOG("%s: %ld rounds", actors[i].name, actors[i].steps);\
	EXPECT_EQ(0, w->lost + w->torn + w->other)			\
		TH_LOG("%lu lost, %lu torn, %lu other in %lu acknowledged page writes; first: %s",\
		       w->lost, w->torn, w->other, w->writes, w->why);	\
	EXPECT_GT(w->writes, 0);					\
} while (0)

TEST_F_TIMEOUT(lost, against_cpu_faults, dm_timeout(30))
{
	RACE({ "device writer", resident_writer, w },
	     { "CPU reader", toucher, w });
}

TEST_F_TIMEOUT(lost, against_migration_in, dm_timeout(30))
{
	RACE({ "device writer", writer, w },
	     { "migration in", sender, w });
}

TEST_F_TIMEOUT(lost, against_migration_out, dm_timeout(30))
{
	RACE({ "device writer", resident_writer, w },
	     { "migration out", fetcher, w });
}

TEST_F_TIMEOUT(lost, against_everything, dm_timeout(30))
{
	RACE({ "device writer", writer, w },
	     { "CPU reader", toucher, w },
	     { "migration in", sender, w },
	     { "migration out", fetcher, w });
}

TEST_HARNESS_MAIN
