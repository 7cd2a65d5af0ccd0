// SPDX-License-Identifier: GPL-2.0
/* The numbers of this project's header. */
#include <stddef.h>
#include <hmm_dmirror/test_hmm.h>
#include "layout.h"

const struct layout_row layout_ours[] = LAYOUT_ROWS;
