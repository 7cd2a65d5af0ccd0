#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The driver is taken away while the exerciser and a crowd of device jobs are at
# it: unloading is refused and does not disturb; unbinding one device and unplugging
# the other ends in bounded time and leaves nothing; and then it can be unloaded.
# Prints KTAP.
#
# usage: fire.sh [--shutdown FILE]
# With --shutdown: shut the machine down in the middle of it all, and create FILE
# right before. See check-guest.

cd "$(dirname "$0")" || exit 4
# shellcheck disable=SC1091
. ../kselftest/ktap_helpers.sh

scale=${DMIRROR_TIMEOUT_SCALE:-4}
soon=$((5 * scale))
dir=${DMIRROR_MODULES:-/share/modules}
work=$(mktemp -d)
hmmx='' crowd=''

# stat_of COUNTER: sum over the two private devices
stat_of()
{
	cat /sys/kernel/debug/hmm_dmirror/[01]/stats 2>/dev/null |
		awk -v name="$1" '$1 == name || $1 == name ":" { n += $2 } END { print n + 0 }'
}

# Less memory than is in use, so that pages also leave all the time.
reload()
{
	! [ -d /sys/module/hmm_dmirror ] || rmmod hmm_dmirror || return 1
	# shellcheck disable=SC2086 # a list of parameters
	insmod "$dir/hmm_dmirror.ko" ${DMIRROR_PARAMS:-} vram_mb=8
}

# light SECONDS [CROWD]: the exerciser at work and pages on the device, with CROWD
# jobs as well. The exerciser's word counts only while it is alone: who else is there
# evicts its pages between two looks.
light()
{
	local i

	hmmx='' crowd=''
	../stress/hmmx --seed "${HMMX_SEED:-1}" --time "$1" --threads 2 2>"$work/hmmx" &
	hmmx=$!
	if [ $# -gt 1 ]; then
		../stress/crowd --procs 4 --mib 8 --time "$1" >"$work/crowd" 2>&1 &
		crowd=$!
	fi
	for ((i = 0; i < 25 * scale; i++)); do
		if [ "$(stat_of vram_resident_pages)" -gt 200 ] &&
		   { [ -z "$crowd" ] || [ "$(stat_of jobs_ok)" -gt 100 ]; }; then
			return 0
		fi
		sleep 0.2
	done
	echo "# no fire: $(stat_of vram_resident_pages) pages, $(stat_of jobs_ok) jobs"
	return 1
}

# gone PID...: they end by themselves, soon
gone()
{
	local end=$((SECONDS + soon)) pid

	for pid in "$@"; do
		while [ -d "/proc/$pid" ] && [ "$SECONDS" -lt "$end" ]; do
			sleep 0.1
			jobs >/dev/null
		done
		[ ! -d "/proc/$pid" ] || return 1
	done
}

unload_is_refused()
{
	local start=$SECONDS time=$((5 * scale)) i

	light "$time" || return 1
	if [ $((SECONDS - start)) -gt $((time * 3 / 4)) ]; then
		echo "# it took $((SECONDS - start)) s to light a fire of $time s"
		return 1
	fi
	for ((i = 0; i < 10 && SECONDS - start < time * 17 / 20; i++)); do
		if rmmod hmm_dmirror 2>/dev/null || rmmod hmm_devmem 2>/dev/null; then
			echo "# unloaded, after $((SECONDS - start)) s"
			return 1
		fi
		sleep 0.1
	done
	wait "$hmmx" && return 0
	sed 's/^/# /' "$work/hmmx"
	return 1
}

# Whoever works with a device that goes is told, and gives up.
going_ends_it()
{
	local start

	light $((30 * scale)) crowd || return 1
	start=$SECONDS
	echo hmm_dmirror.0 >/sys/bus/platform/drivers/hmm_dmirror/unbind || return 1
	echo 1 >/sys/kernel/debug/hmm_dmirror/unplug || return 1
	start=$((SECONDS - start))
	gone "$hmmx" "$crowd" || { echo '# they go on and on'; return 1; }
	[ "$start" -lt "$soon" ]
}

nobody_is_left()
{
	local exe

	for exe in /proc/[0-9]*/exe; do
		case $(readlink "$exe") in
		*/hmmx|*/crowd) return 1 ;;
		esac
	done
}

nothing_is_left()
{
	nobody_is_left && rmmod hmm_dmirror && rmmod hmm_devmem &&
		! grep -q hmm_d /proc/iomem && ! grep -q '^dmirror_' /proc/slabinfo
}

works_again()
{
	insmod "$dir/hmm_devmem.ko" && reload &&
		../stress/hmmx --seed 2 --time 2 --threads 1 2>"$work/hmmx"
}

check() { if "$@"; then ktap_test_pass "$1"; else ktap_test_fail "$1"; fi; }

if [ "${1:-}" = --shutdown ]; then
	reload && light $((150 * scale)) crowd || exit 3
	date >"$2"
	sync
	/run/guest/busybox reboot -f
	exit 3
fi

ktap_print_header
if [ "${DMIRROR_TARGET:-hmm_dmirror}" != hmm_dmirror ] || ! [ -e /dev/hmm_dmirror0 ] ||
   ! [ -e /dev/dri ]; then
	ktap_skip_all 'needs private devices of hmm_dmirror, and DRM'
	exit 4
fi
ktap_set_plan 5
check reload
check unload_is_refused
check going_ends_it
check nothing_is_left
check works_again
rm -rf "$work"
ktap_finished
