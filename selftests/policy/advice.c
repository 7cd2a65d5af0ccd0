// SPDX-License-Identifier: GPL-2.0
/*
 * ADVISE: what it refuses, and which addresses a piece of advice is about after
 * others were given over it and mappings came and went.
 *
 * Seen by its effect: how many pages the CPU brings back with the one it touches.
 */
#include <sys/uio.h>
#include <time.h>
#include "dm_drm_harness.h"
#include "dm_madvise.h"

#define NPAGES	64UL
#define LIMIT	2048	/* pieces of advice a file may give */

DMD_FIXTURE(advice);

/* The CPU does not fault on memory it can reach. */
#define PRIVATE_ONLY() do {						\
	if (self->dm.coherent)						\
		SKIP(return, "the CPU does not fault on coherent memory"); \
} while (0)

#define AROUND(fd, first, n, size) \
	dmd_advise(fd, b.ptr + (first) * DM_PAGE, (n) * DM_PAGE, \
		   HMM_DMIRROR_ADVISE_FAULT_AROUND, size)

/* What a CPU fault brings back without advice, in pages. */
static long by_default(void)
{
	__u64 kb = 0;

	dm_read_u64("/sys/module/hmm_dmirror/parameters/fault_around_kb", &kb);
	return kb * 1024 / DM_PAGE;
}

/* How many pages come back when the CPU touches one of a buffer that is there. */
static long comes_back(int drm, int index, struct dm_buf *b, unsigned long page)
{
	struct dm_stats before, after;
	int ret;

	ret = dmd_to_vram(drm, b->ptr, b->size);
	if (ret)
		return ret;
	dm_stats_read(index, &before);
	*(volatile __u8 *)(b->ptr + page * DM_PAGE);
	dm_stats_read(index, &after);
	return dm_stat_delta(&before, &after, "cpu_fault_pages");
}

#define EXPECT_BACK(n, page) \
	EXPECT_EQ(n, comes_back(self->drm, self->dm.index, &b, page))

#define SETUP_BUF(n) do {						\
	PRIVATE_ONLY();							\
	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));			\
	dm_fill(b.ptr, n, b.ptr, 1, DM_CPU);				\
	EXPECT_BACK(by_default(), 20);					\
} while (0)

/* The aligned window around the page, as large as was said. */
TEST_F(advice, fault_around)
{
	unsigned long size;
	struct dm_buf b;

	SETUP_BUF(DM_2M_PAGES);
	for (size = DM_PAGE; size <= DM_2M; size *= 2) {
		unsigned long n = size / DM_PAGE, first = 300 / n * n;

		ASSERT_EQ(0, AROUND(self->drm, 0, b.npages, size));
		EXPECT_BACK(n, 300);
		EXPECT_ALL(self->dm.fd, b.ptr + first * DM_PAGE, n, DM_SYS);
		if (n < b.npages) {
			EXPECT_EQ(b.npages - n, dm_count(self->dm.fd, b.ptr,
							 b.npages, DM_ON_DEV));
		}
	}
	EXPECT_EQ(0, AROUND(self->drm, 0, b.npages, 0));
	EXPECT_BACK(by_default(), 300);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* The window ends where the advice does. */
TEST_F(advice, clipped)
{
	struct dm_buf b;

	SETUP_BUF(NPAGES);
	ASSERT_EQ(0, AROUND(self->drm, 8, 13, DM_2M));
	EXPECT_BACK(13, 10);
	EXPECT_ALL(self->dm.fd, b.ptr, 8, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, b.ptr + 8 * DM_PAGE, 13, DM_SYS);
	EXPECT_ALL(self->dm.fd, b.ptr + 21 * DM_PAGE, NPAGES - 21, DM_ON_DEV);
	dm_buf_free(&b);
}

/*
 * A 2 MiB page that is whole comes whole, whatever is said about a part of it: the
 * kernel cannot take it apart for a fault. So also if the kernel wants it.
 */
TEST_F(advice, part_of_a_huge_page)
{
	bool whole = dmd_has(self->drm, HMM_DMIRROR_FEATURE_LARGE_FOLIOS);
	long n = whole ? DM_2M_PAGES : 13;
	struct iovec to, from;
	struct dm_buf b;

	PRIVATE_ONLY();
	ASSERT_EQ(0, dm_buf_anon(&b, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, AROUND(self->drm, 8, 13, DM_2M));
	EXPECT_BACK(n, 10);
	EXPECT_ALL(self->dm.fd, b.ptr + 8 * DM_PAGE, 13, DM_SYS);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 1, DM_CPU);

	dm_fill(b.ptr, b.npages, b.ptr, 2, DM_CPU);
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_COLLAPSE));
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	dm_restart(&self->dm);
	to = (struct iovec){ b.mirror, DM_PAGE };
	from = (struct iovec){ b.ptr + 10 * DM_PAGE, DM_PAGE };
	ASSERT_EQ(DM_PAGE, process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	EXPECT_MOVED(&self->dm, "cpu_fault_pages", n);
	EXPECT_MOVED(&self->dm, "cpu_faults", 1);
	EXPECT_TAGS(b.mirror, 1, b.ptr + 10 * DM_PAGE, 2, DM_CPU);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 2, DM_CPU);
	dm_buf_free(&b);
}

