// SPDX-License-Identifier: GPL-2.0
/*
 * Private pages of a file mapping on their way to the device while the file loses what
 * they were made from. Truncation takes private copies with it, a hole does not: it takes
 * only what is the file's. Held in each window of the move.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>

#include "stage.h"
#include "windows.h"

/* The second half of the file goes. */
#define KEPT	(WIN_PAGES / 2)
#define GOES	(WIN_PAGES - KEPT)
/* Of the content of the file, which is somebody else's. */
#define GEN	7

FIXTURE(file) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct hand mover, other;
	int fd;
};

FIXTURE_VARIANT(file) { const char *window; int index; int peer; };

#define WINDOW(w)							\
	FIXTURE_VARIANT_ADD(file, w) { #w, DM_PRIVATE0, DM_PRIVATE1 };	\
	FIXTURE_VARIANT_ADD(file, coherent_##w) { #w, DM_COHERENT0, DM_COHERENT1 }
WINDOW(collect);
WINDOW(copy);
WINDOW(commit);
WINDOW(finalize);

/* The hands' file; they have no arguments. */
static int victim;

/* One of two is a copy of the process's own, which alone can move. */
static bool is_copy(unsigned long page)
{
	return page % 2;
}

static void make_copies(struct dm_buf *b)
{
	unsigned long i;

	for (i = 0; i < WIN_PAGES; i++) {
		__u8 *at = b->ptr + i * DM_PAGE;

		if (is_copy(i))
			dm_fill(at, 1, at, 1, DM_CPU);
		else
			(void)*(volatile __u8 *)at;
	}
}

FIXTURE_SETUP(file)
{
	DM_INJECT_SETUP();
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->fd = memfd_create("victim", MFD_CLOEXEC);
	ASSERT_LE(0, self->fd);
	victim = self->fd;
	ASSERT_EQ(0, dm_buf_map(&self->b, WIN_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE,
				self->fd, 0));
	dm_fill(self->b.mirror, WIN_PAGES, self->b.ptr, GEN, DM_PEER);
	ASSERT_EQ(self->b.size, pwrite(self->fd, self->b.mirror, self->b.size, 0));
	make_copies(&self->b);
	ASSERT_EQ(0, hand_init(&self->mover, variant->index, &self->b));
	ASSERT_EQ(0, hand_init(&self->other, variant->index, &self->b));
	ASSERT_EQ(0, dm_inject_arm(variant->index, variant->window, WIN_ARM));
	hand_start(&self->mover, do_in);
	ASSERT_EQ(0, dm_inject_wait(variant->index, variant->window, 1));
}

FIXTURE_TEARDOWN(file)
{
	dm_inject_off(variant->index);
	hand_fini(&self->mover);
	hand_fini(&self->other);
	dm_buf_free(&self->b);
	close(self->fd);
	stage_teardown(_metadata, &self->dm);
}

static int do_truncate(struct hand *h)
{
	return ftruncate(victim, KEPT * DM_PAGE) ? -errno : 0;
}

static int do_punch(struct hand *h)
{
	return fallocate(victim, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 KEPT * DM_PAGE, GOES * DM_PAGE) ? -errno : 0;
}

/* It does that while the window is open, which then is left because we say so. */
#define MEET(act) do {							\
	int ret_;							\
									\
	hand_start(&self->other, act);					\
	hand_settle(&self->other);					\
	ASSERT_EQ(1, dm_inject_get(variant->index, variant->window, "waiting")) { \
		TH_LOG("the window closed by itself");			\
	}								\
	ASSERT_EQ(0, dm_inject_arm(variant->index, variant->window, ""));	\
	ASSERT_EQ(0, hand_wait(&self->other));				\
	ret_ = hand_wait(&self->mover);					\
	/* Pages of the file do not move. */				\
	EXPECT_TRUE(ret_ == -ENOENT || ret_ == -EFAULT || ret_ == -EINVAL) {	\
		TH_LOG("the move says %d", ret_);			\
	}								\
} while (0)

/* By the device first: the CPU fetches what it looks at. */
static void expect_pages(struct __test_metadata *_metadata, struct dm_ctx *dm,
			 struct dm_buf *b, unsigned long first, unsigned long n)
{
	__u8 *seen = b->mirror + first * DM_PAGE, *at = b->ptr + first * DM_PAGE;
	unsigned long i;

	memset(seen, 0xff, n * DM_PAGE);
	ASSERT_EQ(0, dm_read(dm->fd, at, n, seen, NULL));
	for (i = 0; i < n; i++, at += DM_PAGE, seen += DM_PAGE) {
		bool copy = is_copy(first + i), hole = !copy && first + i >= KEPT;

		if (hole)
			EXPECT_ZERO_PAGES(seen, 1);
		else
			EXPECT_TAGS(seen, 1, at, copy ? 1 : GEN, copy ? DM_CPU : DM_PEER);
		EXPECT_EQ(0, memcmp(seen, at, DM_PAGE)) {
			TH_LOG("the CPU sees another page %lu", first + i);
		}
	}
}

TEST_F(file, truncated)
{
	__u8 *gone = self->b.ptr + KEPT * DM_PAGE;

	MEET(do_truncate);
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, gone, 1, self->b.mirror, NULL));
	EXPECT_EQ(-EFAULT, dm_write(self->dm.fd, gone, 1, self->b.mirror, NULL));
	/* The copies went with the file, on the device as well. */
	EXPECT_GE(KEPT / 2, dm_stat_now(variant->index, "vram_resident_pages"));
	EXPECT_EQ(0, dm_stat_now(variant->index, "vram_inflight_pages"));
	expect_pages(_metadata, &self->dm, &self->b, 0, KEPT);

	/* It grows again: new pages, with nothing of the old ones. */
	ASSERT_EQ(0, ftruncate(self->fd, self->b.size));
	memset(self->b.mirror, 0xff, self->b.size);
	ASSERT_EQ(0, dm_read(self->dm.fd, gone, GOES, self->b.mirror, NULL));
	EXPECT_ZERO_PAGES(self->b.mirror, GOES);
	EXPECT_ZERO_PAGES(gone, GOES);
}

TEST_F(file, punched)
{
	MEET(do_punch);
	expect_pages(_metadata, &self->dm, &self->b, 0, WIN_PAGES);

	/* Now all of them are copies, and move. */
	dm_fill(self->b.ptr, WIN_PAGES, self->b.ptr, 3, DM_CPU);
	ASSERT_TO_DEV(self->dm.fd, &self->b, 3, DM_CPU);
	ASSERT_EQ(0, do_punch(NULL));
	ASSERT_DEV_READS(self->dm.fd, &self->b, 3, DM_CPU);
	ASSERT_EQ(0, do_truncate(NULL));
	EXPECT_EQ(KEPT, dm_stat_now(variant->index, "vram_resident_pages"));
	ASSERT_TAGS(self->b.ptr, KEPT, self->b.ptr, 3, DM_CPU);
}

DM_INJECT_MAIN(1, "")
