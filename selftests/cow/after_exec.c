// SPDX-License-Identifier: GPL-2.0
/*
 * What a process runs after execve() with a device descriptor kept open: the
 * descriptor still belongs to the address space that is gone, so every command
 * on a range says so and touches nothing.
 *
 * usage: after_exec FD READY_FD GO_FD
 * Exit status: 0 if every command answered as it should, else its number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dmirror.h"

int main(int argc, char **argv)
{
	int fd, ready, go;
	struct dm_buf b;
	char c;

	if (argc != 4)
		return 20;
	fd = atoi(argv[1]);
	ready = atoi(argv[2]);
	go = atoi(argv[3]);
	if (dm_buf_anon(&b, 4, DM_BUF_SMALL))
		return 21;
	dm_fill(b.ptr, 4, b.ptr, 9, DM_CPU);
	if (write(ready, "x", 1) != 1 || read(go, &c, 1) != 1)
		return 22;
	if (dm_read(fd, b.ptr, 4, b.mirror, NULL) != -EFAULT)
		return 1;
	if (dm_write(fd, b.ptr, 4, b.mirror, NULL) != -EFAULT)
		return 2;
	if (dm_read_unlocked(fd, b.ptr, 4, b.mirror, NULL) != -EFAULT)
		return 3;
	if (dm_to_dev(fd, b.ptr, 4, b.mirror, NULL) != -EINVAL)
		return 4;
	if (dm_to_sys(fd, b.ptr, 4, NULL) != -EINVAL)
		return 5;
	if (dm_snapshot(fd, b.ptr, 4, b.mirror) != -EINVAL)
		return 6;
	if (dm_exclusive(fd, b.ptr, 4, b.mirror, NULL) != -EINVAL)
		return 7;
	if (dm_verify(b.ptr, 4, b.ptr, 9, DM_CPU, NULL))
		return 8;
	/* A descriptor of its own works as ever. */
	close(fd);
	fd = dm_open(DM_PRIVATE0);
	if (fd < 0 || dm_to_dev(fd, b.ptr, 4, b.mirror, NULL))
		return 9;
	if (dm_verify(b.mirror, 4, b.ptr, 9, DM_CPU, NULL))
		return 10;
	return 0;
}
