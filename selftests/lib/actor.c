// SPDX-License-Identifier: GPL-2.0
/*
 * Owns: processes that follow orders over a pair of pipes.
 * Does not own: buffers and devices, which the test made. Takes no locks; one
 * actor belongs to one thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "actor.h"
#include "scene.h"

#define ANSWER_MS	20000

struct order {
	enum act	what;
	int		arg;
	unsigned long	first, npages;
	unsigned int	gen, writer;
};

static int device_order(struct actor *a, const struct order *o, __u8 *p,
			__u8 *m)
{
	int ret;

	switch (o->what) {
	case A_DEV_FILL:
		dm_fill(m, o->npages, p, o->gen, o->writer);
		return dm_write(a->fd, p, o->npages, m, NULL);
	case A_DEV_CHECK:
		ret = dm_read(a->fd, p, o->npages, m, NULL);
		return ret ? ret : dm_verify(m, o->npages, p, o->gen,
					     o->writer, NULL);
	case A_DEV_ZERO:
		ret = dm_read(a->fd, p, o->npages, m, NULL);
		return ret ? ret : dm_verify_zero(m, o->npages, NULL);
	case A_TO_DEV:
		return dm_to_dev(a->fd, p, o->npages, m, NULL);
	case A_TO_SYS:
		return dm_to_sys(a->fd, p, o->npages, NULL);
	case A_WHERE:
		return dm_all(a->fd, p, o->npages, o->arg, NULL);
	case A_EXCLUSIVE:
		ret = dm_exclusive(a->fd, p, o->npages, m, NULL);
		return ret ? ret : dm_verify(m, o->npages, p, o->gen,
					     o->writer, NULL);
	case A_EXCLUSIVE_HELD:
		return dm_check_exclusive(a->fd, p, o->npages);
	default:
		return -EINVAL;
	}
}

static int obey(struct actor *a, const struct order *o)
{
	__u8 *p = a->b->ptr + o->first * DM_PAGE;
	__u8 *m = a->b->mirror + o->first * DM_PAGE;

	switch (o->what) {
	case A_OPEN:
		a->fd = dm_open(o->arg);
		return a->fd < 0 ? a->fd : 0;
	case A_USE:
		a->fd = o->arg;
		return 0;
	case A_CLOSE:
		return close(a->fd) ? -errno : 0;
	case A_CPU_FILL:
		dm_fill(p, o->npages, p, o->gen, o->writer);
		return 0;
	case A_CPU_CHECK:
		return dm_verify(p, o->npages, p, o->gen, o->writer, NULL);
	case A_CPU_ZERO:
		return dm_verify_zero(p, o->npages, NULL);
	default:
		return device_order(a, o, p, m);
	}
}

static void follow_orders(struct actor *a)
{
	struct order o;
	int ret;

	while (read(a->from, &o, sizeof(o)) == sizeof(o)) {
		if (o.what == A_EXIT)
			_exit(o.arg);
		ret = obey(a, &o);
		if (write(a->to, &ret, sizeof(ret)) != sizeof(ret))
			break;
	}
	_exit(99);
}

void actor_self(struct actor *a, struct dm_buf *b, int fd)
{
	*a = (struct actor){ .b = b, .fd = fd, .to = -1, .from = -1 };
}

int actor_fork(struct actor *a, struct dm_buf *b, int fd)
{
	int down[2], up[2];

	if (pipe(down))
		return -errno;
	if (pipe(up)) {
		close(down[0]);
		close(down[1]);
		return -EMFILE;
	}
	*a = (struct actor){ .b = b, .fd = fd };
	a->pid = fork();
	if (!a->pid) {
		/* A failed test must not leave its children behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(down[1]);
		close(up[0]);
		a->from = down[0];
		a->to = up[1];
		follow_orders(a);
	}
	close(down[0]);
	close(up[1]);
	a->to = down[1];
	a->from = up[0];
	return a->pid < 0 ? -EAGAIN : 0;
}

static int give(struct actor *a, const struct order *o)
{
	struct pollfd p = { .fd = a->from, .events = POLLIN };
	int ret, n;

	if (!a->pid)
		return obey(a, o);
	if (write(a->to, o, sizeof(*o)) != sizeof(*o))
		return -EPIPE;
	if (o->what == A_EXIT)
		return 0;
	do {
		n = poll(&p, 1, sc_slow(ANSWER_MS));
	} while (n < 0 && errno == EINTR);
	if (!n)
		return -ETIMEDOUT;
	return read(a->from, &ret, sizeof(ret)) == sizeof(ret) ? ret : -EPIPE;
}

int act(struct actor *a, enum act what, unsigned long first,
	unsigned long npages, unsigned int gen, unsigned int writer)
{
	struct order o = { what, 0, first, npages, gen, writer };

	return give(a, &o);
}

int act_arg(struct actor *a, enum act what, int arg)
{
	struct order o = { what, arg, 0, a->b->npages, 0, 0 };

	return give(a, &o);
}

int act_where(struct actor *a, unsigned long first, unsigned long npages,
	      enum dm_where where)
{
	struct order o = { A_WHERE, where, first, npages, 0, 0 };

	return give(a, &o);
}

int actor_end(struct actor *a)
{
	int ret;

	if (a->pid <= 0)
		return 0;
	signal(SIGPIPE, SIG_IGN);
	act_arg(a, A_EXIT, 0);
	ret = sc_reap(a->pid);
	close(a->to);
	close(a->from);
	a->pid = 0;
	return ret;
}
