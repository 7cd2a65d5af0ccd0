// SPDX-License-Identifier: GPL-2.0
/*
 * The operations that are made to fail: see ops.h. Owns its buffers, files and
 * the child; gives no verdicts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <kselftest.h>

#include "dm_drm.h"
#include "ops.h"

static int say(struct fi *f, int ret, const char *fmt, ...)
{
	va_list args;
	int n;

	n = snprintf(f->why, DM_MSG, "%s: ", f->op->name);
	va_start(args, fmt);
	vsnprintf(f->why + n, DM_MSG - n, fmt, args);
	va_end(args);
	return ret;
}

int fi_on_device(struct fi *f)
{
	int i, ret = 0;

	/* A page may have a passing reference. */
	for (i = 0; i < 5; i++) {
		ret = dm_to_dev(f->fd, f->b.ptr, f->b.npages, f->b.mirror, NULL);
		if (ret != -ENOENT)
			break;
	}
	return ret;
}

/* A new file has no leaves yet. */
static int fresh_file(struct fi *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = dm_open(f->index);
	return f->fd < 0 ? f->fd : 0;
}

static int fresh_node(struct fi *f)
{
	if (f->node >= 0)
		close(f->node);
	f->node = open(f->node_path, O_RDWR | O_CLOEXEC);
	f->seqno = 0;
	return f->node < 0 ? -errno : 0;
}

static int on_device_fresh(struct fi *f)
{
	int ret = fi_on_device(f);

	return ret ? ret : fresh_file(f);
}

static int shared_on_device(struct fi *f)
{
	int ret = fi_on_device(f);

	return ret ? ret : actor_fork(&f->child, &f->b, -1);
}

static int full(struct fi *f, int flags)
{
	unsigned long pages = dm_stat_now(f->index, "vram_capacity_pages");
	int ret;

	ret = dm_buf_anon(&f->other, pages, flags);
	if (ret)
		return ret;
	dm_fill(f->other.ptr, pages, f->other.ptr, 7, DM_PEER);
	ret = dm_to_dev(f->fd, f->other.ptr, pages, f->other.mirror, NULL);
	return ret == -ENOENT ? 0 : ret;
}

static int full_small(struct fi *f)
{
	return full(f, DM_BUF_SMALL);
}

static int full_large(struct fi *f)
{
	return full(f, DM_BUF_THP);
}

static int exclusive(struct fi *f)
{
	return dm_exclusive(f->fd, f->b.ptr, f->b.npages, f->b.mirror, &f->res);
}

