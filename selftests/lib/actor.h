/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that does one thing at a time when told to: the scripts of the
 * fork and copy-on-write tests. The test itself is an actor too, so that
 * parent, child and their devices are written and checked with the same words.
 */
#ifndef _SELFTESTS_LIB_ACTOR_H
#define _SELFTESTS_LIB_ACTOR_H

#include <sys/types.h>

#include "dmirror.h"

/* What an actor can do with pages of its buffer. */
enum act {
	A_OPEN,		/* @arg: minor; becomes the actor's device */
	A_USE,		/* @arg: descriptor; becomes the actor's device */
	A_CLOSE,	/* close its device */
	A_CPU_FILL,	/* store tags */
	A_CPU_CHECK,	/* load and compare tags */
	A_CPU_ZERO,	/* load and compare with zero */
	A_DEV_FILL,	/* device writes tags */
	A_DEV_CHECK,	/* device reads, compare tags */
	A_DEV_ZERO,	/* device reads, compare with zero */
	A_TO_DEV,	/* migrate in */
	A_TO_SYS,	/* migrate out */
	A_WHERE,	/* @arg: enum dm_where, all pages are there */
	A_EXCLUSIVE,	/* take exclusive access, compare tags */
	A_EXCLUSIVE_HELD,	/* 0 if none is held, -EPERM if any is */
	A_EXIT,		/* @arg: exit status; no answer */
};

/**
 * struct actor - one process
 * @pid: 0 for the calling process itself
 * @b: its buffer, same addresses as in the parent
 * @fd: its device, -1 while it has none
 */
struct actor {
	pid_t		pid;
	struct dm_buf	*b;
	int		fd;
	/* private: */
	int		to, from;
};

/** actor_self() - make the calling process an actor */
void actor_self(struct actor *a, struct dm_buf *b, int fd);

/**
 * actor_fork() - fork an actor that waits for orders
 * @a: filled in, in the parent
 * @b: buffer the orders are about
 * @fd: device it has inherited, or -1
 *
 * Return: 0 or a negative errno, in the parent only.
 */
int actor_fork(struct actor *a, struct dm_buf *b, int fd);

/**
 * act() - give an order and wait for the answer
 * @a: actor
 * @what: order
 * @first: first page of the buffer
 * @npages: pages
 * @gen: generation of the tags
 * @writer: writer of the tags
 *
 * Return: 0, a negative errno, or for a comparison the positive enum
 * dm_bad_kind. -EPIPE: the process died, -ETIMEDOUT: no answer for 20 seconds.
 */
int act(struct actor *a, enum act what, unsigned long first,
	unsigned long npages, unsigned int gen, unsigned int writer);

/**
 * act_arg() - an order about the whole buffer with one argument
 * @a: actor
 * @what: order
 * @arg: see enum act
 *
 * Return: as act().
 */
int act_arg(struct actor *a, enum act what, int arg);

/**
 * act_where() - are these pages all there, as device and page tables see it?
 *
 * Return: 0, -EXDEV if one is elsewhere, or as act().
 */
int act_where(struct actor *a, unsigned long first, unsigned long npages,
	      enum dm_where where);

/**
 * actor_end() - let a forked actor exit and wait for it
 *
 * Return: as sc_reap(); 0 for an actor that is not running.
 */
int actor_end(struct actor *a);

#endif /* _SELFTESTS_LIB_ACTOR_H */
