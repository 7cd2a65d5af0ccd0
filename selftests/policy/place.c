// SPDX-License-Identifier: GPL-2.0
/*
 * Where pages are after the device has used them: exactly those that should be,
 * in exactly the place they should be, by residency and by counters.
 */
#include <sys/wait.h>
#include "place.h"

#define NPAGES	64UL

DMD_FIXTURE(place);

#define EXPECT_CAME(n) do {						\
	EXPECT_MOVED(&self->dm, "dev_fault_moved_pages", n);		\
	EXPECT_MOVED(&self->dm, "migrate_in_pages", n);			\
} while (0)

/* A buffer in system memory, full of generation 1. */
#define IN_SYSTEM(b, n) do {						\
	ASSERT_EQ(0, dm_buf_anon(b, n, DM_BUF_SMALL));			\
	dm_fill((b)->ptr, n, (b)->ptr, 1, DM_CPU);			\
	dm_restart(&self->dm);						\
} while (0)

/* Without advice all of the 2 MiB that exists comes, once. */
TEST_F(place, by_default)
{
	struct dm_buf b;

	IN_SYSTEM(&b, NPAGES);
	EXPECT_EQ(0, dev_read(self->drm, PAGE_AT(b, 20), DM_PAGE));
	EXPECT_CAME(NPAGES);
	EXPECT_MOVED(&self->dm, "dev_faults", 1);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_CAME(NPAGES);
	EXPECT_CLASSES(&self->dm, "in", 0);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* The aligned window around what is used. */
TEST_F(place, granularity)
{
	unsigned long size;
	struct dm_buf b;
	int turns = 0;

	IN_SYSTEM(&b, DM_2M_PAGES);
	for (size = DM_PAGE; size <= DM_2M; size *= 2) {
		unsigned long n = size / DM_PAGE, first = 300 / n * n;

		ASSERT_EQ(0, ADVISE(b, 0, b.npages, GRANULARITY, size));
		dm_restart(&self->dm);
		EXPECT_EQ(0, dev_read(self->drm, PAGE_AT(b, 300) + 100, 8));
		EXPECT_CAME(n);
		EXPECT_ALL(self->dm.fd, PAGE_AT(b, first), n, DM_ON_DEV);
		EXPECT_EQ(b.npages - n, dm_count(self->dm.fd, b.ptr, b.npages, DM_SYS));
		ASSERT_EQ(0, dmd_to_system(self->drm, b.ptr, b.size));
		/* Not so often that it counts as thrashing. */
		if (++turns % 2 == 0)
			usleep(600 * 1000);
	}
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* The window grows no farther than the advice it comes from. */
TEST_F(place, granularity_clipped)
{
	struct dm_buf b;

	IN_SYSTEM(&b, NPAGES);
	ASSERT_EQ(0, ADVISE(b, 8, 13, GRANULARITY, DM_2M));
	EXPECT_EQ(0, dev_read(self->drm, PAGE_AT(b, 10), DM_PAGE));
	EXPECT_CAME(13);
	EXPECT_ALL(self->dm.fd, b.ptr, 8, DM_SYS);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 8), 13, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 21), NPAGES - 21, DM_SYS);
	dm_buf_free(&b);
}

/* One access across several pieces of advice: each page by its own. */
TEST_F(place, access_across_advice)
{
	struct dm_buf b;

	IN_SYSTEM(&b, NPAGES);
	ASSERT_EQ(0, ADVISE(b, 16, 16, LOCATION, HMM_DMIRROR_LOCATION_SYSTEM));
	ASSERT_EQ(0, ADVISE(b, 40, 8, READ_MOSTLY, 1));
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_CAME(NPAGES - 24);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 16), 16, DM_SYS);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 40), 8, DM_SYS);
	EXPECT_EQ(NPAGES - 24, dm_count(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV));

	EXPECT_EQ(0, dev_fill(self->drm, b.ptr, b.size, 0x5151));
	EXPECT_CAME(NPAGES - 16);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 16), 16, DM_SYS);
	EXPECT_EQ(NPAGES - 16, dm_count(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV));
	EXPECT_TRUE(is_full_of(b.ptr, b.size, 0x5151));
	dm_buf_free(&b);
}

