// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges with advice: see range.h.
 *
 * Owns the order of the array and the rules of splitting and merging. Does not
 * know what advice means, allocates nothing, takes no locks.
 */
#include "range.h"

static const struct dmirror_advice dmirror_advice_default;

static bool dmirror_advice_same(const struct dmirror_advice *a,
				const struct dmirror_advice *b)
{
	return a->granularity == b->granularity && a->around == b->around &&
	       a->location == b->location && a->read_mostly == b->read_mostly &&
	       a->atomic == b->atomic;
}

static struct dmirror_advice dmirror_advice_with(struct dmirror_advice advice,
						 enum dmirror_attr attr, u32 value)
{
	switch (attr) {
	case DMIRROR_ATTR_ALL:
		return dmirror_advice_default;
	case DMIRROR_ATTR_LOCATION:
		advice.location = value;
		break;
	case DMIRROR_ATTR_READ_MOSTLY:
		advice.read_mostly = value;
		break;
	case DMIRROR_ATTR_ATOMIC:
		advice.atomic = value;
		break;
	case DMIRROR_ATTR_GRANULARITY:
		advice.granularity = value;
		break;
	case DMIRROR_ATTR_AROUND:
		advice.around = value;
		break;
	}
	return advice;
}

/* Append to @to, in ascending order. Returns false when there is no room. */
static bool dmirror_ranges_emit(struct dmirror_ranges *to, unsigned long start,
				unsigned long end, struct dmirror_advice advice)
{
	struct dmirror_range *last = to->nr ? &to->at[to->nr - 1] : NULL;

	if (start >= end || dmirror_advice_same(&advice, &dmirror_advice_default))
		return true;
	if (last && last->end == start && dmirror_advice_same(&last->advice, &advice)) {
		last->end = end;
		return true;
	}
	if (to->nr == to->max)
		return false;
	to->at[to->nr++] = (struct dmirror_range) { start, end, advice };
	return true;
}

bool dmirror_ranges_set(struct dmirror_ranges *to,
			const struct dmirror_ranges *from,
			unsigned long start, unsigned long end,
			enum dmirror_attr attr, u32 value)
{
	const struct dmirror_advice fresh =
		dmirror_advice_with(dmirror_advice_default, attr, value);
	unsigned long done = start;	/* what of [start, end) was emitted */
	bool ok = true;
	unsigned int i;

	to->nr = 0;
	for (i = 0; i < from->nr; i++) {
		const struct dmirror_range *r = &from->at[i];
		unsigned long lo = max(r->start, start);
		unsigned long hi = min(r->end, end);

		ok &= dmirror_ranges_emit(to, r->start, min(r->end, start), r->advice);
		if (lo < hi) {
			ok &= dmirror_ranges_emit(to, done, lo, fresh);
			ok &= dmirror_ranges_emit(to, lo, hi,
						  dmirror_advice_with(r->advice, attr, value));
			done = hi;
		}
		if (r->end <= end)
			continue;
		ok &= dmirror_ranges_emit(to, done, end, fresh);
		done = end;
		ok &= dmirror_ranges_emit(to, max(r->start, end), r->end, r->advice);
	}
	return ok & dmirror_ranges_emit(to, done, end, fresh);
}

/* The first range that ends above @addr; @r->nr if there is none. */
static unsigned int dmirror_ranges_above(const struct dmirror_ranges *r,
					 unsigned long addr)
{
	unsigned int lo = 0, hi = r->nr;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (r->at[mid].end > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Take [start, end) out of range @i, which has more on both sides. */
static bool dmirror_ranges_cut(struct dmirror_ranges *r, unsigned int i,
			       unsigned long start, unsigned long end)
{
	struct dmirror_range *range = &r->at[i];

	if (r->nr == r->max) {
		if (start - range->start < range->end - end)
			range->start = end;
		else
			range->end = start;
		return false;
	}
	memmove(range + 1, range, (r->nr - i) * sizeof(*range));
	r->nr++;
	range[0].end = start;
	range[1].start = end;
	return true;
}

bool dmirror_ranges_forget(struct dmirror_ranges *r, unsigned long start,
			   unsigned long end)
{
	unsigned int i = dmirror_ranges_above(r, start), n = i;

	if (i == r->nr)
		return true;
	if (r->at[i].start < start && r->at[i].end > end)
		return dmirror_ranges_cut(r, i, start, end);
	if (r->at[i].start < start) {
		r->at[i].end = start;
		n = ++i;
	}
	while (n < r->nr && r->at[n].end <= end)
		n++;
	if (n < r->nr && r->at[n].start < end)
		r->at[n].start = end;
	memmove(&r->at[i], &r->at[n], (r->nr - n) * sizeof(r->at[0]));
	r->nr -= n - i;
	return true;
}

void dmirror_ranges_find(const struct dmirror_ranges *r, unsigned long addr,
			 struct dmirror_range *found)
{
	unsigned int i = dmirror_ranges_above(r, addr);

	if (i < r->nr && r->at[i].start <= addr) {
		*found = r->at[i];
		return;
	}
	found->start = i ? r->at[i - 1].end : 0;
	found->end = i < r->nr ? r->at[i].start : ~0UL;
	found->advice = dmirror_advice_default;
}
