// SPDX-License-Identifier: GPL-2.0
/* Must not compile: calls a function that no kernel has. */
#include <linux/mm.h>

int probe(struct page *page);
int probe(struct page *page)
{
	return no_kernel_has_this_function(page);
}
