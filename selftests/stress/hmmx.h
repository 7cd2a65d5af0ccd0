/* SPDX-License-Identifier: GPL-2.0 */
/*
 * hmmx, an exerciser for device memory: what fsx is to file systems. Random
 * memory operations, decided by a seed, are applied to ranges of memory and to a
 * model of what those ranges must hold; the first difference ends the run.
 *
 * Several threads, and children forked in the middle, work at the same time.
 * Each area of memory has one thread that changes its content, so that the model
 * is exact to the byte at any moment; what leaves content alone (moving pages,
 * swapping, splitting, exclusive access) any thread does to any area.
 */
#ifndef SELFTESTS_STRESS_HMMX_H
#define SELFTESTS_STRESS_HMMX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "dmirror.h"

#define HX_AREA_PAGES	1024U		/* 4 MiB: large pages, and a border inside */
#define HX_AREA_SIZE	(HX_AREA_PAGES * DM_PAGE)
#define HX_AREAS	2U		/* of each thread */
#define HX_THREADS_MAX	8U
#define HX_DEVICES	4U
#define HX_CHILDREN	4U
#define HX_SPAN_MAX	768U		/* pages of one operation */
#define HX_PINS		4U		/* of each thread, at a time; a power of two */
#define HX_PIN_PAGES	16U		/* at most, held by one */
#define HX_MIB_MAX	(1U << 20)	/* more swap or memory than that is a mistake */

/* State of a page in the model. */
#define HX_MAPPED	0x01
#define HX_READ		0x02
#define HX_WRITE	0x04
#define HX_LAZY		0x08		/* MADV_FREE: its content, or zero, until written */

/**
 * struct hx_area - memory under test and what it must hold
 * @ptr: the memory, 2 MiB aligned, in a reservation of its own
 * @shadow: the same bytes in memory no device ever sees
 * @state: HX_* of each page
 * @writes: counts how often the page at each address was written or moved away
 */
struct hx_area {
	__u8	*ptr;
	__u8	*shadow;
	__u8	state[HX_AREA_PAGES];
	__u32	writes[HX_AREA_PAGES];
};

/*
 * Everything an operation needs is in its line of the log: a number for the
 * operation, the area, a span of pages, and an argument it makes of what it likes.
 */
struct hx_op {
	unsigned int	kind;
	unsigned int	area;
	unsigned int	page;
	unsigned int	npages;
	__u64		arg;
};

struct hx_actor;

/**
 * struct hx_kind - one kind of operation
 * @name: in the log
 * @weight: how often, relative to the others
 * @max: most pages
 * @neutral: leaves content alone, so any thread may do it to any area
 * @run: do it to the memory and to the model. Return 0, or 1 after reporting a
 *	difference with hx_fail().
 */
struct hx_kind {
	const char	*name;
	unsigned int	weight;
	unsigned int	max;
	bool		neutral;
	int		(*run)(struct hx_actor *a, const struct hx_op *op);
};

extern const struct hx_kind hx_kinds[];
extern const unsigned int hx_nr_kinds;

/**
 * struct hx_run - one run, shared by its threads
 * @seed: decides everything that is random
 * @threads: how many
 * @ops: stop after so many operations of each thread; 0: by time
 * @seconds: stop after so long
 * @small: no 2 MiB pages: with them a kernel can hang when one is unmapped while it
 *	moves (Documentation/design.rst, Limits), which takes two threads
 * @swap: swap on a zram device of so many MiB meanwhile; 0: none of ours
 * @limit: in a memory cgroup of so many MiB; 0: in none of ours
 * @log: where operations are logged before they are done, -1 nowhere
 * @replay: operations to do instead of random ones, @nr_replay of them
 * @area: all areas, HX_AREAS of each thread
 * @fd: open devices, -1 where there is none
 * @drm: the same by their render nodes
 * @stop: end soon
 * @failed: a difference was found
 */
struct hx_run {
	__u64		seed;
	unsigned int	threads;
	__u64		ops;
	unsigned int	seconds;
	bool		small;
	unsigned int	swap;
	unsigned int	limit;
	int		log;
	struct hx_line	*replay;
	unsigned long	nr_replay;
	struct hx_area	*area;
	int		fd[HX_DEVICES];
	int		drm[HX_DEVICES];
	volatile bool	stop;
	volatile bool	failed;
	char		why[512];
	pthread_mutex_t	why_lock;	/* @why, the first writer wins */
};

/**
 * struct hx_line - one line of a log
 * @thread: who does it
 * @op: what
 */
struct hx_line {
	unsigned int	thread;
	struct hx_op	op;
};

