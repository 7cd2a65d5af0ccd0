/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A group that runs out of memory: its limit, the victim and what the victim has on
 * the device, and somebody else's pages there, of which none may be lost.
 */
#ifndef _SELFTESTS_PRESSURE_OOM_H
#define _SELFTESTS_PRESSURE_OOM_H

#include <sys/ptrace.h>
#include "pressure.h"

#define LIMIT	(8UL << 20)
#define NPAGES	512UL			/* of the victim on the device, 2 MiB */
#define MINE	64UL			/* of the test itself */

FIXTURE(oom)
{
	struct dm_ctx	dm;
	struct dm_cg	cg;		/* of the victims */
	struct dm_buf	mine;		/* a bystander's pages, on the device */
	struct dm_buf	b;		/* the victim's: same place in both */
	struct sc_sync	ready, go;
	int		*fd;		/* shared: the victim's descriptor */
};

DM_VARIANTS(oom);

FIXTURE_SETUP(oom)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, dm_cg_create(&self->cg, "victims"));
	ASSERT_EQ(0, dm_cg_write(&self->cg, "memory.swap.max", "0"));
	ASSERT_EQ(0, dm_cg_write(&self->cg, "memory.max", "8M"));
	ASSERT_EQ(0, sc_sync_init(&self->ready));
	ASSERT_EQ(0, sc_sync_init(&self->go));
	self->fd = mmap(NULL, DM_PAGE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->fd);
	ASSERT_EQ(0, dm_buf_anon(&self->mine, MINE, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->mine.ptr, MINE, self->mine.ptr, 7, DM_CPU);
	ASSERT_TO_DEV(self->dm.fd, &self->mine, 7, DM_CPU);
	dm_restart(&self->dm);
}

FIXTURE_TEARDOWN(oom)
{
	struct dm_buf *mine = &self->mine;

	/* The bystander has lost nothing, and the device works. */
	EXPECT_ALL(self->dm.fd, mine->ptr, MINE, DM_ON_DEV);
	EXPECT_EQ(0, stage_delta(&self->dm, "vram_resident_pages"));
	EXPECT_EQ(0, dm_read(self->dm.fd, mine->ptr, MINE, mine->mirror, NULL));
	EXPECT_TAGS(mine->mirror, MINE, mine->ptr, 7, DM_CPU);
	EXPECT_TAGS(mine->ptr, MINE, mine->ptr, 7, DM_CPU);
	sc_sync_fini(&self->ready);
	sc_sync_fini(&self->go);
	dm_buf_free(&self->b);
	dm_buf_free(mine);
	EXPECT_EQ(0, dm_cg_destroy(&self->cg));
	dm_teardown(_metadata, &self->dm);
}

/* In a child: enter the group, with a file of its own. */
static inline int open_in_group(struct dm_cg *cg, int index)
{
	int fd;

	if (dm_cg_enter(cg))
		_exit(3);
	fd = dm_open(index);
	if (fd < 0)
		_exit(4);
	return fd;
}

/* And have pages on the device, mapped by it. */
static inline int become_victim(struct dm_cg *cg, int index, struct dm_buf *b)
{
	int fd = open_in_group(cg, index);

	dm_fill(b->ptr, b->npages, b->ptr, 3, DM_CHILD);
	if (dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL) ||
	    dm_all(fd, b->ptr, b->npages, DM_ON_DEV, NULL))
		_exit(5);
	return fd;
}

/* More than the group may have; is killed for it. */
static inline void eat(void)
{
	__u8 *p = mmap(NULL, 2 * LIMIT, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	madvise(p, 2 * LIMIT, MADV_NOHUGEPAGE);
	for (i = 0; i < 2 * LIMIT; i += DM_PAGE)
		p[i] = 1;
	_exit(6);
}

static inline __u64 kills(struct dm_cg *cg)
{
	__u64 val = 0;

	dm_cg_key(cg, "memory.events", "oom_kill", &val);
	return val;
}

/* Its exit is watched: what kills it stops it just before it lets its memory go. */
static inline void watch_exit(struct __test_metadata *_metadata, pid_t pid)
{
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXIT));
}

static inline void wait_for_exit_stop(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(SIGTRAP | PTRACE_EVENT_EXIT << 8, status >> 8);
}

#endif /* _SELFTESTS_PRESSURE_OOM_H */
