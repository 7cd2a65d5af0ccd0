// SPDX-License-Identifier: GPL-2.0
/*
 * The system around a test: files, programs, cgroup v2 groups and zram swap.
 * Groups and devices made here belong to the caller, who removes them. Takes
 * no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include "dmirror.h"

#define DM_CGROOT	"/sys/fs/cgroup"
#define DM_SWAP_MAGIC	"SWAPSPACE2"
#define DM_PATH		320

int dm_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int ret;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	ret = n < 0 ? -errno : 0;
	close(fd);
	return ret;
}

ssize_t dm_read_file(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (done < len - 1) {
		n = read(fd, buf + done, len - 1 - done);
		if (n <= 0)
			break;
		done += n;
	}
	if (n < 0)
		n = -errno;
	close(fd);
	buf[done] = '\0';
	return n < 0 ? n : (ssize_t)done;
}

int dm_read_u64(const char *path, __u64 *val)
{
	char text[64], *end;
	ssize_t n = dm_read_file(path, text, sizeof(text));

	if (n < 0)
		return n;
	if (!strncmp(text, "max", 3)) {
		*val = ULLONG_MAX;
		return 0;
	}
	*val = strtoull(text, &end, 0);
	return end == text ? -EINVAL : 0;
}

int dm_run(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

bool dm_module_loaded(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return access(path, F_OK) == 0;
}

int dm_cg_create(struct dm_cg *cg, const char *name)
{
	int ret;

	if (access(DM_CGROOT "/cgroup.controllers", F_OK) &&
	    mount("cgroup2", DM_CGROOT, "cgroup2", 0, NULL))
		return -errno;
	ret = dm_write_file(DM_CGROOT "/cgroup.subtree_control", "+memory");
	if (ret)
		return ret;
	snprintf(cg->path, sizeof(cg->path), DM_CGROOT "/%s.%d", name,
		 getpid());
	return mkdir(cg->path, 0755) ? -errno : 0;
}

static void dm_cg_file(const struct dm_cg *cg, const char *file, char *path)
{
	snprintf(path, DM_PATH, "%s/%s", cg->path, file);
}

int dm_cg_write(const struct dm_cg *cg, const char *file, const char *text)
{
	char path[DM_PATH];

	dm_cg_file(cg, file, path);
	return dm_write_file(path, text);
}

int dm_cg_read(const struct dm_cg *cg, const char *file, __u64 *val)
{
	char path[DM_PATH];

	dm_cg_file(cg, file, path);
	return dm_read_u64(path, val);
}

int dm_cg_key(const struct dm_cg *cg, const char *file, const char *key,
	      __u64 *val)
{
	char path[DM_PATH], text[8192], *line, *save;
	size_t len = strlen(key);
	ssize_t n;

	dm_cg_file(cg, file, path);
	n = dm_read_file(path, text, sizeof(text));
	if (n < 0)
		return n;
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, key, len) || line[len] != ' ')
			continue;
		*val = strtoull(line + len + 1, NULL, 10);
		return 0;
	}
	return -ENOENT;
}

int dm_cg_enter(const struct dm_cg *cg)
{
	return dm_cg_write(cg, "cgroup.procs", "0");
}

int dm_cg_leave(void)
{
	return dm_write_file(DM_CGROOT "/cgroup.procs", "0");
}

int dm_cg_destroy(struct dm_cg *cg)
{
	return rmdir(cg->path) ? -errno : 0;
}

/* What mkswap would write: one header page, no bad blocks. */
static int dm_mkswap(const char *dev, __u64 bytes)
{
	__u8 page[DM_PAGE] = { 0 };
	__u32 version = 1, last = bytes / DM_PAGE - 1;
	int fd = open(dev, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	memcpy(page + 1024, &version, sizeof(version));
	memcpy(page + 1028, &last, sizeof(last));
	memcpy(page + DM_PAGE - strlen(DM_SWAP_MAGIC), DM_SWAP_MAGIC,
	       strlen(DM_SWAP_MAGIC));
	n = pwrite(fd, page, sizeof(page), 0);
	if (n == sizeof(page) && fsync(fd) == 0) {
		close(fd);
		return 0;
	}
	n = n < 0 ? -errno : -EIO;
	close(fd);
	return n;
}

/* The node appears through devtmpfs; a guest without it gets one made. */
static int dm_zram_node(struct dm_zram *z)
{
	char path[64], text[32];
	unsigned int major, minor;
	int ret;

	snprintf(z->dev, sizeof(z->dev), "/dev/zram%d", z->id);
	if (access(z->dev, F_OK) == 0)
		return 0;
	snprintf(path, sizeof(path), "/sys/block/zram%d/dev", z->id);
	ret = dm_read_file(path, text, sizeof(text));
	if (ret < 0)
		return ret;
	if (sscanf(text, "%u:%u", &major, &minor) != 2)
		return -EINVAL;
	return mknod(z->dev, S_IFBLK | 0600, makedev(major, minor)) ? -errno :
								      0;
}

int dm_zram_on(struct dm_zram *z, __u64 bytes)
{
	static const char *const modprobe[] = { "modprobe", "zram",
						"num_devices=0", NULL };
	char path[64], text[32];
	__u64 id;
	int ret;

	z->id = -1;
	if (access("/sys/class/zram-control", F_OK) && dm_run(modprobe))
		return -ENODEV;
	ret = dm_read_u64("/sys/class/zram-control/hot_add", &id);
	if (ret)
		return ret;
	z->id = id;
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", z->id);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	ret = dm_write_file(path, text);
	if (!ret)
		ret = dm_zram_node(z);
	if (!ret)
		ret = dm_mkswap(z->dev, bytes);
	if (!ret && swapon(z->dev, 0))
		ret = -errno;
	return ret;
}

/*
 * It stops for anything that wants the task's attention, signal or not: what a
 * closed io_uring leaves to be done does. It is not started again by the kernel.
 */
int dm_swap_stop(const struct dm_zram *z)
{
	int ret;

	do {
		ret = swapoff(z->dev) ? -errno : 0;
	} while (ret == -EINTR);
	return ret;
}

int dm_zram_off(struct dm_zram *z)
{
	char text[16];
	int ret;

	if (z->id < 0)
		return 0;
	ret = dm_swap_stop(z);
	if (ret == -EINVAL)
		ret = 0;
	snprintf(text, sizeof(text), "%d", z->id);
	if (!ret)
		ret = dm_write_file("/sys/class/zram-control/hot_remove",
				    text);
	z->id = -1;
	return ret;
}

int dm_zswap(bool on)
{
	const char *const file = "/sys/module/zswap/parameters/enabled";
	/* The default may be a module that the guest does not have. */
	const char *const packer = "/sys/module/zswap/parameters/compressor";
	char was[8];
	int ret;

	ret = dm_read_file(file, was, sizeof(was));
	if (ret < 0)
		return ret == -ENOENT ? -ENODEV : ret;
	ret = on ? dm_write_file(file, "Y") : dm_write_file(file, "N");
	if (ret && on && !dm_write_file(packer, "lz4"))
		ret = dm_write_file(file, "Y");
	return ret ? ret : was[0] == 'Y';
}

/*
 * Moving a page to where it is moves nothing, but first the kernel puts on its
 * lists what each processor keeps for later, and only from there is swapped.
 */
void dm_drain_lru(void *addr)
{
	int node = 0, status;

	syscall(SYS_move_pages, 0, 1, &addr, &node, &status, 1 << 1);
}

int dm_swap_out(void *addr, unsigned long npages)
{
	__u64 *ent = calloc(npages, sizeof(*ent));
	unsigned long i;
	int tries, ret = ent ? -EAGAIN : -ENOMEM;

	/*
	 * Pages just touched survive the first attempts; each attempt ages them,
	 * so a bounded number is enough.
	 */
	for (tries = 0; ret == -EAGAIN && tries < 50; tries++) {
		dm_drain_lru(addr);
		if (madvise(addr, npages * DM_PAGE, MADV_PAGEOUT)) {
			ret = -errno;
			break;
		}
		ret = dm_pagemap(addr, npages, ent);
		for (i = 0; !ret && i < npages; i++) {
			if (!(ent[i] & DM_PM_SWAP))
				ret = -EAGAIN;
		}
	}
	free(ent);
	return ret;
}
