/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an archive front to back, one extent in memory at a time.
 */
#include "vma/reader.h"

#include <string.h>

#include "backup/error.h"
#include "io/io.h"
#include "vma/header.h"

/* A header grows in memory only as fast as it really arrives. */
#define HEADER_STEP_BYTES (1u << 20)

struct VmaReader {
    int fd;                     /* borrowed */
    BackupInfo *info;
    const BackupDevice *devices[VMA_DEVICES];   /* of info; NULL: none */
    VmaDigestKind digest_kind;
    VmaDigests *digests;        /* NULL unless the kind is known */
    uint64_t offset;            /* of the current extent */
    uint64_t next_offset;
    VmaExtent extent;
    uint8_t *buffer;            /* VMA_EXTENT_MAX_BYTES */
};

/* For errors of the descriptor itself. */
static VmaNext read_failed(uint64_t offset, GError **error)
{
    g_prefix_error(error, "cannot read the archive at offset %"
                   G_GUINT64_FORMAT ": ", offset);
    return VMA_NEXT_ERROR;
}

static void set_cut(GError **error, const char *where, uint64_t offset)
{
    backup_error_set_incomplete(error, "the archive is cut: it ends in %s, "
                                "after %" G_GUINT64_FORMAT " bytes", where,
                                offset);
}

/* The header's bytes, of the size that its fixed part tells. */
static GByteArray *read_header(int fd, GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    size_t have, got, bytes;

    g_byte_array_set_size(data, sizeof(VmaHeader));
    if (!io_read(fd, data->data, sizeof(VmaHeader), &have, error)) {
        read_failed(0, error);
        return NULL;
    }
    if (have < sizeof(VmaHeader)) {
        if (memcmp(data->data, VMA_MAGIC, MIN(have, 4)) != 0) {
            backup_error_set_damaged(error, "not a VMA archive");
        } else {
            set_cut(error, "its header", have);
        }
        return NULL;
    }
    if (!vma_header_size((VmaHeader *)data->data, &bytes, error)) {
        return NULL;
    }
    while (have < bytes) {
        size_t step = MIN(bytes - have, HEADER_STEP_BYTES);

        g_byte_array_set_size(data, have + step);
        if (!io_read(fd, data->data + have, step, &got, error)) {
            read_failed(have, error);
            return NULL;
        }
        have += got;
        if (got < step) {
            set_cut(error, "its header", have);
            return NULL;
        }
    }
    return g_steal_pointer(&data);
}

VmaReader *vma_reader_new(int fd, GError **error)
{
    g_autoptr(GByteArray) header = read_header(fd, error);
    g_autoptr(BackupInfo) info = NULL;
    VmaReader *r;

    if (header) {
        info = vma_header_decode(header->data, header->len, error);
    }
    if (!info) {
        return NULL;
    }
    r = g_new0(VmaReader, 1);
    r->fd = fd;
    r->next_offset = header->len;
    r->buffer = g_malloc(VMA_EXTENT_MAX_BYTES);
    r->digest_kind = vma_digest_find_mark((VmaHeader *)header->data);
    if (r->digest_kind == VMA_DIGEST_XXH3) {
        r->digests = vma_digests_new();
    }
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        r->devices[device->id] = device;
    }
    r->info = g_steal_pointer(&info);
    return r;
}

void vma_reader_free(VmaReader *r)
{
    if (r) {
        backup_info_free(r->info);
        vma_digests_free(r->digests);
        g_free(r->buffer);
        g_free(r);
    }
}

const BackupInfo *vma_reader_info(const VmaReader *r)
{
    return r->info;
}

const BackupDevice *vma_reader_device(const VmaReader *r, uint8_t id)
{
    return r->devices[id];
}

VmaDigestKind vma_reader_digest_kind(const VmaReader *r)
{
    return r->digest_kind;
}

bool vma_reader_verify_place(VmaReader *r, GError **error)
{
    return !r->digests ||
           vma_digests_verify_place(r->digests, &r->extent, error);
}

