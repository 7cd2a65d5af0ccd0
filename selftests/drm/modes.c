// SPDX-License-Identifier: GPL-2.0
/*
 * The driver loaded in other ways: more devices, a limit for each client; and a
 * device that is taken away under its files. Needs the module files.
 */
#include <fcntl.h>
#include <pthread.h>
#include <xf86drm.h>
#include "dm_drm_harness.h"
#include "dm_inject.h"
#include "modctl.h"

#define MIB		(1UL << 20)

/* Devices with private memory have these numbers, in this order. */
static const int private_numbers[] = { 0, 1, 4, 5, 6, 7, 8, 9 };

FIXTURE(modes) {
	char params[256];	/* as the driver was found */
	struct dm_health health;
};

FIXTURE_SETUP(modes)
{
	if (!dm_ours())
		SKIP(return, "test_hmm has no render nodes");
	if (access("/sys/module/drm", F_OK))
		SKIP(return, "this kernel has no DRM");
	if (!mc_have(MC_DMIRROR) || !mc_have(MC_DEVMEM))
		SKIP(return, "no module files; set DMIRROR_MODULES");
	if (!dm_node_exists(DM_PRIVATE0))
		SKIP(return, "no device with private memory");
	mc_params(self->params, sizeof(self->params));
	dm_health_begin(&self->health);
}

FIXTURE_TEARDOWN(modes)
{
	char why[DM_MSG] = "";

	EXPECT_EQ(0, mc_down(false));
	EXPECT_EQ(0, mc_load(MC_DMIRROR, self->params));
	EXPECT_EQ(0, mc_wait_node(DM_PRIVATE0, true));
	EXPECT_EQ(0, dm_health_end(&self->health, why)) {
		TH_LOG("%s", why);
	}
}

#define RELOAD(params) do {						\
	ASSERT_EQ(0, mc_down(false));					\
	ASSERT_EQ(0, mc_load(MC_DMIRROR, params));			\
} while (0)

static int open_wait(int number)
{
	int i, fd = -ENODEV;

	for (i = 0; i < 100 && fd < 0; i++) {
		fd = dmd_open(number);
		if (fd < 0)
			usleep(100000);
	}
	return fd;
}

static int round_trip(int fd)
{
	struct dm_buf b;
	int ret = dm_buf_anon(&b, 16, DM_BUF_SMALL);

	if (ret)
		return ret;
	dm_fill(b.ptr, 16, b.ptr, 1, DM_CPU);
	ret = dmd_to_vram(fd, b.ptr, b.size);
	if (!ret)
		ret = dmd_all(fd, b.ptr, 16, HMM_DMIRROR_QUERY_VRAM, NULL);
	if (!ret)
		ret = dmd_to_system(fd, b.ptr, b.size);
	if (!ret && dm_verify(b.ptr, 16, b.ptr, 1, DM_CPU, NULL))
		ret = -EIO;
	dm_buf_free(&b);
	return ret;
}

/* From one device to eight: each found, working and distinct. */
TEST_F(modes, devices)
{
	const int counts[] = { 1, 3, 8 };
	__u64 mask, want;
	char params[64];
	int i, j, fd;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		snprintf(params, sizeof(params), "vram_mb=4 devices=%d", counts[i]);
		RELOAD(params);
		want = 0;
		for (j = 0; j < counts[i]; j++) {
			ASSERT_EQ(0, mc_wait_node(private_numbers[j], true));
			fd = open_wait(private_numbers[j]);
			ASSERT_GE(fd, 0) {
				TH_LOG("device %d: %d", private_numbers[j], fd);
			}
			EXPECT_EQ(0, round_trip(fd));
			EXPECT_FALSE(dmd_has(fd, HMM_DMIRROR_FEATURE_COHERENT));
			want |= 1ULL << private_numbers[j];
			EXPECT_EQ(0, close(fd));
		}
		for (; j < ARRAY_SIZE(private_numbers); j++)
			EXPECT_EQ(-ENODEV, dmd_open(private_numbers[j]));
		fd = dmd_open(0);
		EXPECT_EQ(0, dmd_param(fd, HMM_DMIRROR_PARAM_DEVICES, &mask));
		EXPECT_EQ(want, mask);
		EXPECT_EQ(0, close(fd));
	}
	ASSERT_EQ(0, mc_down(false));
	EXPECT_EQ(-EINVAL, mc_load(MC_DMIRROR, "vram_mb=4 devices=9"));
	EXPECT_EQ(-EOPNOTSUPP, mc_load(MC_DMIRROR, "vram_mb=4 devices=0"));
}

