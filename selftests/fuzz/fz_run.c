// SPDX-License-Identifier: GPL-2.0
/*
 * Running an input: a process of its own, a limit on its time, and what must be true
 * when it has ended. Owns that process and the page it reports in.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kselftest.h>
#include "fuzz.h"

#define FZ_WITNESS	16		/* pages */
#define FZ_IDLE_MS	2000		/* for what is left to go */
#define FZ_TICK_US	20000		/* a signal every so often */

bool fz_tracing;

static struct fz_report *fz_shared;
static unsigned int fz_limit;

/* For the signal handler: who runs in this thread, and is in the middle of what. */
static __thread struct fz_actor *fz_me;

/* Where threads of the process are remembered. */
static struct fz_actor fz_crew[FZ_THREADS];
static pthread_t fz_thread_id[FZ_THREADS];
static unsigned int fz_nr_threads, fz_nr_forks;

void fz_fail(struct fz_actor *a, const char *fmt, ...)
{
	struct fz_report *report = a->proc->report;
	va_list args;
	int n;

	if (__atomic_exchange_n(&report->failed, 1, __ATOMIC_SEQ_CST))
		return;
	n = snprintf(report->why, FZ_WHY, "operation %u: ", a->at);
	va_start(args, fmt);
	vsnprintf(report->why + n, FZ_WHY - n, fmt, args);
	va_end(args);
}

void fz_saw(struct fz_actor *a, const struct fz_op *op, int outcome, unsigned int detail)
{
	__u32 n = (op->kind * 131 + outcome) * 8191 + detail * 127;

	a->proc->report->feature[n % FZ_FEATURES] = 1;
}

