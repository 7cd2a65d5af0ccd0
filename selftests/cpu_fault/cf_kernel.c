// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel itself touches device-private pages on behalf of a process:
 * copies to and from user memory, futex words, signal frames, robust lists,
 * restartable sequences. The system call must work as on any other page, and
 * the page must be back afterwards. Owns its buffers and threads; no locks.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <ucontext.h>

#include "stage.h"

#define NPAGES	64UL

FIXTURE(cf_kernel) {
	struct dm_ctx dm;
	struct dm_buf b;
};

FIXTURE_SETUP(cf_kernel)
{
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_anon(&self->b, NPAGES, DM_BUF_SMALL));
	dm_fill(self->b.ptr, NPAGES, self->b.ptr, 1, DM_CPU);
}

FIXTURE_TEARDOWN(cf_kernel)
{
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* The pages are on the device now, whatever they hold. */
#define PUT_ON_DEV(addr, npages) do {					\
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, addr, npages, self->b.mirror, NULL)); \
	ASSERT_ALL(self->dm.fd, addr, npages, DM_ON_DEV);		\
} while (0)

#define ASSERT_CAME_BACK(addr, npages)					\
	ASSERT_ALL(self->dm.fd, addr, npages, DM_SYS)

static long futex(void *word, int op, unsigned int val, unsigned long val2,
		  void *word2, unsigned int val3)
{
	long ret = syscall(SYS_futex, word, op, val, val2, word2, val3);

	return ret < 0 ? -errno : ret;
}

/* write(2) to a pipe and to a file takes its bytes from device pages. */
TEST_F(cf_kernel, copy_from_user)
{
	__u8 *copy = self->b.mirror;
	size_t len = 8 * DM_PAGE;
	int pipes[2], file;

	ASSERT_EQ(0, pipe(pipes));
	PUT_ON_DEV(self->b.ptr, 8);
	ASSERT_EQ(len, write(pipes[1], self->b.ptr, len));
	ASSERT_CAME_BACK(self->b.ptr, 8);
	ASSERT_EQ(len, read(pipes[0], copy, len));
	ASSERT_TAGS(copy, 8, self->b.ptr, 1, DM_CPU);

	/* The page cache copies with page faults off, and retries. */
	file = memfd_create("cf", 0);
	ASSERT_LE(0, file);
	PUT_ON_DEV(self->b.ptr, 8);
	ASSERT_EQ(len, write(file, self->b.ptr, len));
	ASSERT_CAME_BACK(self->b.ptr, 8);
	memset(copy, 0xff, len);
	ASSERT_EQ(len, pread(file, copy, len, 0));
	ASSERT_TAGS(copy, 8, self->b.ptr, 1, DM_CPU);
	close(file);
	close(pipes[0]);
	close(pipes[1]);
}

/* read(2), readv(2) and small structures land in device pages. */
TEST_F(cf_kernel, copy_to_user)
{
	struct utsname *uts = (void *)(self->b.ptr + 10 * DM_PAGE - 100);
	struct iovec iov[2] = {
		{ self->b.ptr, 3 * DM_PAGE + 5 },
		{ self->b.ptr + 3 * DM_PAGE + 5, 5 * DM_PAGE - 5 },
	};
	size_t len = 8 * DM_PAGE;
	int pipes[2], file;
	struct utsname want;

	ASSERT_EQ(0, pipe(pipes));
	dm_fill(self->b.mirror, 8, self->b.ptr, 2, DM_PEER);
	ASSERT_EQ(len, write(pipes[1], self->b.mirror, len));
	file = memfd_create("cf", 0);
	ASSERT_LE(0, file);
	dm_fill(self->b.mirror, 8, self->b.ptr, 3, DM_PEER);
	ASSERT_EQ(len, write(file, self->b.mirror, len));

	PUT_ON_DEV(self->b.ptr, 8);
	ASSERT_EQ(len, read(pipes[0], self->b.ptr, len));
	ASSERT_CAME_BACK(self->b.ptr, 8);
	ASSERT_TAGS(self->b.ptr, 8, self->b.ptr, 2, DM_PEER);

	PUT_ON_DEV(self->b.ptr, 8);
	ASSERT_EQ(len, preadv(file, iov, 2, 0));
	ASSERT_CAME_BACK(self->b.ptr, 8);
	ASSERT_TAGS(self->b.ptr, 8, self->b.ptr, 3, DM_PEER);

	/* The structure starts in one device page and ends in the next. */
	ASSERT_EQ(0, uname(&want));
	PUT_ON_DEV(self->b.ptr + 9 * DM_PAGE, 2);
	ASSERT_EQ(0, uname(uts));
	ASSERT_CAME_BACK(self->b.ptr + 9 * DM_PAGE, 2);
	ASSERT_EQ(0, memcmp(&want, uts, sizeof(want)));

	PUT_ON_DEV(self->b.ptr + 12 * DM_PAGE, 1);
	ASSERT_EQ(64, getrandom(self->b.ptr + 12 * DM_PAGE, 64, 0));
	ASSERT_CAME_BACK(self->b.ptr + 12 * DM_PAGE, 1);
	ASSERT_TAGS(self->b.ptr + 13 * DM_PAGE, NPAGES - 13,
		    self->b.ptr + 13 * DM_PAGE, 1, DM_CPU);
	close(file);
	close(pipes[0]);
	close(pipes[1]);
}

