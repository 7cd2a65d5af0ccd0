// SPDX-License-Identifier: GPL-2.0
/*
 * Atomic additions of the device: against the CPU and against another device, on
 * the same words and on their neighbours, wherever the page is and while it moves.
 * Not one is lost.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "jobs.h"

#define CPUS		2
#define CPU_ADDS	300000
#define DEV_ADDS	300000
#define DEV_JOBS	16

FIXTURE(jobs) {
	struct dm_ctx dm;
	int drm, peer;
};

DM_VARIANTS(jobs);

FIXTURE_SETUP(jobs)
{
	self->peer = -1;
	DMD_SETUP(&self->dm, &self->drm, variant->index, variant->peer);
	self->peer = dmd_open(variant->peer);
	ASSERT_LE(0, self->peer);
}

FIXTURE_TEARDOWN(jobs)
{
	if (self->peer >= 0)
		close(self->peer);
	dmd_teardown(_metadata, &self->dm, self->drm);
}

/*
 * Words all sides add to: 32 and 64 bits in one page, and words only the CPU adds
 * to right beside them.
 */
struct words {
	_Atomic __u32 a32, own32;
	_Atomic __u64 a64, own64;
};

struct adder {
	pthread_t thread;
	pthread_barrier_t *start;
	struct words *w;
	int fd;			/* of a device, or -1 */
	__u32 queue;
	int err;
	int seen;		/* times a device has added between two of the CPU's */
};

static void *cpu_adds(void *arg)
{
	struct adder *a = arg;
	__u32 last = 0, now;
	int i;

	pthread_barrier_wait(a->start);
	for (i = 0; i < CPU_ADDS; i++) {
		atomic_fetch_add(&a->w->a32, 1);
		/* The lower half is what the devices have added. */
		now = atomic_fetch_add(&a->w->a64, 1ULL << 32);
		a->seen += i && now != last;
		last = now;
		a->w->own64++;
		if (i % 1000 == 0)
			usleep(100);
	}
	return NULL;
}

static void *dev_adds(void *arg)
{
	struct adder *a = arg;
	job_t jobs[2];
	int i;

	pthread_barrier_wait(a->start);
	for (i = 0; i < DEV_JOBS && !a->err; i++) {
		jobs[0] = job_add32(&a->w->a32, 3, DEV_ADDS / DEV_JOBS);
		jobs[1] = job_add64(&a->w->a64, 5, DEV_ADDS / DEV_JOBS);
		a->err = job_run(a->fd, a->queue, jobs, 2, NULL);
	}
	return NULL;
}

/*
 * Two CPU threads, and two queues of each device, at once. -ENOMSG if a CPU thread has
 * not seen the devices add in between more than once.
 */
static int everybody_once(struct words *w, int drm, int peer)
{
	static struct adder a[CPUS + 4];
	static pthread_barrier_t start;
	unsigned int i, n = CPUS + 4;
	int ret = 0;

	memset(w, 0, sizeof(*w));
	pthread_barrier_init(&start, NULL, n);
	for (i = 0; i < n; i++) {
		a[i] = (struct adder){ .start = &start, .w = w, .fd = -1 };
		if (i >= CPUS) {
			a[i].fd = i % 2 ? drm : peer;
			a[i].queue = i / 2 % 2;
		}
		/* Those that are there wait for all. */
		if (pthread_create(&a[i].thread, NULL,
				   a[i].fd < 0 ? cpu_adds : dev_adds, &a[i]))
			abort();
	}
	for (i = 0; i < n; i++) {
		pthread_join(a[i].thread, NULL);
		if (a[i].err)
			ret = a[i].err;
		else if (!ret && a[i].fd < 0 && a[i].seen < 2)
			ret = -ENOMSG;
	}
	pthread_barrier_destroy(&start);
	return ret;
}

/* Who is preempted for long may have had it all to himself; not time and again. */
static int everybody(struct words *w, int drm, int peer)
{
	int tries = 5, ret;

	do {
		ret = everybody_once(w, drm, peer);
	} while (ret == -ENOMSG && --tries);
	return ret;
}

