// SPDX-License-Identifier: GPL-2.0
/*
 * Device access on behalf of a caller with a buffer.
 *
 * Moves bytes between user memory and a bounce buffer, which walk.c fills from the
 * pages of the process or empties into them: user memory is touched without any
 * lock.
 *
 * Owns the bounce buffer. Takes no locks.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "access.h"
#include "mirror.h"
#include "policy.h"
#include "walk.h"

/**
 * struct dmirror_bounce - progress of one access
 * @a: the access
 * @buf: the bounce buffer, for DMIRROR_WALK_WINDOW bytes
 * @base: the address its first byte is for
 */
struct dmirror_bounce {
	struct dmirror_access *a;
	void *buf;
	unsigned long base;
};

static size_t dmirror_access_touch(struct dmirror_walk *w, void *mem, size_t len)
{
	struct dmirror_bounce *b = w->priv;
	void *buf = b->buf + (w->addr - b->base);

	if (b->a->write)
		memcpy(mem, buf, len);
	else
		memcpy(buf, mem, len);
	return len;
}

static int dmirror_access_step(struct dmirror_bounce *b, struct dmirror_walk *w)
{
	struct dmirror_access *a = b->a;
	unsigned long end = dmirror_policy_window_end(a->addr, a->end,
						      DMIRROR_WALK_WINDOW);
	size_t bytes;
	int ret;

	if (a->write && copy_from_user(b->buf, a->user, end - a->addr))
		return -EFAULT;
	b->base = a->addr;
	ret = dmirror_walk_to(w, end);
	bytes = w->addr - a->addr;
	if (!a->write && copy_to_user(a->user, b->buf, bytes))
		return -EFAULT;

	a->addr += bytes;
	a->user += bytes;
	a->done += bytes >> PAGE_SHIFT;
	dmirror_client_count(a->client, a->write ? DMIRROR_STAT_WRITE_PAGES :
						   DMIRROR_STAT_READ_PAGES,
			     bytes >> PAGE_SHIFT);
	return ret;
}

int dmirror_access_run(struct dmirror_access *a)
{
	struct dmirror_bounce b = { .a = a };
	struct dmirror_walk w = {
		.client = a->client, .flags = a->write ? DMIRROR_WALK_WRITE : 0,
		.addr = a->addr, .end = a->end,
		.touch = dmirror_access_touch, .priv = &b,
	};
	int ret = 0;

	if (!dmirror_inject(a->client->dev, DMIRROR_INJECT_BUFFER))
		b.buf = kvmalloc(min_t(size_t, DMIRROR_WALK_WINDOW,
				       a->end - a->addr), GFP_KERNEL);
	if (!b.buf)
		return -ENOMEM;

	dmirror_walk_begin(&w);
	while (!ret && a->addr < a->end) {
		ret = dmirror_access_step(&b, &w);
		if (!ret && a->addr < a->end)
			ret = dmirror_mirror_relax(a->client);
	}
	a->faults = w.faults;
	kvfree(b.buf);
	return ret;
}
