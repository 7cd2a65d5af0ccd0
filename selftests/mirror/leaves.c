// SPDX-License-Identifier: GPL-2.0
/*
 * The memory a file may cost the kernel: translations are dropped when there are
 * many, and where they cannot be there is an end to it, which is an error and
 * not the end of the machine's memory.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>
#include "dm_harness.h"
#include "scene.h"

/* Pieces of 2 MiB a file has translations of at most. */
#define LIMIT		8192UL
/* More pieces than that. */
#define PIECES		(LIMIT + 64)

FIXTURE(mirror)
{
	struct dm_ctx	dm;
	__u8		*room;		/* address space, nothing else */
	__u8		*out;
};

DM_VARIANTS(mirror);

FIXTURE_SETUP(mirror)
{
	dm_setup(_metadata, &self->dm, variant->index, variant->peer);
	if (_metadata->exit_code)
		return;
	self->out = malloc(DM_PAGE);
	self->room = mmap(NULL, (PIECES + 1) * DM_2M, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->room);
	ASSERT_EQ(0, madvise(self->room, (PIECES + 1) * DM_2M, MADV_NOHUGEPAGE));
}

FIXTURE_TEARDOWN(mirror)
{
	if (self->room)
		munmap(self->room, (PIECES + 1) * DM_2M);
	free(self->out);
	dm_teardown(_metadata, &self->dm);
}

struct blocked {
	int	fd;
	__u8	*page;
	__u8	out[DM_PAGE];
};

static void *read_one(void *arg)
{
	struct blocked *b = arg;

	dm_read(b->fd, b->page, 1, b->out, NULL);
	return NULL;
}

/* Watches one page; a device that reads it waits until the file is closed. */
static int never_supplied(void *page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)page, .len = DM_PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && !ioctl(fd, UFFDIO_API, &api) &&
	    !ioctl(fd, UFFDIO_REGISTER, &reg))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * While one command waits for a userfaultfd handler, others look at memory that
 * is not even there. That ends with ENOMEM; afterwards all is well again.
 */
TEST_F(mirror, holes_beside_a_blocked_command)
{
	struct blocked b = { .fd = self->dm.fd };
	struct uffd_msg msg;
	unsigned long n = 0;
	pthread_t thread;
	int uffd, ret;

	if (!sc_kernel_has("hmm_range_fault_unlocked_timeout"))
		SKIP(return, "a device fault cannot wait for a handler here");
	b.page = mmap(NULL, DM_PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, b.page);
	uffd = never_supplied(b.page);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	ASSERT_EQ(0, mprotect(self->room, (PIECES + 1) * DM_2M, PROT_NONE));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_one, &b));
	while (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		sched_yield();

	do {
		ret = dm_read(self->dm.fd, self->room + n * DM_2M, 1, self->out,
			      NULL);
	} while (ret == -EFAULT && ++n < PIECES);
	EXPECT_EQ(-ENOMEM, ret);
	EXPECT_EQ(LIMIT - 1, n);

	close(uffd);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_MOVED_MIN(&self->dm, "leaves_pruned", n / 2);
	EXPECT_EQ(-EFAULT, dm_read(self->dm.fd, self->room + n * DM_2M, 1,
				   self->out, NULL));
	munmap(b.page, DM_PAGE);
}

/* Translations of exclusive pages are never dropped; these have an end, too. */
TEST_F(mirror, exclusive_everywhere)
{
	unsigned long i, n;
	int ret = 0;

	if (!dm_node_exists(DM_PRIVATE0))
		SKIP(return, "this kernel has no exclusive device access");
	for (n = 0; n < PIECES; n++) {
		ret = dm_exclusive(self->dm.fd, self->room + n * DM_2M, 1,
				   self->out, NULL);
		if (ret)
			break;
	}
	EXPECT_EQ(-ENOMEM, ret);
	EXPECT_EQ(LIMIT, n);
	EXPECT_EQ(-EPERM, dm_check_exclusive(self->dm.fd, self->room, 1));

	/* The CPU takes them back: there is room again. */
	for (i = 0; i < n; i++)
		self->room[i * DM_2M] = 1;
	EXPECT_EQ(0, dm_check_exclusive(self->dm.fd, self->room, n * DM_2M_PAGES));
	EXPECT_EQ(0, dm_exclusive(self->dm.fd, self->room + n * DM_2M, 1,
				  self->out, NULL));
}

TEST_HARNESS_MAIN
