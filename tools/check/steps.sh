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
	step_count "$name" "$p" "$f" "$s" $((SECONDS - begin))
}

# step_count NAME PASSED FAILED SKIPPED SECONDS
step_count()
{
	steps_passed=$((steps_passed + $2)) steps_failed=$((steps_failed + $3))
	steps_skipped=$((steps_skipped + $4))
	steps_rows+=("$(printf '%-14s %6d passed %4d failed %4d skipped %6d s' "$@")")
}

# step_once FILE NAME COMMAND...: a step that is only counted if it has passed before,
# as FILE, unless empty, says then.
step_once()
{
	local file=$1 name=$2 passed=$steps_passed failed=$steps_failed
	local skipped=$steps_skipped begin=$SECONDS row

	shift
	if [ -s "$file" ]; then
		printf '\n=== %s: has passed already\n' "$name"
		read -r -a row <"$file"
		step_count "$name" "${row[@]}"
		return
	fi
	step "$@"
	if [ -n "$file" ] && [ "$steps_failed" -eq "$failed" ]; then
		echo $((steps_passed - passed)) 0 $((steps_skipped - skipped)) \
			$((SECONDS - begin)) >"$file"
	fi
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
