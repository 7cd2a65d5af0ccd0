// SPDX-License-Identifier: GPL-2.0
/*
 * The shape of commands: structures shorter and longer than the kernel's, numbers
 * and directions that are wrong, programs of 32 bits.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <xf86drm.h>
#include "dm_drm_harness.h"
#include "layout.h"

#define NPAGES	16UL

DMD_FIXTURE(abi);

/* A command with the structure of another size. */
static unsigned long resized(unsigned long request, unsigned int size)
{
	return _IOC(_IOC_DIR(request), _IOC_TYPE(request), _IOC_NR(request), size);
}

/* A program older than a field: it is 0 on the way in, and not written back. */
TEST_F(abi, shorter)
{
	struct drm_hmm_dmirror_migrate arg = { 0 };
	unsigned long request = resized(DRM_IOCTL_HMM_DMIRROR_MIGRATE,
					offsetof(struct drm_hmm_dmirror_migrate,
						 pages[2]));
	struct dm_buf b;
	int i;

	ASSERT_EQ(0, dm_buf_anon(&b, NPAGES, DM_BUF_SMALL));
	dm_fill(b.ptr, NPAGES, b.ptr, 1, DM_CPU);
	arg.start = (uintptr_t)b.ptr;
	arg.length = b.size;
	arg.dest = HMM_DMIRROR_DEST_VRAM;
	memset(arg.pages, 0xee, sizeof(arg.pages));
	EXPECT_EQ(0, dmd_ioctl(self->drm, request, &arg));
	EXPECT_EQ(0, arg.pages[HMM_DMIRROR_PAGE_UNTRIED]);
	EXPECT_EQ(NPAGES, arg.pages[HMM_DMIRROR_PAGE_MOVED]);
	for (i = 2; i < 16; i++)
		EXPECT_EQ(0xeeeeeeeeeeeeeeeeULL, arg.pages[i]);

	/* Without @dest and all after it: the default is to go to system memory. */
	request = resized(DRM_IOCTL_HMM_DMIRROR_MIGRATE,
			  offsetof(struct drm_hmm_dmirror_migrate, dest));
	EXPECT_EQ(0, dmd_ioctl(self->drm, request, &arg));
	EXPECT_ALL(self->dm.fd, b.ptr, NPAGES, DM_SYS);

	/* Without anything at all: an empty range. */
	EXPECT_EQ(-EINVAL,
		  dmd_ioctl(self->drm, resized(DRM_IOCTL_HMM_DMIRROR_MIGRATE, 0),
			    &arg));
	dm_buf_free(&b);
}

/* A program younger than the kernel: what the kernel does not know stays as it is. */
TEST_F(abi, longer)
{
	struct {
		struct drm_hmm_dmirror_get_param arg;
		__u64 more[100];
	} big = { .arg.param = HMM_DMIRROR_PARAM_DEVICE };
	int i;

	for (i = 0; i < 100; i++)
		big.more[i] = i + 1;
	EXPECT_EQ(0, dmd_ioctl(self->drm,
			       resized(DRM_IOCTL_HMM_DMIRROR_GET_PARAM, sizeof(big)),
			       &big));
	EXPECT_EQ(self->dm.index, big.arg.value);
	for (i = 0; i < 100; i++)
		EXPECT_EQ(i + 1, big.more[i]);
}

TEST_F(abi, not_a_command)
{
	unsigned long nr;
	__u64 arg[32] = { 0 };

	for (nr = DRM_COMMAND_BASE + DRM_HMM_DMIRROR_INJECT + 1;
	     nr < DRM_COMMAND_END; nr++)
		EXPECT_EQ(-EINVAL, dmd_ioctl(self->drm, DRM_IOWR(nr, arg), arg));
	EXPECT_EQ(-ENOTTY, dmd_ioctl(self->drm, _IOWR('D', 0x40, arg), arg));
	EXPECT_EQ(-EFAULT, dmd_ioctl(self->drm, DRM_IOCTL_HMM_DMIRROR_GET_PARAM,
				     NULL));
	/* Of the core, and not for render nodes. */
	EXPECT_EQ(-EACCES, dmd_ioctl(self->drm, DRM_IOCTL_GET_UNIQUE, arg));
}

/* What others have and this driver has not; the core does not always ask first. */
TEST_F(abi, no_buffers)
{
	struct drm_prime_handle prime = { .handle = 1, .flags = DRM_CLOEXEC };
	struct drm_gem_close gem = { .handle = 1 };

	EXPECT_EQ(-EOPNOTSUPP, dmd_ioctl(self->drm, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime));
	prime = (struct drm_prime_handle){ .fd = self->drm };
	EXPECT_EQ(-EOPNOTSUPP, dmd_ioctl(self->drm, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime));
	EXPECT_EQ(-EOPNOTSUPP, dmd_ioctl(self->drm, DRM_IOCTL_GEM_CLOSE, &gem));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, DM_PAGE, PROT_READ, MAP_SHARED, self->drm, 0));
}

