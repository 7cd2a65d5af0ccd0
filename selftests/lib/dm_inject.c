// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection of the driver through debugfs. Owns the parameters the driver
 * had before dm_inject_begin(); no locks: one program at a time loads modules.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dm_inject.h"
#include "dmirror.h"
#include "modctl.h"
#include "scene.h"

#define ROOT	"/sys/kernel/debug/hmm_dmirror"
#define WAIT_MS	20000

static char saved[512];
static int status = -EOPNOTSUPP;

static int reload(const char *params)
{
	int ret = mc_down(false);

	/* devmem stays; a driver that is not loaded is fine. */
	return ret ? ret : mc_up(params);
}

int dm_inject_begin(int level, const char *params)
{
	const char *more = getenv("DMIRROR_INJECT_PARAMS");
	char all[sizeof(saved) + 512];

	status = -EOPNOTSUPP;
	if (dm_target() != DM_TARGET_OURS || !mc_have(MC_DMIRROR) ||
	    !mc_have(MC_DEVMEM) || access("/dev/hmm_dmirror0", F_OK))
		return status;
	mc_params(saved, sizeof(saved));
	snprintf(all, sizeof(all), "%s inject=%d %s %s", saved, level, params,
		 more ? more : "");
	status = reload(all);
	return status;
}

int dm_inject_end(void)
{
	if (status == -EOPNOTSUPP)
		return 0;
	return reload(saved);
}

int dm_inject_status(void)
{
	return status;
}

static void dir_of(int index, const char *what, char *buf, size_t len)
{
	if (index == DM_DRIVER)
		snprintf(buf, len, ROOT "/%s", what);
	else
		snprintf(buf, len, ROOT "/%d/%s", index, what);
}

/* The control file of a point, or of a sabotage of that name. */
static void control_of(int index, const char *point, char *buf, size_t len)
{
	static const char * const kinds[] = { "sabotage", "inject" };
	char dir[128];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		dir_of(index, kinds[i], dir, sizeof(dir));
		snprintf(buf, len, "%s/%s/control", dir, point);
		if (!access(buf, F_OK))
			return;
	}
}

int dm_inject_arm(int index, const char *point, const char *how)
{
	char path[256], text[256];

	control_of(index, point, path, sizeof(path));
	snprintf(text, sizeof(text), "%s\n", how);
	return dm_write_file(path, text);
}

long dm_inject_get(int index, const char *point, const char *key)
{
	char path[256], text[512], *line, *save;
	ssize_t n;

	control_of(index, point, path, sizeof(path));
	n = dm_read_file(path, text, sizeof(text));
	if (n < 0)
		return n;
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		size_t len = strlen(key);

		if (!strncmp(line, key, len) && line[len] == ':')
			return strtol(line + len + 1, NULL, 10);
	}
	return -ENOENT;
}

int dm_inject_wait(int index, const char *point, int tasks)
{
	long long end = sc_now_ms() + sc_slow(WAIT_MS);
	long n;

	while ((n = dm_inject_get(index, point, "waiting")) < tasks) {
		if (n < 0)
			return n;
		if (sc_now_ms() > end)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return 0;
}

static int is_point(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int points_in(int index, const char *kind, struct dm_points *p)
{
	struct dirent **list;
	char dir[128];
	int i, n;

	p->n = 0;
	dir_of(index, kind, dir, sizeof(dir));
	n = scandir(dir, &list, is_point, alphasort);
	if (n < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		if (p->n < DM_INJECT_MAX)
			snprintf(p->name[p->n++], sizeof(p->name[0]), "%.31s",
				 list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return 0;
}

int dm_inject_points(int index, struct dm_points *p)
{
	return points_in(index, "inject", p);
}

int dm_inject_off(int index)
{
	static const char * const kinds[] = { "inject", "sabotage" };
	struct dm_points p;
	int i, k, ret = 0;

	for (k = 0; k < 2; k++) {
		/* Sabotage is not always there. */
		if (points_in(index, kinds[k], &p))
			continue;
		for (i = 0; i < p.n && !ret; i++)
			ret = dm_inject_arm(index, p.name[i], "");
	}
	return ret;
}

bool dm_inject_can_fail(int index, const char *point)
{
	int ret = dm_inject_arm(index, point, "fail");

	dm_inject_arm(index, point, "");
	return !ret;
}
