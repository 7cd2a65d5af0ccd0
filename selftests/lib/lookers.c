// SPDX-License-Identifier: GPL-2.0
/*
 * Readers of /proc: see lookers.h. Owns the text that was read; takes no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lookers.h"

/* Of a process with some hundred mappings. */
static char text[512 * 1024];

/* All of a file of /proc, in as many pieces as it likes. */
static int read_all(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, text + used, sizeof(text) - 1 - used);
		used += n > 0 ? n : 0;
	} while (n > 0);
	close(fd);
	text[used] = '\0';
	if (n < 0)
		return -errno;
	return used < sizeof(text) - 1 ? 0 : -E2BIG;
}

/* Where it says something about the mapping that begins so. */
static char *find_mapping(const char *begin)
{
	size_t len = strlen(begin);
	char *p = text;

	while (p && strncmp(p, begin, len)) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	return p;
}

static long number_after(const char *p, const char *key)
{
	p = p ? strstr(p, key) : NULL;
	return p ? strtol(p + strlen(key), NULL, 10) : -1;
}

static int look_at_smaps(struct dm_buf *b, const char *begin, char *why)
{
	long kb = b->size / 1024, rss, swap;
	int ret = read_all("/proc/self/smaps");
	char *p;

	if (ret)
		return ret;
	p = find_mapping(begin);
	rss = number_after(p, "\nRss:");
	swap = number_after(p, "\nSwap:");
	if (rss == kb && !swap)
		return 0;
	snprintf(why, DM_MSG, "smaps: %ld kB, %ld kB swapped, of %ld kB", rss, swap, kb);
	return -EXDEV;
}

static int look_at_maps(const char *begin, char *why)
{
	int ret = read_all("/proc/self/maps");

	if (ret)
		return ret;
	if (find_mapping(begin))
		return 0;
	snprintf(why, DM_MSG, "maps: no %s", begin);
	return -EXDEV;
}

/* It leaves out what it cannot see, and not every kernel has it. */
static int look_at_numa_maps(struct dm_buf *b, char *why)
{
	char begin[32], *p, *end;
	int ret = read_all("/proc/self/numa_maps");
	long anon;

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	snprintf(begin, sizeof(begin), "%08lx ", (unsigned long)b->ptr);
	p = find_mapping(begin);
	end = p ? strchr(p, '\n') : NULL;
	if (!end) {
		snprintf(why, DM_MSG, "numa_maps: no %s", begin);
		return -EXDEV;
	}
	*end = '\0';
	anon = number_after(p, " anon=");
	if (anon <= (long)b->npages)
		return 0;
	snprintf(why, DM_MSG, "numa_maps: %ld pages of %lu", anon, b->npages);
	return -EXDEV;
}

static int look_at_pagemap(struct dm_buf *b, char *why)
{
	__u64 ent[DM_2M_PAGES];
	unsigned long i;

	if (b->npages > DM_2M_PAGES)
		return -E2BIG;
	if (dm_pagemap(b->ptr, b->npages, ent))
		return -EIO;
	for (i = 0; i < b->npages; i++) {
		if (ent[i] & (DM_PM_PRESENT | DM_PM_SWAP))
			continue;
		snprintf(why, DM_MSG, "pagemap: page %lu is %llx", i,
			 (unsigned long long)ent[i]);
		return -EXDEV;
	}
	return 0;
}

int look_at_range(struct dm_buf *b, char *why)
{
	char begin[40];
	int ret;

	snprintf(begin, sizeof(begin), "%08lx-%08lx ", (unsigned long)b->ptr,
		 (unsigned long)(b->ptr + b->size));
	ret = look_at_pagemap(b, why);
	if (!ret)
		ret = look_at_maps(begin, why);
	if (!ret)
		ret = look_at_smaps(b, begin, why);
	return ret ? ret : look_at_numa_maps(b, why);
}
