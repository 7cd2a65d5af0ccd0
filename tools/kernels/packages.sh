# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Fetch the kernel packages of one Debian suite without installing them. Sourced
# by headers and image; $suite and $what (the directory of the cache, also the
# word in messages) are theirs.
#
# apt does the fetching and the verifying, with a state directory of its own in
# the cache: the sources and the package lists of the machine are only read.
# Versions are found through the metapackages.

cache=${HMM_DMIRROR_CACHE:-$HOME/.cache/hmm-dmirror}
# shellcheck disable=SC2154 # whoever sources this sets them
state=$cache/apt/$suite
# shellcheck disable=SC2154
dest=$cache/$what/$suite
arch=$(dpkg --print-architecture)
keyring=${HMM_DMIRROR_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

# Package lists older than this many minutes are fetched again.
max_age=${HMM_DMIRROR_LIST_AGE:-1440}

say() { printf '%s: %s: %s\n' "$what" "$suite" "$*" >&2; }
die() { say "$*"; exit 1; }

# The Debian archive this machine already uses.
mirror()
{
	local uri=${HMM_DMIRROR_MIRROR:-}

	# shellcheck disable=SC2016	# apt expands it
	[ -n "$uri" ] ||
		uri=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null |
		      grep -E '^https?:.*/debian/?$' | sort -u | head -n 1) || true
	printf '%s\n' "$uri"
}

# apt with everything it writes below $state. The apt.conf of the machine still
# applies, because that is where a proxy is configured.
private_apt()
{
	local tool=$1

	shift
	"$tool" -o Dir::Etc::SourceList="$state/sources.list" \
		-o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null \
		-o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State="$state/state" \
		-o Dir::State::status="$state/status" \
		-o Dir::Cache="$state/cache" \
		-o APT::Sandbox::User=root \
		-o Acquire::Languages=none \
		-o Acquire::Retries=3 "$@"
}

update_lists()
{
	local uri

	uri=$(mirror)
	[ -n "$uri" ] ||
		die "no Debian archive among the apt sources: set HMM_DMIRROR_MIRROR to the URL of one"
	mkdir -p "$state/state/lists/partial" "$state/cache/archives/partial"
	: > "$state/status"
	printf 'deb [arch=%s signed-by=%s] %s %s main\n' \
		"$arch" "$keyring" "$uri" "$suite" > "$state/sources.list.new"
	if cmp -s "$state/sources.list.new" "$state/sources.list" &&
	   [ -n "$(find "$state/updated" -mmin "-$max_age" 2>/dev/null)" ]; then
		return
	fi
	mv "$state/sources.list.new" "$state/sources.list"
	say "fetching the package list"
	private_apt apt-get -qq update >&2 || die "apt-get update failed"
	touch "$state/updated"
}

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

	command -v apt-get >/dev/null || die "this needs apt"
	[ -f "$keyring" ] || die "this needs the package debian-archive-keyring"
	mkdir -p "$state" "$cache/$what"
	exec 9> "$state/lock"
	flock 9
	update_lists
	if ! private_apt apt-cache show "$1" >/dev/null 2>&1; then
		say "the mirror has no $1"
		exit 3
	fi
	mapfile -t packages < <(linux_closure "$1" "$2")
	want=${packages[*]}
	have=$(cat "$dest/packages" 2>/dev/null) || have=
	[ "$want" = "$have" ] || unpack "${packages[@]}"
}
