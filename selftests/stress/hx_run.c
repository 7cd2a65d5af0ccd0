// SPDX-License-Identifier: GPL-2.0
/*
 * A run of hmmx: threads, children, moments of quiet in which everything is
 * checked, progress and the summary. Owns the life of actors.
 *
 * The only lock is that of the barrier between moments of quiet.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dm_drm.h"
#include "hmmx.h"

#define HX_QUIET_OPS	256	/* operations of a thread between two checks */
#define HX_CHILD_OPS	64	/* at most, of a child */
#define HX_PROGRESS	5	/* seconds */

/* Threads that have come to the barrier, and how often all of them have. */
static pthread_mutex_t hx_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hx_all_there = PTHREAD_COND_INITIALIZER;
static unsigned int hx_waiting, hx_round;

double hx_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Wait for all threads; none waits for one that has failed. */
static void hx_barrier(struct hx_run *run)
{
	unsigned int round;

	pthread_mutex_lock(&hx_lock);
	round = hx_round;
	if (++hx_waiting == run->threads) {
		hx_waiting = 0;
		hx_round++;
		pthread_cond_broadcast(&hx_all_there);
	}
	while (round == hx_round && !run->failed) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_sec++;
		pthread_cond_timedwait(&hx_all_there, &hx_lock, &t);
	}
	pthread_mutex_unlock(&hx_lock);
}

int hx_open(int *fd, int *drm)
{
	int i, n = 0;

	for (i = 0; i < HX_DEVICES; i++) {
		fd[i] = dm_open(i);
		drm[i] = dmd_open(i);
		n += fd[i] >= 0;
	}
	return n;
}

void hx_close(int *fd)
{
	int i;

	for (i = 0; i < HX_DEVICES; i++)
		if (fd[i] >= 0)
			close(fd[i]);
}

int hx_check_all(struct hx_actor *a)
{
	struct hx_op op = { 0 };
	unsigned int i;

	for (i = 0; i < HX_AREAS; i++) {
		struct hx_area *area;

		op.area = a->id * HX_AREAS + i;
		area = &a->run->area[op.area];
		for (op.page = 0; op.page < HX_AREA_PAGES; op.page++)
			if (area->state[op.page] & HX_READ &&
			    hx_model_check(a, &op, op.page, 1, area->ptr +
					   op.page * DM_PAGE, "in the end the CPU reads"))
				return 1;
	}
	return 0;
}

/* All threads */

struct hx_crew {
	struct hx_run	*run;
	struct hx_actor	*actors;
	struct dm_health health;
	double		begin;
	double		told;
};

static struct hx_crew hx_crew;

/* Children --------------------------------------------------------------- */

/*
 * Nothing of what the threads hold is held by a child, which has pipes of its own.
 * Only the thread that forked is there, in the middle of nothing.
 */
static int hx_child_pins(struct hx_actor *a)
{
	unsigned int i;

	for (i = 0; i < a->run->threads; i++)
		hx_pins_close(&hx_crew.actors[i]);
	return hx_pins_open(a);
}

/* The child's verdict is its exit status; why goes to stderr. */
static void hx_child(struct hx_actor *parent, const struct hx_op *op)
{
	struct hx_actor a = *parent;
	unsigned int i, n = 8 + op->arg % (HX_CHILD_OPS - 8);
	struct hx_op next;

	a.forked = true;
	a.rng = op->arg;
	a.fd = a.own_fd;
	a.drm = a.own_drm;
	memset(a.child, 0, sizeof(a.child));
	hx_open(a.own_fd, a.own_drm);
	if (hx_child_pins(&a))
		hx_fail(&a, op, "no pipes: errno %d", errno);
	for (i = 0; i < n && !a.run->failed; i++) {
		hx_choose(&a, &next);
		hx_do(&a, &next);
	}
	if (!a.run->failed)
		hx_check_all(&a);
	if (a.run->failed)
		fprintf(stderr, "hmmx: %s\n", a.run->why);
	/* Without exit handlers: they are the parent's. */
	_exit(a.run->failed);
}

