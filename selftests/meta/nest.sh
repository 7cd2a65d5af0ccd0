# SPDX-License-Identifier: GPL-2.0
#
# A tree with one misbehaving test in it, and a runner on top; sourced by
# runner.sh and in_guest.sh, with the working directory in the installed
# collection.

# nest <program>...: a tree in $NEST whose collection "bait" has these programs.
# The harness program is given BAIT as its arguments; LIMIT is the time a
# program may take, REQUIRE the list of tests that must run.
nest()
{
	[ -x "$NEST/run" ] ||
		cp -r ../run ../kselftest ../runlib "$NEST/"
	rm -rf "$NEST/bait" "$NEST/results"
	mkdir -p "$NEST/bait"
	: > "$NEST/kselftest-list.txt"
	for program; do
		[ ! -e "$program" ] || cp "$program" "$NEST/bait/"
		echo "bait:$program" >> "$NEST/kselftest-list.txt"
	done
	[ ! -e splat.ko ] || cp splat.ko "$NEST/bait/"
	echo "timeout=${LIMIT:-300}" > "$NEST/bait/settings"
	: > "$NEST/required"
	[ -z "${REQUIRE:-}" ] || echo "$REQUIRE" > "$NEST/bait/required"
	KSELFTEST_BAITS_ARGS=${BAIT:-}
	export KSELFTEST_BAITS_ARGS
}

# nested [<option>...]: run the tree, keep its output in $NEST/out.
nested()
{
	"$NEST/run" --results "$NEST/results" "$@" > "$NEST/out" 2>&1
}

# red <status> <result> <reason>: the last run ended with this status, not 0, and
# this result is among its failures, for this reason (a fixed string).
red()
{
	status=$1 name=$2 why=$3

	if [ "$status" -eq 0 ]; then
		echo "# the runner was content"
	elif ! grep -F "failed $name" "$NEST/results/results" | grep -qF "$why"; then
		echo "# no failure '$name' for '$why'"
	else
		return 0
	fi
	sed 's/^/# /' "$NEST/out"
	return 1
}
