// SPDX-License-Identifier: GPL-2.0
/*
 * Victim selection: see lru.h.
 *
 * Owns the order of the list and nothing else; takes no locks.
 */
#include "lru.h"

void dmirror_lru_init(struct dmirror_lru *lru)
{
	INIT_LIST_HEAD(&lru->head);
	lru->nr = 0;
}

void dmirror_lru_node_init(struct dmirror_lru_node *node)
{
	INIT_LIST_HEAD(&node->link);
	node->referenced = false;
}

void dmirror_lru_add(struct dmirror_lru *lru, struct dmirror_lru_node *node)
{
	list_add_tail(&node->link, &lru->head);
	lru->nr++;
}

void dmirror_lru_del(struct dmirror_lru *lru, struct dmirror_lru_node *node)
{
	list_del_init(&node->link);
	lru->nr--;
}

struct dmirror_lru_node *dmirror_lru_isolate(struct dmirror_lru *lru)
{
	struct dmirror_lru_node *node = NULL;
	unsigned int left = lru->nr;

	while (!list_empty(&lru->head)) {
		node = list_first_entry(&lru->head, struct dmirror_lru_node, link);
		if (!READ_ONCE(node->referenced) || !left--)
			break;
		WRITE_ONCE(node->referenced, false);
		list_move_tail(&node->link, &lru->head);
	}
	if (node)
		dmirror_lru_del(lru, node);
	return node;
}
