/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an archive's disks at any place.
 */
#include "restore/random.h"

#include <string.h>

#include "restore/fetch.h"

/* An extent in memory, verified. */
typedef struct Cached {
    bool valid;
    uint32_t number;            /* in the index */
    uint64_t last_use;
    VmaExtent extent;
    uint8_t *buffer;            /* VMA_EXTENT_MAX_BYTES; NULL: never used */
} Cached;

struct RestoreRandom {
    RestoreFetch fetch;
    uint64_t uses;
    unsigned extents;
    Cached *cache;              /* of that many */
    uint8_t cluster[VMA_CLUSTER_BYTES];     /* blocks that were read again */
};

RestoreRandom *restore_random_new(const RestoreArchive *archive,
                                  VmaIndex *index, unsigned extents)
{
    RestoreRandom *r = g_new0(RestoreRandom, 1);

    g_assert(extents >= 1);
    restore_fetch_init(&r->fetch, archive, index);
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
    restore_fetch_clear(&r->fetch);
    g_free(r);
}

uint64_t restore_random_bytes(const RestoreRandom *r)
{
    return r->fetch.bytes;
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
    c->valid = restore_fetch_extent(&r->fetch, place, &c->extent, c->buffer,
                                    error);
    return c->valid;
}

/* The stored blocks of a cluster, valid until the next call. */
static const uint8_t *get_blocks(RestoreRandom *r, uint8_t device_id,
                                 uint32_t number, const VmaPlace *place,
                                 GError **error)
{
    Cached *oldest;
    Cached *c = find_cached(r, place->extent, &oldest);

    if (!c && place->check) {
        return restore_fetch_again(&r->fetch, place, r->cluster, error)
               ? r->cluster : NULL;
    }
    if (!c) {
        c = load_into(r, oldest, place, error) ? oldest : NULL;
    }
    if (!c) {
        return NULL;
    }
    c->last_use = ++r->uses;
    if (!restore_fetch_find(&c->extent, device_id, number, place)) {
        restore_fetch_set_changed(&r->fetch, error);
        return NULL;
    }
    return restore_fetch_blocks(c->buffer, place->first_block);
}

static bool read_cluster(RestoreRandom *r, uint8_t device_id, uint32_t number,
                         size_t from, uint8_t *to, size_t bytes,
                         GError **error)
{
    const uint8_t *blocks;
    VmaPlace place;

    if (!vma_index_find(r->fetch.index, device_id, number, &place)) {
        memset(to, 0, bytes);
        return true;
    }
    blocks = get_blocks(r, device_id, number, &place, error);
    if (!blocks) {
        restore_fetch_prefix(&r->fetch, &place, error);
        return false;
    }
    restore_fetch_copy(to, blocks, place.mask, from, bytes);
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
