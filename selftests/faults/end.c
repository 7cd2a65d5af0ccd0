// SPDX-License-Identifier: GPL-2.0
/*
 * Things that end while somebody is in a window of the driver: the task itself,
 * the process whose pages they are, the file, the device. All of it in bounded
 * time, with the data where it belongs and nothing left on the device.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "modctl.h"
#include "stage.h"
#include "windows.h"

/* Soon, even on an emulated machine. */
#define SOON_MS		5000

struct scene {
	const char *window;
	hand_fn fn;
	bool resident;
};

/* Every window, by an operation that passes it. */
#define SCENES(fixture)							\
	SCENE(fixture, reserve, do_in, false);				\
	SCENE(fixture, leaf, do_dev_read, false);			\
	SCENE(fixture, notifier, do_dev_read, false);			\
	SCENE(fixture, table, do_dev_read, false);			\
	SCENE(fixture, buffer, do_dev_read, false);			\
	SCENE(fixture, install, do_dev_write, false);			\
	SCENE(fixture, access, do_dev_write, false);			\
	SCENE(fixture, collect, do_in, false);				\
	SCENE(fixture, copy, do_in, false);				\
	SCENE(fixture, commit, do_in, false);				\
	SCENE(fixture, finalize, do_in, false);				\
	SCENE(fixture, alloc_out_small, do_out, true);			\
	SCENE(fixture, commit_out, do_out, true);			\
	SCENE(fixture, commit_fault, do_touch, true);			\
	SCENE(fixture, finalize_fault, do_touch, true);			\
	SCENE(fixture, evict, do_release, true);			\
	SCENE(fixture, evict_commit, do_release, true);			\
	SCENE(fixture, evict_finalize, do_release, true)

#define SCENE(fixture, w, f, r)						\
	FIXTURE_VARIANT_ADD(fixture, w) { .s = { #w, f, r } }

/* The name of a variant is that of its window, and perhaps of who passes it. */
static const char *window_of(const struct scene *s)
{
	if (!strncmp(s->window, "commit", 6))
		return "commit";
	return strncmp(s->window, "finalize", 8) ? s->window : "finalize";
}

FIXTURE(end) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct hand hand, other;
	const char *window;
	int ranges;
};

FIXTURE_VARIANT(end) { struct scene s; };
SCENES(end);

FIXTURE_SETUP(end)
{
	DM_INJECT_SETUP();
	STAGE_PRIVATE(&self->dm);
	self->window = window_of(&variant->s);
	ASSERT_EQ(0, dm_buf_anon(&self->b, WIN_PAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, WIN_PAGES, self->b.ptr, 1, DM_CPU);
	if (variant->s.resident)
		ASSERT_TO_DEV(self->dm.fd, &self->b, 1, DM_CPU);
}

FIXTURE_TEARDOWN(end)
{
	dm_inject_off(DM_PRIVATE0);
	hand_fini(&self->hand);
	hand_fini(&self->other);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

#define WAIT_OPEN() do {						\
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, self->window, 1));	\
	ASSERT_EQ(1, dm_inject_get(DM_PRIVATE0, self->window, "acted")); \
} while (0)

/* It has been entered, and may have closed by itself since. */
static bool was_open(const char *window)
{
	long long end = sc_now_ms() + sc_slow(SOON_MS);

	while (dm_inject_get(DM_PRIVATE0, window, "acted") != 1) {
		if (sc_now_ms() > end)
			return false;
		usleep(1000);
	}
	return true;
}

/* A child that does what the scene says, with a file and pages of its own. */
static void child_main(const struct scene *s, struct dm_buf *b, int arm_fd)
{
	struct hand h = { .b = b, .gen = 2 };
	char c = 0;

	h.fd = dm_open(DM_PRIVATE0);
	h.scratch = b->mirror;
	if (h.fd < 0)
		_exit(90);
	dm_fill(b->ptr, b->npages, b->ptr, 9, DM_CHILD);
	if (s->resident && dm_to_dev(h.fd, b->ptr, b->npages, b->mirror, NULL))
		_exit(91);
	if (s->resident && s->fn != do_touch) {
		close(h.fd);
		h.fd = dm_open(DM_PRIVATE0);
	}
	/* Ready: the parent arms the point, then lets go. */
	if (write(arm_fd, &c, 1) != 1 || read(arm_fd, &c, 1) != 1)
		_exit(92);
	s->fn(&h);
	_exit(0);
}

/* Killed inside the window: the task is gone long before the window closes. */
TEST_F(end, task_killed)
{
	long long start;
	int sv[2];
	pid_t pid;
	char c = 0;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	pid = sc_fork();
	ASSERT_LE(0, pid);
	if (!pid)
		child_main(&variant->s, &self->b, sv[1]);
	ASSERT_EQ(1, read(sv[0], &c, 1));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, self->window, WIN_ARM));
	ASSERT_EQ(1, write(sv[0], &c, 1));
	WAIT_OPEN();
	start = sc_now_ms();
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_GT(DELAY_MS - 1000, sc_now_ms() - start);
	EXPECT_EQ(0, dm_inject_get(DM_PRIVATE0, self->window, "waiting"));
	/* The parent has its pages, wherever they were. */
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 1, DM_CPU);
	close(sv[0]);
	close(sv[1]);
}

