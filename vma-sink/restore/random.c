/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an archive's disks at any place.
 */
#include "restore/random.h"

#include <string.h>
#include <xxhash.h>

#include "backup/error.h"

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
    IoInputCursor *input;
    uint64_t uses;
    uint64_t bytes;             /* read */
    unsigned extents;
    Cached *cache;              /* of that many */
    uint8_t cluster[VMA_CLUSTER_BYTES];     /* blocks that were read again */
};

RestoreRandom *restore_random_new(const RestoreArchive *archive,
                                  VmaIndex *index, unsigned extents)
{
    RestoreRandom *r = g_new0(RestoreRandom, 1);

    g_assert(extents >= 1);
    r->archive = archive;
    r->index = index;
    r->input = io_input_cursor_new(restore_archive_input(archive));
    r->extents = extents;
    r->cache = g_new0(Cached, extents);
    return r;
}

void restore_random_free(RestoreRandom *r)
{
    if (!r) {
        return;
    }
    for (unsigned i = 0; i < r->extents; i++) {
        g_free(r->cache[i].buffer);
    }
    g_free(r->cache);
    io_input_cursor_free(r->input);
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

static const uint8_t *blocks_of(const Cached *c, unsigned first_block)
{
    return c->buffer + sizeof(VmaExtentHeader) +
           (size_t)first_block * VMA_BLOCK_BYTES;
}

static bool load(RestoreRandom *r, Cached *c, const VmaPlace *place,
                 GError **error)
{
    /* The file may have changed since the index was made. */
    if (!restore_archive_read_extent(r->archive, r->input,
                                     place->extent_offset, &c->extent,
                                     c->buffer, error)) {
        return false;
    }
    r->bytes += sizeof(VmaExtentHeader) +
                (uint64_t)c->extent.block_count * VMA_BLOCK_BYTES;
    for (unsigned i = 0; i < c->extent.cluster_count; i++) {
        const VmaCluster *cluster = &c->extent.clusters[i];

        if (cluster->mask &&
            !vma_index_has(r->index, place->extent, cluster)) {
            return set_changed(error);
        }
    }
    for (unsigned i = 0; i < c->extent.cluster_count; i++) {
        const VmaCluster *cluster = &c->extent.clusters[i];

        if (cluster->mask) {
            vma_index_set_check(r->index, cluster,
                                check_of(blocks_of(c, cluster->first_block),
                                         cluster->mask));
        }
    }
    return true;
}

/* An extent that is in the cache, or NULL and the oldest in it. */
static Cached *find_cached(RestoreRandom *r, uint32_t extent, Cached **oldest)
{
    *oldest = &r->cache[0];
    for (unsigned i = 0; i < r->extents; i++) {
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

bool restore_random_has(const RestoreRandom *r, uint32_t extent)
{
    for (unsigned i = 0; i < r->extents; i++) {
        if (r->cache[i].valid && r->cache[i].number == extent) {
            return true;
        }
    }
    return false;
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
    return restore_archive_read_at(r->input, r->cluster, bytes, offset,
                                   error) &&
           (check_of(r->cluster, place->mask) == place->check ||
            set_changed(error));
}

/* The stored blocks of a cluster, valid until the next call. */
static const uint8_t *get_blocks(RestoreRandom *r, uint8_t device_id,
                                 uint32_t number, const VmaPlace *place,
                                 GError **error)
{
    Cached *oldest;
    Cached *c = find_cached(r, place->extent, &oldest);

    if (!c && place->check) {
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

/* The course of restore_random_expect(). */
typedef struct Expect {
    RestoreRandom *dry;         /* its cache has no data */
    uint8_t *verified;          /* a bit for each extent of the index */
    GArray *offsets;            /* of uint64_t */
} Expect;

/* What get_blocks() would do. */
static void expect_cluster(Expect *e, const VmaPlace *place)
{
    uint8_t *verified = &e->verified[place->extent / 8];
    uint8_t bit = 1u << place->extent % 8;
    Cached *oldest;
    Cached *c = find_cached(e->dry, place->extent, &oldest);

    if (!c) {
        g_array_append_val(e->offsets, place->extent_offset);
        if (place->check || *verified & bit) {
            return;
        }
        *verified |= bit;
        c = oldest;
        c->number = place->extent;
        c->valid = true;
    }
    c->last_use = ++e->dry->uses;
}

/* The stored blocks of the run go as far as TO. */
static void expect_run(Expect *e, uint8_t device_id, uint64_t from,
                       uint64_t to)
{
    uint64_t last = (to - 1) / VMA_CLUSTER_BYTES;

    for (uint64_t n = from / VMA_CLUSTER_BYTES; n <= last; n++) {
        VmaPlace place;

        if (vma_index_find(e->dry->index, device_id, n, &place)) {
            expect_cluster(e, &place);
        }
    }
}

void restore_random_expect(RestoreRandom *r, uint8_t device_id, uint64_t from,
                           uint64_t to)
{
    g_autoptr(GArray) offsets = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_autoptr(RestoreRandom) dry = NULL;
    g_autofree uint8_t *verified = NULL;
    Expect e;
    uint64_t end;

    if (!io_input_is_compressed(restore_archive_input(r->archive))) {
        return;
    }
    dry = restore_random_new(r->archive, r->index, r->extents);
    verified = g_new0(uint8_t, vma_index_extents(r->index) / 8 + 1);
    e = (Expect) { dry, verified, offsets };
    from -= from % VMA_BLOCK_BYTES;
    for (; from < to; from = end) {
        if (vma_index_run(r->index, device_id, from, to, &end)) {
            expect_run(&e, device_id, from, end);
        }
    }
    io_input_cursor_expect(r->input, offsets);
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
