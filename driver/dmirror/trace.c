// SPDX-License-Identifier: GPL-2.0
/*
 * The one place that creates the tracepoints of trace.h.
 */
#include "types.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
