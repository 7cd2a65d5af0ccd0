// SPDX-License-Identifier: GPL-2.0
/*
 * A process that means ill: what it makes workers do is its own loss, and nobody
 * else's.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include "jobs.h"
#include "fused.h"

#define LEAVES	400UL

DMD_FIXTURE(jobs);

/* Pointers, one in each 2 MiB, that the CPU has written; returns the first. */
static __u64 *make_chain(__u8 *mem)
{
	unsigned long i;

	for (i = 0; i < LEAVES; i++)
		*(__u64 *)(mem + i * DM_2M) = VA(mem + (i + 1) % LEAVES * DM_2M);
	return (__u64 *)mem;
}

/* What a job makes the driver allocate is charged to the group of its process. */
TEST_F(jobs, charged)
{
	__u64 before = 0, after = 0;
	struct dm_cg cg;
	res_t res;
	void *mem;
	int drm;

	ASSERT_EQ(0, dm_cg_create(&cg, "jobs"));
	ASSERT_EQ(0, dm_cg_enter(&cg));
	mem = mmap(NULL, (LEAVES + 1) * DM_2M, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, madvise(mem, (LEAVES + 1) * DM_2M, MADV_NOHUGEPAGE));
	drm = dmd_open(self->dm.index);
	ASSERT_LE(0, drm);
	/* Nothing moves: leaves are all it takes. */
	ASSERT_EQ(0, dmd_advise(drm, mem, LEAVES * DM_2M, HMM_DMIRROR_ADVISE_LOCATION,
				HMM_DMIRROR_LOCATION_SYSTEM));
	make_chain(mem);
	EXPECT_EQ(0, dm_cg_key(&cg, "memory.stat", "slab", &before));
	EXPECT_EQ(0, job_run1(drm, job_chase(mem, LEAVES), &res));
	EXPECT_EQ(LEAVES, res.done);
	EXPECT_EQ(0, dm_cg_key(&cg, "memory.stat", "slab", &after));
	/* A leaf has 512 entries of 8 bytes. */
	EXPECT_LE(before + LEAVES * 4096, after) {
		TH_LOG("slab memory of the group: %llu, then %llu bytes",
		       (unsigned long long)before, (unsigned long long)after);
	}
	EXPECT_EQ(0, close(drm));
	EXPECT_EQ(0, munmap(mem, (LEAVES + 1) * DM_2M));
	EXPECT_EQ(0, dm_cg_leave());
	EXPECT_EQ(0, dm_cg_destroy(&cg));
}

/*
 * Memory that another process provides, and does not: all engines would wait for it,
 * and with them everybody.
 */
TEST_F(jobs, fuse)
{
	__u64 seqno[4], other;
	struct fused f;
	res_t res[4];
	__s32 status;
	job_t job;
	__u8 *file;
	int i, fd;

	if (fused_mount(&f))
		SKIP(return, "FUSE cannot be mounted here");
	file = fused_map(&f);
	ASSERT_NE(NULL, file);
	f.hold = true;
	for (i = 0; i < 4; i++) {
		job = job_crc(file + i * DM_PAGE, DM_PAGE, 0);
		ASSERT_EQ(0, dmd_submit(self->drm, i, &job, 1, &res[i], &seqno[i]));
	}
	/* Somebody else has a job to do. */
	fd = dmd_open(self->dm.index);
	ASSERT_LE(0, fd);
	job = job_nop();
	ASSERT_EQ(0, dmd_submit(fd, 0, &job, 1, NULL, &other));
	EXPECT_EQ(0, dmd_wait(fd, 0, other, sc_slow(5000), NULL));
	EXPECT_EQ(0, close(fd));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(0, dmd_wait(self->drm, i, seqno[i], sc_slow(5000), &status));
		EXPECT_FAULT(&res[i], file + i * DM_PAGE, READ);
	}
	EXPECT_EQ(0, f.reads);
	fused_let_go(&f);
	EXPECT_EQ(0, munmap(file, FUSED_SIZE));
	fused_umount(&f);
}

