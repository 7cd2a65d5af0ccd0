// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that comes from a userfaultfd handler, wanted by the device, in a group
 * that is too small for all of it: each page is asked for once, and from then on
 * it is swapped out and in like any other.
 */
#include <linux/userfaultfd.h>

#include "dm_handler.h"
#include "pressure.h"

#define NPAGES	160UL
#define ROOM	(NPAGES * DM_PAGE / 2)

PR_FIXTURE(handler, PR_ZRAM);

#define E	(&self->e)
#define FD	(self->e.dm.fd)

/* Older kernels hold the mmap lock while the device faults: nobody can answer. */
#define NEEDS_WAITING() do {						\
	if (!sc_kernel_has("hmm_range_fault_unlocked_timeout"))		\
		SKIP(return, "a device fault cannot wait for a handler here"); \
} while (0)

/* Pages that are missing, handed out one by one; the first ones leave again. */
TEST_F(handler, missing)
{
	struct dm_handler h = { 0 };
	struct dm_buf b;

	NEEDS_WAITING();
	ASSERT_EQ(0, pr_buf(E, &b, NPAGES, DM_BUF_SMALL));
	/* Outside of the group. */
	ASSERT_EQ(0, dm_cg_leave());
	h.source = malloc(b.size);
	ASSERT_NE(NULL, h.source);
	dm_fill(h.source, NPAGES, b.ptr, 5, DM_PEER);
	ASSERT_EQ(0, dm_cg_enter(&self->e.cg));
	h.uffd = dm_uffd_open(0);
	if (h.uffd < 0)
		SKIP(goto out, "no userfaultfd");
	ASSERT_EQ(0, dm_uffd_watch(h.uffd, &b, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, pr_limit(E, "memory.max", ROOM));
	ASSERT_EQ(0, dm_handler_start(&h, &b));
	memset(b.mirror, 0xff, b.size);
	ASSERT_EQ(0, dm_read_unlocked(FD, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 5, DM_PEER);
	EXPECT_EQ(NPAGES, h.events);
	EXPECT_LT(0, pr_stat(E, "memory.events", "max"));
	/* Without the handler, out of swap. */
	ASSERT_DEV_READS(FD, &b, 5, DM_PEER);
	ASSERT_DEV_WRITES(FD, &b, 6, DM_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 6, DM_DEV);
	EXPECT_NO_OOM(E);
	ASSERT_EQ(0, dm_cg_write(&self->e.cg, "memory.max", "max"));
	/* And to the device with it, watched as it is. */
	ASSERT_EQ(0, pr_to_dev(E, b.ptr, NPAGES, b.mirror));
	EXPECT_ALL(FD, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 6, DM_DEV);
	EXPECT_EQ(NPAGES, h.events);
	dm_handler_stop(&h);
	close(h.uffd);
out:
	free(h.source);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
