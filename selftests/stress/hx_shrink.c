// SPDX-License-Identifier: GPL-2.0
/*
 * Shrinking a log that fails: parts are left out, large ones first, as long as
 * what remains still fails. Each attempt is a run of its own process, since a
 * failing one may leave anything behind.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hmmx.h"

/* How often a remainder may succeed before it is taken as good: races. */
#define HX_ATTEMPTS	3

struct hx_shrinking {
	const char	*self;
	char		tmp[300];
	char		seconds[16];
	struct hx_run	run;
	struct hx_line	*lines;
	unsigned long	n;
	unsigned int	runs;
};

static bool hx_replay_fails(struct hx_shrinking *s)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execl("/usr/bin/timeout", "timeout", s->seconds, s->self,
		      "--replay", s->tmp, "--quiet", (char *)NULL);
		_exit(127);
	}
	s->runs++;
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	/* 1: a difference; 124: it hangs, which is as good. */
	return WIFSIGNALED(status) || WEXITSTATUS(status) == 1 ||
	       WEXITSTATUS(status) == 124;
}

static bool hx_fails(struct hx_shrinking *s, const struct hx_line *lines,
		     unsigned long n)
{
	int i;

	if (hx_log_write(s->tmp, &s->run, lines, n))
		return false;
	for (i = 0; i < HX_ATTEMPTS; i++)
		if (hx_replay_fails(s))
			return true;
	return false;
}

/* Leave out @len lines from @at on, if it fails without them. */
static bool hx_without(struct hx_shrinking *s, unsigned long at, unsigned long len)
{
	struct hx_line *rest = malloc(s->n * sizeof(*rest));
	bool fails;

	if (!rest)
		return false;
	memcpy(rest, s->lines, at * sizeof(*rest));
	memcpy(rest + at, s->lines + at + len, (s->n - at - len) * sizeof(*rest));
	fails = hx_fails(s, rest, s->n - len);
	if (fails) {
		free(s->lines);
		s->lines = rest;
		s->n -= len;
		fprintf(stderr, "hmmx: %lu operations still fail\n", s->n);
	} else {
		free(rest);
	}
	return fails;
}

/* One pass with parts of @len lines; what comes last is cut first. */
static bool hx_pass(struct hx_shrinking *s, unsigned long len)
{
	unsigned long at = s->n;
	bool shorter = false;

	while (at) {
		unsigned long part = at < len ? at : len;

		at -= part;
		if (s->n > part && hx_without(s, at, part))
			shorter = true;
	}
	return shorter;
}

int hx_shrink(const char *self, const char *path, unsigned int seconds)
{
	struct hx_shrinking s = { .self = self };
	unsigned long len;
	char out[300];
	long n;

	n = hx_log_read(path, &s.lines, &s.run);
	if (n <= 0) {
		fprintf(stderr, "hmmx: %s is not a log\n", path);
		return 2;
	}
	s.n = n;
	snprintf(s.tmp, sizeof(s.tmp), "%s.try", path);
	snprintf(s.seconds, sizeof(s.seconds), "%u", seconds);
	snprintf(out, sizeof(out), "%s.min", path);

	if (!hx_fails(&s, s.lines, s.n)) {
		fprintf(stderr, "hmmx: %s does not fail\n", path);
		return 2;
	}
	for (len = s.n / 2; len; len /= 2)
		while (hx_pass(&s, len) && len == 1)
			;
	hx_log_write(out, &s.run, s.lines, s.n);
	unlink(s.tmp);
	printf("%ld operations shrunk to %lu in %u runs: %s\n", n, s.n, s.runs, out);
	return 0;
}