static int do_open(struct fi *f)
{
	int fd = dm_open(f->index);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int do_read(struct fi *f)
{
	memset(f->b.mirror, 0xff, f->b.size);
	return dm_read(f->fd, f->b.ptr, f->b.npages, f->b.mirror, &f->res);
}

static int do_read_unlocked(struct fi *f)
{
	memset(f->b.mirror, 0xff, f->b.size);
	return dm_read_unlocked(f->fd, f->b.ptr, f->b.npages, f->b.mirror,
				&f->res);
}

static int do_write(struct fi *f)
{
	dm_fill(f->b.mirror, f->b.npages, f->b.ptr, f->gen + 1, DM_DEV);
	return dm_write(f->fd, f->b.ptr, f->b.npages, f->b.mirror, &f->res);
}

static int do_to_dev(struct fi *f)
{
	memset(f->b.mirror, 0xff, f->b.size);
	return dm_to_dev(f->fd, f->b.ptr, f->b.npages, f->b.mirror, &f->res);
}

static int do_to_sys(struct fi *f)
{
	return dm_to_sys(f->fd, f->b.ptr, f->b.npages, &f->res);
}

static int do_snapshot(struct fi *f)
{
	__u8 prot[DM_2M_PAGES];

	return dm_snapshot(f->fd, f->b.ptr, f->b.npages, prot);
}

static int do_check_exclusive(struct fi *f)
{
	int ret = dm_check_exclusive(f->fd, f->b.ptr, f->b.npages);

	if (ret == -EPERM)
		return 0;
	return ret ? ret : -EIO;
}

static int do_release(struct fi *f)
{
	return dm_release(f->fd);
}

static int do_touch(struct fi *f)
{
	unsigned long i;

	for (i = 0; i < f->b.npages; i++)
		(void)*(volatile __u8 *)(f->b.ptr + i * DM_PAGE);
	return 0;
}

/* Still one page on the device, but not in the page table any more. */
static int cut_on_device(struct fi *f)
{
	__u8 *last = f->b.ptr + f->b.size - DM_PAGE;
	int ret = fi_on_device(f);

	if (!ret && (mprotect(last, DM_PAGE, PROT_READ) ||
		     mprotect(last, DM_PAGE, PROT_READ | PROT_WRITE)))
		ret = -errno;
	return ret;
}

/* In the middle of what comes back, first. */
static int do_touch_inside(struct fi *f)
{
	(void)*(volatile __u8 *)(f->b.ptr + 5 * DM_PAGE);
	return do_touch(f);
}

static int do_mmap(struct fi *f)
{
	void *p = mmap(NULL, 4 * DM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       f->fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, 4 * DM_PAGE);
	return 0;
}

static int in_mirror(struct fi *f)
{
	return dm_verify(f->b.mirror, f->b.npages, f->b.ptr, f->gen, DM_CPU, NULL);
}

int fi_all_at(struct fi *f)
{
	return dm_all(f->fd, f->b.ptr, f->b.npages, f->op->where, f->why);
}

static int moved_and_seen(struct fi *f)
{
	int ret = fi_all_at(f);

	return ret ? ret : in_mirror(f);
}

int fi_written(struct fi *f)
{
	return dm_verify(f->b.ptr, f->b.npages, f->b.ptr, f->gen + 1, DM_DEV, NULL);
}

static const struct fi_op fi_ops[] = {
	{ "open", FI_SMALL, 0, NULL, do_open },
	{ "mmap", FI_SMALL, 0, NULL, do_mmap },
	{ "read", FI_SMALL, 0, NULL, do_read, in_mirror },
	{ "read_on_device", FI_SMALL, 0, on_device_fresh, do_read, in_mirror },
	{ "read_unlocked", FI_SMALL, 0, NULL, do_read_unlocked, in_mirror },
	{ "write", FI_SMALL, 0, NULL, do_write, fi_written, .writes = true },
	{ "write_on_device", FI_SMALL, 0, on_device_fresh, do_write, fi_written,
	  .writes = true },
	{ "write_shared", FI_SMALL, 0, shared_on_device, do_write, fi_written,
	  .writes = true },
	{ "to_dev", FI_SMALL, 0, NULL, do_to_dev, moved_and_seen,
	  "in", DM_ON_DEV, -ENOENT },
	{ "to_dev_large", DM_2M_PAGES, DM_BUF_THP, NULL, do_to_dev,
	  moved_and_seen, "in", DM_ON_DEV, -ENOENT },
	{ "to_dev_evict", FI_SMALL, 0, full_small, do_to_dev, moved_and_seen,
	  "in", DM_ON_DEV, -ENOENT },
	{ "to_dev_evict_large", DM_2M_PAGES, DM_BUF_THP, full_large, do_to_dev,
	  moved_and_seen, "in", DM_ON_DEV, -ENOENT },
	{ "to_sys", FI_SMALL, 0, on_device_fresh, do_to_sys, fi_all_at,
	  "out", DM_SYS },
	{ "to_sys_large", DM_2M_PAGES, DM_BUF_THP, on_device_fresh, do_to_sys,
	  fi_all_at, "out", DM_SYS },
	{ "snapshot", FI_SMALL, 0, on_device_fresh, do_snapshot },
	{ "exclusive", FI_SMALL, 0, NULL, exclusive, in_mirror },
	{ "check_exclusive", FI_SMALL, 0, exclusive, do_check_exclusive },
	{ "release", FI_SMALL, 0, on_device_fresh, do_release, fi_all_at,
	  NULL, DM_SYS, -EBUSY },
	{ "release_large", DM_2M_PAGES, DM_BUF_THP, on_device_fresh, do_release,
	  fi_all_at, NULL, DM_SYS, -EBUSY },
	{ "cpu_fault", FI_SMALL, 0, fi_on_device, do_touch, fi_all_at, NULL, DM_SYS },
	{ "cpu_fault_large", DM_2M_PAGES, DM_BUF_THP, fi_on_device, do_touch,
	  fi_all_at, NULL, DM_SYS },
	{ "cpu_fault_cut", DM_2M_PAGES, DM_BUF_THP, cut_on_device, do_touch_inside,
	  fi_all_at, NULL, DM_SYS },
};

const struct fi_op *fi_at(int i)
{
	int n = ARRAY_SIZE(fi_ops);

	if (i < n)
		return &fi_ops[i];
	return i - n < fi_nr_drm_ops ? &fi_drm_ops[i - n] : NULL;
}

const struct fi_op *fi_find(const char *name)
{
	const struct fi_op *op;
	int i;

	for (i = 0; (op = fi_at(i)) && strcmp(op->name, name); i++)
		;
	return op;
}

bool fi_can(const struct fi_op *op)
{
	return !op->drm || !access("/sys/module/drm", F_OK);
}

int fi_init(struct fi *f, const struct fi_op *op, int index)
{
	memset(f, 0, sizeof(*f));
	f->op = op;
	f->index = index;
	f->fd = -1;
	f->node = -1;
	if (op->drm) {
		int ret = dmd_node(index, f->node_path, sizeof(f->node_path));

		if (ret)
			return ret;
	}
	return dm_buf_anon(&f->b, op->npages, op->flags);
}

static void drop_company(struct fi *f)
{
	if (f->child.pid > 0)
		actor_end(&f->child);
	f->child.pid = 0;
	dm_buf_free(&f->other);
}

void fi_fini(struct fi *f)
{
	drop_company(f);
	if (f->fd >= 0)
		close(f->fd);
	if (f->node >= 0)
		close(f->node);
	dm_buf_free(&f->b);
}

int fi_prepare(struct fi *f)
{
	int ret;

	drop_company(f);
	if (madvise(f->b.ptr, f->b.size, MADV_DONTNEED))
		return say(f, -errno, "MADV_DONTNEED");
	f->gen = (f->gen + 2) & 0xffff;
	dm_fill(f->b.ptr, f->b.npages, f->b.ptr, f->gen, DM_CPU);
	ret = fresh_file(f);
	if (!ret && f->op->drm)
		ret = fresh_node(f);
	if (!ret && f->op->prepare)
		ret = f->op->prepare(f);
	if (!ret)
		ret = dm_stats_read(f->index, &f->before);
	return ret ? say(f, ret, "prepare: %d", ret) : 0;
}

/* Where the pages are: in one place each, and the answer said so. */
static int judge_places(struct fi *f, int ret)
{
	struct dm_page pages[DM_2M_PAGES];
	unsigned long i, there = 0;
	int err = dm_pages(f->fd, f->b.ptr, f->b.npages, pages);

	if (err)
		return say(f, err, "pages: %d", err);
	for (i = 0; i < f->b.npages; i++) {
		if (pages[i].where == DM_UNCLEAR || pages[i].where == DM_NOWHERE)
			return say(f, -EXDEV, "page %lu is %s", i,
				   dm_where_name(pages[i].where));
		there += pages[i].where == f->op->where;
	}
	if (!f->op->classes)
		return 0;
	/* An answer that could not be copied out says nothing. */
	if (f->res.cpages != there && f->res.cpages != DM_UNSET && (!ret || ret == -ENOENT))
		return say(f, -EXDEV, "answer %d: %llu pages, but %lu are there",
			   ret, f->res.cpages, there);
	if (!ret && f->op->where == DM_ON_DEV && there != f->b.npages)
		return say(f, -EXDEV, "success, but %lu pages are there", there);
	return 0;
}

static int judge_counters(struct fi *f, int ret)
{
	struct dm_stats now;
	__s64 sum;

	if (dm_stats_read(f->index, &now) || dm_stats_law(&now, f->why))
		return -EUCLEAN;
	if (dm_stat(&now, "vram_inflight_pages"))
		return say(f, -EUCLEAN, "pages remain in flight");
	if (!f->op->classes)
		return 0;
	sum = dm_classes_sum(&f->before, &now, f->op->classes);
	/* What to do could not even be read. */
	if (!sum && ret == -EFAULT)
		return 0;
	if (sum != f->b.npages)
		return say(f, -EUCLEAN, "returned %d, %lld pages accounted for, not %lu",
			   ret, sum, f->b.npages);
	return 0;
}

/* Of a write that could not even say how far it came. */
static unsigned long new_pages(struct fi *f)
{
	unsigned long n = 0;

	while (n < f->b.npages && !dm_verify(f->b.ptr + n * DM_PAGE, 1,
					     f->b.ptr + n * DM_PAGE, f->gen + 1,
					     DM_DEV, NULL))
		n++;
	return n;
}

/* A write that stopped early is complete up to there and not begun behind it. */
static int judge_content(struct fi *f, bool wrote, unsigned long done)
{
	struct dm_bad bad;
	char text[DM_MSG];
	int kind = 0;

	if (wrote && done == DM_UNSET)
		done = new_pages(f);
	if (wrote && done > f->b.npages)
		return say(f, -EIO, "%lu pages written of %lu", done, f->b.npages);
	if (!wrote)
		done = 0;
	if (done)
		kind = dm_verify(f->b.ptr, done, f->b.ptr, f->gen + 1, DM_DEV, &bad);
	if (!kind && done < f->b.npages)
		kind = dm_verify(f->b.ptr + done * DM_PAGE, f->b.npages - done,
				 f->b.ptr + done * DM_PAGE, f->gen, DM_CPU, &bad);
	if (kind)
		return say(f, -EIO, "content: %s", dm_bad_str(&bad, text));
	if (f->other.ptr)
		kind = dm_verify(f->other.ptr, f->other.npages, f->other.ptr, 7,
				 DM_PEER, &bad);
	if (kind)
		return say(f, -EIO, "others: %s", dm_bad_str(&bad, text));
	if (f->child.pid > 0)
		kind = act(&f->child, A_CPU_CHECK, 0, f->b.npages, f->gen, DM_CPU);
	return kind ? say(f, -EIO, "the child sees the write: %d", kind) : 0;
}

static bool may_return(const struct fi *f, int ret, bool touched)
{
	if (!ret)
		return true;
	return touched && (ret == -ENOMEM || ret == -EBUSY || ret == -EFAULT ||
			   ret == f->op->err);
}

int fi_judge(struct fi *f, int ret, bool touched, bool content_first)
{
	bool wrote = f->op->writes;
	unsigned long done = f->res.cpages;
	int err;

	if (!may_return(f, ret, touched))
		return say(f, -EPROTO, "returned %d", ret);
	err = judge_places(f, ret);
	if (!err)
		err = judge_counters(f, ret);
	if (!err && touched && content_first)
		return judge_content(f, wrote, done);
	if (!err && touched) {
		err = f->op->run(f);
		if (err)
			return say(f, err, "then without a failure: %d", err);
		done = f->res.cpages;
	}
	if (!err && f->op->good) {
		f->why[0] = 0;
		err = f->op->good(f);
		if (err && !f->why[0])
			say(f, err, "is not as it should be: %d", err);
		err = err ? -EIO : 0;
	}
	return err ? err : judge_content(f, wrote, done);
}