int hx_reap(struct hx_actor *a, bool all)
{
	unsigned int i, busy = 0;
	int status;

	for (i = 0; i < HX_CHILDREN; i++)
		busy += a->child[i] != 0;
	for (i = 0; i < HX_CHILDREN && (all || busy == HX_CHILDREN); i++) {
		if (!a->child[i])
			continue;
		if (waitpid(a->child[i], &status, 0) != a->child[i])
			return hx_fail(a, NULL, "waitpid: errno %d", errno);
		a->child[i] = 0;
		busy--;
		if (status)
			return hx_fail(a, NULL, "a child of thread %u ended with status 0x%x",
				       a->id, status);
	}
	return 0;
}

int hx_fork(struct hx_actor *a, const struct hx_op *op)
{
	unsigned int i;
	pid_t pid;

	if (hx_reap(a, false))
		return 1;
	pid = fork();
	if (!pid)
		hx_child(a, op);
	/* The kernel says so, too, when an exclusive page was locked just then. */
	if (pid < 0)
		return errno == ENOMEM ? 0 : hx_fail(a, op, "fork: errno %d", errno);
	for (i = 0; a->child[i]; i++)
		;
	a->child[i] = pid;
	return 0;
}

/* Moments of quiet ------------------------------------------------------- */

/**
 * struct hx_seen - where the pages of all areas are
 * @resident: on the device asked, by two sources
 * @unseen: perhaps on it, without read access: the device does not look there
 * @unclear: readable, and the two sources contradict each other
 * @where: the last of those
 * @page: what they said of it
 */
struct hx_seen {
	long resident;
	long unseen;
	long unclear;
	void *where;
	struct dm_page page;
};

/* Where there is reclaim, it may come between the two sources, but not each time. */
#define HX_LOOKS	10

/*
 * Of pages that may not be read only the pagemap tells something. A large one that has
 * lost parts of it may all be on the device.
 */
static bool hx_unseen(const struct hx_run *run, const struct dm_page *page)
{
	return !run->small ||
	       (page->pagemap & DM_PM_SWAP && dm_pm_kind(page->pagemap) == DM_SWP_PRIVATE);
}

static int hx_see_area(struct hx_run *run, const struct hx_area *area, int device,
		       struct hx_seen *seen)
{
	static struct dm_page pages[HX_AREA_PAGES];
	unsigned int i;
	int ret;

	ret = dm_pages(run->fd[device], area->ptr, HX_AREA_PAGES, pages);
	if (ret)
		return ret;
	for (i = 0; i < HX_AREA_PAGES; i++) {
		if (!(area->state[i] & HX_READ)) {
			seen->unseen += area->state[i] & HX_MAPPED &&
					hx_unseen(run, &pages[i]);
		} else if (pages[i].where != DM_UNCLEAR) {
			seen->resident += pages[i].where == DM_ON_DEV;
		} else {
			seen->unclear++;
			seen->where = area->ptr + i * DM_PAGE;
			seen->page = pages[i];
		}
	}
	return 0;
}

static int hx_see(struct hx_run *run, int device, struct hx_seen *seen)
{
	unsigned int looks = run->swap || run->limit ? HX_LOOKS : 1;
	unsigned int i, look;
	int ret = 0;

	for (look = 0; look < looks; look++) {
		*seen = (struct hx_seen){ 0 };
		for (i = 0; i < run->threads * HX_AREAS && !ret; i++)
			ret = hx_see_area(run, &run->area[i], device, seen);
		if (ret || !seen->unclear)
			break;
	}
	return ret;
}

/*
 * @whole: nothing is on the device but what is mapped. Of a large page that is partly
 * unmapped everything is, until the CPU has brought back the rest.
 */
