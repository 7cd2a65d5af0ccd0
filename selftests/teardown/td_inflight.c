// SPDX-License-Identifier: GPL-2.0
/*
 * A device goes while faults, accesses and moves are under way. Each is held in a
 * window of the driver, all at the same time, until the removal has come as far as the
 * memory and waits for them; then they are let go. All of it ends in bounded time, with
 * the data in system memory, and files that say ENODEV. Owns its buffers, threads and
 * children; no locks.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/ioctl.h>
#include <linux/userfaultfd.h>

#include "dm_handler.h"
#include "dm_inject.h"
#include "teardown.h"
#include "windows.h"

#define PARTIES		7
/* A removal, with all it has to wait for that does end. */
#define SOON_MS		(1000LL * dm_timeout(5))
#define SYSFS		"/sys/bus/platform/devices/hmm_dmirror.%d"

/* Somebody who is in the way of a device that goes. */
struct party {
	const char *window;	/* where it is held */
	hand_fn fn;
	bool resident;		/* its pages are on the device at the start */
};

/* What a window has let through once goes through it from then on: earlier ones first. */
static const struct party private_parties[PARTIES] = {
	{ "collect", do_touch, true },
	{ "alloc_out_small", do_touch, true },
	{ "copy", do_touch, true },
	{ "commit", do_touch, true },
	{ "finalize", do_touch, true },
	{ "install", do_dev_read, true },
	{ "access", do_dev_write, true },
};

/* The CPU needs no fault for coherent memory. */
static const struct party coherent_parties[PARTIES] = {
	{ "collect", do_out, true },
	{ "alloc_out_small", do_out, true },
	{ "copy", do_in, false },
	{ "commit", do_out, true },
	{ "finalize", do_in, false },
	{ "install", do_dev_read, true },
	{ "access", do_dev_write, true },
};

/* The device that goes, and how; hands have no arguments. */
static int going;
static hand_fn leaving;

static int do_unbind_it(struct hand *h)
{
	return mc_bind(going, false);
}

static int do_unplug(struct hand *h)
{
	char text[12];

	snprintf(text, sizeof(text), "%d", going);
	return mc_plug(text, false);
}

static int do_unload(struct hand *h)
{
	return mc_down(false);
}

static bool plugged(int index)
{
	char path[64];

	snprintf(path, sizeof(path), SYSFS, index);
	return !access(path, F_OK);
}

/* The other way round. */
static int come_back(int index)
{
	char text[12];
	int ret;

	snprintf(text, sizeof(text), "%d", index);
	ret = plugged(index) ? mc_bind(index, true) : mc_plug(text, true);
	return ret ? ret : mc_wait_node(index, true);
}

/* Its files are the last that goes before the memory. */
static bool at_the_memory(int index)
{
	long long end = sc_now_ms() + SOON_MS;

	while (dm_inject_get(index, "copy", "hits") >= 0) {
		if (sc_now_ms() > end)
			return false;
		usleep(1000);
	}
	return true;
}

/* What each test has. */
struct env {
	struct td td;
	struct dm_buf b[PARTIES];
	struct hand hand[PARTIES], leaver;
	int ranges, regions;
};

FIXTURE(td_inflight) { struct env e; };

FIXTURE_VARIANT(td_inflight) { int index; hand_fn leave; const struct party *parties; };

FIXTURE_VARIANT_ADD(td_inflight, private_unbind) {
	DM_PRIVATE0, do_unbind_it, private_parties };
FIXTURE_VARIANT_ADD(td_inflight, private_unplug) {
	DM_PRIVATE0, do_unplug, private_parties };
FIXTURE_VARIANT_ADD(td_inflight, coherent_unbind) {
	DM_COHERENT0, do_unbind_it, coherent_parties };
FIXTURE_VARIANT_ADD(td_inflight, coherent_unplug) {
	DM_COHERENT0, do_unplug, coherent_parties };

