// SPDX-License-Identifier: GPL-2.0
/*
 * hmmx: the command line. See hmmx.h for what it is, --help for how to use it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "hmmx.h"

static const char hx_usage[] =
"usage: hmmx [options]              random operations\n"
"       hmmx --replay LOG           the operations of a log, as it was written:\n"
"                                   threads, swap, limit and small are its\n"
"       hmmx --shrink LOG           find a shorter log that fails: LOG.min\n"
"  --seed N      decides what happens (default: the clock)\n"
"  --time N      seconds (default 60)\n"
"  --ops N       operations of each thread instead of a time\n"
"  --threads N   1 to 8 (default 2)\n"
"  --log FILE    every operation, before it is done\n"
"  --json FILE   summary\n"
"  --swap MIB    swap on a zram device of this size meanwhile\n"
"  --limit MIB   in a memory cgroup of this size\n"
"  --small       no 2 MiB pages\n"
"  --quiet       no words\n"
"The status is 0, 1 after a difference, 2 when it could not be run.\n";

enum {
	HX_OPT_SEED = 256, HX_OPT_TIME, HX_OPT_OPS, HX_OPT_THREADS, HX_OPT_LOG,
	HX_OPT_JSON, HX_OPT_SWAP, HX_OPT_LIMIT, HX_OPT_REPLAY, HX_OPT_SHRINK,
	HX_OPT_QUIET, HX_OPT_HELP, HX_OPT_SMALL,
};

static const struct option hx_options[] = {
	{ "seed", 1, NULL, HX_OPT_SEED },
	{ "time", 1, NULL, HX_OPT_TIME },
	{ "ops", 1, NULL, HX_OPT_OPS },
	{ "threads", 1, NULL, HX_OPT_THREADS },
	{ "log", 1, NULL, HX_OPT_LOG },
	{ "json", 1, NULL, HX_OPT_JSON },
	{ "swap", 1, NULL, HX_OPT_SWAP },
	{ "limit", 1, NULL, HX_OPT_LIMIT },
	{ "replay", 1, NULL, HX_OPT_REPLAY },
	{ "shrink", 1, NULL, HX_OPT_SHRINK },
	{ "small", 0, NULL, HX_OPT_SMALL },
	{ "quiet", 0, NULL, HX_OPT_QUIET },
	{ "help", 0, NULL, HX_OPT_HELP },
	{ }
};

struct hx_args {
	struct hx_run	run;
	const char	*log;
	const char	*json;
	const char	*replay;
	const char	*shrink;
};

static int hx_number(const char *text, __u64 *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return errno || *end || end == text ? -EINVAL : 0;
}

static int hx_option(struct hx_args *args, int opt)
{
	__u64 n = 0;

	switch (opt) {
	case HX_OPT_LOG:
		args->log = optarg;
		return 0;
	case HX_OPT_JSON:
		args->json = optarg;
		return 0;
	case HX_OPT_REPLAY:
		args->replay = optarg;
		return 0;
	case HX_OPT_SHRINK:
		args->shrink = optarg;
		return 0;
	case HX_OPT_SMALL:
		args->run.small = true;
		return 0;
	case HX_OPT_QUIET:
		return freopen("/dev/null", "w", stderr) ? 0 : -errno;
	}
	if (!optarg || hx_number(optarg, &n))
		return -EINVAL;
	switch (opt) {
	case HX_OPT_SEED:
		args->run.seed = n;
		return 0;
	case HX_OPT_TIME:
		args->run.seconds = n;
		return 0;
	case HX_OPT_OPS:
		args->run.ops = n;
		args->run.seconds = 0;
		return 0;
	case HX_OPT_THREADS:
		args->run.threads = n;
		return n && n <= HX_THREADS_MAX ? 0 : -EINVAL;
	case HX_OPT_SWAP:
		args->run.swap = n;
		return n <= HX_MIB_MAX ? 0 : -EINVAL;
	case HX_OPT_LIMIT:
		args->run.limit = n;
		return n <= HX_MIB_MAX ? 0 : -EINVAL;
	}
	return -EINVAL;
}

/* A page that cannot be read is as wrong as one that holds something else. */
static void hx_crash(int sig, siginfo_t *info, void *context)
{
	char text[100];
	int n;

	n = snprintf(text, sizeof(text), "hmmx: FAILED: signal %d at %p\n", sig,
		     info->si_addr);
	if (write(STDERR_FILENO, text, n) < 0)
		_exit(1);
	_exit(1);
}

