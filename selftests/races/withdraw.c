// SPDX-License-Identifier: GPL-2.0
/*
 * Device memory that is taken away while others use it: by RELEASE, by the
 * close of a file, by unbinding the device, by unloading the module. It ends in
 * bounded time, everything comes home intact, and what remains still works.
 *
 * The users are processes of their own, so that one that hangs in the kernel
 * can be reported instead of taking the test with it.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include "dm_harness.h"
#include "modctl.h"
#include "race.h"
#include "scene.h"

#define NUSERS	2
#define NPAGES	64
#define RUN_MS	(1000 * sc_longer())

FIXTURE(withdraw)
{
	struct dm_ctx	dm;
	struct sc_sync	ready;
	pid_t		user[NUSERS];
	/* Shared with the users. */
	struct shared {
		volatile bool	stop;
		volatile long	rounds[NUSERS];
		volatile int	error[NUSERS];
	} *s;
	char		why[DM_MSG];
};

DM_VARIANTS(withdraw);

FIXTURE_SETUP(withdraw)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->s = mmap(NULL, sizeof(*self->s), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->s);
	ASSERT_EQ(0, sc_sync_init(&self->ready));
}

FIXTURE_TEARDOWN(withdraw)
{
	sc_sync_fini(&self->ready);
	dm_teardown(_metadata, &self->dm);
}

/* Content after a full round trip; what counts is that nothing is lost. */
static int round_trip(int fd, struct dm_buf *b, unsigned int gen)
{
	dm_fill(b->ptr, b->npages, b->ptr, gen, DM_CPU);
	dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL);
	if (gen & 1)
		dm_to_sys(fd, b->ptr, b->npages, NULL);
	return dm_verify(b->ptr, b->npages, b->ptr, gen, DM_CPU, NULL);
}

/* A client that keeps migrating back and forth. */
static void user(struct shared *s, int nr, int index, struct sc_sync *ready)
{
	unsigned int gen = 0;
	struct dm_buf b;
	int fd = dm_open(index);

	if (fd < 0 || dm_buf_anon(&b, NPAGES, DM_BUF_SMALL))
		_exit(1);
	sc_post(ready);
	while (!s->stop && !s->error[nr]) {
		s->error[nr] = round_trip(fd, &b, ++gen & 0xffff);
		s->rounds[nr]++;
	}
	_exit(s->error[nr] ? 2 : 0);
}

#define START_USERS() do {						\
	int nr_;							\
									\
	for (nr_ = 0; nr_ < NUSERS; nr_++) {				\
		self->user[nr_] = fork();				\
		ASSERT_GE(self->user[nr_], 0);				\
		if (!self->user[nr_])					\
			user(self->s, nr_, variant->index, &self->ready);\
		ASSERT_EQ(0, sc_wait(&self->ready));			\
	}								\
} while (0)

/* Everybody ends by himself, in bounded time, with his data. */
#define STOP_USERS() do {						\
	int nr_, status_;						\
	long ms_;							\
									\
	self->s->stop = true;						\
	for (nr_ = 0; nr_ < NUSERS; nr_++) {				\
		ms_ = race_reap(self->user[nr_], race_grace_ms(),	\
				&status_);				\
		EXPECT_GE(ms_, 0) {					\
			race_tasks(self->user[nr_], self->why);		\
			TH_LOG("user %d does not end: %s", nr_, self->why);\
			kill(self->user[nr_], SIGKILL);			\
			continue;					\
		}							\
		EXPECT_EQ(0, status_) {					\
			TH_LOG("user %d: damage of kind %d", nr_,	\
			       self->s->error[nr_]);			\
		}							\
		TH_LOG("user %d: %ld rounds", nr_, self->s->rounds[nr_]);\
	}								\
} while (0)

/* Repeats one command in a child, so that a hang of it is seen from here. */
static void withdrawer(struct shared *s, int index, bool release)
{
	long long end = sc_now_ms() + RUN_MS * race_slow();
	int fd, ret = 0;

	while (!ret && sc_now_ms() < end) {
		fd = dm_open(index);
		if (fd < 0)
			_exit(3);
		if (release)
			ret = dm_release(fd);
		/* True while others put pages there; later it must succeed. */
		if (ret == -EBUSY)
			ret = 0;
		close(fd);
		sched_yield();
	}
	_exit(-ret & 0x7f);
}

