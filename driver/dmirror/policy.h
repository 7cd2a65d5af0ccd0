/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decisions that are arithmetic only: how far a CPU fault reaches around the
 * page it needs, and how an operation is cut into windows.
 *
 * Intervals are half open, in bytes.
 */
#ifndef DMIRROR_POLICY_H
#define DMIRROR_POLICY_H

#include "kdeps.h"

/**
 * dmirror_policy_around() - the window a fault brings along
 * @addr: faulting address
 * @size: window size in bytes, a power of two of at least a page
 * @lo: the window must not begin before this
 * @hi: the window must not end after this; @addr lies in [@lo, @hi)
 * @start: (out) first byte
 * @end: (out) the byte after the last
 *
 * The window is aligned to its size and clipped to [@lo, @hi); it always
 * contains @addr.
 */
void dmirror_policy_around(unsigned long addr, unsigned long size,
			   unsigned long lo, unsigned long hi,
			   unsigned long *start, unsigned long *end);

/**
 * dmirror_policy_window_end() - where the window that begins at @addr ends
 * @addr: first byte
 * @end: end of the whole operation, above @addr
 * @size: window size in bytes, a power of two
 *
 * Windows end at multiples of @size, so that each lies in one leaf and a
 * range cut at its own start still lets whole 2 MiB pages move whole.
 *
 * Return: the byte after the last of the window.
 */
unsigned long dmirror_policy_window_end(unsigned long addr, unsigned long end,
					unsigned long size);

#endif /* DMIRROR_POLICY_H */