#define EXPECT_SUMS(w) do {						\
	EXPECT_EQ((__u32)(CPUS * CPU_ADDS + 4 * 3 * DEV_ADDS), (w)->a32); \
	EXPECT_EQ(((__u64)CPUS * CPU_ADDS << 32) + 4ULL * 5 * DEV_ADDS,	\
		  (w)->a64);						\
	EXPECT_EQ(CPUS * CPU_ADDS, (w)->own64);				\
} while (0)

TEST_F_TIMEOUT(jobs, anonymous, dm_timeout(60))
{
	struct words *w;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	w = (struct words *)(b.ptr + 64);
	ASSERT_EQ(0, everybody(w, self->drm, self->peer));
	EXPECT_SUMS(w);
	dm_buf_free(&b);
}

/* Memory that cannot be taken exclusively. */
TEST_F_TIMEOUT(jobs, shared, dm_timeout(60))
{
	struct words *w;
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_map(&b, 1, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	w = (struct words *)(b.ptr + 128);
	ASSERT_EQ(0, everybody(w, self->drm, self->peer));
	EXPECT_SUMS(w);
	dm_buf_free(&b);
}

/*
 * Memory that stays in the system and is taken: by one device, by the other, and by
 * the CPU, which finds it gone.
 */
TEST_F_TIMEOUT(jobs, taken_in_turns, dm_timeout(60))
{
	int fds[2] = { self->drm, self->peer };
	struct words *w;
	struct dm_buf b;
	int i;

	if (!dmd_has(self->drm, HMM_DMIRROR_FEATURE_EXCLUSIVE))
		SKIP(return, "no exclusive access here");
	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, dmd_advise(fds[i], b.ptr, b.size, HMM_DMIRROR_ADVISE_LOCATION,
					HMM_DMIRROR_LOCATION_SYSTEM));
	w = (struct words *)(b.ptr + 64);
	ASSERT_EQ(0, everybody(w, self->drm, self->peer));
	EXPECT_SUMS(w);
	EXPECT_MOVED_MIN(&self->dm, "exclusive_taken_pages", 2);
	dm_buf_free(&b);
}

struct mover {
	pthread_t thread;
	struct dm_buf *b;
	int drm, peer, peer_number;
	_Atomic int stop;
	_Atomic long in, over, out;	/* times the page moved there */
};

static void *moves(void *arg)
{
	struct mover *m = arg;
	__u64 pages[DMD_CLASSES];

	while (!m->stop) {
		if (!dmd_migrate(m->drm, m->b->ptr, DM_PAGE, HMM_DMIRROR_DEST_VRAM, 0, 0,
				 pages))
			m->in += pages[HMM_DMIRROR_PAGE_MOVED];
		if (!dmd_migrate(m->drm, m->b->ptr, DM_PAGE, HMM_DMIRROR_DEST_DEVICE, 0,
				 m->peer_number, pages))
			m->over += pages[HMM_DMIRROR_PAGE_MOVED];
		usleep(1000);
		if (!dmd_migrate(m->peer, m->b->ptr, DM_PAGE, HMM_DMIRROR_DEST_SYSTEM, 0,
				 0, pages))
			m->out += pages[HMM_DMIRROR_PAGE_MOVED];
		usleep(1000);
	}
	return NULL;
}

/*
 * The page goes to one device, the other, and home, all the time: as often as it takes
 * to have been seen on each of the ways, for the CPU brings it home at once.
 */
TEST_F_TIMEOUT(jobs, on_the_move, dm_timeout(60))
{
	struct mover m = { .drm = self->drm, .peer = self->peer,
			   .peer_number = variant->peer };
	struct words *w;
	struct dm_buf b;
	int tries = 8;

	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	w = (struct words *)b.ptr;
	memset(w, 0, sizeof(*w));
	m.b = &b;
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, moves, &m));
	do {
		EXPECT_EQ(0, everybody(w, self->drm, self->peer));
		EXPECT_SUMS(w);
	} while (--tries && !(m.in && m.over && m.out));
	m.stop = 1;
	pthread_join(m.thread, NULL);
	EXPECT_LT(0, m.in);
	EXPECT_LT(0, m.over);
	EXPECT_LT(0, m.out);
	dm_buf_free(&b);
}