/* A path name, and the vectors of readv(2) themselves, live in device pages. */
TEST_F(cf_kernel, arguments_in_device_pages)
{
	struct iovec *iov = (void *)(self->b.ptr + DM_PAGE);
	char *path = (char *)self->b.ptr + DM_PAGE - 6;
	struct stat *st = (void *)(self->b.ptr + 3 * DM_PAGE);
	char byte = 0;
	int pipes[2];

	/* Terminated in the second page. */
	memcpy(path, "/proc/self", sizeof("/proc/self"));
	PUT_ON_DEV(self->b.ptr, 4);
	ASSERT_EQ(0, lstat(path, st));
	ASSERT_CAME_BACK(self->b.ptr, 2);
	ASSERT_CAME_BACK(self->b.ptr + 3 * DM_PAGE, 1);
	ASSERT_TRUE(S_ISLNK(st->st_mode));

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(1, write(pipes[1], "k", 1));
	*iov = (struct iovec){ &byte, 1 };
	PUT_ON_DEV(self->b.ptr + DM_PAGE, 1);
	ASSERT_EQ(1, readv(pipes[0], iov, 1));
	ASSERT_EQ('k', byte);
	ASSERT_CAME_BACK(self->b.ptr + DM_PAGE, 1);
	close(pipes[0]);
	close(pipes[1]);
}

/*
 * The driver's own ioctl: the command structure and the result buffer are
 * device pages, of the very range it works on too.
 */
TEST_F(cf_kernel, own_ioctl_arguments)
{
	/* Far enough apart not to come back with each other. */
	struct hmm_dmirror_cmd *cmd = (void *)(self->b.ptr + 56 * DM_PAGE);
	__u8 *out = self->b.ptr + 32 * DM_PAGE;

	if (dm_ours() && sc_window() > 16)
		SKIP(return, "the fault-around window is too large");

	*cmd = (struct hmm_dmirror_cmd){
		.addr = (uintptr_t)self->b.ptr,
		.ptr = (uintptr_t)out,
		.npages = 4,
	};
	PUT_ON_DEV(self->b.ptr, NPAGES);
	ASSERT_EQ(0, ioctl(self->dm.fd, HMM_DMIRROR_READ, cmd));
	ASSERT_EQ(4, cmd->cpages);
	ASSERT_CAME_BACK(self->b.ptr + 56 * DM_PAGE, 1);
	ASSERT_CAME_BACK(out, 4);
	ASSERT_ALL(self->dm.fd, self->b.ptr, 4, DM_ON_DEV);
	ASSERT_TAGS(out, 4, self->b.ptr, 1, DM_CPU);
}

struct waiter {
	__u32	*word;
	atomic_int	tid;
	int		op;
	long		ret;
};

static void *wait_on_word(void *arg)
{
	struct waiter *w = arg;

	atomic_store(&w->tid, gettid());
	w->ret = futex(w->word, w->op, 7, 0, NULL, FUTEX_BITSET_MATCH_ANY);
	return NULL;
}

static int start_waiter(struct waiter *w, pthread_t *t)
{
	if (pthread_create(t, NULL, wait_on_word, w))
		return -EAGAIN;
	while (!atomic_load(&w->tid))
		sched_yield();
	return sc_wait_syscall(getpid(), w->tid, SYS_futex);
}

