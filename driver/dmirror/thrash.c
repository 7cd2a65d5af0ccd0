// SPDX-License-Identifier: GPL-2.0
/*
 * Thrashing: see thrash.h.
 *
 * Owns the table and the decision. Takes no locks.
 */
#include "thrash.h"

static bool dmirror_thrash_over(unsigned long since, unsigned long length,
				unsigned long now)
{
	return now - since >= length;
}

static void dmirror_thrash_begin(struct dmirror_thrash_unit *u,
				 unsigned long number, unsigned long now)
{
	u->number = number;
	u->since = now;
	u->seen = 0;
	u->bounces = 0;
	u->held = false;
}

enum dmirror_verdict dmirror_thrash_ask(struct dmirror_thrash *t,
					unsigned long number, u32 pages,
					unsigned long now)
{
	struct dmirror_thrash_unit *u = &t->unit[number % DMIRROR_THRASH_UNITS];

	if (dmirror_thrash_over(u->since, u->held ? t->hold : t->window, now))
		dmirror_thrash_begin(u, number, now);
	if (u->number != number) {
		if (u->held || u->bounces)
			return DMIRROR_VERDICT_MOVE;
		dmirror_thrash_begin(u, number, now);
	}
	if (u->held)
		return DMIRROR_VERDICT_HELD;

	if (u->seen & pages && u->bounces++ == t->limit) {
		u->held = true;
		u->since = now;
		return DMIRROR_VERDICT_HOLD;
	}
	u->seen |= pages;
	return DMIRROR_VERDICT_MOVE;
}
