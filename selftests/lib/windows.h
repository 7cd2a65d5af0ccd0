/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Races made certain: one party is held in a window of the driver by a delay,
 * another does what it does, then the window is closed.
 */
#ifndef _SELFTESTS_LIB_WINDOWS_H
#define _SELFTESTS_LIB_WINDOWS_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include "dm_inject.h"
#include "dmirror.h"

#define WIN_PAGES	16UL
/* Longer than any test needs; a window that closes by itself is a failure. */
#define WIN_ARM		"nth=1 delay_us=10000000"
#define DELAY_MS	10000
/* How long a party that should be stuck is given to show that it is not. */
#define WIN_LOOK_MS	100
/* In one and the same sleep in so many looks, that far apart, it waits for somebody. */
#define WIN_LOOKS	5
#define WIN_APART_US	5000

struct hand;
typedef int (*hand_fn)(struct hand *h);

/**
 * struct hand - a thread that is there from the start and does one thing at a
 * time: while a window is open, starting one may have to wait
 * @fd: a file of its own, on the device under test
 * @b: what to work on
 * @scratch: WIN_PAGES pages of its own, populated
 * @gen: generation to write
 * @res: what a command left
 * @ret: what the last thing returned
 * @finished: it has returned
 */
struct hand {
	int		fd;
	struct dm_buf	*b;
	__u8		*scratch;
	unsigned int	gen;
	struct hmm_dmirror_cmd res;
	int		ret;
	volatile bool	finished;
	/* private: */
	pthread_t	thread;
	sem_t		go, done;
	hand_fn		fn;
	volatile pid_t	tid;
	bool		running, alive;
};

/** hand_init() - start the thread. Return: 0 or a negative errno. */
int hand_init(struct hand *h, int index, struct dm_buf *b);

/** hand_fini() - end it; it must not be doing anything */
void hand_fini(struct hand *h);

/** hand_start() - let it do something */
void hand_start(struct hand *h, hand_fn fn);

/**
 * hand_wait() - wait until it has done it
 *
 * Return: what it returned, or -ETIMEDOUT after sc_slow(20000) milliseconds.
 */
int hand_wait(struct hand *h);

/** hand_stuck() - still at it after WIN_LOOK_MS? */
bool hand_stuck(struct hand *h);

/** hand_settle() - let it get as far as it can by itself, WIN_LOOK_MS at most */
void hand_settle(struct hand *h);

/* What hands do. */
int do_in(struct hand *h);
int do_out(struct hand *h);
int do_touch(struct hand *h);		/* CPU reads */
int do_store(struct hand *h);		/* CPU writes generation @gen */
int do_release(struct hand *h);
int do_dev_write(struct hand *h);	/* generation @gen, until not busy */
int do_dev_read(struct hand *h);	/* into @scratch, until not busy */
int do_dontneed(struct hand *h);
int do_munmap(struct hand *h);
int do_protect(struct hand *h);		/* read only */
int do_unbind(struct hand *h);		/* device 0 */

#endif /* _SELFTESTS_LIB_WINDOWS_H */
