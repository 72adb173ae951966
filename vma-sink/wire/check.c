/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checks of the stream, by zlib's CRC-32.
 */
#include "wire/check.h"

#include <zlib.h>

uint32_t wire_check_preamble(const void *data, size_t bytes)
{
    return crc32_z(0, data, bytes);
}

uint32_t wire_check_seed(const uint8_t uuid[16])
{
    return crc32_z(0, uuid, 16);
}

uint32_t wire_check(uint32_t seed, const void *data, size_t bytes)
{
    return crc32_z(seed, data, bytes);
}
