// SPDX-License-Identifier: GPL-2.0
/*
 * mm: get_dev_pagemap() lost its second argument (6.18).
 * Needed by compat_get_dev_pagemap().
 */
#include <linux/memremap.h>

struct dev_pagemap *probe(unsigned long pfn);
struct dev_pagemap *probe(unsigned long pfn)
{
	return get_dev_pagemap(pfn);
}
