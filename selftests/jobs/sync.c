// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs in resident memory and the fences of the kernel: they signal sync objects,
 * wait for sync objects, do not fault, and wait for nothing else.
 */
#include "fences.h"

#define NPAGES	64UL
/* What has to happen, has happened by then. */
#define SOON_MS	20000

DMD_FIXTURE(jobs);

static int refs(void)
{
	__u64 n = 0;

	return dm_read_u64("/sys/module/hmm_dmirror/refcnt", &n) ? -1 : n;
}

/* References are given back a moment after what had them is gone. */
static int refs_become(int n)
{
	long long end = sc_now_ms() + sc_slow(10000);

	while (refs() != n && sc_now_ms() < end)
		usleep(10000);
	return refs();
}

/*
 * Translations for a second file: by a job that faults. MIGRATE would announce itself
 * to everybody, and so undo those of the first.
 */
static int also_for(int fd, struct dm_buf *b)
{
	return job_run1(fd, job_crc(b->ptr, b->size, 0), NULL);
}

/* Filled and copied in place, then found so by the CPU. */
TEST_F(jobs, in_place)
{
	struct dm_buf b;
	submit_t s = { 0 };
	job_t jobs[2];
	__s32 status;
	res_t res[2];

	ASSERT_EQ(0, resident_buf(self->drm, &b, NPAGES));
	jobs[0] = job_fill(b.ptr + 3, 10 * DM_PAGE, 0x1122334455667788);
	jobs[1] = job_copy(b.ptr + 20 * DM_PAGE + 1, b.ptr + 3, 10 * DM_PAGE);
	ASSERT_EQ(0, job_resident(self->drm, &s, jobs, 2, NULL));
	EXPECT_EQ(1, s.seqno);
	ASSERT_EQ(0, dmd_wait(self->drm, RESIDENT, 1, 60000, &status));
	EXPECT_EQ(0, status);
	EXPECT_MOVED(&self->dm, "dev_faults", 0);
	s = (submit_t){ 0 };
	ASSERT_EQ(0, job_resident(self->drm, &s, jobs, 2, res));
	ASSERT_EQ(0, dmd_wait(self->drm, RESIDENT, 2, 60000, &status));
	EXPECT_EQ(0, status);
	EXPECT_EQ(10 * DM_PAGE, res[0].done);
	EXPECT_EQ(10 * DM_PAGE, res[1].done);
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_ON_DEV);
	EXPECT_EQ(0x88, b.ptr[3]);
	EXPECT_EQ(0, memcmp(b.ptr + 3, b.ptr + 20 * DM_PAGE + 1, 10 * DM_PAGE));
	EXPECT_TAGS(b.ptr + 31 * DM_PAGE, 8, b.ptr + 31 * DM_PAGE, 1, DM_CPU);
	dm_buf_free(&b);
}

/* Not here, here but not in the page table, or there but not to be written. */
TEST_F(jobs, does_not_fault)
{
	struct dm_buf b, o;
	__u64 seqno;
	__s32 status;
	res_t res;
	__u32 out;
	int fd;

	ASSERT_EQ(0, resident_buf(self->drm, &b, NPAGES));
	ASSERT_EQ(0, dmd_to_system(self->drm, b.ptr + 8 * DM_PAGE, DM_PAGE));
	ASSERT_EQ(0, drmSyncobjCreate(self->drm, 0, &out));
	ASSERT_EQ(0, resident(self->drm, job_fill(b.ptr + 8 * DM_PAGE - 16, 32, 9), 0, out,
			      &res, &seqno));
	EXPECT_EQ(0, syncobj_wait(self->drm, out, SOON_MS));
	ASSERT_EQ(0, drmSyncobjExportSyncFile(self->drm, out, &fd));
	EXPECT_EQ(-EFAULT, sync_file_status(fd, NULL));
	close(fd);
	ASSERT_EQ(0, dmd_wait(self->drm, RESIDENT, seqno, 60000, &status));
	EXPECT_EQ(-EFAULT, status);
	EXPECT_FAULT(&res, b.ptr + 8 * DM_PAGE, WRITE);
	EXPECT_EQ(16, res.done);
	EXPECT_EQ(9, *(__u64 *)(b.ptr + 8 * DM_PAGE - 8));
	EXPECT_TAGS(b.ptr + 8 * DM_PAGE, 1, b.ptr + 8 * DM_PAGE, 1, DM_CPU);

	ASSERT_EQ(0, dm_buf_anon(&o, NPAGES, DM_BUF_SMALL));
	dm_fill(o.ptr, NPAGES, o.ptr, 1, DM_CPU);
	ASSERT_EQ(0, dmd_to_vram(self->drm, o.ptr, o.size));
	ASSERT_EQ(0, resident(self->drm, job_copy(b.ptr + 16 * DM_PAGE, o.ptr, 8), 0, 0,
			      &res, &seqno));
	ASSERT_EQ(0, dmd_wait(self->drm, RESIDENT, seqno, 60000, &status));
	EXPECT_FAULT(&res, o.ptr, READ);
	EXPECT_EQ(0, res.done);
	ASSERT_EQ(0, drmSyncobjDestroy(self->drm, out));
	dm_buf_free(&b);
	dm_buf_free(&o);
}

