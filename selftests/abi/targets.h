/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kinds of address range a command can be pointed at, the ten commands,
 * and the one error number that belongs to each pair.
 */
#ifndef _SELFTESTS_ABI_TARGETS_H
#define _SELFTESTS_ABI_TARGETS_H

#include <stdbool.h>
#include "dmirror.h"

enum command {
	C_READ, C_WRITE, C_TO_DEV, C_TO_SYS, C_SNAPSHOT, C_EXCLUSIVE, C_CHECK,
	C_RELEASE, C_FLAGS, C_READ_UNLOCKED, C_COUNT
};

/* Pages in every range. */
#define T_NPAGES	4

/**
 * struct target - one kind of range
 * @name: for messages
 * @make: maps it; returns its address or MAP_FAILED with errno
 * @err: what each command answers, 0 or a positive error number
 */
struct target {
	const char	*name;
	void		*(*make)(int fd);
	int		err[C_COUNT];
};

/* Ended by one without a name. */
extern const struct target targets[];

extern const unsigned long command_nr[C_COUNT];
extern const char * const command_name[C_COUNT];

/**
 * can_exclusive() - does the kernel have exclusive device access?
 *
 * It comes with private device memory, so the nodes tell. Without it EXCLUSIVE
 * answers EOPNOTSUPP, whatever it is pointed at.
 */
bool can_exclusive(void);

/**
 * target_named() - the kind of range with this name
 */
const struct target *target_named(const char *name);

#endif /* _SELFTESTS_ABI_TARGETS_H */