/**
 * struct hx_pin - pages that are held
 * @pipe: what holds them, both ends
 * @area: where they are
 * @page: the first
 * @npages: how many; 0: none are
 * @state: of each in the model, when it was taken
 * @writes: the same, of struct hx_area
 */
struct hx_pin {
	int		pipe[2];
	unsigned int	area;
	unsigned int	page;
	unsigned int	npages;
	__u8		state[HX_PIN_PAGES];
	__u32		writes[HX_PIN_PAGES];
};

/**
 * struct hx_actor - one thread, or the one of a forked child
 * @run: the run it belongs to
 * @id: number of the thread
 * @forked: it is a child; its areas are copies
 * @rng: state of its random numbers
 * @gen: generation of what it writes next
 * @fd: its devices: the run's, a child has its own
 * @drm: the same by their render nodes
 * @bounce: buffer for device data, HX_SPAN_MAX pages
 * @pin: pages it holds
 * @pinned: what each of @pin held when it was taken, HX_PIN_PAGES pages each
 * @child: forked children that have not been waited for, 0 for none
 * @done: operations done, for progress
 * @count: operations done by kind
 * @seconds: time they took
 * @verified: bytes compared with the model
 */
struct hx_actor {
	struct hx_run	*run;
	unsigned int	id;
	bool		forked;
	__u64		rng;
	unsigned int	gen;
	int		*fd;
	int		*drm;
	int		own_fd[HX_DEVICES];
	int		own_drm[HX_DEVICES];
	__u8		*bounce;
	struct hx_pin	pin[HX_PINS];
	__u8		*pinned;
	pid_t		child[HX_CHILDREN];
	__u64		done;
	__u64		count[64];
	double		seconds[64];
	__u64		verified;
};

/* hx_op.c ---------------------------------------------------------------- */

/**
 * hx_random() - the next random number
 * @state: the generator
 */
__u64 hx_random(__u64 *state);

/**
 * hx_choose() - think of an operation
 * @a: who for
 * @op: filled in
 */
void hx_choose(struct hx_actor *a, struct hx_op *op);

/**
 * hx_do() - do one operation and count it
 * @a: who
 * @op: what
 *
 * Return: 0, or 1 after a difference.
 */
int hx_do(struct hx_actor *a, const struct hx_op *op);

/**
 * hx_addr() - the first byte of the span of an operation
 */
__u8 *hx_addr(struct hx_actor *a, const struct hx_op *op);

/**
 * hx_bytes() - which bytes of a span an argument stands for
 * @area: the area
 * @op: the operation
 * @off: (out) the first, from the beginning of the span
 * @len: (out) how many; the whole span if it has lazily freed pages
 */
void hx_bytes(struct hx_area *area, const struct hx_op *op, unsigned long *off,
	      unsigned long *len);

/**
 * hx_op_store() - the operation "store", on pages that are the actor's
 *
 * Return: 0.
 */
int hx_op_store(struct hx_actor *a, const struct hx_op *op);

/* hx_drm.c: what is done through the render nodes ------------------------ */

int hx_op_job_fill(struct hx_actor *a, const struct hx_op *op);
int hx_op_job_copy(struct hx_actor *a, const struct hx_op *op);
int hx_op_job_compare(struct hx_actor *a, const struct hx_op *op);
int hx_op_job_add(struct hx_actor *a, const struct hx_op *op);
int hx_op_drm_migrate(struct hx_actor *a, const struct hx_op *op);
int hx_op_peer(struct hx_actor *a, const struct hx_op *op);
int hx_op_evict(struct hx_actor *a, const struct hx_op *op);
int hx_op_drm_exclusive(struct hx_actor *a, const struct hx_op *op);
int hx_op_advise(struct hx_actor *a, const struct hx_op *op);

/* hx_pin.c: pages that are held ------------------------------------------ */

int hx_op_pin(struct hx_actor *a, const struct hx_op *op);
int hx_op_unpin(struct hx_actor *a, const struct hx_op *op);

/**
 * hx_pins_open() - what an actor needs to hold pages
 * @a: who; a child, after the fork, gets its own
 *
 * Return: 0 or a negative errno.
 */
int hx_pins_open(struct hx_actor *a);

/**
 * hx_pins_close() - let go of all that an actor holds, unless another process does too
 */
void hx_pins_close(struct hx_actor *a);

/* hx_model.c ------------------------------------------------------------- */

/**
 * hx_area_init() - reserve an area and its shadow; nothing is mapped yet
 *
 * Return: 0 or a negative errno.
 */