/* Set and reset over parts of one another; attributes do not mix. */
TEST_F(advice, overlap)
{
	struct dm_buf b;

	SETUP_BUF(NPAGES);
	ASSERT_EQ(0, AROUND(self->drm, 0, 32, DM_PAGE));
	ASSERT_EQ(0, AROUND(self->drm, 16, 32, 4 * DM_PAGE));
	EXPECT_BACK(1, 3);
	EXPECT_BACK(1, 15);
	EXPECT_BACK(4, 16);
	EXPECT_BACK(4, 47);
	EXPECT_BACK(by_default(), 50);

	ASSERT_EQ(0, AROUND(self->drm, 8, 2, 2 * DM_PAGE));
	EXPECT_BACK(1, 7);
	EXPECT_BACK(2, 8);
	EXPECT_BACK(1, 10);

	/* Another attribute in the middle cuts nothing off what was said before. */
	ASSERT_EQ(0, dmd_advise(self->drm, b.ptr + 20 * DM_PAGE, 4 * DM_PAGE,
				HMM_DMIRROR_ADVISE_GRANULARITY, DM_PAGE));
	EXPECT_BACK(4, 21);
	ASSERT_EQ(0, dmd_advise(self->drm, b.ptr + 20 * DM_PAGE, 8 * DM_PAGE,
				HMM_DMIRROR_ADVISE_RESET, 0));
	EXPECT_BACK(4, 19);
	/* A window by default ends where advice begins. */
	EXPECT_BACK(8, 21);
	EXPECT_BACK(4, 28);
	dm_buf_free(&b);
}

