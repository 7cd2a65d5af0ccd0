// SPDX-License-Identifier: GPL-2.0
/*
 * Window arithmetic against the same in numbers that cannot wrap.
 *
 * Addresses come from all over the address space, with its very ends and the
 * edges of windows most of all.
 */
#include "policy.h"
#include "unit.h"

#define STEPS	200000
#define PAGE	4096UL

static unsigned long random_size(void)
{
	return PAGE << unit_below(20);
}

/* A page-aligned address: anywhere, near either end, or near a window's edge. */
static unsigned long random_addr(unsigned long size)
{
	unsigned long addr = unit_random();
	unsigned long near = unit_below(8) * PAGE;

	switch (unit_below(4)) {
	case 0:
		addr = near;
		break;
	case 1:
		addr = -PAGE - near;
		break;
	case 2:
		addr = addr / size * size + near - 4 * PAGE;
		break;
	}
	return addr & -PAGE;
}

/* Two different page-aligned addresses in order. */
static void random_span(unsigned long size, unsigned long *lo, unsigned long *hi)
{
	unsigned long a, b;

	do {
		a = random_addr(size);
		b = unit_once_in(2) ? random_addr(size) : a + unit_below(64) * PAGE;
	} while (a == b);
	*lo = a < b ? a : b;
	*hi = a < b ? b : a;
}

static void around(void)
{
	unsigned int step;

	for (step = 0; step < STEPS * unit_rounds; step++) {
		unsigned long size = random_size(), lo, hi, addr, start, end;
		__uint128_t first, after;

		random_span(size, &lo, &hi);
		addr = lo + unit_random() % (hi - lo);
		dmirror_policy_around(addr, size, lo, hi, &start, &end);

		first = (__uint128_t)addr / size * size;
		after = first + size;
		CHECK_EQ(start, first > lo ? (unsigned long)first : lo);
		CHECK_EQ(end, after < hi ? (unsigned long)after : hi);
		CHECK(start <= addr && addr < end);
	}
}

static void window_end(void)
{
	unsigned int step;

	for (step = 0; step < STEPS * unit_rounds; step++) {
		unsigned long size = random_size(), addr, end;
		__uint128_t after;

		random_span(size, &addr, &end);
		after = (__uint128_t)addr / size * size + size;
		CHECK_EQ(dmirror_policy_window_end(addr, end, size),
			 after < end ? (unsigned long)after : end);
	}
}

/* Windows follow one another without a gap, and each lies in one leaf. */
static void windows_tile_a_range(void)
{
	unsigned int step;

	for (step = 0; step < 2000 * unit_rounds; step++) {
		unsigned long size = PAGE << unit_below(10);
		unsigned long lo = random_addr(size) / 2 & -PAGE;
		unsigned long hi = lo + (1 + unit_below(64)) * PAGE;
		unsigned long expected = (hi - 1) / size - lo / size + 1;
		unsigned long addr, n = 0;

		for (addr = lo; addr < hi; n++) {
			unsigned long next = dmirror_policy_window_end(addr, hi, size);

			CHECK(next > addr && next <= hi);
			CHECK_EQ((next - 1) / size, addr / size);
			addr = next;
		}
		CHECK_EQ(n, expected);
	}
}

static void top_of_the_address_space(void)
{
	unsigned long top = -PAGE, start, end;

	dmirror_policy_around(top - 1, 16 * PAGE, 0, top, &start, &end);
	CHECK_EQ(start, -16 * PAGE);
	CHECK_EQ(end, top);
	CHECK_EQ(dmirror_policy_window_end(top - PAGE, top, 1UL << 21), top);
}

static void one_page_window(void)
{
	unsigned long start, end;

	dmirror_policy_around(5 * PAGE + 17, PAGE, 0, 64 * PAGE, &start, &end);
	CHECK_EQ(start, 5 * PAGE);
	CHECK_EQ(end, 6 * PAGE);
}

const struct unit_test policy_tests[] = {
	{ "around", around },
	{ "window_end", window_end },
	{ "windows_tile_a_range", windows_tile_a_range },
	{ "top_of_the_address_space", top_of_the_address_space },
	{ "one_page_window", one_page_window },
	{ NULL, NULL },
};