/* The file is closed under the operation, which goes on. */
TEST_F(end, file_closed)
{
	int fd;

	ASSERT_EQ(0, hand_init(&self->hand, DM_PRIVATE0, &self->b));
	self->hand.gen = 2;
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, self->window, WIN_ARM));
	hand_start(&self->hand, variant->s.fn);
	WAIT_OPEN();
	fd = self->hand.fd;
	self->hand.fd = -1;
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, self->window, ""));
	EXPECT_EQ(0, hand_wait(&self->hand));
	EXPECT_MOVED(&self->dm, "clients", 1);	/* ours, opened after the count */
	ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr,
		    variant->s.fn == do_dev_write ? 2 : 1,
		    variant->s.fn == do_dev_write ? DM_DEV : DM_CPU);
}

/*
 * The device goes while somebody is in the window. Its files go first, so the
 * window closes by itself, soon.
 */
TEST_F(end, device_unbound)
{
	bool write = variant->s.fn == do_dev_write;
	char how[64];
	int ret;

	ASSERT_EQ(0, hand_init(&self->hand, DM_PRIVATE0, &self->b));
	ASSERT_EQ(0, hand_init(&self->other, DM_PRIVATE0, &self->b));
	self->hand.gen = 2;
	snprintf(how, sizeof(how), "nth=1 delay_us=%ld", 200 * sc_slow(1000));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, self->window, how));
	hand_start(&self->hand, variant->s.fn);
	ASSERT_TRUE(was_open(self->window));
	hand_start(&self->other, do_unbind);
	ASSERT_EQ(0, hand_wait(&self->other));
	ret = hand_wait(&self->hand);
	EXPECT_TRUE(!ret || ret == -ENODEV || ret == -ENOENT || ret == -EBUSY) {
		TH_LOG("returned %d", ret);
	}
	/* Written or not, as was said. */
	if (write && !ret)
		ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 2, DM_DEV);
	else if (!write)
		ASSERT_TAGS(self->b.ptr, WIN_PAGES, self->b.ptr, 1, DM_CPU);
	EXPECT_EQ(-ENODEV, dm_release(self->dm.fd));
	ASSERT_EQ(0, close(self->dm.fd));
	self->dm.fd = -1;
	ASSERT_EQ(0, mc_bind(DM_PRIVATE0, true));
	ASSERT_EQ(0, mc_wait_node(DM_PRIVATE0, true));
}

/* Victims that exit while their pages are being evicted by somebody else. */
FIXTURE(victim) {
	struct dm_ctx dm;
	struct dm_buf b;
	struct hand evictor;
	int sv[2];
	pid_t pid;
};

FIXTURE_VARIANT(victim) { const char *window; };
FIXTURE_VARIANT_ADD(victim, evict) { "evict" };
FIXTURE_VARIANT_ADD(victim, alloc) { "alloc_evict_small" };
FIXTURE_VARIANT_ADD(victim, copy) { "copy" };
FIXTURE_VARIANT_ADD(victim, commit) { "evict_commit" };
FIXTURE_VARIANT_ADD(victim, finalize) { "evict_finalize" };

static void victim_main(struct dm_buf *b, int sync)
{
	int fd = dm_open(DM_PRIVATE0);
	char c = 0;

	dm_fill(b->ptr, b->npages, b->ptr, 9, DM_CHILD);
	if (fd < 0 || dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL))
		_exit(91);
	if (write(sync, &c, 1) != 1)
		_exit(92);
	for (;;)
		pause();
}

FIXTURE_SETUP(victim)
{
	char c;

	DM_INJECT_SETUP();
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, WIN_PAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sv));
	self->pid = sc_fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid)
		victim_main(&self->b, self->sv[1]);
	ASSERT_EQ(1, read(self->sv[0], &c, 1));
	ASSERT_EQ(0, hand_init(&self->evictor, DM_PRIVATE0, &self->b));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, variant->window, WIN_ARM));
	hand_start(&self->evictor, do_release);
	ASSERT_EQ(0, dm_inject_wait(DM_PRIVATE0, variant->window, 1));
}

FIXTURE_TEARDOWN(victim)
{
	dm_inject_off(DM_PRIVATE0);
	hand_fini(&self->evictor);
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* It need not wait for the eviction, and the eviction copes with its absence. */
TEST_F(victim, killed)
{
	long long start = sc_now_ms();

	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, sc_reap(self->pid));
	EXPECT_GT(sc_slow(SOON_MS), sc_now_ms() - start);
	ASSERT_EQ(1, dm_inject_get(DM_PRIVATE0, variant->window, "waiting"));
	ASSERT_EQ(0, dm_inject_arm(DM_PRIVATE0, variant->window, ""));
	EXPECT_EQ(0, hand_wait(&self->evictor));
	EXPECT_EQ(0, dm_stat_now(DM_PRIVATE0, "vram_resident_pages"));
}

DM_INJECT_MAIN(1, "vram_mb=4")
