// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and binding with the points that act there failing: the first time,
 * the second, and so on until it works; and from then on each time. What failed
 * leaves nothing behind, and the next try works. Unbinding and unloading cannot
 * fail, whatever does on their way. On every kernel, with no fault injection of
 * its own. Owns the module for the time of the program.
 */
#include "dm_inject.h"
#include "modctl.h"
#include "stage.h"

#define NPAGES	16UL
#define PARAMS	"inject=1 vram_mb=4"
#define NTH_MAX	100
#define VRAM_MB	4
#define ROUNDS	30

FIXTURE(load) {
	struct dm_health health;
	struct dm_points points;
	struct dm_buf b, theirs, huge;
	int ranges;
};

FIXTURE_SETUP(load)
{
	DM_INJECT_SETUP();
	dm_health_begin(&self->health);
	ASSERT_EQ(0, dm_inject_points(DM_DRIVER, &self->points));
	ASSERT_EQ(4, self->points.n);
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dm_buf_anon(&self->theirs, NPAGES, DM_BUF_SMALL));
	dm_fill(self->theirs.ptr, NPAGES, self->theirs.ptr, 2, DM_PEER);
}

FIXTURE_TEARDOWN(load)
{
	char why[DM_MSG] = "";

	dm_buf_free(&self->b);
	dm_buf_free(&self->theirs);
	dm_buf_free(&self->huge);
	if (dm_inject_status())
		return;
	EXPECT_EQ(0, mc_up(PARAMS));
	dm_inject_off(DM_DRIVER);
	if (dm_node_exists(DM_PRIVATE0))
		dm_inject_off(DM_PRIVATE0);
	else
		EXPECT_EQ(0, mc_bind(DM_PRIVATE0, true));
	EXPECT_EQ(0, mc_wait_node(DM_PRIVATE0, true));
	EXPECT_EQ(0, dm_health_end(&self->health, why)) {
		TH_LOG("%s", why);
	}
}

/* The device does what a device does. */
#define ASSERT_WORKS(minor) do {					\
	int fd_ = dm_open(minor);					\
									\
	ASSERT_LE(0, fd_);						\
	ASSERT_TO_DEV(fd_, &self->b, 1, DM_CPU);			\
	ASSERT_EQ(0, close(fd_));					\
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);	\
} while (0)

/* One load; true if something was made to fail in it. */
#define LOAD_ONE(point, nth, every) ({					\
	char params_[200];						\
	int ret_;							\
									\
	snprintf(params_, sizeof(params_),				\
		 PARAMS " inject_arm=%s:nth=%d,every=%d,fail", point, nth, every); \
	ret_ = mc_load(MC_DMIRROR, params_);				\
	if (ret_) {							\
		ASSERT_EQ(-ENOMEM, ret_);				\
		ASSERT_FALSE(mc_loaded(MC_DMIRROR));			\
		ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, false));		\
		ASSERT_EQ(0, mc_wait_node(DM_PRIVATE1, false));		\
		ASSERT_EQ(self->ranges, mc_iomem("hmm_d"));		\
	} else {							\
		ret_ = dm_inject_get(DM_DRIVER, point, "acted");	\
		ASSERT_LE(0, ret_);					\
		ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, true));		\
		ASSERT_WORKS(DM_PRIVATE0);				\
		ASSERT_EQ(0, mc_down(false));				\
	}								\
	ret_;								\
})

#define LOAD_SWEEP(every) do {						\
	int nth_, i_;							\
									\
	ASSERT_EQ(0, mc_down(false));					\
	self->ranges = mc_iomem("hmm_d");				\
	for (i_ = 0; i_ < self->points.n; i_++) {			\
		for (nth_ = 1; nth_ < NTH_MAX; nth_++)			\
			if (!LOAD_ONE(self->points.name[i_], nth_, every)) \
				break;					\
		/* Once for each of the devices, at least. */		\
		EXPECT_LT(2, nth_);					\
		EXPECT_GT(NTH_MAX, nth_);				\
		TH_LOG("point %d: %d times", i_, nth_ - 1);		\
	}								\
} while (0)

TEST_F_TIMEOUT(load, load_nth, dm_timeout(60))
{
	LOAD_SWEEP(0);
}

TEST_F_TIMEOUT(load, load_from_nth_on, dm_timeout(60))
{
	LOAD_SWEEP(1);
}

/* Binding says why not; the other device goes on with its pages. */
TEST_F_TIMEOUT(load, bind, dm_timeout(60))
{
	int other = dm_open(DM_PRIVATE1), nth, i, ret, unbound;
	char how[64];
	long acted;

	ASSERT_LE(0, other);
	ASSERT_TO_DEV(other, &self->theirs, 2, DM_PEER);
	for (i = 0; i < self->points.n; i++) {
		const char *point = self->points.name[i];

		for (nth = 1, acted = 1; acted; nth++) {
			ASSERT_GT(NTH_MAX, nth);
			ASSERT_EQ(0, mc_bind(DM_PRIVATE0, false));
			ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, false));
			unbound = mc_iomem("hmm_d");
			snprintf(how, sizeof(how), "nth=%d every=1 fail", nth);
			ASSERT_EQ(0, dm_inject_arm(DM_DRIVER, point, how));
			ret = mc_bind(DM_PRIVATE0, true);
			acted = dm_inject_get(DM_DRIVER, point, "acted");
			ASSERT_EQ(acted ? -ENOMEM : 0, ret) {
				TH_LOG("point %d, from %d on", i, nth);
			}
			ASSERT_EQ(0, dm_inject_arm(DM_DRIVER, point, ""));
			if (ret) {
				ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, false));
				ASSERT_EQ(unbound, mc_iomem("hmm_d"));
				ASSERT_EQ(0, mc_bind(DM_PRIVATE0, true));
			}
			ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, true));
			ASSERT_ALL(other, self->theirs.ptr, NPAGES, DM_ON_DEV);
			ASSERT_WORKS(DM_PRIVATE0);
		}
		EXPECT_LT(2, nth);
	}
	ASSERT_EQ(0, close(other));
	ASSERT_TAGS(self->theirs.ptr, NPAGES, self->theirs.ptr, 2, DM_PEER);
}

