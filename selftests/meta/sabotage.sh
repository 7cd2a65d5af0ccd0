#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests that notice: with a sabotage of the driver switched on a test that is
# there for that goes red, and without it the same test, on the same module, is
# green. Loads the driver itself; the runner puts back what was there.
cd "$(dirname "$0")" || exit 1
. ../kselftest/ktap_helpers.sh

modules=${DMIRROR_MODULES:-/share/modules}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# load <what to arm>: the driver afresh, with everything enabled
load()
{
	rmmod hmm_dmirror 2>/dev/null
	insmod "$modules/hmm_dmirror.ko" inject=2 vram_mb=64 ${1:+"inject_arm=$1"}
}

# verdict <collection/program> <test>: its line of KTAP, in one word. A program
# that loads the driver itself is told what to arm.
verdict()
{
	DMIRROR_INJECT_PARAMS="inject=2${3:+ inject_arm=$3}" \
		"../$1" -r "$2" >"$out" 2>&1
	if grep -q "^ok .* $2 *# SKIP" "$out"; then
		echo skipped
	elif grep -q "^not ok .* $2\$" "$out"; then
		echo red
	elif grep -q "^ok .* $2\$" "$out"; then
		echo green
	else
		echo confused
	fi
}

# notices <sabotage> <collection/program> <test>
notices()
{
	arm=$1:nth=1,every=1
	load '' || return 1
	without=$(verdict "$2" "$3" '')
	if [ "$without" = green ]; then
		load "$arm" || return 1
		with=$(verdict "$2" "$3" "$arm")
		[ "$with" = red ] && return 0
	fi
	echo "# $2 $3: $without without $1, ${with:-not run} with it"
	sed 's/^/# /' "$out"
	return 1
}

# expect <sabotage> <collection/program> <test>
expect()
{
	if notices "$@"; then
		ktap_test_pass "$1"
	else
		ktap_test_fail "$1"
	fi
}

ktap_print_header
if [ "${DMIRROR_TARGET:-hmm_dmirror}" != hmm_dmirror ] ||
   [ ! -e /dev/hmm_dmirror0 ] || [ ! -e "$modules/hmm_dmirror.ko" ]; then
	ktap_skip_all "needs private devices and the file of the driver"
	exit "$KSFT_SKIP"
fi
ktap_set_plan 6
expect skip_invalidate mirror/access mirror.private.permission_flips
expect skip_retry faults/device device.system.read_outdated_by_dontneed
expect skip_copy migrate/roundtrip migrate.private.by_request
expect skip_dirty races/dirty dirty.device_private.write_after_madv_free
expect leak_page cpu_fault/cf_count cf_count.one_load
expect miscount migrate/roundtrip migrate.private.by_request
ktap_finished
