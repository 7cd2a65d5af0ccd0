#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# hmmx itself: it notices one changed byte, a page too many, a warning, and a driver
# that is wrong, replays what it logged, shrinks a log that fails to what matters,
# sums up what it did, and refuses what is not a log.

cd "$(dirname "$0")" || exit 4
# shellcheck disable=SC1091
. ../kselftest/ktap_helpers.sh

work=$(mktemp -d)
check()
{
	if "$@"; then
		ktap_test_pass "$1"
	else
		ktap_test_fail "$1"
		sed 's/^/# /' "$work/out"
	fi
}

hmmx() { ./hmmx "$@" 2>"$work/out"; }

same_log()
{
	hmmx --seed 7 --threads 1 --ops 256 --log "$work/a" &&
	hmmx --seed 7 --threads 1 --ops 256 --log "$work/b" &&
	[ "$(wc -l <"$work/a")" -gt 256 ] && cmp "$work/a" "$work/b"
}

replays() { hmmx --replay "$work/a"; }

# A bit flipped in the middle of the log, in a page just written.
plant()
{
	awk 'NR == 150 { print "0 map 0 40 8 0"; print "0 store 0 40 8 0"
			 print "0 plant 0 43 1 123"; print "0 load 0 40 8 0" }
	     { print }' "$work/a" >"$work/c"
}

notices()
{
	plant
	hmmx --replay "$work/c"
	[ $? -eq 1 ] && grep -q 'page 43 byte 291: ' "$work/out"
}

shrinks()
{
	hmmx --shrink "$work/c" --time 20 >"$work/said" || return 1
	sed 's/^/# /' "$work/said"
	# A mapping, the bit, and the head line.
	[ "$(wc -l <"$work/c.min")" -le 4 ] && grep -q plant "$work/c.min"
}

# A log of these operations.
log_of()
{
	local op

	echo 'hmmx 2 seed 1 threads 1 small 1 swap 0 limit 0'
	for op; do echo "0 $op"; done
}

# Held pages are given back as they were; a bit flipped meanwhile is seen in them.
notices_held()
{
	local before=('map 0 40 8 0' 'store 0 40 8 0' 'pin 0 40 8 2')
	local after=('dontneed 0 42 2 0' 'unpin 0 0 1 2')

	log_of "${before[@]}" 'fork 0 0 1 5' 'to_dev 0 32 32 0' "${after[@]}" >"$work/f"
	log_of "${before[@]}" 'plant 0 43 1 123' "${after[@]}" >"$work/g"
	hmmx --replay "$work/f" || return 1
	hmmx --replay "$work/g"
	[ $? -eq 1 ] && grep -q 'held page has changed: area 0 page 43 byte 291: ' "$work/out"
}

# Where the kernel log is an empty file, so that only this run sees what is written to it.
other_log()
{
	: >"$work/kmsg"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount sh -c 'mount --bind "$1" /dev/kmsg && shift && exec ./hmmx "$@"' \
		sh "$work/kmsg" "$@" 2>"$work/out"
}

notices_log()
{
	log_of 'map 0 40 8 0' >"$work/f"
	log_of 'map 0 40 8 0' 'plant_log 0 0 1 0' >"$work/g"
	other_log --replay "$work/f" || return 1
	other_log --replay "$work/g"
	[ $? -eq 1 ] && grep -q 'FAILED: the kernel: .*WARNING: planted' "$work/out"
}

# On the device, and in no area.
page_of_nobody()
{
	log_of 'map 0 40 8 0' 'to_dev 0 40 8 0' >"$work/f"
	log_of 'map 0 40 8 0' 'to_dev 0 40 8 0' 'plant_page 0 0 1 0' >"$work/g"
	hmmx --replay "$work/f" || return 1
	hmmx --replay "$work/g"
	[ $? -eq 1 ] &&
		grep -q 'device 0: 9 pages resident, 8 mapped, 0 unseen' "$work/out"
}

load()
{
	rmmod hmm_dmirror || return
	# shellcheck disable=SC2086 # a list of parameters
	insmod "$modules/hmm_dmirror.ko" ${DMIRROR_PARAMS:-} "$@"
}

# A driver that is wrong: the same run is good with the sabotage off, and afterwards.
wrong_driver()
{
	local run=(--seed 7 --threads 1 --ops 512 --small) status=0

	load inject=2 && hmmx "${run[@]}" && load inject=2 "inject_arm=$1" &&
		{ hmmx "${run[@]}"; status=$?; }
	load && [ $status -eq 1 ] && grep "$2" "$work/out" | sed 's/^/# /' &&
		grep -q "$2" "$work/out"
}

driver_leaks()
{
	wrong_driver leak_page:nth=1 'device [01]: [0-9]* pages resident, [0-9]* mapped'
}

driver_copies_nothing()
{
	wrong_driver skip_copy:nth=1,every=1 'FAILED: thread 0, operation '
}

