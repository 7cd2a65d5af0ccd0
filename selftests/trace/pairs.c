// SPDX-License-Identifier: GPL-2.0
/*
 * Tracepoints against counters: what begins ends, in the same task and with the same
 * fields, and the ends add up to what was counted, by device and reason.
 */
#include "dm_drm_harness.h"
#include "dm_trace.h"

#define NPAGES	64UL
#define OPEN	16

DMD_FIXTURE(trace);

/* An event that has begun: whose, its name, and its fields up to what is new at the end. */
struct begun {
	long	pid;
	char	name[40];
	char	fields[160];
};

/* What the ends of a device say, all in all. */
struct sums {
	__s64	in, in_failed;		/* migrate_in */
	__s64	out, out_failed;	/* migrate_out, but for eviction */
	__s64	evicted, evict_failed;	/* all of eviction */
	__s64	peer;
	__s64	faults;
	__s64	invalidations, cleared;
};

struct reader {
	char		why[DM_MSG];
	struct begun	begun[OPEN];
	int		nr_begun;
	int		pairs;
	int		index;
	struct sums	sums;
};

/* The number behind " KEY=", or -1. */
static __s64 field(const char *line, const char *key)
{
	char text[40];
	const char *at;

	snprintf(text, sizeof(text), " %s=", key);
	at = strstr(line, text);
	return at ? strtoll(at + strlen(text), NULL, 0) : -1;
}

/* "   task-123  [001] ...: dmirror_x_begin: dev=0 ..." taken apart; false: none of it */
static bool take_apart(char *line, struct begun *b, char **rest)
{
	char *cpu = strstr(line, " ["), *name = strstr(line, ": dmirror_"), *dash, *end;

	if (!cpu || !name)
		return false;
	*cpu = '\0';
	dash = strrchr(line, '-');
	*cpu = ' ';
	name += 2;
	end = strchr(name, ':');
	if (!dash || !end)
		return false;
	b->pid = atol(dash + 1);
	snprintf(b->name, sizeof(b->name), "%.*s", (int)(end - name), name);
	*rest = end + 1;
	end = strstr(*rest, " moved=");
	if (!end)
		end = strstr(*rest, " arg=");
	if (!end)
		end = *rest + strlen(*rest);
	snprintf(b->fields, sizeof(b->fields), "%.*s", (int)(end - *rest), *rest);
	return true;
}

static bool ends_with(char *name, const char *tail)
{
	size_t n = strlen(name), t = strlen(tail);

	if (n < t || strcmp(name + n - t, tail))
		return false;
	name[n - t] = '\0';
	return true;
}

/* The last thing that this task has begun is what ends. */
static bool close_pair(struct reader *r, const struct begun *b)
{
	int i = r->nr_begun - 1;

	while (i >= 0 && r->begun[i].pid != b->pid)
		i--;
	if (i < 0 || strcmp(r->begun[i].name, b->name) ||
	    strcmp(r->begun[i].fields, b->fields)) {
		snprintf(r->why, DM_MSG, "%s%s ends, %s%s has begun", b->name, b->fields,
			 i < 0 ? "nothing" : r->begun[i].name,
			 i < 0 ? "" : r->begun[i].fields);
		return false;
	}
	memmove(&r->begun[i], &r->begun[i + 1],
		(--r->nr_begun - i) * sizeof(r->begun[0]));
	r->pairs++;
	return true;
}

static void add_up(struct reader *r, const char *name, const char *line)
{
	__s64 moved = field(line, "moved"), failed = field(line, "failed");
	bool evict = strstr(line, " reason=evict ") || !strcmp(name, "dmirror_evict");

	if (field(line, "dev") != r->index)
		return;
	if (evict) {
		r->sums.evicted += moved;
		r->sums.evict_failed += failed;
	} else if (!strcmp(name, "dmirror_migrate_in")) {
		r->sums.in += moved;
		r->sums.in_failed += failed;
	} else if (!strcmp(name, "dmirror_migrate_out")) {
		r->sums.out += moved;
		r->sums.out_failed += failed;
	} else if (!strcmp(name, "dmirror_migrate_peer")) {
		r->sums.peer += moved;
	} else if (!strcmp(name, "dmirror_fault")) {
		r->sums.faults++;
	} else if (!strcmp(name, "dmirror_invalidate")) {
		r->sums.invalidations++;
		r->sums.cleared += field(line, "arg");
	}
}

static bool read_line(struct reader *r, char *line)
{
	struct begun b;
	char *rest;

	if (*line == '#' || !take_apart(line, &b, &rest))
		return true;
	/* Tasks take turns with a job: those pair up otherwise, see jobs:seen. */
	if (!strncmp(b.name, "dmirror_job_", 12))
		return true;
	if (ends_with(b.name, "_begin")) {
		if (r->nr_begun == OPEN)
			return false;
		r->begun[r->nr_begun++] = b;
		return true;
	}
	if (!ends_with(b.name, "_end")) {
		snprintf(r->why, DM_MSG, "unknown event %s", b.name);
		return false;
	}
	add_up(r, b.name, rest);
	return close_pair(r, &b);
}