/* A page on one of many devices, as each of the others sees it. */
TEST_F(modes, seen_by_all)
{
	struct dm_buf b;
	int fd[5], i;
	__u64 q[5];

	RELOAD("vram_mb=4 devices=5");
	ASSERT_EQ(0, dm_buf_anon(&b, 5, DM_BUF_SMALL));
	dm_fill(b.ptr, 5, b.ptr, 1, DM_CPU);
	for (i = 0; i < 5; i++) {
		fd[i] = open_wait(private_numbers[i]);
		ASSERT_GE(fd[i], 0);
		ASSERT_EQ(0, dmd_to_vram(fd[i], b.ptr + i * DM_PAGE, DM_PAGE));
	}
	for (i = 0; i < 5; i++) {
		int j;

		ASSERT_EQ(0, dmd_query(fd[i], b.ptr, 5, q));
		for (j = 0; j < 5; j++) {
			EXPECT_EQ(i == j ? HMM_DMIRROR_QUERY_VRAM :
					   HMM_DMIRROR_QUERY_OTHER,
				  HMM_DMIRROR_QUERY_LOCATION(q[j]));
			EXPECT_EQ(i == j ? 0 : private_numbers[j],
				  HMM_DMIRROR_QUERY_DEVICE(q[j]));
		}
	}
	EXPECT_TAGS(b.ptr, 5, b.ptr, 1, DM_CPU);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, close(fd[i]));
	dm_buf_free(&b);
}

/* What a thread that moves memory uses and learns. */
struct move_held {
	int fd, ret;
	struct dm_buf b;
	__u64 pages[DMD_CLASSES];
};

/* Two files, and what the second of them has on the device. */
struct two {
	int fd, fd2;
	struct dm_buf other;
};

static void two_begin(struct __test_metadata *_metadata, struct two *t)
{
	t->fd = open_wait(0);
	ASSERT_GE(t->fd, 0);
	t->fd2 = dmd_open(0);
	ASSERT_GE(t->fd2, 0);
	ASSERT_EQ(0, dm_buf_anon(&t->other, MIB / DM_PAGE, DM_BUF_SMALL));
	dm_fill(t->other.ptr, t->other.npages, t->other.ptr, 2, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(t->fd2, t->other.ptr, t->other.size));
}

/* The second file's memory was never touched for the sake of the first. */
static void two_end(struct __test_metadata *_metadata, struct two *t)
{
	EXPECT_EQ(0, dm_stat_now(0, "evictions"));
	EXPECT_WHERE(t->fd2, t->other.ptr, t->other.npages, VRAM);
	EXPECT_TAGS(t->other.ptr, t->other.npages, t->other.ptr, 2, DM_CPU);
	dm_buf_free(&t->other);
	EXPECT_EQ(0, close(t->fd));
	EXPECT_EQ(0, close(t->fd2));
}

