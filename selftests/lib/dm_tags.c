// SPDX-License-Identifier: GPL-2.0
/*
 * Content tags: what is written into test pages, and what a difference means.
 * Pure computation on memory of the caller; no state, no locks.
 *
 * One word, from the top: 8 bits magic, 24 bits page of the address space,
 * 16 bits generation, 7 bits writer, 9 bits index of the word in its page.
 */
#include <stdio.h>
#include <string.h>
#include "dmirror.h"

#define DM_MAGIC	0xa5ULL
#define DM_WORDS	(DM_PAGE / sizeof(__u64))

__u64 dm_tag(const void *va, unsigned int generation, unsigned int writer,
	     unsigned int word)
{
	__u64 page = ((uintptr_t)va / DM_PAGE) & 0xffffff;

	return DM_MAGIC << 56 | page << 32 |
	       (__u64)(generation & 0xffff) << 16 |
	       (writer & 0x7f) << 9 | (word & 0x1ff);
}

void dm_fill(void *mem, unsigned long npages, const void *va,
	     unsigned int generation, unsigned int writer)
{
	__u64 *p = mem;
	unsigned long i;
	unsigned int w;

	for (i = 0; i < npages; i++) {
		__u64 tag = dm_tag((const __u8 *)va + i * DM_PAGE,
				      generation, writer, 0);

		for (w = 0; w < DM_WORDS; w++)
			*p++ = tag | w;
	}
}

static enum dm_bad_kind dm_classify(__u64 want, __u64 got)
{
	__u64 diff = want ^ got;

	if (!got)
		return DM_BAD_ZERO;
	if (diff >> 56)
		return DM_BAD_GARBAGE;
	if (diff >> 32 & 0xffffff)
		return DM_BAD_NEIGHBOUR;
	if (diff >> 16 & 0xffff)
		return DM_BAD_STALE;
	if (diff >> 9 & 0x7f)
		return DM_BAD_WRITER;
	return DM_BAD_SHIFTED;
}

static void dm_bad_word(struct dm_bad *bad, size_t index, __u64 want,
			__u64 got)
{
	unsigned int byte = __builtin_ctzll(want ^ got) / 8;

	bad->kind = want ? dm_classify(want, got) : DM_BAD_GARBAGE;
	bad->offset = index * sizeof(__u64) + byte;
	bad->want = want >> (8 * byte);
	bad->got = got >> (8 * byte);
	bad->want_word = want;
	bad->got_word = got;
}

/* Compare one page with first, first + step, ... and note a difference. */
static bool dm_page_bad(const __u64 *p, unsigned long page, __u64 first,
			__u64 step, struct dm_bad *bad)
{
	unsigned int w;

	for (w = 0; w < DM_WORDS; w++) {
		/* Read once: another writer may be at work on purpose. */
		__u64 got = __atomic_load_n(p + w, __ATOMIC_RELAXED);
		__u64 want = first + step * w;

		if (got == want)
			continue;
		if (!bad->bad_pages)
			dm_bad_word(bad, page * DM_WORDS + w, want, got);
		return true;
	}
	return false;
}

static int dm_compare(const void *mem, unsigned long npages, const void *va,
		      __u64 base, struct dm_bad *bad)
{
	const __u64 *p = mem;
	struct dm_bad local;
	unsigned long i;

	if (!bad)
		bad = &local;
	memset(bad, 0, sizeof(*bad));
	for (i = 0; i < npages; i++, p += DM_WORDS) {
		__u64 first = base;

		if (base)
			first |= dm_tag((const __u8 *)va + i * DM_PAGE,
					0, 0, 0);
		if (dm_page_bad(p, i, first, base ? 1 : 0, bad))
			bad->bad_pages++;
	}
	return bad->kind;
}

int dm_verify(const void *mem, unsigned long npages, const void *va,
	      unsigned int generation, unsigned int writer, struct dm_bad *bad)
{
	return dm_compare(mem, npages, va,
			  dm_tag(NULL, generation, writer, 0), bad);
}

int dm_verify_zero(const void *mem, unsigned long npages, struct dm_bad *bad)
{
	return dm_compare(mem, npages, NULL, 0, bad);
}

const char *dm_bad_str(const struct dm_bad *bad, char *buf)
{
	static const char * const kinds[] = {
		[DM_BAD_NONE] = "as expected",
		[DM_BAD_ZERO] = "zero",
		[DM_BAD_STALE] = "another generation",
		[DM_BAD_NEIGHBOUR] = "another page's data",
		[DM_BAD_WRITER] = "another writer's data",
		[DM_BAD_SHIFTED] = "right page, wrong offset",
		[DM_BAD_GARBAGE] = "garbage",
	};
	__u64 g = bad->got_word;

	if (bad->kind == DM_BAD_NONE)
		return kinds[DM_BAD_NONE];
	snprintf(buf, DM_MSG,
		 "byte %#zx (page %zu): want %#04x got %#04x: %s; word %#llx = page %#x generation %u writer %u, want %#llx; %lu bad page(s)",
		 bad->offset, bad->offset / DM_PAGE, bad->want, bad->got,
		 kinds[bad->kind], g, (unsigned int)(g >> 32 & 0xffffff),
		 (unsigned int)(g >> 16 & 0xffff),
		 (unsigned int)(g >> 9 & 0x7f), bad->want_word,
		 bad->bad_pages);
	return buf;
}
