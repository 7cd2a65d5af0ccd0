// SPDX-License-Identifier: GPL-2.0
/*
 * Tracing: see dm_trace.h. Owns the instance.
 */
#include <errno.h>
#include <unistd.h>
#include <sys/stat.h>
#include "dm_system.h"
#include "dm_trace.h"

#define TRACEFS		"/sys/kernel/tracing"
#define INSTANCE	TRACEFS "/instances/hmm_dmirror_test"

int dm_trace_begin(void)
{
	static const char *const mount[] = {
		"mount", "-t", "tracefs", "tracefs", TRACEFS, NULL
	};

	if (access(TRACEFS "/instances", F_OK))
		dm_run(mount);
	/* Of a test that was killed. */
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0700))
		return -errno;
	return dm_write_file(INSTANCE "/events/hmm_dmirror/enable", "1");
}

ssize_t dm_trace_end(char *text, size_t len)
{
	ssize_t n;

	dm_write_file(INSTANCE "/tracing_on", "0");
	n = dm_read_file(INSTANCE "/trace", text, len);
	rmdir(INSTANCE);
	return n == (ssize_t)len - 1 ? -E2BIG : n;
}
