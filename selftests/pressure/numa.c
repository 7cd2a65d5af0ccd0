// SPDX-License-Identifier: GPL-2.0
/*
 * Two nodes, and memory blocks that are taken offline: system pages move behind
 * the device's back, device pages do not, and what comes back comes back where
 * the process wants it. For a guest of a special kind, see check-guest.
 */
#include <dirent.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <linux/mempolicy.h>

#include "pressure.h"

#define NPAGES	512UL
#define HALF	(NPAGES / 2)

PR_FIXTURE(numa, PR_ZRAM);

#define E	(&self->e)
#define FD	(self->e.dm.fd)

#define NEEDS_NODES() do {						\
	if (access("/sys/devices/system/node/node1", F_OK))		\
		SKIP(return, "one node only");				\
} while (0)

/* Node of each page, or a negative errno each; moved to @node first if not -1. */
static int nodes_of(struct dm_buf *b, int node, int *status)
{
	void *page[NPAGES];
	int to[NPAGES];
	unsigned long i;

	for (i = 0; i < NPAGES; i++) {
		page[i] = b->ptr + i * DM_PAGE;
		to[i] = node;
		status[i] = -1000;
	}
	return syscall(__NR_move_pages, 0, NPAGES, page, node < 0 ? NULL : to,
		       status, MPOL_MF_MOVE) < 0 ? -errno : 0;
}

static unsigned long on_node(const int *status, unsigned long from,
			     unsigned long n, int node)
{
	unsigned long i, hits = 0;

	for (i = from; i < from + n; i++)
		hits += status[i] == node;
	return hits;
}

static int bind_to(struct dm_buf *b, int node)
{
	unsigned long mask = 1UL << node;

	return syscall(__NR_mbind, b->ptr, b->size, MPOL_BIND, &mask, 3,
		       MPOL_MF_MOVE) ? -errno : 0;
}

/*
 * From node to node under the device's eyes. Each move takes the device its
 * entry away; pages on the device stay there, and are no node's pages to move.
 */
TEST_F(numa, move_pages)
{
	int status[NPAGES], node, round;
	struct dm_buf b;

	NEEDS_NODES();
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, HALF, b.mirror, NULL));
	for (round = 0; round < 4; round++) {
		node = round % 2;
		ASSERT_DEV_READS(FD, &b, 1 + round, round ? DM_DEV : DM_CPU);
		dm_restart(&E->dm);
		ASSERT_EQ(0, nodes_of(&b, node, status));
		ASSERT_EQ(0, nodes_of(&b, -1, status));
		EXPECT_EQ(HALF, on_node(status, HALF, HALF, node));
		if (!E->dm.coherent)
			EXPECT_EQ(0, on_node(status, 0, HALF, 0) +
				     on_node(status, 0, HALF, 1));
		EXPECT_ALL(FD, b.ptr, HALF, DM_ON_DEV);
		EXPECT_MOVED(&E->dm, "vram_resident_pages", 0);
		if (round)
			EXPECT_MOVED_MIN(&E->dm, "invalidated_pages", HALF);
		ASSERT_DEV_WRITES(FD, &b, 2 + round, DM_DEV);
	}
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1 + round, DM_DEV);
	dm_buf_free(&b);
}

/* Bound to a node: by request, by fault or from swap, home is there. */
TEST_F(numa, comes_home_where_bound)
{
	int status[NPAGES], node;
	struct dm_buf b;

	NEEDS_NODES();
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	for (node = 0; node < 2; node++) {
		ASSERT_EQ(0, dm_to_dev(FD, b.ptr, NPAGES, b.mirror, NULL));
		ASSERT_EQ(0, bind_to(&b, node));
		EXPECT_ALL(FD, b.ptr, NPAGES, DM_ON_DEV);
		if (!E->dm.coherent)
			EXPECT_TAGS(b.ptr, HALF, b.ptr, 1, DM_CPU);
		ASSERT_EQ(0, dm_to_sys(FD, b.ptr, NPAGES, NULL));
		ASSERT_EQ(0, nodes_of(&b, -1, status));
		EXPECT_EQ(NPAGES, on_node(status, 0, NPAGES, node));
		ASSERT_EQ(0, dm_swap_out(b.ptr, NPAGES));
		ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
		ASSERT_EQ(0, nodes_of(&b, -1, status));
		EXPECT_EQ(NPAGES, on_node(status, 0, NPAGES, node));
	}
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* What others do all the time while a test goes about its business. */
struct storm {
	struct dm_buf *b;
	bool stop;
	unsigned long rounds;
	unsigned long moved[2];		/* pages, to either node */
};

static void *keep_moving(void *arg)
{
	struct storm *s = arg;
	int before[NPAGES], status[NPAGES];
	unsigned long i;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		int node = s->rounds++ % 2;

		/* From the one to the other: nothing else that goes on does that. */
		if (nodes_of(s->b, -1, before) || nodes_of(s->b, node, status))
			continue;
		for (i = 0; i < NPAGES; i++)
			s->moved[node] += before[i] == !node && status[i] == node;
	}
	return NULL;
}

