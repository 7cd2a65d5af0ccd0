/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The copy engine: moves bytes between pages the kernel can address.
 *
 * Callers translate a device page to the memory behind it first
 * (dmirror_vram_data()).
 */
#ifndef DMIRROR_COPY_H
#define DMIRROR_COPY_H

#include <linux/types.h>

struct dmirror_device;
struct page;

/**
 * dmirror_copy_page() - fill a page that is about to take another's place
 * @dev: the device that copies
 * @to: destination
 * @from: source, or NULL for a page that has no content yet
 *
 * Context: process context.
 * Return: true; false when the copy failed, which so far happens only on
 * request (inject.h). @to must not be used then.
 */
bool dmirror_copy_page(struct dmirror_device *dev, struct page *to,
		       struct page *from);

#endif /* DMIRROR_COPY_H */
