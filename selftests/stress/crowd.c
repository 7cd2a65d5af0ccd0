// SPDX-License-Identifier: GPL-2.0
/*
 * Several processes of device jobs on more memory than the device has, each against
 * a model of its own: it knows the value every chunk of its memory is filled with.
 * Fills, copies, comparisons, checksums and atomics by the device, loads and stores
 * and atomics by the CPU, migration, eviction and advice in between.
 *
 * The parent shares a page of counters with its children, does nothing but tell
 * and judge, and never uses a device. Nothing else is shared, so there are no locks;
 * each child is a program of its own, so that what is left on a device when they
 * have ended cannot be a page that the parent has in common with them.
 *
 * usage: crowd [--procs N] [--time SECONDS] [--mib N] [--seed N] [--json FILE]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kselftest.h>
#include "dm_crc.h"
#include "dm_drm.h"
#include "dmirror.h"

#define CHUNK		(64UL << 10)
#define PROCS_MAX	32
#define BATCH_MAX	16	/* jobs of one submission */
#define QUEUES		4
#define WAIT_MS		120000

/* What a child tells the parent while it runs. */
struct crowd_count {
	__u64 jobs;
	__u64 bytes;
	__u64 checks;
};

struct crowd {
	unsigned int	procs;
	unsigned int	seconds;
	size_t		size;		/* of each process */
	__u64		seed;
	const char	*json;
	const char	*member;	/* number of a process, NULL in the parent */
	int		count_fd;
	struct crowd_count *count;	/* shared, one of each process */
};

/* One process. */
struct crowd_member {
	struct crowd	*crowd;
	struct crowd_count *count;
	unsigned int	id;
	int		fd;
	__u64		rng;
	__u8		*mem;
	__u64		*value;		/* what each chunk is filled with */
	unsigned long	chunks;
	__u64		*sum;		/* word both sides add to, outside of @mem */
	__u64		added;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static __u64 draw(struct crowd_member *m)
{
	__u64 z = m->rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static __u8 *chunk(struct crowd_member *m, unsigned long i)
{
	return m->mem + i * CHUNK;
}

static int wrong(struct crowd_member *m, const char *what, unsigned long i, __u64 got,
		 __u64 want)
{
	fprintf(stderr, "crowd: FAILED: process %u, %s, chunk %lu: %llx, not %llx\n",
		m->id, what, i, got, want);
	return 1;
}

/* Submit and wait; each job must have done all of it. */
static int run(struct crowd_member *m, const struct drm_hmm_dmirror_job *jobs,
	       unsigned int nr, struct drm_hmm_dmirror_result *results)
{
	unsigned int i, queue = draw(m) % QUEUES;
	__s32 status = 0;
	__u64 seqno;
	int ret;

	ret = dmd_submit(m->fd, queue, jobs, nr, results, &seqno);
	if (!ret)
		ret = dmd_wait(m->fd, queue, seqno, WAIT_MS, &status);
	if (ret || status)
		return wrong(m, "a submission", nr, ret, status);
	for (i = 0; i < nr; i++) {
		if (results[i].status)
			return wrong(m, "a job", i, results[i].status, 0);
		m->count->bytes += jobs[i].length;
	}
	m->count->jobs += nr;
	return 0;
}

static int fill(struct crowd_member *m)
{
	struct drm_hmm_dmirror_result results[BATCH_MAX];
	struct drm_hmm_dmirror_job jobs[BATCH_MAX] = { 0 };
	unsigned int i, nr = 1 + draw(m) % BATCH_MAX;

	for (i = 0; i < nr; i++) {
		unsigned long c = draw(m) % m->chunks;

		m->value[c] = draw(m);
		jobs[i].op = HMM_DMIRROR_JOB_FILL;
		jobs[i].dst = (uintptr_t)chunk(m, c);
		jobs[i].length = CHUNK;
		jobs[i].value = m->value[c];
	}
	return run(m, jobs, nr, results);
}

static int copy(struct crowd_member *m)
{
	unsigned long from = draw(m) % m->chunks, to = draw(m) % m->chunks;
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_COPY, .length = CHUNK,
		.src = (uintptr_t)chunk(m, from), .dst = (uintptr_t)chunk(m, to),
	};
	struct drm_hmm_dmirror_result res;

	if (from == to)
		return 0;
	m->value[to] = m->value[from];
	return run(m, &job, 1, &res);
}

static int compare(struct crowd_member *m)
{
	unsigned long a = draw(m) % m->chunks, b = draw(m) % m->chunks;
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_COMPARE, .length = CHUNK,
		.src = (uintptr_t)chunk(m, a), .dst = (uintptr_t)chunk(m, b),
	};
	struct drm_hmm_dmirror_result res;
	bool same;