static void churn(struct __test_metadata *_metadata, struct pr_env *e,
		  struct dm_buf *b, int ms)
{
	long long end = sc_now_ms() + ms;
	unsigned int gen;
	int fd = e->dm.fd;

	for (gen = 1; gen < 3 || sc_now_ms() < end; gen++) {
		dm_fill(b->ptr, NPAGES, b->ptr, gen, DM_CPU);
		ASSERT_DEV_READS(fd, b, gen, DM_CPU);
		/* A page on its way between nodes cannot be taken. */
		dm_to_dev(fd, b->ptr, NPAGES, b->mirror, NULL);
		ASSERT_DEV_READS(fd, b, gen, DM_CPU);
		ASSERT_DEV_WRITES(fd, b, gen, DM_DEV);
		if (gen % 2)
			ASSERT_EQ(0, dm_to_sys(fd, b->ptr, NPAGES, NULL));
		if (gen % 3 == 0)
			madvise(b->ptr, b->size, MADV_PAGEOUT);
		ASSERT_TAGS(b->ptr, NPAGES, b->ptr, gen, DM_DEV);
	}
}

TEST_F(numa, storm)
{
	struct storm s = { 0 };
	struct dm_buf b;
	pthread_t t;

	NEEDS_NODES();
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	s.b = &b;
	ASSERT_EQ(0, pthread_create(&t, NULL, keep_moving, &s));
	churn(_metadata, E, &b, 2000);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_LT(2, s.rounds);
	EXPECT_LT(0, s.moved[0]);
	EXPECT_LT(0, s.moved[1]);
	dm_buf_free(&b);
}

#define HOLEY	4096UL		/* pages, of which every other one is there */

/* Frames of the pages that are there; false if one is not in memory. */
static bool holey_frames(struct dm_buf *b, __u64 *frames)
{
	unsigned long i;

	if (dm_pagemap(b->ptr, HOLEY, frames))
		return false;
	for (i = 1; i < HOLEY; i += 2) {
		frames[i] = dm_pm_pfn(frames[i]);
		if (!frames[i])
			return false;
	}
	return true;
}

/*
 * Have the node compacted until so many pages have moved. Most of what was freed is
 * with the processors at first, who give it back as time goes by, and no hole until
 * then. Returns how many have moved.
 */
static unsigned long compact(const char *knob, struct dm_buf *b, const __u64 *before,
			     unsigned long want)
{
	long long end = sc_now_ms() + sc_slow(10000);
	unsigned long i, moved = 0;
	__u64 now[HOLEY];

	for (;;) {
		if (dm_write_file(knob, "1") || !holey_frames(b, now))
			return 0;
		for (i = 1, moved = 0; i < HOLEY; i += 2)
			moved += now[i] != before[i];
		if (moved >= want || sc_now_ms() > end)
			return moved;
		usleep(100000);
	}
}

/* The device reads all that is there, and it is what was written. */
static bool holey_read(struct pr_env *e, struct dm_buf *b)
{
	unsigned long i;

	for (i = 1; i < HOLEY; i += 2) {
		const __u8 *p = b->ptr + i * DM_PAGE;

		if (dm_read(e->dm.fd, p, 1, b->mirror, NULL) ||
		    dm_verify(b->mirror, 1, p, 3, DM_CPU, NULL))
			return false;
	}
	return true;
}

/*
 * The node that only the test has pages on is compacted: of pages that the device has
 * mapped, those in front go to the holes between those behind, and each is taken from
 * the device first.
 */
TEST_F(numa, compaction)
{
	const char *const knob = "/sys/devices/system/node/node1/compact";
	unsigned long i, moved;
	__u64 before[HOLEY];
	struct dm_buf b;

	NEEDS_NODES();
	if (access(knob, W_OK))
		SKIP(return, "no compaction");
	ASSERT_EQ(0, dm_buf_anon(&b, HOLEY, DM_BUF_SMALL));
	ASSERT_EQ(0, bind_to(&b, 1));
	dm_fill(b.ptr, HOLEY, b.ptr, 3, DM_CPU);
	for (i = 0; i < HOLEY; i += 2)
		ASSERT_EQ(0, madvise(b.ptr + i * DM_PAGE, DM_PAGE, MADV_DONTNEED));
	/* A page that a processor keeps for later cannot be isolated. */
	dm_drain_lru(before);
	ASSERT_TRUE(holey_read(E, &b));
	ASSERT_TRUE(holey_frames(&b, before));
	dm_restart(&E->dm);
	moved = compact(knob, &b, before, HOLEY / 16);
	EXPECT_LE(HOLEY / 16, moved);
	EXPECT_MOVED_MIN(&E->dm, "invalidated_pages", moved);
	EXPECT_TRUE(holey_read(E, &b));
	dm_buf_free(&b);
}

