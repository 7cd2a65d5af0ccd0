// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges with advice against one piece of advice for every page.
 *
 * After every step the array says the same of every page as the model, and
 * nothing shorter could: it is sorted, disjoint, has no default advice and no
 * neighbours that could be one.
 */
#include "range.h"
#include "unit.h"

#define STEPS	20000
#define PAGES	96U
#define PAGE	4096UL
#define ROOM	(PAGES + 1)

struct pair {
	unsigned long base;
	struct dmirror_ranges now, next;
	struct dmirror_advice page[PAGES];
};

static bool same(const struct dmirror_advice *a, const struct dmirror_advice *b)
{
	return a->granularity == b->granularity && a->around == b->around &&
	       a->location == b->location && a->read_mostly == b->read_mostly &&
	       a->atomic == b->atomic;
}

static const struct dmirror_advice none;

static void ranges_alloc(struct dmirror_ranges *r, unsigned int max)
{
	r->at = unit_alloc(max * sizeof(*r->at));
	r->max = max;
}

static struct pair *pair_new(unsigned int max)
{
	struct pair *pair = unit_alloc(sizeof(*pair));
	const unsigned long bases[] = { 0, 64 * PAGE, 1UL << 40,
					-(PAGES + 1) * PAGE };

	pair->base = bases[unit_below(ARRAY_SIZE(bases))];
	ranges_alloc(&pair->now, max);
	ranges_alloc(&pair->next, max);
	return pair;
}

static unsigned long at(const struct pair *pair, unsigned int page)
{
	return pair->base + page * PAGE;
}

/* Runs of pages with the same advice that is not the default. */
static unsigned int model_runs(const struct pair *pair)
{
	unsigned int i, n = 0;

	for (i = 0; i < PAGES; i++)
		n += !same(&pair->page[i], &none) &&
		     (!i || !same(&pair->page[i], &pair->page[i - 1]));
	return n;
}

static void compare(const struct pair *pair)
{
	struct dmirror_range found;
	unsigned int i, lo, hi;

	CHECK_EQ(pair->now.nr, model_runs(pair));
	for (i = 0; i < PAGES; i++) {
		dmirror_ranges_find(&pair->now, at(pair, i) + unit_below(PAGE), &found);
		CHECK(same(&found.advice, &pair->page[i]));
		for (lo = i; lo && same(&pair->page[lo - 1], &pair->page[i]); lo--)
			;
		for (hi = i + 1; hi < PAGES && same(&pair->page[hi], &pair->page[i]); hi++)
			;
		if (lo || !same(&found.advice, &none))
			CHECK_EQ(found.start, at(pair, lo));
		if (hi < PAGES || !same(&found.advice, &none))
			CHECK_EQ(found.end, at(pair, hi));
		CHECK(found.start <= at(pair, i) && at(pair, i) < found.end);
	}
}

static void model_set(struct dmirror_advice *page, enum dmirror_attr attr, u32 value)
{
	switch (attr) {
	case DMIRROR_ATTR_ALL:
		*page = none;
		break;
	case DMIRROR_ATTR_LOCATION:
		page->location = value;
		break;
	case DMIRROR_ATTR_READ_MOSTLY:
		page->read_mostly = value;
		break;
	case DMIRROR_ATTR_ATOMIC:
		page->atomic = value;
		break;
	case DMIRROR_ATTR_GRANULARITY:
		page->granularity = value;
		break;
	case DMIRROR_ATTR_AROUND:
		page->around = value;
		break;
	}
}

static void set(struct pair *pair, unsigned int first, unsigned int end)
{
	enum dmirror_attr attr = unit_below(DMIRROR_ATTR_AROUND + 1);
	u32 value = attr == DMIRROR_ATTR_ALL ? 0 : unit_below(2);
	struct dmirror_ranges swap;
	unsigned int i;

	CHECK(dmirror_ranges_set(&pair->next, &pair->now, at(pair, first),
				 at(pair, end), attr, value));
	swap = pair->now;
	pair->now = pair->next;
	pair->next = swap;
	for (i = first; i < end; i++)
		model_set(&pair->page[i], attr, value);
}

static void forget(struct pair *pair, unsigned int first, unsigned int end)
{
	unsigned int i;

	CHECK(dmirror_ranges_forget(&pair->now, at(pair, first), at(pair, end)));
	for (i = first; i < end; i++)
		pair->page[i] = none;
}

static void random_sequence(void)
{
	struct pair *pair = pair_new(ROOM);
	unsigned int step, first, end;

	for (step = 0; step < STEPS * unit_rounds; step++) {
		do
			unit_range(PAGES, &first, &end);
		while (first == end);
		if (unit_once_in(4))
			forget(pair, first, end);
		else
			set(pair, first, end);
		compare(pair);
	}
}

/* Without room nothing is set; a range cut in two loses its shorter part. */
static void no_room(void)
{
	struct pair *pair = pair_new(2);
	struct dmirror_range found;
	unsigned int step;

	for (step = 0; step < 200 * unit_rounds; step++) {
		unsigned int lo = 1 + unit_below(40), hi = lo + 1 + unit_below(8);
		bool left = lo >= 60 - hi;

		pair->now.nr = 2;
		pair->now.at[0] = (struct dmirror_range) { at(pair, 0), at(pair, 60),
							   { .location = 1 } };
		pair->now.at[1] = (struct dmirror_range) { at(pair, 70), at(pair, 71),
							   { .around = 1 } };
		CHECK(!dmirror_ranges_set(&pair->next, &pair->now, at(pair, lo),
					  at(pair, hi), DMIRROR_ATTR_ALL, 0));
		CHECK_EQ(pair->now.nr, 2);
		CHECK(!dmirror_ranges_forget(&pair->now, at(pair, lo), at(pair, hi)));
		CHECK_EQ(pair->now.nr, 2);
		CHECK_EQ(pair->now.at[0].start, at(pair, left ? 0 : hi));
		CHECK_EQ(pair->now.at[0].end, at(pair, left ? lo : 60));
		dmirror_ranges_find(&pair->now, at(pair, 70), &found);
		CHECK_EQ(found.advice.around, 1);
	}
}

static void forget_everything(void)
{
	struct pair *pair = pair_new(ROOM);
	unsigned int i;

	for (i = 0; i < PAGES; i += 2)
		set(pair, i, i + 1);
	CHECK(dmirror_ranges_forget(&pair->now, 0, -PAGE));
	CHECK_EQ(pair->now.nr, 0);
	CHECK(dmirror_ranges_forget(&pair->now, 0, -PAGE));
}

const struct unit_test range_tests[] = {
	{ "random_sequence", random_sequence },
	{ "no_room", no_room },
	{ "forget_everything", forget_everything },
	{ NULL, NULL },
};
