// SPDX-License-Identifier: GPL-2.0
/*
 * A process in a group that is full, with its memory partly on the device and
 * partly in swap, lives an ordinary life: stack, code, futexes, signals; it is
 * debugged, read and written by others, and leaves a core dump. Bringing one
 * page back means swapping another one out, each time.
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "pressure.h"

#define NPAGES	1024UL
#define PIECE	16UL		/* pages held at a time by the kernel */
#define ROOM	(NPAGES * DM_PAGE * 3 / 4)

FIXTURE(users)
{
	struct pr_env	e;
	struct dm_buf	b;
	struct sc_sync	ready;
	pid_t		kid;
};

FIXTURE_VARIANT(users)
{
	int index; int peer;
	enum pr_swap swap;
};

FIXTURE_VARIANT_ADD(users, private_zram) {
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .swap = PR_ZRAM };
FIXTURE_VARIANT_ADD(users, private_zswap) {
	.index = DM_PRIVATE0, .peer = DM_PRIVATE1, .swap = PR_ZSWAP };
FIXTURE_VARIANT_ADD(users, coherent_zram) {
	.index = DM_COHERENT0, .peer = DM_COHERENT1, .swap = PR_ZRAM };

FIXTURE_SETUP(users)
{
	pr_setup(_metadata, &self->e, variant->index, variant->peer,
		 variant->swap);
	if (_metadata->exit_code)
		return;
	/* The test itself stays outside: only the child is short of memory. */
	ASSERT_EQ(0, dm_cg_leave());
	ASSERT_EQ(0, sc_sync_init(&self->ready));
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	memset(self->b.mirror, 0xee, self->b.size);
}

FIXTURE_TEARDOWN(users)
{
	if (self->kid > 0) {
		kill(self->kid, SIGKILL);
		sc_reap(self->kid);
	}
	sc_sync_fini(&self->ready);
	dm_buf_free(&self->b);
	EXPECT_NO_OOM(&self->e);
	pr_teardown(_metadata, &self->e);
}

#define E	(&self->e)

/*
 * In the child: tags everywhere, the first quarter on the device, no room for
 * all of the rest. Returns the device.
 */
static int squeeze(struct pr_env *e, struct dm_buf *b)
{
	int fd;

	if (dm_cg_enter(&e->cg))
		_exit(3);
	fd = dm_open(e->dm.index);
	if (fd < 0)
		_exit(4);
	dm_fill(b->ptr, NPAGES, b->ptr, 3, DM_CHILD);
	if (dm_to_dev(fd, b->ptr, NPAGES / 4, b->mirror, NULL) ||
	    pr_limit(e, "memory.max", ROOM) ||
	    dm_all(fd, b->ptr, NPAGES / 4, DM_ON_DEV, NULL))
		_exit(5);
	if (dm_count(fd, b->ptr, NPAGES, DM_SWAPPED) < (long)NPAGES / 8)
		_exit(6);
	return fd;
}

static void spawn_idle(struct __test_metadata *_metadata, struct pr_env *e,
		       struct dm_buf *b, struct sc_sync *ready, pid_t *kid)
{
	*kid = fork();
	ASSERT_GE(*kid, 0);
	if (!*kid) {
		squeeze(e, b);
		sc_post(ready);
		for (;;)
			pause();
	}
	ASSERT_EQ(0, sc_wait(ready));
}

#define SPAWN_IDLE() spawn_idle(_metadata, E, &self->b, &self->ready, &self->kid)

/* In pieces: what is being copied is held in memory all at once. */
static bool copy_vm(pid_t pid, struct dm_buf *b, bool write)
{
	const size_t len = PIECE * DM_PAGE;
	size_t at;

	for (at = 0; at < b->size; at += len) {
		struct iovec its = { b->ptr + at, len };
		struct iovec mine = { b->mirror + at, len };
		ssize_t n = write ?
			process_vm_writev(pid, &mine, 1, &its, 1, 0) :
			process_vm_readv(pid, &mine, 1, &its, 1, 0);

		if (n != (ssize_t)len)
			return false;
	}
	return true;
}

/* Another process reads all of it, and writes all of it. */
TEST_F(users, process_vm)
{
	SPAWN_IDLE();
	EXPECT_TRUE(copy_vm(self->kid, &self->b, false));
	EXPECT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 3, DM_CHILD);
	dm_fill(self->b.mirror, NPAGES, self->b.ptr, 4, DM_PEER);
	EXPECT_TRUE(copy_vm(self->kid, &self->b, true));
	memset(self->b.mirror, 0xee, self->b.size);
	EXPECT_TRUE(copy_vm(self->kid, &self->b, false));
	EXPECT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 4, DM_PEER);
}

/* A debugger looks at every page and changes it. */
TEST_F(users, ptrace)
{
	int status;
	size_t i;

	SPAWN_IDLE();
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->kid, 0, 0));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->kid, 0, 0));
	ASSERT_EQ(self->kid, waitpid(self->kid, &status, 0));
	for (i = 0; i < NPAGES; i++) {
		void *p = self->b.ptr + i * DM_PAGE;

		errno = 0;
		EXPECT_EQ((long)dm_tag(p, 3, DM_CHILD, 0),
			  ptrace(PTRACE_PEEKDATA, self->kid, p, 0));
		EXPECT_EQ(0, errno);
		EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, self->kid, p,
				    dm_tag(p, 5, DM_PEER, 0)));
	}
	for (i = 0; i < NPAGES; i++) {
		void *p = self->b.ptr + i * DM_PAGE;

		EXPECT_EQ((long)dm_tag(p, 5, DM_PEER, 0),
			  ptrace(PTRACE_PEEKDATA, self->kid, p, 0));
	}
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->kid, 0, 0));
}

