// SPDX-License-Identifier: GPL-2.0
/*
 * The operations of hmmx: how each is done to the memory and to the model, which
 * answers of the device are right, and how random ones are chosen. An operation
 * that makes no sense in the state it meets does nothing, so that any part of a
 * log can be replayed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <kselftest.h>
#include "hmmx.h"

#define HX_RW	(HX_MAPPED | HX_READ | HX_WRITE)

__u64 hx_random(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static struct hx_area *hx_area(struct hx_actor *a, const struct hx_op *op)
{
	return &a->run->area[op->area];
}

__u8 *hx_addr(struct hx_actor *a, const struct hx_op *op)
{
	return hx_area(a, op)->ptr + op->page * DM_PAGE;
}

/* Only who changes an area knows what it holds. */
static bool hx_own(struct hx_actor *a, const struct hx_op *op)
{
	return op->area / HX_AREAS == a->id;
}

/* The device an argument stands for: one of those there are, -1 if none is. */
static int hx_device(struct hx_actor *a, const struct hx_op *op)
{
	unsigned int i;

	for (i = 0; i < HX_DEVICES; i++) {
		int fd = a->fd[(op->arg + i) % HX_DEVICES];

		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* New data for the span, in the bounce buffer. */
static const __u8 *hx_data(struct hx_actor *a, const struct hx_op *op, int writer)
{
	dm_fill(a->bounce, op->npages, hx_addr(a, op), ++a->gen & 0xffff, writer);
	return a->bounce;
}

/* Mappings --------------------------------------------------------------- */

static int hx_remap(struct hx_actor *a, const struct hx_op *op, unsigned int page,
		    int prot)
{
	struct hx_area *area = hx_area(a, op);
	void *want = area->ptr + page * DM_PAGE;
	void *got;

	got = mmap(want, op->npages * DM_PAGE, prot, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	if (got != want)
		return hx_fail(a, op, "mmap: errno %d", errno);
	hx_model_set(area, page, op->npages, 0xff, 0);
	if (prot != PROT_NONE)
		hx_model_set(area, page, op->npages, 0, HX_RW);
	hx_model_zero(area, page, op->npages);
	return 0;
}

static int hx_op_map(struct hx_actor *a, const struct hx_op *op)
{
	if (hx_remap(a, op, op->page, PROT_READ | PROT_WRITE))
		return 1;
	madvise(hx_addr(a, op), op->npages * DM_PAGE,
		op->arg & 1 && !a->run->small ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return 0;
}

static int hx_op_unmap(struct hx_actor *a, const struct hx_op *op)
{
	return hx_remap(a, op, op->page, PROT_NONE);
}

/* What the model of [@from, @from + npages) is becomes that of @to. */
static void hx_model_move(struct hx_area *area, unsigned int from, unsigned int to,
			  unsigned int n)
{
	memcpy(area->shadow + to * DM_PAGE, area->shadow + from * DM_PAGE, n * DM_PAGE);
	memcpy(area->state + to, area->state + from, n);
	/* The pages that were here can be written there from now on. */
	while (n--)
		area->writes[from + n]++;
}

static int hx_op_move(struct hx_actor *a, const struct hx_op *op)
{
	struct hx_area *area = hx_area(a, op);
	unsigned int to = op->arg % (HX_AREA_PAGES - op->npages + 1);
	bool keep = op->arg >> 40 & 1;
	size_t len = op->npages * DM_PAGE;

	if (to < op->page + op->npages && op->page < to + op->npages)
		return 0;
	if (hx_model_run(area, op->page, op->npages, HX_MAPPED) < op->npages)
		return 0;
	if (mremap(hx_addr(a, op), len, len, MREMAP_MAYMOVE | MREMAP_FIXED |
		   (keep ? MREMAP_DONTUNMAP : 0),
		   area->ptr + to * DM_PAGE) == MAP_FAILED)
		/* Some of it may have been moved or unmapped all the same. */
		return hx_remap(a, op, to, PROT_NONE) || hx_op_unmap(a, op);
	hx_model_move(area, op->page, to, op->npages);
	if (!keep)
		return hx_op_unmap(a, op);
	hx_model_zero(area, op->page, op->npages);
	return 0;
}

static int hx_op_protect(struct hx_actor *a, const struct hx_op *op)
{
	static const int prots[] = {
		PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
		PROT_READ | PROT_WRITE,
	};
	struct hx_area *area = hx_area(a, op);
	unsigned int n = hx_model_run(area, op->page, op->npages, HX_MAPPED);
	int prot = prots[op->arg % 4];

	if (!n)
		return 0;
	if (mprotect(hx_addr(a, op), n * DM_PAGE, prot))
		return hx_fail(a, op, "mprotect: errno %d", errno);
	hx_model_set(area, op->page, n, HX_READ | HX_WRITE,
		     (prot & PROT_READ ? HX_READ : 0) |
		     (prot & PROT_WRITE ? HX_WRITE : 0));
	return 0;
}

static int hx_op_dontneed(struct hx_actor *a, const struct hx_op *op)
{
	struct hx_area *area = hx_area(a, op);
	unsigned int n = hx_model_run(area, op->page, op->npages, HX_MAPPED);

	if (!n)
		return 0;
	if (madvise(hx_addr(a, op), n * DM_PAGE, MADV_DONTNEED))
		return hx_fail(a, op, "MADV_DONTNEED: errno %d", errno);
	hx_model_zero(area, op->page, n);
	return 0;
}

static int hx_op_free(struct hx_actor *a, const struct hx_op *op)
{
	struct hx_area *area = hx_area(a, op);
	unsigned int n = hx_model_run(area, op->page, op->npages, HX_MAPPED);

	if (n && !madvise(hx_addr(a, op), n * DM_PAGE, MADV_FREE))
		hx_model_set(area, op->page, n, 0, HX_LAZY);
	return 0;
}

/* Advice that leaves content alone; whether it is taken is the kernel's to say. */
#define HX_ADVICE(name, advice)						\
static int hx_op_##name(struct hx_actor *a, const struct hx_op *op)	\
{									\
	madvise(hx_addr(a, op), op->npages * DM_PAGE, advice);		\
	return 0;							\
}

HX_ADVICE(cold, MADV_COLD)
HX_ADVICE(pageout, MADV_PAGEOUT)
HX_ADVICE(populate, MADV_POPULATE_READ)

static int hx_op_collapse(struct hx_actor *a, const struct hx_op *op)
{
	if (!a->run->small)
		madvise(hx_addr(a, op), op->npages * DM_PAGE, MADV_COLLAPSE);
	return 0;
}

static int hx_op_hugepage(struct hx_actor *a, const struct hx_op *op)
{
	if (!a->run->small)
		madvise(hx_addr(a, op), op->npages * DM_PAGE, MADV_HUGEPAGE);
	return 0;
}

/*
 * Large pages become small ones, or ones of 16 and of 4 pages, where there is debugfs.
 * What is held or on a device stays large.
 */
static int hx_op_split(struct hx_actor *a, const struct hx_op *op)
{
	static const int orders[] = { 0, 0, 4, 2 };
	unsigned long start = (unsigned long)hx_addr(a, op);
	char text[96];

	if (a->run->small)
		return 0;
	snprintf(text, sizeof(text), "%d,%#lx,%#lx,%d", getpid(), start,
		 start + op->npages * DM_PAGE, orders[op->arg % 4]);
	dm_write_file("/sys/kernel/debug/split_huge_pages", text);
	return 0;
}

/* The CPU, and the kernel for it ----------------------------------------- */

/* Which bytes of a span an argument stands for: lazily freed pages as a whole. */
void hx_bytes(struct hx_area *area, const struct hx_op *op, unsigned long *off,
	      unsigned long *len)
{
	*off = op->arg % DM_PAGE;
	*len = op->npages * DM_PAGE - *off - (op->arg >> 12) % (DM_PAGE - *off);
	if (hx_model_lazy(area, op->page, op->npages)) {
		*off = 0;
		*len = op->npages * DM_PAGE;
	}
}

int hx_op_store(struct hx_actor *a, const struct hx_op *op)
{
	struct hx_area *area = hx_area(a, op);
	unsigned long off, len;
	const __u8 *data;

	if (hx_model_run(area, op->page, op->npages, HX_RW) < op->npages)
		return 0;
	hx_bytes(area, op, &off, &len);
	data = hx_data(a, op, DM_CPU);
	memcpy(hx_addr(a, op) + off, data + off, len);
	hx_model_write(area, op->page * DM_PAGE + off, len, data + off);
	return 0;
}

static int hx_op_load(struct hx_actor *a, const struct hx_op *op)
{
	unsigned int n = hx_model_run(hx_area(a, op), op->page, op->npages, HX_READ);

	return hx_model_check(a, op, op->page, n, hx_addr(a, op), "the CPU reads");
}

/*
 * The kernel reads and writes by itself: it faults in its own way. Reading must not
 * pin: of a page shared with a child that makes a copy which the kernel takes for
 * clean, and drops for all who come to share it when one of them frees it lazily
 * (Documentation/design.rst, Limits).
 */
static ssize_t hx_remote_read(void *to, void *from, size_t len)
{
	struct iovec iov[] = { { to, len }, { from, len } };
	ssize_t n;
	int fd;

	if (getenv("DMIRROR_HAZARDS"))
		return process_vm_readv(getpid(), &iov[0], 1, &iov[1], 1, 0);
	fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : pread(fd, to, len, (uintptr_t)from);
	if (fd >= 0)
		close(fd);
	return n;
}

static int hx_op_remote_read(struct hx_actor *a, const struct hx_op *op)
{
	unsigned int n = hx_model_run(hx_area(a, op), op->page, op->npages, HX_READ);

	if (!n)
		return 0;
	if (hx_remote_read(a->bounce, hx_addr(a, op), n * DM_PAGE) != n * DM_PAGE)
		return hx_fail(a, op, "the kernel cannot read: errno %d", errno);
	return hx_model_check(a, op, op->page, n, a->bounce, "the kernel reads");
}

static int hx_op_remote_write(struct hx_actor *a, const struct hx_op *op)
{
	struct hx_area *area = hx_area(a, op);
	unsigned int n = hx_model_run(area, op->page, op->npages, HX_RW);
	struct iovec from = { (void *)hx_data(a, op, DM_CHILD), n * DM_PAGE };
	struct iovec to = { hx_addr(a, op), n * DM_PAGE };

	if (!n)
		return 0;
	if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) != n * DM_PAGE)
		return hx_fail(a, op, "process_vm_writev: errno %d", errno);
	hx_model_write(area, op->page * DM_PAGE, n * DM_PAGE, a->bounce);
	return 0;
}

/* The device ------------------------------------------------------------- */

/*
 * Judge an answer about a span of which the first @can pages allow what was asked
 * for. To be outrun by others, or short of memory, is always allowed.
 */
static int hx_answer(struct hx_actor *a, const struct hx_op *op, int ret,
		     unsigned int can, __u64 done)
{
	bool refused = ret == -EFAULT || ret == -EPERM;

	if (ret && !refused && ret != -EBUSY && ret != -ENOMEM)
		return hx_fail(a, op, "the device answers %d", ret);
	if (done > can)
		return hx_fail(a, op, "the device did %llu pages, %u are allowed",
			       done, can);
	if (refused ? can == op->npages || done != can :
		      !ret && done != op->npages)
		return hx_fail(a, op, "the device answers %d after %llu pages, %u are allowed",
			       ret, done, can);
	return 0;
}

static int hx_op_dev_read(struct hx_actor *a, const struct hx_op *op)
{
	unsigned int can = hx_model_run(hx_area(a, op), op->page, op->npages, HX_READ);
	int ret, fd = hx_device(a, op);
	struct hmm_dmirror_cmd res;

	if (fd < 0)
		return 0;
	ret = dm_read(fd, hx_addr(a, op), op->npages, a->bounce, &res);
	if (hx_answer(a, op, ret, can, res.cpages))
		return 1;
	return hx_model_check(a, op, op->page, res.cpages, a->bounce, "the device reads");
}

static int hx_op_dev_write(struct hx_actor *a, const struct hx_op *op)
{
	struct hx_area *area = hx_area(a, op);
	unsigned int can = hx_model_run(area, op->page, op->npages, HX_WRITE);
	const __u8 *data = hx_data(a, op, DM_DEV);
	int ret, fd = hx_device(a, op);
	struct hmm_dmirror_cmd res;

	if (fd < 0)
		return 0;
	ret = dm_write(fd, hx_addr(a, op), op->npages, data, &res);
	if (hx_answer(a, op, ret, can, res.cpages))
		return 1;
	if (res.cpages)
		hx_model_write(area, op->page * DM_PAGE, res.cpages * DM_PAGE, data);
	return 0;
}

/* Somebody else's device looks at an area; what it sees is not ours to judge. */
static int hx_op_dev_peek(struct hx_actor *a, const struct hx_op *op)
{
	int fd = hx_device(a, op);

	if (fd >= 0)
		dm_read(fd, hx_addr(a, op), op->npages, a->bounce, NULL);
	return 0;
}

static int hx_op_to_dev(struct hx_actor *a, const struct hx_op *op)
{
	unsigned int can = hx_model_run(hx_area(a, op), op->page, op->npages, HX_READ);
	int ret, fd = hx_device(a, op);
	struct hmm_dmirror_cmd res;

	if (fd < 0)
		return 0;
	ret = dm_to_dev(fd, hx_addr(a, op), op->npages, a->bounce, &res);
	if (!hx_own(a, op))
		return 0;
	if ((ret == -EINVAL || ret == -EFAULT) ? can == op->npages :
	    ret && ret != -ENOENT && ret != -EBUSY && ret != -ENOMEM)
		return hx_fail(a, op, "migration to the device: %d", ret);
	if (!ret && can < op->npages)
		return hx_fail(a, op, "all moved, only %u pages are mapped", can);
	return ret ? 0 : hx_model_check(a, op, op->page, op->npages, a->bounce,
					"after migration the device reads");
}

static int hx_op_to_sys(struct hx_actor *a, const struct hx_op *op)
{
	int fd = hx_device(a, op);

	if (fd >= 0)
		dm_to_sys(fd, hx_addr(a, op), op->npages, NULL);
	return 0;
}

static int hx_op_exclusive(struct hx_actor *a, const struct hx_op *op)
{
	int ret, fd = hx_device(a, op);

	if (fd < 0)
		return 0;
	ret = dm_exclusive(fd, hx_addr(a, op), op->npages, a->bounce, NULL);
	if (ret || !hx_own(a, op))
		return 0;
	return hx_model_check(a, op, op->page, op->npages, a->bounce,
			      "with exclusive access the device reads");
}

static int hx_op_snapshot(struct hx_actor *a, const struct hx_op *op)
{
	int fd = hx_device(a, op);

	if (fd >= 0)
		dm_snapshot(fd, hx_addr(a, op), op->npages, a->bounce);
	return 0;
}

static int hx_op_release(struct hx_actor *a, const struct hx_op *op)
{
	int fd = hx_device(a, op);

	if (fd >= 0)
		dm_release(fd);
	return 0;
}

/* Faults for the tests of hmmx itself ------------------------------------ */

/* Changes memory behind the model's back. */
static int hx_op_plant(struct hx_actor *a, const struct hx_op *op)
{
	if (hx_model_run(hx_area(a, op), op->page, 1, HX_RW))
		hx_addr(a, op)[op->arg % DM_PAGE] ^= 1;
	return 0;
}

/* A page on the device that is in no area. */
static int hx_op_plant_page(struct hx_actor *a, const struct hx_op *op)
{
	__u8 *page = mmap(NULL, DM_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = hx_device(a, op);

	if (page == MAP_FAILED || fd < 0)
		return 0;
	*page = 1;
	dm_to_dev(fd, page, 1, a->bounce, NULL);
	return 0;
}

/* A line of the kernel log that looks like one of a defect. */
static int hx_op_plant_log(struct hx_actor *a, const struct hx_op *op)
{
	dm_write_file("/dev/kmsg", "hmmx;WARNING: planted\n");
	return 0;
}

const struct hx_kind hx_kinds[] = {
	{ "map",	10, HX_SPAN_MAX, false, hx_op_map },
	{ "unmap",	4, 256, false, hx_op_unmap },
	{ "move",	4, 600, false, hx_op_move },
	{ "protect",	6, 256, false, hx_op_protect },
	{ "dontneed",	5, 300, false, hx_op_dontneed },
	{ "free",	3, 64, false, hx_op_free },
	{ "cold",	2, HX_SPAN_MAX, true, hx_op_cold },
	{ "pageout",	6, 256, true, hx_op_pageout },
	{ "collapse",	3, HX_SPAN_MAX, true, hx_op_collapse },
	{ "populate",	3, HX_SPAN_MAX, true, hx_op_populate },
	{ "hugepage",	2, HX_SPAN_MAX, true, hx_op_hugepage },
	{ "split",	3, HX_SPAN_MAX, true, hx_op_split },
	{ "store",	20, 64, false, hx_op_store },
	{ "load",	15, 256, false, hx_op_load },
	{ "remote_read", 4, 64, false, hx_op_remote_read },
	{ "remote_write", 4, 64, false, hx_op_remote_write },
	{ "dev_read",	15, 256, false, hx_op_dev_read },
	{ "dev_write",	20, 128, false, hx_op_dev_write },
	{ "dev_peek",	3, 64, true, hx_op_dev_peek },
	{ "to_dev",	25, 256, true, hx_op_to_dev },
	{ "to_sys",	8, HX_SPAN_MAX, true, hx_op_to_sys },
	{ "exclusive",	5, 16, true, hx_op_exclusive },
	{ "snapshot",	3, HX_SPAN_MAX, true, hx_op_snapshot },
	{ "release",	1, 1, true, hx_op_release },
	{ "job_fill",	12, 128, false, hx_op_job_fill },
	{ "job_copy",	12, 128, false, hx_op_job_copy },
	{ "job_compare", 6, 64, false, hx_op_job_compare },
	{ "job_add",	8, 1, false, hx_op_job_add },
	{ "drm_migrate", 8, HX_SPAN_MAX, true, hx_op_drm_migrate },
	{ "peer",	8, 256, true, hx_op_peer },
	{ "evict",	4, HX_SPAN_MAX, true, hx_op_evict },
	{ "drm_exclusive", 4, 16, true, hx_op_drm_exclusive },
	{ "advise",	6, HX_SPAN_MAX, true, hx_op_advise },
	{ "pin",	5, HX_PIN_PAGES, true, hx_op_pin },
	{ "unpin",	4, 1, true, hx_op_unpin },
	{ "fork",	1, 1, false, hx_fork },
	{ "plant",	0, 1, false, hx_op_plant },
	{ "plant_page",	0, 1, false, hx_op_plant_page },
	{ "plant_log",	0, 1, false, hx_op_plant_log },
};

const unsigned int hx_nr_kinds = ARRAY_SIZE(hx_kinds);

static unsigned int hx_choose_kind(struct hx_actor *a)
{
	unsigned int i, sum = 0, pick;

	for (i = 0; i < hx_nr_kinds; i++)
		sum += hx_kinds[i].weight;
	pick = hx_random(&a->rng) % sum;
	for (i = 0; pick >= hx_kinds[i].weight; i++)
		pick -= hx_kinds[i].weight;
	return i;
}

/*
 * Every eighth operation is about pages that the actor holds, if they are in an area
 * where it may be done: they are too few to be met by chance.
 */
static void hx_aim(struct hx_actor *a, struct hx_op *op, __u64 r)
{
	const struct hx_pin *pin = &a->pin[r >> 3 & (HX_PINS - 1)];
	unsigned int before = (r >> 5) % op->npages;

	if (r & 7 || !pin->npages ||
	    (!hx_kinds[op->kind].neutral && pin->area / HX_AREAS != a->id))
		return;
	op->area = pin->area;
	op->page = pin->page > before ? pin->page - before : 0;
	if (op->page > HX_AREA_PAGES - op->npages)
		op->page = HX_AREA_PAGES - op->npages;
}

void hx_choose(struct hx_actor *a, struct hx_op *op)
{
	const struct hx_kind *kind;
	__u64 r;

	do
		op->kind = hx_choose_kind(a);
	while (a->forked && hx_kinds[op->kind].run == hx_fork);
	kind = &hx_kinds[op->kind];

	r = hx_random(&a->rng);
	/* A child's copies of what belongs to others are nobody's. */
	if (kind->neutral && !a->forked)
		op->area = r % (a->run->threads * HX_AREAS);
	else
		op->area = a->id * HX_AREAS + r % HX_AREAS;

	/* One page, a few, many; now and then a whole 2 MiB page or two of them. */
	op->npages = 1 + (r >> 8) % (r >> 4 & 1 ? kind->max : r >> 5 & 1 ? 8 : 1);
	if (op->npages > kind->max)
		op->npages = kind->max;
	op->page = (r >> 24) % (HX_AREA_PAGES - op->npages + 1);
	if (kind->max >= 256 && !(r >> 48 & 7)) {
		op->npages = DM_2M_PAGES;
		op->page = (r >> 24 & 1) * DM_2M_PAGES;
	} else {
		hx_aim(a, op, r >> 51);
	}
	op->arg = hx_random(&a->rng) >> 16;
}

int hx_do(struct hx_actor *a, const struct hx_op *op)
{
	double begin = hx_now();
	int ret;

	a->done++;
	if (!hx_kinds[op->kind].neutral && !hx_own(a, op))
		return 0;
	ret = hx_kinds[op->kind].run(a, op);
	a->count[op->kind]++;
	a->seconds[op->kind] += hx_now() - begin;
	return ret;
}