/* The object is signalled when the data is there. */
TEST_F(jobs, signals)
{
	struct dm_buf b;
	__u32 out;
	int fd, i;

	ASSERT_EQ(0, resident_buf(self->drm, &b, NPAGES));
	ASSERT_EQ(0, drmSyncobjCreate(self->drm, 0, &out));
	for (i = 1; i < 50; i++) {
		ASSERT_EQ(0, resident(self->drm, job_fill(b.ptr, b.size, i), 0, out, NULL,
				      NULL));
		ASSERT_EQ(0, drmSyncobjExportSyncFile(self->drm, out, &fd));
		ASSERT_TRUE(sync_file_signals(fd, sc_slow(SOON_MS)));
		EXPECT_EQ(1, sync_file_status(fd, NULL));
		close(fd);
		EXPECT_EQ(0, drmSyncobjWait(self->drm, &out, 1, 0, 0, NULL));
		/* One page, or it would all come home each time. */
		ASSERT_EQ(i, *(__u64 *)(b.ptr + (i % NPAGES) * DM_PAGE + 8));
		ASSERT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size, HMM_DMIRROR_DEST_VRAM,
					 HMM_DMIRROR_MIGRATE_MAP, 0, NULL));
	}
	ASSERT_EQ(0, drmSyncobjDestroy(self->drm, out));
	dm_buf_free(&b);
}

/* One file after the other, in the order of their fences, over and over. */
TEST_F(jobs, file_to_file)
{
	int other = dmd_open(self->dm.index), fd, i;
	__u32 mine[2], theirs[2];
	struct dm_buf b;
	__u64 seqno = 0, *w;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, resident_buf(self->drm, &b, NPAGES));
	ASSERT_EQ(0, also_for(other, &b));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, drmSyncobjCreate(self->drm, i ? DRM_SYNCOBJ_CREATE_SIGNALED : 0,
					      &mine[i]));
		ASSERT_EQ(0, drmSyncobjHandleToFD(self->drm, mine[i], &fd));
		ASSERT_EQ(0, drmSyncobjFDToHandle(other, fd, &theirs[i]));
		close(fd);
	}
	/* Word i is copied to word i + 1, by one file and the other in turn. */
	w = (__u64 *)b.ptr;
	ASSERT_EQ(0, resident(self->drm, job_fill(w, 8, 4711), 0, 0, NULL, NULL));
	for (i = 0; i < 200; i++)
		ASSERT_EQ(0, resident(i % 2 ? other : self->drm,
				      job_copy(&w[(i + 1) * 100], &w[i * 100], 8),
				      i % 2 ? theirs[0] : mine[1],
				      i % 2 ? theirs[1] : mine[0], NULL, &seqno));
	ASSERT_EQ(0, dmd_wait(other, RESIDENT, seqno, 60000, NULL));
	EXPECT_EQ(4711, w[200 * 100]);
	close(other);
	dm_buf_free(&b);
}

/* What waits for a fence waits, with what is behind it; nobody else does. */
TEST_F(jobs, waits)
{
	int other = dmd_open(self->dm.index);
	struct pending p;
	struct dm_buf b;
	__u64 first, second, third, *w;
	char driver[32];
	__u32 in, out;
	int ret, fd;

	ret = pending_make(&p);
	if (ret == -ENODEV)
		SKIP(return, "no vgem here");
	ASSERT_EQ(0, ret);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, resident_buf(self->drm, &b, NPAGES));
	ASSERT_EQ(0, also_for(other, &b));
	w = (__u64 *)b.ptr;
	ASSERT_EQ(0, drmSyncobjCreate(self->drm, 0, &in));
	ASSERT_EQ(0, drmSyncobjCreate(self->drm, 0, &out));
	ASSERT_EQ(0, drmSyncobjImportSyncFile(self->drm, in, p.sync_file));
	ASSERT_EQ(0, resident(self->drm, job_fill(&w[0], 8, 1), in, out, NULL, &first));
	ASSERT_EQ(0, resident(self->drm, job_copy(&w[1], &w[0], 8), 0, 0, NULL, &second));
	ASSERT_EQ(0, drmSyncobjExportSyncFile(self->drm, out, &fd));
	EXPECT_EQ(0, sync_file_status(fd, driver));
	EXPECT_EQ(0, strcmp("hmm_dmirror", driver));
	/* The other file, and a queue that faults. */
	ASSERT_EQ(0, resident(other, job_fill(&w[1000], 8, 3), 0, 0, NULL, &third));
	EXPECT_EQ(0, dmd_wait(other, RESIDENT, third, 60000, NULL));
	EXPECT_EQ(0, job_run1(self->drm, job_nop(), NULL));
	EXPECT_EQ(-ETIME, dmd_wait(self->drm, RESIDENT, first, 100, NULL));
	EXPECT_EQ(-ETIME, dmd_wait(self->drm, RESIDENT, second, 0, NULL));
	EXPECT_EQ(0, sync_file_status(fd, NULL));

	EXPECT_EQ(0, pending_signal(&p));
	EXPECT_EQ(0, dmd_wait(self->drm, RESIDENT, second, 60000, NULL));
	EXPECT_EQ(1, sync_file_status(fd, NULL));
	EXPECT_EQ(1, w[1]);
	EXPECT_EQ(3, w[1000]);
	pending_free(&p);
	close(fd);
	close(other);
	dm_buf_free(&b);
}