/* Where the bytes of @addr are in a core file; 0 if they are not. */
static __u64 core_offset(int core, const void *addr, size_t len)
{
	__u64 va = (uintptr_t)addr;
	Elf64_Phdr ph;
	Elf64_Ehdr eh;
	int i;

	if (pread(core, &eh, sizeof(eh), 0) != sizeof(eh))
		return 0;
	for (i = 0; i < eh.e_phnum; i++) {
		if (pread(core, &ph, sizeof(ph), eh.e_phoff + i * sizeof(ph)) !=
		    sizeof(ph))
			return 0;
		if (ph.p_type == PT_LOAD && ph.p_vaddr <= va &&
		    ph.p_vaddr + ph.p_filesz >= va + len)
			return ph.p_offset + va - ph.p_vaddr;
	}
	return 0;
}

/* It dies, and the core has every byte, wherever it was. */
TEST_F(users, core_dump)
{
	const char *const pattern = "/proc/sys/kernel/core_pattern";
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };
	char old[256] = "", dir[] = "/tmp/pr-core-XXXXXX", path[64];
	__u64 off;
	int core;

	SPAWN_IDLE();
	ASSERT_LE(0, dm_read_file(pattern, old, sizeof(old)));
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/core", dir);
	ASSERT_EQ(0, dm_write_file(pattern, path));
	ASSERT_EQ(0, prlimit(self->kid, RLIMIT_CORE, &lim, NULL));
	ASSERT_EQ(0, kill(self->kid, SIGABRT));
	EXPECT_EQ(128 + SIGABRT, sc_reap(self->kid));
	self->kid = 0;
	EXPECT_EQ(0, dm_write_file(pattern, old));
	core = open(path, O_RDONLY);
	ASSERT_LE(0, core);
	off = core_offset(core, self->b.ptr, self->b.size);
	ASSERT_NE(0, off);
	EXPECT_EQ(self->b.size, pread(core, self->b.mirror, self->b.size, off));
	EXPECT_TAGS(self->b.mirror, NPAGES, self->b.ptr, 3, DM_CHILD);
	close(core);
	unlink(path);
	rmdir(dir);
}

/* The child's own part: what it needs to live is on the device. */
static __u8 *life;		/* a page of code, a futex word, a stack */
static volatile int caught;

static void on_signal(int sig)
{
	/* Running on the stack that was on the device, called by its frame. */
	caught += sig == SIGUSR1;
}

/* The group is full: what was in memory may just have been swapped out. */
static int send_away(struct pr_env *e, struct dm_buf *b)
{
	return pr_to_dev(e, life, 16, b->mirror) ||
	       dm_all(e->dm.fd, life, 16, DM_ON_DEV, NULL);
}

static pid_t waiter_tid;

static void *waiter(void *word)
{
	__atomic_store_n(&waiter_tid, gettid(), __ATOMIC_SEQ_CST);
	while (__atomic_load_n((int *)word, __ATOMIC_SEQ_CST) == 7)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 7, NULL, NULL, 0);
	return NULL;
}

/* int f(void) { return 42; } */
static const __u8 code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };

static int live(struct pr_env *e, struct dm_buf *b, unsigned int round)
{
	int *word = (int *)(life + 8 * DM_PAGE);
	unsigned long i;
	pthread_t t;

	*word = 7;
	waiter_tid = 0;
	if (pthread_create(&t, NULL, waiter, word))
		return 20;
	while (!__atomic_load_n(&waiter_tid, __ATOMIC_SEQ_CST))
		sched_yield();
	if (sc_wait_syscall(getpid(), waiter_tid, SYS_futex))
		return 27;
	if (send_away(e, b))
		return 21;
	/* Code. */
	if (((int (*)(void))life)() != 42)
		return 22;
	/* Signal frame and stack. */
	if (send_away(e, b))
		return 23;
	caught = 0;
	raise(SIGUSR1);
	if (caught != 1)
		return 24;
	/* A futex that moved while it was waited for. */
	if (send_away(e, b))
		return 25;
	pr_reclaim(e, b->size / 4);
	__atomic_store_n(word, 8, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	pthread_join(t, NULL);
	/* And all the rest of its memory, over and over. */
	for (i = round % 7; i < NPAGES; i += 7) {
		__u8 *p = b->ptr + i * DM_PAGE;

		if (dm_verify(p, 1, p, 3, DM_CHILD, NULL))
			return 26;
	}
	return 0;
}

/* Code, stack, signal frames and futexes on the device, in a full group. */
TEST_F(users, life)
{
	stack_t ss = { .ss_size = 4 * DM_PAGE };
	struct sigaction sa = { .sa_handler = on_signal,
				.sa_flags = SA_ONSTACK };
	unsigned int round;
	int ret = 0;

	self->kid = fork();
	ASSERT_GE(self->kid, 0);
	if (!self->kid) {
		life = mmap(NULL, 16 * DM_PAGE,
			    PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(life, 16 * DM_PAGE, MADV_NOHUGEPAGE);
		memset(life, 0, 16 * DM_PAGE);
		memcpy(life, code, sizeof(code));
		ss.ss_sp = life + 12 * DM_PAGE;
		sigaltstack(&ss, NULL);
		sigaction(SIGUSR1, &sa, NULL);
		E->dm.fd = squeeze(E, &self->b);
		for (round = 0; round < 8 && !ret; round++)
			ret = live(E, &self->b, round);
		_exit(ret);
	}
	EXPECT_EQ(0, sc_reap(self->kid));
	self->kid = 0;
}

TEST_HARNESS_MAIN