/* Beyond its limit a client gets nothing, and nobody is evicted for it. */
TEST_F(modes, limit)
{
	const unsigned long limit = 4 * MIB, n = 6 * MIB / DM_PAGE;
	__u64 pages[DMD_CLASSES], value, got;
	struct dm_buf b;
	struct two t;
	int fd, huge;

	RELOAD("vram_mb=8 client_vram_mb=4");
	two_begin(_metadata, &t);
	fd = t.fd;
	EXPECT_EQ(0, dmd_param(fd, HMM_DMIRROR_PARAM_CLIENT_VRAM, &value));
	EXPECT_EQ(limit, value);

	for (huge = 0; huge < 2; huge++) {
		ASSERT_EQ(0, dm_buf_anon(&b, n, huge ? DM_BUF_THP : DM_BUF_SMALL));
		dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
		EXPECT_EQ(0, dmd_migrate(fd, b.ptr, b.size, HMM_DMIRROR_DEST_VRAM,
					 0, 0, pages));
		got = pages[HMM_DMIRROR_PAGE_MOVED];
		EXPECT_EQ(limit / DM_PAGE, got);
		EXPECT_EQ(n - got, pages[HMM_DMIRROR_PAGE_NOMEM]);
		EXPECT_EQ(n, dmd_sum(pages));
		/* Again: what is there is there, and that is all. */
		EXPECT_EQ(0, dmd_migrate(fd, b.ptr, b.size, HMM_DMIRROR_DEST_VRAM,
					 HMM_DMIRROR_MIGRATE_MAP, 0, pages));
		EXPECT_EQ(got, pages[HMM_DMIRROR_PAGE_PRESENT]);
		EXPECT_EQ(n - got, pages[HMM_DMIRROR_PAGE_NOMEM]);
		/* Giving some back makes room for as much. */
		ASSERT_EQ(0, dmd_to_system(fd, b.ptr, MIB));
		EXPECT_EQ(0, dmd_migrate(fd, b.ptr + b.size - MIB, MIB,
					 HMM_DMIRROR_DEST_VRAM, 0, 0, pages));
		EXPECT_EQ(MIB / DM_PAGE, pages[HMM_DMIRROR_PAGE_MOVED]);
		EXPECT_TAGS(b.ptr, n, b.ptr, 1, DM_CPU);
		dm_buf_free(&b);
	}
	two_end(_metadata, &t);
}

/* By device faults, too; what is beyond the limit is used where it is. */
TEST_F(modes, limit_and_placement)
{
	const unsigned long n = 6 * MIB / DM_PAGE, limit = 2 * MIB / DM_PAGE;
	struct drm_hmm_dmirror_job job = { .op = HMM_DMIRROR_JOB_FILL };
	struct dm_buf b;
	struct two t;
	int fd, huge;

	RELOAD("vram_mb=8 client_vram_mb=2");
	two_begin(_metadata, &t);
	fd = t.fd;

	for (huge = 0; huge < 2; huge++) {
		ASSERT_EQ(0, dm_buf_anon(&b, n, huge ? DM_BUF_THP : DM_BUF_SMALL));
		dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);
		job.dst = (__u64)(uintptr_t)b.ptr;
		job.length = b.size;
		job.value = 0x0101010101010101ULL * (huge + 1);
		memset(b.mirror, huge + 1, b.size);
		EXPECT_EQ(0, dmd_run(fd, &job, NULL));
		EXPECT_EQ(limit + t.other.npages, dm_stat_now(0, "vram_resident_pages"));
		/*
		 * Room is used again, and no more than there is. Advice has
		 * pages that are used in place looked at once more.
		 */
		ASSERT_EQ(0, dmd_to_system(fd, b.ptr, MIB));
		job.dst += b.size - MIB;
		job.length = MIB;
		ASSERT_EQ(0, dmd_advise(fd, b.ptr + b.size - MIB, MIB,
					HMM_DMIRROR_ADVISE_GRANULARITY, MIB));
		EXPECT_EQ(0, dmd_run(fd, &job, NULL));
		EXPECT_WHERE(fd, b.ptr + b.size - MIB, MIB / DM_PAGE, VRAM);
		EXPECT_EQ(limit + t.other.npages, dm_stat_now(0, "vram_resident_pages"));
		EXPECT_EQ(0, memcmp(b.ptr, b.mirror, b.size));
		dm_buf_free(&b);
	}
	EXPECT_EQ(0, dm_stat_now(0, "jobs_failed"));
	two_end(_metadata, &t);
}

/* One request of a file that is held before its pages move. */
static void *move_held(void *arg)
{
	struct move_held *m = arg;

	m->ret = dmd_migrate(m->fd, m->b.ptr, m->b.size, HMM_DMIRROR_DEST_VRAM, 0, 0,
			     m->pages);
	return NULL;
}

