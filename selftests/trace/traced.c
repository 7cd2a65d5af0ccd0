// SPDX-License-Identifier: GPL-2.0
/*
 * Something to trace: a process whose memory goes to the device and comes back in
 * every way there is, a known number of times. Prints nothing; the status is 0 if
 * all of it worked.
 */
#include <unistd.h>

#include "dmirror.h"

#define PAGES	256UL
#define ROUNDS	4

static int touch(struct dm_buf *b, unsigned int gen)
{
	return dm_verify(b->ptr, b->npages, b->ptr, gen, DM_CPU, NULL);
}

static int rounds(int fd, struct dm_buf *b)
{
	unsigned int i;

	for (i = 1; i <= ROUNDS; i++) {
		dm_fill(b->ptr, b->npages, b->ptr, i, DM_CPU);
		if (dm_read(fd, b->ptr, b->npages, b->mirror, NULL))
			return 1;
		/* There; back by the CPU; there; by request; there; by eviction. */
		if (dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL) || touch(b, i) ||
		    dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL) ||
		    dm_to_sys(fd, b->ptr, b->npages, NULL) ||
		    dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL) ||
		    dm_release(fd) || touch(b, i))
			return 1;
	}
	return 0;
}

int main(void)
{
	struct dm_buf b;
	int fd, ret;

	fd = dm_open(DM_PRIVATE0);
	if (fd < 0 || dm_buf_anon(&b, PAGES, DM_BUF_SMALL))
		return 1;
	ret = rounds(fd, &b);
	dm_buf_free(&b);
	close(fd);
	return ret;
}
