// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing but the layout: compiled, never linked.
 */
#include "layout.h"
