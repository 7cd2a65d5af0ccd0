// SPDX-License-Identifier: GPL-2.0
/*
 * Adding and removing regions: sizes, arguments that have to be refused, and
 * the property that a failure leaves nothing behind and never makes the kernel
 * warn. The fixture compares /proc/iomem and debugfs before and after.
 */
#include "dt.h"

FIXTURE(add)
{
	int fd;
	struct dm_health health;
	char before[DT_STATE];
	unsigned long section;	/* bytes a region of one byte has */
	unsigned long hole;	/* that many unused physical addresses */
};

static unsigned long first_byte(int fd, int slot)
{
	char name[16];

	snprintf(name, sizeof(name), "first%d", slot);
	return dt_val(fd, name) * getpagesize();
}

static unsigned long bytes(int fd, int slot)
{
	char name[16];

	snprintf(name, sizeof(name), "last%d", slot);
	return dt_val(fd, name) * getpagesize() - first_byte(fd, slot);
}

FIXTURE_SETUP(add)
{
	int ret;

	dm_health_begin(&self->health);
	ASSERT_EQ(0, dt_load(""));
	self->fd = dt_open();
	ASSERT_GE(self->fd, 0);
	dt_traces(self->before);
	ret = dt_cmd(self->fd, "private 1");
	if (ret == -EOPNOTSUPP) {
		close(self->fd);
		dt_unload();
		SKIP(return, "kernel without CONFIG_DEVICE_PRIVATE");
	}
	ASSERT_EQ(0, ret);
	self->section = bytes(self->fd, 0);
	self->hole = first_byte(self->fd, 0);
	ASSERT_EQ(0, dt_cmd(self->fd, "remove 0"));
}

FIXTURE_TEARDOWN(add)
{
	char after[DT_STATE], why[DM_MSG] = "";
	int i;

	dt_fail(0);
	for (i = 0; i < 4; i++)
		dt_cmd(self->fd, "remove %d", i);
	dt_traces(after);
	EXPECT_STREQ(self->before, after);
	close(self->fd);
	EXPECT_EQ(0, dt_unload());
	EXPECT_EQ(0, dm_health_end(&self->health, why)) {
		TH_LOG("kernel health: %s", why);
	}
}

TEST_F(add, sizes)
{
	const unsigned long s = self->section;
	const struct { unsigned long size, want; } good[] = {
		{ 1, s }, { s - 1, s }, { s, s }, { s + 1, 2 * s },
	};
	const struct { unsigned long size; int err; } bad[] = {
		{ 0, -EINVAL }, { -1UL, -EINVAL }, { -s + 1, -EINVAL },
		{ -s, -ERANGE }, { 1UL << 62, -ERANGE }, { 1UL << 53, -ERANGE },
	};
	unsigned long start;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		ASSERT_EQ(0, dt_cmd(self->fd, "private %lu", good[i].size));
		start = first_byte(self->fd, 0);
		EXPECT_EQ(0, start % s);
		EXPECT_EQ(good[i].want, bytes(self->fd, 0));
		EXPECT_TRUE(dt_iomem_has(start, start + good[i].want - 1,
					 "devmem_test.0"));
		EXPECT_EQ(good[i].want / getpagesize(),
			  dt_region_stat(start, "pages"));
		EXPECT_EQ(0, dt_cmd(self->fd, "remove 0"));
		EXPECT_EQ(0, mc_iomem("devmem_test.0"));
	}
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(bad[i].err,
			  dt_cmd(self->fd, "private %lu", bad[i].size)) {
			TH_LOG("size %lu", bad[i].size);
		}
	}
}

/* Bits of a physical address, 0 if the kernel does not say. */
static int address_bits(void)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];
	int bits = 0;

	while (f && !bits && fgets(line, sizeof(line), f))
		sscanf(line, "address sizes : %d bits physical", &bits);
	if (f)
		fclose(f);
	return bits;
}

/* A size that fits the address space as a number, but not between its users. */
TEST_F(add, address_space)
{
	unsigned long top = 1UL << address_bits();

	ASSERT_GT(top, 1);
	EXPECT_EQ(-ERANGE, dt_cmd(self->fd, "private %lu", top));
	EXPECT_EQ(-ERANGE, dt_cmd(self->fd, "private %lu",
				  top - self->section));
	EXPECT_EQ(-ERANGE, dt_cmd(self->fd, "private %lu",
				  top - (4UL << 30)));
	EXPECT_EQ(-ERANGE, dt_cmd(self->fd, "resource %lu %lu %lu", top,
				  self->section, DT_DESC));
}