/* Room is had by who asks first, and nobody is evicted for who asks in vain. */
TEST_F(modes, limit_of_two_requests)
{
	struct move_held m = { 0 };
	__u64 pages[DMD_CLASSES];
	pthread_t thread;
	struct dm_buf b, full;
	int fd;

	RELOAD("vram_mb=4 client_vram_mb=2 inject=1");
	m.fd = open_wait(0);
	ASSERT_GE(m.fd, 0);
	fd = dmd_open(0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, dm_buf_anon(&m.b, 2 * MIB / DM_PAGE, DM_BUF_SMALL));
	dm_fill(m.b.ptr, m.b.npages, m.b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_buf_anon(&b, MIB / DM_PAGE, DM_BUF_SMALL));
	dm_fill(b.ptr, b.npages, b.ptr, 2, DM_CPU);
	/* The other half of the device is another file's. */
	ASSERT_EQ(0, dm_buf_anon(&full, 2 * MIB / DM_PAGE, DM_BUF_SMALL));
	dm_fill(full.ptr, full.npages, full.ptr, 3, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(fd, full.ptr, full.size));
	ASSERT_EQ(0, dm_inject_arm(0, "collect", "nth=1 delay_us=10000000"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, move_held, &m));
	ASSERT_EQ(0, dm_inject_wait(0, "collect", 1));
	EXPECT_EQ(0, dmd_migrate(m.fd, b.ptr, b.size, HMM_DMIRROR_DEST_VRAM, 0, 0, pages));
	EXPECT_EQ(b.npages, pages[HMM_DMIRROR_PAGE_NOMEM]);
	ASSERT_EQ(0, dm_inject_arm(0, "collect", ""));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, m.ret);
	EXPECT_EQ(m.b.npages, m.pages[HMM_DMIRROR_PAGE_MOVED]);
	EXPECT_EQ(4 * MIB / DM_PAGE, dm_stat_now(0, "vram_resident_pages"));
	EXPECT_EQ(0, dm_stat_now(0, "evictions"));
	EXPECT_WHERE(fd, full.ptr, full.npages, VRAM);
	EXPECT_TAGS(m.b.ptr, m.b.npages, m.b.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 2, DM_CPU);
	EXPECT_TAGS(full.ptr, full.npages, full.ptr, 3, DM_CPU);
	EXPECT_EQ(0, close(m.fd));
	EXPECT_EQ(0, close(fd));
	dm_buf_free(&m.b);
	dm_buf_free(&b);
	dm_buf_free(&full);
}

/* A block that gives nothing is not the last one that is asked. */
TEST_F(modes, evict_goes_on)
{
	struct dm_buf full, b;
	int fd;

	RELOAD("vram_mb=8 inject=1");
	fd = open_wait(0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, dm_buf_anon(&full, 8 * MIB / DM_PAGE, DM_BUF_SMALL));
	dm_fill(full.ptr, full.npages, full.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(fd, full.ptr, full.size));
	ASSERT_EQ(0, dm_buf_anon(&b, 16, DM_BUF_SMALL));
	dm_fill(b.ptr, b.npages, b.ptr, 2, DM_CPU);
	/* No place for the pages of the first block, nor of the second. */
	ASSERT_EQ(0, dm_inject_arm(0, "alloc_evict_small",
				   "nth=1 every=1 times=1024 fail"));
	EXPECT_EQ(0, dmd_to_vram(fd, b.ptr, b.size));
	EXPECT_WHERE(fd, b.ptr, b.npages, VRAM);
	EXPECT_EQ(3, dm_stat_now(0, "evictions"));
	EXPECT_WHERE(fd, full.ptr, 4 * MIB / DM_PAGE, VRAM);
	EXPECT_TAGS(full.ptr, full.npages, full.ptr, 1, DM_CPU);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 2, DM_CPU);
	EXPECT_EQ(0, close(fd));
	dm_buf_free(&full);
	dm_buf_free(&b);
}