/* Never moved by a fault; what a request moved is used where it is. */
TEST_F(place, location_system)
{
	struct dm_buf b;

	IN_SYSTEM(&b, NPAGES);
	ASSERT_EQ(0, ADVISE(b, 0, NPAGES, LOCATION, HMM_DMIRROR_LOCATION_SYSTEM));
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_EQ(0, dev_fill(self->drm, b.ptr, 8 * DM_PAGE, 77));
	EXPECT_CAME(0);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	EXPECT_TRUE(is_full_of(b.ptr, 8 * DM_PAGE, 77));

	ASSERT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	EXPECT_EQ(0, dev_fill(self->drm, b.ptr, b.size, 78));
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_MOVED(&self->dm, "dev_fault_moved_pages", 0);
	EXPECT_TRUE(is_full_of(b.ptr, b.size, 78));
	dm_buf_free(&b);
}

TEST_F(place, location_this_device)
{
	struct dm_buf b;

	IN_SYSTEM(&b, NPAGES);
	ASSERT_EQ(0, ADVISE(b, 0, NPAGES, LOCATION,
			    HMM_DMIRROR_LOCATION_DEVICE(self->dm.index)));
	EXPECT_EQ(0, dev_fill(self->drm, b.ptr, DM_PAGE, 77));
	EXPECT_CAME(NPAGES);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_TAGS(PAGE_AT(b, 1), NPAGES - 1, PAGE_AT(b, 1), 1, DM_CPU);
	dm_buf_free(&b);
}

/* What belongs on another device is used in system memory by this one. */
TEST_F(place, location_other_device)
{
	int peer = dmd_open(self->dm.peer_index);
	struct dm_buf b;

	ASSERT_GE(peer, 0);
	IN_SYSTEM(&b, NPAGES);
	ASSERT_EQ(0, ADVISE(b, 0, NPAGES, LOCATION,
			    HMM_DMIRROR_LOCATION_DEVICE(self->dm.peer_index)));
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_EQ(0, dev_fill(self->drm, b.ptr, 8 * DM_PAGE, 77));
	EXPECT_CAME(0);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	if (!self->dm.coherent) {
		ASSERT_EQ(0, dmd_to_vram(peer, b.ptr, b.size));
		EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
		EXPECT_CAME(0);
		EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	}
	EXPECT_TRUE(is_full_of(b.ptr, 8 * DM_PAGE, 77));
	EXPECT_TAGS(PAGE_AT(b, 8), NPAGES - 8, PAGE_AT(b, 8), 1, DM_CPU);
	EXPECT_EQ(0, close(peer));
	dm_buf_free(&b);
}

/* Read where they are, moved for a write, read on the device then. */
TEST_F(place, read_mostly)
{
	struct dm_buf b;

	IN_SYSTEM(&b, NPAGES);
	ASSERT_EQ(0, ADVISE(b, 0, NPAGES, READ_MOSTLY, 1));
	ASSERT_EQ(0, ADVISE(b, 0, NPAGES, GRANULARITY, DM_PAGE));
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_CAME(0);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	EXPECT_EQ(0, dev_fill(self->drm, PAGE_AT(b, 5), 3 * DM_PAGE, 9));
	EXPECT_CAME(3);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 5), 3, DM_ON_DEV);
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_CAME(3);
	EXPECT_EQ(NPAGES - 3, dm_count(self->dm.fd, b.ptr, NPAGES, DM_SYS));
	EXPECT_TRUE(is_full_of(PAGE_AT(b, 5), 3 * DM_PAGE, 9));
	dm_buf_free(&b);
}

