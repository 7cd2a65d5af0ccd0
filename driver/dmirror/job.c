// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs: see job.h.
 *
 * Owns what an operation means and where it stands between two steps. Each step
 * walks over some of the memory (walk.c) with a function that is applied to the
 * bytes; what has two places goes through a buffer. Who runs jobs, when and for how
 * long is queue.c's.
 *
 * Takes no locks; the touch functions run under leaf->lock.
 */
#include <linux/atomic.h>
#include <linux/crc32c.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>

#include "fault.h"
#include "hints.h"
#include "job.h"
#include "mirror.h"
#include "policy.h"
#include "walk.h"

/* Operations on single words done in one step. */
#define DMIRROR_JOB_BATCH	1024

/* What an operation has; what it has not is 0. */
#define DMIRROR_JOB_HAS_DST	BIT(0)
#define DMIRROR_JOB_HAS_SRC	BIT(1)
#define DMIRROR_JOB_HAS_LENGTH	BIT(2)
#define DMIRROR_JOB_HAS_VALUE	BIT(3)
#define DMIRROR_JOB_HAS_COUNT	BIT(4)
#define DMIRROR_JOB_RESIDENT	BIT(5)	/* can do without faults */

/**
 * struct dmirror_job_op - an operation
 * @flags: DMIRROR_JOB_*
 * @word: size and alignment of what @dst and @src name where there is no length
 * @max_value: largest value
 * @step: one step, as dmirror_job_step()
 */
struct dmirror_job_op {
	unsigned int flags;
	unsigned int word;
	u64 max_value;
	int (*step)(struct dmirror_job *job, const struct dmirror_job_env *env);
};

static void dmirror_job_walk(struct dmirror_walk *w, const struct dmirror_job_env *env,
			     u64 addr, u64 len, unsigned int flags)
{
	*w = (struct dmirror_walk) {
		.client = env->client,
		.flags = flags | (env->resident ? DMIRROR_WALK_RESIDENT :
						  DMIRROR_WALK_NOWAIT),
		.addr = addr,
		.end = addr + len,
		.stop = env->stop,
		.limit = env->limit,
	};
	dmirror_walk_begin(w);
}

static void dmirror_job_fault(struct dmirror_job *job, u64 addr, u32 access)
{
	job->res.access = access;
	job->res.fault_addr = addr & PAGE_MASK;
}

/* Walk on; note what could not be accessed. */
static int dmirror_job_walk_to(struct dmirror_job *job, struct dmirror_walk *w,
			       u64 stop, u32 access)
{
	int ret = dmirror_walk_to(w, stop);

	if (ret == -EPERM)
		ret = -EFAULT;
	if (ret == -EFAULT)
		dmirror_job_fault(job, w->addr, access);
	return ret;
}

static int dmirror_job_more(const struct dmirror_job *job)
{
	return job->res.done < job->arg.length;
}

/* A step of an operation on one range of bytes. */
static int dmirror_job_range(struct dmirror_job *job, struct dmirror_walk *w, u32 access)
{
	unsigned long from = w->addr;
	int ret;

	ret = dmirror_job_walk_to(job, w,
				  dmirror_policy_window_end(from, w->end,
							    DMIRROR_WALK_WINDOW),
				  access);
	job->res.done += w->addr - from;
	return ret ? : dmirror_job_more(job);
}

static int dmirror_job_nop(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	return READ_ONCE(*env->stop);
}

static size_t dmirror_job_touch_fill(struct dmirror_walk *w, void *mem, size_t len)
{
	const struct dmirror_job *job = w->priv;
	u64 twice[2] = { job->arg.value, job->arg.value };
	void *p = mem;
	size_t left;
	u64 word;

	/* The 8 bytes that follow each other from this address on. */
	memcpy(&word, (u8 *)twice + ((w->addr - job->arg.dst) & 7), sizeof(word));
	for (left = len; left >= sizeof(word); left -= sizeof(word)) {
		memcpy(p, &word, sizeof(word));
		p += sizeof(word);
	}
	memcpy(p, &word, left);
	return len;
}

static int dmirror_job_fill(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	struct dmirror_walk w;

	dmirror_job_walk(&w, env, job->arg.dst + job->res.done,
			 job->arg.length - job->res.done, DMIRROR_WALK_WRITE);
	w.touch = dmirror_job_touch_fill;
	w.priv = job;
	return dmirror_job_range(job, &w, HMM_DMIRROR_ACCESS_WRITE);
}

