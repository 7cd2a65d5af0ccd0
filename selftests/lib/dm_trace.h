/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the module, in an instance of tracefs of the test's own.
 */
#ifndef SELFTESTS_LIB_DM_TRACE_H
#define SELFTESTS_LIB_DM_TRACE_H

#include <stddef.h>
#include <sys/types.h>

/**
 * dm_trace_begin() - have all events of the group hmm_dmirror noted from here on
 *
 * Return: 0, or a negative errno where there is no tracing.
 */
int dm_trace_begin(void);

/**
 * dm_trace_end() - no longer; and what was noted
 * @text: receives the lines, @len bytes, always terminated
 * @len: size of @text
 *
 * Return: number of bytes; -E2BIG when there were more; or another negative errno.
 */
ssize_t dm_trace_end(char *text, size_t len);

#endif /* SELFTESTS_LIB_DM_TRACE_H */