/* A futex word that moves to the device under its waiter still wakes it. */
TEST_F(cf_kernel, futex_moves_under_waiter)
{
	__u32 *word = (__u32 *)self->b.ptr;
	struct waiter w = { .word = word, .op = FUTEX_WAIT };
	pthread_t t;

	*word = 7;
	ASSERT_EQ(0, start_waiter(&w, &t));
	PUT_ON_DEV(self->b.ptr, 1);
	ASSERT_EQ(1, futex(word, FUTEX_WAKE, INT_MAX, 0, NULL, 0));
	pthread_join(t, NULL);
	ASSERT_EQ(0, w.ret);

	/* Waiting on a word that is on the device already reads its value. */
	PUT_ON_DEV(self->b.ptr, 1);
	w.tid = 0;
	ASSERT_EQ(0, start_waiter(&w, &t));
	ASSERT_CAME_BACK(self->b.ptr, 1);
	ASSERT_EQ(1, futex(word, FUTEX_WAKE, INT_MAX, 0, NULL, 0));
	pthread_join(t, NULL);
	ASSERT_EQ(0, w.ret);
	PUT_ON_DEV(self->b.ptr, 1);
	ASSERT_EQ(-EAGAIN, futex(word, FUTEX_WAIT, 8, 0, NULL, 0));
	ASSERT_CAME_BACK(self->b.ptr, 1);
}

/* The kernel's own read-modify-write of a futex word on the device. */
TEST_F(cf_kernel, futex_kernel_atomics)
{
	__u32 *word = (__u32 *)self->b.ptr;
	__u32 *other = (__u32 *)(self->b.ptr + DM_PAGE);
	struct waiter w = { .word = other, .op = FUTEX_WAIT };
	pthread_t t;

	*word = 40;
	*other = 7;
	ASSERT_EQ(0, start_waiter(&w, &t));
	PUT_ON_DEV(self->b.ptr, 2);
	/* *word += 2; wake the other word's waiter if the old value was 40 */
	ASSERT_EQ(1, futex(other, FUTEX_WAKE_OP, 1, 0, word,
			   FUTEX_OP(FUTEX_OP_ADD, 2, FUTEX_OP_CMP_EQ, 40)));
	ASSERT_CAME_BACK(self->b.ptr, 1);
	ASSERT_EQ(42, *word);
	pthread_join(t, NULL);

	w.tid = 0;
	ASSERT_EQ(0, start_waiter(&w, &t));
	PUT_ON_DEV(self->b.ptr, 2);
	ASSERT_EQ(1, futex(other, FUTEX_CMP_REQUEUE, 0, 1, word, 7));
	PUT_ON_DEV(self->b.ptr, 2);
	ASSERT_EQ(1, futex(word, FUTEX_WAKE, 1, 0, NULL, 0));
	pthread_join(t, NULL);
	ASSERT_EQ(0, w.ret);
}

/* Taking and giving back a priority-inheritance futex on the device. */
TEST_F(cf_kernel, futex_pi)
{
	atomic_uint *word = (void *)self->b.ptr;
	int i;

	atomic_store(word, 0);
	for (i = 0; i < 8; i++) {
		PUT_ON_DEV(self->b.ptr, 1);
		ASSERT_EQ(0, futex((void *)word, FUTEX_LOCK_PI, 0, 0, NULL, 0));
		ASSERT_CAME_BACK(self->b.ptr, 1);
		ASSERT_EQ((__u32)gettid(), atomic_load(word));
		PUT_ON_DEV(self->b.ptr, 1);
		ASSERT_EQ(0, futex((void *)word, FUTEX_UNLOCK_PI, 0, 0, NULL, 0));
		ASSERT_EQ(0, atomic_load(word));
	}
}

struct robust {
	struct robust_list_head	head;
	struct robust_list	node;
	atomic_uint		word;
};

struct robust_arg {
	struct robust	*r;
	struct sc_sync	held, die;
};

static int robust_child(void *arg)
{
	struct robust_arg *a = arg;
	struct robust *r = a->r;

	r->head.list.next = &r->node;
	r->node.next = &r->head.list;
	r->head.futex_offset = offsetof(struct robust, word) -
			       offsetof(struct robust, node);
	r->head.list_op_pending = NULL;
	atomic_store(&r->word, (__u32)syscall(SYS_gettid));
	syscall(SYS_set_robust_list, &r->head, sizeof(r->head));
	if (sc_post(&a->held))
		return 1;
	sc_wait(&a->die);
	syscall(SYS_exit, 0);
	return 0;
}

/*
 * A dying task's robust list and its clear_child_tid word are on the device:
 * the kernel walks and writes both at exit.
 */