/* Sparse data does not become dense, and nothing is nothing. */
TEST_F(place, what_exists)
{
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_restart(&self->dm);
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, 8 * DM_PAGE));
	EXPECT_CAME(0);
	EXPECT_ALL(self->dm.fd, b.ptr, 8, DM_ZERO);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 8), NPAGES - 8, DM_NOWHERE);
	EXPECT_EQ(0, dev_fill(self->drm, PAGE_AT(b, 30), DM_PAGE, 1));
	EXPECT_EQ(0, dev_fill(self->drm, PAGE_AT(b, 3), DM_PAGE, 2));
	EXPECT_CAME(2);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 30), 1, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 3), 1, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 31), NPAGES - 31, DM_NOWHERE);
	EXPECT_TRUE(is_full_of(PAGE_AT(b, 3), DM_PAGE, 2));
	EXPECT_ZERO_PAGES(PAGE_AT(b, 4), 4);
	dm_buf_free(&b);
}

/* What is used may span mappings; what comes along is of the same mapping. */
TEST_F(place, mappings)
{
	struct dm_buf b;

	IN_SYSTEM(&b, NPAGES);
	ASSERT_EQ(0, munmap(PAGE_AT(b, 10), 2 * DM_PAGE));
	ASSERT_EQ(0, mprotect(PAGE_AT(b, 40), 8 * DM_PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(PAGE_AT(b, 50), 2 * DM_PAGE, PROT_NONE));
	EXPECT_EQ(0, dev_read(self->drm, PAGE_AT(b, 20), DM_PAGE));
	EXPECT_CAME(28);
	EXPECT_ALL(self->dm.fd, b.ptr, 10, DM_SYS);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 12), 28, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 40), 10, DM_SYS);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 52), NPAGES - 52, DM_SYS);
	/* From the end of one to the beginning of the next. */
	EXPECT_EQ(0, dev_read(self->drm, PAGE_AT(b, 47), 2 * DM_PAGE));
	EXPECT_CAME(28 + 10);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 40), 10, DM_ON_DEV);
	ASSERT_EQ(0, mprotect(PAGE_AT(b, 50), 2 * DM_PAGE, PROT_READ));
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 50), 2, DM_SYS);
	EXPECT_TAGS(PAGE_AT(b, 12), NPAGES - 12, PAGE_AT(b, 12), 1, DM_CPU);
	dm_buf_free(&b);
}

/* Pages of files never move; a private copy of one is like any other page. */
TEST_F(place, files)
{
	int fd = memfd_create("place", 0);
	struct dm_buf b;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ftruncate(fd, NPAGES * DM_PAGE));
	ASSERT_EQ(0, dm_buf_map(&b, NPAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	b.ptr[3 * DM_PAGE] = 1;
	dm_restart(&self->dm);
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_CAME(1);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, 3), 1, DM_ON_DEV);
	EXPECT_EQ(1, b.ptr[3 * DM_PAGE]);
	dm_buf_free(&b);

	ASSERT_EQ(0, dm_buf_map(&b, NPAGES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	dm_restart(&self->dm);
	EXPECT_EQ(0, dev_fill(self->drm, b.ptr, b.size, 3));
	EXPECT_CAME(0);
	EXPECT_TRUE(is_full_of(b.ptr, b.size, 3));
	dm_buf_free(&b);
	EXPECT_EQ(0, close(fd));
}

/* New advice counts from the next access on, also where the device was before. */
TEST_F(place, advice_after_use)
{
	struct dm_buf b;

	IN_SYSTEM(&b, NPAGES);
	ASSERT_EQ(0, ADVISE(b, 0, NPAGES, LOCATION, HMM_DMIRROR_LOCATION_SYSTEM));
	EXPECT_EQ(0, dev_fill(self->drm, b.ptr, b.size, 77));
	EXPECT_CAME(0);
	ASSERT_EQ(0, ADVISE(b, 0, NPAGES / 2, RESET, 0));
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_CAME(NPAGES / 2);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES / 2, DM_ON_DEV);
	EXPECT_ALL(self->dm.fd, PAGE_AT(b, NPAGES / 2), NPAGES / 2, DM_SYS);
	EXPECT_TRUE(is_full_of(b.ptr, b.size, 77));
	dm_buf_free(&b);
}

