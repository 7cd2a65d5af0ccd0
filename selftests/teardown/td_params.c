// SPDX-License-Identifier: GPL-2.0
/*
 * Loading that must fail: parameters that make no sense, and the company of the
 * kernel's own test module. Says why in the log, leaves nothing behind, and the
 * next proper load works. Owns the module for the time of a test; no locks.
 */
#define _GNU_SOURCE
#include <string.h>

#include "teardown.h"

FIXTURE(td_params) {
	struct td td;
	int log;
};

FIXTURE_SETUP(td_params)
{
	self->log = -1;
	TD_SETUP(&self->td);
	ASSERT_EQ(0, mc_down(false));
	self->log = mc_kmsg_open();
	ASSERT_LE(0, self->log);
}

FIXTURE_TEARDOWN(td_params)
{
	close(self->log);
	td_restore(_metadata, &self->td);
}

struct bad {
	const char	*params;
	int		err;
	const char	*says;		/* NULL: the kernel's own parser */
};

/* Each is refused with its errno, says which parameter, and leaves nothing. */
TEST_F(td_params, refused)
{
	static const struct bad bad[] = {
		{ "vram_mb=0", -EINVAL, "vram_mb" },
		{ "vram_mb=1", -EINVAL, "vram_mb" },
		{ "vram_mb=17", -EINVAL, "vram_mb" },
		{ "vram_mb=65538", -EINVAL, "vram_mb" },
		{ "vram_mb=4294967294", -EINVAL, "vram_mb" },
		{ "vram_mb=-2", -EINVAL, NULL },
		{ "vram_mb=much", -EINVAL, NULL },
		{ "vram_mb=", -EINVAL, NULL },
		{ "vram_mb=4294967296", -ERANGE, NULL },
		{ "fault_around_kb=0", -EINVAL, "fault_around_kb" },
		{ "fault_around_kb=2", -EINVAL, "fault_around_kb" },
		{ "fault_around_kb=48", -EINVAL, "fault_around_kb" },
		{ "fault_around_kb=4096", -EINVAL, "fault_around_kb" },
		{ "spm_addr_dev0=0x100000000", -EINVAL, "spm_addr_dev" },
		{ "spm_addr_dev1=0x100000000", -EINVAL, "spm_addr_dev" },
		{ "inject=3", -EINVAL, "inject" },
		{ "inject=-1", -EINVAL, NULL },
		{ "inject=1 inject_arm=nowhere:nth=1,fail", -EINVAL, "inject_arm" },
		{ "inject=1 inject_arm=pool:nth=1,fall", -EINVAL, "inject_arm" },
		{ "inject=1 inject_arm=pool", -EINVAL, "inject_arm" },
		{ "inject=1 inject_arm=commit:nth=1,fail", -EINVAL, "inject_arm" },
		{ "inject=1 inject_arm=skip_copy:nth=1", -EPERM, "inject_arm" },
		{ "inject_arm=pool:nth=1,fail", -EPERM, "inject_arm" },
	};
	int ranges = mc_iomem("hmm_d");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(bad[i].err, mc_load(MC_DMIRROR, bad[i].params)) {
			TH_LOG("%s", bad[i].params);
		}
		ASSERT_FALSE(mc_loaded(MC_DMIRROR));
		ASSERT_FALSE(dm_node_exists(0));
		ASSERT_EQ(ranges, mc_iomem("hmm_d"));
		if (bad[i].says)
			ASSERT_TRUE(mc_kmsg_find(self->log, bad[i].says, NULL,
						 0)) {
				TH_LOG("%s: nothing in the log",
				       bad[i].params);
			}
	}
}

/* Physical ranges that cannot be device memory: refused, rolled back whole. */
TEST_F(td_params, bad_ranges)
{
	static const char *const params[] = {
		/* not the start of anything */
		"vram_mb=4 spm_addr_dev0=0x1001 spm_addr_dev1=0x40000001",
		/* System RAM on any machine that has 64 MiB */
		"vram_mb=4 spm_addr_dev0=0x2000000 spm_addr_dev1=0x2400000",
		/* beyond every physical address */
		"vram_mb=4 spm_addr_dev0=0xfffffffff8000000 spm_addr_dev1=0xfffffffffc000000",
	};
	int ranges = mc_iomem("hmm_d"), ret;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(params); i++) {
		ret = mc_load(MC_DMIRROR, params[i]);
		ASSERT_GT(0, ret) {
			TH_LOG("%s was accepted", params[i]);
		}
		ASSERT_FALSE(mc_loaded(MC_DMIRROR));
		ASSERT_FALSE(dm_node_exists(0));
		ASSERT_FALSE(dm_node_exists(2));
		ASSERT_EQ(ranges, mc_iomem("hmm_d"));
	}
}

/*
 * More memory than there is: an error, not an out-of-memory killer. Should it
 * come to that, this process is the one to go, and the test has failed.
 */
TEST_F(td_params, too_much_memory)
{
	ASSERT_EQ(0, dm_write_file("/proc/self/oom_score_adj", "1000"));
	ASSERT_EQ(-ENOMEM, mc_load(MC_DMIRROR, "vram_mb=65536"));
	ASSERT_EQ(0, dm_write_file("/proc/self/oom_score_adj", "0"));
	ASSERT_FALSE(mc_loaded(MC_DMIRROR));
	ASSERT_FALSE(dm_node_exists(0));
}