#define WITHDRAW(release) do {						\
	int status_ = -1;						\
	long ms_;							\
	pid_t pid_;							\
									\
	START_USERS();							\
	pid_ = fork();							\
	ASSERT_GE(pid_, 0);						\
	if (!pid_)							\
		withdrawer(self->s, variant->index, release);		\
	ms_ = race_reap(pid_, RUN_MS * race_slow() + race_grace_ms(),	\
			&status_);					\
	EXPECT_GE(ms_, 0) {						\
		race_tasks(pid_, self->why);				\
		TH_LOG("hangs: %s", self->why);				\
	}								\
	if (ms_ >= 0)							\
		EXPECT_EQ(0, status_);					\
	STOP_USERS();							\
} while (0)

/* The device works as if nothing had been. */
#define EXPECT_USABLE() do {						\
	struct dm_buf b_;						\
									\
	ASSERT_EQ(0, dm_buf_anon(&b_, NPAGES, DM_BUF_SMALL));		\
	dm_fill(b_.ptr, NPAGES, b_.ptr, 7, DM_CPU);			\
	EXPECT_EQ(0, race_to_dev_all(self->dm.fd, &b_, self->why)) {	\
		TH_LOG("%s", self->why);				\
	}								\
	EXPECT_TAGS(b_.ptr, NPAGES, b_.ptr, 7, DM_CPU);			\
	dm_buf_free(&b_);						\
} while (0)

TEST_F_TIMEOUT(withdraw, release, dm_timeout(30))
{
	WITHDRAW(true);
	EXPECT_USABLE();
	EXPECT_EQ(0, dm_release(self->dm.fd));
	if (self->dm.counters)
		EXPECT_EQ(0, dm_stat_now(variant->index, "vram_resident_pages"));
}

TEST_F_TIMEOUT(withdraw, close, dm_timeout(30))
{
	WITHDRAW(false);
	EXPECT_USABLE();
}

/*
 * The pages of a process whose client is gone, in a child that never had one:
 * the module can go, and the child keeps its data. Run on a module that the
 * test unloads, so it comes last and only where that is allowed.
 */
static void orphan(struct dm_buf *b, struct sc_sync *ready, struct sc_sync *go)
{
	sc_post(ready);
	if (sc_wait(go))
		_exit(1);
	_exit(dm_verify(b->ptr, b->npages, b->ptr, 5, DM_CPU, NULL) ? 2 : 0);
}

TEST_F_TIMEOUT(withdraw, unbind_with_open_clients, dm_timeout(30))
{
	struct sc_sync go;
	struct dm_buf b;
	int status = -1;
	long ms;
	pid_t pid;

	ASSERT_EQ(0, sc_sync_init(&go));
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 5, DM_CPU);
	ASSERT_EQ(0, race_to_dev_all(self->dm.fd, &b, self->why)) {
		TH_LOG("%s", self->why);
	}
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		close(self->dm.fd);
		orphan(&b, &self->ready, &go);
	}
	ASSERT_EQ(0, sc_wait(&self->ready));
	START_USERS();
	pid_t unbinder = fork();

	ASSERT_GE(unbinder, 0);
	if (!unbinder)
		_exit(mc_bind(variant->index, false) ? 1 : 0);
	ms = race_reap(unbinder, race_grace_ms(), &status);
	EXPECT_GE(ms, 0) {
		race_tasks(unbinder, self->why);
		TH_LOG("unbind hangs: %s", self->why);
	}
	EXPECT_EQ(0, status) {
		TH_LOG("the device cannot be withdrawn while a file is open");
	}
	STOP_USERS();
	sc_post(&go);
	EXPECT_EQ(0, sc_reap(pid));
	EXPECT_TAGS(b.ptr, NPAGES, b.ptr, 5, DM_CPU);
	dm_buf_free(&b);
	if (status)
		return;
	EXPECT_EQ(-ENODEV, dm_release(self->dm.fd));
	close(self->dm.fd);
	self->dm.fd = -1;
	EXPECT_EQ(0, mc_bind(variant->index, true));
	EXPECT_EQ(0, mc_wait_node(variant->index, true));
	self->dm.fd = dm_open(variant->index);
	ASSERT_GE(self->dm.fd, 0);
	EXPECT_USABLE();
}

TEST_HARNESS_MAIN
