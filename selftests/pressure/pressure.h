/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pressure tests have in common: a test lives in a memory cgroup of
 * its own, with a swap device of its own behind it, and knows to the page what
 * the cgroup is charged.
 */
#ifndef _SELFTESTS_PRESSURE_PRESSURE_H
#define _SELFTESTS_PRESSURE_PRESSURE_H

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "dm_madvise.h"
#include "stage.h"

#define PR_SWAP_BYTES	(64 << 20)

/* Pages a group may be charged ahead on all processors, and kernel memory. */
#define PR_SLACK	(64 * sysconf(_SC_NPROCESSORS_ONLN) + 64)

/* What a test has behind it. */
enum pr_swap {
	PR_NO_SWAP,
	PR_ZRAM,
	PR_ZSWAP,		/* and zram behind that */
};

/**
 * struct pr_env - one test
 * @dm: device, counters, health
 * @cg: its cgroup; the test is in it
 * @swap: what is behind it
 * @zram: its swap, if any
 * @zswap: zswap as it was, -1 if it was not touched
 * @resident: pages on the device before the test
 */
struct pr_env {
	struct dm_ctx	dm;
	struct dm_cg	cg;
	enum pr_swap	swap;
	struct dm_zram	zram;
	int		zswap;
	__u64		resident;
};

static inline void pr_swap_on(struct __test_metadata *_metadata,
			      struct pr_env *e, enum pr_swap swap)
{
	if (swap == PR_NO_SWAP)
		return;
	if (dm_zram_on(&e->zram, PR_SWAP_BYTES)) {
		dm_zram_off(&e->zram);
		SKIP(return, "no zram");
	}
	if (swap == PR_ZSWAP) {
		e->zswap = dm_zswap(true);
		if (e->zswap < 0) {
			dm_zram_off(&e->zram);
			SKIP(return, "no zswap");
		}
	} else {
		e->zswap = dm_zswap(false);
	}
}

/* In FIXTURE_SETUP(): device, swap, cgroup; the test is in the cgroup then. */
static inline void pr_setup(struct __test_metadata *_metadata, struct pr_env *e,
			    int index, int peer, enum pr_swap swap)
{
	e->swap = swap;
	e->zram.id = -1;
	e->zswap = -1;
	dm_setup(_metadata, &e->dm, index, peer);
	if (_metadata->exit_code)
		return;
	pr_swap_on(_metadata, e, swap);
	if (_metadata->exit_code)
		return;
	e->resident = dm_stat(&e->dm.start, "vram_resident_pages");
	ASSERT_EQ(0, dm_cg_create(&e->cg, "pressure"));
	/* What is compressed is charged, too. The rest goes to the device. */
	if (swap == PR_ZSWAP)
		dm_cg_write(&e->cg, "memory.zswap.max", "512K");
	ASSERT_EQ(0, dm_cg_enter(&e->cg));
}

/* In FIXTURE_TEARDOWN(), with all buffers freed. */
static inline void pr_teardown(struct __test_metadata *_metadata,
			       struct pr_env *e)
{
	EXPECT_EQ(0, dm_cg_leave());
	EXPECT_EQ(0, dm_zram_off(&e->zram));
	if (e->zswap >= 0)
		EXPECT_LE(0, dm_zswap(e->zswap));
	EXPECT_EQ(0, dm_cg_destroy(&e->cg));
	if (e->dm.counters)
		EXPECT_EQ(e->resident, dm_stat_now(e->dm.index,
						   "vram_resident_pages"));
	dm_teardown(_metadata, &e->dm);
}

/*
 * Declares a fixture with one pr_env, all devices and all kinds of swap. Coherent
 * memory and zswap are together in zswap.c.
 */
#define PR_FIXTURE_SWAP(fixture)					\
	FIXTURE(fixture) { struct pr_env e; };				\
	FIXTURE_VARIANT(fixture) {					\
		int index; int peer; enum pr_swap swap; };		\
	FIXTURE_VARIANT_ADD(fixture, private_zram) {			\
		.index = DM_PRIVATE0, .peer = DM_PRIVATE1,		\
		.swap = PR_ZRAM };					\
	FIXTURE_VARIANT_ADD(fixture, private_zswap) {			\
		.index = DM_PRIVATE0, .peer = DM_PRIVATE1,		\
		.swap = PR_ZSWAP };					\
	FIXTURE_VARIANT_ADD(fixture, coherent_zram) {			\
		.index = DM_COHERENT0, .peer = DM_COHERENT1,		\
		.swap = PR_ZRAM };					\
	FIXTURE_SETUP(fixture)						\
	{								\
		pr_setup(_metadata, &self->e, variant->index,		\
			 variant->peer, variant->swap);			\
	}								\
	FIXTURE_TEARDOWN(fixture)					\
	{								\
		pr_teardown(_metadata, &self->e);			\
	}

