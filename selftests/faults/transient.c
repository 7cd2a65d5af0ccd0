// SPDX-License-Identifier: GPL-2.0
/*
 * References that come while pages move or are about to be evicted, and go again. A page
 * that somebody holds stays, and stays the only one: what the device writes to it
 * afterwards is what the holder has. None is lost, and once let go of it moves.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "stage.h"
#include "windows.h"

#define FIRST	5UL	/* held pages of the range */
#define HELD	3UL

FIXTURE(transient) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct hand mover;
	int pipe[2];
};

/* @resident: on the device at the start, and coherent, or the holder would fetch them */
FIXTURE_VARIANT(transient) {
	const char *window;
	hand_fn mover;
	bool resident;
	int index;
	int peer;
};

FIXTURE_VARIANT_ADD(transient, private_in) {
	"collect", do_in, false, DM_PRIVATE0, DM_PRIVATE1 };
FIXTURE_VARIANT_ADD(transient, coherent_in) {
	"collect", do_in, false, DM_COHERENT0, DM_COHERENT1 };
FIXTURE_VARIANT_ADD(transient, coherent_out) {
	"collect", do_out, true, DM_COHERENT0, DM_COHERENT1 };
FIXTURE_VARIANT_ADD(transient, coherent_evict) {
	"evict", do_release, true, DM_COHERENT0, DM_COHERENT1 };

FIXTURE_SETUP(transient)
{
	self->pipe[0] = -1;
	self->pipe[1] = -1;
	DM_INJECT_SETUP();
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, dm_buf_anon(&self->b, WIN_PAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, WIN_PAGES, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, hand_init(&self->mover, variant->index, &self->b));
	if (variant->resident)
		ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	ASSERT_EQ(0, dm_inject_arm(variant->index, variant->window, WIN_ARM));
	hand_start(&self->mover, variant->mover);
	ASSERT_EQ(0, dm_inject_wait(variant->index, variant->window, 1));
}

FIXTURE_TEARDOWN(transient)
{
	dm_inject_off(variant->index);
	close(self->pipe[0]);
	close(self->pipe[1]);
	hand_fini(&self->mover);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

static __u8 *held(struct dm_buf *b)
{
	return b->ptr + FIRST * DM_PAGE;
}

/* A pipe has the pages from here on, and only their number tells them from others. */
static int take(int pipe, struct dm_buf *b)
{
	struct iovec iov = { held(b), HELD * DM_PAGE };

	return vmsplice(pipe, &iov, 1, 0) == (ssize_t)iov.iov_len ? 0 : -errno;
}

static int let_go(int pipe, void *into)
{
	ssize_t n, got = 0, len = HELD * DM_PAGE;

	while (got < len) {
		n = read(pipe, into + got, len - got);
		if (n <= 0)
			return -EIO;
		got += n;
	}
	return 0;
}

#define CLOSE_WINDOW() do {						\
	ASSERT_EQ(1, dm_inject_get(variant->index, variant->window, "waiting")) { \
		TH_LOG("the window closed by itself");			\
	}								\
	ASSERT_EQ(0, dm_inject_arm(variant->index, variant->window, ""));	\
	ASSERT_NE(-ETIMEDOUT, hand_wait(&self->mover));			\
} while (0)

/* Somewhere else than where they were, or where they were. */
#define EXPECT_MOVED_ON(addr, n)					\
	EXPECT_ALL(self->dm.fd, addr, n, variant->resident ? DM_SYS : DM_ON_DEV)
#define EXPECT_STAYED(addr, n)						\
	EXPECT_ALL(self->dm.fd, addr, n, variant->resident ? DM_ON_DEV : DM_SYS)

/* Taken in the window and kept: there is one copy, and everybody has it. */
TEST_F(transient, kept)
{
	__u64 before[HELD], after[HELD];
	unsigned long i, rest = FIRST + HELD;

	ASSERT_EQ(0, dm_pagemap(held(&self->b), HELD, before));
	ASSERT_EQ(0, take(self->pipe[1], &self->b));
	CLOSE_WINDOW();
	EXPECT_STAYED(held(&self->b), HELD);
	EXPECT_MOVED_ON(self->b.ptr, FIRST);
	EXPECT_MOVED_ON(self->b.ptr + rest * DM_PAGE, WIN_PAGES - rest);
	ASSERT_EQ(0, dm_pagemap(held(&self->b), HELD, after));
	for (i = 0; i < HELD; i++)
		EXPECT_EQ(dm_pm_pfn(before[i]), dm_pm_pfn(after[i]));
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 2, DM_DEV);
	/* More often than it would take to make a copy of one that has been moved. */
	for (i = 0; i < 3; i++)
		variant->mover(&self->mover);
	EXPECT_STAYED(held(&self->b), HELD);
	ASSERT_EQ(0, let_go(self->pipe[0], self->mover.scratch));
	EXPECT_TAGS(self->mover.scratch, HELD, held(&self->b), 2, DM_DEV);
	EXPECT_EQ(0, variant->mover(&self->mover));
	EXPECT_MOVED_ON(self->b.ptr, WIN_PAGES);
	ASSERT_DEV_READS(self->dm.fd, &self->b, 2, DM_DEV);
	EXPECT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

/* Taken and let go of within the window: as if nothing had been. */
TEST_F(transient, gone_again)
{
	ASSERT_EQ(0, take(self->pipe[1], &self->b));
	ASSERT_EQ(0, let_go(self->pipe[0], self->b.mirror));
	EXPECT_TAGS(self->b.mirror, HELD, held(&self->b), 1, DM_CPU);
	CLOSE_WINDOW();
	EXPECT_EQ(0, self->mover.ret);
	EXPECT_MOVED_ON(self->b.ptr, WIN_PAGES);
	ASSERT_DEV_WRITES(self->dm.fd, &self->b, 2, DM_DEV);
	EXPECT_EQ(0, dm_release(self->dm.fd));
	EXPECT_EQ(0, dm_stat_now(variant->index, "vram_resident_pages"));
	EXPECT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
}

DM_INJECT_MAIN(1, "")
