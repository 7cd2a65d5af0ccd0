# SPDX-License-Identifier: GPL-2.0
#
# A tree with one misbehaving test in it, and a runner on top; sourced by
# runner.sh and in_guest.sh, with the working directory in the installed
# collection.

# nest <program>: a tree in $NEST whose collection "bait" has this one program.
# A harness program is given the tests to run in BAIT, as its arguments.
nest()
{
	rm -rf "$NEST"
	mkdir -p "$NEST/bait"
	cp -r ../run ../run_kselftest.sh ../kselftest ../runlib "$NEST/"
	[ ! -e "$1" ] || cp "$1" "$NEST/bait/"
	[ ! -e splat.ko ] || cp splat.ko "$NEST/bait/"
	echo "bait:$1" > "$NEST/kselftest-list.txt"
	echo "timeout=${LIMIT:-60}" > "$NEST/bait/settings"
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

# red <result> <reason>: the last run must have failed, and exactly this result
# must be among the failures, for this reason (a fixed string).
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
