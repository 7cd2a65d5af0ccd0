/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a client has said about its addresses: disjoint ranges with advice.
 *
 * A sorted array. What is in no range has the default advice, and no range has
 * it; neighbours that touch differ. The caller owns the memory of the array and
 * serialises everything. Intervals are half open, in bytes, page aligned.
 */
#ifndef DMIRROR_RANGE_H
#define DMIRROR_RANGE_H

#include "kdeps.h"

/* Values of struct dmirror_advice.location; devices begin at LOCATION_DEVICE. */
#define DMIRROR_LOCATION_DEFAULT	0
#define DMIRROR_LOCATION_SYSTEM		1
#define DMIRROR_LOCATION_DEVICE		0x100

/**
 * enum dmirror_attr - what advice can be about
 * @DMIRROR_ATTR_ALL: everything, back to the defaults
 * @DMIRROR_ATTR_LOCATION: struct dmirror_advice.location
 * @DMIRROR_ATTR_READ_MOSTLY: .read_mostly
 * @DMIRROR_ATTR_ATOMIC: .atomic
 * @DMIRROR_ATTR_GRANULARITY: .granularity
 * @DMIRROR_ATTR_AROUND: .around
 *
 * The numbers are those of HMM_DMIRROR_ADVISE_*.
 */
enum dmirror_attr {
	DMIRROR_ATTR_ALL,
	DMIRROR_ATTR_LOCATION,
	DMIRROR_ATTR_READ_MOSTLY,
	DMIRROR_ATTR_ATOMIC,
	DMIRROR_ATTR_GRANULARITY,
	DMIRROR_ATTR_AROUND,
};

/**
 * struct dmirror_advice - how some addresses will be used; 0 is the default
 * @granularity: bytes a device fault moves, a power of two
 * @around: bytes a CPU fault brings back, a power of two
 * @location: where the pages should be, DMIRROR_LOCATION_*
 * @read_mostly: the device reads them where they are
 * @atomic: the device holds them exclusively until the CPU wants them
 */
struct dmirror_advice {
	u32 granularity;
	u32 around;
	u16 location;
	bool read_mostly;
	bool atomic;
};

/**
 * struct dmirror_range - some addresses and the advice for them
 * @start: first byte
 * @end: byte after the last
 * @advice: not the default
 */
struct dmirror_range {
	unsigned long start;
	unsigned long end;
	struct dmirror_advice advice;
};

/**
 * struct dmirror_ranges - all ranges of a client
 * @at: the ranges, ascending
 * @nr: how many
 * @max: how many @at has room for
 */
struct dmirror_ranges {
	struct dmirror_range *at;
	unsigned int nr;
	unsigned int max;
};

/**
 * dmirror_ranges_set() - advise a range
 * @to: receives the outcome, at most @to->max ranges
 * @from: what there was before, unchanged; not @to
 * @start: first byte
 * @end: byte after the last
 * @attr: what is set; the rest stays as it is
 * @value: to what; 0 is the default
 *
 * Return: true, or false when @to has not enough room and is of no use.
 */
bool dmirror_ranges_set(struct dmirror_ranges *to,
			const struct dmirror_ranges *from,
			unsigned long start, unsigned long end,
			enum dmirror_attr attr, u32 value);

/**
 * dmirror_ranges_forget() - back to the default where the process unmaps
 * @r: the ranges
 * @start: first byte
 * @end: byte after the last
 *
 * Cannot fail: when a range would be cut in two and there is no room for one
 * more, the shorter part is forgotten as well.
 *
 * Return: false if that happened.
 */
bool dmirror_ranges_forget(struct dmirror_ranges *r, unsigned long start,
			   unsigned long end);

/**
 * dmirror_ranges_find() - the advice for an address
 * @r: the ranges
 * @addr: any address
 * @found: (out) the advice, and from where to where it is the same: a range, or
 *	the gap between two, which has the default advice
 */
void dmirror_ranges_find(const struct dmirror_ranges *r, unsigned long addr,
			 struct dmirror_range *found);

#endif /* DMIRROR_RANGE_H */