void fz_trace(struct fz_actor *a, const char *fmt, ...)
{
	va_list args;

	if (!fz_tracing)
		return;
	fprintf(stderr, "%d:%u %s: ", gettid(), a->at,
		fz_kind(a->proc->prog->op[a->at].kind)->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* The process ------------------------------------------------------------ */

static void fz_actor_run(struct fz_actor *a)
{
	const struct fz_prog *prog = a->proc->prog;

	fz_me = a;
	for (a->at = a->first; a->at < a->end && !a->proc->report->failed; a->at++) {
		const struct fz_op *op = &prog->op[a->at];

		a->proc->report->at = a->at;
		fz_kind(op->kind)->run(a, op);
	}
}

static void *fz_thread(void *arg)
{
	fz_actor_run(arg);
	return NULL;
}

void fz_branch(struct fz_actor *a, unsigned int n, bool thread)
{
	struct fz_actor *b;

	if (!a->main || a->proc->forked)
		return;
	if (n > a->end - a->at - 1)
		n = a->end - a->at - 1;
	if (thread && fz_nr_threads < FZ_THREADS) {
		b = &fz_crew[fz_nr_threads];
		*b = (struct fz_actor){ .proc = a->proc, .first = a->at + 1,
					.end = a->at + 1 + n };
		a->proc->threads = true;
		if (!pthread_create(&fz_thread_id[fz_nr_threads], NULL, fz_thread, b))
			fz_nr_threads++;
	} else if (!thread && fz_nr_forks < FZ_FORKS) {
		pid_t pid = fork();

		if (!pid) {
			a->proc->forked = true;
			a->first = a->at + 1;
			a->end = a->first + n;
			fz_actor_run(a);
			_exit(0);
		}
		fz_nr_forks += pid > 0;
	}
	a->at += n;
}

static void fz_fault(int sig, siginfo_t *info, void *context)
{
	__u64 addr = (__u64)info->si_addr;

	if (fz_me && fz_me->catching && addr >= FZ_BASE && addr < FZ_END)
		siglongjmp(fz_me->back, 1);
	/* Nobody may have taken memory of the process away. */
	signal(sig, SIG_DFL);
}

static void fz_tick(int sig)
{
}

static void fz_signals(void)
{
	struct sigaction fault = { .sa_sigaction = fz_fault, .sa_flags = SA_SIGINFO };
	struct sigaction tick = { .sa_handler = fz_tick };
	struct itimerval often = { { 0, FZ_TICK_US }, { 0, FZ_TICK_US } };

	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	/* Without SA_RESTART: whatever waits is interrupted. */
	sigaction(SIGALRM, &tick, NULL);
	signal(SIGPIPE, SIG_IGN);
	setitimer(ITIMER_REAL, &often, NULL);
}

/* Half of the areas has memory at first, small pages and, if there are any, large ones. */
static void fz_memory(void)
{
	unsigned int i;
	int fd;

	mmap((void *)FZ_BASE, FZ_END - FZ_BASE, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	for (i = 0; i < FZ_AREAS / 2; i++) {
		void *area = (void *)(FZ_BASE + i * FZ_STRIDE);

		mmap(area, FZ_AREA_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		madvise(area, FZ_AREA_SIZE, i ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		memset(area, 0x11 * (i + 1), 64 * DM_PAGE);
	}
	mmap((void *)FZ_SCRATCH, FZ_SCRATCH_SIZE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	/* Not that of the program: next to it is memory shared with the parent. */
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	mmap((void *)FZ_TEXT, 4 * DM_PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0);
	close(fd);
}

static int fz_first_device(void)
{
	return dm_node_exists(DM_PRIVATE0) ? DM_PRIVATE0 : DM_COHERENT0;
}

/* Memory nobody may touch, of which some is on the device. */
static __u8 *fz_witness_begin(void)
{
	__u8 *ptr = mmap(NULL, FZ_WITNESS * DM_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static __u8 buf[FZ_WITNESS / 2 * DM_PAGE];
	int fd = dm_open(fz_first_device());

	if (ptr == MAP_FAILED || fd < 0)
		_exit(3);
	dm_fill(ptr, FZ_WITNESS, ptr, 1, DM_CPU);
	dm_to_dev(fd, ptr, FZ_WITNESS / 2, buf, NULL);
	close(fd);
	return ptr;
}

/* It is as it was, and the device still works for this process. */
static void fz_witness_end(struct fz_actor *a, __u8 *ptr)
{
	static __u8 buf[FZ_WITNESS * DM_PAGE];
	char text[DM_MSG];
	struct dm_bad bad;
	int fd, ret;

	if (dm_verify(ptr, FZ_WITNESS, ptr, 1, DM_CPU, &bad)) {
		fz_fail(a, "memory nobody touched: %s", dm_bad_str(&bad, text));
		return;
	}
	fd = dm_open(fz_first_device());
	if (fd < 0) {
		fz_fail(a, "the device cannot be opened any more: %d", fd);
		return;
	}
	dm_fill(buf, FZ_WITNESS, ptr, 2, DM_DEV);
	ret = dm_write(fd, ptr, FZ_WITNESS, buf, NULL);
	if (ret || dm_verify(ptr, FZ_WITNESS, ptr, 2, DM_DEV, &bad))
		fz_fail(a, "the device does not write any more: %d", ret);
	close(fd);
}

static void fz_child(const struct fz_prog *prog)
{
	static struct fz_proc proc;
	static struct fz_actor a;
	unsigned int i;
	__u8 *witness;

	proc = (struct fz_proc){ .prog = prog, .report = fz_shared, .pipe = { -1, -1 } };
	a = (struct fz_actor){ .proc = &proc, .end = prog->n, .main = true };
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(proc.fd, 0xff, sizeof(proc.fd));
	/*
	 * Where there are large device pages, up to 7.3 at least, a kernel can hang when
	 * one is unmapped while it moves (Documentation/design.rst, Limits).
	 */
	if (!getenv("DMIRROR_HAZARDS"))
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	fz_memory();
	witness = fz_witness_begin();
	fz_signals();
	fz_actor_run(&a);
	for (i = 0; i < fz_nr_threads; i++)
		pthread_join(fz_thread_id[i], NULL);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	fz_witness_end(&a, witness);
	_exit(0);
}

/* Looking on -------------------------------------------------------------- */

static void fz_complain(struct fz_report *report, const char *fmt, ...)
{
	va_list args;

	if (report->failed++)
		return;
	va_start(args, fmt);
	vsnprintf(report->why, FZ_WHY, fmt, args);
	va_end(args);
}

static void fz_hangs(pid_t pid, struct fz_report *report)
{
	char path[64], stack[FZ_WHY / 2] = "";
	const char *name = report->at < FZ_OPS ? "" : "?";

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	dm_read_file(path, stack, sizeof(stack));
	for (char *s = stack; *s; s++)
		if (*s == '\n')
			*s = ' ';
	fz_complain(report, "did not end in %u s, in operation %u%s: %s", fz_limit, report->at,
		    name, stack);
}

/* Returns the status of wait(), or -1 when it does not even die. */
static int fz_wait(pid_t pid, struct fz_report *report)
{
	struct pollfd p = { .events = POLLIN };
	int status = -1;

	p.fd = syscall(SYS_pidfd_open, pid, 0);
	if (poll(&p, 1, fz_limit * 1000) <= 0) {
		fz_hangs(pid, report);
		kill(-pid, SIGKILL);
		if (poll(&p, 1, fz_limit * 1000) <= 0)
			fz_complain(report, "cannot be killed");
	}
	close(p.fd);
	if (waitpid(pid, &status, WNOHANG) != pid)
		return -1;
	/* What it forked, if it died before its children. */
	kill(-pid, SIGKILL);
	return status;
}

/* Has the input left something? What an earlier one left is not its fault. */
static bool fz_left(const struct dm_stats *before, int device, char *why)
{
	static const char * const names[] = {
		"clients", "vram_resident_pages", "vram_inflight_pages",
	};
	struct dm_stats now;
	unsigned int i;

	if (dm_stats_read(device, &now) || dm_stats_law(&now, why))
		return true;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		__u64 more = dm_stat(&now, names[i]) - dm_stat(before, names[i]);

		if ((__s64)more > 0) {
			snprintf(why, DM_MSG, "%s is %llu more", names[i], more);
			return true;
		}
	}
	return false;
}

/*
 * Pages the input had in common with this process, of the dynamic linker for example,
 * went to the device for both. Looking at them brings them home.
 */
static void fz_come_home(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned long start, end;
	char line[512], readable, byte;

	while (maps && mem >= 0 && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %c", &start, &end, &readable) != 3 ||
		    readable != 'r')
			continue;
		for (; start < end; start += DM_PAGE)
			if (pread(mem, &byte, 1, start) < 0)
				break;
	}
	if (maps)
		fclose(maps);
	if (mem >= 0)
		close(mem);
}

/* Nothing may be left on a device; pages in the kernel's batches are drained. */
static void fz_check_idle(const struct dm_stats *before, int device,
			  struct fz_report *report)
{
	char why[DM_MSG] = "";
	unsigned int ms = 0;

	while (before->n && fz_left(before, device, why)) {
		if (ms >= FZ_IDLE_MS) {
			fz_complain(report, "device %d in the end: %s", device, why);
			return;
		}
		if (ms == 0)
			fz_come_home();
		if (ms % 100 == 0)
			dm_drain_lru(fz_shared);
		else
			usleep(10000);
		ms += 10;
	}
}

/* How far each counter moved is an outcome, too: the power of two. */
static void fz_saw_counters(const struct dm_stats *before, int device,
			    struct fz_report *report)
{
	struct dm_stats now;
	int i;

	if (dm_stats_read(device, &now))
		return;
	for (i = 0; i < before->n && i < now.n; i++) {
		__u64 moved = now.value[i] - before->value[i];
		unsigned int bits = moved && moved < 1ULL << 40 ? 64 - __builtin_clzll(moved) : 0;

		if (bits)
			report->feature[(i * 12289 + bits * 53 + device * 7) % FZ_FEATURES] = 1;
	}
}

int fz_init(unsigned int seconds)
{
	fz_limit = seconds;
	fz_shared = mmap(NULL, sizeof(*fz_shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fz_shared == MAP_FAILED)
		return -ENOMEM;
	/* The same addresses in every process: they are part of an input. */
	if (mmap((void *)FZ_BASE, FZ_TEXT + FZ_STRIDE - FZ_BASE, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) !=
	    (void *)FZ_BASE)
		return -EEXIST;
	return dm_node_exists(fz_first_device()) ? 0 : -ENODEV;
}

int fz_run(const struct fz_prog *prog, struct fz_report *report)
{
	static struct dm_stats before[FZ_DEVICES];
	struct dm_health health;
	char why[DM_MSG] = "";
	unsigned int i;
	int status;
	pid_t pid;

	memset(fz_shared, 0, sizeof(*fz_shared));
	for (i = 0; i < FZ_DEVICES; i++)
		if (dm_stats_read(i, &before[i]))
			before[i].n = 0;
	dm_health_begin(&health);
	fflush(NULL);
	pid = fork();
	if (!pid)
		fz_child(prog);
	if (pid < 0) {
		fz_complain(fz_shared, "fork: errno %d", errno);
	} else {
		status = fz_wait(pid, fz_shared);
		if (status > 0)
			fz_complain(fz_shared, "status %#x in operation %u", status, fz_shared->at);
	}
	for (i = 0; i < FZ_DEVICES && !fz_shared->failed; i++)
		fz_check_idle(&before[i], i, fz_shared);
	if (dm_health_end(&health, why))
		fz_complain(fz_shared, "the kernel: %s", why);
	for (i = 0; i < FZ_DEVICES; i++)
		fz_saw_counters(&before[i], i, fz_shared);
	*report = *fz_shared;
	return report->failed;
}
