#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Eight processes of device jobs on four times the memory of the devices, for a
# moment; CROWD_SECONDS for how long.

cd "$(dirname "$0")" || exit 4
# shellcheck disable=SC1091
. ../kselftest/ktap_helpers.sh

ktap_print_header
ktap_set_plan 1
if [ ! -e /dev/dri ]; then
	ktap_test_skip "jobs # SKIP no render node"
elif rmmod hmm_dmirror && insmod "${DMIRROR_MODULES:-/share/modules}/hmm_dmirror.ko" vram_mb=8 &&
     ./crowd --procs 8 --mib 8 --time "${CROWD_SECONDS:-10}" 2>&1; then
	ktap_test_pass jobs
else
	ktap_test_fail jobs
fi
ktap_finished
