#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The fuzzer: every input of the corpus, then random ones for a while. FUZZ_SECONDS
# changes for how long, FUZZ_SEED what happens.

cd "$(dirname "$0")" || exit 4
# shellcheck disable=SC1091
. ../kselftest/ktap_helpers.sh

work=$(mktemp -d)
# Where the input is found that a machine died of.
last=/share/results/fuzz-last.fz
[ -d "${last%/*}" ] || last=$work/last.fz

check()
{
	local name=$1

	shift
	if "$@" >"$work/out" 2>&1; then
		ktap_test_pass "$name"
	else
		ktap_test_fail "$name"
	fi
	grep -v '^# passed' "$work/out" | sed 's/^\(# \)\?/# /'
}

# Little memory, so that it runs full, and little time for jobs.
if [ "${DMIRROR_TARGET:-hmm_dmirror}" = hmm_dmirror ] && rmmod hmm_dmirror; then
	# shellcheck disable=SC2086 # a list of parameters
	insmod "${DMIRROR_MODULES:-/share/modules}/hmm_dmirror.ko" \
		${DMIRROR_PARAMS:-} vram_mb=8 job_timeout_ms=200 || exit 1
fi

scale=${DMIRROR_TIMEOUT_SCALE:-4}
ktap_print_header
ktap_set_plan 2
check corpus ./fuzz --limit $((5 * scale)) --last "$last" corpus
check random ./fuzz --limit $((5 * scale)) --last "$last" --shrink \
	--time "${FUZZ_SECONDS:-20}" --seed "${FUZZ_SEED:-$(date +%s)}" corpus
rm -rf "$work"
ktap_finished
