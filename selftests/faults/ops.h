/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operations that are made to fail: each with the state it starts from, the
 * one call that is swept, and what must hold when that has succeeded, or not.
 */
#ifndef _SELFTESTS_FAULTS_OPS_H
#define _SELFTESTS_FAULTS_OPS_H

#include <stdbool.h>
#include "actor.h"
#include "dmirror.h"

/* Memory of the device these programs load the driver with. */
#define FI_VRAM_MB	4
#define FI_SMALL	16UL

struct fi;

/**
 * struct fi_op - an operation
 * @name: for messages
 * @npages: pages of the buffer
 * @flags: DM_BUF_*
 * @prepare: the state it starts from; the buffer is filled, in system memory,
 *	the file fresh
 * @run: the call; 0 or a negative errno
 * @good: after success, also one that follows a failure
 * @classes: "in" or "out" for a request to migrate, whose pages are classified
 * @where: where a page that has moved is
 * @err: an errno it may end with beside those of missing memory
 * @writes: the device writes generation @gen + 1, from the first page on
 * @drm: by the render node
 */
struct fi_op {
	const char	*name;
	unsigned long	npages;
	int		flags;
	int		(*prepare)(struct fi *f);
	int		(*run)(struct fi *f);
	int		(*good)(struct fi *f);
	const char	*classes;
	enum dm_where	where;
	int		err;
	bool		writes;
	bool		drm;
};

/**
 * struct fi - an operation at work
 * @op: what it is
 * @index: minor of the device
 * @fd: its file
 * @node: its render node, also fresh, where @op is about that; else -1
 * @node_path: where that is
 * @seqno: of the last job that was submitted to @node, 0 before the first
 * @b: the buffer
 * @other: pages of somebody else that fill the device, or empty
 * @child: a process that shares the buffer, or none
 * @before: counters before the call
 * @gen: generation of the content of @b
 * @res: what the call left in the structure; of a command of the render node what it
 *	would have left there
 * @value: result of a job
 * @why: reason of the last failure
 */
struct fi {
	const struct fi_op *op;
	int		index, fd, node;
	char		node_path[64];
	__u64		seqno;
	struct dm_buf	b, other;
	struct actor	child;
	struct dm_stats	before;
	unsigned int	gen;
	struct hmm_dmirror_cmd res;
	__u64		value;
	char		why[DM_MSG];
};

/* Their names, each for a variant of a fixture. */
#define FI_OPS(X)			\
	X(open);			\
	X(mmap);			\
	X(read);			\
	X(read_on_device);		\
	X(read_unlocked);		\
	X(write);			\
	X(write_on_device);		\
	X(write_shared);		\
	X(to_dev);			\
	X(to_dev_large);		\
	X(to_dev_evict);		\
	X(to_dev_evict_large);		\
	X(to_sys);			\
	X(to_sys_large);		\
	X(snapshot);			\
	X(exclusive);			\
	X(check_exclusive);		\
	X(release);			\
	X(release_large);		\
	X(cpu_fault);			\
	X(cpu_fault_large);		\
	X(cpu_fault_cut)

/* Of the render node. */
#define FI_DRM_OPS(X)			\
	X(node_open);			\
	X(node_in);			\
	X(node_in_large);		\
	X(node_out);			\
	X(node_peer);			\
	X(node_peer_large);		\
	X(evict_range);			\
	X(evict_bytes);			\
	X(evict_all);			\
	X(node_exclusive);		\
	X(node_query);			\
	X(job_copy);			\
	X(job_crc);			\
	X(job_add);			\
	X(job_add_exclusive);		\
	X(job_resident)

/* Likewise, but on their way is no point of the driver's own. */
#define FI_PLAIN_OPS(X)			\
	X(node_advise);			\
	X(node_stats);			\
	X(node_param)

extern const struct fi_op fi_drm_ops[];
extern const int fi_nr_drm_ops;

/** fi_at() - one after the other, from 0 on; NULL when there are no more */
const struct fi_op *fi_at(int i);

/** fi_on_device() - all of the buffer, by the character device */
int fi_on_device(struct fi *f);

/** fi_all_at() - is it where the operation should have put it? */
int fi_all_at(struct fi *f);

/** fi_written() - has the device written all of it? */
int fi_written(struct fi *f);

/** fi_find() - the operation of a name, or NULL */
const struct fi_op *fi_find(const char *name);

/** fi_can() - does this kernel have what the operation needs? */
bool fi_can(const struct fi_op *op);

/** fi_init() - get ready for @op. Return: 0 or a negative errno. */
int fi_init(struct fi *f, const struct fi_op *op, int index);

/** fi_fini() - free all that fi_init() and fi_prepare() made */
void fi_fini(struct fi *f);

/**
 * fi_prepare() - the state the operation starts from, whatever was before
 *
 * Return: 0 or a negative errno, with @f->why.
 */
int fi_prepare(struct fi *f);

/**
 * fi_judge() - what must hold after a call, failed or not
 * @f: the operation, with no failure armed any more
 * @ret: what the call returned
 * @touched: something was made to fail in it
 * @content_first: look at the content before trying again, not after
 *
 * Device memory adds up, every page is in one place, every page of a request is
 * accounted for, the answer is true, the content is right; and the same call
 * then works.
 *
 * Return: 0, or a negative errno with @f->why.
 */
int fi_judge(struct fi *f, int ret, bool touched, bool content_first);

#endif /* _SELFTESTS_FAULTS_OPS_H */
