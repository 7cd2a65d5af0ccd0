// SPDX-License-Identifier: GPL-2.0
/*
 * The layout lock: sizes, offsets and numbers of the interface never change.
 * They are compared with a table, and with the kernel's header, so that a
 * change on either side is seen by building and running this. Needs no device.
 */
#include <string.h>

#include "dm_harness.h"
#include "layout.h"

/* _IOWR('H', nr, 40 bytes) */
#define CMD(nr)	(0xc0284800UL | (nr))

static const struct layout_row table[] = {
	{ "size of the structure",			40 },
	{ "offset of addr",				0 },
	{ "size of addr",				8 },
	{ "offset of ptr",				8 },
	{ "size of ptr",				8 },
	{ "offset of npages",				16 },
	{ "size of npages",				8 },
	{ "offset of cpages",				24 },
	{ "size of cpages",				8 },
	{ "offset of faults",				32 },
	{ "size of faults",				8 },
	{ "HMM_DMIRROR_READ",				CMD(0) },
	{ "HMM_DMIRROR_WRITE",				CMD(1) },
	{ "HMM_DMIRROR_MIGRATE_TO_DEV",			CMD(2) },
	{ "HMM_DMIRROR_MIGRATE_TO_SYS",			CMD(3) },
	{ "HMM_DMIRROR_SNAPSHOT",			CMD(4) },
	{ "HMM_DMIRROR_EXCLUSIVE",			CMD(5) },
	{ "HMM_DMIRROR_CHECK_EXCLUSIVE",		CMD(6) },
	{ "HMM_DMIRROR_RELEASE",			CMD(7) },
	{ "HMM_DMIRROR_FLAGS",				CMD(8) },
	{ "HMM_DMIRROR_READ_UNLOCKED",			CMD(9) },
	{ "HMM_DMIRROR_FLAG_FAIL_ALLOC",		1 },
	{ "HMM_DMIRROR_PROT_ERROR",			0xff },
	{ "HMM_DMIRROR_PROT_NONE",			0x00 },
	{ "HMM_DMIRROR_PROT_READ",			0x01 },
	{ "HMM_DMIRROR_PROT_WRITE",			0x02 },
	{ "HMM_DMIRROR_PROT_PMD",			0x04 },
	{ "HMM_DMIRROR_PROT_PUD",			0x08 },
	{ "HMM_DMIRROR_PROT_ZERO",			0x10 },
	{ "HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL",		0x20 },
	{ "HMM_DMIRROR_PROT_DEV_PRIVATE_REMOTE",	0x30 },
	{ "HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL",	0x40 },
	{ "HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE",	0x50 },
	{ "HMM_DMIRROR_MEMORY_DEVICE_PRIVATE",		1 },
	{ "HMM_DMIRROR_MEMORY_DEVICE_COHERENT",		2 },
	{ 0 }
};

static const struct layout_row *find(const struct layout_row *rows,
				     const char *name)
{
	for (; rows->name; rows++)
		if (!strcmp(rows->name, name))
			return rows;
	return NULL;
}

static int count(const struct layout_row *rows)
{
	int n = 0;

	while (rows[n].name)
		n++;
	return n;
}

FIXTURE(layout) { int unused; };
FIXTURE_VARIANT(layout) { const struct layout_row *rows; };
FIXTURE_VARIANT_ADD(layout, this_project) { .rows = layout_ours };
FIXTURE_VARIANT_ADD(layout, kernel) { .rows = layout_kernel };
FIXTURE_SETUP(layout) { }
FIXTURE_TEARDOWN(layout) { }

TEST_F(layout, is_locked)
{
	const struct layout_row *want, *got;

	EXPECT_EQ(count(table), count(variant->rows));
	for (want = table; want->name; want++) {
		got = find(variant->rows, want->name);
		ASSERT_NE(NULL, got) {
			TH_LOG("%s is missing", want->name);
		}
		EXPECT_EQ(want->value, got->value) {
			TH_LOG("%s", want->name);
		}
	}
}

TEST_HARNESS_MAIN