static int hx_check_device(struct hx_actor *a, int device, bool whole)
{
	struct hx_seen seen;
	char why[DM_MSG] = "";
	unsigned int files;
	struct dm_stats s;
	long resident;
	int ret;

	if (a->run->fd[device] < 0)
		return 0;
	ret = hx_see(a->run, device, &seen);
	if (ret || seen.unclear)
		return hx_fail(a, NULL,
			       "device %d and pagemap disagree about %ld pages (%d): %p %#x %#llx",
			       device, seen.unclear, ret, seen.where, seen.page.snap,
			       seen.page.pagemap);
	if (dm_stats_read(device, &s))
		return 0;
	if (dm_stats_law(&s, why))
		return hx_fail(a, NULL, "device %d: %s", device, why);
	/* A coherent page may linger in the kernel's batches; others use it, too. */
	files = a->run->drm[device] < 0 ? 1 : 2;
	if (dm_is_coherent(device) || dm_stat(&s, "clients") != files)
		return 0;
	resident = dm_stat(&s, "vram_resident_pages");
	if (resident < seen.resident || (whole && resident > seen.resident + seen.unseen))
		return hx_fail(a, NULL, "device %d: %ld pages resident, %ld mapped, %ld unseen",
			       device, resident, seen.resident, seen.unseen);
	return 0;
}

static int hx_check_devices(struct hx_actor *a, bool whole)
{
	int i;

	for (i = 0; i < HX_DEVICES; i++)
		if (hx_check_device(a, i, whole))
			return 1;
	return 0;
}

static int hx_check_quiet(struct hx_actor *a, struct dm_health *health)
{
	struct dm_health before = *health;
	char why[DM_MSG] = "";

	if (hx_check_devices(a, true))
		return 1;
	/* One begins before the other ends: nothing comes between them. */
	dm_health_begin(health);
	if (dm_health_end(&before, why))
		return hx_fail(a, NULL, "the kernel: %s", why);
	return 0;
}

static void hx_progress(struct hx_run *run, const struct hx_actor *actors, double spent)
{
	__u64 ops = 0, bytes = 0;
	unsigned int i;

	for (i = 0; i < run->threads; i++) {
		ops += actors[i].done;
		bytes += actors[i].verified;
	}
	fprintf(stderr, "hmmx: seed %llu: %.0f s, %llu operations, %llu MiB compared\n",
		run->seed, spent, ops, bytes >> 20);
}

/* Everybody stands still, thread 0 looks at what is everybody's. */
static void hx_quiet(struct hx_actor *a)
{
	struct hx_run *run = a->run;
	double spent = hx_now() - hx_crew.begin;

	if (hx_reap(a, true))
		return;
	hx_barrier(run);
	/* Where pages are, before the CPU reads and so brings back what it may read. */
	if (!a->id && !run->failed)
		hx_check_devices(a, run->small);
	hx_barrier(run);
	if (run->failed || hx_check_all(a))
		return;
	hx_barrier(run);
	if (!a->id && !run->failed && !hx_check_quiet(a, &hx_crew.health)) {
		if (run->seconds && spent >= run->seconds)
			run->stop = true;
		if (hx_now() - hx_crew.told >= HX_PROGRESS) {
			hx_crew.told = hx_now();
			hx_progress(run, hx_crew.actors, spent);
		}
	}
	hx_barrier(run);
}

static int hx_log_do(struct hx_actor *a, const struct hx_op *op)
{
	hx_log(a, op);
	return a->run->failed || hx_do(a, op);
}

/* Begin with everything mapped, small pages and large ones. */
static int hx_map_all(struct hx_actor *a)
{
	struct hx_op op = { .npages = HX_AREA_PAGES / 2 };
	unsigned int i;

	for (i = 0; i < 2 * HX_AREAS; i++) {
		op.area = a->id * HX_AREAS + i / 2;
		op.page = i % 2 * op.npages;
		op.arg = i % 2;
		if (hx_log_do(a, &op))
			return 1;
	}
	return 0;
}

static void hx_random_ops(struct hx_actor *a)
{
	struct hx_run *run = a->run;
	struct hx_op op;

	if (hx_map_all(a))
		return;
	while (!run->stop && (!run->ops || a->done < run->ops)) {
		do {
			hx_choose(a, &op);
			if (hx_log_do(a, &op))
				return;
		} while (a->done % HX_QUIET_OPS);
		hx_quiet(a);
	}
}

