// SPDX-License-Identifier: GPL-2.0
/*
 * Code and stacks on device-private pages: an instruction fetch is a CPU fault
 * like any other, and a thread can send away the stack it stands on.
 * Owns its buffers; no locks.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "stage.h"

#define NPAGES	16UL

FIXTURE(cf_exec) {
	struct dm_ctx dm;
	struct dm_buf b;
};

FIXTURE_SETUP(cf_exec)
{
	STAGE_PRIVATE(&self->dm);
	ASSERT_EQ(0, dm_buf_map(&self->b, NPAGES,
				PROT_READ | PROT_WRITE | PROT_EXEC,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

FIXTURE_TEARDOWN(cf_exec)
{
	dm_buf_free(&self->b);
	stage_teardown(_metadata, &self->dm);
}

/* Machine code of a function that returns @val; false: not this machine. */
static bool emit_return(__u8 *at, __u32 val)
{
#if defined(__x86_64__)
	at[0] = 0xb8;			/* mov $val, %eax */
	memcpy(at + 1, &val, 4);
	at[5] = 0xc3;			/* ret */
	return true;
#elif defined(__aarch64__)
	__u32 code[] = {
		0x52800000 | (val & 0xffff) << 5,	/* mov w0, #low */
		0x72a00000 | (val >> 16) << 5,		/* movk w0, #high */
		0xd65f03c0,				/* ret */
	};

	memcpy(at, code, sizeof(code));
	return true;
#else
	return false;
#endif
}

static __u32 call(__u8 *at)
{
	__u32 (*fn)(void) = (void *)at;

	__builtin___clear_cache((char *)at, (char *)at + 16);
	return fn();
}

/* Calling a function whose page is on the device brings the page back. */
TEST_F(cf_exec, fetch)
{
	unsigned long i;

	for (i = 0; i < NPAGES; i++) {
		if (!emit_return(self->b.ptr + i * DM_PAGE, 1000 + i))
			SKIP(return, "no code generator for this machine");
	}
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, NPAGES,
			       self->b.mirror, NULL));
	ASSERT_ALL(self->dm.fd, self->b.ptr, NPAGES, DM_ON_DEV);
	for (i = 0; i < NPAGES; i++) {
		ASSERT_EQ(1000 + i, call(self->b.ptr + i * DM_PAGE));
		ASSERT_ALL(self->dm.fd, self->b.ptr + i * DM_PAGE, 1, DM_SYS);
	}
	if (self->dm.counters)
		ASSERT_EQ(NPAGES, stage_delta(&self->dm, "cpu_fault_pages"));
}

/* An execute-only-by-name mapping without write permission works as well. */
TEST_F(cf_exec, fetch_read_only)
{
	if (!emit_return(self->b.ptr, 31))
		SKIP(return, "no code generator for this machine");
	ASSERT_EQ(0, mprotect(self->b.ptr, NPAGES * DM_PAGE,
			      PROT_READ | PROT_EXEC));
	ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, 1, self->b.mirror,
			       NULL));
	ASSERT_ALL(self->dm.fd, self->b.ptr, 1, DM_ON_DEV);
	ASSERT_EQ(31, call(self->b.ptr));
	ASSERT_ALL(self->dm.fd, self->b.ptr, 1, DM_SYS);
}

/* Code the device rewrote is the code that runs. */
TEST_F(cf_exec, device_patches_code)
{
	__u8 *code = self->b.mirror;
	__u32 i;

	if (!emit_return(self->b.ptr, 0))
		SKIP(return, "no code generator for this machine");
	for (i = 1; i <= 8; i++) {
		ASSERT_EQ(0, dm_to_dev(self->dm.fd, self->b.ptr, 1, code,
				       NULL));
		emit_return(code, i);
		ASSERT_EQ(0, dm_write(self->dm.fd, self->b.ptr, 1, code, NULL));
		ASSERT_ALL(self->dm.fd, self->b.ptr, 1, DM_ON_DEV);
		ASSERT_EQ(i, call(self->b.ptr));
	}
}

static struct {
	ucontext_t	home, away;
	int		fd;
	__u8		*stack;
	void		*mirror;
	int		rounds, ret;
	/* Called through a pointer, so that every level has a frame. */
	__u64		(*volatile descend)(int depth);
	__u64	sum;
} walk;

/* Each level sends the whole stack to the device and looks at its locals. */
static __u64 descend(int depth)
{
	volatile __u64 local[64];
	int i;

	for (i = 0; i < 64; i++)
		local[i] = depth * 100 + i;
	walk.ret |= dm_to_dev(walk.fd, walk.stack, NPAGES, walk.mirror, NULL);
	walk.rounds++;
	if (depth)
		walk.sum += walk.descend(depth - 1);
	for (i = 0; i < 64; i++) {
		if (local[i] != depth * 100 + i)
			walk.ret |= 1;
	}
	return local[63];
}

static void walker(void)
{
	walk.sum += walk.descend(10);
}

/* A thread migrates the stack it is running on, frame after frame. */
TEST_F(cf_exec, own_stack)
{
	__u64 want = 0;
	int i;

	walk.descend = descend;
	walk.fd = self->dm.fd;
	walk.stack = self->b.ptr;
	walk.mirror = self->b.mirror;
	/* Populate: an untouched page has nothing to move. */
	memset(self->b.ptr, 0, NPAGES * DM_PAGE);
	ASSERT_EQ(0, getcontext(&walk.away));
	walk.away.uc_stack.ss_sp = self->b.ptr;
	walk.away.uc_stack.ss_size = NPAGES * DM_PAGE;
	walk.away.uc_link = &walk.home;
	makecontext(&walk.away, walker, 0);
	ASSERT_EQ(0, swapcontext(&walk.home, &walk.away));
	for (i = 0; i <= 10; i++)
		want += i * 100 + 63;
	ASSERT_EQ(0, walk.ret);
	ASSERT_EQ(11, walk.rounds);
	ASSERT_EQ(want, walk.sum);
}

TEST_HARNESS_MAIN