	if (run(m, &job, 1, &res))
		return 1;
	same = m->value[a] == m->value[b];
	if (same ? res.value != CHUNK : res.value == CHUNK)
		return wrong(m, "a comparison", a, res.value, CHUNK);
	m->count->checks++;
	return 0;
}

static int checksum(struct crowd_member *m)
{
	unsigned long c = draw(m) % m->chunks;
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_CHECKSUM, .length = CHUNK,
		.src = (uintptr_t)chunk(m, c), .value = ~0U,
	};
	struct drm_hmm_dmirror_result res;

	if (run(m, &job, 1, &res))
		return 1;
	if (res.value != crc32c_words(m->value[c], CHUNK))
		return wrong(m, "a checksum", c, res.value, crc32c_words(m->value[c], CHUNK));
	m->count->checks++;
	return 0;
}

/* The device and the CPU add to one word at the same time. */
static int add(struct crowd_member *m)
{
	unsigned int i, n = 1 + draw(m) % 200;
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_ATOMIC_ADD64, .dst = (uintptr_t)m->sum,
		.value = 3, .count = n,
	};
	unsigned int queue = draw(m) % QUEUES;
	__s32 status = 0;
	__u64 seqno;

	if (dmd_submit(m->fd, queue, &job, 1, NULL, &seqno))
		return wrong(m, "an addition", n, 0, 0);
	for (i = 0; i < n; i++)
		__atomic_fetch_add(m->sum, 5, __ATOMIC_RELAXED);
	if (dmd_wait(m->fd, queue, seqno, WAIT_MS, &status) || status)
		return wrong(m, "an addition", n, status, 0);
	m->added += n * 8ULL;
	if (__atomic_load_n(m->sum, __ATOMIC_RELAXED) != m->added)
		return wrong(m, "a sum", n, *m->sum, m->added);
	m->count->jobs++;
	m->count->checks++;
	return 0;
}

static int load(struct crowd_member *m, unsigned long c)
{
	const __u64 *word = (const __u64 *)chunk(m, c);
	unsigned long i;

	for (i = 0; i < CHUNK / sizeof(*word); i++)
		if (word[i] != m->value[c])
			return wrong(m, "the CPU reads", c, word[i], m->value[c]);
	m->count->checks++;
	return 0;
}

static int store(struct crowd_member *m)
{
	unsigned long i, c = draw(m) % m->chunks;
	__u64 *word = (__u64 *)chunk(m, c);

	m->value[c] = draw(m);
	for (i = 0; i < CHUNK / sizeof(*word); i++)
		word[i] = m->value[c];
	return 0;
}

/* Pages move; that some of them do not is no failure. */
static int move(struct crowd_member *m)
{
	unsigned long c = draw(m) % m->chunks, n = 1 + draw(m) % 32;
	int ret;

	if (c + n > m->chunks)
		n = m->chunks - c;
	if (draw(m) % 3)
		ret = dmd_migrate(m->fd, chunk(m, c), n * CHUNK,
				  draw(m) % 3 ? HMM_DMIRROR_DEST_VRAM :
						HMM_DMIRROR_DEST_SYSTEM, 0, 0, NULL);
	else
		ret = dmd_evict(m->fd, HMM_DMIRROR_EVICT_RANGE, chunk(m, c),
				n * CHUNK, NULL);
	return ret && ret != -EBUSY ? wrong(m, "a move", c, ret, 0) : 0;
}

static int advise(struct crowd_member *m)
{
	static const struct {
		__u32 attr;
		__u64 value;
	} what[] = {
		{ HMM_DMIRROR_ADVISE_RESET, 0 },
		{ HMM_DMIRROR_ADVISE_LOCATION, HMM_DMIRROR_LOCATION_SYSTEM },
		{ HMM_DMIRROR_ADVISE_LOCATION, HMM_DMIRROR_LOCATION_DEFAULT },
		{ HMM_DMIRROR_ADVISE_READ_MOSTLY, 1 },
		{ HMM_DMIRROR_ADVISE_GRANULARITY, 4096 },
		{ HMM_DMIRROR_ADVISE_GRANULARITY, 2097152 },
		{ HMM_DMIRROR_ADVISE_FAULT_AROUND, 65536 },
	};
	unsigned long c = draw(m) % m->chunks, n = 1 + draw(m) % 16;
	unsigned int i = draw(m) % ARRAY_SIZE(what);
	int ret;

	if (c + n > m->chunks)
		n = m->chunks - c;
	ret = dmd_advise(m->fd, chunk(m, c), n * CHUNK, what[i].attr, what[i].value);
	return ret ? wrong(m, "advice", c, ret, 0) : 0;
}