static bool read_all(struct reader *r, char *text)
{
	char *line, *next;

	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
		if (!read_line(r, line))
			return false;
	if (r->nr_begun)
		snprintf(r->why, DM_MSG, "%s%s never ends", r->begun[0].name,
			 r->begun[0].fields);
	return !r->nr_begun;
}

/* The CPU looks at every page. */
static void touch(struct dm_buf *b)
{
	unsigned long i;

	for (i = 0; i < b->npages; i++)
		(void)*(volatile __u8 *)(b->ptr + i * DM_PAGE);
}

/* Each way pages go, also to several mappings at once, and some that fail. */
static int all_ways(int drm, int peer, struct dm_buf *b)
{
	int peer_drm = dmd_open(peer);
	struct drm_hmm_dmirror_job job = {
		.op = HMM_DMIRROR_JOB_FILL, .dst = (__u64)(uintptr_t)b->ptr,
		.length = 8 * DM_PAGE,
	};
	int ret;

	if (peer_drm < 0)
		return peer_drm;
	ret = dmd_to_vram(drm, b->ptr, b->size);
	touch(b);
	ret = ret ? : dmd_to_vram(drm, b->ptr, b->size);
	ret = ret ? : dmd_to_system(drm, b->ptr, b->size);
	ret = ret ? : dmd_to_vram(drm, b->ptr, b->size);
	ret = ret ? : dmd_migrate(drm, b->ptr, b->size, HMM_DMIRROR_DEST_DEVICE, 0, peer,
				  NULL);
	ret = ret ? : dmd_to_system(peer_drm, b->ptr, b->size);
	close(peer_drm);
	ret = ret ? : dmd_to_vram(drm, b->ptr, b->size);
	/* Four mappings, one of which nobody may read. */
	if (ret || mprotect(b->ptr + 8 * DM_PAGE, 8 * DM_PAGE, PROT_NONE) ||
	    mprotect(b->ptr + 32 * DM_PAGE, 8 * DM_PAGE, PROT_READ))
		return ret ? : -errno;
	ret = dmd_evict(drm, HMM_DMIRROR_EVICT_RANGE, b->ptr, b->size, NULL);
	ret = ret ? : dmd_to_vram(drm, b->ptr, 8 * DM_PAGE);
	ret = ret ? : dmd_evict(drm, HMM_DMIRROR_EVICT_ALL, NULL, 0, NULL);
	/* The device, where it may; where it may not; and a request that meets that. */
	ret = ret ? : dmd_run(drm, &job, NULL);
	job.length = 9 * DM_PAGE;
	if (ret || dmd_run(drm, &job, NULL) != -EFAULT ||
	    dmd_migrate(drm, b->ptr, b->size, HMM_DMIRROR_DEST_VRAM, 0, 0, NULL) != -EFAULT ||
	    dmd_migrate(drm, b->ptr, b->size, HMM_DMIRROR_DEST_SYSTEM, 0, 0, NULL) != -EFAULT)
		return ret ? : -EBADE;
	return 0;
}

TEST_F(trace, pairs)
{
	static struct reader r;
	static char text[1 << 18];
	struct dm_buf b;
	int ret;

	r.index = self->dm.index;
	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	ret = dm_trace_begin();
	if (ret)
		SKIP(return, "no tracing here: errno %d", -ret);
	dm_restart(&self->dm);
	EXPECT_EQ(0, all_ways(self->drm, variant->peer, &b));
	ASSERT_LT(0, dm_trace_end(text, sizeof(text)));
	EXPECT_TRUE(read_all(&r, text)) {
		TH_LOG("%s", r.why);
	}
	EXPECT_LT(10, r.pairs);
	EXPECT_MOVED(&self->dm, "migrate_in_pages", r.sums.in);
	EXPECT_MOVED(&self->dm, "migrate_in_failed_pages", r.sums.in_failed);
	EXPECT_MOVED(&self->dm, "migrate_out_pages", r.sums.out);
	EXPECT_MOVED(&self->dm, "migrate_out_failed_pages", r.sums.out_failed);
	EXPECT_MOVED(&self->dm, "evicted_pages", r.sums.evicted);
	EXPECT_MOVED(&self->dm, "evict_failed_pages", r.sums.evict_failed);
	EXPECT_MOVED(&self->dm, "peer_out_pages", r.sums.peer);
	EXPECT_MOVED(&self->dm, "dev_faults", r.sums.faults);
	EXPECT_MOVED(&self->dm, "invalidations", r.sums.invalidations);
	EXPECT_MOVED(&self->dm, "invalidated_pages", r.sums.cleared);
	EXPECT_EQ(NPAGES, r.sums.peer);
	EXPECT_EQ(NPAGES + 8, r.sums.evicted);
	dm_buf_free(&b);
}

TEST_HARNESS_MAIN
