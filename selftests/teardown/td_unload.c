// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading the driver: refused while a file is open, otherwise it takes every
 * page of every process back to system memory first, and leaves nothing of
 * itself behind. Owns its buffers and children, and the module for the time of
 * a test; no locks.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "residue.h"
#include "teardown.h"

FIXTURE(td_unload) {
	struct td td;
	struct dm_buf b, huge;
};

FIXTURE_SETUP(td_unload)
{
	TD_SETUP(&self->td);
	TD_RELOAD("vram_mb=16");
	ASSERT_EQ(0, dm_buf_anon(&self->b, SMALL_PAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(td_unload)
{
	dm_buf_free(&self->b);
	dm_buf_free(&self->huge);
	td_restore(_metadata, &self->td);
}

/* All of /proc/iomem; the caller frees it. */
static char *read_iomem(void)
{
	size_t len = 256 * 1024;
	char *text = malloc(len);

	if (text && dm_read_file("/proc/iomem", text, len) < 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* Refused while a file is open, and the file goes on working. */
TEST_F(td_unload, refused_while_open)
{
	int fd = dm_open(DM_PRIVATE0);

	ASSERT_LE(0, fd);
	ASSERT_TO_DEV(fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(-EAGAIN, mc_unload(MC_DMIRROR));
	ASSERT_EQ(-EAGAIN, mc_unload(MC_DEVMEM));
	ASSERT_TRUE(mc_loaded(MC_DMIRROR));
	ASSERT_ALL(fd, self->b.ptr, SMALL_PAGES, DM_ON_DEV);
	ASSERT_DEV_READS(fd, &self->b, 1, DM_CPU);
	ASSERT_EQ(0, close(fd));
	/* Nobody has a file: only now, and with pages resident. */
	ASSERT_EQ(0, mc_unload(MC_DMIRROR));
	ASSERT_FALSE(mc_loaded(MC_DMIRROR));
	ASSERT_HOME(&self->b, 1, DM_CPU);
}

/* A mapping of the node counts as a user as well. */
TEST_F(td_unload, refused_while_mapped)
{
	int fd = dm_open(DM_PRIVATE0);
	__u8 *p;

	ASSERT_LE(0, fd);
	p = mmap(NULL, DM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, close(fd));
	p[0] = 1;
	ASSERT_EQ(-EAGAIN, mc_unload(MC_DMIRROR));
	ASSERT_EQ(0, munmap(p, DM_PAGE));
	ASSERT_EQ(0, mc_unload(MC_DMIRROR));
}

/*
 * Small pages on the one device, a large one on the other, no file open: unloading
 * brings all of it home, what the device has written included.
 */
static void unload_brings_home(struct __test_metadata *_metadata, struct dm_buf *b,
			       struct dm_buf *huge, int index, int other)
{
	int fd = dm_open(index), fd1 = dm_open(other);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, fd1);
	ASSERT_EQ(0, dm_buf_anon(huge, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(huge->ptr, DM_2M_PAGES, huge->ptr, 1, DM_CPU);
	ASSERT_TO_DEV(fd, b, 1, DM_CPU);
	ASSERT_DEV_WRITES(fd, b, 2, DM_DEV);
	ASSERT_TO_DEV(fd1, huge, 1, DM_CPU);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, close(fd1));
	ASSERT_NE(0, td_all_home(b));
	ASSERT_NE(0, td_all_home(huge));
	ASSERT_EQ(0, mc_down(true));
	ASSERT_HOME(b, 2, DM_DEV);
	ASSERT_HOME(huge, 1, DM_CPU);
}

/* Once, and again with the next life of the module. */
TEST_F(td_unload, resident_pages)
{
	int fd;

	unload_brings_home(_metadata, &self->b, &self->huge, DM_PRIVATE0, DM_PRIVATE1);
	ASSERT_EQ(0, mc_up("vram_mb=16"));
	fd = dm_open(DM_PRIVATE0);
	ASSERT_LE(0, fd);
	ASSERT_TO_DEV(fd, &self->b, 2, DM_DEV);
	ASSERT_EQ(0, close(fd));
}

/* The same of coherent devices: nothing is left in what was their memory. */
TEST_F(td_unload, coherent_pages)
{
	if (!strstr(self->td.params, "spm_addr_dev1"))
		SKIP(return, "no coherent devices on this machine");
	ASSERT_EQ(0, mc_down(false));
	ASSERT_EQ(0, mc_up(self->td.params));
	ASSERT_EQ(0, mc_wait_node(DM_COHERENT1, true));
	unload_brings_home(_metadata, &self->b, &self->huge, DM_COHERENT0, DM_COHERENT1);
}

/* Pages shared with a child, of which the opener is dead. */
TEST_F(td_unload, pages_of_an_heir)
{
	struct sc_sync ready, go;
	pid_t opener, heir;
	int status[2];

	ASSERT_EQ(0, sc_sync_init(&ready));
	ASSERT_EQ(0, sc_sync_init(&go));
	ASSERT_EQ(0, pipe(status));
	opener = fork();
	ASSERT_LE(0, opener);
	if (!opener) {
		int fd = dm_open(DM_PRIVATE0), ret = 0;

		if (fd < 0 || dm_to_dev(fd, self->b.ptr, SMALL_PAGES,
					self->b.mirror, NULL))
			_exit(1);
		heir = fork();
		if (!heir) {
			close(fd);
			sc_post(&ready);
			ret = sc_wait(&go) || td_all_home(&self->b) ||
			      dm_verify(self->b.ptr, SMALL_PAGES, self->b.ptr,
					1, DM_CPU, NULL);
			if (write(status[1], &ret, sizeof(ret)) != sizeof(ret))
				_exit(1);
		}
		_exit(0);
	}
	ASSERT_EQ(0, sc_reap(opener));
	ASSERT_EQ(0, sc_wait(&ready));
	ASSERT_NE(0, td_all_home(&self->b));
	ASSERT_EQ(0, mc_unload(MC_DMIRROR));
	sc_post(&go);
	ASSERT_EQ(sizeof(opener), read(status[0], &opener, sizeof(opener)));
	ASSERT_EQ(0, opener);
	ASSERT_HOME(&self->b, 1, DM_CPU);
	sc_sync_fini(&ready);
	sc_sync_fini(&go);
}

/* Pages a device holds exclusively are given back by closing and unloading. */
TEST_F(td_unload, exclusive_pages)
{
	int fd = dm_open(DM_PRIVATE0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, dm_exclusive(fd, self->b.ptr, SMALL_PAGES, self->b.mirror,
				  NULL));
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, mc_down(true));
	ASSERT_TAGS(self->b.ptr, SMALL_PAGES, self->b.ptr, 1, DM_CPU);
}

/* Unloading right after the death of a process that had pages there. */
TEST_F(td_unload, after_process_death)
{
	struct sc_sync ready;
	pid_t pid;
	int i, fd;

	ASSERT_EQ(0, sc_sync_init(&ready));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, mc_up("vram_mb=16"));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			fd = dm_open(DM_PRIVATE0);
			/* Its own copy of the pages. */
			dm_fill(self->b.ptr, SMALL_PAGES, self->b.ptr, 3,
				DM_CHILD);
			if (fd < 0 || dm_to_dev(fd, self->b.ptr, SMALL_PAGES,
						self->b.mirror, NULL) ||
			    sc_post(&ready))
				_exit(1);
			for (;;)
				pause();
		}
		ASSERT_EQ(0, sc_wait(&ready));
		kill(pid, SIGKILL);
		ASSERT_EQ(128 + SIGKILL, sc_reap(pid));
		ASSERT_EQ(0, mc_unload(MC_DMIRROR));
	}
	sc_sync_fini(&ready);
}

/* One life of the module, with a part of both buffers left on its device. */
static int one_cycle(struct dm_buf *b, struct dm_buf *huge, int i)
{
	static const char *const params[] = {
		"vram_mb=16", "vram_mb=8 fault_around_kb=4",
		"vram_mb=16 fault_around_kb=2048",
	};
	struct dm_stats s;
	int fd;

	if (mc_up(params[i % 3]))
		return 1;
	/* Every life begins with an empty device. */
	if (dm_stats_read(DM_PRIVATE0, &s) || dm_stats_idle(&s, NULL) ||
	    dm_stat(&s, "migrate_in_pages"))
		return 2;
	fd = dm_open(i & 1 ? DM_PRIVATE1 : DM_PRIVATE0);
	if (fd < 0)
		return 3;
	if (dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL) ||
	    dm_all(fd, b->ptr, b->npages, DM_ON_DEV, NULL))
		return 4;
	if (dm_to_dev(fd, huge->ptr, huge->npages, huge->mirror, NULL))
		return 5;
	/* The cache that must be gone in the end goes by this name now. */
	if (mc_slab_objs("dmirror_leaf") <= 0)
		return 8;
	close(fd);
	if (mc_down(true))
		return 6;
	if (td_all_home(b) || td_all_home(huge) ||
	    dm_verify(b->ptr, b->npages, b->ptr, 1, DM_CPU, NULL) ||
	    dm_verify(huge->ptr, huge->npages, huge->ptr, 1, DM_CPU, NULL))
		return 7;
	return 0;
}

/* Rounds between two samples; the first ones warm up. */
#define EVERY		5
#define CYCLES		50
#define WARM_UP		(CYCLES - EVERY * (RS_SAMPLES - 1))

/*
 * Fifty times loaded and unloaded with pages resident: /proc/iomem is as
 * before, no slab cache of ours is left, no other grows, and free memory does
 * not dwindle.
 */
TEST_F_TIMEOUT(td_unload, fifty_cycles, dm_timeout(150))
{
	static struct rs_watch watch;
	char *before, *after, report[RS_REPORT];
	int i;

	ASSERT_EQ(0, dm_buf_anon(&self->huge, DM_2M_PAGES, DM_BUF_THP));
	dm_fill(self->huge.ptr, DM_2M_PAGES, self->huge.ptr, 1, DM_CPU);
	ASSERT_EQ(0, mc_down(true));
	before = read_iomem();
	ASSERT_NE(NULL, before);
	for (i = 0; i <= CYCLES; i++) {
		if (i >= WARM_UP && !((i - WARM_UP) % EVERY))
			ASSERT_EQ(0, rs_sample(&watch));
		if (i == CYCLES)
			break;
		ASSERT_EQ(0, one_cycle(&self->b, &self->huge, i)) {
			TH_LOG("cycle %d", i);
		}
	}
	after = read_iomem();
	ASSERT_NE(NULL, after);
	ASSERT_EQ(0, strcmp(before, after));
	ASSERT_EQ(0, mc_slab_objs("dmirror_") + mc_slab_objs("hmm_"));
	ASSERT_EQ(RS_SAMPLES, watch.samples);
	EXPECT_EQ(0, rs_leaks(&watch, EVERY, 2, report)) {
		TH_LOG("%s", report);
	}
	TH_LOG("%d slab caches; free pages %ld after %d cycles, %ld after %d",
	       watch.caches, watch.pages[0], WARM_UP,
	       watch.pages[RS_SAMPLES - 1], CYCLES);
	free(before);
	free(after);
}

TEST_HARNESS_MAIN
