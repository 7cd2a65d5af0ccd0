#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The runner must go red on everything that is not a proper success, and must
# name the culprit; and green when there is nothing to complain about. The
# cases that leave the kernel tainted are in in_guest.sh.
cd "$(dirname "$0")" || exit 1
. ../kselftest/ktap_helpers.sh
. ./nest.sh

NEST=$(mktemp -d)
trap 'rm -rf "$NEST"' EXIT
DMIRROR_TIMEOUT_SCALE=1
export DMIRROR_TIMEOUT_SCALE

# expect_red <title> <result> <reason>: about the last run, which ended with
# $status.
expect_red()
{
	if red "$status" "$2" "$3"; then
		ktap_test_pass "$1"
	else
		ktap_test_fail "$1"
	fi
}

green()
{
	BAIT='-t pass' nest baits
	nested --no-load && grep -q '^1 passed, 0 failed, 0 skipped$' "$NEST/out"
}

no_module()
{
	BAIT='-t pass' nest baits
	mkdir "$NEST/empty"
	DMIRROR_MODULES=$NEST/empty DMIRROR_TARGET=no_such_module nested
	red $? modules:load 'no such file' &&
		! grep -q 'passed bait:' "$NEST/results/results"
}

# Nothing was taken for a failure that is none: everything that failed has a
# case of its own below.
nothing_else()
{
	n=$(grep -c '^failed ' "$NEST/results/results")
	[ "$n" -eq "$1" ] && return
	echo "# $n failures, expected $1"
	sed 's/^/# /' "$NEST/results/results"
	return 1
}

ktap_print_header
ktap_set_plan 27

ktap_test_result green_when_good green
ktap_test_result missing_module no_module

# Everything that misbehaves and ends by itself, in one run.
# shellcheck disable=SC2034 # read by nest()
REQUIRE='bait:baits:bait.skip
bait:baits:bait.other
bait:baits:bait.conditional if !file:/
bait:bait_order.sh'
nest baits bait_exit2.sh bait_syntax.sh bait_truncated.sh bait_no_plan.sh \
	bait_order.sh bait_not_ok.sh bait_exit1.sh bait_bail.sh bait_gone.sh \
	bait_daemon.sh
nested --no-load
status=$?
expect_red failing_test bait:baits:bait.fail ''
expect_red failing_child bait:baits:bait.child ''
expect_red crashing_test bait:baits:bait.crash ''
expect_red inner_exit_2 bait:baits:bait.exit2 'unexpected XFAIL'
expect_red hung_test bait:baits:bait.hang ''
expect_red required_skip bait:baits:bait.skip 'required, but skipped'
expect_red required_absent bait:baits:bait.other 'required, but did not run'
expect_red exit_2 bait:bait_exit2.sh:exit XFAIL
expect_red syntax_error bait:bait_syntax.sh:exit XFAIL
expect_red truncated bait:bait_truncated.sh:ktap 'plan says 3, output has 2'
expect_red no_plan bait:bait_no_plan.sh:ktap 'no plan'
expect_red out_of_order bait:bait_order.sh:ktap 'has number 3'
expect_red hidden_failure bait:bait_not_ok.sh:two ''
expect_red hidden_failure_status bait:bait_not_ok.sh:exit 'but the program did not'
expect_red hidden_status bait:bait_exit1.sh:exit EXIT=1
expect_red bail_out bait:bait_bail.sh:ktap 'had enough'
expect_red no_program bait:bait_gone.sh:exit ''
expect_red no_program_output bait:bait_gone.sh:ktap 'no plan'
expect_red left_process bait:bait_daemon.sh:process 'left 1'
ktap_test_result nothing_else nothing_else 19

# What is required where there are devices is so when they have gone with the modules.
# shellcheck disable=SC2034 # read by nest()
REQUIRE='bait:baits:bait.[!p]* if private'
if grep -q '^CONFIG_DEVICE_PRIVATE=y' "/boot/config-$(uname -r)"; then
	BAIT='-t pass' nest baits
	nested
	status=$?
	expect_red required_of_devices 'bait:baits:bait.[!p]*' 'required, but did not run'
else
	ktap_test_skip 'required_of_devices # SKIP no device with private memory'
fi

# What does not end by itself: polite requests reach the first program but not
# the test it waits for, and the second does not listen.
unset REQUIRE
BAIT='-t hang' LIMIT=1 nest baits bait_deaf.sh
nested --no-load --grace 1
status=$?
expect_red hung_program bait:baits:process 'did not end in time'
expect_red hung_program_output bait:baits:ktap ''
expect_red deaf_program bait:bait_deaf.sh:process 'did not end in time'
expect_red deaf_program_output bait:bait_deaf.sh:ktap ''

ktap_finished