/* The ways in that are not a plain read; what lies before such memory is done. */
TEST_F(jobs, fuse_all_ways)
{
	struct fused f;
	__u8 *file, *mem;
	res_t res;

	if (fused_mount(&f))
		SKIP(return, "FUSE cannot be mounted here");
	mem = mmap(NULL, DM_PAGE + FUSED_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	file = fused_map(&f);
	ASSERT_NE(NULL, file);
	file = mremap(file, FUSED_SIZE, FUSED_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      mem + DM_PAGE);
	ASSERT_EQ(mem + DM_PAGE, file);
	f.hold = true;

	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_fill(mem, 2 * DM_PAGE, 7), &res));
	EXPECT_FAULT(&res, file, WRITE);
	EXPECT_EQ(DM_PAGE, res.done);
	EXPECT_EQ(7, *(__u64 *)mem);
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_add64(file, 1, 1), &res));
	EXPECT_FAULT(&res, file, ATOMIC);
	/* Nor can results be written there. */
	EXPECT_EQ(-EFAULT, job_run1(self->drm, job_nop(), (res_t *)(file + 64)));
	if (dmd_has(self->drm, HMM_DMIRROR_FEATURE_EXCLUSIVE))
		EXPECT_EQ(-EOPNOTSUPP,
			  dmd_exclusive(self->drm, HMM_DMIRROR_EXCLUSIVE_TAKE, file,
					DM_PAGE, NULL));
	EXPECT_EQ(0, f.reads);
	fused_let_go(&f);
	EXPECT_EQ(0, munmap(mem, DM_PAGE + FUSED_SIZE));
	fused_umount(&f);
}

#define FLIPPED	3999
#define COMPARED 4000

static void *flip(void *arg)
{
	volatile __u8 *page = arg;

	/* Till the process ends it. */
	while (page[DM_PAGE] != 1)
		page[FLIPPED] ^= 1;
	return NULL;
}

/*
 * What is compared becomes equal while it is looked at. Behind it everything is
 * equal, in memory and in what an earlier comparison has left.
 */
TEST_F(jobs, compare_while_written)
{
	long long start = sc_now_ms();
	unsigned long equal = 0, odd = 0;
	struct dm_buf b;
	pthread_t t;
	res_t res;

	ASSERT_EQ(0, dm_buf_anon(&b, 2, DM_BUF_SMALL));
	ASSERT_EQ(0, dmd_advise(self->drm, b.ptr, b.size, HMM_DMIRROR_ADVISE_LOCATION,
				HMM_DMIRROR_LOCATION_SYSTEM));
	memset(b.ptr, 0, b.size);
	memset(b.mirror, 0, b.size);
	ASSERT_EQ(0, job_run1(self->drm, job_compare(b.ptr, b.mirror, DM_PAGE), &res));
	EXPECT_EQ(DM_PAGE, res.value);
	ASSERT_EQ(0, pthread_create(&t, NULL, flip, b.ptr));
	/* For a while, and on a slow machine until both have been seen. */
	while (sc_now_ms() - start < 1500 ||
	       ((!equal || !odd) && sc_now_ms() - start < sc_slow(10000))) {
		ASSERT_EQ(0, job_run1(self->drm, job_compare(b.ptr, b.mirror, COMPARED),
				      &res));
		ASSERT_EQ(0, res.status);
		ASSERT_EQ(res.done, res.value);
		equal += res.value == COMPARED;
		odd += res.value == FLIPPED;
		ASSERT_EQ(true, res.value == COMPARED || res.value == FLIPPED) {
			TH_LOG("%llu of %d bytes are equal", res.value, COMPARED);
		}
	}
	b.ptr[DM_PAGE] = 1;
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_LT(0, equal);
	EXPECT_LT(0, odd);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
