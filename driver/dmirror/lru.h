/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which block of device memory to evict next: a list in order of arrival with
 * a second chance for what was used since it was last looked at.
 *
 * The caller serialises everything but dmirror_lru_touch(), which only sets a
 * flag and may run at any time on a node that stays allocated.
 */
#ifndef DMIRROR_LRU_H
#define DMIRROR_LRU_H

#include "kdeps.h"

/**
 * struct dmirror_lru - the list
 * @head: nodes, the oldest first
 * @nr: nodes on the list
 */
struct dmirror_lru {
	struct list_head head;
	unsigned int nr;
};

/**
 * struct dmirror_lru_node - one member
 * @link: place on the list, empty when not on it
 * @referenced: used since the list last passed over it
 */
struct dmirror_lru_node {
	struct list_head link;
	bool referenced;
};

/**
 * dmirror_lru_init() - make an empty list
 * @lru: the list
 */
void dmirror_lru_init(struct dmirror_lru *lru);

/**
 * dmirror_lru_node_init() - prepare a node that is on no list
 * @node: the node
 */
void dmirror_lru_node_init(struct dmirror_lru_node *node);

/**
 * dmirror_lru_on() - is the node on a list?
 * @node: the node
 *
 * Return: true if it is.
 */
static inline bool dmirror_lru_on(const struct dmirror_lru_node *node)
{
	return !list_empty(&node->link);
}

/**
 * dmirror_lru_add() - add a node as the newest member
 * @lru: the list
 * @node: a node on no list
 */
void dmirror_lru_add(struct dmirror_lru *lru, struct dmirror_lru_node *node);

/**
 * dmirror_lru_del() - take a node off the list
 * @lru: the list
 * @node: a node on @lru
 */
void dmirror_lru_del(struct dmirror_lru *lru, struct dmirror_lru_node *node);

/**
 * dmirror_lru_touch() - note that a node was used
 * @node: the node
 *
 * Context: any; needs no lock.
 */
static inline void dmirror_lru_touch(struct dmirror_lru_node *node)
{
	if (!READ_ONCE(node->referenced))
		WRITE_ONCE(node->referenced, true);
}

/**
 * dmirror_lru_isolate() - take the next victim off the list
 * @lru: the list
 *
 * Members used since the last pass lose their mark and go to the end; the
 * first one without a mark is taken. When all were used, the oldest is taken,
 * so a list that is not empty always yields a node, after one pass at most.
 *
 * Return: the node, now on no list, or NULL when the list is empty.
 */
struct dmirror_lru_node *dmirror_lru_isolate(struct dmirror_lru *lru);

#endif /* DMIRROR_LRU_H */