static void hx_catch(void)
{
	struct sigaction action = {
		.sa_sigaction = hx_crash, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static int hx_open_log(struct hx_args *args)
{
	struct hx_run *run = &args->run;

	run->log = -1;
	if (!args->log)
		return 0;
	if (hx_log_write(args->log, run, NULL, 0))
		return -errno;
	run->log = open(args->log, O_WRONLY | O_APPEND | O_CLOEXEC);
	return run->log < 0 ? -errno : 0;
}

/* The process that does it under pressure, for who is told to end. */
static volatile pid_t hx_worker;

static void hx_end_worker(int sig)
{
	kill(hx_worker, SIGKILL);
}

/* In a process of its own: what was set up for it goes however it ends. */
static int hx_execute_apart(struct hx_args *args, struct dm_cg *cg)
{
	struct sigaction action = { .sa_handler = hx_end_worker };
	int status;

	hx_worker = fork();
	if (hx_worker < 0)
		return 2;
	if (!hx_worker) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		if (args->run.limit && dm_cg_enter(cg))
			_exit(2);
		_exit(hx_execute(&args->run, args->json));
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	while (waitpid(hx_worker, &status, 0) != hx_worker)
		;
	/* What it had forked, if it died before them. */
	kill(-hx_worker, SIGKILL);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "hmmx: FAILED: ended by signal %d\n", WTERMSIG(status));
	return 1;
}

/* Killed processes need a moment to leave it. */
static void hx_destroy_group(struct dm_cg *cg)
{
	int i;

	for (i = 0; i < 5000 && dm_cg_destroy(cg) == -EBUSY; i++)
		usleep(1000);
}

/* Swap and a limit around the run; both go again when it has ended. */
static int hx_under_pressure(struct hx_args *args)
{
	struct hx_run *run = &args->run;
	char text[32];
	struct dm_zram zram;
	struct dm_cg cg;
	int ret = 0;

	if (run->swap)
		ret = dm_zram_on(&zram, (__u64)run->swap << 20);
	if (!ret && run->limit) {
		snprintf(text, sizeof(text), "%uM", run->limit);
		ret = dm_cg_create(&cg, "hmmx");
		if (!ret)
			ret = dm_cg_write(&cg, "memory.max", text);
	}
	if (ret) {
		fprintf(stderr, "hmmx: no swap or no cgroup: %s\n", strerror(-ret));
		ret = 2;
	} else {
		ret = run->swap || run->limit ? hx_execute_apart(args, &cg) :
						hx_execute(run, args->json);
	}
	if (run->limit)
		hx_destroy_group(&cg);
	if (run->swap)
		dm_zram_off(&zram);
	return ret;
}

static int hx_main(struct hx_args *args)
{
	struct hx_run *run = &args->run;
	char self[PATH_MAX] = "";
	long n;

	if (args->shrink)
		return readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 ? 2 :
		       hx_shrink(self, args->shrink,
				 run->seconds ? run->seconds : 60);
	if (args->replay) {
		n = hx_log_read(args->replay, &run->replay, run);
		if (n <= 0) {
			fprintf(stderr, "hmmx: %s is not a log\n", args->replay);
			return 2;
		}
		run->nr_replay = n;
	}
	hx_catch();
	if (hx_open_log(args)) {
		fprintf(stderr, "hmmx: cannot write %s\n", args->log);
		return 2;
	}
	fprintf(stderr, "hmmx: seed %llu, %u threads%s", run->seed, run->threads,
		run->small ? ", small pages" : "");
	if (run->swap)
		fprintf(stderr, ", %u MiB of swap", run->swap);
	if (run->limit)
		fprintf(stderr, ", %u MiB of memory", run->limit);
	fputc('\n', stderr);
	return hx_under_pressure(args);
}

int main(int argc, char **argv)
{
	static struct hx_args args = {
		.run = { .threads = 2, .seconds = 60 },
	};
	int opt;

	args.run.seed = time(NULL);
	while ((opt = getopt_long(argc, argv, "", hx_options, NULL)) != -1) {
		if (opt == HX_OPT_HELP) {
			fputs(hx_usage, stdout);
			return 0;
		}
		if (hx_option(&args, opt)) {
			fputs(hx_usage, stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fputs(hx_usage, stderr);
		return 2;
	}
	return hx_main(&args);
}