/* A replay is quiet in the end only: its threads may have little or much to do. */
static void hx_replay_ops(struct hx_actor *a)
{
	struct hx_run *run = a->run;
	unsigned long i;

	for (i = 0; i < run->nr_replay && !run->failed; i++)
		if (run->replay[i].thread == a->id && hx_do(a, &run->replay[i].op))
			return;
	hx_quiet(a);
}

static void *hx_thread(void *arg)
{
	struct hx_actor *a = arg;

	if (a->run->replay)
		hx_replay_ops(a);
	else
		hx_random_ops(a);
	return NULL;
}

/* Setting up and summing up ---------------------------------------------- */

static int hx_actor_init(struct hx_run *run, struct hx_actor *a, unsigned int id)
{
	a->run = run;
	a->id = id;
	a->rng = run->seed * HX_THREADS_MAX + id;
	a->fd = run->fd;
	a->drm = run->drm;
	a->bounce = mmap(NULL, HX_SPAN_MAX * DM_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return a->bounce == MAP_FAILED ? -errno : hx_pins_open(a);
}

static int hx_setup(struct hx_run *run, struct hx_actor *actors)
{
	unsigned int i;

	run->area = calloc(run->threads * HX_AREAS, sizeof(*run->area));
	if (!run->area)
		return -ENOMEM;
	for (i = 0; i < run->threads * HX_AREAS; i++)
		if (hx_area_init(&run->area[i]))
			return -ENOMEM;
	for (i = 0; i < run->threads; i++)
		if (hx_actor_init(run, &actors[i], i))
			return -ENOMEM;
	pthread_mutex_init(&run->why_lock, NULL);
	return hx_open(run->fd, run->drm) ? 0 : -ENODEV;
}

static void hx_json(const char *path, struct hx_run *run,
		    const struct hx_actor *actors, double spent)
{
	FILE *file = fopen(path, "w");
	__u64 ops = 0, bytes = 0;
	unsigned int i, k;

	if (!file)
		return;
	for (i = 0; i < run->threads; i++) {
		ops += actors[i].done;
		bytes += actors[i].verified;
	}
	fprintf(file, "{\n  \"seed\": %llu,\n  \"threads\": %u,\n  \"seconds\": %.1f,\n",
		run->seed, run->threads, spent);
	fprintf(file, "  \"operations\": %llu,\n  \"bytes_compared\": %llu,\n  \"kinds\": {",
		ops, bytes);
	for (k = 0; k < hx_nr_kinds; k++) {
		__u64 n = 0;
		double ms = 0;

		for (i = 0; i < run->threads; i++) {
			n += actors[i].count[k];
			ms += actors[i].seconds[k] * 1e3;
		}
		fprintf(file, "%s\n    \"%s\": { \"n\": %llu, \"ms\": %.0f }",
			k ? "," : "", hx_kinds[k].name, n, ms);
	}
	fprintf(file, "\n  },\n  \"verdict\": \"%s\"\n}\n",
		run->failed ? "failed" : "passed");
	fclose(file);
}

int hx_execute(struct hx_run *run, const char *json)
{
	static struct hx_actor actors[HX_THREADS_MAX];
	pthread_t thread[HX_THREADS_MAX];
	unsigned int i;
	double spent;
	int ret;

	ret = hx_setup(run, actors);
	if (ret) {
		fprintf(stderr, "hmmx: cannot start: %s\n",
			ret == -ENODEV ? "no device" : strerror(-ret));
		return 2;
	}
	hx_crew = (struct hx_crew){ .run = run, .actors = actors,
				    .begin = hx_now(), .told = hx_now() };
	dm_health_begin(&hx_crew.health);
	for (i = 0; i < run->threads; i++)
		if (pthread_create(&thread[i], NULL, hx_thread, &actors[i]))
			return 2;
	for (i = 0; i < run->threads; i++)
		pthread_join(thread[i], NULL);

	if (!run->failed)
		hx_check_quiet(&actors[0], &hx_crew.health);
	spent = hx_now() - hx_crew.begin;
	hx_progress(run, actors, spent);
	if (json)
		hx_json(json, run, actors, spent);
	if (run->failed)
		fprintf(stderr, "hmmx: FAILED: %s\n", run->why);
	hx_close(run->fd);
	hx_close(run->drm);
	return run->failed;
}
