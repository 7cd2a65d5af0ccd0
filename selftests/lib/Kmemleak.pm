# SPDX-License-Identifier: GPL-2.0
#
# Memory that nobody points at any more, where the kernel has CONFIG_DEBUG_KMEMLEAK.
# Owns the state of kmemleak between start() and leaks(): nobody else may scan or
# clear meanwhile.
package Kmemleak;
use strict;
use warnings;
use Time::HiRes qw(sleep);

my $FILE = '/sys/kernel/debug/kmemleak';
my $NEEDED = '/sys/module/kmemleak/parameters/min_unref_scans';
# The kernel does not suspect what is younger than five seconds.
my $MIN_AGE = 6;

sub slurp {
	my ($path) = @_;

	open(my $f, '<', $path) or return undef;
	local $/;
	return <$f>;
}

sub command {
	my ($word) = @_;

	open(my $f, '>', $FILE) or return 0;
	my $done = defined syswrite($f, $word);

	return close($f) && $done;
}

# The first scan of an object only takes its checksum; what changes between two
# scans is in use. Newer kernels want to miss it several times.
sub scan {
	my $times = 1 + (slurp($NEEDED) // 1);

	for (1 .. $times) {
		command('scan') or return 0;
	}
	return 1;
}

# Returns false where there is nothing to ask. What the kernel has leaked so far
# is forgotten.
sub start {
	return 0 if !-w $FILE || !command('scan=off');
	return scan() && command('clear');
}

# What was leaked since the start or the last call, one text for each object.
sub leaks {
	sleep($MIN_AGE);
	scan() or die "kmemleak has given up, see the kernel log\n";
	my $text = slurp($FILE) // die "$FILE: $!\n";

	command('clear');
	return split /^(?=unreferenced object)/m, $text;
}

# Where one of them was allocated: its backtrace as one line.
sub origin {
	my ($leak) = @_;
	my ($where) = $leak =~ /\n((?:    [^\n]*\n?)+)/;

	return join(' ', split ' ', $where // '');
}

1;