TEST_F(cf_kernel, exit_time_writes)
{
	struct robust_arg a = { .r = (void *)self->b.ptr };
	pid_t *ctid = (pid_t *)(self->b.ptr + 4 * DM_PAGE);
	size_t len = 64 * 1024;
	char *stack;
	pid_t pid;

	stack = mmap(NULL, len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, stack);
	ASSERT_EQ(0, sc_sync_init(&a.held));
	ASSERT_EQ(0, sc_sync_init(&a.die));
	*ctid = 1;
	pid = clone(robust_child, stack + len,
		    CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, &a, NULL, NULL,
		    ctid);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, sc_wait(&a.held));
	PUT_ON_DEV(self->b.ptr, 5);
	sc_post(&a.die);
	ASSERT_EQ(0, sc_reap(pid));
	ASSERT_CAME_BACK(self->b.ptr, 1);
	ASSERT_CAME_BACK(self->b.ptr + 4 * DM_PAGE, 1);
	ASSERT_EQ(FUTEX_OWNER_DIED, a.r->word & FUTEX_OWNER_DIED);
	ASSERT_EQ(0, *ctid);
	munmap(stack, len);
	sc_sync_fini(&a.held);
	sc_sync_fini(&a.die);
}

static volatile sig_atomic_t handled;
static uintptr_t handler_frame;

static void on_signal(int sig, siginfo_t *info, void *ctx)
{
	handler_frame = (uintptr_t)__builtin_frame_address(0);
	handled = info->si_value.sival_int;
}

/* A signal frame is written to, and returned from, a stack on the device. */
TEST_F(cf_kernel, signal_frame)
{
	stack_t ss = { .ss_sp = self->b.ptr, .ss_size = NPAGES * DM_PAGE };
	struct sigaction sa = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};
	union sigval val = { .sival_int = 0 };
	int i;

	ASSERT_EQ(0, sigaltstack(&ss, NULL));
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	for (i = 1; i <= 8; i++) {
		PUT_ON_DEV(self->b.ptr, NPAGES);
		val.sival_int = i;
		ASSERT_EQ(0, sigqueue(getpid(), SIGUSR1, val));
		ASSERT_EQ(i, handled);
		ASSERT_LE((uintptr_t)self->b.ptr, handler_frame);
		ASSERT_GT((uintptr_t)self->b.ptr + NPAGES * DM_PAGE,
			  handler_frame);
		/* The frame is at the top of the stack. */
		ASSERT_CAME_BACK(self->b.ptr + (NPAGES - 1) * DM_PAGE, 1);
	}
	ss.ss_flags = SS_DISABLE;
	ASSERT_EQ(0, sigaltstack(&ss, NULL));
}

/* sigreturn reads a frame that moved to the device while the handler ran. */
static struct {
	int	fd;
	void	*stack;
	void	*mirror;
	int	ret;
} mover;

static void on_signal_move(int sig)
{
	/* Runs on a stack that leaves for the device under its feet. */
	mover.ret = dm_to_dev(mover.fd, mover.stack, NPAGES, mover.mirror,
			      NULL);
	handled++;
}

TEST_F(cf_kernel, signal_return)
{
	stack_t ss = { .ss_sp = self->b.ptr, .ss_size = NPAGES * DM_PAGE };
	struct sigaction sa = { .sa_handler = on_signal_move,
				.sa_flags = SA_ONSTACK };
	int i;

	mover.fd = self->dm.fd;
	mover.stack = self->b.ptr;
	mover.mirror = self->b.mirror;
	handled = 0;
	ASSERT_EQ(0, sigaltstack(&ss, NULL));
	ASSERT_EQ(0, sigaction(SIGUSR2, &sa, NULL));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, raise(SIGUSR2));
		ASSERT_EQ(i + 1, handled);
		ASSERT_EQ(0, mover.ret);
	}
	ss.ss_flags = SS_DISABLE;
	ASSERT_EQ(0, sigaltstack(&ss, NULL));
}

/*
 * The kernel writes the CPU number into the restartable sequence area when a
 * thread changes CPU; here the area is on the device at that moment.
 */
TEST_F(cf_kernel, rseq_area)
{
	struct rseq *rs = (void *)((char *)__builtin_thread_pointer() +
				   __rseq_offset);
	void *page = (void *)((uintptr_t)rs & ~(DM_PAGE - 1));
	cpu_set_t all, one;
	int cpu, rounds, moved = 0;

	if (!__rseq_size)
		SKIP(return, "no restartable sequences");
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(all), &all));
	if (CPU_COUNT(&all) < 2)
		SKIP(return, "needs two CPUs");
	for (rounds = 0; rounds < 8; rounds++) {
		for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, &all))
				continue;
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			/* The library touches the page itself: ask, no more. */
			moved += !dm_to_dev(self->dm.fd, page, 1,
					    self->b.mirror, NULL);
			ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
			ASSERT_EQ(cpu, (int)rs->cpu_id);
		}
	}
	ASSERT_LT(0, moved);
	sched_setaffinity(0, sizeof(all), &all);
}

TEST_HARNESS_MAIN
