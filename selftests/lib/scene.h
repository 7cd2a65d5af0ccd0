/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stage directions for tests with more than one task: one-way signals between
 * processes, waiting for a task to block or to go away, and module parameters.
 */
#ifndef _SELFTESTS_LIB_SCENE_H
#define _SELFTESTS_LIB_SCENE_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * struct sc_sync - a signal that one process sends and another waits for
 * @fd: the two ends of a pipe; create it before fork() and keep both ends
 */
struct sc_sync {
	int fd[2];
};

/** sc_sync_init() - make a signal. Return: 0 or a negative errno. */
int sc_sync_init(struct sc_sync *s);

/** sc_sync_fini() - close both ends of a signal */
void sc_sync_fini(struct sc_sync *s);

/** sc_post() - send the signal once. Return: 0 or a negative errno. */
int sc_post(struct sc_sync *s);

/**
 * sc_wait() - wait for one signal
 *
 * Return: 0, -ETIMEDOUT after sc_slow(20000) milliseconds, or a negative errno.
 */
int sc_wait(struct sc_sync *s);

/**
 * sc_wait_syscall() - wait until a task sleeps in a system call
 * @pid: process
 * @tid: thread of it
 * @nr: system call number
 *
 * Return: 0, -ESRCH if the task ends first, -ETIMEDOUT after sc_slow(20000) milliseconds.
 */
int sc_wait_syscall(pid_t pid, pid_t tid, long nr);

/**
 * sc_fork() - fork a child that does not outlive the thread that forks it
 *
 * A test that ends early leaves nobody behind who keeps its files.
 *
 * Return: as fork().
 */
pid_t sc_fork(void);

/**
 * sc_reap() - wait for a child
 *
 * Return: its exit status, 128 plus the signal that killed it, or a negative
 * errno.
 */
int sc_reap(pid_t pid);

/**
 * sc_param() - an integer parameter of the loaded hmm_dmirror module
 * @name: parameter name
 * @missing: returned when there is no such file
 */
long sc_param(const char *name, long missing);

/**
 * sc_window() - pages a CPU fault may bring back together
 *
 * The fault-around window of the driver under test; 1 where it has none.
 */
unsigned long sc_window(void);

/**
 * sc_kernel_has() - does the running kernel have a function of this name?
 * @symbol: the name
 */
bool sc_kernel_has(const char *symbol);

/**
 * sc_slow() - a limit of time for the kernel that runs
 * @ms: what is enough on a distribution's kernel under emulation
 *
 * Return: three times @ms, for a machine that has other things to do as well, and more
 * where DMIRROR_TIMEOUT_SCALE says so: a kernel with all debugging is many times slower.
 * Below 4, the default of that, just @ms.
 */
long sc_slow(long ms);

/**
 * sc_longer() - how many times as much to do of what is repeated
 *
 * Return: DMIRROR_LONGER, or 1: enough to notice what goes wrong often.
 */
int sc_longer(void);

/** sc_now_ms() - monotonic clock in milliseconds */
long long sc_now_ms(void);

#endif /* _SELFTESTS_LIB_SCENE_H */