/* Likewise with one kind of swap, private and coherent. */
#define PR_FIXTURE(fixture, kind)					\
	FIXTURE(fixture) { struct pr_env e; };				\
	DM_VARIANTS(fixture);						\
	FIXTURE_SETUP(fixture)						\
	{								\
		pr_setup(_metadata, &self->e, variant->index,		\
			 variant->peer, kind);				\
	}								\
	FIXTURE_TEARDOWN(fixture)					\
	{								\
		pr_teardown(_metadata, &self->e);			\
	}

/*
 * A buffer of small pages. Its bounce buffer is not in the group, so that only
 * the range itself is under pressure.
 */
static inline int pr_buf(struct pr_env *e, struct dm_buf *b,
			 unsigned long npages, int flags)
{
	int ret = dm_cg_leave();

	if (!ret)
		ret = dm_buf_anon(b, npages, flags);
	if (!ret)
		memset(b->mirror, 0xee, b->size);
	return ret ? ret : dm_cg_enter(&e->cg);
}

/* One number of the group; 0 where the kernel does not have it. */
static inline __u64 pr_stat(struct pr_env *e, const char *file, const char *key)
{
	__u64 val = 0;

	if (key)
		dm_cg_key(&e->cg, file, key, &val);
	else
		dm_cg_read(&e->cg, file, &val);
	return val;
}

/* A counter of /proc/vmstat, 0 without it. */
static inline unsigned long long pr_vmstat(const char *key)
{
	char text[16384], *p, want[64];

	if (dm_read_file("/proc/vmstat", text, sizeof(text)) < 0)
		return 0;
	snprintf(want, sizeof(want), "\n%s ", key);
	p = strstr(text, want);
	return p ? strtoull(p + strlen(want), NULL, 10) : 0;
}

/* Bytes as a control file wants them. */
static inline int pr_limit(const struct pr_env *e, const char *file,
			   unsigned long bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", bytes);
	return dm_cg_write(&e->cg, file, text);
}

/*
 * Have @bytes of the group reclaimed. A kernel that finds less says -EAGAIN;
 * pages just touched need more than one look, so ask a few times.
 */
static inline void pr_reclaim(const struct pr_env *e, unsigned long bytes)
{
	int tries = 0;

	while (pr_limit(e, "memory.reclaim", bytes) == -EAGAIN && ++tries < 8)
		;
}

/*
 * Move a range in although reclaim takes pages away meanwhile: those are read
 * back and asked for again. Returns 0 when all of it is there.
 */
static inline int pr_to_dev(struct pr_env *e, void *addr, unsigned long npages,
			    void *out)
{
	int ret = -ENOENT, tries;
	unsigned long i;

	for (tries = 0; ret == -ENOENT && tries < 50; tries++) {
		for (i = 0; tries && i < npages; i++)
			dm_read(e->dm.fd, addr + i * DM_PAGE, 1, out, NULL);
		ret = dm_to_dev(e->dm.fd, addr, npages, out, NULL);
	}
	return ret;
}

/**
 * struct pr_mem - what a group is charged
 * @anon: bytes of anonymous memory, exact
 * @current: bytes of everything, charged ahead included
 * @high: times it was above memory.high
 * @max: times it was about to exceed memory.max
 * @oom: times there was no way out
 * @oom_kill: processes killed for that
 */
struct pr_mem {
	__u64 anon, current, high, max, oom, oom_kill;
};

/*
 * Statistics are folded in lazily, once enough has changed. So change enough:
 * populate and discard a piece of memory, which itself adds up to nothing.
 */
