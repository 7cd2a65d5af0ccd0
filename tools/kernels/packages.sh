# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Fetch the kernel packages of one Debian suite without installing them. Sourced
# by headers and image; $suite and $what (the directory of the cache, also the
# word in messages) are theirs.
#
# Versions are found through the metapackages.

# shellcheck source-path=SCRIPTDIR source=apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"
# shellcheck disable=SC2154 # whoever sources this sets them
dest=$cache/$what/$suite

# linux_closure PACKAGE KINDS: PACKAGE and what it depends on, as far as it is one
# of the linux-KIND-* packages. Compiler, C library and whatever else an
# installation wants come from the root that does the building.
linux_closure()
{
	local queue=("$1") seen=" " pkg dep

	while [ ${#queue[@]} -gt 0 ]; do
		pkg=${queue[0]}
		queue=("${queue[@]:1}")
		case $seen in *" $pkg "*) continue ;; esac
		seen+="$pkg "
		printf '%s\n' "$pkg"
		for dep in $(private_apt apt-cache show --no-all-versions "$pkg" |
			     sed -n 's/^Depends: //p' | tr ',' '\n' | tr '|' '\n' |
			     sed -n "s/^ *\(linux-\($2\)-[^ :]*\).*/\1/p"); do
			queue+=("$dep")
		done
	done
}

# Unpack packages into $dest/root; prepare(), the caller's, adapts the files.
unpack()
{
	local tmp=$dest.new deb

	rm -rf "$tmp"
	mkdir -p "$tmp/debs" "$tmp/root"
	say "fetching $*"
	(cd "$tmp/debs" && private_apt apt-get -qq download "$@" >&2) ||
		die "apt-get download failed"
	for deb in "$tmp"/debs/*.deb; do
		dpkg-deb -x "$deb" "$tmp/root"
	done
	prepare "$tmp/root"
	rm -rf "$tmp/debs" "$dest"
	mv "$tmp" "$dest"
	printf '%s\n' "$*" > "$dest/packages"
}

# fetch PACKAGE KINDS: up to date in $dest; exit status 3 when the mirror has none.
fetch()
{
	local packages want have

	mkdir -p "$cache/$what"
	open_suite
	if ! private_apt apt-cache show "$1" >/dev/null 2>&1; then
		say "the mirror has no $1"
		exit 3
	fi
	mapfile -t packages < <(linux_closure "$1" "$2")
	want=${packages[*]}
	have=$(cat "$dest/packages" 2>/dev/null) || have=
	[ "$want" = "$have" ] || unpack "${packages[@]}"
}
