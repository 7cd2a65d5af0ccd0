// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection itself: what can be asked of a point, that it counts as it
 * says, that a delay is bounded and ends early, and that there is nothing of it
 * unless the driver was told so. Owns the module for the time of the program.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "dm_inject.h"
#include "modctl.h"
#include "stage.h"

#define NPAGES	32UL
#define ARMED	"inject_arm=reserve:nth=2,every=3,fail;commit:nth=1,delay_us=5"
#define DIR0	"/sys/kernel/debug/hmm_dmirror/0/"

FIXTURE(points) {
	struct dm_ctx dm;
	struct dm_buf b;
};

FIXTURE_SETUP(points)
{
	DM_INJECT_SETUP();
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(points)
{
	dm_inject_off(DM_PRIVATE0);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

static long get(const char *point, const char *key)
{
	return dm_inject_get(DM_PRIVATE0, point, key);
}

static int arm(const char *point, const char *how)
{
	return dm_inject_arm(DM_PRIVATE0, point, how);
}

/* What is written is what is read; nonsense is refused and changes nothing. */
TEST_F(points, control)
{
	static const char * const bad[] = {
		"nth", "nth=", "nth=x", "nth=-1", "nth=4294967296", "fail=1",
		"often", "delay_us=10000001", "nth=1 nonsense=2", "nth = 1",
	};
	char text[200];
	unsigned int i;

	ASSERT_EQ(0, arm("copy", "nth=3 every=5,times=7 delay_us=9 fail"));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_GT(0, arm("copy", bad[i]))
			TH_LOG("text %u was accepted", i);
	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = 0;
	EXPECT_EQ(-EINVAL, arm("copy", text));
	EXPECT_EQ(3, get("copy", "nth"));
	EXPECT_EQ(5, get("copy", "every"));
	EXPECT_EQ(7, get("copy", "times"));
	EXPECT_EQ(9, get("copy", "delay_us"));
	EXPECT_EQ(1, get("copy", "fail"));
	EXPECT_EQ(-EINVAL, arm("commit", "nth=1 fail"));
	EXPECT_EQ(0, arm("commit", "nth=1 delay_us=10000000"));
	EXPECT_EQ(0, arm("copy", ""));
	EXPECT_EQ(0, get("copy", "nth"));
}

/* Only root sees the files, and there is no sabotage at this level. */
TEST_F(points, files)
{
	struct stat st;

	ASSERT_EQ(0, stat(DIR0 "inject/copy/control", &st));
	EXPECT_EQ(0600, st.st_mode & 0777);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_NE(0, access(DIR0 "sabotage", F_OK));
	EXPECT_GT(0, arm("skip_copy", "nth=1"));
}

/* nth, every and times, at a point that is hit once a page. */
TEST_F(points, counting)
{
	static const struct {
		const char *how;
		long acted;
	} want[] = {
		{ "delay_us=1", 0 },
		{ "nth=1 delay_us=1", 1 },
		{ "nth=32 delay_us=1", 1 },
		{ "nth=33 delay_us=1", 0 },
		{ "nth=1 every=1 delay_us=1", 32 },
		{ "nth=3 every=10 delay_us=1", 3 },
		{ "nth=2 every=1 times=5 delay_us=1", 5 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		ASSERT_EQ(0, arm("copy", want[i].how));
		ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
		EXPECT_EQ(32, get("copy", "hits"));
		EXPECT_EQ(want[i].acted, get("copy", "acted"))
			TH_LOG("case %u", i);
		EXPECT_EQ(0, get("copy", "waiting"));
		ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->b.ptr, NPAGES, NULL));
	}
}

/* Of one device only. */
TEST_F(points, per_device)
{
	int other = dm_open(DM_PRIVATE1);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, arm("reserve", "nth=1 every=1 fail"));
	ASSERT_TO_DEV(other, &self->b, 1, DM_CPU);
	EXPECT_EQ(0, get("reserve", "hits"));
	EXPECT_EQ(-ENOENT, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
				     self->b.mirror, NULL));
	EXPECT_LT(0, get("reserve", "acted"));
	EXPECT_EQ(0, close(other));
}

static void *mover(void *arg)
{
	struct dm_buf *b = arg;
	int fd = dm_open(DM_PRIVATE0);
	long ret = fd < 0 ? fd : dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL);

	close(fd);
	return (void *)ret;
}

/* A delay lasts as long as was asked for ... */
TEST_F(points, delay)
{
	long long start = sc_now_ms();

	ASSERT_EQ(0, arm("commit", "nth=1 delay_us=300000"));
	ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	EXPECT_LE(300, sc_now_ms() - start);
	EXPECT_EQ(1, get("commit", "acted"));
}

/* ... unless it is called off ... */
TEST_F(points, delay_called_off)
{
	long long start = sc_now_ms();
	pthread_t t;
	void *ret;

	ASSERT_EQ(0, arm("commit", "nth=1 delay_us=10000000"));
	ASSERT_EQ(0, pthread_create(&t, NULL, mover, &self->b));
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, "commit", 1));
	ASSERT_EQ(0, arm("commit", ""));
	ASSERT_EQ(0, pthread_join(t, &ret));
	EXPECT_EQ(NULL, ret);
	EXPECT_GT(9000, sc_now_ms() - start);
	EXPECT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
}

/* ... or the task is killed. */
TEST_F(points, delay_killed)
{
	long long start = sc_now_ms();
	pid_t pid;

	ASSERT_EQ(0, arm("commit", "nth=1 delay_us=10000000"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		mover(&self->b);
		_exit(0);
	}
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, "commit", 1));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_GT(9000, sc_now_ms() - start);
	EXPECT_EQ(0, get("commit", "waiting"));
}

/* What a device begins with, and that a new life begins with it again. */
TEST_F(points, armed_from_the_start)
{
	ASSERT_EQ(0, close(self->dm.fd));
	self->dm.fd = -1;
	ASSERT_EQ(0, dm_inject_end());
	EXPECT_NE(0, access(DIR0 "inject", F_OK));
	EXPECT_NE(0, access("/sys/kernel/debug/hmm_dmirror/inject", F_OK));
	EXPECT_EQ(0, dm_inject_begin(1, ARMED));
	EXPECT_EQ(2, get("reserve", "nth"));
	EXPECT_EQ(3, get("reserve", "every"));
	EXPECT_EQ(1, get("reserve", "fail"));
	EXPECT_EQ(5, get("commit", "delay_us"));
	ASSERT_EQ(0, arm("reserve", "nth=7"));
	ASSERT_EQ(0, mc_bind(0, false));
	ASSERT_EQ(0, mc_bind(0, true));
	ASSERT_EQ(0, mc_wait_node(0, true));
	EXPECT_EQ(2, get("reserve", "nth"));
	ASSERT_EQ(0, dm_inject_end());
	EXPECT_EQ(0, dm_inject_begin(1, ""));
}

DM_INJECT_MAIN(1, "")
