#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What the runner must notice and what spoils the kernel for every test after
# it: run it alone, in a guest that is thrown away. Prints KTAP.
cd "$(dirname "$0")" || exit 1
. ../kselftest/ktap_helpers.sh
. ./nest.sh

NEST=$(mktemp -d)
trap 'rm -rf "$NEST"' EXIT

log_line()
{
	nest bait_log.sh
	nested --no-load
	red $? bait:bait_log.sh:health 'kernel log: WARNING: CPU: 0'
}

# A known false alarm of the kernel is none, but what comes with it is.
known_line()
{
	nest bait_known.sh
	nested --no-load || { sed 's/^/# /' "$NEST/out"; return 1; }
	nest bait_known.sh bait_log.sh
	nested --no-load
	red $? bait:bait_log.sh:health 'kernel log: WARNING: CPU: 0'
}

real_warning()
{
	[ -e splat.ko ] || { echo "# splat.ko was not built"; return 1; }
	nest bait_warn.sh
	nested --no-load
	red $? bait:bait_warn.sh:health 'kernel log: ' &&
		red 1 bait:bait_warn.sh:health 'new taint bits 0x200'
}

# The taint is there to stay, but it is not the next test's fault.
not_the_next()
{
	BAIT='-t pass' nest baits
	nested --no-load
}

# Lost memory is found at the end, and only by a kernel that looks for it.
leaked_memory()
{
	nest bait_leak.sh
	nested --no-load --kmemleak
	red $? kmemleak:loaded 'objects, see kmemleak-loaded'
}

ktap_print_header
ktap_set_plan 5
if [ -e /sys/kernel/debug/kmemleak ]; then
	ktap_test_result leaked_memory leaked_memory
else
	ktap_test_skip 'leaked_memory (no CONFIG_DEBUG_KMEMLEAK)'
fi
ktap_test_result log_line log_line
ktap_test_result known_line known_line
ktap_test_result real_warning real_warning
ktap_test_result not_the_next not_the_next
ktap_finished
