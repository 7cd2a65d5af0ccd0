// SPDX-License-Identifier: GPL-2.0
/*
 * The device at work, held between looking up a translation and using it, or
 * while it copies, when the page moves or the mapping changes. What it looked up
 * is not used once it is outdated; what it has begun is waited for.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "stage.h"
#include "windows.h"

FIXTURE(device) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct hand dev, other;
};

FIXTURE_VARIANT(device) { bool resident; };
FIXTURE_VARIANT_ADD(device, system) { false };
FIXTURE_VARIANT_ADD(device, resident) { true };

FIXTURE_SETUP(device)
{
	DM_INJECT_SETUP();
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, WIN_PAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, WIN_PAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, hand_init(&self->dev, DM_PRIVATE0, &self->b));
	ASSERT_EQ(0, hand_init(&self->other, DM_PRIVATE0, &self->b));
	self->dev.gen = 2;
	self->other.gen = 3;
	if (variant->resident)
		ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
}

FIXTURE_TEARDOWN(device)
{
	dm_inject_off(DM_PRIVATE0);
	hand_fini(&self->dev);
	hand_fini(&self->other);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* The device does @what and is held at @point. */
#define HOLD(point, what) do {						\
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, point, WIN_ARM));	\
	hand_start(&self->dev, what);					\
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, point, 1));		\
} while (0)

#define LET_GO(point) do {						\
	ASSERT_EQ(1, dm_inject_get(DM_PRIVATE0, point, "acted"));	\
	ASSERT_EQ(1, dm_inject_get(DM_PRIVATE0, point, "waiting")) {	\
		TH_LOG("the window closed by itself");			\
	}								\
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, point, ""));		\
} while (0)

/*
 * Looked up, not installed yet: @act needs not wait for the device, which has to
 * look again.
 */
#define OUTDATE(what, act) do {						\
	HOLD("install", what);						\
	hand_start(&self->other, act);					\
	ASSERT_EQ(0, hand_wait(&self->other));				\
	LET_GO("install");						\
	ASSERT_NE(-ETIMEDOUT, hand_wait(&self->dev));			\
	EXPECT_MOVED_MIN(&self->dm, "dev_fault_retries", 1);		\
} while (0)

TEST_F(device, read_outdated_by_dontneed)
{
	OUTDATE(do_dev_read, do_dontneed);
	EXPECT_EQ(0, self->dev.ret);
	ASSERT_ZERO_PAGES(self->dev.scratch, WIN_PAGES);
}

TEST_F(device, write_outdated_by_dontneed)
{
	OUTDATE(do_dev_write, do_dontneed);
	EXPECT_EQ(0, self->dev.ret);
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

TEST_F(device, read_outdated_by_munmap)
{
	OUTDATE(do_dev_read, do_munmap);
	EXPECT_EQ(-EFAULT, self->dev.ret);
	EXPECT_EQ(0, self->dev.res.cpages);
}

TEST_F(device, write_outdated_by_munmap)
{
	OUTDATE(do_dev_write, do_munmap);
	EXPECT_EQ(-EFAULT, self->dev.ret);
	EXPECT_EQ(0, self->dev.res.cpages);
}

TEST_F(device, write_outdated_by_mprotect)
{
	OUTDATE(do_dev_write, do_protect);
	EXPECT_EQ(-EPERM, self->dev.ret);
	EXPECT_EQ(0, self->dev.res.cpages);
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 1, DM_CPU);
}

static int do_move(struct hand *h)
{
	/* Whichever way they can go. */
	int ret = do_in(h);

	return ret ? ret : do_out(h);
}

TEST_F(device, read_outdated_by_migration)
{
	OUTDATE(do_dev_read, do_move);
	EXPECT_EQ(0, self->dev.ret);
	ASSERT_TAGS(self->dev.scratch, WIN_PAGES, self->b.ptr, 1, DM_CPU);
}