/* All of it on the device, seen from there, which this file is not to remember. */
static void move_in(struct __test_metadata *_metadata, int index, struct dm_buf *b)
{
	int fd = dm_open(index);

	ASSERT_LE(0, fd);
	ASSERT_TO_DEV(fd, b, 1, DM_CPU);
	ASSERT_EQ(0, close(fd));
}

static void env_set_up(struct __test_metadata *_metadata, struct env *e, int index,
		       const struct party *p)
{
	int i;

	for (i = 0; i < PARTIES; i++)
		e->hand[i].fd = -1;
	e->leaver.fd = -1;
	DM_INJECT_SETUP();
	TD_SETUP(&e->td);
	TD_NEEDS(index);
	going = index;
	e->ranges = mc_iomem("hmm_d");
	e->regions = td_regions();
	for (i = 0; i < PARTIES; i++) {
		ASSERT_EQ(0, dm_buf_anon(&e->b[i], WIN_PAGES, DM_BUF_SMALL));
		dm_fill(e->b[i].ptr, WIN_PAGES, e->b[i].ptr, 1, DM_CPU);
		if (p[i].resident)
			move_in(_metadata, index, &e->b[i]);
		ASSERT_EQ(0, hand_init(&e->hand[i], index, &e->b[i]));
		e->hand[i].gen = 2;
	}
	ASSERT_EQ(0, hand_init(&e->leaver, index, &e->b[0]));
}

static void env_tear_down(struct __test_metadata *_metadata, struct env *e, int index)
{
	struct dm_stats s;
	char why[DM_MSG];
	int i;

	/* What failed may have left it without a driver, or with points that act. */
	dm_inject_off(index);
	for (i = 0; i < PARTIES; i++) {
		hand_fini(&e->hand[i]);
		dm_buf_free(&e->b[i]);
	}
	hand_fini(&e->leaver);
	if (mc_loaded(MC_DMIRROR) && !dm_node_exists(index))
		EXPECT_EQ(0, come_back(index));
	td_restore(_metadata, &e->td);
	EXPECT_EQ(0, dm_stats_read(index, &s));
	EXPECT_EQ(0, dm_stats_idle(&s, why)) {
		TH_LOG("%s", why);
	}
}

FIXTURE_SETUP(td_inflight)
{
	leaving = variant->leave;
	env_set_up(_metadata, &self->e, variant->index, variant->parties);
}

FIXTURE_TEARDOWN(td_inflight)
{
	env_tear_down(_metadata, &self->e, variant->index);
}

/* Long enough for all to get there, and for the removal to get to the memory. */
static int hold(int index, struct hand *h, const struct party *p)
{
	int us = dm_timeout(1) * 500000, ret;
	char how[64];

	snprintf(how, sizeof(how), "nth=1 delay_us=%d", us < 10000000 ? us : 10000000);
	ret = dm_inject_arm(index, p->window, how);
	if (ret)
		return ret;
	hand_start(h, p->fn);
	return dm_inject_wait(index, p->window, 1);
}

/* What somebody may be told whose device has gone. */
static bool fair(const struct party *p, int ret)
{
	/* A touch is a fault, and there is no such thing as one that fails. */
	if (p->fn == do_touch)
		return !ret;
	return !ret || ret == -ENODEV || ret == -ENOENT || ret == -EBUSY;
}

/* Written as far as was said, read as far as was said, and nowhere else changed. */
static void check_bytes(struct __test_metadata *_metadata, const struct party *p,
			struct hand *h)
{
	__u64 n = p->fn == do_dev_write ? h->res.cpages : 0;
	__u8 *rest = h->b->ptr + n * DM_PAGE;

	ASSERT_GE(WIN_PAGES, n);
	if (!h->ret && p->fn == do_dev_write)
		EXPECT_EQ(WIN_PAGES, n);
	if (n)
		EXPECT_TAGS(h->b->ptr, n, h->b->ptr, 2, DM_DEV);
	if (n < WIN_PAGES)
		EXPECT_TAGS(rest, WIN_PAGES - n, rest, 1, DM_CPU);
	if (!h->ret && p->fn == do_dev_read)
		EXPECT_TAGS(h->scratch, WIN_PAGES, h->b->ptr, 1, DM_CPU);
}