/* The largest regions there is memory for, until no addresses are left. */
TEST_F(add, exhausted)
{
	int i, ret = 0;

	if (address_bits() > 36)
		SKIP(return, "%d address bits are too many to fill",
		     address_bits());
	for (i = 0; !ret && i < 4; i++)
		ret = dt_cmd(self->fd, "private %lu", 16UL << 30);
	EXPECT_EQ(-ERANGE, ret);
	EXPECT_GE(i, 2);
	EXPECT_EQ(16UL << 30, bytes(self->fd, 0));
}

TEST_F(add, bad_arguments)
{
	static const char *const kinds[] = {
		"noops", "nodev", "nofree", "nofault",
		"res-noops", "res-nodev", "res-null", "res-nofree",
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		EXPECT_EQ(-EINVAL, dt_cmd(self->fd, "bad %s", kinds[i])) {
			TH_LOG("%s", kinds[i]);
		}
	}
}

TEST_F(add, resource_desc)
{
	static const unsigned long desc[] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, DT_DESC - 1, DT_DESC + 1,
	};
	size_t i;

	for (i = 0; i < sizeof(desc) / sizeof(*desc); i++) {
		EXPECT_EQ(-EINVAL, dt_cmd(self->fd, "resource %lu %lu %lu",
					  self->hole, self->section, desc[i]));
	}
	ASSERT_EQ(0, dt_cmd(self->fd, "resource %lu %lu %lu", self->hole,
			    self->section, DT_DESC));
	EXPECT_EQ(self->section, bytes(self->fd, 0));
	EXPECT_EQ(0, dt_region_stat(self->hole, "private"));
}

TEST_F(add, resource_shape)
{
	const unsigned long h = self->hole, s = self->section;
	const struct { unsigned long start, size; int err; } bad[] = {
		{ h + 4096, s, -EINVAL },
		{ h, s - 4096, -EINVAL },
		{ h, 1UL << 20, -EINVAL },
		{ h, 0, -EINVAL },
		{ 0, 0, -EINVAL },
		{ 0, -DT_SUBSECTION, -ERANGE },
		{ 1UL << 60, s, -ERANGE },
		{ 1UL << 52, s, -ERANGE },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(bad[i].err,
			  dt_cmd(self->fd, "resource %lu %lu %lu", bad[i].start,
				 bad[i].size, DT_DESC)) {
			TH_LOG("start %#lx size %#lx", bad[i].start,
			       bad[i].size);
		}
	}
	ASSERT_EQ(0, dt_cmd(self->fd, "resource %lu %lu %lu",
			    h + DT_SUBSECTION, DT_SUBSECTION, DT_DESC));
	EXPECT_EQ(DT_SUBSECTION, bytes(self->fd, 0));
}

TEST_F(add, system_ram)
{
	unsigned long start, end;

	ASSERT_EQ(0, dt_iomem_find("System RAM", &start, &end));
	start = (start + DT_SUBSECTION) & -DT_SUBSECTION;
	EXPECT_EQ(-ENXIO, dt_cmd(self->fd, "resource %lu %lu %lu", start,
				 DT_SUBSECTION, DT_DESC));

	/* Half of it behind the end of RAM. */
	start = (end & -DT_SUBSECTION) - DT_SUBSECTION;
	EXPECT_EQ(-ENXIO, dt_cmd(self->fd, "resource %lu %lu %lu", start,
				 4 * DT_SUBSECTION, DT_DESC));
}

