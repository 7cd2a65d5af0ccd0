/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loading, unloading, binding and unbinding of the driver under test, for the
 * tests whose subject that is. Everything here needs root.
 */
#ifndef _SELFTESTS_LIB_MODCTL_H
#define _SELFTESTS_LIB_MODCTL_H

#include <stdbool.h>
#include <stddef.h>

#define MC_DEVMEM	"hmm_devmem"
#define MC_DMIRROR	"hmm_dmirror"

/**
 * mc_path() - where the file of a module is
 * @name: module name without ".ko"
 * @buf: receives the path
 * @len: bytes at @buf
 *
 * The directory is $DMIRROR_MODULES, by default /share/modules.
 */
void mc_path(const char *name, char *buf, size_t len);

/** mc_have() - true if the file of module @name can be read */
bool mc_have(const char *name);

/** mc_loaded() - true if module @name is in /proc/modules */
bool mc_loaded(const char *name);

/**
 * mc_load() - load one module from its file, without its dependencies
 * @name: module name without ".ko"
 * @params: parameters as on the command line, or ""
 *
 * Return: 0 or the negative errno of finit_module(2).
 */
int mc_load(const char *name, const char *params);

/**
 * mc_params() - the parameters the loaded hmm_dmirror was given
 * @buf: receives them, to load it with the same again
 * @len: bytes at @buf
 */
void mc_params(char *buf, size_t len);

/**
 * mc_unload() - unload one module, without waiting for its users
 *
 * Return: 0 or the negative errno of delete_module(2).
 */
int mc_unload(const char *name);

/**
 * mc_up() - have hmm_devmem and hmm_dmirror loaded and /dev nodes present
 * @params: parameters of hmm_dmirror
 *
 * Return: 0, or the negative errno of the step that failed. A driver that is
 * loaded already stays as it is.
 */
int mc_up(const char *params);

/**
 * mc_down() - unload hmm_dmirror, then hmm_devmem if that was asked for
 * @devmem: also unload hmm_devmem
 *
 * Return: 0 or the negative errno of the step that failed; a module that is
 * not loaded is not an error.
 */
int mc_down(bool devmem);

/**
 * mc_wait_node() - wait until /dev/hmm_dmirrorN exists, or no longer does
 * @minor: N
 * @present: what to wait for
 *
 * devtmpfs makes and removes nodes in a thread of its own, so that they trail
 * the event by a moment.
 *
 * Return: 0, or -ETIMEDOUT after ten seconds.
 */
int mc_wait_node(int minor, bool present);

/**
 * mc_bind() - write hmm_dmirror.N to the driver's bind or unbind file
 * @minor: N
 * @bind: true for bind
 *
 * Return: 0 or the negative errno of write(2).
 */
int mc_bind(int minor, bool bind);

/**
 * mc_plug() - write a number to the driver's plug or unplug file
 * @text: the number of a device, or what the driver should refuse
 * @plug: true for plug
 *
 * Return: 0 or the negative errno of open(2) or write(2).
 */
int mc_plug(const char *text, bool plug);

/**
 * mc_iomem() - how many lines of /proc/iomem contain @what
 */
int mc_iomem(const char *what);

/**
 * mc_slab_objs() - active objects in all slab caches whose name starts so
 * @prefix: start of the cache name
 *
 * Return: the sum, or -1 if /proc/slabinfo cannot be read.
 */
long mc_slab_objs(const char *prefix);

/**
 * mc_kmsg_open() - start reading the kernel log at its present end
 *
 * Return: a file descriptor or a negative errno.
 */
int mc_kmsg_open(void);

/**
 * mc_kmsg_find() - has a text been logged since mc_kmsg_open()?
 * @fd: from mc_kmsg_open(); read to its end
 * @text: what to look for
 * @line: receives the first line that has it; may be NULL
 * @len: bytes at @line
 */
bool mc_kmsg_find(int fd, const char *text, char *line, size_t len);

#endif /* _SELFTESTS_LIB_MODCTL_H */