static inline void pr_fold(void)
{
	static char *scratch;
	const size_t len = 2 * DM_2M;

	if (!scratch) {
		scratch = mmap(NULL, len, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(scratch, len, MADV_NOHUGEPAGE);
	}
	memset(scratch, 1, len);
	madvise(scratch, len, MADV_DONTNEED);
}

/* Calls @fn for each mapping that is private and writable, until it fails. */
static inline int pr_each_private(int (*fn)(__u8 *start, __u8 *end, void *arg),
				  void *arg)
{
	unsigned long start, end;
	char line[512];
	FILE *maps;
	int ret = 0;

	maps = fopen("/proc/self/maps", "r");
	if (!maps)
		return -errno;
	while (ret >= 0 && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 &&
		    strstr(line, " rw-p "))
			ret = fn((__u8 *)start, (__u8 *)end, arg);
	}
	fclose(maps);
	return ret < 0 ? ret : 0;
}

static inline int pr_populate(__u8 *start, __u8 *end, void *except)
{
	if (start <= (__u8 *)except && (__u8 *)except < end)
		return 0;
	return madvise(start, end - start, MADV_POPULATE_WRITE) ? -errno : 0;
}

/* Write to every page that is private and writable, but not where @except is. */
static inline int pr_write_everything(void *except)
{
	char deep[65536];

	memset(deep, 1, sizeof(deep));
	__asm__ volatile("" : : "r"(deep) : "memory");
	return pr_each_private(pr_populate, except);
}

/* Whom a page is charged to: /proc/kpagecgroup has the inode of the group. */
struct pr_owner {
	int fd;
	__u64 ino;
	unsigned long strangers;
};

static inline int pr_count_strangers(__u8 *start, __u8 *end, void *arg)
{
	__u64 ent[256], pfn, ino;
	struct pr_owner *o = arg;
	size_t i, n;

	for (; start < end; start += n * DM_PAGE) {
		n = (end - start) / DM_PAGE < 256 ? (end - start) / DM_PAGE : 256;
		if (dm_pagemap(start, n, ent))
			return -EIO;
		for (i = 0; i < n; i++) {
			pfn = dm_pm_pfn(ent[i]);
			if (pfn && pread(o->fd, &ino, 8, pfn * 8) != 8)
				return -EIO;
			o->strangers += pfn && ino != o->ino;
		}
	}
	return 0;
}

/* Pages of the test's own that another group pays for, or a negative errno. */
static inline long pr_strangers(const struct dm_cg *cg)
{
	struct pr_owner o = { .fd = open("/proc/kpagecgroup", O_RDONLY) };
	struct stat st;
	int ret;

	if (o.fd < 0 || stat(cg->path, &st)) {
		ret = -errno;
	} else {
		o.ino = st.st_ino;
		ret = pr_each_private(pr_count_strangers, &o);
	}
	if (o.fd >= 0)
		close(o.fd);
	return ret ? ret : (long)o.strangers;
}

/*
 * A child that shares all memory and never gets to run: it begins its life in a
 * frozen group, so it does not write to a page first, not even the kernel for it.
 */
static inline pid_t pr_fork_frozen(const struct dm_cg *ice)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP,
				   .exit_signal = SIGCHLD };
	int fd = open(ice->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid;

	if (fd < 0 || dm_cg_write(ice, "cgroup.freeze", "1"))
		return -1;
	args.cgroup = fd;
	pid = syscall(__NR_clone3, &args, sizeof(args));
	if (!pid) {
		for (;;)
			pause();
	}
	close(fd);
	return pid;
}

/*
 * Have all of the test's own memory charged to its group, so that no copy of a
 * page shared by fork, made and charged later, gets between two measurements.
 * What the test had before is another group's: share it, and write to it. Which
 * of two processes that share a page gets the copy depends on who writes first,
 * so the other one must not. Returns 0, -EAGAIN if something is not its own, or
 * another negative errno.
 */
static inline int pr_own_everything(const struct dm_cg *cg)
{
	struct dm_cg ice;
	long strangers;
	pid_t pid;
	int ret;

	ret = dm_cg_create(&ice, "ice");
	if (ret)
		return ret;
	pid = pr_fork_frozen(&ice);
	ret = pid < 0 ? -EIO : pr_write_everything(NULL);
	if (pid > 0) {
		kill(pid, SIGKILL);
		sc_reap(pid);
	}
	dm_cg_destroy(&ice);
	strangers = ret ? ret : pr_strangers(cg);
	return strangers > 0 ? -EAGAIN : strangers;
}

