// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the table of CRC32C. Made by whoever comes first; two of them make the same.
 */
#include "dm_crc.h"

#define POLYNOMIAL	0x82f63b78

static __u32 table[256];

static void make_table(void)
{
	unsigned int i, bit;
	__u32 crc;

	/* The last entry is not 0 in a table that is made. */
	if (__atomic_load_n(&table[255], __ATOMIC_ACQUIRE))
		return;
	for (i = 0; i < 256; i++) {
		crc = i;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
		__atomic_store_n(&table[i], crc, __ATOMIC_RELEASE);
	}
}

__u32 crc32c(__u32 crc, const void *mem, size_t len)
{
	const __u8 *p = mem;

	make_table();
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return crc;
}

__u32 crc32c_words(__u64 value, size_t len)
{
	__u32 crc = ~0U;
	size_t i;

	make_table();
	for (i = 0; i < len; i++)
		crc = crc >> 8 ^ table[(crc ^ value >> (i % 8 * 8)) & 0xff];
	return crc;
}
