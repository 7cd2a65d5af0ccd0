// SPDX-License-Identifier: GPL-2.0
/*
 * The model of hmmx: what each byte of an area must be. Owns areas; knows
 * nothing of devices or operations. An area has one thread that changes it, so
 * nothing here takes a lock but hx_fail().
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include "hmmx.h"

int hx_area_init(struct hx_area *area)
{
	__u8 *room;

	/* Room to align, and a gap on either side, so that no mapping merges. */
	room = mmap(NULL, HX_AREA_SIZE + 2 * DM_2M, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	area->shadow = mmap(NULL, HX_AREA_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED || area->shadow == MAP_FAILED)
		return -errno;
	area->ptr = (__u8 *)(((uintptr_t)room + DM_2M) & ~(DM_2M - 1));
	memset(area->state, 0, sizeof(area->state));
	return 0;
}

int hx_fail(struct hx_actor *a, const struct hx_op *op, const char *fmt, ...)
{
	struct hx_run *run = a->run;
	va_list args;
	int n = 0;

	pthread_mutex_lock(&run->why_lock);
	if (!run->failed) {
		if (op)
			n = snprintf(run->why, sizeof(run->why),
				     "thread %u%s, operation %llu (%s area %u page %u npages %u arg %llx): ",
				     a->id, a->forked ? " child" : "", a->done,
				     hx_kinds[op->kind].name, op->area, op->page,
				     op->npages, op->arg);
		va_start(args, fmt);
		vsnprintf(run->why + n, sizeof(run->why) - n, fmt, args);
		va_end(args);
		run->failed = true;
	}
	pthread_mutex_unlock(&run->why_lock);
	run->stop = true;
	return 1;
}

unsigned int hx_model_run(const struct hx_area *area, unsigned int page,
			  unsigned int npages, __u8 flags)
{
	unsigned int n = 0;

	while (n < npages && (area->state[page + n] & flags) == flags)
		n++;
	return n;
}

bool hx_model_lazy(const struct hx_area *area, unsigned int page, unsigned int npages)
{
	while (npages && !(area->state[page] & HX_LAZY)) {
		page++;
		npages--;
	}
	return npages;
}

void hx_model_set(struct hx_area *area, unsigned int page, unsigned int npages,
		  __u8 clear, __u8 set)
{
	__u8 *state = area->state + page;
	unsigned int i;

	for (i = 0; i < npages; i++) {
		state[i] &= ~clear;
		if ((state[i] | set) & HX_MAPPED)
			state[i] |= set;
	}
}

void hx_model_zero(struct hx_area *area, unsigned int page, unsigned int npages)
{
	memset(area->shadow + page * DM_PAGE, 0, npages * DM_PAGE);
	hx_model_set(area, page, npages, HX_LAZY, 0);
}

void hx_model_write(struct hx_area *area, unsigned long off, unsigned long len,
		    const void *data)
{
	unsigned int first = off / DM_PAGE;
	unsigned int last = (off + len - 1) / DM_PAGE;

	memcpy(area->shadow + off, data, len);
	hx_model_set(area, first, last - first + 1, HX_LAZY, 0);
	for (; first <= last; first++)
		area->writes[first]++;
}

static bool hx_page_right(struct hx_area *area, unsigned int page, const __u8 *got)
{
	__u8 *want = area->shadow + page * DM_PAGE;

	if (!memcmp(got, want, DM_PAGE))
		return true;
	if (!(area->state[page] & HX_LAZY) || dm_verify_zero(got, 1, NULL))
		return false;
	memset(want, 0, DM_PAGE);
	area->state[page] &= ~HX_LAZY;
	return true;
}

static int hx_page_wrong(struct hx_actor *a, const struct hx_op *op,
			 unsigned int page, const __u8 *got, const char *how)
{
	const struct hx_area *area = &a->run->area[op->area];
	const __u8 *want = area->shadow + page * DM_PAGE;
	unsigned int i = 0, wrong = 0, j;
	__u64 got_word, want_word, where = 0;

	while (got[i] == want[i])
		i++;
	for (j = i; j < DM_PAGE; j++)
		wrong += got[j] != want[j];
	memcpy(&got_word, got + (i & ~7U), sizeof(got_word));
	memcpy(&want_word, want + (i & ~7U), sizeof(want_word));
	dm_pagemap(area->ptr + page * DM_PAGE, 1, &where);
	return hx_fail(a, op,
		       "%s: page %u byte %u: %016llx, not %016llx; %u differ; pagemap %#llx%s",
		       how, page, i, got_word, want_word, wrong, where,
		       area->state[page] & HX_LAZY ? " (lazily freed)" : "");
}

int hx_model_check(struct hx_actor *a, const struct hx_op *op,
		   unsigned int page, unsigned int npages, const void *data,
		   const char *how)
{
	struct hx_area *area = &a->run->area[op->area];
	const __u8 *got = data;
	unsigned int i;

	for (i = 0; i < npages; i++, got += DM_PAGE)
		if (!hx_page_right(area, page + i, got))
			return hx_page_wrong(a, op, page + i, got, how);
	a->verified += npages * DM_PAGE;
	return 0;
}
