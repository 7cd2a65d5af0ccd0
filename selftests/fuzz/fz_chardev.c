// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of the character devices, as operations of an input, and which answers
 * they may give.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include <kselftest.h>
#include "fuzz.h"

#define FZ_UNKNOWN	_IOWR('H', 0x0a, struct hmm_dmirror_cmd)

static bool fz_documented(const struct fz_actor *a, int err)
{
	switch (err) {
	case 0:
	case EINVAL:
	case EFAULT:
	case EPERM:
	case ENOENT:
	case EBUSY:
	case EOPNOTSUPP:
	case ENOMEM:
		return true;
	case EBADF:
	case ENOTTY:
		/* Another thread closes it, and opens something else. */
		return a->proc->threads;
	}
	return false;
}

/* More than was asked for is never done; all of it where it says so. */
static void fz_judge(struct fz_actor *a, const struct fz_op *op, unsigned int request,
		     const struct hmm_dmirror_cmd *cmd, int err)
{
	const char *name = fz_kind(op->kind)->name;
	bool all = request == HMM_DMIRROR_READ || request == HMM_DMIRROR_WRITE ||
		   request == HMM_DMIRROR_READ_UNLOCKED || request == HMM_DMIRROR_SNAPSHOT ||
		   request == HMM_DMIRROR_MIGRATE_TO_DEV;

	if (!fz_documented(a, err)) {
		fz_fail(a, "%s: errno %d is not documented", name, err);
		return;
	}
	if (cmd->cpages == DM_UNSET || request == HMM_DMIRROR_FLAGS)
		return;
	if (cmd->cpages > cmd->npages)
		fz_fail(a, "%s: %llu of %llu pages", name, cmd->cpages, cmd->npages);
	if (!err && all && cmd->cpages != cmd->npages)
		fz_fail(a, "%s: %llu of %llu pages, and no error", name, cmd->cpages,
			cmd->npages);
}

static void fz_command(struct fz_actor *a, const struct fz_op *op, unsigned int request)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = fz_addr(op->arg[1]), .npages = fz_count(op->arg[2]),
		.ptr = fz_addr(op->arg[3]), .cpages = DM_UNSET, .faults = DM_UNSET,
	};
	int fd = fz_chardev(a, op->arg[0]), err;

	if (fd < 0)
		return;
	if (request == HMM_DMIRROR_FLAGS)
		cmd.npages = fz_value(op->arg[2]);
	fz_trace(a, "fd %d addr %#llx npages %#llx ptr %#llx", fd, cmd.addr, cmd.npages,
		 cmd.ptr);
	err = ioctl(fd, request, &cmd) ? errno : 0;
	fz_trace(a, "errno %d cpages %#llx", err, cmd.cpages);
	fz_judge(a, op, request, &cmd, err);
	fz_saw(a, op, err, !cmd.cpages + 2 * (cmd.cpages == cmd.npages));
}

#define FZ_COMMAND(name, request)					\
static void fz_c_##name(struct fz_actor *a, const struct fz_op *op)	\
{									\
	fz_command(a, op, request);					\
}

FZ_COMMAND(read, HMM_DMIRROR_READ)
FZ_COMMAND(write, HMM_DMIRROR_WRITE)
FZ_COMMAND(to_dev, HMM_DMIRROR_MIGRATE_TO_DEV)
FZ_COMMAND(to_sys, HMM_DMIRROR_MIGRATE_TO_SYS)
FZ_COMMAND(snapshot, HMM_DMIRROR_SNAPSHOT)
FZ_COMMAND(exclusive, HMM_DMIRROR_EXCLUSIVE)
FZ_COMMAND(check, HMM_DMIRROR_CHECK_EXCLUSIVE)
FZ_COMMAND(release, HMM_DMIRROR_RELEASE)
FZ_COMMAND(flags, HMM_DMIRROR_FLAGS)
FZ_COMMAND(read_unlocked, HMM_DMIRROR_READ_UNLOCKED)
FZ_COMMAND(unknown, FZ_UNKNOWN)

#define FZ_ARGS_COMMAND	{ FZ_FILE, FZ_ADDR, FZ_COUNT, FZ_ADDR }

const struct fz_kind fz_chardev_kinds[] = {
	{ "c_read",	8, FZ_ARGS_COMMAND, fz_c_read },
	{ "c_write",	8, FZ_ARGS_COMMAND, fz_c_write },
	{ "c_to_dev",	12, FZ_ARGS_COMMAND, fz_c_to_dev },
	{ "c_to_sys",	5, FZ_ARGS_COMMAND, fz_c_to_sys },
	{ "c_snapshot",	4, FZ_ARGS_COMMAND, fz_c_snapshot },
	{ "c_exclusive", 6, FZ_ARGS_COMMAND, fz_c_exclusive },
	{ "c_check",	2, FZ_ARGS_COMMAND, fz_c_check },
	{ "c_release",	1, FZ_ARGS_COMMAND, fz_c_release },
	{ "c_flags",	2, { FZ_FILE, FZ_ADDR, FZ_VALUE, FZ_ADDR }, fz_c_flags },
	{ "c_read_unlocked", 3, FZ_ARGS_COMMAND, fz_c_read_unlocked },
	{ "c_unknown",	1, FZ_ARGS_COMMAND, fz_c_unknown },
};

const unsigned int fz_nr_chardev = ARRAY_SIZE(fz_chardev_kinds);
