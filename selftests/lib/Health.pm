# SPDX-License-Identifier: GPL-2.0
#
# Health of the kernel between two points: taint bits, lockdep, new kernel log
# lines, and the counters of the module under test, which must balance and come
# back to rest. Owns one reader of /dev/kmsg; changes nothing.
package Health;
use strict;
use warnings;
use Fcntl qw(O_RDONLY O_NONBLOCK SEEK_END);
use Time::HiRes qw(sleep time);

# Bits 4, 5, 7, 9, 14: machine check, bad page, oops, warning, soft lockup. How
# a module was built or signed (O, E, N, P) says nothing about the kernel.
my $TAINT_BAD = 0x42b0;
my $TAINT_WARN = 0x200;
my $STATS = '/sys/kernel/debug/hmm_dmirror';
# Of a distribution's kernel under emulation; the scale is the runner's.
my $REST_SECONDS = 10;

sub slurp {
	my ($path) = @_;

	open(my $f, '<', $path) or return undef;
	local $/;
	return <$f>;
}

sub marks {
	my ($file) = @_;
	my $text = slurp($file) // die "cannot read $file\n";
	my @marks = $text =~ /^"(.*)",$/mg;

	die "$file lists nothing\n" if !@marks;
	return map { quotemeta } @marks;
}

sub new {
	my ($class, $marks_file, $known_file) = @_;
	my ($any, $known) = map { join '|', marks($_) } $marks_file, $known_file;
	my $self = bless { bad => qr/$any/, known => qr/$known/ }, $class;

	sysopen($self->{kmsg}, '/dev/kmsg', O_RDONLY | O_NONBLOCK)
		or die "cannot read /dev/kmsg: $!\n";
	sysseek($self->{kmsg}, 0, SEEK_END);
	$self->{taint} = taint();
	$self->{locks} = debug_locks();
	return $self;
}

sub taint {
	return (slurp('/proc/sys/kernel/tainted') // 0) & $TAINT_BAD;
}

sub debug_locks {
	my $text = slurp('/proc/lockdep_stats') // return 1;

	return $text =~ /debug_locks:\s*(\d+)/ ? $1 : 1;
}

# The kernel's own data races say nothing about these modules.
sub foreign_race {
	my ($line) = @_;

	return $line =~ /KCSAN: data-race/ && $line !~ /\[hmm_/;
}

# New records of the kernel log, as text lines.
sub new_log {
	my ($self) = @_;
	my @lines;

	while (1) {
		my $n = sysread($self->{kmsg}, my $rec, 8192);

		# EPIPE: records were lost; reading goes on with the next one.
		next if !defined $n && $!{EPIPE};
		last if !$n;
		push @lines, $1 if $rec =~ /^[^;]*;([^\n]*)/;
	}
	return @lines;
}

sub stats {
	my ($path) = @_;
	my $text = slurp($path) // return undef;
	my %s = $text =~ /^(\w+):\s*(\d+)\s*$/mg;

	return \%s;
}

# Why the counters of one device are not those of a device at rest, or ''.
sub unrest {
	my ($s) = @_;

	for my $n (qw(vram_capacity_pages vram_free_pages vram_resident_pages
		      vram_inflight_pages clients)) {
		return "no counter $n" if !defined $s->{$n};
	}
	my $sum = $s->{vram_free_pages} + $s->{vram_resident_pages} +
		  $s->{vram_inflight_pages};

	return "capacity $s->{vram_capacity_pages} but free + resident + in flight = $sum"
		if $sum != $s->{vram_capacity_pages};
	for my $n (qw(clients vram_resident_pages vram_inflight_pages)) {
		return "$n is $s->{$n} after the test, want 0" if $s->{$n};
	}
	return '';
}

# The last reference to a page or a file may be dropped a little after the
# process is gone, so wait for rest, but not for long.
sub counters {
	my $scale = $ENV{DMIRROR_TIMEOUT_SCALE} // 4;
	my $end = time() + $REST_SECONDS * ($scale > 4 ? $scale / 4 : 1);

	for my $path (sort glob("$STATS/*/stats")) {
		my ($n) = $path =~ m{(\d+)/stats$};
		my $why = 'no counters';

		while (1) {
			my $s = stats($path);

			$why = $s ? unrest($s) : 'counters cannot be read';
			last if $why eq '' || time() > $end;
			sleep(0.05);
		}
		return "device $n: $why" if $why ne '';
	}
	return '';
}

# Returns (reasons, log lines) since the last call and starts anew.
sub check {
	my ($self) = @_;
	my @why;
	my $counters = counters();
	my @log = new_log($self);
	my ($first) = grep { /$self->{bad}/ && !/$self->{known}/ && !foreign_race($_) } @log;
	my $new = taint() & ~$self->{taint};
	my $known = grep { /$self->{known}/ } @log;

	push @why, "kernel log: $first" if defined $first;
	push @why, sprintf('new taint bits 0x%x', $new)
		if $new & ~($known ? $TAINT_WARN : 0);
	push @why, 'lockdep reported a defect'
		if $self->{locks} && !debug_locks();
	push @why, $counters if $counters ne '';
	$self->{taint} |= $new;
	$self->{locks} = debug_locks();
	return (\@why, \@log);
}

1;