/* What acts while a device is emptied, and how it does. */
static const char * const going[] = {
	"alloc_evict_small", "alloc_evict_large", "copy",
};

static const char * const hows[] = {
	"nth=1 every=1 times=40 fail", "nth=1 every=2 times=20 fail", "nth=7 fail",
	"nth=1 fail",
};

/* Small pages and a large one are on the device, to which nobody has a file. */
#define SETTLE() do {							\
	int fd_ = dm_open(DM_PRIVATE0);					\
									\
	ASSERT_LE(0, fd_);						\
	ASSERT_TO_DEV(fd_, &self->b, 1, DM_CPU);			\
	ASSERT_TO_DEV(fd_, &self->huge, 3, DM_CPU);			\
	ASSERT_EQ(0, close(fd_));					\
} while (0)

#define ASSERT_BACK() do {						\
	ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, false));			\
	ASSERT_TAGS(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);	\
	ASSERT_TAGS(self->huge.ptr, DM_2M_PAGES, self->huge.ptr, 3, DM_CPU); \
} while (0)

#define HUGE() do {							\
	ASSERT_EQ(0, dm_buf_anon(&self->huge, DM_2M_PAGES, DM_BUF_THP));	\
	dm_fill(self->huge.ptr, DM_2M_PAGES, self->huge.ptr, 3, DM_CPU);	\
} while (0)

/* Emptying it passes the points, as can be seen while it is there. */
TEST_F(load, going)
{
	unsigned int i;
	int fd;

	HUGE();
	fd = dm_open(DM_PRIVATE0);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(going); i++) {
		SETTLE();
		ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, going[i], hows[0]));
		dm_release(fd);
		/* Where large pages do not go to the device, none comes back. */
		if (!strstr(going[i], "large") || dm_stat_now(DM_PRIVATE0, "large_in"))
			EXPECT_LT(0, dm_inject_get(DM_PRIVATE0, going[i], "acted")) {
				TH_LOG("point %s", going[i]);
			}
		ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, going[i], ""));
	}
	ASSERT_EQ(0, close(fd));
}

TEST_F_TIMEOUT(load, unbind, dm_timeout(60))
{
	unsigned int i, k;

	HUGE();
	for (i = 0; i < ARRAY_SIZE(going); i++)
		for (k = 0; k < ARRAY_SIZE(hows); k++) {
			SETTLE();
			ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, going[i], hows[k]));
			ASSERT_EQ(0, mc_bind(DM_PRIVATE0, false));
			ASSERT_BACK();
			ASSERT_EQ(0, mc_bind(DM_PRIVATE0, true));
			ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, true));
		}
}

TEST_F_TIMEOUT(load, unload, dm_timeout(60))
{
	unsigned int i;

	HUGE();
	for (i = 0; i < ARRAY_SIZE(going); i++) {
		SETTLE();
		ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, going[i], hows[0]));
		ASSERT_EQ(0, mc_down(false));
		ASSERT_BACK();
		ASSERT_EQ(0, mc_up(PARAMS));
	}
}

/* Free memory that can be used, in MiB. */
static long available_mb(void)
{
	char text[2048], *p;

	if (dm_read_file("/proc/meminfo", text, sizeof(text)) < 0)
		return -1;
	p = strstr(text, "MemAvailable:");
	return p ? atol(p + strlen("MemAvailable:")) / 1024 : -1;
}

/* Failing again and again costs nothing: the memory of the device came back. */
TEST_F_TIMEOUT(load, memory_returns, dm_timeout(60))
{
	long before;
	int i, k;

	for (i = 0; i < self->points.n; i++) {
		ASSERT_EQ(0, mc_bind(DM_PRIVATE0, false));
		before = available_mb();
		for (k = 0; k < ROUNDS; k++) {
			ASSERT_EQ(0, dm_inject_arm(DM_DRIVER, self->points.name[i],
						   "nth=1 every=1 fail"));
			ASSERT_EQ(-ENOMEM, mc_bind(DM_PRIVATE0, true));
		}
		EXPECT_GT(ROUNDS * VRAM_MB / 2, before - available_mb()) {
			TH_LOG("point %d: %ld MiB are missing", i,
			       before - available_mb());
		}
		ASSERT_EQ(0, dm_inject_arm(DM_DRIVER, self->points.name[i], ""));
		ASSERT_EQ(0, mc_bind(DM_PRIVATE0, true));
		ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, true));
	}
}

DM_INJECT_MAIN(1, "vram_mb=4")
