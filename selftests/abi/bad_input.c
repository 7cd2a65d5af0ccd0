// SPDX-License-Identifier: GPL-2.0
/*
 * Every command with every kind of wrong argument: one error number each, the
 * counters still add up, and process and device work as before.
 *
 * A file of its own (@probe) takes the abuse; the health check after each call
 * uses another, so that flags and leftovers of the first cannot help it.
 */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "dm_harness.h"
#include "targets.h"

/* Large enough for the results of any range used here. */
#define OUT_PAGES	16

FIXTURE(input)
{
	struct dm_ctx	dm;
	int		probe;
	uint8_t		*out;
	struct dm_buf	healthy;
};

DM_VARIANTS(input);

FIXTURE_SETUP(input)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->probe = dm_open(variant->index);
	ASSERT_GE(self->probe, 0);
	self->out = mmap(NULL, OUT_PAGES * DM_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->out);
	ASSERT_EQ(0, dm_buf_anon(&self->healthy, 4, DM_BUF_SMALL));
}

FIXTURE_TEARDOWN(input)
{
	close(self->probe);
	dm_buf_free(&self->healthy);
	dm_teardown(_metadata, &self->dm);
}

/* In, through the device, out again, by a file that did nothing wrong. */
static int usable(int fd, struct dm_buf *b)
{
	int i, ret;

	for (i = 0; i < 5; i++) {
		dm_fill(b->ptr, b->npages, b->ptr, i, DM_CPU);
		ret = dm_to_dev(fd, b->ptr, b->npages, b->mirror, NULL);
		if (ret != -ENOENT)
			break;
	}
	if (ret)
		return ret;
	dm_fill(b->mirror, b->npages, b->ptr, 7, DM_DEV);
	ret = dm_write(fd, b->ptr, b->npages, b->mirror, NULL);
	return ret ? ret : dm_verify(b->ptr, b->npages, b->ptr, 7, DM_DEV, NULL);
}

static int law(struct dm_ctx *dm, char *why)
{
	struct dm_stats s;

	if (!dm->counters)
		return 0;
	return dm_stats_read(dm->index, &s) ? -EIO : dm_stats_law(&s, why);
}

#define EXPECT_HEALTHY(what, cmd) do {					\
	char why_[DM_MSG] = "";						\
									\
	EXPECT_EQ(0, usable(self->dm.fd, &self->healthy)) {		\
		TH_LOG("after %s on %s", command_name[cmd], what);	\
	}								\
	EXPECT_EQ(0, law(&self->dm, why_)) {				\
		TH_LOG("after %s on %s: %s", command_name[cmd], what, why_);\
	}								\
} while (0)

static int issue(int fd, enum command c, const void *addr, uint64_t npages,
		 const void *out, struct hmm_dmirror_cmd *res)
{
	/* The number of pages is the flags here; one of them is valid. */
	if (c == C_FLAGS && npages == T_NPAGES)
		npages = HMM_DMIRROR_FLAG_FAIL_ALLOC;
	return dm_cmd(fd, command_nr[c], addr, npages, out, res);
}

static const char *text(int err)
{
	return err ? strerrorname_np(err) : "0";
}

/* Each command on a fresh range of the kind, with a fresh file. */
TEST_F_TIMEOUT(input, kinds_of_memory, dm_timeout(30))
{
	const struct target *t;
	void *addr;
	int c, fd, ret, want;

	for (t = targets; t->name; t++) {
		for (c = 0; c < C_COUNT; c++) {
			fd = dm_open(variant->index);
			ASSERT_GE(fd, 0);
			addr = t->make(fd);
			if (addr == MAP_FAILED && errno == ENOSYS) {
				TH_LOG("this kernel has no %s", t->name);
				close(fd);
				break;
			}
			ASSERT_NE(MAP_FAILED, addr) {
				TH_LOG("no %s", t->name);
			}
			ret = issue(fd, c, addr, T_NPAGES, self->out, NULL);
			want = c == C_EXCLUSIVE && !can_exclusive() ?
			       EOPNOTSUPP : t->err[c];
			EXPECT_EQ(-want, ret) {
				TH_LOG("%s on %s: %s, not %s", command_name[c],
				       t->name, text(-ret), text(want));
			}
			close(fd);
			EXPECT_HEALTHY(t->name, c);
		}
	}
}

