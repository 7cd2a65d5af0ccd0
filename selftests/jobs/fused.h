/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file system in this process: one file, whose pages come when the test says so.
 */
#ifndef SELFTESTS_JOBS_FUSED_H
#define SELFTESTS_JOBS_FUSED_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <linux/fuse.h>

#define FUSED_SIZE	(16 * DM_PAGE)
#define FUSED_HELD	64

/**
 * struct fused - a mounted file system and its server
 * @dir: where it is mounted
 * @conn: connection to the kernel
 * @hold: requests to read are not answered
 * @reads: how many there were
 * @held: those that wait
 * @size: bytes they want
 * @nr_held: how many
 */
struct fused {
	char		dir[64];
	int		conn;
	volatile bool	hold;
	volatile int	reads;
	__u64		held[FUSED_HELD];
	__u32		size[FUSED_HELD];
	int		nr_held;
	/* private: */
	pthread_mutex_t	lock;
	pthread_t	thread;
};

static inline void fused_answer(struct fused *f, __u64 unique, int error,
				const void *data, size_t len)
{
	char buf[sizeof(struct fuse_out_header) + FUSED_SIZE] = { 0 };
	struct fuse_out_header head = {
		.len = sizeof(head) + len, .error = error, .unique = unique,
	};

	memcpy(buf, &head, sizeof(head));
	if (data)
		memcpy(buf + sizeof(head), data, len);
	/* A request may have been interrupted meanwhile. */
	if (write(f->conn, buf, head.len) < 0)
		return;
}

static inline struct fuse_attr fused_attr(__u64 node)
{
	bool dir = node == FUSE_ROOT_ID;

	return (struct fuse_attr) {
		.ino = node, .size = dir ? 0 : FUSED_SIZE, .nlink = 1,
		.mode = dir ? S_IFDIR | 0755 : S_IFREG | 0666, .blksize = DM_PAGE,
	};
}

static inline void fused_read(struct fused *f, __u64 unique, __u32 size)
{
	bool now;

	if (size > FUSED_SIZE)
		size = FUSED_SIZE;
	pthread_mutex_lock(&f->lock);
	f->reads++;
	now = !f->hold || f->nr_held == FUSED_HELD;
	if (!now) {
		f->held[f->nr_held] = unique;
		f->size[f->nr_held++] = size;
	}
	pthread_mutex_unlock(&f->lock);
	if (now)
		fused_answer(f, unique, 0, NULL, size);
}

static inline void fused_serve(struct fused *f, const struct fuse_in_header *in,
			       const void *arg)
{
	const struct fuse_init_in *init_in = arg;
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .max_write = DM_PAGE,
		.max_background = 16, .congestion_threshold = 12,
	};
	struct fuse_entry_out entry = {
		.nodeid = 2, .entry_valid = 3600, .attr_valid = 3600,
		.attr = fused_attr(2),
	};
	struct fuse_attr_out attr = { .attr_valid = 3600 };
	struct fuse_open_out opened = { .fh = 1 };

	switch (in->opcode) {
	case FUSE_INIT:
		init.minor = init_in->minor < FUSE_KERNEL_MINOR_VERSION ?
			     init_in->minor : FUSE_KERNEL_MINOR_VERSION;
		init.max_readahead = init_in->max_readahead;
		init.flags = FUSE_ASYNC_DIO;
		fused_answer(f, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		fused_answer(f, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		attr.attr = fused_attr(in->nodeid);
		fused_answer(f, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		fused_answer(f, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		fused_read(f, in->unique, ((const struct fuse_read_in *)arg)->size);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		fused_answer(f, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		fused_answer(f, in->unique, -ENOSYS, NULL, 0);
	}
}

static inline void *fused_main(void *arg)
{
	static char buf[1 << 17];
	struct fused *f = arg;
	ssize_t n;

	for (;;) {
		n = read(f->conn, buf, sizeof(buf));
		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		/* Unmounted. */
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			return NULL;
		fused_serve(f, (void *)buf, buf + sizeof(struct fuse_in_header));
	}
}

/* Returns 0 or a negative errno, with nothing left behind. */
static inline int fused_mount(struct fused *f)
{
	char opt[80];
	int ret = 0;

	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	strcpy(f->dir, "/tmp/fused.XXXXXX");
	f->conn = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (f->conn < 0)
		return -errno;
	snprintf(opt, sizeof(opt), "fd=%d,rootmode=40000,user_id=0,group_id=0", f->conn);
	if (!mkdtemp(f->dir) ||
	    mount("fused", f->dir, "fuse", MS_NOSUID | MS_NODEV, opt))
		ret = -errno;
	else if (pthread_create(&f->thread, NULL, fused_main, f))
		ret = -EAGAIN;
	if (ret) {
		close(f->conn);
		rmdir(f->dir);
	}
	return ret;
}

/*
 * In a child: the file system is its parent's. What waits for an answer cannot be
 * killed while anybody has the connection, itself included.
 */
static inline void fused_leave(struct fused *f)
{
	close(f->conn);
	f->conn = -1;
}

/* Answer what waits, and all that comes. */
static inline void fused_let_go(struct fused *f)
{
	int i;

	pthread_mutex_lock(&f->lock);
	f->hold = false;
	for (i = 0; i < f->nr_held; i++)
		fused_answer(f, f->held[i], 0, NULL, f->size[i]);
	f->nr_held = 0;
	pthread_mutex_unlock(&f->lock);
}

/* Nothing of it is open or mapped any more. */
static inline void fused_umount(struct fused *f)
{
	int tries = 500;

	fused_let_go(f);
	/* What was asynchronous may still be about to end. */
	while (umount(f->dir)) {
		if (errno != EBUSY || !tries--)
			return;
		usleep(10000);
	}
	pthread_join(f->thread, NULL);
	close(f->conn);
	rmdir(f->dir);
}

/* All of the file. Returns NULL if it cannot be mapped. */
static inline void *fused_map(struct fused *f)
{
	char path[80];
	void *p;
	int fd;

	snprintf(path, sizeof(path), "%s/file", f->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	p = mmap(NULL, FUSED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

#endif /* SELFTESTS_JOBS_FUSED_H */