static int step(struct crowd_member *m)
{
	switch (draw(m) % 16) {
	case 0 ... 3:
		return fill(m);
	case 4 ... 5:
		return copy(m);
	case 6:
		return compare(m);
	case 7 ... 8:
		return checksum(m);
	case 9:
		return add(m);
	case 10 ... 11:
		return load(m, draw(m) % m->chunks);
	case 12:
		return store(m);
	case 13 ... 14:
		return move(m);
	default:
		return advise(m);
	}
}

static int member_init(struct crowd_member *m)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	size_t room = m->crowd->size + DM_2M;
	__u8 *mem;

	/* Private devices by turns, where there are two. */
	m->fd = dmd_open(m->id % 2 ? DM_PRIVATE1 : DM_PRIVATE0);
	if (m->fd < 0)
		return 1;
	mem = mmap(NULL, room, prot, flags, -1, 0);
	m->sum = mmap(NULL, DM_PAGE, prot, flags, -1, 0);
	m->chunks = m->crowd->size / CHUNK;
	m->value = calloc(m->chunks, sizeof(*m->value));
	if (mem == MAP_FAILED || m->sum == MAP_FAILED || !m->value)
		return 1;
	m->mem = (__u8 *)(((uintptr_t)mem + DM_2M - 1) & ~(DM_2M - 1));
	/* Large pages of a process that ends while they are evicted can hang a kernel. */
	madvise(m->mem, m->crowd->size, MADV_NOHUGEPAGE);
	return 0;
}

static int member(struct crowd *crowd, unsigned int id)
{
	struct crowd_member m = {
		.crowd = crowd, .id = id, .rng = crowd->seed * PROCS_MAX + id,
		.count = &crowd->count[id],
	};
	double end = now() + crowd->seconds;
	unsigned long c;
	int bad;

	bad = member_init(&m);
	if (bad)
		fprintf(stderr, "crowd: FAILED: process %u cannot start\n", id);
	while (!bad && now() < end)
		bad = step(&m);
	for (c = 0; c < m.chunks && !bad; c++)
		bad = load(&m, c);
	return bad;
}

static void exec_member(const struct crowd *crowd, unsigned int id)
{
	char arg[5][24];

	snprintf(arg[0], sizeof(arg[0]), "%u", id);
	snprintf(arg[1], sizeof(arg[1]), "%d", crowd->count_fd);
	snprintf(arg[2], sizeof(arg[2]), "%u", crowd->seconds);
	snprintf(arg[3], sizeof(arg[3]), "%zu", crowd->size >> 20);
	snprintf(arg[4], sizeof(arg[4]), "%llu", crowd->seed);
	execl("/proc/self/exe", "crowd", "--member", arg[0], "--counts", arg[1],
	      "--time", arg[2], "--mib", arg[3], "--seed", arg[4], NULL);
	_exit(2);
}

/* The parent ------------------------------------------------------------- */

static struct crowd_count total(const struct crowd *crowd)
{
	struct crowd_count sum = { 0 };
	unsigned int i;

	for (i = 0; i < crowd->procs; i++) {
		sum.jobs += crowd->count[i].jobs;
		sum.bytes += crowd->count[i].bytes;
		sum.checks += crowd->count[i].checks;
	}
	return sum;
}

static void tell(const struct crowd *crowd, double spent)
{
	struct crowd_count sum = total(crowd);

	fprintf(stderr, "seed %llu: %.0f s, %llu jobs, %llu MiB, %llu checks, ",
		crowd->seed, spent, sum.jobs, sum.bytes >> 20, sum.checks);
	fprintf(stderr, "%llu evicted, %llu of them ahead\n",
		dm_stat_now(DM_PRIVATE0, "evicted_pages"),
		dm_stat_now(DM_PRIVATE0, "evicted_ahead_pages"));
}

static int reap(const struct crowd *crowd)
{
	double begin = now(), told = begin;
	unsigned int left = crowd->procs;
	int status, bad = 0;

	while (left) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid < 0)
			return 1;
		if (pid) {
			left--;
			bad |= !!status;
			continue;
		}
		usleep(100000);
		if (now() - told >= 5) {
			told = now();
			tell(crowd, told - begin);
		}
	}
	tell(crowd, now() - begin);
	return bad;
}

