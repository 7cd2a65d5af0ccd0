// SPDX-License-Identifier: GPL-2.0
/*
 * The victim list against an array kept in order.
 *
 * The list and the array hold the same members in the same order with the same
 * marks after every step, and choose the same victim. A touch that comes in at
 * the worst moment must not keep the list from choosing.
 */
#include "lru.h"
#include "order.h"
#include "unit.h"

#define STEPS	50000

struct pair {
	struct dmirror_lru lru;
	struct dmirror_lru_node *node[ORDER_MAX];
	struct order order;
};

static struct pair *pair_new(void)
{
	struct pair *pair = unit_alloc(sizeof(*pair));
	unsigned int i;

	dmirror_lru_init(&pair->lru);
	for (i = 0; i < ORDER_MAX; i++) {
		pair->node[i] = unit_alloc(sizeof(*pair->node[i]));
		memset(pair->node[i], 0xa5, sizeof(*pair->node[i]));
		dmirror_lru_node_init(pair->node[i]);
	}
	return pair;
}

static void compare(const struct pair *pair)
{
	const struct list_head *at = pair->lru.head.next;
	unsigned int i;

	CHECK_EQ(pair->lru.nr, pair->order.nr);
	for (i = 0; i < pair->order.nr; i++, at = at->next)
		CHECK(at == &pair->node[pair->order.id[i]]->link);
	CHECK(at == &pair->lru.head);
	for (i = 0; i < ORDER_MAX; i++) {
		CHECK_EQ(dmirror_lru_on(pair->node[i]),
			 order_find(&pair->order, i) != ORDER_NONE);
		CHECK_EQ(pair->node[i]->referenced, pair->order.marked[i]);
	}
}

static void add_or_del(struct pair *pair, unsigned int id)
{
	if (order_find(&pair->order, id) == ORDER_NONE) {
		dmirror_lru_add(&pair->lru, pair->node[id]);
		order_add(&pair->order, id);
	} else {
		dmirror_lru_del(&pair->lru, pair->node[id]);
		order_del(&pair->order, id);
	}
}

static void touch(struct pair *pair, unsigned int id)
{
	dmirror_lru_touch(pair->node[id]);
	pair->order.marked[id] = true;
}

static void isolate(struct pair *pair)
{
	struct dmirror_lru_node *node = dmirror_lru_isolate(&pair->lru);
	unsigned int id = order_take(&pair->order);

	CHECK(node == (id == ORDER_NONE ? NULL : pair->node[id]));
}

static void random_sequence(void)
{
	struct pair *pair = pair_new();
	unsigned int members = 0, step, i;

	compare(pair);
	for (step = 0; step < STEPS * unit_rounds; step++) {
		/* From nearly empty to full and back, many times. */
		if (!(step % 500))
			members = 1 + unit_below(ORDER_MAX);
		switch (unit_below(8)) {
		case 0: case 1: case 2:
			add_or_del(pair, unit_below(members));
			break;
		case 3: case 4: case 5:
			touch(pair, unit_below(members));
			break;
		case 6:
			isolate(pair);
			break;
		case 7:
			if (unit_once_in(16))
				for (i = 0; i < members; i++)
					touch(pair, i);
			break;
		}
		compare(pair);
	}
}

static void empty_list_has_no_victim(void)
{
	struct pair *pair = pair_new();

	CHECK(!dmirror_lru_isolate(&pair->lru));
	add_or_del(pair, 3);
	isolate(pair);
	CHECK(!dmirror_lru_isolate(&pair->lru));
	compare(pair);
}

/* Two passes: the first spares what was used, the second takes it. */
static void used_members_get_one_more_chance(void)
{
	struct pair *pair = pair_new();
	unsigned int i;

	for (i = 0; i < 8; i++)
		add_or_del(pair, i);
	for (i = 0; i < 8; i += 2)
		touch(pair, i);
	for (i = 1; i < 8; i += 2)
		CHECK(dmirror_lru_isolate(&pair->lru) == pair->node[i]);
	for (i = 0; i < 8; i += 2)
		CHECK(dmirror_lru_isolate(&pair->lru) == pair->node[i]);
	CHECK_EQ(pair->lru.nr, 0);
}

static unsigned int races;

/* Another CPU that marks every member as soon as its mark is taken away. */
static void mark_again(void *where)
{
	*(bool *)where = true;
	races++;
}

static void constant_touching_cannot_stall_it(void)
{
	struct pair *pair = pair_new();
	unsigned int i;

	for (i = 0; i < ORDER_MAX; i++) {
		add_or_del(pair, i);
		touch(pair, i);
	}
	kdeps_race = mark_again;
	for (i = ORDER_MAX; i; i--) {
		races = 0;
		CHECK(dmirror_lru_isolate(&pair->lru));
		CHECK(races <= i);
	}
	CHECK(!dmirror_lru_isolate(&pair->lru));
}

const struct unit_test lru_tests[] = {
	{ "empty_list_has_no_victim", empty_list_has_no_victim },
	{ "used_members_get_one_more_chance", used_members_get_one_more_chance },
	{ "constant_touching_cannot_stall_it", constant_touching_cannot_stall_it },
	{ "random_sequence", random_sequence },
	{ NULL, NULL },
};
