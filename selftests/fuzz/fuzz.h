/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A fuzzer of both front ends. An input is a program of a few operations: memory
 * that comes, changes and goes, commands of the character devices and the render
 * nodes with arguments good and bad, forks and threads in the middle. It runs in a
 * process of its own, whose end must leave the devices as they were.
 *
 * Inputs are bytes for whoever makes them up (libFuzzer, or fz_drive.c by itself), and
 * text for the corpus in the tree: one operation a line, its name and its arguments
 * as numbers of 16 bits. What a number means depends on the type of the argument
 * (fz_arg.c); each is valid, and most stand for something that makes sense.
 */
#ifndef SELFTESTS_FUZZ_FUZZ_H
#define SELFTESTS_FUZZ_FUZZ_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "dmirror.h"
#include "dm_drm.h"

#define FZ_ARGS		8U
#define FZ_OPS		48U
#define FZ_BYTES	(FZ_OPS * (1 + 2 * FZ_ARGS))
#define FZ_FEATURES	8192U
#define FZ_WHY		512

/* Memory that operations work on: areas, each with as much room after it. */
#define FZ_AREAS	4U
#define FZ_AREA_SIZE	(2 * DM_2M)
#define FZ_STRIDE	(2 * FZ_AREA_SIZE)
#define FZ_BASE		0x100000000000UL
#define FZ_END		(FZ_BASE + FZ_AREAS * FZ_STRIDE)
/* Results go here, unless an operation has them go elsewhere. */
#define FZ_SCRATCH	FZ_END
#define FZ_SCRATCH_SIZE	(256 * DM_PAGE)
/* Program text, as far away from everything else. */
#define FZ_TEXT		(FZ_SCRATCH + FZ_STRIDE)

/* Descriptors: the character devices, then the render nodes. */
#define FZ_DEVICES	4U
#define FZ_FILES	(2 * FZ_DEVICES)

#define FZ_JOBS		8U	/* handed over at once */
#define FZ_THREADS	4U
#define FZ_FORKS	4U

/* What the argument of an operation is. */
enum fz_type {
	FZ_NONE,
	FZ_FILE,	/* a descriptor; opened when first used */
	FZ_ADDR,
	FZ_LEN,		/* in bytes */
	FZ_COUNT,	/* of pages */
	FZ_VALUE,	/* 64 bits */
	FZ_FLAGS,	/* 32 bits, mostly 0 */
	FZ_SMALL,	/* an index, a few more than there are */
};

/* One operation of an input. */
struct fz_op {
	unsigned int	kind;		/* index into fz_kinds */
	__u16		arg[FZ_ARGS];
};

struct fz_prog {
	unsigned int	n;
	struct fz_op	op[FZ_OPS];
};

struct fz_actor;

/**
 * struct fz_kind - one kind of operation
 * @name: in text
 * @weight: how often the generator takes it
 * @type: of its arguments
 * @run: do it; complains by fz_fail()
 */
struct fz_kind {
	const char	*name;
	unsigned int	weight;
	enum fz_type	type[FZ_ARGS];
	void		(*run)(struct fz_actor *a, const struct fz_op *op);
};

/* Tables of operations: of the character devices, of the render nodes, of memory. */
extern const struct fz_kind fz_chardev_kinds[], fz_drm_kinds[], fz_mm_kinds[];
extern const unsigned int fz_nr_chardev, fz_nr_drm, fz_nr_mm;

/**
 * struct fz_report - what the process of an input tells, in shared memory
 * @failed: something was wrong
 * @why: what, the first that was
 * @at: operation it is at, for one that hangs
 * @feature: what was seen, by number; see fz_saw()
 */
struct fz_report {
	int	failed;
	char	why[FZ_WHY];
	unsigned int at;
	__u8	feature[FZ_FEATURES];
};

/**
 * struct fz_proc - the process of an input
 * @prog: the input
 * @report: where to tell
 * @fd: open files, -1 where not open yet
 * @threads: there are or were several threads, so anything may change at any time
 * @forked: a child in the middle of the input
 * @pipe: holds pins, -1 when not made yet
 */
struct fz_proc {
	const struct fz_prog	*prog;
	struct fz_report	*report;
	int			fd[FZ_FILES];
	bool			threads;
	bool			forked;
	int			pipe[2];
};