TEST_F(td_inflight, all_at_once)
{
	struct env *e = &self->e;
	const struct party *p = variant->parties;
	long long start;
	int i;

	for (i = 0; i < PARTIES; i++) {
		ASSERT_EQ(0, hold(variant->index, &e->hand[i], &p[i])) {
			TH_LOG("nobody is in %s", p[i].window);
		}
	}
	start = sc_now_ms();
	hand_start(&e->leaver, leaving);
	ASSERT_TRUE(at_the_memory(variant->index));
	EXPECT_TRUE(hand_stuck(&e->leaver)) {
		TH_LOG("it went without waiting for anybody");
	}
	for (i = 0; i < PARTIES; i++) {
		EXPECT_FALSE(e->hand[i].finished) {
			TH_LOG("window %s closed before it counted", p[i].window);
		}
	}
	EXPECT_EQ(0, hand_wait(&e->leaver));
	EXPECT_GT(SOON_MS, sc_now_ms() - start);
	for (i = 0; i < PARTIES; i++) {
		int ret = hand_wait(&e->hand[i]);

		EXPECT_TRUE(fair(&p[i], ret)) {
			TH_LOG("%s was told %d", p[i].window, ret);
		}
	}
	EXPECT_GT(SOON_MS, sc_now_ms() - start);
	EXPECT_EQ(variant->leave == do_unbind_it, plugged(variant->index));
	EXPECT_EQ(e->regions - 1, td_regions());
	/* That of a coherent device is there with and without it. */
	if (variant->index == DM_PRIVATE0)
		EXPECT_GT(e->ranges, mc_iomem("hmm_d"));
	for (i = 0; i < PARTIES; i++) {
		EXPECT_EQ(0, td_all_home(&e->b[i]));
		check_bytes(_metadata, &p[i], &e->hand[i]);
		EXPECT_EQ(0, td_not_enodev(e->hand[i].fd, &e->b[i]));
	}

	/* What comes back is as it was, and who was there before stays dead. */
	ASSERT_EQ(0, come_back(variant->index));
	EXPECT_EQ(e->ranges, mc_iomem("hmm_d"));
	EXPECT_EQ(e->regions, td_regions());
	EXPECT_EQ(0, td_not_enodev(e->hand[0].fd, &e->b[0]));
	move_in(_metadata, variant->index, &e->b[0]);
	EXPECT_TAGS(e->b[0].ptr, WIN_PAGES, e->b[0].ptr, 1, DM_CPU);
}

/* What is about one party needs it once for each kind of memory. */
FIXTURE(td_alone) { struct env e; };
FIXTURE_VARIANT(td_alone) { int index; const struct party *parties; };
FIXTURE_VARIANT_ADD(td_alone, private) { DM_PRIVATE0, private_parties };
FIXTURE_VARIANT_ADD(td_alone, coherent) { DM_COHERENT0, coherent_parties };

FIXTURE_SETUP(td_alone)
{
	leaving = do_unbind_it;
	env_set_up(_metadata, &self->e, variant->index, variant->parties);
}

FIXTURE_TEARDOWN(td_alone)
{
	env_tear_down(_metadata, &self->e, variant->index);
}

/* In a child, which shares the pages: what it began goes on for us as well. */
static void held_child(const struct party *p, struct dm_buf *b, struct sc_sync *ready,
		       struct sc_sync *go)
{
	struct hand h = { .b = b, .scratch = b->mirror, .fd = dm_open(going) };

	if (h.fd < 0 || sc_post(ready) || sc_wait(go))
		_exit(90);
	p->fn(&h);
	_exit(0);
}

/*
 * The one that the removal waits for is killed: the window would be open for much
 * longer, and the removal needs no more than that.
 */
