/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An extent's header between its bytes and a list of clusters.
 */
#include "vma/extent.h"

#include <string.h>

#include "backup/error.h"
#include "vma/md5.h"

bool vma_extent_decode(VmaExtentHeader *header, const uuid_t uuid,
                       VmaExtent *extent, GError **error)
{
    unsigned blocks = 0;

    if (memcmp(header->magic, VMA_EXTENT_MAGIC, sizeof(header->magic)) != 0) {
        backup_error_set_damaged(error, "this is no extent");
        return false;
    }
    if (!vma_md5_verify((uint8_t *)header, sizeof(*header), header->md5)) {
        backup_error_set_damaged(error, "checksum mismatch");
        return false;
    }
    if (header->reserved) {
        backup_error_set_damaged(error, "reserved field is not zero");
        return false;
    }
    if (memcmp(header->uuid, uuid, sizeof(uuid_t)) != 0) {
        backup_error_set_damaged(error, "it belongs to another archive (uuid)");
        return false;
    }
    extent->cluster_count = 0;
    extent->block_count = GUINT16_FROM_BE(header->block_count);
    for (unsigned i = 0; i < VMA_CLUSTERS_PER_EXTENT; i++) {
        const VmaBlockInfo *entry = &header->blockinfo[i];
        VmaCluster *cluster = &extent->clusters[extent->cluster_count];

        *cluster = (VmaCluster) {
            .device_id = entry->device_id,
            .slot = i,
            .mask = GUINT16_FROM_BE(entry->mask),
            .number = GUINT32_FROM_BE(entry->cluster_number),
            .first_block = blocks,
        };
        extent->spare[i] = entry->reserved;
        if (cluster->device_id != 0) {
            extent->cluster_count++;
            blocks += vma_mask_blocks(cluster->mask);
        } else if (cluster->mask) {
            backup_error_set_damaged(error, "blocks of no device in entry %u",
                                     i);
            return false;
        }
    }
    if (blocks != extent->block_count) {
        backup_error_set_damaged(error, "block count %u, but its masks have %u",
                                 extent->block_count, blocks);
        return false;
    }
    return true;
}

void vma_extent_set_cut(GError **error, const char *where, uint64_t offset)
{
    backup_error_set_incomplete(error, "the archive is cut: it ends in %s, "
                                "after %" G_GUINT64_FORMAT " bytes", where,
                                offset);
}

void vma_extent_set_short(GError **error, const void *data, size_t bytes,
                          uint64_t offset)
{
    if (memcmp(data, VMA_EXTENT_MAGIC,
               MIN(bytes, strlen(VMA_EXTENT_MAGIC))) == 0) {
        vma_extent_set_cut(error, "an extent's header", offset + bytes);
    } else {
        backup_error_set_damaged(error, "%zu bytes at offset %"
                                 G_GUINT64_FORMAT " are no extent", bytes,
                                 offset);
    }
}

bool vma_extent_find(uint8_t *data, size_t bytes, const uuid_t uuid,
                     size_t *at)
{
    const size_t magic_bytes = strlen(VMA_EXTENT_MAGIC);
    VmaExtent extent;

    for (*at = 0; bytes - *at >= sizeof(VmaExtentHeader); ++*at) {
        size_t last = bytes - sizeof(VmaExtentHeader) + magic_bytes;
        uint8_t *found = memmem(data + *at, last - *at, VMA_EXTENT_MAGIC,
                                magic_bytes);
        VmaExtentHeader *header = (VmaExtentHeader *)found;

        if (!found) {
            *at = bytes - sizeof(VmaExtentHeader) + 1;
            return false;
        }
        *at = found - data;
        if (!header->reserved &&
            memcmp(header->uuid, uuid, sizeof(uuid_t)) == 0 &&
            vma_extent_decode(header, uuid, &extent, NULL)) {
            return true;
        }
    }
    return false;
}

void vma_extent_encode(VmaExtentHeader *header, const uuid_t uuid,
                       const VmaExtent *extent)
{
    memset(header, 0, sizeof(*header));
    memcpy(header->magic, VMA_EXTENT_MAGIC, sizeof(header->magic));
    header->block_count = GUINT16_TO_BE(extent->block_count);
    memcpy(header->uuid, uuid, sizeof(uuid_t));
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];

        header->blockinfo[i] = (VmaBlockInfo) {
            .mask = GUINT16_TO_BE(cluster->mask),
            .device_id = cluster->device_id,
            .cluster_number = GUINT32_TO_BE(cluster->number),
        };
    }
    for (unsigned i = 0; i < VMA_CLUSTERS_PER_EXTENT; i++) {
        header->blockinfo[i].reserved = extent->spare[i];
    }
    vma_md5_set((uint8_t *)header, sizeof(*header), header->md5);
}
