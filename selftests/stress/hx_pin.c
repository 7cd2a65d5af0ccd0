// SPDX-License-Identifier: GPL-2.0
/*
 * Operations of hmmx that hold pages from one operation to a later one, as somebody
 * does who has them in flight: they are put into a pipe by vmsplice() and stay there
 * until they are read. Held pages do not move; everything else goes on.
 *
 * The pipe holds a reference (FOLL_GET) and takes pages as they are, shared by fork or
 * not. A pin (FOLL_PIN) would have a shared one copied first, see hx_remote_read().
 *
 * Owns the pipes of an actor and what their pages held. Takes no locks: pipes are their
 * actor's, and a child has its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hmmx.h"

#define HX_PIN_BYTES	(HX_PIN_PAGES * DM_PAGE)

int hx_pins_open(struct hx_actor *a)
{
	int i;

	if (!a->pinned)
		a->pinned = mmap(NULL, HX_PINS * HX_PIN_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->pinned == MAP_FAILED)
		return -errno;
	for (i = 0; i < HX_PINS; i++) {
		a->pin[i].npages = 0;
		if (pipe2(a->pin[i].pipe, O_CLOEXEC | O_NONBLOCK))
			return -errno;
		/* What is to be held must fit, whatever the default is. */
		if (fcntl(a->pin[i].pipe[1], F_SETPIPE_SZ, HX_PIN_BYTES) < (int)HX_PIN_BYTES)
			return -EPERM;
	}
	return 0;
}

void hx_pins_close(struct hx_actor *a)
{
	int i;

	for (i = 0; i < HX_PINS; i++) {
		close(a->pin[i].pipe[0]);
		close(a->pin[i].pipe[1]);
	}
}

static __u8 *hx_pinned(struct hx_actor *a, const struct hx_pin *pin)
{
	return a->pinned + (pin - a->pin) * HX_PIN_BYTES;
}

static bool hx_pin_own(const struct hx_actor *a, unsigned int area)
{
	return area / HX_AREAS == a->id;
}

/* What is known of the pages now is what must come out of the pipe. */
static void hx_pin_remember(struct hx_actor *a, struct hx_pin *pin)
{
	struct hx_area *area = &a->run->area[pin->area];

	memcpy(hx_pinned(a, pin), area->shadow + pin->page * DM_PAGE,
	       pin->npages * DM_PAGE);
	memcpy(pin->state, area->state + pin->page, pin->npages);
	memcpy(pin->writes, area->writes + pin->page, pin->npages * sizeof(pin->writes[0]));
}

int hx_op_pin(struct hx_actor *a, const struct hx_op *op)
{
	struct hx_pin *pin = &a->pin[op->arg % HX_PINS];
	struct hx_area *area = &a->run->area[op->area];
	struct iovec iov = { hx_addr(a, op), op->npages * DM_PAGE };
	bool own = hx_pin_own(a, op->area);
	unsigned int can = 0;
	ssize_t n;

	if (pin->npages || op->npages > HX_PIN_PAGES)
		return 0;
	/* Many pages have never been written, and nothing can be seen in a page of zeroes. */
	if (own && op->arg >> 40 & 1)
		hx_op_store(a, op);
	if (own)
		can = hx_model_run(area, op->page, op->npages, HX_READ);
	n = vmsplice(pin->pipe[1], &iov, 1, 0);
	if (n < 0 && errno != EFAULT && errno != ENOMEM)
		return hx_fail(a, op, "vmsplice: errno %d", errno);
	if (own && (n < 0 ? errno == EFAULT && can : n != can * DM_PAGE))
		return hx_fail(a, op, "%zd bytes are held, %u pages may be read", n, can);
	if (n < 0)
		return 0;
	pin->area = op->area;
	pin->page = op->page;
	pin->npages = n / DM_PAGE;
	if (own)
		hx_pin_remember(a, pin);
	return 0;
}

/*
 * A page that nobody has written since holds what it held then, even if it is not
 * mapped any more or the address has got another page. One that was freed lazily then
 * may have been dropped just before it was taken.
 */
static int hx_pin_check(struct hx_actor *a, const struct hx_op *op, const struct hx_pin *pin)
{
	const struct hx_area *area = &a->run->area[pin->area];
	const __u8 *want = hx_pinned(a, pin), *got = a->bounce;
	unsigned int i, j;

	for (i = 0; i < pin->npages; i++, want += DM_PAGE, got += DM_PAGE) {
		if (area->writes[pin->page + i] != pin->writes[i] ||
		    !memcmp(got, want, DM_PAGE) ||
		    (pin->state[i] & HX_LAZY && !dm_verify_zero(got, 1, NULL)))
			continue;
		for (j = 0; got[j] == want[j]; j++)
			;
		return hx_fail(a, op,
			       "a held page has changed: area %u page %u byte %u: %02x, not %02x",
			       pin->area, pin->page + i, j, got[j], want[j]);
	}
	return 0;
}

int hx_op_unpin(struct hx_actor *a, const struct hx_op *op)
{
	struct hx_pin *pin = &a->pin[op->arg % HX_PINS];
	ssize_t n, len = pin->npages * DM_PAGE;
	int ret = 0;

	if (!pin->npages)
		return 0;
	n = read(pin->pipe[0], a->bounce, len);
	if (n != len)
		return hx_fail(a, op, "%zd of %zd held bytes can be read: errno %d", n, len,
			       errno);
	if (hx_pin_own(a, pin->area))
		ret = hx_pin_check(a, op, pin);
	pin->npages = 0;
	return ret;
}
