// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that run against each other until a deadline, and bounded waiting.
 *
 * Owns nothing that outlives a call, except the threads it gives up on: a
 * thread that hangs in the kernel cannot be ended from here, so it is reported
 * and left behind. No verdicts: these belong to the tests.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>

#include "race.h"
#include "scene.h"

struct race_ctl {
	atomic_bool	stop;
	long long	end, latest;
	int		n;
	pthread_barrier_t start;
};

struct race_thread {
	struct race_ctl		*ctl;
	struct race_actor	*actor;
	pthread_t		id;
};

/* Static: threads that never end keep using them. */
static struct race_thread threads[16];
static struct race_ctl ctl;

bool race_over(void)
{
	long long now = sc_now_ms();
	int i;

	if (atomic_load(&ctl.stop) || now >= ctl.latest)
		return true;
	if (now < ctl.end)
		return false;
	for (i = 0; i < ctl.n; i++)
		if (threads[i].actor->steps < threads[i].actor->least)
			return false;
	return true;
}

int race_slow(void)
{
	const char *s = getenv("DMIRROR_SLOW");
	int factor = s ? atoi(s) : 1;

	return factor > 0 ? factor : 1;
}

int race_grace_ms(void)
{
	return sc_slow(4000) * race_slow();
}

unsigned int race_rand(unsigned int *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void *race_thread(void *arg)
{
	struct race_thread *t = arg;
	struct race_actor *a = t->actor;

	pthread_barrier_wait(&t->ctl->start);
	while (!race_over()) {
		a->ret = a->step(a->arg);
		a->steps++;
		if (a->ret)
			break;
	}
	atomic_store(&t->ctl->stop, true);
	return NULL;
}

static bool race_join(struct race_thread *t)
{
	long long left = t->ctl->latest - sc_now_ms();
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ((left > 0 ? left : 0) + race_grace_ms()) / 1000;
	return !pthread_timedjoin_np(t->id, NULL, &until);
}

/* Joins with a limit; what hangs in the kernel stays, and is described. */
static int race_collect(int n, char *why)
{
	char where[DM_MSG];
	int i, ret = 0;

	for (i = 0; i < n; i++) {
		struct race_actor *a = threads[i].actor;

		if (race_join(&threads[i])) {
			if (a->ret && !ret) {
				ret = a->ret;
				snprintf(why, DM_MSG, "%s: %d", a->name, ret);
			}
			continue;
		}
		race_tasks(getpid(), where);
		snprintf(why, DM_MSG, "%s hangs: %.200s", a->name, where);
		return -ETIMEDOUT;
	}
	return ret;
}

int race_run(struct race_actor *actors, int n, int ms, char *why)
{
	int i, ret;

	if (n > 16)
		return -E2BIG;
	why[0] = 0;
	atomic_store(&ctl.stop, false);
	pthread_barrier_init(&ctl.start, NULL, n);
	/* A stack per thread is mapped before the clock starts. */
	ctl.end = sc_now_ms() + (long long)ms * race_slow();
	ctl.latest = ctl.end + 4LL * ms * race_slow();
	ctl.n = n;
	for (i = 0; i < n; i++) {
		actors[i].steps = 0;
		actors[i].ret = 0;
		threads[i].ctl = &ctl;
		threads[i].actor = &actors[i];
	}
	for (i = 0; i < n; i++) {
		ret = pthread_create(&threads[i].id, NULL, race_thread,
				     &threads[i]);
		if (ret) {
			/* The others wait at the barrier: nothing to save. */
			snprintf(why, DM_MSG, "pthread_create: %d", ret);
			return -ret;
		}
	}
	return race_collect(n, why);
}

long race_reap(pid_t pid, long ms, int *status)
{
	long long start = sc_now_ms();
	struct pollfd p = { .events = POLLIN };
	int n;

	p.fd = syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0)
		return -errno;
	do {
		n = poll(&p, 1, ms);
	} while (n < 0 && errno == EINTR);
	close(p.fd);
	if (n <= 0 || waitpid(pid, status, 0) != pid)
		return -ETIMEDOUT;
	return sc_now_ms() - start;
}

/* The innermost kernel functions of one thread, or nothing while it runs. */
static void race_stack(pid_t pid, const char *tid, char *buf, size_t len)
{
	char path[320], text[2048], *line, *save, *sym;
	size_t used = 0;
	int depth = 0;

	buf[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%s/stack", pid, tid);
	if (dm_read_file(path, text, sizeof(text)) <= 0)
		return;
	for (line = strtok_r(text, "\n", &save); line && depth < 6;
	     line = strtok_r(NULL, "\n", &save)) {
		sym = strchr(line, ']');
		if (!sym || used + 32 > len)
			continue;
		sym += strspn(sym, "] ");
		sym[strcspn(sym, "+/ ")] = 0;
		used += snprintf(buf + used, len - used, "%s%s",
				 depth++ ? "<" : "", sym);
	}
}

void race_tasks(pid_t pid, char *buf)
{
	char path[64], stack[160];
	struct dirent *d;
	size_t used = 0;
	DIR *dir;

	buf[0] = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir)) && used + 40 < DM_MSG) {
		if (d->d_name[0] == '.')
			continue;
		race_stack(pid, d->d_name, stack, sizeof(stack));
		if (stack[0] && !strstr(stack, "futex"))
			used += snprintf(buf + used, DM_MSG - used, "[%s] ",
					 stack);
	}
	if (dir)
		closedir(dir);
}

int race_verify(const void *mem, unsigned long npages, const void *va,
		unsigned int generation, unsigned int writer, char *why)
{
	struct dm_bad bad;
	int ret = dm_verify(mem, npages, va, generation, writer, &bad);

	why[0] = 0;
	if (ret)
		dm_bad_str(&bad, why);
	return ret;
}

int race_to_dev_all(int fd, struct dm_buf *b, char *why)
{
	int attempt, ret;

	for (attempt = 0; attempt < 5; attempt++) {
		dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL);
		ret = dm_all(fd, b->ptr, b->npages, DM_ON_DEV, why);
		if (ret != -EXDEV)
			break;
	}
	return ret;
}
