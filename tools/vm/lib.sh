# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Shared by the scripts of tools/vm: where the cache lives, which root and
# which kernel are used, messages. Sourced, never run.

VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # used by those who source this
TOP=$(cd "$VM_DIR/../.." && pwd)
CACHE=${HMM_DMIRROR_CACHE:-$HOME/.cache/hmm-dmirror}
ROOT=$CACHE/root
ME=${0##*/}

# The root's QEMU, run on this machine with the root's libraries: before 8.1, which
# Debian 12 still has, an emulated processor could run code that another one had
# already patched, and the kernel, which patches itself all the time, dies of it.
LIBS=$ROOT/usr/lib/x86_64-linux-gnu
# shellcheck disable=SC2034
QEMU=(env "QEMU_MODULE_DIR=$LIBS/qemu" "$LIBS/ld-linux-x86-64.so.2" --library-path "$LIBS"
	"$ROOT/usr/bin/qemu-system-x86_64" -L "$ROOT/usr/share/qemu" -L "$ROOT/usr/share/seabios")

# ld.so and env(1) have uses for these characters.
case $CACHE in
*[=:\;]*) echo "${0##*/}: no '=', ':' or ';' in the path of the cache: $CACHE" >&2; exit 1 ;;
esac

say() { printf '%s: %s\n' "$ME" "$*" >&2; }
die() { say "$*"; exit 1; }

# For kbuild with the headers of another suite: the compiler is the root's, which
# may be older and not know all that the headers say.
# shellcheck disable=SC2034
FETCHED_VARS=(CC=gcc KCFLAGS=-Wno-attributes CONFIG_DEBUG_INFO_BTF_MODULES=)

# Chroots, bind mounts and a guest whose files belong to root need root here.
# need_root COMMAND...: what the user should have typed.
need_root()
{
	local keep=''

	[ "$(id -u)" -eq 0 ] && return
	[ -z "${HMM_DMIRROR_CACHE:-}" ] || keep="HMM_DMIRROR_CACHE=$HMM_DMIRROR_CACHE "
	say "this needs root. Run it as root, or type:"
	printf '  sudo %s%s\n' "$keep" "$*" >&2
	exit 1
}

# Anything that uses the root makes it first, so every command stands alone.
need_vm_root()
{
	"$VM_DIR/setup" || exit 1
}

# The newest kernel release which is installed in the root.
guest_release()
{
	local path

	path=$(printf '%s\n' "$ROOT"/boot/vmlinuz-* | sort -V | tail -n 1)
	[ -f "$path" ] || die "no kernel in $ROOT/boot"
	printf '%s\n' "${path##*/vmlinuz-}"
}

# The line of kernels/list about one kernel, and the names of all.
kernel_entry() { awk -v name="$1" '!/^#/ && $1 == name' "$VM_DIR/kernels/list"; }
kernel_names() { awk '!/^#/ && NF { printf "%s ", $1 }' "$VM_DIR/kernels/list"; }

# with_lock NAME COMMAND...: one at a time for each NAME in this cache.
with_lock()
{
	local lock=$CACHE/.lock-$1

	shift
	mkdir -p "$CACHE"
	(
		flock 9
		"$@"
	) 9>"$lock"
}