static size_t dmirror_job_touch_crc(struct dmirror_walk *w, void *mem, size_t len)
{
	struct dmirror_job *job = w->priv;

	job->res.value = crc32c(job->res.value, mem, len);
	return len;
}

static int dmirror_job_checksum(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	struct dmirror_walk w;

	if (!job->res.done)
		job->res.value = job->arg.value;
	dmirror_job_walk(&w, env, job->arg.src + job->res.done,
			 job->arg.length - job->res.done, 0);
	w.touch = dmirror_job_touch_crc;
	w.priv = job;
	return dmirror_job_range(job, &w, HMM_DMIRROR_ACCESS_READ);
}

/* For walks whose priv is a buffer for all of the walk. */
static size_t dmirror_job_touch_read(struct dmirror_walk *w, void *mem, size_t len)
{
	memcpy(w->priv, mem, len);
	w->priv += len;
	return len;
}

static size_t dmirror_job_touch_write(struct dmirror_walk *w, void *mem, size_t len)
{
	memcpy(mem, w->priv, len);
	w->priv += len;
	return len;
}

static size_t dmirror_job_touch_compare(struct dmirror_walk *w, void *mem, size_t len)
{
	const u8 *a = mem, *b = w->priv;
	size_t n = 0;

	w->priv += len;
	if (!memcmp(a, b, len))
		return len;
	/* The CPU may write there all the time: they can be equal by now. */
	while (n < len && READ_ONCE(a[n]) == b[n])
		n++;
	return n;
}

/*
 * Read some of the source into the bounce buffer. @got bytes of it are good, on
 * error too.
 */
static int dmirror_job_read_src(struct dmirror_job *job, const struct dmirror_job_env *env,
				size_t *got)
{
	u64 from = job->arg.src + job->res.done;
	u64 left = job->arg.length - job->res.done;
	struct dmirror_walk w;
	int ret;

	dmirror_job_walk(&w, env, from, left, 0);
	w.touch = dmirror_job_touch_read;
	w.priv = env->bounce;
	ret = dmirror_job_walk_to(job, &w, from + min_t(u64, left, DMIRROR_WALK_WINDOW),
				  HMM_DMIRROR_ACCESS_READ);
	*got = w.addr - from;
	return ret;
}

/* Apply @touch to the destination and what was read; what comes first, fails first. */
static int dmirror_job_use_src(struct dmirror_job *job, const struct dmirror_job_env *env,
			       dmirror_touch_fn touch, unsigned int flags, bool *ended)
{
	u64 from = job->arg.dst + job->res.done;
	struct dmirror_walk w;
	int ret, err;
	size_t got;

	ret = dmirror_job_read_src(job, env, &got);
	if (ret && ret != -EFAULT)
		return ret;
	dmirror_job_walk(&w, env, from, job->arg.length - job->res.done, flags);
	w.touch = touch;
	w.priv = env->bounce;
	err = dmirror_job_walk_to(job, &w, from + got, flags & DMIRROR_WALK_WRITE ?
				  HMM_DMIRROR_ACCESS_WRITE : HMM_DMIRROR_ACCESS_READ);
	job->res.done += w.addr - from;
	*ended = w.ended;
	return err ? : ret;
}

static int dmirror_job_copy(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	bool ended;
	int ret = dmirror_job_use_src(job, env, dmirror_job_touch_write,
				      DMIRROR_WALK_WRITE, &ended);

	return ret ? : dmirror_job_more(job);
}

static int dmirror_job_compare(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	bool ended;
	int ret = dmirror_job_use_src(job, env, dmirror_job_touch_compare, 0, &ended);

	job->res.value = job->res.done;
	/* At a difference the answer is known, whatever lies behind it. */
	return ended ? 0 : ret ? : dmirror_job_more(job);
}

static size_t dmirror_job_touch_add(struct dmirror_walk *w, void *mem, size_t len)
{
	struct dmirror_job *job = w->priv;
	u64 n = min_t(u64, job->arg.count - job->res.done, DMIRROR_JOB_BATCH);

	job->res.done += n;
	while (n--)
		job->res.value = len == sizeof(u32) ?
			(u32)atomic_fetch_add(job->arg.value, (atomic_t *)mem) :
			(u64)atomic64_fetch_add(job->arg.value, (atomic64_t *)mem);
	return len;
}

