/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that the pure files (pt, policy, range, thrash, lru, block) know of the kernel.
 *
 * The unit tests build those files on the host with a kdeps.h of their own
 * that offers the same few names; a pure file includes nothing else.
 */
#ifndef DMIRROR_KDEPS_H
#define DMIRROR_KDEPS_H

#include <linux/align.h>
#include <linux/bits.h>
#include <linux/bitmap.h>
#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>

#endif /* DMIRROR_KDEPS_H */