/* Both use it all the time, until the kernel has it nearby. Returns pages on node 0. */
static unsigned long use_until_near(struct pr_env *e, struct dm_buf *b)
{
	long long end = sc_now_ms() + sc_slow(10000);
	unsigned long i, near = 0;
	int status[NPAGES];

	while (near < NPAGES && sc_now_ms() < end) {
		if (dm_read(e->dm.fd, b->ptr, NPAGES, b->mirror, NULL) ||
		    dm_verify(b->mirror, NPAGES, b->ptr, 9, DM_CPU, NULL))
			return 0;
		for (i = 0; i < NPAGES; i++)
			__atomic_add_fetch(b->ptr + i * DM_PAGE, 0, __ATOMIC_RELAXED);
		if (nodes_of(b, -1, status))
			return 0;
		near = on_node(status, 0, NPAGES, 0);
	}
	return near;
}

/*
 * The balancer takes access away to see who comes: the device does, too. Pages on the
 * node without processors go to the one that has them, and the device follows.
 */
TEST_F(numa, balancing)
{
	const char *const knob = "/proc/sys/kernel/numa_balancing";
	unsigned long long before = pr_vmstat("numa_pte_updates");
	struct dm_buf b, far;
	int status[NPAGES];
	__u64 was;

	NEEDS_NODES();
	if (dm_read_u64(knob, &was))
		SKIP(return, "no balancing");
	dm_write_file("/sys/kernel/debug/sched/numa_balancing/scan_delay_ms",
		      "100");
	dm_write_file("/sys/kernel/debug/sched/numa_balancing/scan_period_min_ms",
		      "20");
	ASSERT_EQ(0, pr_buf(E, &far, NPAGES, DM_BUF_SMALL));
	dm_fill(far.ptr, NPAGES, far.ptr, 9, DM_CPU);
	ASSERT_EQ(0, nodes_of(&far, 1, status));
	ASSERT_EQ(0, nodes_of(&far, -1, status));
	ASSERT_EQ(NPAGES, on_node(status, 0, NPAGES, 1));
	ASSERT_EQ(0, dm_read(FD, far.ptr, NPAGES, far.mirror, NULL));
	dm_restart(&E->dm);
	ASSERT_EQ(0, dm_write_file(knob, "1"));
	EXPECT_LE(HALF, use_until_near(E, &far));
	EXPECT_MOVED_MIN(&E->dm, "invalidated_pages", HALF);
	ASSERT_DEV_READS(FD, &far, 9, DM_CPU);
	ASSERT_DEV_WRITES(FD, &far, 10, DM_DEV);
	EXPECT_TAGS(far.ptr, NPAGES, far.ptr, 10, DM_DEV);
	dm_buf_free(&far);

	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	churn(_metadata, E, &b, 4000);
	EXPECT_LT(before, pr_vmstat("numa_pte_updates"));
	dm_write_file(knob, was ? "1" : "0");
	dm_buf_free(&b);
}

#define BLOCKS	"/sys/devices/system/memory"

/* Number of the memory block of a page in memory, -1 if it is not there. */
static long block_of(const void *addr)
{
	char text[32];
	__u64 ent, pfn;

	if (dm_read_file(BLOCKS "/block_size_bytes", text, sizeof(text)) < 0 ||
	    dm_pagemap(addr, 1, &ent))
		return -1;
	pfn = dm_pm_pfn(ent);
	return pfn ? pfn * DM_PAGE / strtoull(text, NULL, 16) : -1;
}

static int set_block(long block, const char *state)
{
	char path[96];

	snprintf(path, sizeof(path), BLOCKS "/memory%ld/state", block);
	return dm_write_file(path, state);
}

/* Is it memory that may go, and nothing else? */
static bool is_movable(long block)
{
	char path[96], text[64];

	snprintf(path, sizeof(path), BLOCKS "/memory%ld/valid_zones", block);
	return dm_read_file(path, text, sizeof(text)) > 0 &&
	       strstr(text, "Movable");
}

/* How many pages of the range are in a block. */
static unsigned long in_block(struct dm_buf *b, long block)
{
	unsigned long i, n = 0;

	for (i = 0; i < b->npages; i++)
		n += block_of(b->ptr + i * DM_PAGE) == block;
	return n;
}

