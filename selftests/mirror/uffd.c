// SPDX-License-Identifier: GPL-2.0
/*
 * Device faults in ranges that a userfaultfd watches: the device waits for the
 * handler, and no write slips past write protection.
 */
#include <pthread.h>
#include <linux/userfaultfd.h>
#include "dm_handler.h"
#include "dm_harness.h"
#include "scene.h"

#define NPAGES	16UL

DM_FIXTURE(mirror);

/* Older kernels hold the mmap lock while the device faults: nobody can answer. */
#define NEEDS_WAITING() do {						\
	if (!sc_kernel_has("hmm_range_fault_unlocked_timeout"))		\
		SKIP(return, "a device fault cannot wait for a handler here"); \
} while (0)

/*
 * Missing pages are supplied by the handler, one fault each, and the device
 * reads what it supplied; the second time nobody is asked.
 */
TEST_F(mirror, missing)
{
	struct dm_handler h = { 0 };
	struct hmm_dmirror_cmd res;
	struct dm_buf b, src;

	NEEDS_WAITING();
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&src, NPAGES, DM_BUF_SMALL));
	dm_fill(src.ptr, NPAGES, b.ptr, 5, DM_PEER);
	h.source = src.ptr;
	h.uffd = dm_uffd_open(0);
	if (h.uffd < 0)
		SKIP(goto out, "no userfaultfd");
	ASSERT_EQ(0, dm_uffd_watch(h.uffd, &b, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, dm_handler_start(&h, &b));
	EXPECT_EQ(0, dm_read_unlocked(self->dm.fd, b.ptr, NPAGES, b.mirror,
				      &res));
	EXPECT_EQ(NPAGES, res.cpages);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 5, DM_PEER);
	EXPECT_EQ(NPAGES, h.events);
	EXPECT_EQ(0, dm_read_unlocked(self->dm.fd, b.ptr, NPAGES, b.mirror,
				      &res));
	EXPECT_EQ(0, res.faults);
	EXPECT_EQ(NPAGES, h.events);
	dm_handler_stop(&h);
	close(h.uffd);
out:
	dm_buf_free(&b);
	dm_buf_free(&src);
}

/* Pages that are in the page cache but not mapped: the handler maps them. */
TEST_F(mirror, minor)
{
	struct dm_handler h = { .minor = true };
	struct hmm_dmirror_cmd res;
	struct dm_buf b, alias;
	int memfd;

	NEEDS_WAITING();
	memfd = memfd_create("minor", MFD_CLOEXEC);
	ASSERT_GE(memfd, 0);
	ASSERT_EQ(0, ftruncate(memfd, NPAGES * DM_PAGE));
	ASSERT_EQ(0, dm_buf_map(&b, NPAGES, PROT_READ | PROT_WRITE, MAP_SHARED,
				memfd, 0));
	ASSERT_EQ(0, dm_buf_map(&alias, NPAGES, PROT_READ | PROT_WRITE,
				MAP_SHARED, memfd, 0));
	dm_fill(alias.ptr, NPAGES, b.ptr, 6, DM_CPU);
	h.uffd = dm_uffd_open(UFFD_FEATURE_MINOR_SHMEM);
	if (h.uffd < 0 ||
	    dm_uffd_watch(h.uffd, &b, UFFDIO_REGISTER_MODE_MINOR))
		SKIP(goto out, "no minor faults for shared memory");
	ASSERT_EQ(0, dm_handler_start(&h, &b));
	EXPECT_EQ(0, dm_read_unlocked(self->dm.fd, b.ptr, NPAGES, b.mirror,
				      &res));
	EXPECT_EQ(NPAGES, res.cpages);
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 6, DM_CPU);
	EXPECT_EQ(NPAGES, h.events);
	dm_handler_stop(&h);
	close(h.uffd);
out:
	close(memfd);
	dm_buf_free(&b);
	dm_buf_free(&alias);
}

