/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which addresses move back and forth: a small table of units of 64 KiB.
 *
 * A page that moves to the device and was moved there before, not long ago, has
 * been taken away in between: it bounces. A unit whose pages bounce too often is
 * put on hold for a while, during which the device is to use them where they are.
 *
 * The table forgets: each unit may be in one of a few places, which it shares with
 * units from anywhere. Where all are taken, one that does not bounce makes room, the
 * oldest first; those that bounce keep theirs. The caller serialises everything.
 * Times are in any unit that only goes up and may wrap.
 */
#ifndef DMIRROR_THRASH_H
#define DMIRROR_THRASH_H

#include "kdeps.h"

#define DMIRROR_THRASH_SHIFT	16	/* 64 KiB */
#define DMIRROR_THRASH_SIZE	BIT(DMIRROR_THRASH_SHIFT)
#define DMIRROR_THRASH_WAYS	8U
#define DMIRROR_THRASH_SETS	BIT(DMIRROR_THRASH_SET_BITS)
#define DMIRROR_THRASH_SET_BITS	5
/* 16 MiB of them */
#define DMIRROR_THRASH_UNITS	(DMIRROR_THRASH_SETS * DMIRROR_THRASH_WAYS)

/**
 * struct dmirror_thrash_unit - what is known of 64 KiB
 * @number: address >> DMIRROR_THRASH_SHIFT
 * @since: when its time began; when the hold began if @held
 * @seen: bit n: page n has moved to the device in that time
 * @bounces: moves in that time that brought back a page seen before
 * @held: on hold
 */
struct dmirror_thrash_unit {
	unsigned long number;
	unsigned long since;
	u32 seen;
	u16 bounces;
	bool held;
};

/**
 * struct dmirror_thrash - the table
 * @limit: bounces allowed within @window
 * @window: how long bounces are counted
 * @hold: how long a hold takes
 * @unit: the units; those that share places lie together
 */
struct dmirror_thrash {
	unsigned int limit;
	unsigned long window;
	unsigned long hold;
	struct dmirror_thrash_unit unit[DMIRROR_THRASH_SETS][DMIRROR_THRASH_WAYS];
};

/**
 * dmirror_thrash_set() - which units share places
 * @number: a unit
 *
 * Units side by side are spread evenly, and so are those a power of two apart.
 *
 * Return: index of its set.
 */
static inline unsigned int dmirror_thrash_set(unsigned long number)
{
	unsigned int set = 0;

	for (; number; number >>= DMIRROR_THRASH_SET_BITS)
		set ^= number;
	return set % DMIRROR_THRASH_SETS;
}

/**
 * enum dmirror_verdict - may pages of a unit move?
 * @DMIRROR_VERDICT_MOVE: yes
 * @DMIRROR_VERDICT_HOLD: no, and from now on for a while
 * @DMIRROR_VERDICT_HELD: no, the unit is on hold
 */
enum dmirror_verdict {
	DMIRROR_VERDICT_MOVE,
	DMIRROR_VERDICT_HOLD,
	DMIRROR_VERDICT_HELD,
};

/**
 * dmirror_thrash_ask() - some pages are about to move to the device
 * @t: the table
 * @number: their unit
 * @pages: bit n: page n of it
 * @now: the time
 *
 * Return: whether they may; if so it is taken for granted that they do.
 */
enum dmirror_verdict dmirror_thrash_ask(struct dmirror_thrash *t,
					unsigned long number, u32 pages,
					unsigned long now);

#endif /* DMIRROR_THRASH_H */
