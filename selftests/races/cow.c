// SPDX-License-Identifier: GPL-2.0
/*
 * Copy-on-write between a parent, its child and the device: whoever writes
 * first, through whichever path, the other side keeps what it had at fork.
 *
 * Owns one client in the parent and one in the child; the child opens its own,
 * since a client serves the process that opened it.
 */
#include <sys/mman.h>

#include "dm_harness.h"
#include "race.h"
#include "scene.h"

#define NPAGES	32

FIXTURE(cow)
{
	struct dm_ctx	dm;
	struct dm_buf	b;
	struct sc_sync	to_child, to_parent;
	char		why[DM_MSG];
};

FIXTURE_VARIANT(cow)
{
	int		index, peer;
	unsigned long	npages;
	int		flags;
};

FIXTURE_VARIANT_ADD(cow, device_private)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .npages = NPAGES, .flags = DM_BUF_SMALL,
};

FIXTURE_VARIANT_ADD(cow, device_private_thp)
{
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .npages = DM_2M_PAGES, .flags = DM_BUF_THP,
};

FIXTURE_VARIANT_ADD(cow, device_coherent)
{
	.index = DM_COHERENT0, .peer = DM_COHERENT1, .npages = NPAGES, .flags = DM_BUF_SMALL,
};

FIXTURE_SETUP(cow)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, sc_sync_init(&self->to_child));
	ASSERT_EQ(0, sc_sync_init(&self->to_parent));
	ASSERT_EQ(0, dm_buf_anon(&self->b, variant->npages, variant->flags));
	dm_fill(self->b.ptr, self->b.npages, self->b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, race_to_dev_all(self->dm.fd, &self->b, self->why))
		TH_LOG("%s", self->why);
}

FIXTURE_TEARDOWN(cow)
{
	dm_buf_free(&self->b);
	sc_sync_fini(&self->to_child);
	sc_sync_fini(&self->to_parent);
	dm_teardown(_metadata, &self->dm);
}

/* What one side does with its copy, and by which path. */
enum deed {
	NOTHING,
	CPU_WRITES,
	DEV_WRITES,
	MIGRATES,
};

static int act(int fd, struct dm_buf *b, enum deed deed, unsigned int gen,
	       unsigned int writer)
{
	switch (deed) {
	case CPU_WRITES:
		dm_fill(b->ptr, b->npages, b->ptr, gen, writer);
		return 0;
	case DEV_WRITES:
		dm_fill(b->mirror, b->npages, b->ptr, gen, writer);
		return dm_write(fd, b->ptr, b->npages, b->mirror, NULL);
	case MIGRATES:
		/* Shared pages may legitimately stay: only content counts. */
		dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL);
		return 0;
	default:
		return 0;
	}
}

/* Device first, then CPU: both must see the same tags. */
static int check(int fd, struct dm_buf *b, unsigned int gen,
		 unsigned int writer, char *why)
{
	int ret;

	memset(b->mirror, 0x5a, b->size);
	ret = dm_read(fd, b->ptr, b->npages, b->mirror, NULL);
	snprintf(why, DM_MSG, "device read: %d", ret);
	if (!ret)
		ret = race_verify(b->mirror, b->npages, b->ptr, gen, writer,
				  why);
	if (!ret)
		ret = race_verify(b->ptr, b->npages, b->ptr, gen, writer, why);
	return ret;
}

/* What a side must see: its own writing, or what was there at the fork. */
static unsigned int gen_of(enum deed deed, unsigned int gen)
{
	return deed == CPU_WRITES || deed == DEV_WRITES ? gen : 1;
}

static unsigned int writer_of(enum deed deed, unsigned int writer)
{
	return deed == CPU_WRITES || deed == DEV_WRITES ? writer : DM_CPU;
}

struct play {
	enum deed	parent, child;
	bool		child_first;
};

/* The child's part; its exit status names the step that went wrong. */
static void child(struct dm_buf *b, int index, const struct play *p,
		  struct sc_sync *go, struct sc_sync *done)
{
	char why[DM_MSG];
	int fd = dm_open(index);

	if (fd < 0)
		_exit(10);
	if (sc_wait(go))
		_exit(11);
	if (act(fd, b, p->child, 3, DM_CHILD))
		_exit(12);
	if (check(fd, b, gen_of(p->child, 3), writer_of(p->child, DM_CHILD),
		  why)) {
		fprintf(stderr, "# child, before: %s\n", why);
		_exit(13);
	}
	if (sc_post(done) || sc_wait(go))
		_exit(14);
	/* Again, after the parent has written. */
	if (check(fd, b, gen_of(p->child, 3), writer_of(p->child, DM_CHILD),
		  why)) {
		fprintf(stderr, "# child, after: %s\n", why);
		_exit(15);
	}
	_exit(0);
}

static int parent(struct dm_ctx *dm, struct dm_buf *b, const struct play *p,
		  char *why)
{
	int ret = act(dm->fd, b, p->parent, 2, DM_PEER);

	if (ret) {
		snprintf(why, DM_MSG, "parent's deed: %d", ret);
		return ret;
	}
	return check(dm->fd, b, gen_of(p->parent, 2),
		     writer_of(p->parent, DM_PEER), why);
}

#define PLAY(...) do {							\
	static const struct play play = { __VA_ARGS__ };		\
	pid_t pid = fork();						\
									\
	ASSERT_GE(pid, 0);						\
	if (!pid)							\
		child(&self->b, variant->index, &play, &self->to_child,	\
		      &self->to_parent);				\
	if (!play.child_first) {					\
		EXPECT_EQ(0, parent(&self->dm, &self->b, &play,		\
				    self->why))				\
			TH_LOG("parent: %s", self->why);		\
	}								\
	EXPECT_EQ(0, sc_post(&self->to_child));				\
	EXPECT_EQ(0, sc_wait(&self->to_parent));			\
	if (play.child_first) {						\
		EXPECT_EQ(0, parent(&self->dm, &self->b, &play,		\
				    self->why))				\
			TH_LOG("parent: %s", self->why);		\
	}								\
	EXPECT_EQ(0, sc_post(&self->to_child));				\
	EXPECT_EQ(0, sc_reap(pid));					\
	EXPECT_EQ(0, check(self->dm.fd, &self->b, gen_of(play.parent, 2),\
			   writer_of(play.parent, DM_PEER), self->why))	\
		TH_LOG("parent, at the end: %s", self->why);		\
} while (0)

TEST_F(cow, parent_device_writes)
{
	PLAY(.parent = DEV_WRITES);
}

TEST_F(cow, parent_cpu_writes)
{
	PLAY(.parent = CPU_WRITES);
}

TEST_F(cow, child_device_writes)
{
	PLAY(.child = DEV_WRITES, .child_first = true);
}

TEST_F(cow, child_cpu_writes)
{
	PLAY(.child = CPU_WRITES, .child_first = true);
}

TEST_F(cow, both_device_write_parent_first)
{
	PLAY(.parent = DEV_WRITES, .child = DEV_WRITES);
}

TEST_F(cow, both_device_write_child_first)
{
	PLAY(.parent = DEV_WRITES, .child = DEV_WRITES, .child_first = true);
}

TEST_F(cow, child_migrates_parent_device_writes)
{
	PLAY(.parent = DEV_WRITES, .child = MIGRATES, .child_first = true);
}

TEST_F(cow, parent_migrates_child_device_writes)
{
	PLAY(.parent = MIGRATES, .child = DEV_WRITES);
}

TEST_HARNESS_MAIN
