/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single extents and clusters of an archive, through an index, verified.
 */
#include "restore/fetch.h"

#include <string.h>
#include <xxhash.h>

#include "backup/error.h"

void restore_fetch_init(RestoreFetch *f, const RestoreArchive *archive,
                        VmaIndex *index)
{
    *f = (RestoreFetch) {
        .archive = archive,
        .index = index,
        .cursor = io_input_cursor_new(restore_archive_input(archive)),
    };
}

void restore_fetch_clear(RestoreFetch *f)
{
    g_clear_pointer(&f->cursor, io_input_cursor_free);
}

static bool is_compressed(const RestoreFetch *f)
{
    return io_input_is_compressed(restore_archive_input(f->archive));
}

bool restore_fetch_set_changed(const RestoreFetch *f, GError **error)
{
    /* Of a plain one the index was made of the archive itself. */
    backup_error_set_damaged(error, "it %shas changed while it was read",
                             is_compressed(f)
                             ? "is not what the index says, or " : "");
    return false;
}

void restore_fetch_prefix(const RestoreFetch *f, const VmaPlace *place,
                          GError **error)
{
    g_prefix_error(error, "%s: extent at offset %" G_GUINT64_FORMAT ": ",
                   restore_archive_label(f->archive), place->extent_offset);
}

const uint8_t *restore_fetch_blocks(const uint8_t *buffer,
                                    unsigned first_block)
{
    return buffer + sizeof(VmaExtentHeader) +
           (size_t)first_block * VMA_BLOCK_BYTES;
}

/*
 * Of blocks that match the extent's digest, for when they are read again; not
 * 0, by which is known that the extent was verified.
 */
static uint32_t check_of(const uint8_t *blocks, uint16_t mask)
{
    uint32_t check = XXH3_64bits(blocks, (size_t)vma_mask_blocks(mask) *
                                         VMA_BLOCK_BYTES);

    return check ? check : 1;
}

/*
 * For restore_fetch_again().  Where that means to decompress a frame all of its
 * extent can be had as well.
 */
static void set_checks(RestoreFetch *f, const VmaExtent *extent,
                       const uint8_t *buffer)
{
    if (is_compressed(f)) {
        return;
    }
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];

        if (cluster->mask) {
            vma_index_set_check(
                f->index, cluster,
                check_of(restore_fetch_blocks(buffer, cluster->first_block),
                         cluster->mask));
        }
    }
}

bool restore_fetch_extent(RestoreFetch *f, const VmaPlace *place,
                          VmaExtent *extent, uint8_t *buffer, GError **error)
{
    /* The file may have changed since the index was made. */
    if (!restore_archive_read_extent(f->archive, f->cursor,
                                     place->extent_offset, extent, buffer,
                                     error)) {
        return false;
    }
    f->bytes += sizeof(VmaExtentHeader) +
                (uint64_t)extent->block_count * VMA_BLOCK_BYTES;
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];

        if (cluster->mask &&
            !vma_index_has(f->index, place->extent, cluster)) {
            return restore_fetch_set_changed(f, error);
        }
    }
    set_checks(f, extent, buffer);
    return true;
}

bool restore_fetch_again(RestoreFetch *f, const VmaPlace *place,
                         uint8_t *blocks, GError **error)
{
    size_t bytes = (size_t)vma_mask_blocks(place->mask) * VMA_BLOCK_BYTES;
    uint64_t offset = place->extent_offset + sizeof(VmaExtentHeader) +
                      (uint64_t)place->first_block * VMA_BLOCK_BYTES;

    f->bytes += bytes;
    return restore_archive_read_at(f->cursor, blocks, bytes, offset, error) &&
           (check_of(blocks, place->mask) == place->check ||
            restore_fetch_set_changed(f, error));
}

const VmaCluster *restore_fetch_find(const VmaExtent *extent,
                                     uint8_t device_id, uint32_t number,
                                     const VmaPlace *place)
{
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];

        if (cluster->device_id == device_id && cluster->number == number &&
            cluster->mask == place->mask &&
            cluster->first_block == place->first_block) {
            return cluster;
        }
    }
    return NULL;
}

void restore_fetch_copy(uint8_t *to, const uint8_t *blocks, uint16_t mask,
                        size_t from, size_t bytes)
{
    while (bytes > 0) {
        unsigned block = from / VMA_BLOCK_BYTES;
        size_t within = from % VMA_BLOCK_BYTES;
        size_t n = MIN(bytes, VMA_BLOCK_BYTES - within);

        if (mask >> block & 1) {
            unsigned before = vma_mask_blocks(mask & ((1u << block) - 1));

            memcpy(to, blocks + (size_t)before * VMA_BLOCK_BYTES + within, n);
        } else {
            memset(to, 0, n);
        }
        to += n;
        from += n;
        bytes -= n;
    }
}
