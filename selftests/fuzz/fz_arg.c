// SPDX-License-Identifier: GPL-2.0
/*
 * What the numbers in an input stand for: addresses, lengths, values, files. Mostly
 * good ones, and those around which mistakes are made. Never memory of the fuzzer
 * itself that could be written.
 */
#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <kselftest.h>
#include "fuzz.h"

#define FZ_TASK_SIZE	0x7ffffffff000UL

/* The upper four bits of a number say what the rest is. */
#define FZ_CLASS(arg)	((arg) >> 12)
#define FZ_REST(arg)	((arg) & 0xfffU)

static const __u64 fz_odd_addrs[] = {
	0, 1, DM_PAGE, FZ_TASK_SIZE - DM_PAGE, FZ_TASK_SIZE, FZ_TASK_SIZE + DM_PAGE,
	1ULL << 47, 1ULL << 56, 1ULL << 63, ~0ULL, ~0ULL << 12, ~0ULL - 7,
	0xffffffffff600000ULL, 0xffff888000000000ULL, 0xffffffff81000000ULL,
	FZ_BASE - DM_PAGE, FZ_END - DM_PAGE, 1ULL << 32, (1ULL << 32) - DM_PAGE,
};

static const __u64 fz_odd_lengths[] = {
	0, 1, DM_PAGE - 1, DM_PAGE + 1, DM_2M, DM_2M + DM_PAGE, FZ_AREA_SIZE, FZ_STRIDE,
	1ULL << 32, (1ULL << 32) + DM_PAGE, 1ULL << 40, FZ_TASK_SIZE, 1ULL << 47, 1ULL << 63,
	~0ULL, ~0ULL << 12, -FZ_BASE, -FZ_BASE - DM_PAGE, FZ_TASK_SIZE - FZ_BASE, 64ULL << 30,
};

static const __u64 fz_odd_counts[] = {
	0, 1ULL << 20, 1ULL << 32, 1ULL << 52, (1ULL << 52) + 1, (1ULL << 52) - 1,
	1ULL << 63, ~0ULL, -(FZ_BASE >> 12), 1ULL << 35, (1ULL << 51) - 1, 16ULL << 18,
};

__u64 fz_addr(__u16 arg)
{
	unsigned int class = FZ_CLASS(arg), rest = FZ_REST(arg);

	if (class < 8) {
		/* Pages; words; bytes next to the border of a word, or a page. */
		if (class < 4)
			return FZ_BASE + class * FZ_STRIDE + rest * DM_PAGE;
		return FZ_BASE + (class & 1) * FZ_STRIDE + (rest >> 5) * DM_PAGE +
		       (rest & 31) * 8 - (class >= 6);
	}
	if (class < 10)
		return FZ_SCRATCH + rest % 128 * 8;
	if (class == 10)
		return FZ_TEXT;
	if (class == 11)
		return getauxval(AT_SYSINFO_EHDR) + (rest % 8 - 4) * DM_PAGE;
	return fz_odd_addrs[rest % ARRAY_SIZE(fz_odd_addrs)];
}

__u64 fz_len(__u16 arg)
{
	switch (FZ_CLASS(arg)) {
	case 0 ... 7:
		return FZ_REST(arg) * DM_PAGE;
	case 8 ... 11:
		return FZ_REST(arg);
	default:
		return fz_odd_lengths[FZ_REST(arg) % ARRAY_SIZE(fz_odd_lengths)];
	}
}

__u64 fz_count(__u16 arg)
{
	return FZ_CLASS(arg) < 12 ? FZ_REST(arg) :
		fz_odd_counts[FZ_REST(arg) % ARRAY_SIZE(fz_odd_counts)];
}

__u64 fz_value(__u16 arg)
{
	__u64 rest = FZ_REST(arg);

	switch (FZ_CLASS(arg)) {
	case 1:
		return 1ULL << (rest & 63);
	case 2:
		return ~rest;
	case 3:
		return (1ULL << (rest & 63)) - 1;
	case 4:
		return rest | 1ULL << 63;
	case 5:
		return rest * 0x9e3779b97f4a7c15ULL;
	case 6:
		return rest << 32;
	case 7:
		return rest << 12;
	default:
		return rest;
	}
}

__u32 fz_flags(__u16 arg)
{
	return FZ_CLASS(arg) < 8 ? FZ_REST(arg) : 1U << (arg & 31);
}

static unsigned int fz_pick_page(__u64 r)
{
	static const unsigned int pages[] = { 0, 0, 1, 8, 15, 16, 100, 510, 511, 512, 513,
					      600, 1000, 1023, 1024 };

	return r & 3 ? pages[(r >> 2) % ARRAY_SIZE(pages)] : (r >> 2) % 1040;
}

__u16 fz_arg(__u64 *rng, enum fz_type type)
{
	__u64 r = fz_random(rng), more = r >> 16;
	unsigned int dice = r & 15;

	switch (type) {
	case FZ_NONE:
		return 0;
	case FZ_FILE:
		return more & (dice ? 1 : 7);
	case FZ_ADDR:
		if (dice < 11)
			return (r >> 8 & 1) << 12 | fz_pick_page(more);
		return more & 0xffff;
	case FZ_LEN:
	case FZ_COUNT:
		if (dice < 8)
			return 1 + more % 16;
		if (dice < 11)
			return fz_pick_page(more);
		/* The odd ones, of both types. */
		return dice < 14 ? 12 << 12 | more % 24 : more & 0xffff;
	case FZ_VALUE:
		return dice < 9 ? more & 15 : more & 0xffff;
	case FZ_FLAGS:
		return dice < 13 ? 0 : dice < 15 ? more & 3 : more & 0xffff;
	case FZ_SMALL:
		return more & 15;
	}
	return 0;
}

static int fz_open(struct fz_actor *a, unsigned int i)
{
	int *fd = &a->proc->fd[i];

	if (*fd < 0) {
		*fd = i < FZ_DEVICES ? dm_open(i) : dmd_open(i - FZ_DEVICES);
		if (*fd >= 0)
			fcntl(*fd, F_SETFL, O_NONBLOCK);
	}
	/* Where there is only one kind of device, it takes all. */
	if (*fd < 0 && i % FZ_DEVICES && i % FZ_DEVICES != 2)
		return fz_open(a, i < FZ_DEVICES ? 0 : FZ_DEVICES);
	return *fd < 0 ? -1 : *fd;
}

int fz_chardev(struct fz_actor *a, __u16 arg)
{
	return fz_open(a, arg % FZ_DEVICES);
}

int fz_drm(struct fz_actor *a, __u16 arg)
{
	return fz_open(a, FZ_DEVICES + arg % FZ_DEVICES);
}

int fz_file(struct fz_actor *a, __u16 arg)
{
	return fz_open(a, arg % FZ_FILES);
}
