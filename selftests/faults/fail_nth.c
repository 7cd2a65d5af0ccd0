// SPDX-License-Identifier: GPL-2.0
/*
 * The same operations, and loading, unloading, binding and unbinding, with every
 * allocation and every point on their way failing in turn, as the kernel's own
 * fault injection counts them for a task. Owns the module for the time of the
 * program.
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "dm_inject.h"
#include "modctl.h"
#include "ops.h"
#include "stage.h"

#define NTH_MAX		20000L

/*
 * One call with the @nth failure. Returns true if it got that far. The file is
 * read and written through copies that can be made to fail as well.
 */
static bool fail_nth(long nth, int (*call)(void *), void *arg, int *ret)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	char text[24] = "";
	bool failed;

	snprintf(text, sizeof(text), "%ld", nth);
	if (fd < 0 || pwrite(fd, text, strlen(text), 0) < 0) {
		*ret = -ENOSYS;
		return false;
	}
	*ret = call(arg);
	memset(text, 0, sizeof(text));
	/* Had the failure still to come, it comes here. */
	failed = pread(fd, text, sizeof(text) - 1, 0) > 0 && atol(text) == 0;
	while (pwrite(fd, "0", 1, 0) < 0)
		;
	close(fd);
	return failed;
}

/*
 * All of the first ones, then ever fewer: a copy of 2 MiB has 512 points, and
 * loading allocates the same things again for each page of each device.
 */
static long next_nth(long nth)
{
	return nth < 100 ? nth + 1 : nth + nth / 10;
}

static void quiet_kernel(void)
{
	static const char * const files[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[96];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", files[i][0]);
		dm_write_file(path, files[i][1]);
	}
}

#define NTH_SETUP() do {						\
	DM_INJECT_SETUP();						\
	if (access("/proc/thread-self/fail-nth", W_OK))			\
		SKIP(return, "this kernel has no FAULT_INJECTION");	\
	quiet_kernel();							\
} while (0)

FIXTURE(nth) {
	struct dm_ctx dm;
	struct fi f;
};

FIXTURE_VARIANT(nth) { const char *op; };

#define OP(name) FIXTURE_VARIANT_ADD(nth, name) { .op = #name }
FI_OPS(OP);
FI_DRM_OPS(OP);
FI_PLAIN_OPS(OP);

FIXTURE_SETUP(nth)
{
	NTH_SETUP();
	STAGE_PRIVATE(&self->dm);
	ASSERT_NE(NULL, fi_find(variant->op));
	if (!fi_can(fi_find(variant->op)))
		SKIP(return, "this kernel has no DRM");
	ASSERT_EQ(0, fi_init(&self->f, fi_find(variant->op), DM_PRIVATE0));
}

FIXTURE_TEARDOWN(nth)
{
	fi_fini(&self->f);
	stage_teardown(_metadata, &self->dm);
}

static int run_op(void *arg)
{
	struct fi *f = arg;

	return f->op->run(f);
}

TEST_F_TIMEOUT(nth, sweep, dm_timeout(120))
{
	bool failed = true;
	long nth, runs = 0;
	int ret;

	for (nth = 1; failed; nth = next_nth(nth), runs++) {
		ASSERT_GT(NTH_MAX, nth);
		ASSERT_EQ(0, fi_prepare(&self->f)) {
			TH_LOG("%s", self->f.why);
		}
		failed = fail_nth(nth, run_op, &self->f, &ret);
		ASSERT_NE(-ENOSYS, ret);
		ASSERT_EQ(0, fi_judge(&self->f, ret, failed, nth & 1)) {
			TH_LOG("nth %ld: %s", nth, self->f.why);
		}
	}
	/* An operation without a single point would be news. */
	EXPECT_LT(1, runs);
	TH_LOG("%ld runs", runs);
}

FIXTURE(life) {
	struct dm_health health;
	struct dm_buf b;
	int fd;
};

