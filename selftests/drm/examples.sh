#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The programs of Documentation/uapi-drm.rst run and find what they say.

cd "$(dirname "$0")" || exit 4
# shellcheck disable=SC1091
. ../kselftest/ktap_helpers.sh

ktap_print_header
if [ ! -d /sys/module/drm ] || [ -z "$(ls -d /sys/class/drm/renderD* 2>/dev/null)" ]; then
	ktap_skip_all "no render nodes"
	exit "$KSFT_SKIP"
fi
ktap_set_plan "$(find . -name 'example_*' -perm -100 | wc -l)"
for program in ./example_*; do
	name=${program#./example_}
	# Device 0 answers to the name, so private memory; on a kernel without it
	# what needs that says so.
	if text=$("$program" 2>&1); then
		ktap_test_pass "$name"
	elif [[ $text == *"not supported"* ]]; then
		ktap_test_skip "$name"
	else
		printf '%s\n' "$text" | sed 's/^/# /'
		ktap_test_fail "$name"
	fi
done
ktap_finished