/* A limit above what there is: what there is. */
TEST_F(modes, limit_above_all)
{
	__u64 value, size;
	int fd;

	RELOAD("vram_mb=4 client_vram_mb=100");
	fd = open_wait(0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, dmd_param(fd, HMM_DMIRROR_PARAM_CLIENT_VRAM, &value));
	EXPECT_EQ(0, dmd_param(fd, HMM_DMIRROR_PARAM_VRAM_SIZE, &size));
	EXPECT_EQ(4 * MIB, size);
	EXPECT_EQ(size, value);
	EXPECT_EQ(0, close(fd));
}

/* Every command that there is, on memory that is there; wrong answers are counted. */
static int not_enodev(int fd, struct dm_buf *b)
{
	const struct drm_hmm_dmirror_job job = { .op = HMM_DMIRROR_JOB_NOP };
	struct drm_hmm_dmirror_inject inject = { .point = "copy" };
	__u64 q[16], v;
	int n = 0;

	n += dmd_param(fd, HMM_DMIRROR_PARAM_DEVICE, &v) != -ENODEV;
	n += dmd_to_vram(fd, b->ptr, DM_PAGE) != -ENODEV;
	n += dmd_to_system(fd, b->ptr, DM_PAGE) != -ENODEV;
	n += dmd_query(fd, b->ptr, 1, q) != -ENODEV;
	n += dmd_exclusive(fd, HMM_DMIRROR_EXCLUSIVE_TAKE, b->ptr, DM_PAGE, NULL) !=
	     -ENODEV;
	n += dmd_advise(fd, b->ptr, DM_PAGE, HMM_DMIRROR_ADVISE_RESET, 0) != -ENODEV;
	n += dmd_submit(fd, 0, &job, 1, NULL, NULL) != -ENODEV;
	n += dmd_wait(fd, 0, 1, 0, NULL) != -ENODEV;
	n += dmd_evict(fd, HMM_DMIRROR_EVICT_ALL, NULL, 0, NULL) != -ENODEV;
	n += dmd_inject(fd, &inject) != -ENODEV;
	n += dmd_stats(fd, HMM_DMIRROR_STATS_FILE, q, 16) != -ENODEV;
	n += !!drmGetVersion(fd);
	return n;
}

TEST_F(modes, unbound)
{
	char node[64], again[64];
	struct dm_buf b;
	int fd, fd2;

	fd = open_wait(0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, dmd_node(0, node, sizeof(node)));
	ASSERT_EQ(0, dm_buf_anon(&b, 64, DM_BUF_SMALL));
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(fd, b.ptr, b.size));
	ASSERT_EQ(0, mc_bind(0, false));
	EXPECT_EQ(-ENODEV, dmd_open(0));
	EXPECT_EQ(0, not_enodev(fd, &b));
	EXPECT_TAGS(b.ptr, 64, b.ptr, 1, DM_CPU);

	/* A second life, next to the file of the first. */
	ASSERT_EQ(0, mc_bind(0, true));
	fd2 = open_wait(0);
	ASSERT_GE(fd2, 0);
	ASSERT_EQ(0, dmd_node(0, again, sizeof(again)));
	/* The number is free for it only once the old file is closed. */
	EXPECT_STRNE(node, again);
	EXPECT_EQ(0, not_enodev(fd, &b));
	EXPECT_EQ(0, dmd_to_vram(fd2, b.ptr, b.size));
	EXPECT_EQ(0, close(fd));
	EXPECT_WHERE(fd2, b.ptr, 64, VRAM);
	EXPECT_TAGS(b.ptr, 64, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, close(fd2));
	dm_buf_free(&b);
}

/* Open files keep the module, an unbound device's as well. */
TEST_F(modes, module_in_use)
{
	int fd = open_wait(0);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EAGAIN, mc_unload(MC_DMIRROR));
	ASSERT_EQ(0, mc_bind(0, false));
	EXPECT_EQ(-EAGAIN, mc_unload(MC_DMIRROR));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, mc_unload(MC_DMIRROR));
}

TEST_HARNESS_MAIN