/* Numbers of the core with nothing and with nonsense: whatever it says, it lives. */
TEST_F(abi, core)
{
	unsigned char arg[1024];
	struct dm_buf b;
	unsigned long nr;
	int fill;

	ASSERT_EQ(0, dm_buf_anon(&b, 1, DM_BUF_SMALL));
	for (fill = 0; fill <= 0xff; fill += 0x55)
		for (nr = 0; nr <= 0xff; nr++) {
			if (nr >= DRM_COMMAND_BASE && nr < DRM_COMMAND_END)
				continue;
			/* Of these the core wants as much memory as it is told to. */
			if (nr >= _IOC_NR(DRM_IOCTL_SYNCOBJ_CREATE))
				continue;
			memset(arg, fill, sizeof(arg));
			ioctl(self->drm, DRM_IOWR(nr, arg), arg);
		}
	/* The runner looks at the kernel's log. */
	EXPECT_EQ(0, dmd_to_vram(self->drm, b.ptr, b.size));
	dm_buf_free(&b);
}

#ifdef __x86_64__
/* The system call as a program of 32 bits makes it; @arg lies below 4 GiB. */
static int ioctl32(int fd, unsigned int request, void *arg)
{
	int ret;

	asm volatile("int $0x80" : "=a" (ret)
		     : "a" (54), "b" (fd), "c" (request),
		       "d" ((unsigned int)(uintptr_t)arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

TEST_F(abi, of_32_bits)
{
	struct drm_hmm_dmirror_get_param *param;
	struct drm_hmm_dmirror_migrate *move;
	struct drm_hmm_dmirror_query *query;
	struct drm_hmm_dmirror_stats *stats;
	struct drm_hmm_dmirror_submit *submit;
	struct drm_hmm_dmirror_job *job;
	char *low;
	__u64 *word;
	int ret;

	low = mmap(NULL, 2 * DM_PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, low);
	param = (void *)low;
	param->param = HMM_DMIRROR_PARAM_DEVICE;
	param->value = ~0ULL;
	/* Without the emulation the kernel has no such gate. */
	if (access("/proc/sys/abi/vsyscall32", F_OK))
		SKIP(return, "no programs of 32 bits on this kernel");
	ret = ioctl32(self->drm, DRM_IOCTL_HMM_DMIRROR_GET_PARAM, param);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(self->dm.index, param->value);

	move = (void *)low;
	memset(move, 0, sizeof(*move));
	move->start = (uintptr_t)low + DM_PAGE;
	move->length = DM_PAGE;
	move->dest = HMM_DMIRROR_DEST_VRAM;
	EXPECT_EQ(0, ioctl32(self->drm, DRM_IOCTL_HMM_DMIRROR_MIGRATE, move));
	EXPECT_EQ(1, move->pages[HMM_DMIRROR_PAGE_MOVED]);
	EXPECT_ALL(self->dm.fd, low + DM_PAGE, 1, DM_ON_DEV);
	move->flags = 2;
	EXPECT_EQ(-EINVAL, ioctl32(self->drm, DRM_IOCTL_HMM_DMIRROR_MIGRATE, move));

	/* Those that have pointers in them. */
	word = (void *)(low + DM_PAGE - 64);
	query = (void *)low;
	*query = (struct drm_hmm_dmirror_query){
		.start = (uintptr_t)low + DM_PAGE, .length = DM_PAGE,
		.pages = (uintptr_t)word,
	};
	EXPECT_EQ(0, ioctl32(self->drm, DRM_IOCTL_HMM_DMIRROR_QUERY, query));
	EXPECT_EQ(1, query->nr_pages);
	EXPECT_EQ(HMM_DMIRROR_QUERY_VRAM, HMM_DMIRROR_QUERY_LOCATION(*word));

	stats = (void *)low;
	*stats = (struct drm_hmm_dmirror_stats){
		.values = (uintptr_t)word, .count = 1,
		.scope = HMM_DMIRROR_STATS_DEVICE,
	};
	*word = ~0ULL;
	EXPECT_EQ(0, ioctl32(self->drm, DRM_IOCTL_HMM_DMIRROR_STATS, stats));
	EXPECT_NE(~0ULL, *word);

	submit = (void *)low;
	job = (void *)(low + 1024);
	*job = (struct drm_hmm_dmirror_job){
		.op = HMM_DMIRROR_JOB_FILL, .dst = (uintptr_t)low + DM_PAGE,
		.length = DM_PAGE, .value = 0x0123456789abcdefULL,
	};
	*submit = (struct drm_hmm_dmirror_submit){
		.jobs = (uintptr_t)job, .nr_jobs = 1,
	};
	EXPECT_EQ(0, ioctl32(self->drm, DRM_IOCTL_HMM_DMIRROR_SUBMIT, submit));
	EXPECT_EQ(0, dmd_wait(self->drm, 0, submit->seqno, 60000, &ret));
	EXPECT_EQ(0, ret);
	EXPECT_EQ(job->value, *(__u64 *)(low + DM_PAGE));
	munmap(low, 2 * DM_PAGE);
}
#endif

TEST_HARNESS_MAIN