/* What is held exclusively is neither moved nor given up for its neighbours. */
TEST_F(place, exclusive_neighbours)
{
	struct dm_buf b;
	__u64 pages;

	if (!dmd_has(self->drm, HMM_DMIRROR_FEATURE_EXCLUSIVE))
		SKIP(return, "no exclusive access on this kernel");
	IN_SYSTEM(&b, NPAGES);
	ASSERT_EQ(0, dmd_exclusive(self->drm, HMM_DMIRROR_EXCLUSIVE_TAKE,
				   PAGE_AT(b, 5), DM_PAGE, NULL));
	ASSERT_EQ(0, dmd_exclusive(self->drm, HMM_DMIRROR_EXCLUSIVE_TAKE,
				   PAGE_AT(b, 24), 2 * DM_PAGE, NULL));
	EXPECT_EQ(0, dev_read(self->drm, PAGE_AT(b, 20), DM_PAGE));
	EXPECT_CAME(NPAGES - 3);
	EXPECT_EQ(0, dmd_exclusive(self->drm, HMM_DMIRROR_EXCLUSIVE_CHECK,
				   b.ptr, b.size, &pages));
	EXPECT_EQ(3, pages);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* A huge page comes whole where the kernel can do that. */
TEST_F(place, huge_page)
{
	bool whole = dmd_has(self->drm, HMM_DMIRROR_FEATURE_LARGE_FOLIOS);
	struct dm_buf b;

	ASSERT_EQ(0, dm_buf_anon(&b, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_evict(self->drm, HMM_DMIRROR_EVICT_ALL, NULL, 0, NULL));
	dm_restart(&self->dm);
	EXPECT_EQ(0, dev_read(self->drm, PAGE_AT(b, 77), DM_PAGE));
	EXPECT_CAME(b.npages);
	EXPECT_MOVED(&self->dm, "large_in", whole);
	EXPECT_ALL(self->dm.fd, b.ptr, b.npages, DM_ON_DEV);
	EXPECT_TAGS(b.ptr, b.npages, b.ptr, 1, DM_CPU);
	dm_buf_free(&b);
}

/* What was prefetched and mapped stops the device for nothing. */
TEST_F(place, prefetch)
{
	struct dm_buf b;

	IN_SYSTEM(&b, 2 * DM_2M_PAGES);
	ASSERT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size, HMM_DMIRROR_DEST_VRAM,
				 HMM_DMIRROR_MIGRATE_MAP, 0, NULL));
	dm_restart(&self->dm);
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_EQ(0, dev_fill(self->drm, b.ptr, b.size, 6));
	EXPECT_MOVED(&self->dm, "dev_faults", 0);
	EXPECT_CAME(0);
	EXPECT_TRUE(is_full_of(b.ptr, b.size, 6));
	dm_buf_free(&b);
}

/* Whoever uses a character device moves what he says, and nothing else. */
TEST_F(place, character_device)
{
	struct dm_buf b;

	IN_SYSTEM(&b, NPAGES);
	EXPECT_EQ(0, dm_read(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	dm_fill(b.mirror, NPAGES, b.ptr, 2, DM_DEV);
	EXPECT_EQ(0, dm_write(self->dm.fd, b.ptr, NPAGES, b.mirror, NULL));
	EXPECT_CAME(0);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 2, DM_DEV);
	dm_buf_free(&b);
}

/* A write to what a child shares: the parent's copy is on the device, alone. */
TEST_F(place, shared_after_fork)
{
	struct dm_buf b;
	int status;
	pid_t pid;

	IN_SYSTEM(&b, NPAGES);
	EXPECT_EQ(0, dev_read(self->drm, b.ptr, b.size));
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		raise(SIGSTOP);
		_exit(dm_verify(b.ptr, NPAGES, b.ptr, 1, DM_CPU, NULL));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	EXPECT_EQ(0, dev_fill(self->drm, b.ptr, b.size, 8));
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_EQ(0, kill(pid, SIGCONT));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(is_full_of(b.ptr, b.size, 8));
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
