// SPDX-License-Identifier: GPL-2.0
/*
 * The table of thrashing addresses against a log of every move.
 *
 * With one unit at a time the verdicts must be those that follow from the log;
 * with many, moves of each unit must stay below the bound the table is for.
 */
#include "thrash.h"
#include "unit.h"

#define STEPS	100000
#define LIMIT	3
#define WINDOW	100
#define HOLD	250

static struct dmirror_thrash *table(unsigned int limit)
{
	struct dmirror_thrash *t = unit_alloc(sizeof(*t));

	t->limit = limit;
	t->window = WINDOW;
	t->hold = HOLD;
	return t;
}

/* Moves once, comes back @limit times, is held, and all over again. */
static void hold_and_release(void)
{
	struct dmirror_thrash *t = table(LIMIT);
	unsigned long now = -50UL;	/* wraps on the way */
	unsigned int round, i;

	for (round = 0; round < 5; round++) {
		for (i = 0; i <= LIMIT; i++)
			CHECK_EQ(dmirror_thrash_ask(t, 7, 1, now + i),
				 DMIRROR_VERDICT_MOVE);
		now += i;
		CHECK_EQ(dmirror_thrash_ask(t, 7, 1, now), DMIRROR_VERDICT_HOLD);
		CHECK_EQ(dmirror_thrash_ask(t, 7, 2, now + HOLD - 1),
			 DMIRROR_VERDICT_HELD);
		now += HOLD;
	}
}

/* Page after page of a unit, and a page now and then, is no thrashing. */
static void moving_once_is_fine(void)
{
	struct dmirror_thrash *t = table(0);
	unsigned int i;

	for (i = 0; i < 16; i++)
		CHECK_EQ(dmirror_thrash_ask(t, 7, 1U << i, 1000),
			 DMIRROR_VERDICT_MOVE);
	for (i = 1; i < 100; i++)
		CHECK_EQ(dmirror_thrash_ask(t, 7, 1, 1000 + i * WINDOW),
			 DMIRROR_VERDICT_MOVE);
}

/* It need not be the page that moved last. */
static void one_of_many_pages(void)
{
	struct dmirror_thrash *t = table(0);

	CHECK_EQ(dmirror_thrash_ask(t, 7, 0x1, 1000), DMIRROR_VERDICT_MOVE);
	CHECK_EQ(dmirror_thrash_ask(t, 7, 0x6, 1000), DMIRROR_VERDICT_MOVE);
	CHECK_EQ(dmirror_thrash_ask(t, 7, 0x9, 1000), DMIRROR_VERDICT_HOLD);
}

/* Units of one set: as many as have places are bounded, each by itself. */
static void units_of_a_set(void)
{
	struct dmirror_thrash *t = table(1);
	unsigned long unit[DMIRROR_THRASH_WAYS + 1], n = 1;
	unsigned int i, round;

	unit[0] = 7;
	for (i = 1; i < ARRAY_SIZE(unit); n++) {
		if (n != 7 && dmirror_thrash_set(n) == dmirror_thrash_set(7))
			unit[i++] = n;
	}
	for (round = 0; round < 2; round++)
		for (i = 0; i < DMIRROR_THRASH_WAYS; i++)
			CHECK_EQ(dmirror_thrash_ask(t, unit[i], 1, 1000 + round),
				 DMIRROR_VERDICT_MOVE);
	/* All bounce: there is no room for one more, and it moves unseen. */
	for (round = 0; round < 5; round++)
		CHECK_EQ(dmirror_thrash_ask(t, unit[i], 1, 1002), DMIRROR_VERDICT_MOVE);
	for (i = 0; i < DMIRROR_THRASH_WAYS; i++)
		CHECK_EQ(dmirror_thrash_ask(t, unit[i], 1, 1003), DMIRROR_VERDICT_HOLD);
	CHECK_EQ(dmirror_thrash_ask(t, unit[i], 1, 1004), DMIRROR_VERDICT_MOVE);
	/* Until the time of one of them is over. */
	for (round = 0; round < 2; round++)
		CHECK_EQ(dmirror_thrash_ask(t, unit[i], 1, 1003 + HOLD), DMIRROR_VERDICT_MOVE);
	CHECK_EQ(dmirror_thrash_ask(t, unit[i], 1, 1003 + HOLD), DMIRROR_VERDICT_HOLD);
}