/* Two pagemaps over one address, by each way it can come about. */
TEST_F(add, overlap)
{
	const unsigned long h = self->hole, s = self->section;
	const struct { unsigned long start, size; } over[] = {
		{ h, s }, { h, DT_SUBSECTION },
		{ h + s - DT_SUBSECTION, DT_SUBSECTION },
		{ h + s / 2, DT_SUBSECTION }, { h - s, 2 * s },
		{ h - DT_SUBSECTION, 2 * DT_SUBSECTION },
	};
	size_t i, round;

	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, round ?
			  dt_cmd(self->fd, "resource %lu %lu %lu", h, s, DT_DESC) :
			  dt_cmd(self->fd, "private 1"));
		ASSERT_EQ(h, first_byte(self->fd, 0));
		for (i = 0; i < sizeof(over) / sizeof(*over); i++) {
			EXPECT_EQ(-EBUSY,
				  dt_cmd(self->fd, "resource %lu %lu %lu",
					 over[i].start, over[i].size,
					 DT_DESC)) {
				TH_LOG("start %#lx size %#lx", over[i].start,
				       over[i].size);
			}
		}
		EXPECT_EQ(0, dt_cmd(self->fd, "lookup 0 %lu",
				    h / getpagesize()));

		/* Next to it is free. */
		EXPECT_EQ(0, dt_cmd(self->fd, "resource %lu %lu %lu",
				    h - DT_SUBSECTION, DT_SUBSECTION, DT_DESC));
		EXPECT_EQ(0, dt_cmd(self->fd, "remove 1"));

		/* A range nobody claimed in /proc/iomem looks unused. */
		if (round)
			EXPECT_EQ(-EBUSY, dt_cmd(self->fd, "private 1"));
		EXPECT_EQ(0, dt_cmd(self->fd, "remove 0"));
	}
}

TEST_F(add, rollback)
{
	char traces[DT_STATE];
	int step, ret;

	for (step = 1; step <= 4; step++) {
		ASSERT_EQ(0, dt_fail(step));
		EXPECT_EQ(-ENOMEM, dt_cmd(self->fd, "private 1"));
		dt_traces(traces);
		EXPECT_STREQ(self->before, traces) {
			TH_LOG("step %d", step);
		}
		EXPECT_EQ(0, dt_cmd(self->fd, "private 1"));
		EXPECT_EQ(self->hole, first_byte(self->fd, 0));
		EXPECT_EQ(0, dt_cmd(self->fd, "remove 0"));
	}
	for (step = 1; step <= 4; step++) {
		ASSERT_EQ(0, dt_fail(step));
		ret = dt_cmd(self->fd, "resource %lu %lu %lu", self->hole,
			     self->section, DT_DESC);
		/* There is nothing to search for in a resource. */
		EXPECT_EQ(step == 2 ? 0 : -ENOMEM, ret);
		if (!ret)
			EXPECT_EQ(0, dt_cmd(self->fd, "remove 0"));
		dt_traces(traces);
		EXPECT_STREQ(self->before, traces);
		dt_fail(0);
	}
}

/* Probing that fails after 0, 1, 2 regions leaves nothing with the device. */
TEST_F(add, probe_failure)
{
	char traces[DT_STATE], text[8];
	int after;

	ASSERT_EQ(0, dt_bind("unbind", "devmem_test.1"));
	ASSERT_EQ(0, dm_write_file(DT_PARAM "probe_regions", "3"));
	for (after = 0; after < 4; after++) {
		snprintf(text, sizeof(text), "%d", after);
		ASSERT_EQ(0, dm_write_file(DT_PARAM "probe_fail_after", text));
		EXPECT_EQ(-EIO, dt_bind("bind", "devmem_test.1"));
		dt_traces(traces);
		EXPECT_STREQ(self->before, traces);
	}
	ASSERT_EQ(0, dm_write_file(DT_PARAM "probe_fail_after", "-1"));
	EXPECT_EQ(0, dt_bind("bind", "devmem_test.1"));
	EXPECT_EQ(3, mc_iomem("devmem_test.1"));
	EXPECT_EQ(0, dt_bind("unbind", "devmem_test.1"));
	dt_traces(traces);
	EXPECT_STREQ(self->before, traces);
}

