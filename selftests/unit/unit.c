// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the tests and prints KTAP: see unit.h.
 *
 * usage: unit [NAME]...		only tests whose name contains one of these
 *
 * SEED=n repeats an earlier run, ROUNDS=n makes the random sequences longer.
 */
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#define TIME_LIMIT_S	10

void (*kdeps_race)(void *where);
unsigned int unit_rounds = 1;

static u64 seed, state;

static const struct {
	const char *file;
	const struct unit_test *tests;
} files[] = {
	{ "pt", pt_tests },
	{ "block", block_tests },
	{ "lru", lru_tests },
	{ "policy", policy_tests },
	{ "range", range_tests },
	{ "thrash", thrash_tests },
};

/* A Weyl sequence, its sum mixed until no bit shows where it came from. */
u64 unit_random(void)
{
	u64 x = state += 0x9e3779b97f4a7c15ULL;

	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 29;
	x *= 0xd6e8feb86659fd93ULL;
	return x ^ x >> 32;
}

void unit_range(unsigned int limit, unsigned int *first, unsigned int *end)
{
	unsigned int swap;

	*first = unit_once_in(8) ? 0 : unit_below(limit + 1);
	*end = unit_once_in(8) ? limit : unit_below(limit + 1);
	if (unit_once_in(4))
		*end = *first + (*first < limit);
	if (*first > *end) {
		swap = *first;
		*first = *end;
		*end = swap;
	}
}

void unit_fail(const char *file, int line, const char *what)
{
	printf("# %s:%d: %s\n", file, line, what);
	fflush(stdout);
	_exit(1);
}

void *unit_alloc(size_t size)
{
	void *mem = calloc(1, size);

	if (!mem)
		unit_fail(__FILE__, __LINE__, "no memory");
	return mem;
}

/* A test's numbers depend on the seed and its own name, not on other tests. */
static void seed_for(const char *file, const char *name)
{
	state = seed;
	for (; *file; file++)
		state = state * 31 + *file;
	for (; *name; name++)
		state = state * 31 + *name;
}

static bool passes(const char *file, const struct unit_test *test)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return false;
	if (!pid) {
		alarm(TIME_LIMIT_S * unit_rounds);
		seed_for(file, test->name);
		test->run();
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status))
		printf("# ended by signal %d%s\n", WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? ": took too long" : "");
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static bool wanted(const char *full, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strstr(full, argv[i]))
			return true;
	return argc == 1;
}

static unsigned long long from_env(const char *name, unsigned long long usual)
{
	const char *text = getenv(name);
	unsigned long long value;
	char *rest;

	if (!text || !*text)
		return usual;
	value = strtoull(text, &rest, 0);
	if (*rest) {
		fprintf(stderr, "unit: %s=%s is not a number\n", name, text);
		exit(2);
	}
	return value;
}

static unsigned int count_tests(void)
{
	const struct unit_test *test;
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(files); i++)
		for (test = files[i].tests; test->name; test++)
			n++;
	return n;
}

int main(int argc, char **argv)
{
	unsigned int i, nr = 0, passed = 0, failed = 0, skipped = 0;
	const struct unit_test *test;
	char full[128];

	seed = from_env("SEED", (u64)time(NULL) << 16 ^ (u64)getpid());
	unit_rounds = from_env("ROUNDS", 1);
	printf("KTAP version 1\n# seed %llu (SEED=%llu repeats this run)\n1..%u\n",
	       seed, seed, count_tests());
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		for (test = files[i].tests; test->name; test++) {
			snprintf(full, sizeof(full), "%s.%s", files[i].file, test->name);
			if (!wanted(full, argc, argv)) {
				printf("ok %u %s # SKIP not asked for\n", ++nr, full);
				skipped++;
			} else if (passes(files[i].file, test)) {
				printf("ok %u %s\n", ++nr, full);
				passed++;
			} else {
				printf("not ok %u %s\n", ++nr, full);
				failed++;
			}
		}
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed || !passed;
}
