/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single extents and clusters of an archive, through an index, verified: what
 * those share that read an archive in another order than its own.
 */
#ifndef RESTORE_FETCH_H
#define RESTORE_FETCH_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "restore/archive.h"
#include "vma/index.h"

/* For one thread at a time; several may share the archive and the index. */
typedef struct RestoreFetch {
    const RestoreArchive *archive;      /* borrowed */
    VmaIndex *index;                    /* borrowed; gets checks */
    IoInputCursor *cursor;
    uint64_t bytes;                     /* that were read */
} RestoreFetch;

void restore_fetch_init(RestoreFetch *fetch, const RestoreArchive *archive,
                        VmaIndex *index);
void restore_fetch_clear(RestoreFetch *fetch);

/*
 * Reads and verifies the extent of a place of the index into BUFFER, of
 * VMA_EXTENT_MAX_BYTES, as restore_archive_read_extent() does; what the index
 * does not say of it is an error.  Where the archive is plain a check of each
 * cluster is noted in the index.
 */
bool restore_fetch_extent(RestoreFetch *fetch, const VmaPlace *place,
                          VmaExtent *extent, uint8_t *buffer, GError **error);

/*
 * The stored blocks of a cluster alone, of an extent that was verified: the
 * place has a check, and they have to match it.
 */
bool restore_fetch_again(RestoreFetch *fetch, const VmaPlace *place,
                         uint8_t *blocks, GError **error);

/* The blocks in the buffer of an extent from that one on. */
const uint8_t *restore_fetch_blocks(const uint8_t *buffer,
                                    unsigned first_block);

/* The cluster of EXTENT that the index has there; NULL: it has none such. */
const VmaCluster *restore_fetch_find(const VmaExtent *extent,
                                     uint8_t device_id, uint32_t number,
                                     const VmaPlace *place);

/* Bytes FROM on of a cluster with that mask, out of its stored BLOCKS. */
void restore_fetch_copy(uint8_t *to, const uint8_t *blocks, uint16_t mask,
                        size_t from, size_t bytes);

/* Puts before an error in which extent it is. */
void restore_fetch_prefix(const RestoreFetch *fetch, const VmaPlace *place,
                          GError **error);

/* False, always: index and archive differ. */
bool restore_fetch_set_changed(const RestoreFetch *fetch, GError **error);

#endif /* RESTORE_FETCH_H */
