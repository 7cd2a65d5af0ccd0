/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files, programs, cgroup v2 and zram swap. Part of dmirror.h.
 */
#ifndef SELFTESTS_LIB_DM_SYSTEM_H
#define SELFTESTS_LIB_DM_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <linux/types.h>

/**
 * dm_write_file() - write a string to a file
 * @path: file
 * @text: string
 *
 * Return: 0 or a negative errno.
 */
int dm_write_file(const char *path, const char *text);

/**
 * dm_read_file() - read a small file as a string
 * @path: file
 * @buf: receives the text, always terminated
 * @len: size of @buf
 *
 * Return: number of bytes, or a negative errno.
 */
ssize_t dm_read_file(const char *path, char *buf, size_t len);

/**
 * dm_read_u64() - read one number from a file
 * @path: file
 * @val: receives it; "max" reads as ULLONG_MAX
 *
 * Return: 0 or a negative errno.
 */
int dm_read_u64(const char *path, __u64 *val);

/**
 * dm_run() - run a program and wait for it
 * @argv: program and arguments, NULL terminated
 *
 * Return: its exit status (0 to 255), or a negative errno.
 */
int dm_run(const char *const argv[]);

/**
 * dm_module_loaded() - is a module in the kernel
 * @name: module name
 *
 * Return: true if /sys/module has it.
 */
bool dm_module_loaded(const char *name);

/* A memory control group of one test. */
struct dm_cg {
	char path[200];
};

/**
 * dm_cg_create() - make a cgroup v2 with the memory controller
 * @cg: filled in
 * @name: part of its name
 *
 * Return: 0 or a negative errno.
 */
int dm_cg_create(struct dm_cg *cg, const char *name);

/**
 * dm_cg_write() - write to a control file
 * @cg: group
 * @file: for example "memory.max"
 * @text: value
 *
 * Return: 0 or a negative errno.
 */
int dm_cg_write(const struct dm_cg *cg, const char *file, const char *text);

/**
 * dm_cg_read() - read a number from a control file
 * @cg: group
 * @file: for example "memory.current"
 * @val: receives it
 *
 * Return: 0 or a negative errno.
 */
int dm_cg_read(const struct dm_cg *cg, const char *file, __u64 *val);

/**
 * dm_cg_key() - read one line of a keyed control file
 * @cg: group
 * @file: for example "memory.stat"
 * @key: for example "anon"
 * @val: receives it
 *
 * Return: 0, -ENOENT without such a key, or another negative errno.
 */
int dm_cg_key(const struct dm_cg *cg, const char *file, const char *key,
	      __u64 *val);

/**
 * dm_cg_enter() - move the calling process into a group
 * @cg: group
 *
 * Return: 0 or a negative errno.
 */
int dm_cg_enter(const struct dm_cg *cg);

/**
 * dm_cg_leave() - move the calling process back to the root group
 *
 * Return: 0 or a negative errno.
 */
int dm_cg_leave(void);

/**
 * dm_cg_destroy() - remove a group, which must be empty
 * @cg: group
 *
 * Return: 0 or a negative errno.
 */
int dm_cg_destroy(struct dm_cg *cg);

/* A compressed swap device of one test. */
struct dm_zram {
	int	id;
	char	dev[32];
};

/**
 * dm_zram_on() - add a zram device and swap on it
 * @z: filled in
 * @bytes: size, a multiple of the page size
 *
 * Return: 0 or a negative errno (-ENODEV: this kernel has no zram).
 */
int dm_zram_on(struct dm_zram *z, __u64 bytes);

/**
 * dm_swap_stop() - stop swapping on a device and keep it as a plain disk
 * @z: device
 *
 * Return: 0 or a negative errno.
 */
int dm_swap_stop(const struct dm_zram *z);

/**
 * dm_zram_off() - stop swapping on a device and remove it
 * @z: device, may be one that dm_zram_on() failed on
 *
 * Return: 0 or a negative errno.
 */
int dm_zram_off(struct dm_zram *z);

/**
 * dm_zswap() - compress pages in memory before they reach a swap device
 * @on: or not
 *
 * Return: what it was before, 0 or 1, or a negative errno (-ENODEV: this
 * kernel has no zswap).
 */
int dm_zswap(bool on);

/**
 * dm_drain_lru() - have the kernel put on its lists what processors keep for later
 * @addr: any page of the caller's that is in memory
 *
 * References to pages that have been unmapped go with that, too.
 */
void dm_drain_lru(void *addr);

/**
 * dm_swap_out() - push a populated anonymous range out to swap
 * @addr: start of the range
 * @npages: pages
 *
 * Return: 0 when every page of the range is on a swap area, -EAGAIN if some
 * stayed after several attempts, or another negative errno.
 */
int dm_swap_out(void *addr, unsigned long npages);

#endif /* SELFTESTS_LIB_DM_SYSTEM_H */
