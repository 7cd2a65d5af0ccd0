// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded into a program of the kernel's selftests: its harness waits longer for
 * a test, by a factor, where the machine is slow. The program stays what it is.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>
#include <time.h>

int poll(struct pollfd *fds, nfds_t n, int ms)
{
	const char *scale = getenv("DMIRROR_TIMEOUT_SCALE");
	long long wait = (long long)ms * (scale ? atoi(scale) : 1);
	struct timespec limit = { wait / 1000, wait % 1000 * 1000000 };

	return ppoll(fds, n, ms < 0 ? NULL : &limit, NULL);
}