/* A file that is closed signals what it owes, and waits for nobody. */
TEST_F(jobs, close_while_waiting)
{
	int other, before, fd, ret;
	struct pending p;
	struct dm_buf b;
	long long start;
	__u32 in, out;

	ret = pending_make(&p);
	if (ret == -ENODEV)
		SKIP(return, "no vgem here");
	ASSERT_EQ(0, ret);
	usleep(300000);
	before = refs();
	other = dmd_open(self->dm.index);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, resident_buf(other, &b, NPAGES));
	ASSERT_EQ(0, drmSyncobjCreate(other, 0, &in));
	ASSERT_EQ(0, drmSyncobjCreate(other, 0, &out));
	ASSERT_EQ(0, drmSyncobjImportSyncFile(other, in, p.sync_file));
	ASSERT_EQ(0, resident(other, job_fill(b.ptr, 8, 1), in, out, NULL, NULL));
	ASSERT_EQ(0, resident(other, job_fill(b.ptr, 8, 1), 0, out, NULL, NULL));
	ASSERT_EQ(0, drmSyncobjExportSyncFile(other, out, &fd));
	EXPECT_EQ(0, sync_file_status(fd, NULL));
	start = sc_now_ms();
	EXPECT_EQ(0, close(other));
	EXPECT_GT(5000, sc_now_ms() - start);
	EXPECT_EQ(-ECANCELED, sync_file_status(fd, NULL));
	EXPECT_TAGS(b.ptr, 1, b.ptr, 1, DM_CPU);

	/* The fence outlives the file; so does the module. */
	EXPECT_EQ(before + 1, refs_become(before + 1));
	usleep(300000);
	EXPECT_EQ(before + 1, refs());
	close(fd);
	EXPECT_EQ(before, refs_become(before));
	EXPECT_EQ(0, pending_signal(&p));
	pending_free(&p);
	dm_buf_free(&b);
}

/* Engines full of jobs that fault do not hold up one with a fence. */
TEST_F(jobs, faults_do_not_hold_up)
{
	int busy[4], i, q;
	struct dm_buf b, o;
	__u32 out;
	job_t job;

	ASSERT_EQ(0, resident_buf(self->drm, &b, NPAGES));
	ASSERT_EQ(0, dm_buf_anon(&o, 16, DM_BUF_SMALL));
	for (i = 0; i < 4; i++) {
		busy[i] = dmd_open(self->dm.index);
		ASSERT_LE(0, busy[i]);
		for (q = 0; q < 4; q++) {
			job = job_endless((__u64 *)(o.ptr + (4 * i + q) * DM_PAGE));
			ASSERT_EQ(0, dmd_submit(busy[i], q, &job, 1, NULL, NULL));
		}
	}
	ASSERT_EQ(0, drmSyncobjCreate(self->drm, 0, &out));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, resident(self->drm, job_fill(b.ptr, 8, i), 0, out, NULL, NULL));
		ASSERT_EQ(0, syncobj_wait(self->drm, out, SOON_MS));
	}
	for (i = 0; i < 4; i++)
		close(busy[i]);
	dm_buf_free(&b);
	dm_buf_free(&o);
}

/* Under memory that comes and goes a job has it or faults, and never writes elsewhere. */
TEST_F(jobs, races_with_migration)
{
	struct dm_buf b;
	__u64 seqno;
	__s32 status;
	int i, ok = 0, faults = 0;
	res_t res;

	ASSERT_EQ(0, resident_buf(self->drm, &b, NPAGES));
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, resident(self->drm, job_fill(b.ptr, b.size, i), 0, 0, &res,
				      &seqno));
		if (i % 3 == 0)
			ASSERT_EQ(0, dmd_to_system(self->drm, b.ptr + 32 * DM_PAGE, DM_PAGE));
		ASSERT_EQ(0, dmd_wait(self->drm, RESIDENT, seqno, 60000, &status));
		if (!status) {
			ok++;
			EXPECT_EQ(b.size, res.done);
		} else {
			faults++;
			EXPECT_FAULT(&res, b.ptr + 32 * DM_PAGE, WRITE);
			EXPECT_EQ(32 * DM_PAGE, res.done);
		}
		if (i % 3 == 2)
			ASSERT_EQ(0, dmd_migrate(self->drm, b.ptr, b.size,
						 HMM_DMIRROR_DEST_VRAM,
						 HMM_DMIRROR_MIGRATE_MAP, 0, NULL));
	}
	EXPECT_LT(0, ok);
	EXPECT_LT(0, faults);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
