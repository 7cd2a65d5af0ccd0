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

# expect_red <title> <program> <result> <reason> [<runner option>...]
expect_red()
{
	title=$1 program=$2 result=$3 reason=$4
	shift 4
	nest "$program"
	nested --no-load "$@"
	if red $? "$result" "$reason"; then
		ktap_test_pass "$title"
	else
		ktap_test_fail "$title"
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

bait() { BAIT="-t $2" expect_red "$1" baits "$3" "$4"; }

ktap_print_header
ktap_set_plan 22

ktap_test_result green_when_good green
bait failing_test fail bait:baits:bait.fail ''
bait failing_child child bait:baits:bait.child ''
bait crashing_test crash bait:baits:bait.crash ''
bait inner_exit_2 exit2 bait:baits:bait.exit2 'unexpected XFAIL'
expect_red exit_2 bait_exit2.sh bait:bait_exit2.sh:exit XFAIL
expect_red syntax_error bait_syntax.sh bait:bait_syntax.sh:exit XFAIL
REQUIRE='bait:baits:*' bait required_skip skip bait:baits:bait.skip \
	'required, but skipped'
REQUIRE='bait:baits:bait.other' bait required_absent pass \
	bait:baits:bait.other 'required, but did not run'
REQUIRE='bait:baits:bait.other if !file:/' bait condition_false fail \
	bait:baits:bait.fail ''
expect_red truncated bait_truncated.sh bait:bait_truncated.sh:ktap \
	'plan says 3, output has 2'
expect_red no_plan bait_no_plan.sh bait:bait_no_plan.sh:ktap 'no plan'
expect_red out_of_order bait_order.sh bait:bait_order.sh:ktap 'has number 3'
expect_red hidden_failure bait_not_ok.sh bait:bait_not_ok.sh:two ''
expect_red hidden_status bait_exit1.sh bait:bait_exit1.sh:exit EXIT=1
expect_red bail_out bait_bail.sh bait:bait_bail.sh:ktap 'had enough'
expect_red no_program bait_gone.sh bait:bait_gone.sh:exit ''
expect_red left_process bait_daemon.sh bait:bait_daemon.sh:process 'left 1'
# Polite requests reach the program but not the test it waits for.
BAIT='-t hang' LIMIT=2 expect_red hung_program baits bait:baits:process \
	'did not end in time' --grace 2
LIMIT=2 expect_red deaf_program bait_deaf.sh bait:bait_deaf.sh:process \
	'did not end in time' --grace 2
bait hung_test hang bait:baits:bait.hang ''
ktap_test_result missing_module no_module

ktap_finished
