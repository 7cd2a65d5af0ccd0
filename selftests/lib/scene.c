// SPDX-License-Identifier: GPL-2.0
/*
 * Owns: signals between the processes of a test, and waiting for the state of
 * a task by looking at it rather than by sleeping and hoping.
 * Does not own: devices, buffers. Takes no locks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "scene.h"

#define WAIT_MS		20000

bool sc_kernel_has(const char *symbol)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[512], name[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %255s", name) == 1 &&
			!strcmp(name, symbol);
	if (f)
		fclose(f);
	return found;
}

long long sc_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

long sc_slow(long ms)
{
	const char *s = getenv("DMIRROR_TIMEOUT_SCALE");
	int scale = s ? atoi(s) : 4;

	/* Three times for a machine that has something else to do as well. */
	return scale < 4 ? ms : ms * 3 * scale / 4;
}

int sc_longer(void)
{
	const char *s = getenv("DMIRROR_LONGER");
	int n = s ? atoi(s) : 1;

	return n > 0 ? n : 1;
}

int sc_sync_init(struct sc_sync *s)
{
	return pipe(s->fd) ? -errno : 0;
}

void sc_sync_fini(struct sc_sync *s)
{
	close(s->fd[0]);
	close(s->fd[1]);
}

int sc_post(struct sc_sync *s)
{
	return write(s->fd[1], "x", 1) == 1 ? 0 : -errno;
}

int sc_wait(struct sc_sync *s)
{
	struct pollfd p = { .fd = s->fd[0], .events = POLLIN };
	char c;
	int n;

	do {
		n = poll(&p, 1, sc_slow(WAIT_MS));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return -ETIMEDOUT;
	return n > 0 && read(s->fd[0], &c, 1) == 1 ? 0 : -EPIPE;
}

/*
 * The number in /proc/PID/task/TID/syscall, -2 when running, -3 when gone. Allocates
 * nothing, so that it works while this address space is locked.
 */
static long syscall_of(pid_t pid, pid_t tid)
{
	char path[64], line[256];
	long nr = -2;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -3;
	n = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (n <= 0)
		return -3;
	line[n] = '\0';
	if (line[0] >= '0' && line[0] <= '9')
		nr = strtol(line, NULL, 10);
	return nr;
}

int sc_wait_syscall(pid_t pid, pid_t tid, long nr)
{
	long long end = sc_now_ms() + sc_slow(WAIT_MS);
	long now;

	while ((now = syscall_of(pid, tid)) != nr) {
		if (now == -3)
			return -ESRCH;
		if (sc_now_ms() > end)
			return -ETIMEDOUT;
		sched_yield();
	}
	return 0;
}

pid_t sc_fork(void)
{
	pid_t parent = getpid(), pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

int sc_reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

long sc_param(const char *name, long missing)
{
	char path[128];
	long val = missing;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/hmm_dmirror/parameters/%s",
		 name);
	f = fopen(path, "r");
	if (!f)
		return missing;
	if (fscanf(f, "%li", &val) != 1)
		val = missing;
	fclose(f);
	return val;
}

unsigned long sc_window(void)
{
	long kb = sc_param("fault_around_kb", 0);
	long page_kb = sysconf(_SC_PAGESIZE) / 1024;

	return kb > page_kb ? kb / page_kb : 1;
}
