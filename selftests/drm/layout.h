/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The layout of the interface, worked out by hand: every field with its offset,
 * every structure with its size. Checked by the compiler, once for programs of
 * 64 bits and once for those of 32.
 */
#include <stddef.h>
#include <drm/hmm_dmirror_drm.h>

#define SIZE(s, n) \
	_Static_assert(sizeof(struct drm_hmm_dmirror_##s) == (n), #s)
#define AT(s, field, n) \
	_Static_assert(offsetof(struct drm_hmm_dmirror_##s, field) == (n), #s "." #field)
#define CMD(name, nr, dir, size) \
	_Static_assert(DRM_IOCTL_HMM_DMIRROR_##name == \
		       (((dir) << 30) | ((size) << 16) | ('d' << 8) | (0x40 + (nr))), \
		       #name)

/* Directions: 1 to the kernel, 3 both ways. */
CMD(GET_PARAM, 0, 3U, 16);
CMD(MIGRATE, 1, 3U, 160);
CMD(ADVISE, 2, 1U, 32);
CMD(SUBMIT, 3, 3U, 88);
CMD(WAIT, 4, 3U, 32);
CMD(QUERY, 5, 3U, 40);
CMD(EVICT, 6, 3U, 32);
CMD(EXCLUSIVE, 7, 3U, 32);
CMD(STATS, 8, 3U, 24);
CMD(INJECT, 9, 3U, 72);

SIZE(get_param, 16);
AT(get_param, param, 0);
AT(get_param, value, 8);

SIZE(migrate, 160);
AT(migrate, start, 0);
AT(migrate, length, 8);
AT(migrate, dest, 16);
AT(migrate, flags, 20);
AT(migrate, device, 24);
AT(migrate, pad, 28);
AT(migrate, pages, 32);

SIZE(advise, 32);
AT(advise, start, 0);
AT(advise, length, 8);
AT(advise, attr, 16);
AT(advise, flags, 20);
AT(advise, value, 24);

SIZE(job, 48);
AT(job, op, 0);
AT(job, flags, 4);
AT(job, dst, 8);
AT(job, src, 16);
AT(job, length, 24);
AT(job, value, 32);
AT(job, count, 40);

SIZE(result, 32);
AT(result, status, 0);
AT(result, access, 4);
AT(result, fault_addr, 8);
AT(result, done, 16);
AT(result, value, 24);

SIZE(submit, 88);
AT(submit, jobs, 0);
AT(submit, results, 8);
AT(submit, nr_jobs, 16);
AT(submit, queue, 20);
AT(submit, flags, 24);
AT(submit, pad, 28);
AT(submit, fence_addr, 32);
AT(submit, fence_value, 40);
AT(submit, user_data, 48);
AT(submit, in_syncs, 56);
AT(submit, out_syncs, 64);
AT(submit, nr_in_syncs, 72);
AT(submit, nr_out_syncs, 76);
AT(submit, seqno, 80);

SIZE(wait, 32);
AT(wait, seqno, 0);
AT(wait, timeout_ns, 8);
AT(wait, queue, 16);
AT(wait, flags, 20);
AT(wait, status, 24);
AT(wait, resets, 28);

SIZE(event, 32);
AT(event, base, 0);
AT(event, user_data, 8);
AT(event, seqno, 16);
AT(event, queue, 24);
AT(event, status, 28);

SIZE(query, 40);
AT(query, start, 0);
AT(query, length, 8);
AT(query, pages, 16);
AT(query, flags, 24);
AT(query, pad, 28);
AT(query, nr_pages, 32);

SIZE(evict, 32);
AT(evict, start, 0);
AT(evict, length, 8);
AT(evict, what, 16);
AT(evict, flags, 20);
AT(evict, pages, 24);

SIZE(exclusive, 32);
AT(exclusive, start, 0);
AT(exclusive, length, 8);
AT(exclusive, what, 16);
AT(exclusive, flags, 20);
AT(exclusive, pages, 24);

SIZE(stats, 24);
AT(stats, values, 0);
AT(stats, count, 8);
AT(stats, scope, 12);
AT(stats, flags, 16);
AT(stats, pad, 20);

SIZE(inject, 72);
AT(inject, point, 0);
AT(inject, flags, 32);
AT(inject, nth, 36);
AT(inject, every, 40);
AT(inject, times, 44);
AT(inject, delay_us, 48);
AT(inject, waiting, 52);
AT(inject, hits, 56);
AT(inject, acted, 64);
