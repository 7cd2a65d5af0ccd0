// SPDX-License-Identifier: GPL-2.0
/*
 * Owns: loading and unloading of the modules under test, driver binding, and
 * the readers of /proc that show whether an unload left something behind.
 * Does not own: anything that talks to an open device. Takes no locks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <kselftest.h>

#include "modctl.h"
#include "scene.h"

#define NODE_TIMEOUT_S	30

void mc_path(const char *name, char *buf, size_t len)
{
	const char *dir = getenv("DMIRROR_MODULES");

	snprintf(buf, len, "%s/%s.ko", dir ? dir : "/share/modules", name);
}

bool mc_have(const char *name)
{
	char path[512];

	mc_path(name, path, sizeof(path));
	return access(path, R_OK) == 0;
}

bool mc_loaded(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
	return access(path, F_OK) == 0;
}

int mc_load(const char *name, const char *params)
{
	char path[512];
	int fd, ret = 0;

	mc_path(name, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, params, 0))
		ret = -errno;
	close(fd);
	return ret;
}

void mc_params(char *buf, size_t len)
{
	static const char *const names[] = {
		"vram_mb", "fault_around_kb", "spm_addr_dev0", "spm_addr_dev1",
		"inject", "devices", "client_vram_mb",
	};
	size_t used = 0;
	unsigned int i;
	long val;

	buf[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		val = sc_param(names[i], -1);
		if (val > 0 && used < len)
			used += snprintf(buf + used, len - used, "%s=%ld ",
					 names[i], val);
	}
}

int mc_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

int mc_wait_node(int minor, bool present)
{
	time_t end = now_s() + NODE_TIMEOUT_S;
	char path[64];

	snprintf(path, sizeof(path), "/dev/hmm_dmirror%d", minor);
	while ((access(path, F_OK) == 0) != present) {
		if (now_s() > end)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return 0;
}

int mc_up(const char *params)
{
	int ret;

	if (!mc_loaded(MC_DEVMEM)) {
		ret = mc_load(MC_DEVMEM, "");
		if (ret)
			return ret;
	}
	if (!mc_loaded(MC_DMIRROR)) {
		ret = mc_load(MC_DMIRROR, params);
		if (ret)
			return ret;
	}
	return mc_wait_node(0, true);
}

int mc_down(bool devmem)
{
	time_t end = now_s() + NODE_TIMEOUT_S;
	int ret;

	/* The last reference may be given back a moment after what had it is gone. */
	while ((ret = mc_unload(MC_DMIRROR)) == -EAGAIN && now_s() < end)
		usleep(10000);
	if (ret && ret != -ENOENT)
		return ret;
	ret = mc_wait_node(0, false);
	if (ret || !devmem)
		return ret;
	ret = mc_unload(MC_DEVMEM);
	return ret == -ENOENT ? 0 : ret;
}

/* All of @text at once. */
static int put(const char *path, const char *text)
{
	ssize_t len = strlen(text);
	int fd, ret = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

int mc_bind(int minor, bool bind)
{
	char name[32];

	snprintf(name, sizeof(name), "hmm_dmirror.%d", minor);
	return put(bind ? "/sys/bus/platform/drivers/hmm_dmirror/bind" :
			  "/sys/bus/platform/drivers/hmm_dmirror/unbind", name);
}

int mc_plug(const char *text, bool plug)
{
	return put(plug ? "/sys/kernel/debug/hmm_dmirror/plug" :
			  "/sys/kernel/debug/hmm_dmirror/unplug", text);
}

int mc_iomem(const char *what)
{
	FILE *f = fopen("/proc/iomem", "r");
	char line[256];
	int n = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, what);
	fclose(f);
	return n;
}

long mc_slab_objs(const char *prefix)
{
	FILE *f = fopen("/proc/slabinfo", "r");
	char line[512], name[128];
	long active, sum = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%127s %ld", name, &active) == 2 &&
		    !strncmp(name, prefix, strlen(prefix)))
			sum += active;
	}
	fclose(f);
	return sum;
}

int mc_kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

bool mc_kmsg_find(int fd, const char *text, char *line, size_t len)
{
	char buf[2048];
	bool found = false;
	ssize_t n;

	/* EPIPE only says that old records were overwritten: go on. */
	while ((n = read(fd, buf, sizeof(buf) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		buf[n] = '\0';
		if (found || !strstr(buf, text))
			continue;
		found = true;
		if (line)
			snprintf(line, len, "%s", buf);
	}
	return found;
}
