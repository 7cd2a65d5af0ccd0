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

static bool dmirror_thrash_unit_over(const struct dmirror_thrash *t,
				     const struct dmirror_thrash_unit *u,
				     unsigned long now)
{
	return dmirror_thrash_over(u->since, u->held ? t->hold : t->window, now);
}

/* Its place, begun anew if it is not known or its time is over; NULL if all are taken. */
static struct dmirror_thrash_unit *dmirror_thrash_find(struct dmirror_thrash *t,
						       unsigned long number,
						       unsigned long now)
{
	struct dmirror_thrash_unit *set = t->unit[dmirror_thrash_set(number)];
	struct dmirror_thrash_unit *u, *old = NULL;

	for (u = set; u < set + DMIRROR_THRASH_WAYS; u++) {
		bool over = dmirror_thrash_unit_over(t, u, now);

		if (u->number == number) {
			if (over)
				dmirror_thrash_begin(u, number, now);
			return u;
		}
		if (!over && (u->held || u->bounces))
			continue;
		if (!old || now - u->since > now - old->since)
			old = u;
	}
	if (old)
		dmirror_thrash_begin(old, number, now);
	return old;
}

enum dmirror_verdict dmirror_thrash_ask(struct dmirror_thrash *t,
					unsigned long number, u32 pages,
					unsigned long now)
{
	struct dmirror_thrash_unit *u = dmirror_thrash_find(t, number, now);

	if (!u)
		return DMIRROR_VERDICT_MOVE;
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