TEST_F(td_alone, killed_in_the_window)
{
	struct env *e = &self->e;
	const struct party *p = &variant->parties[3];
	struct sc_sync ready, go;
	long long start;
	pid_t pid;

	ASSERT_EQ(0, sc_sync_init(&ready));
	ASSERT_EQ(0, sc_sync_init(&go));
	pid = sc_fork();
	ASSERT_LE(0, pid);
	if (!pid)
		held_child(p, &e->b[3], &ready, &go);
	ASSERT_EQ(0, sc_wait(&ready));
	ASSERT_EQ(0, dm_inject_arm(variant->index, p->window, WIN_ARM));
	ASSERT_EQ(0, sc_post(&go));
	ASSERT_EQ(0, dm_inject_wait(variant->index, p->window, 1));
	start = sc_now_ms();
	hand_start(&e->leaver, leaving);
	ASSERT_TRUE(at_the_memory(variant->index));
	EXPECT_TRUE(hand_stuck(&e->leaver)) {
		TH_LOG("it went without waiting for anybody");
	}
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, sc_reap(pid));
	EXPECT_EQ(0, hand_wait(&e->leaver));
	EXPECT_GT(DELAY_MS - 1000, sc_now_ms() - start);
	ASSERT_HOME(&e->b[3], 1, DM_CPU);
	EXPECT_EQ(0, td_not_enodev(e->leaver.fd, &e->b[3]));
	sc_sync_fini(&ready);
	sc_sync_fini(&go);
}

/* Pages that only user space can supply, for a device that has gone meanwhile. */
static int do_read_missing(struct hand *h)
{
	return dm_read_unlocked(h->fd, h->b->ptr, h->b->npages, h->scratch, &h->res);
}

static int supply(int uffd, struct dm_buf *to, const struct dm_buf *from)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)to->ptr, .src = (uintptr_t)from->ptr, .len = to->size,
	};

	return ioctl(uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}

/*
 * Nobody serves the fault of a device before it has gone: that waits for no user space.
 * The answer, when there is one, ends the fault.
 */
TEST_F(td_alone, handler_never_answers)
{
	struct env *e = &self->e;
	struct hand *h = &e->hand[0];
	struct dm_buf missing, *was = h->b;
	struct uffd_msg msg;
	long long start;
	int uffd, ret;

	if (!sc_kernel_has("hmm_range_fault_unlocked_timeout"))
		SKIP(return, "a device fault cannot wait for a handler here");
	uffd = dm_uffd_open(0);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, dm_buf_anon(&missing, WIN_PAGES, DM_BUF_SMALL));
	ASSERT_EQ(0, dm_uffd_watch(uffd, &missing, UFFDIO_REGISTER_MODE_MISSING));
	h->b = &missing;
	hand_start(h, do_read_missing);
	start = sc_now_ms();
	while (read(uffd, &msg, sizeof(msg)) != sizeof(msg)) {
		ASSERT_GT(SOON_MS, sc_now_ms() - start);
		usleep(1000);
	}
	start = sc_now_ms();
	hand_start(&e->leaver, leaving);
	EXPECT_EQ(0, hand_wait(&e->leaver));
	EXPECT_GT(SOON_MS, sc_now_ms() - start);
	EXPECT_FALSE(h->finished);
	/* It does not keep the others of its file waiting. */
	EXPECT_EQ(0, td_not_enodev(h->fd, &e->b[1]));
	EXPECT_TRUE(hand_stuck(h));
	EXPECT_EQ(0, supply(uffd, &missing, &e->b[1]));
	ret = hand_wait(h);
	EXPECT_TRUE(!ret || ret == -ENODEV) {
		TH_LOG("it was told %d", ret);
	}
	if (!ret)
		EXPECT_TAGS(h->scratch, WIN_PAGES, e->b[1].ptr, 1, DM_CPU);
	EXPECT_EQ(0, td_not_enodev(h->fd, &e->b[1]));
	EXPECT_EQ(0, td_all_home(&e->b[1]));
	EXPECT_TAGS(missing.ptr, WIN_PAGES, e->b[1].ptr, 1, DM_CPU);
	h->b = was;
	close(uffd);
	dm_buf_free(&missing);
}

