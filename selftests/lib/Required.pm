# SPDX-License-Identifier: GPL-2.0
#
# The list of tests that must run and pass, with conditions. Reads files and
# the state of the machine; changes nothing.
package Required;
use strict;
use warnings;

my (%holds, %config);

sub release {
	open(my $f, '<', '/proc/sys/kernel/osrelease') or die "no release: $!\n";
	chomp(my $release = <$f>);
	return $release;
}

sub kernel_at_least {
	my ($want) = @_;
	my ($a, $b) = split /\./, $want;
	my ($x, $y) = release() =~ /^(\d+)\.(\d+)/;

	return $x > $a || ($x == $a && $y >= ($b // 0));
}

sub config_has {
	my ($option) = @_;
	my $release = release();

	for my $path ("/boot/config-$release", "/lib/modules/$release/config",
		      "/lib/modules/$release/build/.config") {
		last if %config;
		open(my $f, '<', $path) or next;
		local $/;
		%config = map { $_ => 1 } <$f> =~ /^CONFIG_(\w+)=[ym]$/mg;
	}
	die "cannot find the configuration of kernel $release\n" if !%config;
	return exists $config{$option};
}

# The headers of the running kernel, with the tools that build modules.
sub has_headers {
	my $release = release();

	return -x "/lib/modules/$release/build/scripts/mod/modpost";
}

sub judge {
	my ($c, $target) = @_;

	return -e '/dev/hmm_dmirror2' if $c eq 'coherent';
	return -e '/dev/hmm_dmirror0' if $c eq 'private';
	return $target eq $1 if $c =~ /^target=(.+)$/;
	return kernel_at_least($1) if $c =~ /^kernel>=(\d+(?:\.\d+)?)$/;
	return config_has($1) if $c =~ /^config:(\w+)$/;
	return -e $1 if $c =~ /^file:(.+)$/;
	return has_headers() if $c eq 'headers';
	return system("modinfo -n '$1' >/dev/null 2>&1") == 0
		if $c =~ /^module:([\w-]+)$/;
	die "unknown condition '$c'\n";
}

# Each condition is looked at once: there are many of few kinds.
sub holds {
	my ($c, $target) = @_;

	return !holds($1, $target) if $c =~ /^!(.+)$/;
	$holds{$c} //= judge($c, $target) ? 1 : 0;
	return $holds{$c};
}

# Returns the patterns of a file whose conditions hold.
sub load {
	my ($file, $target) = @_;
	my @patterns;

	open(my $f, '<', $file) or die "cannot read $file: $!\n";
	while (my $line = <$f>) {
		chomp $line;
		$line =~ s/^\s*#.*//;
		next if $line !~ /\S/;
		my ($pattern, $if, @conditions) = split ' ', $line;

		die "$file: '$line'\n" if defined $if && $if ne 'if';
		push @patterns, $pattern
			if !grep { !holds($_, $target) } @conditions;
	}
	return @patterns;
}

# A shell pattern: *, ?, [abc] and [!abc].
sub glob_to_re {
	my ($glob) = @_;
	my $re = '';

	while ($glob =~ /\G(?:(\*)|(\?)|\[(!?)([\w-]+)\]|(.))/g) {
		$re .= defined $1 ? '.*' : defined $2 ? '.' :
		       defined $4 ? ($3 ne '' ? "[^$4]" : "[$4]") : quotemeta $5;
	}
	return qr/^$re$/;
}

# Holds patterns against results { full name => status }; returns complaints as
# { name, reason }. A pattern of two parts means the program as a whole.
sub missing {
	my ($patterns, $status) = @_;
	my (@wrong, %of);

	push @{$of{(split /:/)[0]}}, $_ for sort keys %$status;
	for my $p (@$patterns) {
		my $re = glob_to_re($p =~ tr/:// == 1 && $p !~ /^modules:/ ?
				    "$p:*" : $p);
		# No pattern is about several collections.
		my @hits = grep { /$re/ } @{$of{(split /:/, $p)[0]} // []};

		push @wrong, { name => $p, reason => 'required, but did not run' }
			if !@hits;
		push @wrong, map { { name => $_, reason => 'required, but skipped' } }
			grep { $status->{$_} eq 'skipped' } @hits;
	}
	return @wrong;
}

1;
