# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Runs of many checks, one after the other, and their counted lines in one table.
# Sourced, in the top directory.

steps_passed=0 steps_failed=0 steps_skipped=0
steps_rows=() steps_complaints=''
steps_started=$SECONDS

# step NAME COMMAND...: a step says how many passed in its last counted line; a
# step that says nothing counts as one.
step()
{
	local name=$1 log=build/step-$1.log begin=$SECONDS status counts p f s

	shift
	mkdir -p build
	printf '\n=== %s: %s\n' "$name" "$*"
	"$@" 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
	read -r p f s <<<"$(tr -dc '0-9 ' <<<"$counts")"
	if [ -z "$counts" ]; then
		p=$((status == 0)) f=0 s=0
	fi
	# Whatever went wrong has to be in the count.
	if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
		f=1
	fi
	if [ "$f" -ne 0 ]; then
		steps_complaints+=$(grep -aE '^(failed: |FAILED: |not ok |.*: \*\*\* )' "$log" |
			head -n 30 | sed "s/^/$name: /")$'\n'
	fi
	steps_passed=$((steps_passed + p)) steps_failed=$((steps_failed + f))
	steps_skipped=$((steps_skipped + s))
	steps_rows+=("$(printf '%-14s %6d passed %4d failed %4d skipped %6d s' \
		"$name" "$p" "$f" "$s" $((SECONDS - begin)))")
}

# What failed, the table, and all results counted, so that one who sees only the end
# knows where to look; the status is not 0 if any failed, or none passed.
steps_end()
{
	printf '\n%s' "$steps_complaints"
	printf '=== %d s\n' $((SECONDS - steps_started))
	printf '%s\n' "${steps_rows[@]}"
	echo "$steps_passed passed, $steps_failed failed, $steps_skipped skipped"
	[ "$steps_failed" -eq 0 ] && [ "$steps_passed" -gt 0 ]
}
