/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pure files of the driver need of the kernel, for the host.
 *
 * Forced in ahead of everything, it takes the place of the driver's kdeps.h by
 * defining that header's guard. It offers the names those files use and no
 * more: one that reaches for anything else of the kernel does not build here.
 * Misuse that the kernel would survive or only warn about aborts.
 */
#ifndef DMIRROR_KDEPS_H
#define DMIRROR_KDEPS_H

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/*
 * Called after each WRITE_ONCE() with the place written, so that a test can
 * play the other CPU that stores there at the worst moment.
 */
extern void (*kdeps_race)(void *where);

#define READ_ONCE(x)	__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)						\
({									\
	__auto_type _at = &(x);						\
	__atomic_store_n(_at, v, __ATOMIC_RELAXED);			\
	if (kdeps_race)							\
		kdeps_race(_at);					\
})

#define BIT(nr)			(1UL << (nr))
#define BIT_ULL(nr)		(1ULL << (nr))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)	((x) & ~((a) - 1))

/* The kernel's build checks the types; here all is unsigned. */
static inline unsigned long min(unsigned long a, unsigned long b)
{
	return a < b ? a : b;
}

static inline unsigned long max(unsigned long a, unsigned long b)
{
	return a > b ? a : b;
}

#define container_of(ptr, type, member)					\
	((type *)((char *)(ptr) - offsetof(type, member)))

/* Bitmaps: bit n is bit n % 64 of word n / 64. */

#define BITS_PER_LONG		((unsigned int)sizeof(long) * CHAR_BIT)
#define BITS_TO_LONGS(nr)	(((nr) + BITS_PER_LONG - 1) / BITS_PER_LONG)

static inline bool test_bit(unsigned long nr, const unsigned long *map)
{
	return map[nr / BITS_PER_LONG] >> (nr % BITS_PER_LONG) & 1;
}

static inline void __set_bit(unsigned long nr, unsigned long *map)
{
	map[nr / BITS_PER_LONG] |= 1UL << (nr % BITS_PER_LONG);
}

static inline void __clear_bit(unsigned long nr, unsigned long *map)
{
	map[nr / BITS_PER_LONG] &= ~(1UL << (nr % BITS_PER_LONG));
}

static inline void bitmap_set(unsigned long *map, unsigned int start,
			      unsigned int nr)
{
	while (nr--)
		__set_bit(start++, map);
}

static inline void bitmap_clear(unsigned long *map, unsigned int start,
				unsigned int nr)
{
	while (nr--)
		__clear_bit(start++, map);
}

static inline void bitmap_fill(unsigned long *map, unsigned int nr)
{
	bitmap_set(map, 0, nr);
}

static inline unsigned long kdeps_next_bit(const unsigned long *map,
					   unsigned long size, unsigned long nr)
{
	while (nr < size && !test_bit(nr, map))
		nr++;
	return nr;
}

#define for_each_set_bit(bit, map, size)				\
	for ((bit) = kdeps_next_bit(map, size, 0); (bit) < (size);	\
	     (bit) = kdeps_next_bit(map, size, (bit) + 1))

/* Lists: a ring through a head; a node on no list points at itself. */

struct list_head {
	struct list_head *next, *prev;
};

static inline void INIT_LIST_HEAD(struct list_head *node)
{
	node->next = node;
	node->prev = node;
}

static inline bool list_empty(const struct list_head *head)
{
	return READ_ONCE(head->next) == head;
}

/* The kernel would corrupt a list here if @node were on one. */
static inline void kdeps_list_insert(struct list_head *node,
				     struct list_head *prev)
{
	assert(list_empty(node) && prev->next->prev == prev);
	node->prev = prev;
	node->next = prev->next;
	prev->next->prev = node;
	prev->next = node;
}

static inline void list_add(struct list_head *node, struct list_head *head)
{
	kdeps_list_insert(node, head);
}

static inline void list_add_tail(struct list_head *node, struct list_head *head)
{
	kdeps_list_insert(node, head->prev);
}

static inline void list_del_init(struct list_head *node)
{
	assert(node->prev->next == node && node->next->prev == node);
	node->prev->next = node->next;
	node->next->prev = node->prev;
	INIT_LIST_HEAD(node);
}

static inline void list_move_tail(struct list_head *node, struct list_head *head)
{
	list_del_init(node);
	list_add_tail(node, head);
}

#define list_first_entry(head, type, member)				\
	container_of((head)->next, type, member)

#endif /* DMIRROR_KDEPS_H */
