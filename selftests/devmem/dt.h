/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Handling devmem_test.ko: loading, commands, what it leaves in the system.
 * Include it once per program.
 */
#ifndef SELFTESTS_DEVMEM_DT_H
#define SELFTESTS_DEVMEM_DT_H

#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include "dm_harness.h"
#include "modctl.h"

#ifndef __printf
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#endif

#define DT_DESC		0x48444d50UL	/* HMM_DEVMEM_DESC_PUBLIC */
#define DT_SUBSECTION	(2UL << 20)
#define DT_DEV		"/dev/devmem_test0"
#define DT_BUS		"/sys/bus/platform/drivers/devmem_test/"
#define DT_PARAM	"/sys/module/devmem_test/parameters/"
#define DT_DEBUGFS	"/sys/kernel/debug/hmm_devmem"
#define DT_STATE	65536

static inline int dt_unload(void)
{
	return syscall(SYS_delete_module, "devmem_test", O_NONBLOCK) ?
	       -errno : 0;
}

/* Insert the module that lies next to this program, afresh. */
static inline int dt_load(const char *params)
{
	char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	int fd, ret;

	if (n < 0)
		return -errno;
	path[n] = 0;
	dirname(path);
	strncat(path, "/devmem_test.ko", sizeof(path) - strlen(path) - 1);

	dt_unload();
	ret = mc_loaded(MC_DEVMEM) ? 0 : mc_load(MC_DEVMEM, "");
	if (ret)
		return ret;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;
	close(fd);
	return ret;
}

static inline int dt_open(void)
{
	int fd = open(DT_DEV, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* One command; 0 or a negative errno. */
static inline int __printf(2, 3)
dt_cmd(int fd, const char *fmt, ...)
{
	char cmd[128];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return write(fd, cmd, n) == n ? 0 : -errno;
}

static inline bool dt_kernel_at_least(int major, int minor)
{
	struct utsname u;
	int a = 0, b = 0;

	return !uname(&u) && sscanf(u.release, "%d.%d", &a, &b) == 2 &&
	       (a > major || (a == major && b >= minor));
}

/* One line "name: value" of a text; LONG_MIN if it is not there. */
static inline long dt_line(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *p;

	for (p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, name, len) && p[len] == ':')
			return atol(p + len + 1);
	}
	return LONG_MIN;
}

/* One value of the state of the test device. */
static inline long dt_val(int fd, const char *name)
{
	char text[1024];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return LONG_MIN;
	text[n] = 0;
	return dt_line(text, name);
}

/* One counter of a region, as hmm_devmem.ko itself shows it. */
static inline long dt_region_stat(unsigned long start, const char *name)
{
	char path[128], text[1024];

	snprintf(path, sizeof(path), DT_DEBUGFS "/devmem_test.0@%lx/stats",
		 start);
	if (dm_read_file(path, text, sizeof(text)) < 0)
		return LONG_MIN;
	return dt_line(text, name);
}

/* Make step @step of the next addition fail. */
static inline int dt_fail(int step)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", step);
	return dm_write_file(DT_DEBUGFS "/fail_step", text);
}

static inline int dt_bind(const char *what, const char *dev)
{
	char path[128];

	snprintf(path, sizeof(path), DT_BUS "%s", what);
	return dm_write_file(path, dev);
}

/* Is there exactly this line in /proc/iomem? */
static inline bool dt_iomem_has(unsigned long start, unsigned long end,
				const char *name)
{
	char line[128];

	snprintf(line, sizeof(line), "%lx-%lx : %s\n", start, end, name);
	return mc_iomem(line) == 1;
}

/* Everything a region leaves traces in: physical addresses and debugfs. */
static inline void dt_traces(char *buf)
{
	const char *const cmd = "cat /proc/iomem; ls " DT_DEBUGFS;
	FILE *f = popen(cmd, "r");
	size_t n = f ? fread(buf, 1, DT_STATE - 1, f) : 0;

	buf[n] = 0;
	if (f)
		pclose(f);
}

/* First and last byte of the first range in /proc/iomem with this name. */
static inline int dt_iomem_find(const char *name, unsigned long *start,
				unsigned long *end)
{
	FILE *f = fopen("/proc/iomem", "r");
	char line[256], found[128];
	int ret = -ENOENT;

	while (f && ret && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %lx-%lx : %127[^\n]", start, end, found) == 3 &&
		    !strcmp(found, name) && *end - *start > 16 * DT_SUBSECTION)
			ret = 0;
	}
	if (f)
		fclose(f);
	return ret;
}

#endif /* SELFTESTS_DEVMEM_DT_H */