/*
 * Unless advice says to hold it until the CPU wants it, the page was needed for the
 * moment only: let the CPU have it without a fault.
 */
static void dmirror_job_unexclude(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	unsigned long start = job->arg.dst & PAGE_MASK;
	struct dmirror_leaf *leaf = dmirror_leaf_find(env->client, start);
	struct dmirror_range range;

	dmirror_hints_find(env->client, start, &range);
	if (leaf && !range.advice.atomic)
		dmirror_fault_window(env->client, leaf, start, start + PAGE_SIZE,
				     DMIRROR_FAULT_WRITE | DMIRROR_FAULT_NOWAIT |
				     DMIRROR_FAULT_STAY);
	job->exclusive = false;
}

static int dmirror_job_add(struct dmirror_job *job, const struct dmirror_job_env *env,
			   size_t size)
{
	struct dmirror_walk w;
	int ret;

	dmirror_job_walk(&w, env, job->arg.dst, size,
			 DMIRROR_WALK_WRITE | DMIRROR_WALK_ATOMIC);
	w.touch = dmirror_job_touch_add;
	w.priv = job;
	ret = dmirror_job_walk_to(job, &w, w.end, HMM_DMIRROR_ACCESS_ATOMIC);
	job->exclusive |= w.exclusive;
	if (!ret && job->res.done < job->arg.count)
		return 1;
	if (ret == -EINPROGRESS)
		return ret;
	if (job->exclusive)
		dmirror_job_unexclude(job, env);
	return ret;
}

static int dmirror_job_add32(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	return dmirror_job_add(job, env, sizeof(u32));
}

static int dmirror_job_add64(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	return dmirror_job_add(job, env, sizeof(u64));
}

static int dmirror_job_follow(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	u64 at = job->res.done ? job->res.value : job->arg.src;
	struct dmirror_walk w;
	u64 next;
	int ret;

	if (at & (sizeof(at) - 1) || at > TASK_SIZE_MAX - sizeof(at)) {
		dmirror_job_fault(job, at, HMM_DMIRROR_ACCESS_READ);
		return -EFAULT;
	}
	dmirror_job_walk(&w, env, at, sizeof(at), 0);
	w.touch = dmirror_job_touch_read;
	w.priv = &next;
	ret = dmirror_job_walk_to(job, &w, w.end, HMM_DMIRROR_ACCESS_READ);
	if (ret)
		return ret;
	job->res.value = next;
	job->res.done++;
	return 0;
}

static int dmirror_job_chase(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < DMIRROR_JOB_BATCH && !ret; i++) {
		if (job->res.done == job->arg.count)
			return 0;
		ret = dmirror_job_follow(job, env);
		/* Each may have been a fault that moved 2 MiB and evicted as much. */
		if (ktime_get_ns() >= env->until)
			break;
	}
	return ret ? : job->res.done < job->arg.count;
}

static const struct dmirror_job_op dmirror_job_ops[] = {
	[HMM_DMIRROR_JOB_NOP] = { .step = dmirror_job_nop },
	[HMM_DMIRROR_JOB_FILL] = {
		.flags = DMIRROR_JOB_HAS_DST | DMIRROR_JOB_HAS_LENGTH |
			 DMIRROR_JOB_HAS_VALUE | DMIRROR_JOB_RESIDENT,
		.max_value = U64_MAX, .step = dmirror_job_fill,
	},
	[HMM_DMIRROR_JOB_COPY] = {
		.flags = DMIRROR_JOB_HAS_DST | DMIRROR_JOB_HAS_SRC |
			 DMIRROR_JOB_HAS_LENGTH | DMIRROR_JOB_RESIDENT,
		.step = dmirror_job_copy,
	},
	[HMM_DMIRROR_JOB_CHECKSUM] = {
		.flags = DMIRROR_JOB_HAS_SRC | DMIRROR_JOB_HAS_LENGTH |
			 DMIRROR_JOB_HAS_VALUE,
		.max_value = U32_MAX, .step = dmirror_job_checksum,
	},
	[HMM_DMIRROR_JOB_COMPARE] = {
		.flags = DMIRROR_JOB_HAS_DST | DMIRROR_JOB_HAS_SRC |
			 DMIRROR_JOB_HAS_LENGTH,
		.step = dmirror_job_compare,
	},
	[HMM_DMIRROR_JOB_ATOMIC_ADD32] = {
		.flags = DMIRROR_JOB_HAS_DST | DMIRROR_JOB_HAS_VALUE |
			 DMIRROR_JOB_HAS_COUNT,
		.word = sizeof(u32), .max_value = U32_MAX, .step = dmirror_job_add32,
	},
	[HMM_DMIRROR_JOB_ATOMIC_ADD64] = {
		.flags = DMIRROR_JOB_HAS_DST | DMIRROR_JOB_HAS_VALUE |
			 DMIRROR_JOB_HAS_COUNT,
		.word = sizeof(u64), .max_value = U64_MAX, .step = dmirror_job_add64,
	},
	[HMM_DMIRROR_JOB_CHASE] = {
		.flags = DMIRROR_JOB_HAS_SRC | DMIRROR_JOB_HAS_COUNT,
		.word = sizeof(u64), .step = dmirror_job_chase,
	},
};

