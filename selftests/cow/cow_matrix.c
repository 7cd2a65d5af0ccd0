// SPDX-License-Identifier: GPL-2.0
/*
 * Every state an anonymous page can be in before the device comes to it, times
 * everything the device can do to it. What a state allows is in its variant; in
 * every case the process sees its own data and so does a child that shares it.
 * Owns its buffer, the child and a swap device; no locks.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "actor.h"
#include "stage.h"

#define NPAGES	DM_2M_PAGES

struct range {
	struct dm_buf	b;
	struct actor	child;	/* shares the range, if it runs */
	struct dm_zram	swap;
	uint8_t		*p;	/* what the device is about to see */
	unsigned long	n;
	uint8_t		*va;	/* address the tags were made for */
};

/* 0, -ENODEV where the machine cannot have it, or the errno of what failed. */
typedef int (*make_fn)(struct range *r);

static void look_at(struct range *r, uint8_t *p, unsigned long n)
{
	r->p = p;
	r->va = p;
	r->n = n;
}

static int make_small(struct range *r)
{
	if (dm_buf_anon(&r->b, NPAGES, DM_BUF_SMALL))
		return -ENOMEM;
	dm_fill(r->b.ptr, NPAGES, r->b.ptr, 1, DM_CPU);
	look_at(r, r->b.ptr, NPAGES);
	return 0;
}

static int make_huge(struct range *r)
{
	if (dm_buf_anon(&r->b, NPAGES, DM_BUF_THP))
		return -ENOMEM;
	dm_fill(r->b.ptr, NPAGES, r->b.ptr, 1, DM_CPU);
	look_at(r, r->b.ptr, NPAGES);
	return 0;
}

/* Read, never written: the zero page. */
static int make_zero(struct range *r)
{
	unsigned long i;
	volatile uint8_t *q;

	if (dm_buf_anon(&r->b, NPAGES, DM_BUF_SMALL))
		return -ENOMEM;
	look_at(r, r->b.ptr, NPAGES);
	for (i = 0, q = r->p; i < NPAGES; i++)
		(void)q[i * DM_PAGE];
	return 0;
}

static int make_swapped(struct range *r)
{
	int ret = make_small(r);

	if (!ret && dm_zram_on(&r->swap, 16 << 20))
		return -ENODEV;
	return ret ? ret : dm_swap_out(r->p, r->n);
}

/* Swapped out and read again: in the swap cache, mapped read-only. */
static int make_swapped_in(struct range *r)
{
	int ret = make_swapped(r);

	if (ret)
		return ret;
	return dm_verify(r->p, r->n, r->va, 1, DM_CPU, NULL) ? -EIO : 0;
}

static int make_shared(struct range *r)
{
	int ret = make_small(r);

	return ret ? ret : actor_fork(&r->child, &r->b, -1);
}

static int make_shared_huge(struct range *r)
{
	int ret = make_huge(r);

	return ret ? ret : actor_fork(&r->child, &r->b, -1);
}

/* Write-protected by a fork, with nobody left to share it with. */
static int make_once_shared(struct range *r)
{
	int ret = make_shared(r);

	return ret ? ret : actor_end(&r->child);
}

/* One folio, 512 entries. */
static int make_huge_by_ptes(struct range *r)
{
	int ret = make_huge(r);

	if (ret || mprotect(r->p, DM_PAGE, PROT_READ) ||
	    mprotect(r->p, DM_PAGE, PROT_READ | PROT_WRITE))
		return ret ? ret : -errno;
	return 0;
}

/* A single page of a folio whose other pages nobody maps. */
static int make_last_of_huge(struct range *r)
{
	int ret = make_huge(r);

	if (ret || madvise(r->b.ptr, 7 * DM_PAGE, MADV_DONTNEED) ||
	    madvise(r->b.ptr + 8 * DM_PAGE, (NPAGES - 8) * DM_PAGE,
		    MADV_DONTNEED))
		return ret ? ret : -errno;
	look_at(r, r->b.ptr + 7 * DM_PAGE, 1);
	return 0;
}

/* Half of a folio, at an address it was not made for. */
static int make_moved_half(struct range *r)
{
	int ret = make_huge(r);
	size_t half;
	uint8_t *to;

	if (ret)
		return ret;
	half = r->b.size / 2;
	to = mmap(NULL, half, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED ||
	    mremap(r->b.ptr + half, half, half, MREMAP_MAYMOVE | MREMAP_FIXED,
		   to) != to)
		return -errno;
	r->va = r->b.ptr + half;
	r->p = to;
	r->n = NPAGES / 2;
	return 0;
}

FIXTURE(cow_matrix) {
	struct dm_ctx dm;
	struct range r;
};

FIXTURE_VARIANT(cow_matrix) {
	int index, peer;
	make_fn make;
	bool zero;	/* holds zeroes, not tags */
	bool stays;	/* does not migrate: the core passes it over */
};

#define STATE(state, ...)						\
FIXTURE_VARIANT_ADD(cow_matrix, private_##state) {			\
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1,			\
	.make = make_##state, __VA_ARGS__				\
};									\
FIXTURE_VARIANT_ADD(cow_matrix, coherent_##state) {			\
	.index = DM_COHERENT0, .peer = DM_COHERENT1,			\
	.make = make_##state, __VA_ARGS__				\
}

