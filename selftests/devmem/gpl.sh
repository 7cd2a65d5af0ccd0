#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Licence gates and thinness, seen from outside: what hmm_devmem.ko exports and
# to whom, what it imports, that the kernel's two gates (linking and loading)
# hold for a module that is not GPL, and that the example in the documentation
# loads.

cd "$(dirname "$0")" || exit 4
# shellcheck disable=SC1091
. ../kselftest/ktap_helpers.sh

modules=${DMIRROR_MODULES:-/share/modules}
kdir=${KDIR:-/lib/modules/$(uname -r)/build}
work=$(mktemp -d)
had_devmem=$(test -d /sys/module/hmm_devmem && echo y)
trap 'rm -rf "$work"; rmmod devmem_test hmm_example 2>/dev/null;
      [ -n "$had_devmem" ] || rmmod hmm_devmem 2>/dev/null' EXIT

[ -n "$had_devmem" ] || insmod "$modules/hmm_devmem.ko" || exit 1

undefined() { nm -u "$1" | awk '{ print $2 }' | sort -u; }

# Every symbol we export, GPL only, and nothing but the hmm_devmem family.
exports()
{
	local want="hmm_devmem_add hmm_devmem_add_resource hmm_devmem_from_page
		hmm_devmem_in_use hmm_devmem_page_get hmm_devmem_page_put
		hmm_devmem_remove hmm_vma_alloc_locked_page"
	local have

	have=$(awk '$3 ~ /hmm_devmem$/ { print $2 }' Module.symvers | sort)
	[ "$have" = "$(tr -s ' \t\n' '\n' <<<"$want" | sort)" ] || {
		echo "# exports: $have"
		return 1
	}
	! awk '$3 ~ /hmm_devmem$/ && $4 != "EXPORT_SYMBOL_GPL"' Module.symvers |
		grep .
}

licences()
{
	local ko

	for ko in "$modules"/hmm_*.ko devmem_test.ko hmm_example.ko; do
		case $(modinfo -F license "$ko") in
		GPL | "GPL v2") ;;
		*) echo "# $ko: $(modinfo -F license "$ko")"; return 1 ;;
		esac
	done
}

# What only GPL modules may use, and that ours do not pretend otherwise.
gpl_only_imports()
{
	local symvers=$kdir/Module.symvers ko used

	[ -r "$symvers" ] || return 4
	for ko in "$modules"/hmm_devmem.ko "$modules"/hmm_dmirror.ko; do
		[ -e "$ko" ] || continue
		used=$(awk '$4 == "EXPORT_SYMBOL_GPL" { print $2 }' "$symvers" |
		       sort | comm -12 - <(undefined "$ko"))
		[ -n "$used" ] || return 1
		echo "# ${ko##*/} uses, GPL only: ${used//$'\n'/ }"
	done
	undefined "$modules/hmm_devmem.ko" | grep -qx memremap_pages
}

# Nothing below memremap_pages(), nothing found by name at run time.
thin()
{
	! undefined "$modules/hmm_devmem.ko" |
		grep -Ex '(__)?add_pages|arch_add_memory|percpu_ref_(init|kill.*|exit)|kallsyms_.*|register_kprobe|walk_page_.*|alloc_pages.*'
}

# No policy of ours reaches beyond our own devices: nothing hooks into reclaim,
# the out-of-memory killer, memory hotplug or the system's settings.
no_policy()
{
	local ko

	for ko in "$modules"/hmm_devmem.ko "$modules"/hmm_dmirror.ko; do
		[ -e "$ko" ] || continue
		! undefined "$ko" |
			grep -Ex '(un)?register_(shrinker|sysctl|oom_notifier|memory_notifier|vmap_purge_notifier).*|shrinker_(alloc|register)|__register_sysctl.*|set_mempolicy.*' ||
			return 1
	done
}

# gate OBJECT: the last step of building a module that uses our symbols
gate()
{
	local modpost=$kdir/scripts/mod/modpost

	cp "$1.o" "$work/"
	"$modpost" -o "$work/out" -e -i "$kdir/Module.symvers" \
		-i Module.symvers "$work/$1.o" >"$work/log" 2>&1
}

modpost_accepts_gpl()
{
	[ -x "$kdir/scripts/mod/modpost" ] || return 4
	gate gate_gpl || { sed 's/^/# /' "$work/log"; return 1; }
}

modpost_refuses()
{
	local message="GPL-incompatible module .*uses GPL-only symbol '?hmm_devmem_remove"

	[ -x "$kdir/scripts/mod/modpost" ] || return 4
	if ! gate gate_proprietary && grep -Eq "$message" "$work/log"; then
		return 0
	fi
	sed 's/^/# /' "$work/log"
	return 1
}

# A module that lies about nothing but its licence. Loading it switches lock
# debugging off for good, so a kernel that has it is spared.
loader_refuses()
{
	[ ! -e /proc/lockdep ] || return 4
	sed 's/license=GPL\x00/license=BSD\x00/' devmem_test.ko >"$work/bsd.ko"
	[ "$(modinfo -F license "$work/bsd.ko")" = BSD ] || return 1
	dmesg -C
	! insmod "$work/bsd.ko" 2>/dev/null || return 1
	dmesg | grep -q 'Unknown symbol hmm_devmem_add (err -2)' || return 1
	insmod devmem_test.ko && rmmod devmem_test
}

example_loads()
{
	[ "$(grep -c 'hmm_example' /proc/iomem)" = 0 ] || return 1
	insmod hmm_example.ko || return 1
	if grep -q '^CONFIG_DEVICE_PRIVATE=y' "/boot/config-$(uname -r)"; then
		grep -q 'hmm_example' /proc/iomem || return 1
	fi
	rmmod hmm_example && ! grep -q 'hmm_example' /proc/iomem
}

tests="exports licences gpl_only_imports thin no_policy modpost_accepts_gpl
	modpost_refuses loader_refuses example_loads"

ktap_print_header
ktap_set_plan "$(wc -w <<<"$tests")"
for t in $tests; do
	"$t"
	case $? in
	0) ktap_test_pass "$t" ;;
	4) ktap_test_skip "$t" ;;
	*) ktap_test_fail "$t" ;;
	esac
done
ktap_finished
