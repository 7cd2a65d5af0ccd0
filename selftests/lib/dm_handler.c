// SPDX-License-Identifier: GPL-2.0
/*
 * Owns: a userfaultfd and the thread that answers its faults. Does not own the
 * range that is watched, nor what is handed out. Takes no locks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>

#include "dm_handler.h"

int dm_uffd_open(__u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

int dm_uffd_watch(int fd, struct dm_buf *b, __u64 mode)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)b->ptr, .len = b->size },
		.mode = mode,
	};

	return ioctl(fd, UFFDIO_REGISTER, &reg) ? -errno : 0;
}

int dm_uffd_protect(int fd, void *addr, unsigned long npages, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)addr,
			   .len = npages * DM_PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

static void resolve(struct dm_handler *h, const struct uffd_msg *msg)
{
	__u64 addr = msg->arg.pagefault.address & ~(DM_PAGE - 1);
	__u64 offset = addr - (uintptr_t)h->b->ptr;
	bool *protect = h->protect ? h->protect + offset / DM_PAGE : NULL;
	bool wp = protect && __atomic_load_n(protect, __ATOMIC_SEQ_CST);
	struct uffdio_copy copy = {
		.dst = addr, .src = (uintptr_t)h->source + offset,
		.len = DM_PAGE, .mode = wp ? UFFDIO_COPY_MODE_WP : 0,
	};
	struct uffdio_continue cont = {
		.range = { .start = addr, .len = DM_PAGE },
		.mode = wp ? UFFDIO_CONTINUE_MODE_WP : 0,
	};

	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
		__atomic_add_fetch(&h->wp_events, 1, __ATOMIC_SEQ_CST);
		/* Before the writer goes on. */
		if (protect)
			__atomic_store_n(protect, false, __ATOMIC_SEQ_CST);
		dm_uffd_protect(h->uffd, (void *)addr, 1, false);
	} else if (h->minor) {
		ioctl(h->uffd, UFFDIO_CONTINUE, &cont);
	} else {
		ioctl(h->uffd, UFFDIO_COPY, &copy);
	}
}

static void *handle(void *arg)
{
	struct dm_handler *h = arg;
	struct pollfd fds[2] = {
		{ .fd = h->uffd, .events = POLLIN },
		{ .fd = h->stop[0], .events = POLLIN },
	};
	struct uffd_msg msg;

	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		if (read(h->uffd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		__atomic_add_fetch(&h->events, 1, __ATOMIC_SEQ_CST);
		if (!h->ignore)
			resolve(h, &msg);
	}
	return NULL;
}

int dm_handler_start(struct dm_handler *h, struct dm_buf *b)
{
	h->b = b;
	if (pipe(h->stop))
		return -errno;
	return -pthread_create(&h->thread, NULL, handle, h);
}

void dm_handler_stop(struct dm_handler *h)
{
	if (write(h->stop[1], "", 1) == 1)
		pthread_join(h->thread, NULL);
	close(h->stop[0]);
	close(h->stop[1]);
}
