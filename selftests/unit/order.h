/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the victim list is meant to do, in the plainest way: an array of
 * numbers, the oldest first, and a mark per number.
 */
#ifndef UNIT_ORDER_H
#define UNIT_ORDER_H

#define ORDER_MAX	64
#define ORDER_NONE	(~0U)

struct order {
	unsigned int nr;
	unsigned int id[ORDER_MAX];
	bool marked[ORDER_MAX];		/* by number, not by place */
};

static inline unsigned int order_find(const struct order *order, unsigned int id)
{
	unsigned int i;

	for (i = 0; i < order->nr; i++)
		if (order->id[i] == id)
			return i;
	return ORDER_NONE;
}

static inline void order_add(struct order *order, unsigned int id)
{
	order->id[order->nr++] = id;
}

static inline void order_del(struct order *order, unsigned int id)
{
	unsigned int i = order_find(order, id);

	order->nr--;
	for (; i < order->nr; i++)
		order->id[i] = order->id[i + 1];
}

/* The first without a mark; those before it lose theirs and queue up again. */
static inline unsigned int order_take(struct order *order)
{
	unsigned int id, i;

	if (!order->nr)
		return ORDER_NONE;
	for (i = order->nr; i && order->marked[order->id[0]]; i--) {
		id = order->id[0];
		order->marked[id] = false;
		order_del(order, id);
		order_add(order, id);
	}
	id = order->id[0];
	order_del(order, id);
	return id;
}

#endif /* UNIT_ORDER_H */