/* What is unmapped is forgotten: a mapping made there later starts afresh. */
TEST_F(advice, munmap)
{
	struct dm_buf b;

	SETUP_BUF(NPAGES);
	ASSERT_EQ(0, AROUND(self->drm, 0, NPAGES, DM_PAGE));
	ASSERT_EQ(0, munmap(b.ptr + 16 * DM_PAGE, 16 * DM_PAGE));
	ASSERT_EQ(b.ptr + 16 * DM_PAGE,
		  mmap(b.ptr + 16 * DM_PAGE, 16 * DM_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	dm_fill(b.ptr + 16 * DM_PAGE, 16, b.ptr + 16 * DM_PAGE, 1, DM_CPU);
	EXPECT_BACK(by_default(), 20);
	EXPECT_BACK(1, 15);
	EXPECT_BACK(1, 32);

	/* Mapping over it unmaps, too, even where nobody has been. */
	ASSERT_EQ(b.ptr + 32 * DM_PAGE,
		  mmap(b.ptr + 32 * DM_PAGE, 32 * DM_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	ASSERT_EQ(0, AROUND(self->drm, 32, 32, DM_PAGE));
	ASSERT_EQ(b.ptr + 32 * DM_PAGE,
		  mmap(b.ptr + 32 * DM_PAGE, 32 * DM_PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_BACK(by_default(), 40);
	EXPECT_TAGS(b.ptr, 32, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Content, protection and size of a mapping have nothing to do with it. */
TEST_F(advice, stays)
{
	struct dm_buf b;

	SETUP_BUF(NPAGES);
	ASSERT_EQ(0, AROUND(self->drm, 0, NPAGES, DM_PAGE));
	ASSERT_EQ(0, madvise(b.ptr, b.size, MADV_DONTNEED));
	EXPECT_BACK(1, 20);
	ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_NONE));
	ASSERT_EQ(0, mprotect(b.ptr, b.size, PROT_READ | PROT_WRITE));
	EXPECT_BACK(1, 21);
	/* Given before there is a mapping, it is there when one comes. */
	ASSERT_EQ(0, munmap(b.ptr, b.size));
	ASSERT_EQ(0, AROUND(self->drm, 0, NPAGES, 2 * DM_PAGE));
	ASSERT_EQ(b.ptr, mmap(b.ptr, b.size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_BACK(2, 20);
	dm_buf_free(&b);
}

/* Pages that move to another address leave the advice, and it is gone there. */
static void moved(struct __test_metadata *_metadata, struct dm_ctx *dm, int drm,
		  int flags)
{
	struct dm_buf b, old;
	void *to;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, AROUND(drm, 0, NPAGES, DM_PAGE));
	old = b;
	to = mmap(NULL, DM_2M + b.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, to);
	to = (void *)(((uintptr_t)to + DM_2M - 1) & -DM_2M);
	ASSERT_EQ(to, mremap(b.ptr, b.size, b.size,
			     MREMAP_MAYMOVE | MREMAP_FIXED | flags, to));
	b.ptr = to;
	EXPECT_EQ(by_default(), comes_back(drm, dm->index, &b, 20));
	EXPECT_TAGS(b.ptr, NPAGES, old.ptr, 1, DM_CPU);

	if (!flags) {
		ASSERT_EQ(old.ptr, mmap(old.ptr, old.size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
					-1, 0));
	}
	dm_fill(old.ptr, NPAGES, old.ptr, 2, DM_CPU);
	EXPECT_EQ(by_default(), comes_back(drm, dm->index, &old, 20));
	ASSERT_EQ(0, munmap(to, b.size));
	dm_buf_free(&old);
}

TEST_F(advice, mremap)
{
	PRIVATE_ONLY();
	moved(_metadata, &self->dm, self->drm, 0);
}

TEST_F(advice, mremap_dontunmap)
{
	PRIVATE_ONLY();
	moved(_metadata, &self->dm, self->drm, MREMAP_DONTUNMAP);
}

/* A child that opens the node for itself has no advice; the parent keeps its own. */
TEST_F(advice, fork)
{
	struct dm_buf b;
	int status;
	pid_t pid;

	SETUP_BUF(NPAGES);
	ASSERT_EQ(0, AROUND(self->drm, 0, NPAGES, DM_PAGE));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		int fd = dmd_open(self->dm.index);

		/* Not shared any more. */
		dm_fill(b.ptr, NPAGES, b.ptr, 2, DM_CPU);
		_exit(comes_back(fd, self->dm.index, &b, 20) == by_default() ?
		      0 : 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_BACK(1, 20);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Advice is the file's: another one gives its own, and takes it along. */
TEST_F(advice, another_file)
{
	struct dm_buf b;
	int other;

	SETUP_BUF(NPAGES);
	other = dmd_open(self->dm.index);
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, AROUND(other, 0, NPAGES, DM_PAGE));
	ASSERT_EQ(0, AROUND(self->drm, 32, 32, 2 * DM_PAGE));
	EXPECT_BACK(1, 20);
	EXPECT_EQ(0, close(other));
	EXPECT_BACK(by_default(), 20);
	EXPECT_BACK(2, 40);
	dm_buf_free(&b);
}

/* There is a limit, and what was said before it was reached stays. */
TEST_F(advice, limit)
{
	unsigned long i;
	struct dm_buf b;

	PRIVATE_ONLY();
	ASSERT_EQ(0, dm_buf_anon(&b, 2 * LIMIT + 2, DM_BUF_SMALL));
	for (i = 0; i < LIMIT; i++)
		ASSERT_EQ(0, AROUND(self->drm, 2 * i, 1, DM_PAGE));
	EXPECT_EQ(-ENOSPC, AROUND(self->drm, 2 * LIMIT, 1, DM_PAGE));
	/* What takes no more room is still possible, and so is less. */
	EXPECT_EQ(0, AROUND(self->drm, 2, 1, 2 * DM_PAGE));
	dm_fill(b.ptr, 64, b.ptr, 1, DM_CPU);
	EXPECT_EQ(0, AROUND(self->drm, 0, 2 * LIMIT, 4 * DM_PAGE));
	EXPECT_EQ(0, AROUND(self->drm, 2 * LIMIT, 1, DM_PAGE));
	b.size = 64 * DM_PAGE;
	EXPECT_BACK(4, 20);
	b.size = b.npages * DM_PAGE;
	dm_buf_free(&b);
}

/* More holes than there is room for: only the shorter remainders are lost. */
TEST_F(advice, many_holes)
{
	unsigned long n = 2 * 6000, i;
	struct dm_buf b;

	PRIVATE_ONLY();
	ASSERT_EQ(0, dm_buf_anon(&b, n, DM_BUF_SMALL));
	ASSERT_EQ(0, AROUND(self->drm, 0, n, DM_PAGE));
	for (i = 1; i < n - 64; i += 2)
		ASSERT_EQ(0, munmap(b.ptr + i * DM_PAGE, DM_PAGE));
	/* The end of it is by far the longest piece all the time. */
	dm_fill(b.ptr + (n - 32) * DM_PAGE, 32, b.ptr + (n - 32) * DM_PAGE, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr + (n - 32) * DM_PAGE, 32 * DM_PAGE));
	dm_restart(&self->dm);
	EXPECT_TAGS(b.ptr + (n - 16) * DM_PAGE, 1, b.ptr + (n - 16) * DM_PAGE, 1, DM_CPU);
	EXPECT_MOVED(&self->dm, "cpu_fault_pages", 1);
	EXPECT_EQ(0, dmd_advise(self->drm, b.ptr, b.size, HMM_DMIRROR_ADVISE_RESET, 0));
	dm_buf_free(&b);
}

/* What a page of the model would look like to QUERY. */
static void model_set(__u64 *page, __u32 attr, __u64 value)
{
	switch (attr) {
	case HMM_DMIRROR_ADVISE_RESET:
		*page = 0;
		break;
	case HMM_DMIRROR_ADVISE_LOCATION:
		*page = (*page & 0xffffffff) | value << 32;
		break;
	case HMM_DMIRROR_ADVISE_READ_MOSTLY:
		*page &= ~HMM_DMIRROR_QUERY_READ_MOSTLY;
		*page |= value ? HMM_DMIRROR_QUERY_READ_MOSTLY : 0;
		break;
	case HMM_DMIRROR_ADVISE_ATOMIC:
		*page &= ~HMM_DMIRROR_QUERY_ATOMIC;
		*page |= value ? HMM_DMIRROR_QUERY_ATOMIC : 0;
		break;
	}
}

/* Any sequence of advice over one another, as QUERY tells it page by page. */
TEST_F(advice, query)
{
	const __u64 mask = HMM_DMIRROR_QUERY_READ_MOSTLY | HMM_DMIRROR_QUERY_ATOMIC |
			   0xffffULL << 32;
	__u64 model[NPAGES] = { 0 }, pages[NPAGES];
	unsigned int seed = time(NULL), step, i;
	struct dm_buf b;

	TH_LOG("seed %u", seed);
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	for (step = 0; step < 300; step++) {
		__u32 attr = rand_r(&seed) % 4;
		__u64 value = attr == HMM_DMIRROR_ADVISE_RESET ? 0 : rand_r(&seed) % 2;
		unsigned int first = rand_r(&seed) % NPAGES;
		unsigned int n = 1 + rand_r(&seed) % (NPAGES - first);

		if (attr == HMM_DMIRROR_ADVISE_LOCATION && rand_r(&seed) % 2)
			value = HMM_DMIRROR_LOCATION_DEVICE(self->dm.index);
		if (step % 8) {
			ASSERT_EQ(0, dmd_advise(self->drm, b.ptr + first * DM_PAGE,
						n * DM_PAGE, attr, value));
		} else {
			attr = HMM_DMIRROR_ADVISE_RESET;
			ASSERT_EQ(b.ptr + first * DM_PAGE,
				  mmap(b.ptr + first * DM_PAGE, n * DM_PAGE,
				       PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				       -1, 0));
		}
		for (i = first; i < first + n; i++)
			model_set(&model[i], attr, value);
		ASSERT_EQ(0, dmd_query(self->drm, b.ptr, NPAGES, pages));
		for (i = 0; i < NPAGES; i++) {
			ASSERT_EQ(model[i], pages[i] & mask) {
				TH_LOG("step %u, page %u", step, i);
			}
		}
	}
	dm_buf_free(&b);
}

TEST_F(advice, bad_input)
{
	struct drm_hmm_dmirror_advise arg = { .attr = HMM_DMIRROR_ADVISE_READ_MOSTLY };
	static const struct {
		__u32 attr;
		__u64 value;
		int ret;
	} t[] = {
		{ HMM_DMIRROR_ADVISE_RESET, 1, -EINVAL },
		{ HMM_DMIRROR_ADVISE_LOCATION, HMM_DMIRROR_LOCATION_SYSTEM, 0 },
		{ HMM_DMIRROR_ADVISE_LOCATION, 2, -EINVAL },
		{ HMM_DMIRROR_ADVISE_LOCATION, 0xff, -EINVAL },
		{ HMM_DMIRROR_ADVISE_LOCATION, HMM_DMIRROR_LOCATION_DEVICE(4), -ENOENT },
		{ HMM_DMIRROR_ADVISE_LOCATION, HMM_DMIRROR_LOCATION_DEVICE(255), -ENOENT },
		{ HMM_DMIRROR_ADVISE_LOCATION, HMM_DMIRROR_LOCATION_DEVICE(256), -EINVAL },
		{ HMM_DMIRROR_ADVISE_LOCATION, ~0ULL, -EINVAL },
		{ HMM_DMIRROR_ADVISE_LOCATION, 1ULL << 32, -EINVAL },
		{ HMM_DMIRROR_ADVISE_READ_MOSTLY, 1, 0 },
		{ HMM_DMIRROR_ADVISE_READ_MOSTLY, 2, -EINVAL },
		{ HMM_DMIRROR_ADVISE_ATOMIC, HMM_DMIRROR_ATOMIC_DEVICE, 0 },
		{ HMM_DMIRROR_ADVISE_ATOMIC, 2, -EINVAL },
		{ HMM_DMIRROR_ADVISE_GRANULARITY, DM_PAGE, 0 },
		{ HMM_DMIRROR_ADVISE_GRANULARITY, DM_2M, 0 },
		{ HMM_DMIRROR_ADVISE_GRANULARITY, DM_PAGE / 2, -EINVAL },
		{ HMM_DMIRROR_ADVISE_GRANULARITY, 3 * DM_PAGE, -EINVAL },
		{ HMM_DMIRROR_ADVISE_GRANULARITY, 2 * DM_2M, -EINVAL },
		{ HMM_DMIRROR_ADVISE_GRANULARITY, 1ULL << 32, -EINVAL },
		{ HMM_DMIRROR_ADVISE_FAULT_AROUND, 2 * DM_2M, -EINVAL },
		{ HMM_DMIRROR_ADVISE_FAULT_AROUND, 1, -EINVAL },
		{ HMM_DMIRROR_ADVISE_FAULT_AROUND + 1, 0, -EINVAL },
		{ ~0U, 0, -EINVAL },
	};
	struct dm_buf b;
	unsigned int i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		EXPECT_EQ(t[i].ret, dmd_advise(self->drm, b.ptr, b.size, t[i].attr,
					       t[i].value)) {
			TH_LOG("attribute %u, value %#llx", t[i].attr, t[i].value);
		}
	}
	EXPECT_EQ(0, dmd_advise(self->drm, b.ptr, b.size, HMM_DMIRROR_ADVISE_LOCATION,
				HMM_DMIRROR_LOCATION_DEVICE(self->dm.index)));
	EXPECT_EQ(-EINVAL, dmd_advise(self->drm, b.ptr, 0, arg.attr, 1));
	EXPECT_EQ(-EINVAL, dmd_advise(self->drm, b.ptr + 1, DM_PAGE, arg.attr, 1));
	EXPECT_EQ(-EINVAL, dmd_advise(self->drm, b.ptr, DM_PAGE - 1, arg.attr, 1));
	EXPECT_EQ(-EINVAL, dmd_advise(self->drm, (void *)-DM_PAGE, DM_2M, arg.attr, 1));
	arg.start = (__u64)(uintptr_t)b.ptr;
	arg.length = b.size;
	arg.flags = 1;
	EXPECT_EQ(-EINVAL, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_ADVISE, &arg));
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
