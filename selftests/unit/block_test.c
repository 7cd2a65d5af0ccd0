// SPDX-License-Identifier: GPL-2.0
/*
 * The block allocator against one byte of state per page.
 *
 * After every step each page is in the state the model says, every counter is
 * what counting gives, free + reserved + live is the whole pool, and each block
 * is on exactly the lists its pages call for. What is handed out was free, is
 * handed out once, and never comes from an isolated block.
 */
#include "block.h"
#include "order.h"
#include "unit.h"

#define STEPS		4000
#define MAX_BLOCKS	8
#define PAGES		DMIRROR_BLOCK_PAGES

enum state { FREE, RESERVED, LIVE };

struct pair {
	struct dmirror_pool *pool;
	unsigned int nr_blocks;
	unsigned char state[MAX_BLOCKS * PAGES];
	bool isolated[MAX_BLOCKS];
	unsigned long max_live;
	struct order order;		/* blocks with live pages, oldest first */
};

static struct pair *pair_new(unsigned int nr_blocks)
{
	struct pair *pair = unit_alloc(sizeof(*pair));

	pair->nr_blocks = nr_blocks;
	pair->pool = unit_alloc(sizeof(*pair->pool));
	memset(pair->pool, 0xa5, sizeof(*pair->pool));
	dmirror_pool_init(pair->pool,
			  unit_alloc(nr_blocks * sizeof(struct dmirror_block)),
			  nr_blocks);
	return pair;
}

static unsigned int count(const struct pair *pair, unsigned int block,
			  enum state state)
{
	unsigned int i, n = 0;

	for (i = block * PAGES; i < (block + 1) * PAGES; i++)
		n += pair->state[i] == state;
	return n;
}

static unsigned int list_has(const struct list_head *head,
			     const struct dmirror_block *wanted)
{
	const struct list_head *at;
	unsigned int n = 0;

	for (at = head->next; at != head; at = at->next)
		n += at == &wanted->link;
	return n;
}

/* The victim list follows from the pages' states and the order of events. */
static void expect_lru(struct pair *pair, unsigned int nr)
{
	bool should = count(pair, nr, LIVE) && !pair->isolated[nr];
	bool on = order_find(&pair->order, nr) != ORDER_NONE;

	if (should && !on)
		order_add(&pair->order, nr);
	else if (!should && on)
		order_del(&pair->order, nr);
}

static void compare_block(const struct pair *pair, unsigned int nr)
{
	const struct dmirror_block *block = &pair->pool->blocks[nr];
	unsigned int nr_free = count(pair, nr, FREE), i;

	CHECK_EQ(block->nr_free, nr_free);
	CHECK_EQ(block->nr_live, count(pair, nr, LIVE));
	CHECK_EQ(block->isolated, pair->isolated[nr]);
	for (i = 0; i < PAGES; i++) {
		unsigned char state = pair->state[nr * PAGES + i];

		CHECK_EQ(test_bit(i, block->free), state == FREE);
		CHECK_EQ(test_bit(i, block->live), state == LIVE);
	}
	CHECK_EQ(list_has(&pair->pool->whole, block),
		 !block->isolated && nr_free == PAGES);
	CHECK_EQ(list_has(&pair->pool->partial, block),
		 !block->isolated && nr_free && nr_free < PAGES);
	CHECK_EQ(block->lru.referenced, pair->order.marked[nr]);
}

static void compare(struct pair *pair)
{
	const struct dmirror_pool *pool = pair->pool;
	unsigned long sum[3] = { 0 };
	const struct list_head *at;
	unsigned int i;

	for (i = 0; i < pair->nr_blocks; i++) {
		compare_block(pair, i);
		sum[FREE] += count(pair, i, FREE);
		sum[RESERVED] += count(pair, i, RESERVED);
		sum[LIVE] += count(pair, i, LIVE);
	}
	CHECK_EQ(pool->nr_blocks, pair->nr_blocks);
	CHECK_EQ(pool->nr_free, sum[FREE]);
	CHECK_EQ(pool->nr_reserved, sum[RESERVED]);
	CHECK_EQ(pool->nr_live, sum[LIVE]);
	CHECK_EQ(pool->nr_live_max, pair->max_live);

	CHECK_EQ(pool->lru.nr, pair->order.nr);
	at = pool->lru.head.next;
	for (i = 0; i < pair->order.nr; i++, at = at->next)
		CHECK(at == &pool->blocks[pair->order.id[i]].lru.link);
	CHECK(at == &pool->lru.head);
}

/* What the state before a reservation promises about its result. */
struct promise {
	unsigned int available;		/* pages outside isolated blocks */
	unsigned int in_partial;	/* of those, in blocks broken into */
	unsigned int whole_blocks;
	bool whole[MAX_BLOCKS];
};