TEST_F(add, page_get)
{
	unsigned long pages = self->section / getpagesize();
	int fd = self->fd;

	ASSERT_EQ(0, dt_cmd(fd, "private 1"));
	EXPECT_EQ(-EINVAL, dt_cmd(fd, "get 0 %lu 0", pages));
	EXPECT_EQ(-EINVAL, dt_cmd(fd, "get 0 %lu 0", -1UL));
	EXPECT_EQ(-EINVAL, dt_cmd(fd, "get 0 0 1"));	/* no free_folio */
	EXPECT_EQ(-EINVAL, dt_cmd(fd, "get 0 0 4000000000"));
	EXPECT_EQ(0, dt_val(fd, "in_use0"));

	EXPECT_EQ(0, dt_cmd(fd, "get 0 0 0"));
	EXPECT_EQ(0, dt_cmd(fd, "get 0 %lu 0", pages - 1));
	EXPECT_EQ(-EBUSY, dt_cmd(fd, "get 0 0 0"));
	EXPECT_EQ(2, dt_val(fd, "in_use0"));
	EXPECT_EQ(0, dt_val(fd, "free_calls"));
	EXPECT_EQ(0, dt_cmd(fd, "put"));
	EXPECT_EQ(0, dt_val(fd, "in_use0"));
	EXPECT_EQ(2, dt_val(fd, "free_calls"));
	EXPECT_EQ(2, dt_region_stat(self->hole, "got_pages"));
	EXPECT_EQ(2, dt_region_stat(self->hole, "freed_pages"));
}

TEST_F(add, folio_get)
{
	int fd = self->fd, ret;

	ASSERT_EQ(0, dm_write_file(DT_PARAM "folio_ops", "1"));
	ASSERT_EQ(0, dt_cmd(fd, "private 1"));
	ret = dt_cmd(fd, "get 0 512 9");
	if (ret == -EINVAL && !dt_kernel_at_least(6, 19))
		SKIP(return, "kernel without large device folios");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(512, dt_val(fd, "in_use0"));
	EXPECT_EQ(-EBUSY, dt_cmd(fd, "get 0 513 0"));
	EXPECT_EQ(-EBUSY, dt_cmd(fd, "get 0 512 9"));
	EXPECT_EQ(-EINVAL, dt_cmd(fd, "get 0 1 9"));
	EXPECT_EQ(-EINVAL, dt_cmd(fd, "get 0 1024 10"));
	EXPECT_EQ(0, dt_cmd(fd, "put"));
	EXPECT_EQ(0, dt_val(fd, "in_use0"));
	EXPECT_EQ(1, dt_val(fd, "free_calls"));

	/* What was a tail a moment ago is a page of its own now, and back. */
	EXPECT_EQ(0, dt_cmd(fd, "get 0 513 0"));
	EXPECT_EQ(-EBUSY, dt_cmd(fd, "get 0 512 9"));
	EXPECT_EQ(0, dt_cmd(fd, "put"));
	EXPECT_EQ(0, dt_cmd(fd, "get 0 512 4"));
	EXPECT_EQ(0, dt_cmd(fd, "get 0 528 0"));
	EXPECT_EQ(17, dt_val(fd, "in_use0"));
	EXPECT_EQ(0, dt_cmd(fd, "put"));
	EXPECT_EQ(0, dt_val(fd, "in_use0"));
}

TEST_F(add, lookup)
{
	unsigned long first, last, start, end;
	int fd = self->fd;

	ASSERT_EQ(0, dt_cmd(fd, "private 1"));
	ASSERT_EQ(0, dt_cmd(fd, "private 1"));
	first = dt_val(fd, "first1");
	last = dt_val(fd, "last1");
	ASSERT_EQ(last, dt_val(fd, "first0"));

	EXPECT_EQ(0, dt_cmd(fd, "lookup 1 %lu", first));
	EXPECT_EQ(0, dt_cmd(fd, "lookup 1 %lu", (first + last) / 2));
	EXPECT_EQ(0, dt_cmd(fd, "lookup 1 %lu", last - 1));
	EXPECT_EQ(-ENOENT, dt_cmd(fd, "lookup 1 %lu", first - 1));
	EXPECT_EQ(-EXDEV, dt_cmd(fd, "lookup 1 %lu", last));

	ASSERT_EQ(0, dt_iomem_find("System RAM", &start, &end));
	EXPECT_EQ(-ENOENT, dt_cmd(fd, "lookup 1 %lu",
				  end / getpagesize() - 1));

	ASSERT_EQ(0, dt_cmd(fd, "remove 0"));
	EXPECT_EQ(-ENOENT, dt_cmd(fd, "lookup 1 %lu", last));
	EXPECT_EQ(0, dt_cmd(fd, "lookup 1 %lu", first));
}

TEST_HARNESS_MAIN
