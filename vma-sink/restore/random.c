/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an archive's disks at any place.
 */
#include "restore/random.h"

#include <string.h>
#include <xxhash.h>

#include "backup/error.h"

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
    VmaIndex *index;
    uint64_t uses;
    uint64_t bytes;             /* read */
    Cached cache[CACHED_EXTENTS];
    uint8_t *verified;          /* a bit for each extent of the index */
    uint8_t cluster[VMA_CLUSTER_BYTES];     /* blocks that were read again */
};

RestoreRandom *restore_random_new(const RestoreArchive *archive,
                                  VmaIndex *index)
{
    RestoreRandom *r = g_new0(RestoreRandom, 1);

    r->archive = archive;
    r->index = index;
    r->verified = g_new0(uint8_t, vma_index_extents(index) / 8 + 1);
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
    g_free(r->verified);
    g_free(r);
}

uint64_t restore_random_bytes(const RestoreRandom *r)
{
    return r->bytes;
}

/* A lasting difference between index and archive. */
static bool set_changed(GError **error)
{
    backup_error_set_damaged(error, "it has changed while it was read");
    return false;
}

/* Of blocks that match the extent's digest, for when they are read again. */
static uint32_t check_of(const uint8_t *blocks, uint16_t mask)
{
    return XXH3_64bits(blocks, (size_t)vma_mask_blocks(mask) *
                               VMA_BLOCK_BYTES);
}

static const uint8_t *blocks_of(const Cached *c, unsigned first_block)
{
    return c->buffer + sizeof(VmaExtentHeader) +
           (size_t)first_block * VMA_BLOCK_BYTES;
}

static bool load(RestoreRandom *r, Cached *c, const VmaPlace *place,
                 GError **error)
{
    /* The file may have changed since the index was made. */
    if (!restore_archive_read_extent(r->archive, place->extent_offset,
                                     &c->extent, c->buffer, error)) {
        return false;
    }
    r->bytes += sizeof(VmaExtentHeader) +
                (uint64_t)c->extent.block_count * VMA_BLOCK_BYTES;
    for (unsigned i = 0; i < c->extent.cluster_count; i++) {
        const VmaCluster *cluster = &c->extent.clusters[i];

        if (cluster->mask &&
            !vma_index_set_check(r->index, place->extent, cluster,
                                 check_of(blocks_of(c, cluster->first_block),
                                          cluster->mask))) {
            return set_changed(error);
        }
    }
    r->verified[place->extent / 8] |= 1u << place->extent % 8;
    return true;
}

/* An extent that is in the cache, or NULL and the oldest in it. */
static Cached *find_cached(RestoreRandom *r, uint32_t extent, Cached **oldest)
{
    *oldest = &r->cache[0];
    for (unsigned i = 0; i < CACHED_EXTENTS; i++) {
        Cached *c = &r->cache[i];

        if (c->valid && c->number == extent) {
            return c;
        }
        if (c->last_use < (*oldest)->last_use) {
            *oldest = c;
        }
    }
    return NULL;
}

/* Puts an extent into the cache. */
static bool load_into(RestoreRandom *r, Cached *c, const VmaPlace *place,
                      GError **error)
{
    if (!c->buffer) {
        c->buffer = g_malloc(VMA_EXTENT_MAX_BYTES);
    }
    c->number = place->extent;
    c->valid = load(r, c, place, error);
    return c->valid;
}

/* Whether an extent in the cache has the cluster where the index says. */
static bool has_cluster(const Cached *c, uint8_t device_id, uint32_t number,
                        const VmaPlace *place)
{
    for (unsigned i = 0; i < c->extent.cluster_count; i++) {
        const VmaCluster *cluster = &c->extent.clusters[i];

        if (cluster->device_id == device_id && cluster->number == number &&
            cluster->mask == place->mask &&
            cluster->first_block == place->first_block) {
            return true;
        }
    }
    return false;
}

/* The stored blocks alone, of an extent that was verified before. */
static bool read_again(RestoreRandom *r, const VmaPlace *place, GError **error)
{
    size_t bytes = (size_t)vma_mask_blocks(place->mask) * VMA_BLOCK_BYTES;
    uint64_t offset = place->extent_offset + sizeof(VmaExtentHeader) +
                      (uint64_t)place->first_block * VMA_BLOCK_BYTES;

    r->bytes += bytes;
    return restore_archive_read_at(r->archive, r->cluster, bytes, offset,
                                   error) &&
           (check_of(r->cluster, place->mask) == place->check ||
            set_changed(error));
}

/* The stored blocks of a cluster, valid until the next call. */
static const uint8_t *get_blocks(RestoreRandom *r, uint8_t device_id,
                                 uint32_t number, const VmaPlace *place,
                                 GError **error)
{
    bool verified = r->verified[place->extent / 8] >> place->extent % 8 & 1;
    Cached *oldest;
    Cached *c = find_cached(r, place->extent, &oldest);

    if (!c && verified) {
        return read_again(r, place, error) ? r->cluster : NULL;
    }
    if (!c) {
        c = load_into(r, oldest, place, error) ? oldest : NULL;
    }
    if (!c) {
        return NULL;
    }
    c->last_use = ++r->uses;
    if (!has_cluster(c, device_id, number, place)) {
        set_changed(error);
        return NULL;
    }
    return blocks_of(c, place->first_block);
}

/* What get_blocks() would do, on a cache without data. */
static void expect_cluster(RestoreRandom *dry, const VmaPlace *place,
                           GArray *offsets)
{
    bool verified = dry->verified[place->extent / 8] >> place->extent % 8 & 1;
    Cached *oldest;
    Cached *c = find_cached(dry, place->extent, &oldest);

    if (!c) {
        g_array_append_val(offsets, place->extent_offset);
        if (verified) {
            return;
        }
        dry->verified[place->extent / 8] |= 1u << place->extent % 8;
        c = oldest;
        c->number = place->extent;
        c->valid = true;
    }
    c->last_use = ++dry->uses;
}

/* The stored blocks of the run go as far as TO. */
static void expect_run(RestoreRandom *dry, uint8_t device_id, uint64_t from,
                       uint64_t to, GArray *offsets)
{
    uint64_t last = (to - 1) / VMA_CLUSTER_BYTES;

    for (uint64_t n = from / VMA_CLUSTER_BYTES; n <= last; n++) {
        VmaPlace place;

        if (vma_index_find(dry->index, device_id, n, &place)) {
            expect_cluster(dry, &place, offsets);
        }
    }
}

void restore_random_expect(const RestoreRandom *r, uint8_t device_id,
                           uint64_t from, uint64_t to)
{
    IoInput *input = restore_archive_input(r->archive);
    g_autoptr(GArray) offsets = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_autoptr(RestoreRandom) dry = NULL;
    uint64_t end;

    if (!io_input_is_compressed(input)) {
        return;
    }
    dry = restore_random_new(r->archive, r->index);
    from -= from % VMA_BLOCK_BYTES;
    for (; from < to; from = end) {
        if (vma_index_run(r->index, device_id, from, to, &end)) {
            expect_run(dry, device_id, from, end, offsets);
        }
    }
    io_input_expect(input, offsets);
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

    if (!vma_index_find(r->index, device_id, number, &place)) {
        memset(to, 0, bytes);
        return true;
    }
    blocks = get_blocks(r, device_id, number, &place, error);
    if (!blocks) {
        g_prefix_error(error, "%s: extent at offset %" G_GUINT64_FORMAT ": ",
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