/* Two that used to share a place: a page here, a page 16 MiB from there. */
static void far_apart(void)
{
	const unsigned long other = 7 + DMIRROR_THRASH_UNITS;
	struct dmirror_thrash *t = table(LIMIT);
	unsigned int i;

	for (i = 0; i <= LIMIT; i++) {
		CHECK_EQ(dmirror_thrash_ask(t, 7, 1, 1000), DMIRROR_VERDICT_MOVE);
		CHECK_EQ(dmirror_thrash_ask(t, other, 1, 1000), DMIRROR_VERDICT_MOVE);
	}
	CHECK_EQ(dmirror_thrash_ask(t, 7, 1, 1000), DMIRROR_VERDICT_HOLD);
	CHECK_EQ(dmirror_thrash_ask(t, other, 1, 1000), DMIRROR_VERDICT_HOLD);
}

/* A sweep over much that moves once leaves those alone that bounce. */
static void beside_a_sweep(void)
{
	struct dmirror_thrash *t = table(LIMIT);
	unsigned long n = 1000;
	unsigned int i, k;

	for (i = 0; i <= LIMIT; i++) {
		CHECK_EQ(dmirror_thrash_ask(t, 7, 1, 1000), DMIRROR_VERDICT_MOVE);
		/* At first it is as good as any other, so not too many of them. */
		for (k = 0; k < (i ? 4000 : 32); k++)
			CHECK_EQ(dmirror_thrash_ask(t, n++, 1, 1000), DMIRROR_VERDICT_MOVE);
	}
	CHECK_EQ(dmirror_thrash_ask(t, 7, 1, 1000), DMIRROR_VERDICT_HOLD);
}

/* One page, asked for at random times: the log says what the answer must be. */
static void random_one_page(void)
{
	struct dmirror_thrash *t = table(LIMIT);
	unsigned long now = 1000, since = 0, until = 0;
	unsigned int moves = 0, step;

	for (step = 0; step < STEPS * unit_rounds; step++) {
		enum dmirror_verdict v, want = DMIRROR_VERDICT_MOVE;

		now += unit_once_in(20) ? unit_below(3 * HOLD) : unit_below(WINDOW / 2);
		if (!until && now - since >= WINDOW)
			moves = 0;
		if (until && now >= until) {
			until = 0;
			moves = 0;
		}
		if (until)
			want = DMIRROR_VERDICT_HELD;
		else if (moves == LIMIT + 1)
			want = DMIRROR_VERDICT_HOLD;
		v = dmirror_thrash_ask(t, 12345, 4, now);
		CHECK_EQ(v, want);
		if (v == DMIRROR_VERDICT_HOLD)
			until = now + HOLD;
		if (v == DMIRROR_VERDICT_MOVE && !moves++)
			since = now;
	}
}

/* As many units as there are places, all thrashing: each is bounded. */
static void random_many_units(void)
{
	struct dmirror_thrash *t = table(LIMIT);
	unsigned int moves[DMIRROR_THRASH_UNITS] = { 0 };
	unsigned long now = 1000, n;
	unsigned int step;

	for (step = 0; step < STEPS * unit_rounds; step++) {
		n = unit_below(DMIRROR_THRASH_UNITS);
		if (unit_once_in(DMIRROR_THRASH_UNITS))
			now++;
		if (dmirror_thrash_ask(t, n, 1, now) == DMIRROR_VERDICT_MOVE)
			moves[n]++;
	}
	for (n = 0; n < DMIRROR_THRASH_UNITS; n++)
		CHECK(moves[n] <= (LIMIT + 1) * ((now - 1000) / WINDOW + 1));
}

const struct unit_test thrash_tests[] = {
	{ "hold_and_release", hold_and_release },
	{ "moving_once_is_fine", moving_once_is_fine },
	{ "one_of_many_pages", one_of_many_pages },
	{ "units_of_a_set", units_of_a_set },
	{ "far_apart", far_apart },
	{ "beside_a_sweep", beside_a_sweep },
	{ "random_one_page", random_one_page },
	{ "random_many_units", random_many_units },
	{ NULL, NULL },
};
