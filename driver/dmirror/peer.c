// SPDX-License-Identifier: GPL-2.0
/*
 * From device to device.
 *
 * The steps are those of any migration: the core is asked for pages of the one
 * device and given pages of the other. Owns the way from memory to memory.
 *
 * Both devices are kept from going away for one window at a time, by counts and
 * not by locks, so two requests in opposite directions cannot block each other.
 *
 * Takes no locks of its own.
 */
#include "compat.h"
#include "copy.h"
#include "evict.h"
#include "fault.h"
#include "migrate_steps.h"
#include "mirror.h"
#include "peer.h"
#include "trace.h"

/* Whoever brought the page to the first device has it on the second. */
static void dmirror_peer_account(struct dmirror_migrate *m, const struct page *from)
{
	m->reserve->account = dmirror_vram_account(&m->dev->vram, from);
}

/* Copy, or let go of the destination. */
static bool dmirror_peer_copy(struct dmirror_migrate *m, struct page *to,
			      struct page *from, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!dmirror_copy_page(m->dev,
				       dmirror_vram_data(&m->peer->vram, to + i),
				       dmirror_vram_data(&m->dev->vram, from + i))) {
			dmirror_vram_drop(to);
			return false;
		}
	return true;
}

static bool dmirror_peer_large(struct dmirror_migrate *m, unsigned int i)
{
	struct page *from = migrate_pfn_to_page(m->args.src[i]);
	struct page *to = NULL;

	dmirror_peer_account(m, from);
	if (!dmirror_migrate_inject(m, DMIRROR_INJECT_ALLOC_IN_LARGE))
		to = dmirror_vram_take_large(&m->peer->vram, m->reserve);
	if (!to || !dmirror_peer_copy(m, to, from, DMIRROR_LEAF_PAGES))
		return false;
	m->args.dst[i] = dmirror_migrate_mpfn(to, m->args.src[i]) |
			 COMPAT_MIGRATE_PFN_COMPOUND;
	dmirror_migrate_count(m, DMIRROR_STAT_LARGE_OUT, 1);
	dmirror_stat_add(&m->peer->stats, DMIRROR_STAT_LARGE_IN, 1);
	return true;
}

static bool dmirror_peer_small(struct dmirror_migrate *m, unsigned int i,
			       unsigned int sub)
{
	unsigned int pos = dmirror_leaf_index(m->args.start) + i + sub;
	struct page *from = migrate_pfn_to_page(m->args.src[i]);
	struct page *to = NULL;

	dmirror_peer_account(m, from + sub);
	if (!dmirror_migrate_inject(m, DMIRROR_INJECT_ALLOC_IN_SMALL))
		to = dmirror_vram_take(&m->peer->vram, m->reserve, pos);
	if (!to || !dmirror_peer_copy(m, to, from + sub, 1))
		return false;
	m->args.dst[i + sub] = dmirror_migrate_mpfn(to, m->args.src[i]);
	return true;
}

/* How many pages of the window there are to move. */
static int dmirror_peer_count(struct dmirror_client *client, unsigned long start,
			      unsigned long end, unsigned int *want)
{
	struct dmirror_leaf *leaf = dmirror_leaf_get(client, start);
	int ret;

	if (IS_ERR(leaf))
		return PTR_ERR(leaf);
	ret = dmirror_fault_populate(client, leaf, start, end, DMIRROR_FAULT_NOWAIT);
	if (!ret)
		*want = dmirror_classify_present(client, start, end);
	return ret;
}

static int dmirror_peer_reserved(struct dmirror_migrate *m, unsigned long start,
				 unsigned long *end)
{
	unsigned int want;
	int ret;

	ret = dmirror_peer_count(m->client, start, *end, &want);
	/* Of nothing, too: pages may come by the time the core looks for them. */
	if (!ret)
		ret = dmirror_evict_reserve(m->peer, NULL, m->reserve, want,
					    m->client->hints);
	if (ret)
		return ret;

	trace_dmirror_migrate_peer_begin(m->dev->id, start, want,
					 DMIRROR_REASON_REQUEST, 0, 0);
	ret = dmirror_migrate_away_from(m, start, end, dmirror_peer_large,
					dmirror_peer_small);
	dmirror_vram_unreserve(&m->peer->vram, m->reserve);
	trace_dmirror_migrate_peer_end(m->dev->id, start, want,
				       DMIRROR_REASON_REQUEST, m->moved,
				       m->tried - m->moved);
	dmirror_migrate_count(m, DMIRROR_STAT_PEER_OUT_PAGES, m->moved);
	dmirror_stat_add(&m->peer->stats, DMIRROR_STAT_PEER_IN_PAGES, m->moved);
	return ret;
}

static int dmirror_peer_window(struct dmirror_migrate *m, unsigned long start,
			       unsigned long *end)
{
	int ret;

	if (!dmirror_vram_get(&m->peer->vram))
		return -ENODEV;
	ret = dmirror_peer_reserved(m, start, end);
	dmirror_vram_put(&m->peer->vram);
	return ret;
}

int dmirror_migrate_peer(struct dmirror_client *client, struct dmirror_device *peer,
			 unsigned long start, unsigned long *end,
			 struct dmirror_migrate_buf *buf,
			 struct dmirror_moved *moved)
{
	struct dmirror_migrate m = {
		.dev = client->dev, .peer = peer, .client = client, .urgent = -1,
		.reserve = &buf->reserve, .classes = &buf->classes,
		.patience = &buf->patience,
		.args = { .src = buf->src, .dst = buf->dst },
	};

	return dmirror_migrate_request(&m, dmirror_peer_window, start, end, moved);
}
