/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding zeroes in memory.
 */
#include "io/zero.h"

#include <string.h>

/*
 * Data that is not zero mostly shows it in its first bytes; data that is zero
 * there mostly is so throughout, and equals itself moved by a few bytes, which
 * memcmp() compares with the widest instructions that the machine has.
 */
#define HEAD_BYTES 16

bool io_is_zero(const void *buffer, size_t bytes)
{
    static const char zeroes[HEAD_BYTES];
    const char *p = buffer;

    if (bytes <= HEAD_BYTES) {
        return memcmp(p, zeroes, bytes) == 0;
    }
    return memcmp(p, zeroes, HEAD_BYTES) == 0 &&
           memcmp(p, p + HEAD_BYTES, bytes - HEAD_BYTES) == 0;
}