/* In memory of its own the device adds in place, whatever is advised. */
TEST_F(jobs, in_device_memory)
{
	struct dm_buf b;
	res_t res;

	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	*(__u64 *)(b.ptr + 8) = 7;
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	ASSERT_EQ(0, job_run1(self->drm, job_add64((__u64 *)(b.ptr + 8), 10, 1000), &res));
	EXPECT_EQ(1000, res.done);
	EXPECT_EQ(7 + 999 * 10, res.value);
	ASSERT_EQ(0, dmd_advise(self->drm, b.ptr, b.size, HMM_DMIRROR_ADVISE_ATOMIC,
				HMM_DMIRROR_ATOMIC_DEVICE));
	ASSERT_EQ(0, job_run1(self->drm, job_add64((__u64 *)(b.ptr + 8), 10, 1000), &res));
	EXPECT_EQ(7 + 1999 * 10, res.value);
	EXPECT_ALL(self->dm.fd, b.ptr, 1, DM_ON_DEV);
	EXPECT_MOVED(&self->dm, "exclusive_taken_pages", 0);
	EXPECT_EQ(7 + 20000, *(__u64 *)(b.ptr + 8));
	dm_buf_free(&b);
}

/* Small ones wrap, and stay in their four bytes. */
TEST_F(jobs, wrap)
{
	struct dm_buf b;
	__u32 *w;
	res_t res;

	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	w = (__u32 *)b.ptr;
	w[0] = 1;
	w[1] = ~0U;
	w[2] = 2;
	ASSERT_EQ(0, job_run1(self->drm, job_add32(&w[1], 2, 1), &res));
	EXPECT_EQ(~0U, res.value);
	EXPECT_EQ(1, w[0]);
	EXPECT_EQ(1, w[1]);
	EXPECT_EQ(2, w[2]);
	ASSERT_EQ(0, job_run1(self->drm, job_add32(&w[1], ~0U, 1), &res));
	EXPECT_EQ(1, res.value);
	EXPECT_EQ(0, w[1]);
	EXPECT_EQ(2, w[2]);
	dm_buf_free(&b);
}

/* System memory is taken away from the CPU for the moment, and only for that. */
TEST_F(jobs, exclusive_for_the_moment)
{
	struct dm_page page;
	struct dm_buf b;

	if (!dmd_has(self->drm, HMM_DMIRROR_FEATURE_EXCLUSIVE))
		SKIP(return, "no exclusive access here");
	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	*(__u64 *)b.ptr = 1;
	/* Or it would be moved, and there would be nothing to take. */
	ASSERT_EQ(0, dmd_advise(self->drm, b.ptr, b.size, HMM_DMIRROR_ADVISE_LOCATION,
				HMM_DMIRROR_LOCATION_SYSTEM));
	ASSERT_EQ(0, job_run1(self->drm, job_add64((__u64 *)b.ptr, 1, 5000), NULL));
	ASSERT_EQ(0, dm_pages(self->dm.fd, b.ptr, 1, &page));
	EXPECT_EQ(DM_SYS, page.where);
	EXPECT_MOVED_MIN(&self->dm, "exclusive_taken_pages", 1);
	EXPECT_EQ(5001, *(__u64 *)b.ptr);
	dm_buf_free(&b);
}

/* With advice it is held until the CPU wants it. */
TEST_F(jobs, exclusive_by_advice)
{
	struct dm_page page;
	struct dm_buf b;

	if (!dmd_has(self->drm, HMM_DMIRROR_FEATURE_EXCLUSIVE))
		SKIP(return, "no exclusive access here");
	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	*(__u64 *)b.ptr = 1;
	ASSERT_EQ(0, dmd_advise(self->drm, b.ptr, b.size, HMM_DMIRROR_ADVISE_LOCATION,
				HMM_DMIRROR_LOCATION_SYSTEM));
	ASSERT_EQ(0, dmd_advise(self->drm, b.ptr, b.size, HMM_DMIRROR_ADVISE_ATOMIC,
				HMM_DMIRROR_ATOMIC_DEVICE));
	ASSERT_EQ(0, job_run1(self->drm, job_add64((__u64 *)b.ptr, 1, 5000), NULL));
	ASSERT_EQ(0, dm_pages(self->dm.fd, b.ptr, 1, &page));
	EXPECT_EQ(DM_EXCLUSIVE_ENTRY, page.where);
	EXPECT_EQ(5001, *(__u64 *)b.ptr);
	ASSERT_EQ(0, dm_pages(self->dm.fd, b.ptr, 1, &page));
	EXPECT_EQ(DM_SYS, page.where);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