STATE(small);
STATE(zero, .zero = true);
STATE(swapped, .stays = true);
STATE(swapped_in);
STATE(shared);
STATE(once_shared);
STATE(huge);
STATE(shared_huge);
STATE(huge_by_ptes);
STATE(last_of_huge);
STATE(moved_half);

FIXTURE_SETUP(cow_matrix)
{
	int ret;

	self->r.swap.id = -1;
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	ret = variant->make(&self->r);
	if (ret == -ENODEV)
		SKIP(return, "no zram");
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(cow_matrix)
{
	EXPECT_EQ(0, actor_end(&self->r.child));
	if (self->r.p != self->r.va)
		munmap(self->r.p, self->r.n * DM_PAGE);
	dm_buf_free(&self->r.b);
	if (self->r.swap.id >= 0)
		EXPECT_EQ(0, dm_zram_off(&self->r.swap));
	stage_teardown(_metadata, &self->dm);
}

/* What it held at first, seen at @mem. */
#define EXPECT_FIRST(mem) do {						\
	if (variant->zero)						\
		EXPECT_ZERO_PAGES(mem, self->r.n);			\
	else								\
		EXPECT_TAGS(mem, self->r.n, self->r.va, 1, DM_CPU);	\
} while (0)

/* Whatever became of it here, a child that shares it has what it had. */
#define EXPECT_CHILD_UNHARMED() do {					\
	if (self->r.child.pid)						\
		EXPECT_EQ(0, act(&self->r.child, A_CPU_CHECK, 0,	\
				 self->r.n, 1, DM_CPU));		\
} while (0)

/* To the device, all of it, or not one page. */
#define MIGRATE() do {							\
	int ret_ = dm_to_dev(self->dm.fd, self->r.p, self->r.n,		\
			     self->r.b.mirror, NULL);			\
									\
	ASSERT_EQ(variant->stays ? -ENOENT : 0, ret_);			\
	ASSERT_EQ(variant->stays ? 0 : self->r.n,			\
		  dm_count(self->dm.fd, self->r.p, self->r.n, DM_ON_DEV));\
} while (0)

/* The device writes generation @gen, the process reads it. */
#define DEVICE_WRITES(gen) do {						\
	dm_fill(self->r.b.mirror, self->r.n, self->r.va, gen, DM_DEV);	\
	ASSERT_EQ(0, dm_write(self->dm.fd, self->r.p, self->r.n,	\
			      self->r.b.mirror, NULL));			\
	EXPECT_TAGS(self->r.p, self->r.n, self->r.va, gen, DM_DEV);	\
} while (0)

TEST_F(cow_matrix, device_reads)
{
	ASSERT_EQ(0, dm_read(self->dm.fd, self->r.p, self->r.n,
			     self->r.b.mirror, NULL));
	EXPECT_FIRST(self->r.b.mirror);
	EXPECT_FIRST(self->r.p);
	EXPECT_CHILD_UNHARMED();
}

TEST_F(cow_matrix, device_writes)
{
	DEVICE_WRITES(2);
	EXPECT_CHILD_UNHARMED();
}

/* Mapped for reading first: the write must not use that. */
TEST_F(cow_matrix, device_reads_then_writes)
{
	ASSERT_EQ(0, dm_read(self->dm.fd, self->r.p, self->r.n,
			     self->r.b.mirror, NULL));
	DEVICE_WRITES(2);
	EXPECT_CHILD_UNHARMED();
}

TEST_F(cow_matrix, taken_exclusive)
{
	if (!dm_node_exists(DM_PRIVATE0))
		SKIP(return, "this kernel has no exclusive device access");
	ASSERT_EQ(0, dm_exclusive(self->dm.fd, self->r.p, self->r.n,
				  self->r.b.mirror, NULL));
	EXPECT_FIRST(self->r.b.mirror);
	EXPECT_CHILD_UNHARMED();
	DEVICE_WRITES(2);
	EXPECT_CHILD_UNHARMED();
}

TEST_F(cow_matrix, migrates)
{
	MIGRATE();
	if (!variant->stays)
		EXPECT_FIRST(self->r.b.mirror);
	EXPECT_FIRST(self->r.p);
	EXPECT_CHILD_UNHARMED();
}

TEST_F(cow_matrix, migrates_then_device_writes)
{
	MIGRATE();
	DEVICE_WRITES(2);
	EXPECT_CHILD_UNHARMED();
}

TEST_F(cow_matrix, migrates_then_process_writes)
{
	MIGRATE();
	dm_fill(self->r.p, self->r.n, self->r.va, 3, DM_CPU);
	ASSERT_EQ(0, dm_read(self->dm.fd, self->r.p, self->r.n,
			     self->r.b.mirror, NULL));
	EXPECT_TAGS(self->r.b.mirror, self->r.n, self->r.va, 3, DM_CPU);
	EXPECT_CHILD_UNHARMED();
}

TEST_F(cow_matrix, there_and_back)
{
	struct hmm_dmirror_cmd res;

	MIGRATE();
	ASSERT_EQ(0, dm_to_sys(self->dm.fd, self->r.p, self->r.n, &res));
	EXPECT_EQ(variant->stays ? 0 : self->r.n, res.cpages);
	EXPECT_FIRST(self->r.p);
	DEVICE_WRITES(2);
	EXPECT_CHILD_UNHARMED();
}

TEST_HARNESS_MAIN
