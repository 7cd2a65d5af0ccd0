# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Shared by the checks that run in a guest: which kernel, what is staged into
# the directory the guest sees as /share, the gate on the kernel log. Sourced.

# shellcheck source-path=SCRIPTDIR source=../vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"

# Half a gigabyte taken from the memory map is the VRAM of the two coherent
# devices, 256 MiB each. In a guest of 6 GiB it lies above the PCI hole.
# shellcheck disable=SC2016,SC2034 # $ is the kernel's; used by those who source this
COHERENT_ARGS='memmap=512M$0x100000000'
# shellcheck disable=SC2034
COHERENT_PARAMS='spm_addr_dev0=0x100000000 spm_addr_dev1=0x110000000'

# Modules of a kernel build tree, in the layout a guest mounts.
install_modules()
{
	local tree=$1 release=$2 key dest

	key=$(printf '%s' "$tree" | sha256sum | cut -c 1-8)
	dest=$CACHE/kernels/$key
	modules=$dest/lib/modules/$release
	[ "$modules/modules.dep" -nt "$kernel" ] && return
	say "installing the modules of $release"
	rm -rf "$dest"
	mkdir -p "$dest"
	"$TOP/tools/modules/kbuild" "$1" -s INSTALL_MOD_PATH="$dest" \
		INSTALL_MOD_STRIP=1 modules_install >&2 || exit 1
	rm -f "$modules/build" "$modules/source"
	touch "$modules/modules.dep"
}

# The kernel of a Debian suite, fetched as packages.
select_suite()
{
	local found dir

	found=$("$TOP/tools/kernels/image" "$1") || exit 1
	release=${found%% *}
	dir=${found#* }
	kernel=$dir/boot/vmlinuz-$release
	modules=$dir/lib/modules/$release
	config=$dir/boot/config-$release
	found=$("$TOP/tools/kernels/headers" "$1") || exit 1
	kdir=${found#* }
	guest_kernel=(--kernel "$kernel" --modules "$modules")
	binds=(--bind "$CACHE/headers:$CACHE/headers")
	vars=("${FETCHED_VARS[@]}")
	say "testing on Linux $release of $1"
}

# One of tools/vm/kernels/list, built if it is not there yet.
select_built_kernel()
{
	local dest args

	dest=$("$VM_DIR/kernel" "$1") || exit 1
	read -r _ _ _ scale args <<<"$(kernel_entry "$1")"
	kdir=$dest/build
	ksrc=$(cat "$dest/source")
	kernel=$kdir/arch/x86/boot/bzImage
	config=$kdir/.config
	release=$(cat "$kdir/include/config/kernel.release")
	modules=$dest/install/lib/modules/$release
	# The firmware of this machine has no loop to interpret at every boot, which
	# takes a kernel with all debugging half a minute for each device.
	guest_kernel=(--machine q35 --kernel "$kernel" --modules "$modules" --append "$args")
	binds=(--bind "$CACHE/kernels:$CACHE/kernels")
}

# Sets kernel, modules, kdir, ksrc (its source, as the build root sees it), config,
# release, scale (the factor on time-outs of tests), guest_kernel (arguments for the
# guest), binds (for the build root to see all that) and vars (for make) from KERNEL:
# nothing, a release in the guest root, the name of one of tools/vm/kernels/list, of
# a Debian suite, or a build tree.
# shellcheck disable=SC2034
select_kernel()
{
	local tree=${KERNEL:-}

	guest_kernel=() binds=() vars=()
	ksrc=/usr/src/ksrc
	scale=4
	if [ -n "$(kernel_entry "$tree")" ]; then
		select_built_kernel "$tree"
		return
	fi
	if [ -z "$tree" ] || [ -f "$ROOT/boot/vmlinuz-$tree" ]; then
		release=${tree:-$(guest_release)}
		kdir=/lib/modules/$release/build
		kernel=$ROOT/boot/vmlinuz-$release
		modules=$ROOT/lib/modules/$release
		config=$ROOT/boot/config-$release
		[ -z "$tree" ] || guest_kernel=(--kernel "$kernel" --modules "$modules")
		return
	fi
	if [[ $tree =~ ^[a-z]+(-[a-z]+)?$ ]] && [ ! -d "$tree" ]; then
		select_suite "$tree"
		return
	fi
	kdir=$tree
	[ -d "$tree" ] || tree=$ROOT$tree
	kernel=$tree/arch/x86/boot/bzImage
	config=$tree/.config
	[ -f "$kernel" ] || die "KERNEL=$KERNEL is neither one of $(kernel_names)nor a Debian suite nor a release in the guest root nor a built tree"
	release=$(cat "$tree/include/config/kernel.release")
	install_modules "$kdir" "$release"
	[ ! -d "$kdir" ] || binds=(--bind "$kdir:$kdir")
	guest_kernel=(--kernel "$kernel" --modules "$modules")
}

# stage DIRECTORY: an empty share holding the modules and the kernel's config.
stage()
{
	rm -rf "$1"
	mkdir -p "$1/modules" "$1/results"
	KDIR=$kdir "$TOP/tools/modules/build" || exit 1
	# What debuggers and BPF want of them stays here: they are loaded many times.
	# shellcheck disable=SC2016 # expanded by the inner shell
	"$VM_DIR/chroot" --bind "$1:/mnt" -- sh -c '
		for ko in driver/*.ko; do
			strip --strip-debug -R .BTF -R .BTF.base -o "/mnt/modules/${ko##*/}" "$ko" || exit 1
		done' || exit 1
	cp "$config" "$1/config"
	cp "$TOP/tools/modules/insert" "$1/"
}

# What a healthy kernel never says (splats), and the false alarms among it (known),
# as the test runner has them.
log_marks()
{
	sed -n 's/^"\(.*\)",$/\1/p' "$TOP/selftests/lib/$1.inc" | grep . ||
		die "selftests/lib/$1.inc lists nothing"
}

# log_is_clean FILE: shows the first complaints otherwise. The kernel's own data
# races say nothing about these modules.
log_is_clean()
{
	local found

	found=$(grep -F -e "$(log_marks splats)" "$1" | grep -vF -e "$(log_marks known)" |
		awk '!/KCSAN: data-race/ || /\[hmm_/')
	[ -n "$found" ] || return 0
	printf '%s\n' "$found" | head -n 10
	return 1
}
