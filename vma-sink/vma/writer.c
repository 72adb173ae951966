/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clusters into an archive.
 *
 * One extent is under construction, where the parts' owner has given room for
 * the largest: header, then the stored blocks.  The caller reads cluster data
 * to the end of those blocks, zero blocks are squeezed out in place, and the
 * whole extent is given away by one call.  So data is copied at most once, and
 * only where a zero block stands before it.
 */
#include "vma/writer.h"

#include <string.h>

#include "backup/error.h"
#include "io/zero.h"
#include "vma/digest.h"
#include "vma/extent.h"
#include "vma/format.h"
#include "vma/header.h"

struct VmaWriter {
    const BackupInfo *info;     /* borrowed */
    VmaParts *parts;            /* borrowed */
    VmaParts *own_parts;        /* the same, where they are not; or NULL */
    uint64_t zero_bytes;
    VmaDigests *digests;

    /* The extent under construction. */
    VmaExtent extent;
    uint8_t *buffer;            /* room for it; NULL: to be asked for */
};

VmaWriter *vma_writer_new_parts(const BackupInfo *info, VmaParts *parts,
                                GError **error)
{
    g_autoptr(GByteArray) header = vma_header_encode(info, error);
    VmaWriter *w;

    if (!header ||
        !vma_parts_header(parts, header->data, header->len, error)) {
        return NULL;
    }
    w = g_new0(VmaWriter, 1);
    w->info = info;
    w->parts = parts;
    w->digests = vma_digests_new();
    return w;
}

VmaWriter *vma_writer_new(const BackupInfo *info, IoOutput *output,
                          GError **error)
{
    g_autoptr(VmaParts) parts = vma_parts_new_plain(output, error);
    VmaWriter *w = parts ? vma_writer_new_parts(info, parts, error) : NULL;

    if (w) {
        w->own_parts = g_steal_pointer(&parts);
    }
    return w;
}

void vma_writer_free(VmaWriter *w)
{
    if (w) {
        vma_digests_free(w->digests);
        vma_parts_free(w->own_parts);
        g_free(w);
    }
}

/* Where the next stored block goes. */
static uint8_t *fill(VmaWriter *w)
{
    return w->buffer + sizeof(VmaExtentHeader) +
           (size_t)w->extent.block_count * VMA_BLOCK_BYTES;
}

/* Sees to room for the extent under construction. */
static bool have_room(VmaWriter *w, GError **error)
{
    if (!w->buffer) {
        w->buffer = vma_parts_room(w->parts, error);
    }
    return w->buffer != NULL;
}

/* Gives the extent, whose spare bytes are set, away and begins the next one. */
static bool write_extent(VmaWriter *w, GError **error)
{
    size_t bytes = fill(w) - w->buffer;
    bool ok;

    vma_extent_encode((VmaExtentHeader *)w->buffer, w->info->uuid, &w->extent);
    ok = vma_parts_extent(w->parts, &w->extent, bytes, error);
    w->buffer = NULL;
    w->extent.block_count = 0;
    w->extent.cluster_count = 0;
    return ok;
}

static bool flush(VmaWriter *w, GError **error)
{
    vma_digests_seal(w->digests, &w->extent,
                     w->buffer + sizeof(VmaExtentHeader));
    return write_extent(w, error);
}

/* Sees to room for one more cluster. */
static bool make_room(VmaWriter *w, GError **error)
{
    return (w->extent.cluster_count < VMA_CLUSTERS_PER_EXTENT ||
            flush(w, error)) && have_room(w, error);
}

uint8_t *vma_writer_room(VmaWriter *w, unsigned *clusters, GError **error)
{
    if (!make_room(w, error)) {
        return NULL;
    }
    /* Every cluster so far took its full size or less. */
    *clusters = VMA_CLUSTERS_PER_EXTENT - w->extent.cluster_count;
    return fill(w);
}

/* Moves the blocks of SRC that are not zero to the fill mark. */
static uint16_t squeeze(VmaWriter *w, const uint8_t *src, unsigned blocks)
{
    uint8_t *dst = fill(w);
    uint16_t mask = 0;

    for (unsigned i = 0; i < blocks; i++, src += VMA_BLOCK_BYTES) {
        if (!io_is_zero(src, VMA_BLOCK_BYTES)) {
            mask |= 1u << i;
            if (dst != src) {
                /* Whole blocks apart, so they never overlap. */
                memcpy(dst, src, VMA_BLOCK_BYTES);
            }
            dst += VMA_BLOCK_BYTES;
        }
    }
    return mask;
}

static void add_entry(VmaWriter *w, const BackupDevice *device,
                      uint64_t number, uint16_t mask)
{
    g_assert(w->extent.cluster_count < VMA_CLUSTERS_PER_EXTENT);
    w->extent.clusters[w->extent.cluster_count++] = (VmaCluster) {
        .device_id = device->id,
        .mask = mask,
        .number = number,
    };
    w->extent.block_count += vma_mask_blocks(mask);
}

/* Bytes of a cluster of BYTES bytes that are in its stored blocks. */
static size_t stored_bytes(uint16_t mask, size_t bytes)
{
    size_t stored = (size_t)vma_mask_blocks(mask) * VMA_BLOCK_BYTES;
    unsigned last = (bytes - 1) / VMA_BLOCK_BYTES;
    bool last_stored = mask >> last & 1;

    return stored - (last_stored ? (last + 1) * VMA_BLOCK_BYTES - bytes : 0);
}

void vma_writer_add_data(VmaWriter *w, const BackupDevice *device,
                         uint64_t number, unsigned count)
{
    uint8_t *src = fill(w);

    for (unsigned i = 0; i < count; i++, src += VMA_CLUSTER_BYTES) {
        size_t bytes = backup_run_bytes(device->size_bytes, number + i, 1);
        unsigned blocks = (bytes + VMA_BLOCK_BYTES - 1) / VMA_BLOCK_BYTES;
        uint16_t mask;

        /* A block that crosses the device's end is padded with zeroes. */
        memset(src + bytes, 0, (size_t)blocks * VMA_BLOCK_BYTES - bytes);
        mask = squeeze(w, src, blocks);
        add_entry(w, device, number + i, mask);
        w->zero_bytes += bytes - stored_bytes(mask, bytes);
    }
}

bool vma_writer_add_zero(VmaWriter *w, const BackupDevice *device,
                         uint64_t number, uint64_t count, GError **error)
{
    if (count > 0) {
        w->zero_bytes += backup_run_bytes(device->size_bytes, number, count);
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!make_room(w, error)) {
            return false;
        }
        add_entry(w, device, number + i, 0);
    }
    return true;
}

bool vma_writer_finish(VmaWriter *w, GError **error)
{
    if (w->extent.cluster_count > 0 && !flush(w, error)) {
        return false;
    }
    vma_digests_seal_end(w->digests, &w->extent);
    return have_room(w, error) && write_extent(w, error) &&
           vma_parts_finish(w->parts, error);
}

uint64_t vma_writer_zero_bytes(const VmaWriter *w)
{
    return w->zero_bytes;
}