static void make_promise(const struct pair *pair, struct promise *promise)
{
	unsigned int i, nr_free;

	memset(promise, 0, sizeof(*promise));
	for (i = 0; i < pair->nr_blocks; i++) {
		if (pair->isolated[i])
			continue;
		nr_free = count(pair, i, FREE);
		promise->available += nr_free;
		promise->whole[i] = nr_free == PAGES;
		promise->whole_blocks += promise->whole[i];
		if (nr_free < PAGES)
			promise->in_partial += nr_free;
	}
}

static void check_promise(const struct promise *promise, unsigned int want,
			  const u32 *idx, unsigned int got)
{
	unsigned int i, from_partial = 0;

	CHECK_EQ(got, want < promise->available ? want : promise->available);
	for (i = 0; i < got; i++)
		from_partial += !promise->whole[idx[i] / PAGES];
	for (i = 1; i < got; i++)
		if (idx[i] / PAGES == idx[i - 1] / PAGES)
			CHECK(idx[i] > idx[i - 1]);
	if (want == PAGES && promise->whole_blocks) {
		CHECK_EQ(idx[0] % PAGES, 0);
		CHECK_EQ(idx[PAGES - 1], idx[0] + PAGES - 1);
		CHECK_EQ(from_partial, 0);
	} else if (want <= promise->in_partial) {
		/* No whole block is broken while broken ones suffice. */
		CHECK_EQ(from_partial, got);
	} else {
		CHECK_EQ(from_partial, promise->in_partial);
	}
}

static unsigned int reserve(struct pair *pair, unsigned int want, u32 *out)
{
	u32 *idx = unit_alloc(want * sizeof(*idx));
	struct promise promise;
	unsigned int got, i;

	make_promise(pair, &promise);
	got = dmirror_pool_reserve(pair->pool, want, idx);
	CHECK(got <= want);
	for (i = 0; i < got; i++) {
		CHECK(idx[i] < pair->nr_blocks * PAGES);
		CHECK_EQ(pair->state[idx[i]], FREE);
		CHECK(!pair->isolated[idx[i] / PAGES]);
		pair->state[idx[i]] = RESERVED;
	}
	check_promise(&promise, want, idx, got);
	if (out)
		memcpy(out, idx, got * sizeof(*idx));
	free(idx);
	return got;
}

/*
 * A run of pages in @state inside one block, found from a random place on.
 * Returns its length, at most @limit; 0 if there is none.
 */
static unsigned int find_run(const struct pair *pair, enum state state,
			     unsigned int limit, u32 *first)
{
	unsigned int total = pair->nr_blocks * PAGES;
	unsigned int from = unit_below(total), i, nr = 0;

	for (i = 0; i < total; i++) {
		*first = (from + i) % total;
		if (pair->state[*first] == state)
			break;
	}
	if (i == total)
		return 0;
	while (nr < limit && *first % PAGES + nr < PAGES &&
	       pair->state[*first + nr] == state)
		nr++;
	return nr;
}

static void move(struct pair *pair, u32 first, unsigned int nr, enum state to)
{
	unsigned long live = 0;
	unsigned int i;

	memset(pair->state + first, to, nr);
	for (i = 0; i < pair->nr_blocks; i++)
		live += count(pair, i, LIVE);
	if (live > pair->max_live)
		pair->max_live = live;
	expect_lru(pair, first / PAGES);
}

static void commit(struct pair *pair, u32 first, unsigned int nr)
{
	dmirror_pool_commit(pair->pool, first, nr);
	move(pair, first, nr, LIVE);
}

static void release(struct pair *pair, u32 first, unsigned int nr)
{
	dmirror_pool_free(pair->pool, first, nr);
	move(pair, first, nr, FREE);
}

static void unreserve(struct pair *pair, u32 first)
{
	dmirror_pool_unreserve(pair->pool, first);
	move(pair, first, 1, FREE);
}

static unsigned int random_length(void)
{
	return unit_once_in(3) ? PAGES : 1 + unit_below(unit_once_in(2) ? PAGES : 8);
}

static void isolate(struct pair *pair)
{
	struct dmirror_block *block = dmirror_pool_isolate(pair->pool);
	unsigned int nr = order_take(&pair->order);

	CHECK(block == (nr == ORDER_NONE ? NULL : &pair->pool->blocks[nr]));
	if (block)
		pair->isolated[nr] = true;
}

static void isolate_one(struct pair *pair, unsigned int nr)
{
	bool can = count(pair, nr, LIVE) && !pair->isolated[nr];

	CHECK_EQ(dmirror_pool_isolate_block(pair->pool, &pair->pool->blocks[nr]), can);
	pair->isolated[nr] |= can;
	expect_lru(pair, nr);
}

static void putback(struct pair *pair, unsigned int nr)
{
	if (!pair->isolated[nr])
		return;
	dmirror_pool_putback(pair->pool, &pair->pool->blocks[nr]);
	pair->isolated[nr] = false;
	expect_lru(pair, nr);
}

