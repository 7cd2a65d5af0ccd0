#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the recipes of Documentation/tracing.rst as they stand there, with traced as
# the program, and look for the numbers it is known to cause. A recipe whose tool
# this machine lacks is skipped.

cd "$(dirname "$0")" || exit 4
# shellcheck disable=SC1091
. ../kselftest/ktap_helpers.sh

here=$PWD
work=$(mktemp -d)
# What traced does: see there.
pages=256 rounds=4

# recipe NAME: its output goes to $work/out
recipe()
{
	./extract-example tracing.rst "$1" | sed "s,PROGRAM,$here/traced,g" >"$work/recipe"
	(cd "$work" && bash -eu recipe) >"$work/out" 2>&1
}

has() { grep -qE "$1" "$work/out"; }

# sum PATTERN: of the numbers that a sed pattern finds, one a line
sum() { sed -nE "$1" "$work/out" | awk '{ s += $1 } END { print s + 0 }'; }

tracefs_events()
{
	recipe tracefs-events && has 'dmirror_migrate_in_end: dev=0 .*reason=request moved='
}

# Brought back by CPU faults and on request, as often by one as by the other.
tracefs_reasons()
{
	recipe tracefs-reasons &&
	[ "$(sum 's/.*moved: *([0-9]+).*/\1/p')" -eq $((2 * rounds * pages)) ]
}

tracefs_latency()
{
	recipe tracefs-latency &&
	[ "$(sum 's/.*hitcount: *([0-9]+).*/\1/p')" -ge $((3 * rounds)) ]
}

trace_cmd() { recipe trace-cmd && has 'dmirror_migrate_in_begin: +dev=0'; }

perf_stat()
{
	recipe perf-stat && has ' [1-9][0-9,]* +hmm_dmirror:dmirror_invalidate_end'
}

perf_record() { recipe perf-record && has 'traced'; }

bpftrace_faults() { recipe bpftrace-faults && has '@us:' && has '@+'; }

bpftrace_pages()
{
	recipe bpftrace-pages &&
	has "^@in\[0\]: $((3 * rounds * pages))$" &&
	has "^@out\[0\]: $((rounds * pages))$" &&
	has "^@out\[1\]: $((rounds * pages))$" &&
	has "^@evicted\[3\]: $((rounds * pages))$"
}

# check FUNCTION TOOL
check()
{
	if ! command -v "$2" >/dev/null; then
		ktap_test_skip "$1 # SKIP no $2"
	elif "$1"; then
		ktap_test_pass "$1"
	else
		ktap_test_fail "$1"
		sed 's/^/# /' "$work/out" | head -n 40
	fi
}

mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
ktap_print_header
ktap_set_plan 8
check tracefs_events grep
check tracefs_reasons cat
check tracefs_latency cat
check trace_cmd trace-cmd
check perf_stat perf
check perf_record perf
check bpftrace_faults bpftrace
check bpftrace_pages bpftrace
rm -rf "$work"
ktap_finished
