/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Actors that run against each other for a bounded time, and children whose
 * fate is watched from outside.
 */
#ifndef _SELFTESTS_RACES_RACE_H
#define _SELFTESTS_RACES_RACE_H

#include <stdbool.h>
#include <sys/types.h>
#include "dmirror.h"

/**
 * struct race_actor - one thread of a race
 * @name: for messages
 * @step: called again and again until the time is up; a non-zero return value
 *	stops the whole race
 * @arg: handed to @step
 * @least: how often @step must return before the race may end, as far as five
 *	times its length allows; a busy machine may need it
 * @steps: how often @step returned, filled in
 * @ret: what @step returned last, filled in
 */
struct race_actor {
	const char	*name;
	int		(*step)(void *arg);
	void		*arg;
	long		least;
	volatile long	steps;
	int		ret;
};

/**
 * race_run() - let actors run against each other
 * @actors: the actors
 * @n: how many
 * @ms: for how long, milliseconds; scaled by $DMIRROR_SLOW (default 1)
 * @why: receives the reason of a failure, DM_MSG bytes
 *
 * Return: 0; -ETIMEDOUT when a thread did not come back within race_grace_ms()
 * of the end, in which case it is left behind and @why says where it hangs; or
 * the value of the first step that stopped the race.
 */
int race_run(struct race_actor *actors, int n, int ms, char *why);

/*
 * race_run() inside a test. With a thread lost in the kernel there is nothing
 * left to tear down safely, so that the test ends there and then.
 */
#define RACE_RUN(actors, n, ms) do {					\
	char why_[DM_MSG];						\
	int i_, ret_ = race_run(actors, n, ms, why_);			\
									\
	EXPECT_EQ(0, ret_) {						\
		TH_LOG("%s", why_);					\
	}								\
	for (i_ = 0; i_ < (n); i_++)					\
		TH_LOG("%s: %ld rounds", (actors)[i_].name,		\
		       (actors)[i_].steps);				\
	if (ret_ == -ETIMEDOUT)						\
		_exit(KSFT_FAIL);					\
} while (0)

/*
 * The fixture of a race whose threads share a struct world, with the devices in its
 * member dm: on the heap, for a thread that was left behind may still look at it.
 */
#define RACE_FIXTURE(name)						\
	FIXTURE(name) { struct world *w; };				\
	FIXTURE_VARIANT(name) {						\
		int		index, peer;				\
		unsigned long	npages;					\
		unsigned long	span;	/* pages worked on at once, if not one */ \
		int		flags;					\
	}

/* The variants: @small pages, a large one, and pages of coherent devices. */
#define RACE_VARIANTS(name, small)					\
	FIXTURE_VARIANT_ADD(name, device_private) {			\
		.index = DM_PRIVATE0, .peer = DM_PRIVATE1,		\
		.npages = (small), .span = 1,				\
	};								\
	FIXTURE_VARIANT_ADD(name, device_private_thp) {			\
		.index = DM_PRIVATE0, .peer = DM_PRIVATE1,		\
		.npages = DM_2M_PAGES, .span = DM_2M_PAGES,		\
		.flags = DM_BUF_THP,					\
	};								\
	FIXTURE_VARIANT_ADD(name, device_coherent) {			\
		.index = DM_COHERENT0, .peer = DM_COHERENT1,		\
		.npages = (small), .span = 1,				\
	}

/* First thing in the set-up, which is over if there is no such device: a world. */
#define RACE_SETUP(w) do {						\
	(w) = calloc(1, sizeof(*(w)));					\
	self->w = (w);							\
	ASSERT_NE(NULL, (w));						\
	dm_setup(_metadata, &(w)->dm, variant->index, variant->peer);	\
	if (_metadata->exit_code)					\
		return;							\
} while (0)

/** race_over() - true when the time of the present race is up */
bool race_over(void);

/**
 * race_slow() - by how much to stretch times, $DMIRROR_SLOW or 1
 */
int race_slow(void);

/**
 * race_grace_ms() - how long anything may take that should end soon
 */
int race_grace_ms(void);

/**
 * race_reap() - wait for a child for a bounded time
 * @pid: child
 * @ms: longest wait, milliseconds
 * @status: receives the wait status, may be NULL
 *
 * Return: how long it took in milliseconds, or -ETIMEDOUT.
 */
long race_reap(pid_t pid, long ms, int *status);

/**
 * race_tasks() - describe where the threads of a process sleep
 * @pid: process
 * @buf: receives one line, DM_MSG bytes
 */
void race_tasks(pid_t pid, char *buf);

/**
 * race_rand() - small pseudo random number generator, one state per thread
 * @state: not zero
 */
unsigned int race_rand(unsigned int *state);

/**
 * race_verify() - verify a range and describe what is wrong
 *
 * Return: as dm_verify(); @why receives the reason, DM_MSG bytes.
 */
int race_verify(const void *mem, unsigned long npages, const void *va,
		unsigned int generation, unsigned int writer, char *why);

/**
 * race_to_dev_all() - migrate until the whole range is resident
 * @fd: device
 * @b: buffer
 * @why: receives the reason of a failure, DM_MSG bytes
 *
 * Transient references (a per-CPU LRU batch, a speculative lookup) may make a
 * single attempt fall short, so a few are made.
 *
 * Return: 0 if every page is on the device by both sources, or an errno.
 */
int race_to_dev_all(int fd, struct dm_buf *b, char *why);

#endif /* _SELFTESTS_RACES_RACE_H */