FIXTURE(td_last_fault) {
	struct td td;
	struct dm_buf b[PARTIES];
	struct hand hand[PARTIES], leaver;
};

FIXTURE_SETUP(td_last_fault)
{
	int i;

	self->leaver.fd = -1;
	for (i = 0; i < PARTIES; i++)
		self->hand[i].fd = -1;
	DM_INJECT_SETUP();
	TD_SETUP(&self->td);
	for (i = 0; private_parties[i].fn == do_touch; i++) {
		ASSERT_EQ(0, dm_buf_anon(&self->b[i], WIN_PAGES, DM_BUF_SMALL));
		dm_fill(self->b[i].ptr, WIN_PAGES, self->b[i].ptr, 1, DM_CPU);
		move_in(_metadata, DM_PRIVATE0, &self->b[i]);
		ASSERT_EQ(0, hand_init(&self->hand[i], DM_PRIVATE0, &self->b[i]));
	}
	ASSERT_EQ(0, hand_init(&self->leaver, DM_PRIVATE0, &self->b[0]));
}

FIXTURE_TEARDOWN(td_last_fault)
{
	int i;

	for (i = 0; i < PARTIES; i++) {
		hand_fini(&self->hand[i]);
		dm_buf_free(&self->b[i]);
	}
	hand_fini(&self->leaver);
	td_restore(_metadata, &self->td);
}

/* Nobody has a file open any more, but some still wait for their pages. */
static void close_all(struct hand *hand, struct hand *leaver)
{
	int i;

	for (i = 0; private_parties[i].fn == do_touch; i++) {
		close(hand[i].fd);
		hand[i].fd = -1;
	}
	close(leaver->fd);
	leaver->fd = -1;
}

static bool module_going(void)
{
	long long end = sc_now_ms() + SOON_MS;
	char state[16] = "";

	while (sc_now_ms() < end) {
		if (dm_read_file("/sys/module/" MC_DMIRROR "/initstate", state,
				 sizeof(state)) < 0)
			return false;
		if (!strncmp(state, "going", 5))
			return true;
		usleep(1000);
	}
	return false;
}

/* Unloading waits for CPU faults that are in the code which is to go. */
TEST_F(td_last_fault, unload)
{
	const struct party *p = private_parties;
	long long start;
	int i;

	close_all(self->hand, &self->leaver);
	for (i = 0; p[i].fn == do_touch; i++) {
		ASSERT_EQ(0, hold(DM_PRIVATE0, &self->hand[i], &p[i])) {
			TH_LOG("nobody is in %s", p[i].window);
		}
	}
	start = sc_now_ms();
	hand_start(&self->leaver, do_unload);
	EXPECT_TRUE(module_going());
	EXPECT_TRUE(hand_stuck(&self->leaver)) {
		TH_LOG("unloaded under the feet of a fault");
	}
	for (i = 0; p[i].fn == do_touch; i++) {
		EXPECT_FALSE(self->hand[i].finished) {
			TH_LOG("window %s closed before it counted", p[i].window);
		}
	}
	EXPECT_EQ(0, hand_wait(&self->leaver));
	EXPECT_GT(SOON_MS, sc_now_ms() - start);
	for (i = 0; p[i].fn == do_touch; i++) {
		EXPECT_EQ(0, hand_wait(&self->hand[i]));
		EXPECT_EQ(0, td_all_home(&self->b[i]));
		EXPECT_TAGS(self->b[i].ptr, WIN_PAGES, self->b[i].ptr, 1, DM_CPU);
	}
	EXPECT_FALSE(mc_loaded(MC_DMIRROR));
	EXPECT_EQ(0, mc_unload(MC_DEVMEM));
	EXPECT_EQ(0, mc_iomem("hmm_d"));
	EXPECT_EQ(0, mc_slab_objs("dmirror_"));
}

DM_INJECT_MAIN(1, "vram_mb=16")