/*
 * Beyond any mapping: with 4 levels of page tables, or with 5, where memory is above
 * 47 bits for those who ask for an address there.
 */
static uint64_t last_pages(void)
{
	void *high = (void *)(1ULL << 48), *p;

	p = mmap(high, DM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	munmap(p, DM_PAGE);
	return p == high ? 0xfffffffffff000ULL : 0x7ffffffff000ULL;
}

/* Arguments that no memory could make right: EINVAL for every command. */
TEST_F_TIMEOUT(input, impossible_ranges, dm_timeout(30))
{
	uint8_t *p = target_named("anonymous memory")->make(-1);
	const struct {
		const char *name;
		uint64_t addr, npages;
	} bad[] = {
		{ "an unaligned address", (uintptr_t)p + 1, T_NPAGES },
		{ "an unaligned address", (uintptr_t)p + DM_PAGE - 8, T_NPAGES },
		{ "no pages", (uintptr_t)p, 0 },
		{ "a length that overflows to 0", (uintptr_t)p, 1ULL << 52 },
		{ "a length that overflows to 4 pages", (uintptr_t)p,
		  (1ULL << 52) + T_NPAGES },
		{ "the longest length", (uintptr_t)p, ~0ULL },
		{ "an end that wraps", (uintptr_t)p, (1ULL << 52) - 1 },
		{ "a kernel address", 0xffff888000000000ULL, T_NPAGES },
		{ "the last page there is", ~0ULL << 12, 1 },
		{ "the end of the address space", last_pages(), T_NPAGES },
		{ "address 0 to the end", 0, 1ULL << 51 },
	};
	struct hmm_dmirror_cmd res;
	unsigned int i;
	int c, ret, want;

	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (c = 0; c < C_COUNT; c++) {
			ret = dm_cmd(self->probe, command_nr[c],
				     (void *)bad[i].addr, bad[i].npages,
				     self->out, &res);
			/* FLAGS takes no range, and 0 and 1 are fine there. */
			want = c == C_FLAGS && dm_ours() && bad[i].npages <= 1 ?
			       0 : -EINVAL;
			EXPECT_EQ(want, ret) {
				TH_LOG("%s with %s", command_name[c],
				       bad[i].name);
			}
			/* Untouched, or nothing done: never a false number. */
			EXPECT_TRUE(res.cpages == DM_UNSET || !res.cpages);
			EXPECT_HEALTHY(bad[i].name, c);
		}
	}
}

TEST_F(input, unknown_flags)
{
	uint64_t flags[] = { 2, 3, 4, 1 << 16, 1ULL << 40 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(-EINVAL, dm_cmd(self->probe, HMM_DMIRROR_FLAGS,
					  self->healthy.ptr, flags[i], NULL,
					  NULL)) {
			TH_LOG("flags %#llx", (unsigned long long)flags[i]);
		}
	}
	EXPECT_HEALTHY("unknown flags", C_FLAGS);
}

/* Numbers around the known ones, with every size and direction. */
TEST_F(input, unknown_commands)
{
	unsigned int dir, nr, size, i;
	const unsigned int sizes[] = { 0, 8, 39, 40, 41, 48, 16383 };
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)self->healthy.ptr,
		.ptr = (uintptr_t)self->out,
		.npages = T_NPAGES,
		.cpages = DM_UNSET,
		.faults = DM_UNSET,
	};
	uint8_t *room = self->out;
	unsigned long request;

	for (dir = 0; dir < 4; dir++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			for (nr = 0; nr < 16; nr++) {
				size = sizes[i];
				request = _IOC(dir, 'H', nr, size);
				if (dir == (_IOC_READ | _IOC_WRITE) &&
				    size == sizeof(cmd) && nr < C_COUNT)
					continue;
				memcpy(room, &cmd, sizeof(cmd));
				errno = 0;
				EXPECT_EQ(-1, ioctl(self->probe, request, room));
				EXPECT_EQ(EINVAL, errno) {
					TH_LOG("request %#lx", request);
				}
				/* Not ours, so nothing of it was written. */
				EXPECT_EQ(0, memcmp(room, &cmd, sizeof(cmd))) {
					TH_LOG("request %#lx wrote", request);
				}
			}
		}
	}
	EXPECT_EQ(-1, ioctl(self->probe, _IOWR('h', 0, cmd), &cmd));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_HEALTHY("an unknown command", C_READ);
}

TEST_HARNESS_MAIN