TEST_F(device, write_outdated_by_migration)
{
	OUTDATE(do_dev_write, do_move);
	EXPECT_EQ(0, self->dev.ret);
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

TEST_F(device, write_outdated_by_eviction)
{
	if (!variant->resident)
		return;
	OUTDATE(do_dev_write, do_release);
	EXPECT_EQ(0, self->dev.ret);
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

static pid_t forked;
static struct sc_sync written;

static int do_fork(struct hand *h)
{
	forked = fork();
	if (forked < 0)
		return -errno;
	if (forked)
		return 0;
	if (sc_wait(&written))
		_exit(99);
	_exit(dm_verify(h->b->ptr, h->b->npages, h->b->ptr, 1, DM_CPU, NULL));
}

/* The child has what was there before the device wrote. */
TEST_F(device, write_outdated_by_fork)
{
	ASSERT_EQ(0, sc_sync_init(&written));
	OUTDATE(do_dev_write, do_fork);
	EXPECT_EQ(0, self->dev.ret);
	sc_post(&written);
	EXPECT_EQ(0, sc_reap(forked));
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

/*
 * In the middle of a copy: @act has to wait. It is at its invalidation, and goes
 * on as soon as the device is done.
 */
#define INTERRUPT(what, act) do {					\
	HOLD("access", what);						\
	hand_start(&self->other, act);					\
	ASSERT_TRUE(hand_stuck(&self->other)) {				\
		TH_LOG("it did not wait for the device");		\
	}								\
	LET_GO("access");						\
	ASSERT_EQ(0, hand_wait(&self->dev));				\
	ASSERT_EQ(0, hand_wait(&self->other));				\
} while (0)

TEST_F(device, move_during_write)
{
	INTERRUPT(do_dev_write, variant->resident ? do_out : do_in);
	ASSERT_ALL(self->dm.fd, self->b.ptr, WIN_PAGES,
		   variant->resident ? DM_SYS : DM_ON_DEV);
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

TEST_F(device, cpu_fault_during_write)
{
	if (!variant->resident)
		return;
	INTERRUPT(do_dev_write, do_touch);
	ASSERT_ALL(self->dm.fd, self->b.ptr, WIN_PAGES, DM_SYS);
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

TEST_F(device, cpu_write_after_device_write)
{
	if (!variant->resident)
		return;
	INTERRUPT(do_dev_write, do_store);
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 3, DM_CPU);
}

TEST_F(device, eviction_during_write)
{
	if (!variant->resident)
		return;
	INTERRUPT(do_dev_write, do_release);
	ASSERT_ALL(self->dm.fd, self->b.ptr, WIN_PAGES, DM_SYS);
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

TEST_F(device, dontneed_during_write)
{
	INTERRUPT(do_dev_write, do_dontneed);
	ASSERT_ZERO_PAGES(self->b.ptr, WIN_PAGES);
}

TEST_F(device, munmap_during_read)
{
	INTERRUPT(do_dev_read, do_munmap);
	ASSERT_TAGS(self->dev.scratch, WIN_PAGES, self->b.ptr, 1, DM_CPU);
}

TEST_F(device, protect_during_write)
{
	INTERRUPT(do_dev_write, do_protect);
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

/* The child is made after the write, and has all of it. */
static int do_fork_written(struct hand *h)
{
	forked = fork();
	if (forked < 0)
		return -errno;
	if (forked)
		return 0;
	_exit(dm_verify(h->b->ptr, h->b->npages, h->b->ptr, 2, DM_DEV, NULL));
}

TEST_F(device, fork_during_write)
{
	INTERRUPT(do_dev_write, do_fork_written);
	EXPECT_EQ(0, sc_reap(forked));
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

/* The invalidation itself is held: the device may still write, and is not lost. */
TEST_F(device, write_before_held_invalidation)
{
	/* The entries are there, so that the write needs no fault. */
	ASSERT_EQ(0, dm_write(self->dev.fd, self->b.ptr, WIN_PAGES, self->b.ptr,
			      NULL));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, "invalidate", WIN_ARM));
	hand_start(&self->other, do_dontneed);
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, "invalidate", 1));
	hand_start(&self->dev, do_dev_write);
	hand_settle(&self->dev);
	LET_GO("invalidate");
	ASSERT_EQ(0, hand_wait(&self->other));
	ASSERT_EQ(0, hand_wait(&self->dev));
	/* Before or after it, but whole: gone, or there. */
	if (*(volatile __u64 *)self->b.ptr)
		ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
	else
		ASSERT_ZERO_PAGES(self->b.ptr, WIN_PAGES);
}

DM_INJECT_MAIN(1, "")