/**
 * struct fz_actor - a thread of it
 * @proc: the process
 * @first: operation it begins with
 * @end: and the one it ends before
 * @at: where it is
 * @main: the first thread
 * @job: jobs not handed over yet
 * @nr_jobs: how many
 * @seqno: of the last submission to each queue
 * @catching: faults in the areas are expected
 * @back: where to go on after one
 */
struct fz_actor {
	struct fz_proc	*proc;
	unsigned int	first;
	unsigned int	end;
	unsigned int	at;
	bool		main;
	struct drm_hmm_dmirror_job job[FZ_JOBS];
	unsigned int	nr_jobs;
	__u64		seqno;
	volatile bool	catching;
	sigjmp_buf	back;
};

/* fz_prog.c -------------------------------------------------------------- */

/** fz_kind() - operation by number, NULL beyond the last */
const struct fz_kind *fz_kind(unsigned int number);

/** fz_random() - the next random number of a generator */
__u64 fz_random(__u64 *state);

/**
 * fz_decode() - bytes to a program; any bytes will do
 */
void fz_decode(const __u8 *data, size_t size, struct fz_prog *prog);

/**
 * fz_encode() - a program to bytes
 * @data: FZ_BYTES bytes
 *
 * Return: bytes used.
 */
size_t fz_encode(const struct fz_prog *prog, __u8 *data);

/**
 * fz_parse() - text to a program
 *
 * Return: 0, or a negative errno (-EINVAL: not such text).
 */
int fz_parse(FILE *file, struct fz_prog *prog);

/** fz_print() - a program as text */
void fz_print(FILE *file, const struct fz_prog *prog);

/** fz_generate() - think of a program */
void fz_generate(__u64 *rng, struct fz_prog *prog);

/** fz_mutate() - change a program a little, or mix it with @other (may be NULL) */
void fz_mutate(__u64 *rng, struct fz_prog *prog, const struct fz_prog *other);

/* fz_arg.c --------------------------------------------------------------- */

/** fz_arg() - a plausible argument of a type */
__u16 fz_arg(__u64 *rng, enum fz_type type);

/** fz_addr() - what a FZ_ADDR stands for */
__u64 fz_addr(__u16 arg);

/** fz_len() - what a FZ_LEN stands for, in bytes */
__u64 fz_len(__u16 arg);

/** fz_count() - what a FZ_COUNT stands for, in pages */
__u64 fz_count(__u16 arg);

/** fz_value() - what a FZ_VALUE stands for */
__u64 fz_value(__u16 arg);

/** fz_flags() - what a FZ_FLAGS stands for */
__u32 fz_flags(__u16 arg);

/** fz_file() - a descriptor, opened now if it was not; -1 where there is no device */
int fz_file(struct fz_actor *a, __u16 arg);

/** fz_chardev() - the same among the character devices */
int fz_chardev(struct fz_actor *a, __u16 arg);

/** fz_drm() - the same among the render nodes */
int fz_drm(struct fz_actor *a, __u16 arg);

/* fz_run.c --------------------------------------------------------------- */

/** fz_fail() - something is wrong: the input has failed; the first complaint counts */
void fz_fail(struct fz_actor *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/** fz_saw() - an outcome: one not seen before makes an input interesting */
void fz_saw(struct fz_actor *a, const struct fz_op *op, int outcome, unsigned int detail);

/** fz_trace() - tell what is done and what came of it, where that is wanted */
void fz_trace(struct fz_actor *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

extern bool fz_tracing;

/**
 * fz_init() - prepare to run inputs
 * @seconds: how long one may take
 *
 * Return: 0 or a negative errno, -ENODEV without a device.
 */
int fz_init(unsigned int seconds);

/**
 * fz_run() - run one input and look at what it left
 * @prog: the input
 * @report: filled in
 *
 * Return: 0, or 1 if something was wrong.
 */
int fz_run(const struct fz_prog *prog, struct fz_report *report);

/** fz_branch() - let a fork or a thread do the next @n operations of the input */
void fz_branch(struct fz_actor *a, unsigned int n, bool thread);

/* fz_llvm.c: what libFuzzer calls, and what it offers --------------------- */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);
size_t LLVMFuzzerMutate(__u8 *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(__u8 *data, size_t size, size_t max, unsigned int seed);

#endif /* SELFTESTS_FUZZ_FUZZ_H */
