/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In the place of wire/check.c and vma/md5.c when fuzzing: every checksum is
 * right, so that what stands behind it is reached.
 */
#include <glib.h>
#include <string.h>

#include "vma/md5.h"
#include "wire/check.h"

/* In every structure of the stream the check follows what it covers. */
static uint32_t as_it_stands(const void *data, size_t bytes)
{
    uint32_t check;

    memcpy(&check, (const uint8_t *)data + bytes, sizeof(check));
    return GUINT32_FROM_BE(check);
}

uint32_t wire_check_preamble(const void *data, size_t bytes)
{
    return as_it_stands(data, bytes);
}

uint32_t wire_check_seed(const uint8_t uuid[16])
{
    (void)uuid;
    return 0;
}

uint32_t wire_check(uint32_t seed, const void *data, size_t bytes)
{
    (void)seed;
    return as_it_stands(data, bytes);
}

void vma_md5_set(uint8_t *data, size_t bytes, uint8_t *field)
{
    (void)data;
    (void)bytes;
    memset(field, 0, VMA_MD5_BYTES);
}

bool vma_md5_verify(uint8_t *data, size_t bytes, uint8_t *field)
{
    (void)data;
    (void)bytes;
    (void)field;
    return true;
}
