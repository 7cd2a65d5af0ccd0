// SPDX-License-Identifier: GPL-2.0
/*
 * The hands of the race tests: see windows.h. Owns the threads; no verdicts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>

#include "modctl.h"
#include "scene.h"
#include "windows.h"

static void *hand_main(void *arg)
{
	struct hand *h = arg;

	h->tid = gettid();
	for (;;) {
		while (sem_wait(&h->go))
			;
		if (!h->fn)
			return NULL;
		h->ret = h->fn(h);
		h->finished = true;
		sem_post(&h->done);
	}
}

/*
 * How often a thread has run, if it sleeps and that is counted; else -1 or 0. Whoever is
 * in a window may hold the mmap lock, so nothing is touched here that could fault:
 * little of the stack.
 */
static long sleep_of(pid_t tid)
{
	unsigned long long ran, waited;
	char path[64], text[512], *state;
	long n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	if (dm_read_file(path, text, sizeof(text)) < 0)
		return -1;
	state = strrchr(text, ')');
	if (!state || strlen(state) < 3 || state[2] == 'R')
		return -1;
	snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat", tid);
	if (dm_read_file(path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%llu %llu %ld", &ran, &waited, &n) != 3)
		return -1;
	return n;
}

int hand_init(struct hand *h, int index, struct dm_buf *b)
{
	memset(h, 0, sizeof(*h));
	h->b = b;
	h->fd = dm_open(index);
	if (h->fd < 0)
		return h->fd;
	h->scratch = mmap(NULL, b->size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (h->scratch == MAP_FAILED)
		return -errno;
	sem_init(&h->go, 0, 0);
	sem_init(&h->done, 0, 0);
	if (pthread_create(&h->thread, NULL, hand_main, h))
		return -EAGAIN;
	h->alive = true;
	/* Once now: what it touches and calls is there when it counts. */
	while (!h->tid)
		usleep(100);
	sleep_of(h->tid);
	return 0;
}

void hand_start(struct hand *h, hand_fn fn)
{
	h->fn = fn;
	h->finished = false;
	h->running = true;
	sem_post(&h->go);
}

int hand_wait(struct hand *h)
{
	struct timespec end;

	if (!h->running)
		return h->ret;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += sc_slow(20000) / 1000;
	while (sem_timedwait(&h->done, &end))
		if (errno != EINTR)
			return -ETIMEDOUT;
	h->running = false;
	return h->ret;
}

bool hand_stuck(struct hand *h)
{
	long long end = sc_now_ms() + WIN_LOOK_MS;

	while (!h->finished && sc_now_ms() < end)
		usleep(1000);
	return !h->finished;
}

void hand_settle(struct hand *h)
{
	long long end = sc_now_ms() + WIN_LOOK_MS;
	long now, last = -1;
	int same = 0;

	while (!h->finished && same < WIN_LOOKS && sc_now_ms() < end) {
		usleep(WIN_APART_US);
		now = sleep_of(h->tid);
		same = now > 0 && now == last ? same + 1 : 0;
		last = now;
	}
}

void hand_fini(struct hand *h)
{
	/* One that hangs is left behind. */
	if (h->alive && hand_wait(h) != -ETIMEDOUT) {
		h->fn = NULL;
		sem_post(&h->go);
		pthread_join(h->thread, NULL);
	}
	h->alive = false;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	if (h->scratch && h->scratch != MAP_FAILED)
		munmap(h->scratch, h->b->size);
	h->scratch = NULL;
}

int do_in(struct hand *h)
{
	return dm_to_dev(h->fd, h->b->ptr, h->b->npages, h->scratch, &h->res);
}

int do_out(struct hand *h)
{
	return dm_to_sys(h->fd, h->b->ptr, h->b->npages, &h->res);
}

int do_touch(struct hand *h)
{
	unsigned long i;

	for (i = 0; i < h->b->npages; i++)
		(void)*(volatile __u8 *)(h->b->ptr + i * DM_PAGE);
	return 0;
}

int do_store(struct hand *h)
{
	dm_fill(h->b->ptr, h->b->npages, h->b->ptr, h->gen, DM_CPU);
	return 0;
}

int do_release(struct hand *h)
{
	return dm_release(h->fd);
}

int do_dev_write(struct hand *h)
{
	int i, ret = -EBUSY;

	dm_fill(h->scratch, h->b->npages, h->b->ptr, h->gen, DM_DEV);
	for (i = 0; i < 10 && ret == -EBUSY; i++)
		ret = dm_write(h->fd, h->b->ptr, h->b->npages, h->scratch, &h->res);
	return ret;
}

int do_dev_read(struct hand *h)
{
	int i, ret = -EBUSY;

	memset(h->scratch, 0xff, h->b->size);
	for (i = 0; i < 10 && ret == -EBUSY; i++)
		ret = dm_read(h->fd, h->b->ptr, h->b->npages, h->scratch, &h->res);
	return ret;
}

int do_dontneed(struct hand *h)
{
	return madvise(h->b->ptr, h->b->size, MADV_DONTNEED) ? -errno : 0;
}

int do_munmap(struct hand *h)
{
	return munmap(h->b->ptr, h->b->size) ? -errno : 0;
}

int do_protect(struct hand *h)
{
	return mprotect(h->b->ptr, h->b->size, PROT_READ) ? -errno : 0;
}

int do_unbind(struct hand *h)
{
	(void)h;
	return mc_bind(DM_PRIVATE0, false);
}