/* Smallest and odd but proper values work. */
TEST_F(td_params, accepted)
{
	static const char *const params[] = {
		"vram_mb=2", "vram_mb=2 fault_around_kb=4",
		"vram_mb=6 fault_around_kb=2048",
	};
	struct dm_buf b;
	unsigned int i;
	int fd;

	ASSERT_EQ(0, dm_buf_anon(&b, SMALL_PAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, SMALL_PAGES, b.ptr, 1, DM_CPU);
	for (i = 0; i < ARRAY_SIZE(params); i++) {
		ASSERT_EQ(0, mc_load(MC_DMIRROR, params[i])) {
			TH_LOG("%s", params[i]);
		}
		ASSERT_EQ(0, mc_wait_node(0, true));
		fd = dm_open(DM_PRIVATE0);
		ASSERT_LE(0, fd);
		ASSERT_TO_DEV(fd, &b, 1, DM_CPU);
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(0, mc_down(false));
		ASSERT_HOME(&b, 1, DM_CPU);
	}
	dm_buf_free(&b);
}

/* Step @step of the next hmm_devmem_add() fails. */
static int fail_step(int step)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", step);
	return dm_write_file("/sys/kernel/debug/hmm_devmem/fail_step", text);
}

/* All of /proc/iomem and the directories in debugfs. */
static void traces(char *buf, size_t len)
{
	FILE *f = popen("cat /proc/iomem; ls /sys/kernel/debug/hmm_d*", "r");
	size_t n = f ? fread(buf, 1, len - 1, f) : 0;

	buf[n] = '\0';
	if (f)
		pclose(f);
}

/*
 * The memory of a device fails at each of its steps: loading says ENOMEM and
 * leaves nothing, binding leaves the other device as it is.
 */
TEST_F(td_params, memory_fails)
{
	static char before[65536], after[65536];
	int step;

	ASSERT_EQ(0, mc_loaded(MC_DEVMEM) ? 0 : mc_load(MC_DEVMEM, ""));
	traces(before, sizeof(before));
	ASSERT_NE(NULL, strstr(before, "System RAM"));
	for (step = 1; step <= 4; step++) {
		ASSERT_EQ(0, fail_step(step));
		EXPECT_EQ(-ENOMEM, mc_load(MC_DMIRROR, "vram_mb=4")) {
			TH_LOG("step %d", step);
		}
		ASSERT_FALSE(mc_loaded(MC_DMIRROR));
		ASSERT_EQ(0, mc_wait_node(0, false));
		traces(after, sizeof(after));
		EXPECT_STREQ(before, after);
	}
	ASSERT_EQ(0, mc_load(MC_DMIRROR, "vram_mb=4"));
	ASSERT_EQ(0, mc_wait_node(1, true));
	ASSERT_EQ(0, mc_bind(1, false));
	ASSERT_EQ(0, mc_wait_node(1, false));
	traces(before, sizeof(before));
	for (step = 1; step <= 4; step++) {
		ASSERT_EQ(0, fail_step(step));
		EXPECT_EQ(-ENOMEM, mc_bind(1, true)) {
			TH_LOG("step %d", step);
		}
		EXPECT_FALSE(dm_node_exists(1));
		EXPECT_TRUE(dm_node_exists(0));
		traces(after, sizeof(after));
		EXPECT_STREQ(before, after);
	}
	ASSERT_EQ(0, mc_bind(1, true));
	ASSERT_EQ(0, mc_wait_node(1, true));
}

/* Beside test_hmm: refused with a sentence that names it; its nodes work on. */
TEST_F(td_params, beside_test_hmm)
{
	char line[256];
	int fd;

	if (!mc_have("test_hmm"))
		SKIP(return, "no test_hmm.ko beside the modules");
	ASSERT_EQ(0, mc_load("test_hmm", ""));
	ASSERT_EQ(0, mc_wait_node(0, true));
	ASSERT_EQ(-EBUSY, mc_load(MC_DMIRROR, ""));
	ASSERT_FALSE(mc_loaded(MC_DMIRROR));
	ASSERT_TRUE(mc_kmsg_find(self->log, "unload test_hmm", line,
				 sizeof(line)));
	ASSERT_NE(NULL, strstr(line, MC_DMIRROR));
	fd = open("/dev/hmm_dmirror0", O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, mc_unload("test_hmm"));
	ASSERT_EQ(0, mc_wait_node(0, false));
	ASSERT_EQ(0, mc_load(MC_DMIRROR, "vram_mb=4"));
}

/* hmm_devmem stays as long as somebody builds on it. */
TEST_F(td_params, devmem_in_use)
{
	ASSERT_EQ(0, mc_load(MC_DMIRROR, "vram_mb=4"));
	ASSERT_EQ(-EAGAIN, mc_unload(MC_DEVMEM));
	ASSERT_EQ(0, mc_unload(MC_DMIRROR));
	ASSERT_EQ(0, mc_unload(MC_DEVMEM));
	ASSERT_EQ(0, mc_iomem("hmm_d"));
	/* And without it there is nothing to build on. */
	ASSERT_EQ(-ENOENT, mc_load(MC_DMIRROR, "vram_mb=4"));
}

TEST_HARNESS_MAIN
