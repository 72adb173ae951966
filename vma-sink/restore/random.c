/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an archive's disks at any place.
 */
#include "restore/random.h"

#include <string.h>

#include "backup/error.h"
#include "io/io.h"
#include "vma/digest.h"

/* 59 MiB, as far as extents are full. */
#define CACHED_EXTENTS 16

/* An extent in memory, verified. */
typedef struct Cached {
    bool valid;
    uint32_t number;            /* in the index */
    uint64_t last_use;
    VmaExtent extent;
    uint8_t *buffer;            /* VMA_EXTENT_MAX_BYTES; NULL: never used */
} Cached;

struct RestoreRandom {
    const RestoreArchive *archive;
    const VmaIndex *index;
    uint64_t uses;
    uint64_t loads;
    Cached cache[CACHED_EXTENTS];
};

RestoreRandom *restore_random_new(const RestoreArchive *archive,
                                  const VmaIndex *index)
{
    RestoreRandom *r = g_new0(RestoreRandom, 1);

    r->archive = archive;
    r->index = index;
    return r;
}

void restore_random_free(RestoreRandom *r)
{
    if (!r) {
        return;
    }
    for (unsigned i = 0; i < CACHED_EXTENTS; i++) {
        g_free(r->cache[i].buffer);
    }
    g_free(r);
}

uint64_t restore_random_loads(const RestoreRandom *r)
{
    return r->loads;
}

static bool read_part(const RestoreRandom *r, void *buffer, size_t bytes,
                      uint64_t offset, GError **error)
{
    size_t got;

    if (!io_pread(restore_archive_fd(r->archive), buffer, bytes, offset, &got,
                  error)) {
        return false;
    }
    if (got < bytes) {
        backup_error_set_incomplete(error, "the archive is cut");
        return false;
    }
    return true;
}

/* The file may have changed since the index was made: all is checked again. */
static bool load(const RestoreRandom *r, Cached *c, uint64_t offset,
                 GError **error)
{
    VmaExtentHeader *header = (VmaExtentHeader *)c->buffer;
    uint8_t *blocks = c->buffer + sizeof(*header);

    return read_part(r, header, sizeof(*header), offset, error) &&
           vma_extent_decode(header, restore_archive_info(r->archive)->uuid,
                             &c->extent, error) &&
           read_part(r, blocks, (size_t)c->extent.block_count *
                     VMA_BLOCK_BYTES, offset + sizeof(*header), error) &&
           (restore_archive_digest_kind(r->archive) != VMA_DIGEST_XXH3 ||
            vma_digests_verify_data(&c->extent, blocks, error));
}

/* The extent out of the cache, where it takes the place of the oldest. */
static Cached *get_extent(RestoreRandom *r, const VmaPlace *place,
                          GError **error)
{
    Cached *c = &r->cache[0];

    r->uses++;
    for (unsigned i = 0; i < CACHED_EXTENTS; i++) {
        Cached *other = &r->cache[i];

        if (other->valid && other->number == place->extent) {
            other->last_use = r->uses;
            return other;
        }
        if (other->last_use < c->last_use) {
            c = other;
        }
    }
    if (!c->buffer) {
        c->buffer = g_malloc(VMA_EXTENT_MAX_BYTES);
    }
    r->loads++;
    c->number = place->extent;
    c->last_use = r->uses;
    c->valid = load(r, c, place->extent_offset, error);
    if (!c->valid) {
        g_prefix_error(error, "%s: extent at offset %" G_GUINT64_FORMAT ": ",
                       restore_archive_label(r->archive),
                       place->extent_offset);
        return NULL;
    }
    return c;
}

/* The stored blocks of a cluster; NULL: they are not what the index says. */
static const uint8_t *find_blocks(const Cached *c, uint8_t device_id,
                                  uint32_t number, const VmaPlace *place)
{
    for (unsigned i = 0; i < c->extent.cluster_count; i++) {
        const VmaCluster *cluster = &c->extent.clusters[i];

        if (cluster->device_id == device_id && cluster->number == number &&
            cluster->mask == place->mask &&
            cluster->first_block == place->first_block) {
            return c->buffer + sizeof(VmaExtentHeader) +
                   (size_t)cluster->first_block * VMA_BLOCK_BYTES;
        }
    }
    return NULL;
}

/* The part from FROM on, as far as it lies within the cluster. */
static void copy(uint8_t *to, const uint8_t *blocks, uint16_t mask,
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

static bool read_cluster(RestoreRandom *r, uint8_t device_id, uint32_t number,
                         size_t from, uint8_t *to, size_t bytes,
                         GError **error)
{
    const uint8_t *blocks;
    VmaPlace place;
    Cached *c;

    if (!vma_index_find(r->index, device_id, number, &place)) {
        memset(to, 0, bytes);
        return true;
    }
    c = get_extent(r, &place, error);
    if (!c) {
        return false;
    }
    blocks = find_blocks(c, device_id, number, &place);
    if (!blocks) {
        backup_error_set_damaged(error, "%s: extent at offset %"
                                 G_GUINT64_FORMAT ": it has changed",
                                 restore_archive_label(r->archive),
                                 place.extent_offset);
        return false;
    }
    copy(to, blocks, place.mask, from, bytes);
    return true;
}

bool restore_random_read(RestoreRandom *r, uint8_t device_id, uint64_t offset,
                         void *buffer, size_t bytes, GError **error)
{
    uint8_t *to = buffer;

    while (bytes > 0) {
        size_t from = offset % VMA_CLUSTER_BYTES;
        size_t n = MIN(bytes, VMA_CLUSTER_BYTES - from);

        if (!read_cluster(r, device_id, offset / VMA_CLUSTER_BYTES, from, to,
                          n, error)) {
            return false;
        }
        to += n;
        offset += n;
        bytes -= n;
    }
    return true;
}
