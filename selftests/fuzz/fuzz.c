// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer by itself: replays inputs, and makes up new ones from those that showed
 * something new. libFuzzer does the latter better where it can be had (fz_llvm.c).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define FZ_CORPUS_MAX	2000
#define FZ_PROGRESS	10	/* seconds */

static const char fz_usage[] =
"usage: fuzz [options] [FILE or DIRECTORY...]\n"
"Replays inputs (text, *.fz); with --time, goes on with random ones.\n"
"  --time N    seconds of random inputs (default 0)\n"
"  --seed N    decides which (default: the clock)\n"
"  --limit N   seconds an input may take (default 20)\n"
"  --last FILE the input that runs now is kept here\n"
"  --keep DIR  inputs that showed something new are kept here\n"
"  --bytes DIR inputs are not run, but written here as libFuzzer wants them\n"
"  --shrink    find a shorter input that fails, too\n"
"  --trace     tell every operation\n"
"An input that fails is printed. The status is 0, 1 after a failure, 2 when it\n"
"could not be run.\n";

struct fz_args {
	unsigned int	seconds;
	unsigned int	limit;
	__u64		seed;
	const char	*last;
	const char	*keep;
	const char	*bytes;
	bool		shrink;
};

/* Inputs worth changing, and what has been seen so far. */
static struct fz_prog fz_corpus[FZ_CORPUS_MAX];
static unsigned int fz_nr_corpus;
static __u8 fz_known[FZ_FEATURES];
static unsigned int fz_nr_known;
static struct fz_report fz_report;

/* Written through, so that it is there after the machine has died of it. */
static void fz_keep_last(const char *path, const struct fz_prog *prog)
{
	static char text[FZ_OPS * 80];
	FILE *file;
	int fd;

	if (!path)
		return;
	file = fmemopen(text, sizeof(text), "w");
	if (!file)
		return;
	fz_print(file, prog);
	fclose(file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_SYNC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "fuzz: %s: errno %d\n", path, errno);
	close(fd);
}

static bool fz_learn(const struct fz_prog *prog)
{
	unsigned int i, old = fz_nr_known;

	for (i = 0; i < FZ_FEATURES; i++) {
		fz_nr_known += fz_report.feature[i] && !fz_known[i];
		fz_known[i] |= fz_report.feature[i];
	}
	if (fz_nr_known == old)
		return false;
	if (fz_nr_corpus < FZ_CORPUS_MAX)
		fz_corpus[fz_nr_corpus++] = *prog;
	return true;
}

static bool fz_fails(const struct fz_args *args, const struct fz_prog *prog)
{
	fz_keep_last(args->last, prog);
	return fz_run(prog, &fz_report);
}

/* Operations are left out as long as what remains fails, then arguments made 0. */
static void fz_shrink(const struct fz_args *args, struct fz_prog *prog)
{
	struct fz_prog less;
	unsigned int i, k;

	for (i = prog->n; i-- > 0 && prog->n > 1;) {
		less = *prog;
		less.n--;
		memmove(&less.op[i], &less.op[i + 1], (less.n - i) * sizeof(less.op[0]));
		if (fz_fails(args, &less))
			*prog = less;
	}
	for (i = 0; i < prog->n; i++) {
		for (k = 0; k < FZ_ARGS; k++) {
			less = *prog;
			less.op[i].arg[k] = 0;
			if (prog->op[i].arg[k] && fz_fails(args, &less))
				*prog = less;
		}
	}
	fz_fails(args, prog);
}

static int fz_failed(const struct fz_args *args, const char *name, struct fz_prog *prog)
{
	printf("# FAILED: %s: %s\n", name, fz_report.why);
	if (args->shrink) {
		fz_shrink(args, prog);
		printf("# shrunk: %s\n", fz_report.failed ? fz_report.why : "no failure any more");
	}
	fz_print(stdout, prog);
	fflush(stdout);
	return 1;
}

/* Replay ------------------------------------------------------------------ */

static int fz_write_bytes(const char *dir, const char *from, const struct fz_prog *prog)
{
	const char *name = strrchr(from, '/');
	__u8 data[FZ_BYTES];
	char path[PATH_MAX];
	size_t n = fz_encode(prog, data);
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name ? name + 1 : from);
	file = fopen(path, "w");
	if (!file || fwrite(data, 1, n, file) != n || fclose(file)) {
		fprintf(stderr, "fuzz: %s: errno %d\n", path, errno);
		return 2;
	}
	return 0;
}

static int fz_replay_file(const struct fz_args *args, const char *path)
{
	FILE *file = fopen(path, "r");
	struct fz_prog prog;
	int ret = file ? fz_parse(file, &prog) : -errno;

	if (file)
		fclose(file);
	if (ret) {
		fprintf(stderr, "fuzz: %s: %s\n", path, ret == -EINVAL ? "is no input" :
			strerror(-ret));
		return 2;
	}
	if (args->bytes)
		return fz_write_bytes(args->bytes, path, &prog);
	if (fz_fails(args, &prog))
		return fz_failed(args, path, &prog);
	fz_learn(&prog);
	printf("# passed: %s\n", path);
	return 0;
}