/* Is @addr there exactly if it should be, and what it names in the address space? */
static bool dmirror_job_place_ok(u64 addr, bool wanted, u64 size, unsigned int word)
{
	u64 end;

	if (!wanted)
		return !addr;
	if (word && !IS_ALIGNED(addr, word))
		return false;
	return !check_add_overflow(addr, size, &end) && end <= TASK_SIZE_MAX;
}

int dmirror_job_check(const struct drm_hmm_dmirror_job *arg, bool resident)
{
	const struct dmirror_job_op *op;
	u64 size;

	if (arg->op >= ARRAY_SIZE(dmirror_job_ops) || arg->flags)
		return -EINVAL;
	op = &dmirror_job_ops[array_index_nospec(arg->op, ARRAY_SIZE(dmirror_job_ops))];
	size = op->word ? : arg->length;

	if (resident && !(op->flags & DMIRROR_JOB_RESIDENT))
		return -EINVAL;
	if (!arg->length != !(op->flags & DMIRROR_JOB_HAS_LENGTH) ||
	    !arg->count != !(op->flags & DMIRROR_JOB_HAS_COUNT) ||
	    arg->value > op->max_value)
		return -EINVAL;
	if (!dmirror_job_place_ok(arg->dst, op->flags & DMIRROR_JOB_HAS_DST, size,
				  op->word) ||
	    !dmirror_job_place_ok(arg->src, op->flags & DMIRROR_JOB_HAS_SRC, size,
				  op->word))
		return -EINVAL;
	if (arg->op == HMM_DMIRROR_JOB_COPY && arg->dst < arg->src + size &&
	    arg->src < arg->dst + size)
		return -EINVAL;
	return 0;
}

int dmirror_job_step(struct dmirror_job *job, const struct dmirror_job_env *env)
{
	int ret = dmirror_job_ops[job->arg.op].step(job, env);

	/* A fault met in reading ahead, when something else came first, was none. */
	if (ret != -EFAULT) {
		job->res.access = HMM_DMIRROR_ACCESS_NONE;
		job->res.fault_addr = 0;
	}
	return ret;
}

static const int dmirror_job_never;

static int dmirror_job_store_walk(struct dmirror_client *client, u64 addr, size_t len,
				  dmirror_touch_fn touch, void *priv)
{
	struct dmirror_job_env env = {
		.client = client, .stop = &dmirror_job_never,
	};
	struct dmirror_walk w;
	int ret;

	dmirror_job_walk(&w, &env, addr, len, DMIRROR_WALK_WRITE | DMIRROR_WALK_STAY);
	w.touch = touch;
	w.priv = priv;
	ret = dmirror_walk_to(&w, w.end);
	return ret == -EPERM ? -EFAULT : ret;
}

int dmirror_job_store(struct dmirror_client *client, u64 addr, const void *buf,
		      size_t len)
{
	return dmirror_job_store_walk(client, addr, len, dmirror_job_touch_write,
				      (void *)buf);
}

static size_t dmirror_job_touch_fence(struct dmirror_walk *w, void *mem, size_t len)
{
	const u64 *value = w->priv;

	/* Who reads it, with acquire semantics, sees the results written before. */
	smp_store_release((u64 *)mem, *value);
	return len;
}

int dmirror_job_store_fence(struct dmirror_client *client, u64 addr, u64 value)
{
	return dmirror_job_store_walk(client, addr, sizeof(value),
				      dmirror_job_touch_fence, &value);
}
