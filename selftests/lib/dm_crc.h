/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CRC32C as the device's CHECKSUM has it: what it begins with is not inverted.
 */
#ifndef _SELFTESTS_LIB_DM_CRC_H
#define _SELFTESTS_LIB_DM_CRC_H

#include <stddef.h>
#include <linux/types.h>

/**
 * crc32c() - continue a CRC32C
 * @crc: where the bytes before @mem have led to; ~0 to begin the usual one
 * @mem: bytes
 * @len: how many
 */
__u32 crc32c(__u32 crc, const void *mem, size_t len);

/**
 * crc32c_words() - the usual CRC32C, not inverted, of one value over and over
 * @value: 8 bytes, repeated
 * @len: bytes of it in all
 */
__u32 crc32c_words(__u64 value, size_t len);

#endif /* _SELFTESTS_LIB_DM_CRC_H */