static void touch(struct pair *pair, unsigned int nr)
{
	dmirror_lru_touch(&pair->pool->blocks[nr].lru);
	pair->order.marked[nr] = true;
}

static void random_step(struct pair *pair, bool filling)
{
	unsigned int nr = unit_below(pair->nr_blocks), len;
	u32 first;

	switch (unit_below(12)) {
	case 0: case 1:
		reserve(pair, unit_once_in(50) ? 0 : random_length(), NULL);
		break;
	case 2: case 3:
		len = find_run(pair, RESERVED, random_length(), &first);
		if (len)
			commit(pair, first, len);
		break;
	case 4: case 5: case 6:
		if (filling && !unit_once_in(4))
			break;
		len = find_run(pair, LIVE, random_length(), &first);
		if (len)
			release(pair, first, len);
		break;
	case 7:
		if (find_run(pair, RESERVED, 1, &first))
			unreserve(pair, first);
		break;
	case 8:
		if (unit_once_in(2))
			isolate(pair);
		else
			isolate_one(pair, nr);
		break;
	case 9: case 10:
		putback(pair, nr);
		break;
	case 11:
		touch(pair, nr);
		break;
	}
}

static void random_sequence(unsigned int nr_blocks)
{
	struct pair *pair = pair_new(nr_blocks);
	bool filling = true;
	unsigned int step;

	compare(pair);
	for (step = 0; step < STEPS * unit_rounds / nr_blocks; step++) {
		if (!(step % 100))
			filling = unit_once_in(2);
		random_step(pair, filling);
		compare(pair);
	}
}

static void random_one_block(void)
{
	random_sequence(1);
}

static void random_few_blocks(void)
{
	random_sequence(3);
}

static void random_many_blocks(void)
{
	random_sequence(MAX_BLOCKS);
}

/* Taken page by page and given back in any order, the pool is as new. */
static void emptied_pool_is_whole_again(void)
{
	u32 *idx = unit_alloc(PAGES * sizeof(*idx)), first;
	struct pair *pair = pair_new(3);
	unsigned int nr, taken = 0;

	while (reserve(pair, 1, NULL))
		taken++;
	CHECK_EQ(taken, 3 * PAGES);
	CHECK_EQ(reserve(pair, PAGES, NULL), 0);
	compare(pair);
	while ((nr = find_run(pair, RESERVED, 1 + unit_below(PAGES), &first)))
		commit(pair, first, nr);
	compare(pair);
	while ((nr = find_run(pair, LIVE, 1 + unit_below(40), &first)))
		release(pair, first, nr);
	compare(pair);
	CHECK_EQ(reserve(pair, PAGES, idx), PAGES);
	free(idx);
}

/* Single pages share one block, so that large folios find whole ones. */
static void single_pages_spare_whole_blocks(void)
{
	u32 *idx = unit_alloc(PAGES * sizeof(*idx));
	struct pair *pair = pair_new(4);
	unsigned int i;

	for (i = 0; i < 100; i++)
		CHECK_EQ(reserve(pair, 1, NULL), 1);
	for (i = 0; i < 3; i++) {
		CHECK_EQ(reserve(pair, PAGES, idx), PAGES);
		CHECK_EQ(idx[PAGES - 1] - idx[0], PAGES - 1);
	}
	CHECK_EQ(reserve(pair, PAGES, idx), PAGES - 100);
	compare(pair);
	free(idx);
}

/* What comes free in an isolated block stays out of reach until it is put back. */
static void isolated_block_hands_nothing_out(void)
{
	u32 *idx = unit_alloc(PAGES * sizeof(*idx));
	struct pair *pair = pair_new(1);

	CHECK_EQ(reserve(pair, PAGES, idx), PAGES);
	commit(pair, 0, PAGES);
	isolate(pair);
	CHECK(pair->isolated[0]);
	CHECK(!dmirror_pool_isolate(pair->pool));
	release(pair, 0, PAGES);
	compare(pair);
	CHECK_EQ(pair->pool->nr_free, PAGES);
	CHECK_EQ(reserve(pair, 1, idx), 0);
	putback(pair, 0);
	compare(pair);
	CHECK_EQ(reserve(pair, PAGES, idx), PAGES);
	free(idx);
}

const struct unit_test block_tests[] = {
	{ "emptied_pool_is_whole_again", emptied_pool_is_whole_again },
	{ "single_pages_spare_whole_blocks", single_pages_spare_whole_blocks },
	{ "isolated_block_hands_nothing_out", isolated_block_hands_nothing_out },
	{ "random_one_block", random_one_block },
	{ "random_few_blocks", random_few_blocks },
	{ "random_many_blocks", random_many_blocks },
	{ NULL, NULL },
};
