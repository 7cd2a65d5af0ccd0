// SPDX-License-Identifier: GPL-2.0
/* The numbers of the kernel's header, in the source tree the tests build with. */
#include <stddef.h>
#include <lib/test_hmm_uapi.h>
#include "layout.h"

const struct layout_row layout_kernel[] = LAYOUT_ROWS;