int hx_area_init(struct hx_area *area);

/**
 * hx_fail() - a difference: end the run
 * @a: who found it
 * @op: while doing what, may be NULL
 * @fmt: what is wrong
 *
 * Return: 1.
 */
int hx_fail(struct hx_actor *a, const struct hx_op *op, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * hx_model_run() - how many pages from the first on have all of @flags
 */
unsigned int hx_model_run(const struct hx_area *area, unsigned int page,
			  unsigned int npages, __u8 flags);

/**
 * hx_model_lazy() - is any of the pages lazily freed?
 */
bool hx_model_lazy(const struct hx_area *area, unsigned int page, unsigned int npages);

/**
 * hx_model_set() - change the state of pages
 * @clear: flags to clear
 * @set: flags to set, on mapped pages only unless HX_MAPPED is among them
 */
void hx_model_set(struct hx_area *area, unsigned int page, unsigned int npages,
		  __u8 clear, __u8 set);

/**
 * hx_model_zero() - pages read as zero from now on
 */
void hx_model_zero(struct hx_area *area, unsigned int page, unsigned int npages);

/**
 * hx_model_write() - content changes to what @data says
 * @off: first byte in the area
 * @len: bytes
 * @data: the bytes
 */
void hx_model_write(struct hx_area *area, unsigned long off, unsigned long len,
		    const void *data);

/**
 * hx_model_check() - compare bytes that were read with the model
 * @a: who has read them
 * @op: doing what
 * @page: first page
 * @npages: pages
 * @data: what was read
 * @how: by what, for the message
 *
 * A lazily freed page that reads as zero is zero from then on.
 *
 * Return: 0, or 1 after hx_fail().
 */
int hx_model_check(struct hx_actor *a, const struct hx_op *op,
		   unsigned int page, unsigned int npages, const void *data,
		   const char *how);

/* hx_run.c --------------------------------------------------------------- */

/** hx_now() - monotonic clock in seconds */
double hx_now(void);

/**
 * hx_open() - open all devices there are
 * @fd: HX_DEVICES descriptors
 * @drm: as many, of render nodes, which there may be none of
 *
 * Return: how many of the former.
 */
int hx_open(int *fd, int *drm);

/**
 * hx_close() - close them
 * @fd: HX_DEVICES descriptors
 */
void hx_close(int *fd);

/**
 * hx_check_all() - compare all that the actor's areas hold with the model
 *
 * Return: 0, or 1 after hx_fail().
 */
int hx_check_all(struct hx_actor *a);

/**
 * hx_fork() - a child goes on from here with operations of its own
 * @a: the parent
 * @op: its argument seeds the child
 *
 * Return: 0, or 1 after hx_fail().
 */
int hx_fork(struct hx_actor *a, const struct hx_op *op);

/**
 * hx_reap() - wait for children
 * @a: the parent
 * @all: for all of them, else for one slot to be free
 *
 * Return: 0, or 1 after hx_fail(): a child found a difference or died.
 */
int hx_reap(struct hx_actor *a, bool all);

/**
 * hx_execute() - carry out a run
 * @run: seed, threads, limits, log
 * @json: where the summary goes, may be NULL
 *
 * Return: 0, 1 when a difference was found, 2 when it could not be carried out.
 */
int hx_execute(struct hx_run *run, const char *json);

/* hx_log.c --------------------------------------------------------------- */

/**
 * hx_log() - write an operation to the log, before it is done
 */
void hx_log(struct hx_actor *a, const struct hx_op *op);

/**
 * hx_log_read() - read a log
 * @path: file
 * @lines: (out) allocated
 * @run: seed, threads, small, swap and limit are set from it
 *
 * Return: number of lines, or a negative errno (-EINVAL: not a log).
 */
long hx_log_read(const char *path, struct hx_line **lines, struct hx_run *run);

/**
 * hx_log_write() - write a log
 * @path: file
 * @run: for what its first line says
 * @lines: the operations
 * @n: how many
 *
 * Return: 0 or a negative errno.
 */
int hx_log_write(const char *path, const struct hx_run *run,
		 const struct hx_line *lines, unsigned long n);

/* hx_shrink.c ------------------------------------------------------------ */

/**
 * hx_shrink() - find a shorter log that still fails
 * @self: path of this program
 * @path: the log; the result goes to @path.min
 * @seconds: how long one attempt may take
 *
 * Return: 0, or 2 when the log does not fail or cannot be read.
 */
int hx_shrink(const char *self, const char *path, unsigned int seconds);

#endif /* SELFTESTS_STRESS_HMMX_H */
