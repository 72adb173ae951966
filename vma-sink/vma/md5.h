/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checksum of an archive's two kinds of header: the MD5 over the whole
 * header while the field that holds it is zero.
 */
#ifndef VMA_MD5_H
#define VMA_MD5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMA_MD5_BYTES 16

/* FIELD lies within DATA. */
void vma_md5_set(uint8_t *data, size_t bytes, uint8_t *field);
/* Changes DATA for a while. */
bool vma_md5_verify(uint8_t *data, size_t bytes, uint8_t *field);

#endif /* VMA_MD5_H */
