#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The exerciser for a minute: alone, with swap, and in a memory cgroup that is too
# small. HMMX_SECONDS changes how long each takes, HMMX_SEED what happens.

cd "$(dirname "$0")" || exit 4
# shellcheck disable=SC1091
. ../kselftest/ktap_helpers.sh

seconds=${HMMX_SECONDS:-15}
seed=${HMMX_SEED:-$(date +%s)}
work=$(mktemp -d)

# run NAME OPTIONS...: what failed, and how to see it again, goes to the log
run()
{
	local name=$1 log=$work/$1.log

	shift
	if ./hmmx --seed "$seed" --time "$seconds" --log "$log" "$@" 2>"$work/out"; then
		ktap_test_pass "$name"
	else
		ktap_test_fail "$name"
		sed 's/^/# /' "$work/out"
		cp "$log" "/share/results/hmmx-$name.log" 2>/dev/null &&
			echo "# its log is hmmx-$name.log: hmmx --replay, hmmx --shrink"
	fi
	tail -n 1 "$work/out" | sed 's/^/# /'
}

# Less memory on the device than there is under test, so that it evicts.
if [ "${DMIRROR_TARGET:-hmm_dmirror}" = hmm_dmirror ] && rmmod hmm_dmirror; then
	# shellcheck disable=SC2086 # a list of parameters
	insmod "${DMIRROR_MODULES:-/share/modules}/hmm_dmirror.ko" \
		${DMIRROR_PARAMS:-} vram_mb=8 || exit 1
fi

ktap_print_header
ktap_set_plan 4
run one_thread --threads 1
run two_threads --threads 2 --small
run swap --threads 2 --small --swap 64
run limit --threads 2 --small --swap 128 --limit 40
rm -rf "$work"
ktap_finished
