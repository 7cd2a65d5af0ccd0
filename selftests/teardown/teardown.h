/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Set-up of the teardown tests: they load, unload, bind and unbind the driver
 * themselves, and leave it loaded with the parameters they found.
 */
#ifndef _SELFTESTS_TEARDOWN_TEARDOWN_H
#define _SELFTESTS_TEARDOWN_TEARDOWN_H

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
	dm_health_begin(&(tdp)->health);				\
} while (0)

/* Loaded as before, every device bound, the kernel healthy. */
static inline void td_restore(struct __test_metadata *_metadata, struct td *td)
{
	char why[DM_MSG] = "";
	int minor;

	/* Not the nodes yet: the test may have left a device unbound. */
	if (!mc_loaded(MC_DMIRROR))
		EXPECT_EQ(0, mc_up(td->params));
	for (minor = 0; minor < 2; minor++) {
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
		if (!(ent[i] & DM_PM_PRESENT))
			return -EXDEV;
	}
	return 0;
}

#define ASSERT_HOME(b, gen, writer) do {				\
	ASSERT_EQ(0, td_all_home(b));					\
	ASSERT_TAGS((b)->ptr, (b)->npages, (b)->ptr, gen, writer);	\
} while (0)

#endif /* _SELFTESTS_TEARDOWN_TEARDOWN_H */
