/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MD5 with the field that holds it taken as zero.
 */
#include "vma/md5.h"

#include <glib.h>
#include <string.h>

void vma_md5_set(uint8_t *data, size_t bytes, uint8_t *field)
{
    g_autoptr(GChecksum) md5 = g_checksum_new(G_CHECKSUM_MD5);
    gsize length = VMA_MD5_BYTES;

    memset(field, 0, VMA_MD5_BYTES);
    g_checksum_update(md5, data, bytes);
    g_checksum_get_digest(md5, field, &length);
}

bool vma_md5_verify(uint8_t *data, size_t bytes, uint8_t *field)
{
    uint8_t stored[VMA_MD5_BYTES];
    bool same;

    memcpy(stored, field, sizeof(stored));
    vma_md5_set(data, bytes, field);
    same = memcmp(stored, field, sizeof(stored)) == 0;
    memcpy(field, stored, sizeof(stored));
    return same;
}
