# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# apt for the packages of another Debian suite, with a state directory of its own
# in the cache: the sources and the package lists of the machine are only read.
# Sourced, with $suite set.

cache=${HMM_DMIRROR_CACHE:-$HOME/.cache/hmm-dmirror}
# shellcheck disable=SC2154 # set by those who source this
state=$cache/apt/$suite
arch=$(dpkg --print-architecture)
keyring=${HMM_DMIRROR_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

# Package lists older than this many minutes are fetched again.
max_age=${HMM_DMIRROR_LIST_AGE:-1440}

say() { printf '%s: %s: %s\n' "${0##*/}" "$suite" "$*" >&2; }
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

# Takes the lock of this suite until the script ends, and has the lists fetched.
open_suite()
{
	command -v apt-get >/dev/null || die "this needs apt"
	[ -f "$keyring" ] || die "this needs the package debian-archive-keyring"
	mkdir -p "$state"
	exec 9> "$state/lock"
	flock 9
	update_lists
}