/* A page that was just being evicted when its process ended goes a moment later. */
static int judge_device(int device)
{
	char why[DM_MSG] = "no counters";
	struct dm_stats s;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		if (dm_stats_read(device, &s))
			break;
		if (!dm_stats_idle(&s, why))
			return 0;
		usleep(100000);
	}
	fprintf(stderr, "crowd: FAILED: device %d: %s\n", device, why);
	return 1;
}

/* Was it what it is for: did each process do its part, and was there too little room? */
static int judge_work(const struct crowd *crowd)
{
	__u64 cap[2], sum = 0;
	unsigned int i;
	int bad = 0;

	for (i = 0; i < crowd->procs; i++)
		if (!crowd->count[i].jobs || !crowd->count[i].checks) {
			fprintf(stderr, "crowd: FAILED: process %u did nothing\n", i);
			bad = 1;
		}
	for (i = 0; i < 2; i++) {
		cap[i] = dm_stat_now(i, "vram_capacity_pages");
		sum += cap[i] * DM_PAGE;
	}
	for (i = 0; i < 2 && crowd->procs * crowd->size >= 2 * sum; i++)
		if (dm_stat_now(i, "evicted_pages") < cap[i]) {
			fprintf(stderr, "crowd: FAILED: device %u has hardly evicted\n", i);
			bad = 1;
		}
	return bad;
}

static void write_json(const struct crowd *crowd, int bad)
{
	struct crowd_count sum = total(crowd);
	FILE *file = fopen(crowd->json, "w");

	if (!file)
		return;
	fprintf(file, "{\n  \"seed\": %llu,\n  \"processes\": %u,\n  \"seconds\": %u,\n",
		crowd->seed, crowd->procs, crowd->seconds);
	fprintf(file, "  \"jobs\": %llu,\n  \"bytes\": %llu,\n  \"checks\": %llu,\n",
		sum.jobs, sum.bytes, sum.checks);
	fprintf(file, "  \"verdict\": \"%s\"\n}\n", bad ? "failed" : "passed");
	fclose(file);
}

static int run_all(struct crowd *crowd)
{
	struct dm_health health;
	char why[DM_MSG] = "";
	unsigned int i;
	int bad;

	dm_health_begin(&health);
	for (i = 0; i < crowd->procs; i++) {
		pid_t pid = fork();

		if (!pid)
			exec_member(crowd, i);
		if (pid < 0)
			return 2;
	}
	bad = reap(crowd);
	bad |= judge_device(DM_PRIVATE0) | judge_device(DM_PRIVATE1) | judge_work(crowd);
	if (dm_health_end(&health, why)) {
		fprintf(stderr, "crowd: FAILED: the kernel: %s\n", why);
		bad = 1;
	}
	if (crowd->json)
		write_json(crowd, bad);
	return bad;
}

static const struct option options[] = {
	{ "procs", 1, NULL, 'p' }, { "time", 1, NULL, 't' }, { "mib", 1, NULL, 'm' },
	{ "seed", 1, NULL, 's' }, { "json", 1, NULL, 'j' },
	/* From parent to child. */
	{ "member", 1, NULL, 'M' }, { "counts", 1, NULL, 'C' }, { }
};

static int share_counts(struct crowd *crowd)
{
	const size_t size = sizeof(*crowd->count) * PROCS_MAX;

	if (!crowd->member) {
		crowd->count_fd = memfd_create("counts", 0);
		if (crowd->count_fd < 0 || ftruncate(crowd->count_fd, size))
			return -1;
	}
	crowd->count = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			    crowd->count_fd, 0);
	return crowd->count == MAP_FAILED ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct crowd crowd = {
		.procs = 8, .seconds = 60, .size = 16UL << 20, .seed = time(NULL),
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'p':
			crowd.procs = atoi(optarg);
			break;
		case 't':
			crowd.seconds = atoi(optarg);
			break;
		case 'm':
			crowd.size = strtoul(optarg, NULL, 0) << 20;
			break;
		case 's':
			crowd.seed = strtoull(optarg, NULL, 0);
			break;
		case 'j':
			crowd.json = optarg;
			break;
		case 'M':
			crowd.member = optarg;
			break;
		case 'C':
			crowd.count_fd = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (!crowd.procs || crowd.procs > PROCS_MAX || !crowd.size ||
	    share_counts(&crowd)) {
		fputs("usage: see the top of crowd.c\n", stderr);
		return 2;
	}
	return crowd.member ? member(&crowd, atoi(crowd.member) % PROCS_MAX) :
			      run_all(&crowd);
}