static int fz_is_input(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && !strcmp(dot, ".fz");
}

static int fz_replay(const struct fz_args *args, const char *path)
{
	struct dirent **names;
	char file[PATH_MAX];
	struct stat st;
	int i, n, ret = 0;

	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return fz_replay_file(args, path);
	n = scandir(path, &names, fz_is_input, alphasort);
	for (i = 0; i < n; i++) {
		int one;

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		one = fz_replay_file(args, file);
		ret = one > ret ? one : ret;
	}
	return n > 0 ? ret : 2;
}

/* Random inputs ----------------------------------------------------------- */

static double fz_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void fz_think(__u64 *rng, struct fz_prog *prog)
{
	const struct fz_prog *other;

	if (!fz_nr_corpus || !(fz_random(rng) % 3)) {
		fz_generate(rng, prog);
		return;
	}
	*prog = fz_corpus[fz_random(rng) % fz_nr_corpus];
	other = &fz_corpus[fz_random(rng) % fz_nr_corpus];
	fz_mutate(rng, prog, other);
}

static void fz_keep(const struct fz_args *args, const struct fz_prog *prog)
{
	char path[PATH_MAX];
	FILE *file;

	if (!args->keep)
		return;
	snprintf(path, sizeof(path), "%s/%04u.fz", args->keep, fz_nr_corpus);
	file = fopen(path, "w");
	if (!file)
		return;
	fz_print(file, prog);
	fclose(file);
}

static void fz_progress(const struct fz_args *args, double spent, unsigned long inputs,
			unsigned long ops)
{
	printf("# seed %llu: %.0f s, %lu inputs, %lu operations, %u outcomes, %u kept\n",
	       args->seed, spent, inputs, ops, fz_nr_known, fz_nr_corpus);
	fflush(stdout);
}

static int fz_fuzz(const struct fz_args *args)
{
	double begin = fz_now(), told = begin, now = begin;
	unsigned long inputs = 0, ops = 0;
	__u64 rng = args->seed;
	struct fz_prog prog;
	int ret = 0;

	while (!ret && now < begin + args->seconds) {
		fz_think(&rng, &prog);
		inputs++;
		ops += prog.n;
		if (fz_fails(args, &prog))
			ret = fz_failed(args, "a random input", &prog);
		else if (fz_learn(&prog))
			fz_keep(args, &prog);
		now = fz_now();
		if (now - told >= FZ_PROGRESS || ret || now >= begin + args->seconds) {
			told = now;
			fz_progress(args, now - begin, inputs, ops);
		}
	}
	return ret;
}

enum {
	FZ_OPT_TIME = 256, FZ_OPT_SEED, FZ_OPT_LIMIT, FZ_OPT_LAST, FZ_OPT_KEEP, FZ_OPT_SHRINK,
	FZ_OPT_TRACE, FZ_OPT_BYTES,
};

static const struct option fz_options[] = {
	{ "time", 1, NULL, FZ_OPT_TIME },
	{ "seed", 1, NULL, FZ_OPT_SEED },
	{ "limit", 1, NULL, FZ_OPT_LIMIT },
	{ "last", 1, NULL, FZ_OPT_LAST },
	{ "keep", 1, NULL, FZ_OPT_KEEP },
	{ "bytes", 1, NULL, FZ_OPT_BYTES },
	{ "shrink", 0, NULL, FZ_OPT_SHRINK },
	{ "trace", 0, NULL, FZ_OPT_TRACE },
	{ }
};

static int fz_option(struct fz_args *args, int opt)
{
	switch (opt) {
	case FZ_OPT_TIME:
		args->seconds = strtoul(optarg, NULL, 0);
		return 0;
	case FZ_OPT_SEED:
		args->seed = strtoull(optarg, NULL, 0);
		return 0;
	case FZ_OPT_LIMIT:
		args->limit = strtoul(optarg, NULL, 0);
		return args->limit ? 0 : -EINVAL;
	case FZ_OPT_LAST:
		args->last = optarg;
		return 0;
	case FZ_OPT_KEEP:
		args->keep = optarg;
		return 0;
	case FZ_OPT_BYTES:
		args->bytes = optarg;
		return 0;
	case FZ_OPT_SHRINK:
		args->shrink = true;
		return 0;
	case FZ_OPT_TRACE:
		fz_tracing = true;
		return 0;
	}
	return -EINVAL;
}

int main(int argc, char **argv)
{
	struct fz_args args = { .limit = 20, .seed = time(NULL) };
	int opt, i, ret = 0;

	while ((opt = getopt_long(argc, argv, "", fz_options, NULL)) != -1) {
		if (fz_option(&args, opt)) {
			fputs(fz_usage, stderr);
			return 2;
		}
	}
	i = fz_init(args.limit);
	if (i) {
		fprintf(stderr, "fuzz: cannot start: %s\n", strerror(-i));
		return 2;
	}
	for (i = optind; i < argc; i++) {
		int one = fz_replay(&args, argv[i]);

		ret = one > ret ? one : ret;
	}
	return ret ? ret : fz_fuzz(&args);
}
