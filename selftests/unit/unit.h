/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The unit tests' own small frame: a list of tests per source file, a check,
 * random numbers that a seed repeats.
 *
 * Each test runs in a child of its own. It passes by returning; a failed
 * check, a report of a sanitizer, a crash or ten seconds of time fail it, and
 * the others still run.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdio.h>
#include <stdlib.h>

#define __noreturn	__attribute__((__noreturn__))

struct unit_test {
	const char *name;
	void (*run)(void);
};

/* One per source file under test; the last has no name. */
extern const struct unit_test block_tests[];
extern const struct unit_test lru_tests[];
extern const struct unit_test policy_tests[];
extern const struct unit_test pt_tests[];
extern const struct unit_test range_tests[];
extern const struct unit_test thrash_tests[];

/* How many times a random sequence is to be repeated: $ROUNDS, usually 1. */
extern unsigned int unit_rounds;

u64 unit_random(void);

/* A number in [0, @limit); @limit is not 0. */
static inline unsigned int unit_below(unsigned int limit)
{
	return unit_random() % limit;
}

/* True once in @n times. */
static inline bool unit_once_in(unsigned int n)
{
	return !unit_below(n);
}

/* A random half-open range within [0, @limit], often empty, whole or at an edge. */
void unit_range(unsigned int limit, unsigned int *first, unsigned int *end);

__noreturn void unit_fail(const char *file, int line, const char *what);

#define CHECK(cond)							\
do {									\
	if (!(cond))							\
		unit_fail(__FILE__, __LINE__, #cond);			\
} while (0)

/* Both values are shown when they differ. */
#define CHECK_EQ(is, should)						\
do {									\
	u64 _is = (is), _should = (should);				\
	if (_is != _should) {						\
		printf("# is %#llx, should be %#llx\n", _is, _should);	\
		unit_fail(__FILE__, __LINE__, #is " == " #should);	\
	}								\
} while (0)

/* Memory that a sanitizer watches to the byte; the child's end frees it. */
void *unit_alloc(size_t size);

#endif /* UNIT_H */
