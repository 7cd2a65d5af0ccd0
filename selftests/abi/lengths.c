// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges of 64 GiB: a command works on them in bounded kernel memory for as
 * long as it takes, and is gone within a second when its task is killed.
 *
 * The range is sparse, and the result buffer is one small file mapped over and
 * over, so that nothing but the command itself can need much memory.
 */
#include <signal.h>
#include <sys/mman.h>

#include "dm_harness.h"
#include "race.h"
#include "scene.h"
#include "targets.h"

#define RANGE		(64UL << 30)
#define WINDOW		(64UL << 20)
/* How long a command runs before it is killed, and how soon it must be gone. */
#define RUN_MS		1000
#define GONE_MS		1000
/* What a command may take of memory that is not the process's own. */
#define KERNEL_KB	(64UL << 10)

FIXTURE(lengths)
{
	struct dm_ctx	dm;
	struct sc_sync	going;
};

FIXTURE_VARIANT(lengths)
{
	enum command	c;
};

FIXTURE_VARIANT_ADD(lengths, read) { .c = C_READ };
FIXTURE_VARIANT_ADD(lengths, read_unlocked) { .c = C_READ_UNLOCKED };
FIXTURE_VARIANT_ADD(lengths, write) { .c = C_WRITE };
FIXTURE_VARIANT_ADD(lengths, migrate_to_dev) { .c = C_TO_DEV };
FIXTURE_VARIANT_ADD(lengths, migrate_to_sys) { .c = C_TO_SYS };
FIXTURE_VARIANT_ADD(lengths, snapshot) { .c = C_SNAPSHOT };
FIXTURE_VARIANT_ADD(lengths, exclusive) { .c = C_EXCLUSIVE };
FIXTURE_VARIANT_ADD(lengths, check_exclusive) { .c = C_CHECK };

FIXTURE_SETUP(lengths)
{
	int index = dm_node_exists(DM_PRIVATE0) ? DM_PRIVATE0 : DM_COHERENT0;

	if (variant->c == C_EXCLUSIVE && !can_exclusive())
		SKIP(return, "this kernel has no exclusive device access");
	dm_setup(_metadata, &self->dm, index, index + 1);
	if (_metadata->exit_code)
		return;
	ASSERT_EQ(0, sc_sync_init(&self->going));
}

FIXTURE_TEARDOWN(lengths)
{
	sc_sync_fini(&self->going);
	dm_teardown(_metadata, &self->dm);
}

static void *sparse(void)
{
	return mmap(NULL, RANGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Room for the results of the whole range in WINDOW bytes of memory. */
static void *wallpaper(void)
{
	int fd = memfd_create("window", 0);
	uint8_t *room, *p;

	if (fd < 0 || ftruncate(fd, WINDOW))
		return MAP_FAILED;
	room = mmap(NULL, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		    MAP_NORESERVE, -1, 0);
	for (p = room; room != MAP_FAILED && p < room + RANGE; p += WINDOW)
		if (mmap(p, WINDOW, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0) != p)
			return MAP_FAILED;
	return room;
}

static void worker(int index, enum command c, struct sc_sync *going)
{
	void *range = sparse(), *out = wallpaper();
	int fd = dm_open(index);

	if (fd < 0 || range == MAP_FAILED || out == MAP_FAILED)
		_exit(120);
	sc_post(going);
	_exit(-dm_cmd(fd, command_nr[c], range, RANGE / DM_PAGE, out, NULL) &
	      0x7f);
}

/* Memory the kernel took for itself, page tables of processes left out. */
static unsigned long kernel_kb(void)
{
	const char * const keys[] = {
		"Slab:", "VmallocUsed:", "KernelStack:", "Percpu:" };
	unsigned long sum = 0, kb;
	char text[8192], *p;
	unsigned int i;

	if (dm_read_file("/proc/meminfo", text, sizeof(text)) <= 0)
		return 0;
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		p = strstr(text, keys[i]);
		if (p && sscanf(p + strlen(keys[i]), "%lu", &kb) == 1)
			sum += kb;
	}
	return sum;
}

TEST_F_TIMEOUT(lengths, bounded_and_killable, dm_timeout(30))
{
	unsigned long before = kernel_kb(), most = 0, now;
	long long end;
	int status = 0;
	bool early;
	long ms;
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid)
		worker(self->dm.index, variant->c, &self->going);
	ASSERT_EQ(0, sc_wait(&self->going));
	end = sc_now_ms() + RUN_MS * race_slow();
	early = false;
	while (!early && sc_now_ms() < end) {
		early = race_reap(pid, 50, &status) >= 0;
		now = kernel_kb();
		if (now > before && now - before > most)
			most = now - before;
	}
	EXPECT_LT(most, KERNEL_KB) {
		TH_LOG("%s took %lu KiB of kernel memory",
		       command_name[variant->c], most);
	}
	if (early) {
		EXPECT_EQ(0, status) {
			TH_LOG("%s: errno %d", command_name[variant->c],
			       WEXITSTATUS(status));
		}
		return;
	}
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ms = race_reap(pid, 20 * GONE_MS * race_slow(), &status);
	EXPECT_GE(ms, 0) {
		char where[DM_MSG];

		race_tasks(pid, where);
		TH_LOG("%s cannot be killed: %s", command_name[variant->c],
		       where);
	}
	EXPECT_LE(ms, GONE_MS * race_slow()) {
		TH_LOG("%s took %ld ms to go", command_name[variant->c], ms);
	}
	TH_LOG("%s: gone after %ld ms, %lu KiB of kernel memory",
	       command_name[variant->c], ms, most);
	if (self->dm.counters)
		EXPECT_EQ(0, dm_stat_now(self->dm.index, "vram_resident_pages"));
}

TEST_HARNESS_MAIN