bool vma_reader_verify_data(const VmaReader *r, GError **error)
{
    return !r->digests ||
           vma_digests_verify_data(&r->extent,
                                   r->buffer + sizeof(VmaExtentHeader), error);
}

uint64_t vma_reader_offset(const VmaReader *r)
{
    return r->offset;
}

const uint8_t *vma_reader_blocks(const VmaReader *r, const VmaCluster *cluster)
{
    return r->buffer + sizeof(VmaExtentHeader) +
           (size_t)cluster->first_block * VMA_BLOCK_BYTES;
}

/* Too few bytes for an extent's header: a cut, or something else's bytes. */
static void set_short_header(VmaReader *r, size_t got, GError **error)
{
    if (memcmp(r->buffer, VMA_EXTENT_MAGIC, MIN(got, 4)) == 0) {
        set_cut(error, "an extent's header", r->offset + got);
    } else {
        backup_error_set_damaged(error, "%zu bytes at offset %"
                                 G_GUINT64_FORMAT " are no extent", got,
                                 r->offset);
    }
}

/* The blocks of the extent whose header has been decoded. */
static VmaNext read_blocks(VmaReader *r, const VmaExtent **extent,
                           GError **error)
{
    const size_t header_bytes = sizeof(VmaExtentHeader);
    size_t bytes = (size_t)r->extent.block_count * VMA_BLOCK_BYTES;
    size_t got;

    if (!io_read(r->fd, r->buffer + header_bytes, bytes, &got, error)) {
        return read_failed(r->offset, error);
    }
    if (got < bytes) {
        set_cut(error, "an extent", r->offset + header_bytes + got);
        return VMA_NEXT_ERROR;
    }
    r->next_offset = r->offset + header_bytes + bytes;
    *extent = &r->extent;
    return VMA_NEXT_EXTENT;
}

/* The input ends where an extent could begin. */
static VmaNext at_end(VmaReader *r, GError **error)
{
    return !r->digests || vma_digests_verify_end(r->digests, error)
           ? VMA_NEXT_END : VMA_NEXT_ERROR;
}

VmaNext vma_reader_next(VmaReader *r, const VmaExtent **extent, GError **error)
{
    VmaExtentHeader *header = (VmaExtentHeader *)r->buffer;
    size_t got;

    r->offset = r->next_offset;
    r->next_offset += sizeof(*header);
    if (!io_read(r->fd, header, sizeof(*header), &got, error)) {
        return read_failed(r->offset, error);
    }
    if (got == 0) {
        return at_end(r, error);
    }
    if (got < sizeof(*header)) {
        set_short_header(r, got, error);
        return VMA_NEXT_ERROR;
    }
    if (!vma_extent_decode(header, r->info->uuid, &r->extent, error)) {
        g_prefix_error(error, "extent at offset %" G_GUINT64_FORMAT ": ",
                       r->offset);
        return VMA_NEXT_ERROR;
    }
    return read_blocks(r, extent, error);
}

/*
 * Extents are of whole units of 512 bytes, so from the bad one on an extent can
 * begin only every 512 bytes.
 */
VmaNext vma_reader_resync(VmaReader *r, const VmaExtent **extent,
                          uint64_t *skipped, GError **error)
{
    VmaExtentHeader *header = (VmaExtentHeader *)r->buffer;
    uint64_t from = r->offset;
    size_t got;

    do {
        r->offset = r->next_offset;
        r->next_offset += sizeof(*header);
        if (!io_read(r->fd, header, sizeof(*header), &got, error)) {
            return read_failed(r->offset, error);
        }
        *skipped = r->offset - from;
        if (got < sizeof(*header)) {
            *skipped += got;
            return at_end(r, error);
        }
    } while (!vma_extent_decode(header, r->info->uuid, &r->extent, NULL));
    return read_blocks(r, extent, error);
}