/* All numbers of a group. Not at its limit: see pr_fold(). */
static inline void pr_mem(const struct dm_cg *cg, struct pr_mem *m)
{
	memset(m, 0, sizeof(*m));
	pr_fold();
	dm_cg_key(cg, "memory.stat", "anon", &m->anon);
	dm_cg_read(cg, "memory.current", &m->current);
	dm_cg_key(cg, "memory.events", "high", &m->high);
	dm_cg_key(cg, "memory.events", "max", &m->max);
	dm_cg_key(cg, "memory.events", "oom", &m->oom);
	dm_cg_key(cg, "memory.events", "oom_kill", &m->oom_kill);
}

/*
 * pr_mem(), until anonymous memory is what is expected, for a second or so: the
 * kernel folds numbers in on its own, too, and may do so in the middle of
 * pr_fold(); and the memory of a process that has ended may be freed a bit later.
 */
static inline void pr_mem_until(const struct dm_cg *cg, struct pr_mem *m,
				__u64 anon)
{
	long long end = sc_now_ms() + sc_slow(1000);

	pr_mem(cg, m);
	while (m->anon != anon && sc_now_ms() < end) {
		usleep(100000);
		pr_mem(cg, m);
	}
}

/* pr_mem() to measure from: two readings a moment apart that agree. */
static inline void pr_mem_begin(const struct dm_cg *cg, struct pr_mem *m)
{
	struct pr_mem last;
	int tries;

	pr_mem(cg, m);
	for (tries = 0; tries < 10; tries++) {
		last = *m;
		pr_mem(cg, m);
		if (last.anon == m->anon)
			break;
	}
}

/* Since @before the group got @pages more (fewer) anonymous pages, exactly. */
#define EXPECT_CHARGED(cg, before, pages) do {				\
	struct pr_mem now_;						\
	long long want_ = (long long)(pages) * (long long)DM_PAGE;	\
									\
	pr_mem_until(cg, &now_, (before)->anon + want_);		\
	EXPECT_EQ(want_, (long long)(now_.anon - (before)->anon));	\
	EXPECT_LE(llabs((long long)(now_.current - (before)->current) -	\
			want_), (long long)(PR_SLACK * DM_PAGE)) {	\
		TH_LOG("memory.current %lld, anon %lld",		\
		       (long long)(now_.current - (before)->current),	\
		       (long long)(now_.anon - (before)->anon));	\
	}								\
	EXPECT_EQ((before)->high, now_.high);				\
	EXPECT_EQ((before)->max, now_.max);				\
	EXPECT_EQ((before)->oom, now_.oom);				\
	EXPECT_EQ((before)->oom_kill, now_.oom_kill);			\
} while (0)

/* Something the group counts, which may be folded in two seconds later. */
static inline bool pr_happened(struct pr_env *e, const char *key)
{
	long long end = sc_now_ms() + sc_slow(10000);

	while (!pr_stat(e, "memory.stat", key) && sc_now_ms() < end)
		usleep(50000);
	return pr_stat(e, "memory.stat", key);
}

/* It was the swap of this variant that was used, and it was used. */
#define EXPECT_SWAP_USED(e) do {					\
	__u64 z_ = pr_stat(e, "memory.stat", "zswpout");		\
									\
	EXPECT_LT(0, pr_stat(e, "memory.stat", "zswpout") +		\
		     pr_stat(e, "memory.stat", "pswpout"));		\
	EXPECT_EQ((e)->swap == PR_ZSWAP, !!z_);				\
} while (0)

/*
 * Likewise where it was so little that nothing is folded in yet. Not at the limit,
 * where pr_fold() itself would swap.
 */
#define EXPECT_SOME_SWAP_USED(e) do {					\
	pr_fold();							\
	EXPECT_TRUE(pr_happened(e, (e)->swap == PR_ZSWAP ? "zswpout" :	\
				   "pswpout"));				\
	EXPECT_SWAP_USED(e);						\
} while (0)

/* What happens to what is not in swap, or nothing is: one kind of swap will do. */
#define ONE_SWAP_WILL_DO(e) do {					\
	if ((e)->swap == PR_ZSWAP)					\
		SKIP(return, "zram tells as much");			\
} while (0)

/* Nobody has been killed, and there was no reason to. */
#define EXPECT_NO_OOM(e) do {						\
	EXPECT_EQ(0, pr_stat(e, "memory.events", "oom"));		\
	EXPECT_EQ(0, pr_stat(e, "memory.events", "oom_kill"));		\
} while (0)

#endif /* _SELFTESTS_PRESSURE_PRESSURE_H */
