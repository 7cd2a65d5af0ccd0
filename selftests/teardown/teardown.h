/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Set-up of the teardown tests: they load, unload, bind and unbind the driver
 * themselves, and leave it loaded with the parameters they found.
 */
#ifndef _SELFTESTS_TEARDOWN_TEARDOWN_H
#define _SELFTESTS_TEARDOWN_TEARDOWN_H

#include <dirent.h>
#include <fcntl.h>

#include "actor.h"
#include "modctl.h"
#include "stage.h"

#define SMALL_PAGES	64UL

/**
 * struct td - state of the driver before a test
 * @params: parameters to load it with again
 * @health: kernel state
 * @devices: how many nodes there were
 */
struct td {
	char			params[256];
	struct dm_health	health;
	int			devices;
};

/* Memory of coherent devices, known also when the module is gone. */
static struct {
	__u64 first;
	__u64 end;
} td_spm[2];

static inline void td_find_spm(void)
{
	static const char *const names[] = { "spm_addr_dev0", "spm_addr_dev1" };
	__u64 pages = (sc_param("vram_mb", 0) << 20) / DM_PAGE;
	int i;

	for (i = 0; i < 2; i++) {
		td_spm[i].first = sc_param(names[i], 0) / DM_PAGE;
		td_spm[i].end = td_spm[i].first ? td_spm[i].first + pages : 0;
	}
}

/* It is mapped like any other memory: only its address tells. */
static inline bool td_is_spm(__u64 pfn)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (pfn >= td_spm[i].first && pfn < td_spm[i].end)
			return true;
	}
	return false;
}

/* Private devices are 0 and 1; a kernel without them cannot run this. */
#define TD_SETUP(tdp) do {						\
	if (dm_target() == DM_TARGET_TEST_HMM)				\
		SKIP(return, "test_hmm cannot be unbound");		\
	if (!mc_have(MC_DMIRROR) || !mc_have(MC_DEVMEM))		\
		SKIP(return, "no module files; set DMIRROR_MODULES");	\
	if (mc_loaded(MC_DMIRROR) && !dm_node_exists(DM_PRIVATE0))	\
		SKIP(return, "no device with private memory");		\
	ASSERT_EQ(0, mc_up(""));					\
	mc_params((tdp)->params, sizeof((tdp)->params));		\
	td_find_spm();							\
	dm_health_begin(&(tdp)->health);				\
} while (0)

/* Memory that is mapped for devices now, of either kind. */
static inline int td_regions(void)
{
	DIR *dir = opendir("/sys/kernel/debug/hmm_devmem");
	struct dirent *d;
	int n = 0;

	while (dir && (d = readdir(dir)))
		n += d->d_type == DT_DIR && d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* For fixtures with variants of kinds of memory: those of coherent devices. */
#define TD_NEEDS(index) do {						\
	if (!dm_node_exists(index))					\
		SKIP(return, "no device %d on this machine", index);	\
} while (0)

/* Loaded as before, every device bound, the kernel healthy. */
static inline void td_restore(struct __test_metadata *_metadata, struct td *td)
{
	char why[DM_MSG] = "", now[sizeof(td->params)];
	int minor, end;

	mc_params(now, sizeof(now));
	if (mc_loaded(MC_DMIRROR) && strcmp(now, td->params))
		EXPECT_EQ(0, mc_down(false));
	/* Not the nodes yet: the test may have left a device unbound. */
	if (!mc_loaded(MC_DMIRROR))
		EXPECT_EQ(0, mc_up(td->params));
	end = sc_param("spm_addr_dev0", 0) ? 4 : 2;
	for (minor = 0; minor < end; minor++) {
		if (!dm_node_exists(minor))
			EXPECT_EQ(0, mc_bind(minor, true));
		EXPECT_EQ(0, mc_wait_node(minor, true));
	}
	EXPECT_EQ(0, dm_health_end(&td->health, why)) {
		TH_LOG("%s", why);
	}
}

/* Load afresh, with little memory so that it is quick. */
#define TD_RELOAD(params) do {						\
	ASSERT_EQ(0, mc_down(false));					\
	ASSERT_EQ(0, mc_load(MC_DMIRROR, params));			\
	ASSERT_EQ(0, mc_wait_node(0, true));				\
} while (0)

/* In system memory, with these tags, says the page table alone. */
static inline int td_all_home(struct dm_buf *b)
{
	__u64 ent[2 * DM_2M_PAGES];
	unsigned long i;

	if (dm_pagemap(b->ptr, b->npages, ent))
		return -EIO;
	for (i = 0; i < b->npages; i++) {
		if (!(ent[i] & DM_PM_PRESENT) || td_is_spm(dm_pm_pfn(ent[i])))
			return -EXDEV;
	}
	return 0;
}

/* Every command of an orphaned file; the number of wrong answers. */
static inline int td_not_enodev(int fd, struct dm_buf *b)
{
	int n = 0;

	n += dm_read(fd, b->ptr, 1, b->mirror, NULL) != -ENODEV;
	n += dm_read_unlocked(fd, b->ptr, 1, b->mirror, NULL) != -ENODEV;
	n += dm_write(fd, b->ptr, 1, b->mirror, NULL) != -ENODEV;
	n += dm_to_dev(fd, b->ptr, 1, b->mirror, NULL) != -ENODEV;
	n += dm_to_sys(fd, b->ptr, 1, NULL) != -ENODEV;
	n += dm_snapshot(fd, b->ptr, 1, b->mirror) != -ENODEV;
	n += dm_exclusive(fd, b->ptr, 1, b->mirror, NULL) != -ENODEV;
	n += dm_check_exclusive(fd, b->ptr, 1) != -ENODEV;
	n += dm_release(fd) != -ENODEV;
	return n;
}

#define ASSERT_HOME(b, gen, writer) do {				\
	ASSERT_EQ(0, td_all_home(b));					\
	ASSERT_TAGS((b)->ptr, (b)->npages, (b)->ptr, gen, writer);	\
} while (0)

#endif /* _SELFTESTS_TEARDOWN_TEARDOWN_H */