FIXTURE_SETUP(life)
{
	self->fd = -1;
	NTH_SETUP();
	dm_health_begin(&self->health);
	ASSERT_EQ(0, dm_buf_anon(&self->b, FI_SMALL, DM_BUF_SMALL));
	dm_fill(self->b.ptr, FI_SMALL, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(life)
{
	char why[DM_MSG] = "";

	if (self->fd >= 0)
		close(self->fd);
	dm_buf_free(&self->b);
	if (dm_inject_status())
		return;
	EXPECT_EQ(0, mc_up("inject=1 vram_mb=4"));
	if (!dm_node_exists(DM_PRIVATE0))
		EXPECT_EQ(0, mc_bind(DM_PRIVATE0, true));
	EXPECT_EQ(0, mc_wait_node(DM_PRIVATE0, true));
	EXPECT_EQ(0, dm_health_end(&self->health, why)) {
		TH_LOG("%s", why);
	}
}

static int load(void *arg)
{
	return mc_load(MC_DMIRROR, "inject=1 vram_mb=4");
}

static int unload(void *arg)
{
	return mc_unload(MC_DMIRROR);
}

static int bind0(void *arg)
{
	return mc_bind(DM_PRIVATE0, true);
}

static int unbind0(void *arg)
{
	return mc_bind(DM_PRIVATE0, false);
}

/* Some pages go to the device and stay there. */
static int settle(int *fd, struct dm_buf *b)
{
	int ret;

	*fd = dm_open(DM_PRIVATE0);
	if (*fd < 0)
		return *fd;
	ret = dm_to_dev(*fd, b->ptr, b->npages, b->mirror, NULL);
	close(*fd);
	*fd = -1;
	return ret;
}

/* What could not be loaded left nothing; what could works. */
TEST_F_TIMEOUT(life, load, dm_timeout(240))
{
	bool failed = true;
	long nth, runs = 0;
	int ret, ranges;

	ASSERT_EQ(0, mc_down(false));
	ranges = mc_iomem("hmm_d");
	for (nth = 1; failed; nth = next_nth(nth), runs++) {
		ASSERT_GT(NTH_MAX, nth);
		failed = fail_nth(nth, load, NULL, &ret);
		if (ret) {
			ASSERT_TRUE(failed);
			ASSERT_FALSE(mc_loaded(MC_DMIRROR));
			ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, false));
			ASSERT_EQ(ranges, mc_iomem("hmm_d")) {
				TH_LOG("nth %ld: ranges left behind", nth);
			}
			continue;
		}
		/* Small things may be missing, such as a file in debugfs. */
		ASSERT_EQ(0, mc_down(false)) {
			TH_LOG("nth %ld", nth);
		}
	}
	TH_LOG("%ld runs", runs);
}

/* Unloading succeeds whatever fails on the way, and nothing is lost. */
TEST_F_TIMEOUT(life, unload, dm_timeout(240))
{
	bool failed = true;
	long nth, runs = 0;
	int ret;

	for (nth = 1; failed; nth = next_nth(nth), runs++) {
		ASSERT_GT(NTH_MAX, nth);
		ASSERT_EQ(0, mc_up("inject=1 vram_mb=4"));
		ASSERT_EQ(0, settle(&self->fd, &self->b));
		failed = fail_nth(nth, unload, NULL, &ret);
		/* Before it began, the kernel may have had no memory or copy. */
		if (ret)
			ASSERT_EQ(0, mc_unload(MC_DMIRROR));
		ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, false));
		ASSERT_TAGS(self->b.ptr, FI_SMALL, self->b.ptr, 1, DM_CPU);
	}
	TH_LOG("%ld runs", runs);
}

TEST_F_TIMEOUT(life, bind, dm_timeout(240))
{
	bool failed = true;
	long nth, runs = 0;
	int ret;

	for (nth = 1; failed; nth = next_nth(nth), runs++) {
		ASSERT_GT(NTH_MAX, nth);
		ASSERT_EQ(0, mc_bind(DM_PRIVATE0, false));
		ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, false));
		failed = fail_nth(nth, bind0, NULL, &ret);
		if (ret) {
			ASSERT_TRUE(failed);
			ASSERT_EQ(0, mc_bind(DM_PRIVATE0, true)) {
				TH_LOG("nth %ld: %d", nth, ret);
			}
		}
		ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, true));
		ASSERT_EQ(0, settle(&self->fd, &self->b));
		ASSERT_TAGS(self->b.ptr, FI_SMALL, self->b.ptr, 1, DM_CPU);
	}
	TH_LOG("%ld runs", runs);
}

TEST_F_TIMEOUT(life, unbind, dm_timeout(240))
{
	bool failed = true;
	long nth, runs = 0;
	int ret;

	for (nth = 1; failed; nth = next_nth(nth), runs++) {
		ASSERT_GT(NTH_MAX, nth);
		ASSERT_EQ(0, settle(&self->fd, &self->b));
		failed = fail_nth(nth, unbind0, NULL, &ret);
		if (ret)
			ASSERT_EQ(0, mc_bind(DM_PRIVATE0, false));
		ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, false));
		ASSERT_TAGS(self->b.ptr, FI_SMALL, self->b.ptr, 1, DM_CPU);
		ASSERT_EQ(0, mc_bind(DM_PRIVATE0, true));
		ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, true));
	}
	TH_LOG("%ld runs", runs);
}

DM_INJECT_MAIN(1, "vram_mb=4")