/*
 * What the log has gained is all about memory that did not go, for one of two
 * reasons: nothing the kernel minds, it tells about a page each time.
 */
static bool only_said(struct __test_metadata *_metadata, struct dm_health *h,
		      const char *why, const char *or_why)
{
	char rec[2048], *text;
	bool ok = true;
	ssize_t n;

	while ((n = read(h->kmsg, rec, sizeof(rec) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		rec[n] = '\0';
		text = strchr(rec, ';');
		if (!text || !dm_log_line_bad(text) || strstr(text, why) ||
		    strstr(text, or_why))
			continue;
		TH_LOG("%s", text);
		ok = false;
	}
	return ok;
}

/*
 * The block under mapped pages goes: they move elsewhere, the device follows;
 * what is on the device has nothing to do with it.
 */
TEST_F(numa, block_offline)
{
	struct dm_buf b;
	long block;
	int ret;

	NEEDS_NODES();
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	/* What can go is at the end of the last node. */
	ASSERT_EQ(0, bind_to(&b, 1));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	block = block_of(b.ptr + HALF * DM_PAGE);
	if (block < 0 || !is_movable(block))
		SKIP(goto out, "no memory that can go");
	ASSERT_EQ(0, dm_to_dev(FD, b.ptr, HALF, b.mirror, NULL));
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	dm_restart(&E->dm);
	ret = set_block(block, "offline");
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, in_block(&b, block));
	EXPECT_ALL(FD, b.ptr, HALF, DM_ON_DEV);
	EXPECT_MOVED(&E->dm, "vram_resident_pages", 0);
	EXPECT_MOVED_MIN(&E->dm, "invalidated_pages", 1);
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	ASSERT_DEV_WRITES(FD, &b, 2, DM_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
	if (!ret)
		EXPECT_EQ(0, set_block(block, "online_movable"));
out:
	dm_buf_free(&b);
}

static void *keep_offlining(void *arg)
{
	struct storm *s = arg;
	long block;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		block = block_of(s->b->ptr);
		if (block >= 0 && is_movable(block) &&
		    !set_block(block, "offline")) {
			s->rounds++;
			set_block(block, "online_movable");
		}
	}
	return NULL;
}

/* Likewise while pages migrate: it works, or is refused, and nothing is lost. */
TEST_F(numa, block_offline_under_migration)
{
	struct storm s = { 0 };
	struct dm_buf b;
	pthread_t t;
	long block;

	NEEDS_NODES();
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	/* What can go is at the end of the last node. */
	ASSERT_EQ(0, bind_to(&b, 1));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	block = block_of(b.ptr);
	if (block < 0 || !is_movable(block))
		SKIP(goto out, "no memory that can go");
	s.b = &b;
	ASSERT_EQ(0, pthread_create(&t, NULL, keep_offlining, &s));
	churn(_metadata, E, &b, 3000);
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_LT(0, s.rounds);
	/* do_migrate_range() meets pages that are being migrated already. */
	EXPECT_TRUE(only_said(_metadata, &E->dm.health,
			      "page dumped because: isolation failed",
			      "page dumped because: migration failure"));
out:
	dm_buf_free(&b);
}

/* Try to take all blocks but the first that are not movable. Returns refusals. */
static int offline_unmovable(void)
{
	DIR *dir = opendir(BLOCKS);
	int refused = 0, ret;
	struct dirent *d;
	long block;

	while (dir && (d = readdir(dir))) {
		if (sscanf(d->d_name, "memory%ld", &block) != 1 || !block ||
		    is_movable(block))
			continue;
		ret = set_block(block, "offline");
		refused += ret == -EBUSY;
		if (!ret)
			set_block(block, "online");
	}
	if (dir)
		closedir(dir);
	return refused;
}

/*
 * The memory behind private device pages does not move. All blocks are tried, so
 * those it is in as well: they are refused, in bounded time, and the pages are
 * none the worse for it.
 */
TEST_F(numa, block_behind_the_device)
{
	long long start = sc_now_ms();
	struct dm_buf b;

	NEEDS_NODES();
	if (E->dm.coherent)
		SKIP(return, "coherent memory is not the system's");
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_TO_DEV(FD, &b, 1, DM_CPU);
	EXPECT_LT(0, offline_unmovable());
	/* Each refusal is explained in the log, by dumping a page. */
	EXPECT_TRUE(only_said(_metadata, &E->dm.health,
			      "page dumped because: unmovable page",
			      "page dumped because: isolation failed"));
	EXPECT_LT(sc_now_ms() - start, 1000LL * dm_timeout(20));
	EXPECT_ALL(FD, b.ptr, NPAGES, DM_ON_DEV);
	ASSERT_DEV_READS(FD, &b, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