/*
 * Write protection binds the device, even though it had the pages mapped
 * writable: either every page was reported to the handler before the write, or
 * the write was refused and nothing changed.
 */
TEST_F(mirror, write_protect)
{
	struct dm_handler h = { 0 };
	struct dm_buf b;
	int ret;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	h.uffd = dm_uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (h.uffd < 0)
		SKIP(goto out, "no userfaultfd write protection");
	ASSERT_EQ(0, dm_uffd_watch(h.uffd, &b, UFFDIO_REGISTER_MODE_WP));
	dm_fill(b.mirror, NPAGES, b.ptr, 1, DM_DEV);
	ASSERT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	dm_restart(&self->dm);
	ASSERT_EQ(0, dm_uffd_protect(h.uffd, b.ptr, NPAGES, true));
	EXPECT_MOVED_MIN(&self->dm, "invalidations", 1);

	/* Reading is allowed and asks nobody. */
	ASSERT_EQ(0, dm_handler_start(&h, &b));
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 1, DM_DEV);
	EXPECT_EQ(0, h.events);

	dm_fill(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	ret = dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL);
	if (!ret) {
		EXPECT_EQ(NPAGES, h.wp_events);
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
	} else {
		EXPECT_EQ(-EFAULT, ret);
		EXPECT_EQ(0, h.wp_events);
		EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_DEV);
	}
	dm_handler_stop(&h);
	close(h.uffd);
out:
	dm_buf_free(&b);
}

struct reader {
	int		fd;
	struct dm_buf	*b;
	int		ret;
	bool		done;
};

static void *read_unlocked(void *arg)
{
	struct reader *r = arg;

	r->ret = dm_read_unlocked(r->fd, r->b->ptr, NPAGES, r->b->mirror,
				  NULL);
	__atomic_store_n(&r->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/*
 * The handler dies while the device waits for it: the device goes on without,
 * with an error or with empty memory, but it does not hang.
 */
TEST_F(mirror, handler_dies)
{
	struct dm_handler h = { .ignore = true };
	struct reader r = { .fd = self->dm.fd };
	pthread_t thread;
	struct dm_buf b;

	NEEDS_WAITING();
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	h.uffd = dm_uffd_open(0);
	if (h.uffd < 0)
		SKIP(goto out, "no userfaultfd");
	ASSERT_EQ(0, dm_uffd_watch(h.uffd, &b, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, dm_handler_start(&h, &b));
	memset(b.mirror, 0xff, b.size);
	r.b = &b;
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_unlocked, &r));
	while (!__atomic_load_n(&h.events, __ATOMIC_SEQ_CST))
		sched_yield();
	EXPECT_FALSE(__atomic_load_n(&r.done, __ATOMIC_SEQ_CST));
	dm_handler_stop(&h);
	close(h.uffd);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	if (!r.ret)
		EXPECT_ZERO_PAGES(b.mirror, NPAGES);
	else
		EXPECT_EQ(-EFAULT, r.ret);
out:
	dm_buf_free(&b);
}

/* A plain READ of a missing page is answered or refused, and never hangs. */
TEST_F(mirror, missing_plain_read)
{
	struct dm_handler h = { 0 };
	struct dm_buf b, src;
	int ret;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_buf_anon(&src, NPAGES, DM_BUF_SMALL));
	dm_fill(src.ptr, NPAGES, b.ptr, 5, DM_PEER);
	h.source = src.ptr;
	h.uffd = dm_uffd_open(0);
	if (h.uffd < 0)
		SKIP(goto out, "no userfaultfd");
	ASSERT_EQ(0, dm_uffd_watch(h.uffd, &b, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, dm_handler_start(&h, &b));
	ret = dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL);
	if (!ret)
		EXPECT_TAGS(b.mirror, NPAGES, b.ptr, 5, DM_PEER);
	else
		EXPECT_EQ(-EFAULT, ret);
	dm_handler_stop(&h);
	close(h.uffd);
out:
	dm_buf_free(&b);
	dm_buf_free(&src);
}

TEST_HARNESS_MAIN