# Every number of the summary, from the log and from what was said.
summary()
{
	hmmx --seed 7 --threads 2 --ops 256 --small --log "$work/f" --json "$work/json" &&
	perl - "$work/json" "$work/f" "$work/out" <<-'END' || return 1
		use strict;
		use warnings;
		use JSON::PP;

		my ($json, $log, $out) = map { local (@ARGV, $/) = $_; <> } @ARGV;
		my $got = decode_json($json);
		my @said = $out =~ /^hmmx: seed 7: (\d+) s, (\d+) operations, (\d+) MiB/m;
		my ($ops, $ms, %n) = (0, 0);

		sub same {
			my ($what, $is, $want) = @_;
			die "# $what: $is, not $want\n" if $is ne $want;
		}

		$n{$1}++ while $log =~ /^\d+ (\w+) \d/mg;
		for my $kind (keys %{$got->{kinds}}) {
			same($kind, $got->{kinds}{$kind}{n}, $n{$kind} // 0);
			$ops += delete $n{$kind} // 0;
			$ms += $got->{kinds}{$kind}{ms};
		}
		same('kinds that are not there', join(' ', keys %n), '');
		same('names', join(' ', sort keys %$got),
		     'bytes_compared kinds operations seconds seed threads verdict');
		same('seed', $got->{seed}, 7);
		same('threads', $got->{threads}, 2);
		same('verdict', $got->{verdict}, 'passed');
		same('operations', $got->{operations}, $ops);
		same('operations it told of', $said[1], $ops);
		same('MiB', $got->{bytes_compared} >> 20, $said[2]);
		same('seconds', abs($got->{seconds} - $said[0]) <= 1, 1);
		same('time of all kinds', $ms > 0 && $ms < 2000 * $got->{seconds} + 1000, 1);
	END
	hmmx --replay "$work/c" --json "$work/json"
	perl -MJSON::PP -0 -ne 'exit(decode_json($_)->{verdict} ne "failed")' "$work/json"
}

# A log of several threads under pressure is replayed and shrunk under the same.
under_the_same()
{
	local head='hmmx 2 seed 7 threads 2 small 1 swap 64 limit 48'

	hmmx --seed 7 --threads 2 --ops 8 --small --swap 64 --limit 48 \
		--log "$work/d" &&
	[ "$(head -n 1 "$work/d")" = "$head" ] || return 1
	printf '%s\n' "$head" '0 map 0 40 8 0' '0 plant 0 43 1 123' >"$work/e"
	hmmx --replay "$work/e" && return 1
	grep -q '^hmmx: seed 7, 2 threads, small pages, 64 MiB of swap, 48 MiB of memory$' \
		"$work/out" || return 1
	hmmx --shrink "$work/e" --time 20 >"$work/said" || return 1
	sed 's/^/# /' "$work/said"
	[ "$(head -n 1 "$work/e.min")" = "$head" ] && grep -q plant "$work/e.min"
}

# However a run ends, swap and group go with it.
leaves_nothing()
{
	timeout 4 ./hmmx --seed 7 --time 60 --small --swap 64 --limit 48 2>"$work/out"
	[ $? -eq 124 ] && grep -q 'FAILED: ended by signal 9' "$work/out" || return 1
	! grep zram /proc/swaps && ! ls -d /sys/fs/cgroup/hmmx*
}

refuses()
{
	local status

	echo "hmmx 2 seed 1 threads 1 small 0 swap 0 limit 0" >"$work/bad"
	echo "0 map 9 0 8 0" >>"$work/bad"
	echo "0 map 0 0 8 0" >>"$work/bad"
	sed 's/swap 0/swap 99999999/;2d' "$work/bad" >"$work/huge"
	hmmx --replay "$work/huge"
	[ $? -eq 2 ] || return 1
	hmmx --replay "$work/bad"
	status=$?
	hmmx --shrink "$work/a" --time 20
	[ "$status/$?" = 2/2 ] && ! hmmx --threads 99 && ! hmmx --time x
}

ktap_print_header
ktap_set_plan 13
check same_log
check replays
check notices
check notices_held
check notices_log
check shrinks
check summary
if [ -e /sys/class/zram-control ] || modprobe zram num_devices=0; then
	check under_the_same
	check leaves_nothing
else
	ktap_test_skip 'under_the_same # SKIP no zram'
	ktap_test_skip 'leaves_nothing # SKIP no zram'
fi
check refuses
modules=${DMIRROR_MODULES:-/share/modules}
if [ "${DMIRROR_TARGET:-hmm_dmirror}" = hmm_dmirror ] && [ -e "$modules/hmm_dmirror.ko" ]; then
	check page_of_nobody
	check driver_leaks
	check driver_copies_nothing
else
	for name in page_of_nobody driver_leaks driver_copies_nothing; do
		ktap_test_skip "$name (another module)"
	done
fi
rm -rf "$work"
ktap_finished
