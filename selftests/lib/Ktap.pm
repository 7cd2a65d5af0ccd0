# SPDX-License-Identifier: GPL-2.0
#
# Strict reader of the output of one test program. Anything that does not add up
# is a failure: a missing plan, a count that differs from it, a number out of
# order, a name twice, a directive other than SKIP. Owns nothing, runs nothing.
package Ktap;
use strict;
use warnings;

# One result line of a test: "ok 3 name # SKIP reason".
sub parse_result {
	my ($line) = @_;

	return undef unless $line =~ /^(not )?ok\b/;
	return { bad => 1, name => $line }
		unless $line =~ /^(not )?ok (\d+)(?: -)?(?: (.*))?$/;
	my ($not, $number, $rest) = ($1, $2, $3 // '');
	my ($name, $directive, $reason) = ($rest, '', '');

	if ($rest =~ /^(.*?)\s*#\s*(SKIP|XFAIL|XPASS|TODO|TIMEOUT|ERROR|exit=\d+)\b\s*(.*)$/i) {
		($name, $directive, $reason) = ($1, uc $2, $3);
	}
	$name =~ s/\s+$//;
	return { ok => !$not, number => $number, name => $name,
		 directive => $directive, reason => $reason };
}

# What a result line amounts to, and why.
sub judge {
	my ($r) = @_;

	return ('failed', 'unreadable result line') if $r->{bad};
	return ('failed', $r->{directive} || $r->{reason} || '') if !$r->{ok};
	return ('passed', '') if $r->{directive} eq '';
	return ('skipped', $r->{reason}) if $r->{directive} eq 'SKIP';
	return ('failed', "unexpected $r->{directive}");
}

# The log of one program as kselftest keeps it: each line of the program
# has been prefixed with "# ". Returns (list of results, list of complaints);
# a result is { name, status, reason }.
sub parse_log {
	my ($text) = @_;
	my ($plan, $bail, @results, @wrong, %seen);
	my $versions = 0;

	for my $line (split /\n/, $text) {
		$line =~ s/\r$//;
		next unless $line =~ s/^# //;
		if ($line =~ /^K?TAP version \d+$/) {
			$versions++;
		} elsif ($line =~ /^1\.\.(\d+)(?:\s+#\s*SKIP\b\s*(.*))?$/) {
			push @wrong, 'two plans' if defined $plan;
			push @wrong, 'plan after a result' if @results;
			$plan = $1;
			push @results, { name => 'all', status => 'skipped',
					 reason => $2 // '', number => 0 }
				if $plan == 0;
		} elsif ($line =~ /^Bail out!\s*(.*)$/) {
			$bail = $1;
		} elsif (my $r = parse_result($line)) {
			my ($status, $reason) = judge($r);
			my $n = scalar(grep { $_->{number} } @results) + 1;

			push @wrong, "result $n has number " . ($r->{number} // '?')
				if !$r->{bad} && $r->{number} != $n;
			push @wrong, "two results named '$r->{name}'"
				if $seen{$r->{name}}++;
			push @results, { name => $r->{name}, number => $n,
					 status => $status, reason => $reason };
		}
	}
	my $count = grep { $_->{number} } @results;

	push @wrong, 'no KTAP version line' if !$versions;
	push @wrong, 'no plan' if !defined $plan;
	push @wrong, "plan says $plan, output has $count results"
		if defined $plan && $plan != $count;
	push @wrong, "bailed out: $bail" if defined $bail;
	return (\@results, \@wrong);
}

# The one line kselftest prints about the program.
sub parse_outer {
	my ($text) = @_;
	my @lines = grep { defined } map { parse_result($_) } split /\n/, $text;

	return (undef, 'no result from kselftest') if !@lines;
	return (undef, 'several results from kselftest') if @lines > 1;
	return ($lines[0], '');
}

# All results of one program: what it printed, held against how it ended.
sub verdict {
	my ($outer_text, $log) = @_;
	my ($outer, $why) = parse_outer($outer_text);
	my ($results, $wrong) = parse_log($log);
	my @all = @$results;
	my $failed = grep { $_->{status} eq 'failed' } @all;
	my ($status, $reason) = ('failed', $why);

	($status, $reason) = judge($outer) if $outer;
	push @all, { name => 'ktap', status => 'failed', reason => $_ }
		for @$wrong;
	if ($status eq 'failed') {
		my $end = $outer && $outer->{directive} ne '' ?
			"$outer->{directive} $outer->{reason}" : $reason;

		push @all, { name => 'exit', status => 'failed',
			     reason => "program ended badly: $end" }
			if !$failed || $end !~ /^EXIT=1\b/;
	} elsif ($failed) {
		push @all, { name => 'exit', status => 'failed',
			     reason => 'a test failed but the program did not' };
	}
	return @all;
}

1;
