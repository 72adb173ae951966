/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a disk of an archive in the disk's order, from front to back.
 *
 * The disk is a row of visits: consecutive clusters that are in one extent.
 * Which of them load their extent, and which use what was kept of it, is
 * planned before: with the row in mind as far as it goes, an extent that is
 * loaded is kept for all its later visits, and where that is too much the
 * visit that comes last is given up, again and again.  Nothing else could be
 * kept that saves more loads.  So what is planned to be kept is, when the
 * reading comes to it.
 */
#include "restore/order.h"

#include <string.h>

#include "backup/error.h"
#include "restore/fetch.h"

/* So a place in their list is found and made in no time. */
#define KEPT_VISITS_MAX 1024u

#define VISITS_MAX (G_MAXINT / 2)
#define NONE G_MAXUINT

typedef struct Visit {
    uint32_t first;             /* cluster */
    uint32_t last;
    uint32_t extent;            /* in the index */
    uint32_t blocks;            /* stored, of all its clusters */
    uint32_t next : 31;         /* visit of the same extent; 0: none */
    uint32_t load : 1;          /* planned: else it was kept */
} Visit;
static_assert(sizeof(Visit) == 20, "memory for each visit");

/* The clusters of one visit, verified. */
typedef struct Kept {
    unsigned count;
    uint32_t number[VMA_CLUSTERS_PER_EXTENT];
    uint32_t offset[VMA_CLUSTERS_PER_EXTENT];   /* of its blocks */
    uint8_t blocks[];
} Kept;

struct RestoreOrder {
    RestoreFetch fetch;
    uint8_t device_id;
    bool plain;
    GArray *visits;             /* of Visit, in the disk's order */

    guint at;                   /* the visit that is being read */
    bool open;                  /* its clusters can be had: */
    Kept *kept;                 /*   these, or NULL: */
    bool again;                 /*   each is read again, or: */
    guint loaded;               /*   the visit that loaded its extent */
    VmaExtent extent;
    uint8_t *buffer;            /* VMA_EXTENT_MAX_BYTES */
    GHashTable *later;          /* of Kept, by visit */
    uint8_t cluster[VMA_CLUSTER_BYTES];     /* that was read again */
};

static Visit *visit_at(const RestoreOrder *o, guint i)
{
    return &g_array_index(o->visits, Visit, i);
}

/* --- The plan --- */

static bool add_cluster(RestoreOrder *o, uint32_t number,
                        const VmaPlace *place, GError **error)
{
    Visit *visit = o->visits->len > 0 ? visit_at(o, o->visits->len - 1) : NULL;
    Visit more = { .first = number, .extent = place->extent };

    if (!visit || visit->extent != place->extent) {
        if (o->visits->len == VISITS_MAX) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "the disk's clusters are spread too much over the "
                        "archive");
            return false;
        }
        g_array_append_val(o->visits, more);
        visit = visit_at(o, o->visits->len - 1);
    }
    visit->last = number;
    visit->blocks += vma_mask_blocks(place->mask);
    return true;
}

static bool find_visits(RestoreOrder *o, uint64_t from, uint64_t to,
                        GError **error)
{
    uint64_t end = (to + VMA_CLUSTER_BYTES - 1) / VMA_CLUSTER_BYTES;
    uint64_t next = from / VMA_CLUSTER_BYTES;
    uint32_t number;
    VmaPlace place;

    while (next < end && vma_index_next(o->fetch.index, o->device_id, next,
                                        &number, &place) && number < end) {
        if (!add_cluster(o, number, &place, error)) {
            return false;
        }
        next = (uint64_t)number + 1;
    }
    return true;
}

/* From each visit to the next one of its extent; the first one has to load. */
static void link_visits(RestoreOrder *o)
{
    g_autofree uint32_t *next =
        g_new0(uint32_t, vma_index_extents(o->fetch.index) + 1);

    for (guint i = o->visits->len; i-- > 0;) {
        Visit *visit = visit_at(o, i);

        visit->next = next[visit->extent];
        next[visit->extent] = i;
    }
    for (guint i = 0; i < o->visits->len; i++) {
        Visit *visit = visit_at(o, i);

        /* So it says until the plan gets there. */
        visit->load = next[visit->extent] == i;
    }
}

/* What is kept at one time: visits, those to come last first. */
typedef struct Plan {
    GArray *kept;               /* of guint */
    uint64_t blocks;
    uint64_t max_blocks;
} Plan;

/* False: it is kept already. */
static bool insert(Plan *p, guint visit)
{
    guint from = 0, to = p->kept->len;

    while (from < to) {
        guint middle = from + (to - from) / 2;

        if (g_array_index(p->kept, guint, middle) > visit) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    if (from < p->kept->len && g_array_index(p->kept, guint, from) == visit) {
        return false;
    }
    g_array_insert_val(p->kept, from, visit);
    return true;
}

/* Keeps the visits of an extent after FIRST, as far as there is room. */
static void keep_later(RestoreOrder *o, Plan *p, guint first)
{
    for (guint i = visit_at(o, first)->next; i; i = visit_at(o, i)->next) {
        p->blocks += insert(p, i) ? visit_at(o, i)->blocks : 0;
        while (p->blocks > p->max_blocks || p->kept->len > KEPT_VISITS_MAX) {
            p->blocks -= visit_at(o, g_array_index(p->kept, guint, 0))->blocks;
            g_array_remove_index(p->kept, 0);
        }
    }
}

/* Whether the visit I, the next one, was kept; then it is no more. */
static bool take(RestoreOrder *o, Plan *p, guint i)
{
    guint kept = p->kept->len;

    if (kept == 0 || g_array_index(p->kept, guint, kept - 1) != i) {
        return false;
    }
    g_array_set_size(p->kept, kept - 1);
    p->blocks -= visit_at(o, i)->blocks;
    return true;
}

static void plan(RestoreOrder *o, uint64_t kept_bytes)
{
    g_autoptr(GArray) kept = g_array_new(FALSE, FALSE, sizeof(guint));
    Plan p = { .kept = kept, .max_blocks = kept_bytes / VMA_BLOCK_BYTES };
    uint32_t loaded = 0;        /* an extent, the last one */

    for (guint i = 0; i < o->visits->len; i++) {
        Visit *visit = visit_at(o, i);
        bool first = visit->load;

        visit->load = !take(o, &p, i) && (first || visit->extent != loaded);
        /* Of a plain one no more is read again than is wanted. */
        if (visit->load && (first || !o->plain)) {
            loaded = visit->extent;
            keep_later(o, &p, i);
        }
    }
}

RestoreOrder *restore_order_new(const RestoreArchive *archive, VmaIndex *index,
                                uint8_t device_id, uint64_t from, uint64_t to,
                                uint64_t kept_bytes, GError **error)
{
    g_autoptr(RestoreOrder) o = g_new0(RestoreOrder, 1);

    restore_fetch_init(&o->fetch, archive, index);
    o->device_id = device_id;
    o->plain = !io_input_is_compressed(restore_archive_input(archive));
    o->visits = g_array_new(FALSE, FALSE, sizeof(Visit));
    o->later = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    o->loaded = NONE;
    o->buffer = g_malloc(VMA_EXTENT_MAX_BYTES);
    if (!find_visits(o, from, to, error)) {
        return NULL;
    }
    link_visits(o);
    plan(o, kept_bytes);
    return g_steal_pointer(&o);
}

void restore_order_free(RestoreOrder *o)
{
    if (!o) {
        return;
    }
    g_hash_table_unref(o->later);
    g_free(o->kept);
    g_array_unref(o->visits);
    restore_fetch_clear(&o->fetch);
    g_free(o->buffer);
    g_free(o);
}

uint64_t restore_order_bytes(const RestoreOrder *o)
{
    return o->fetch.bytes;
}

void restore_order_expect(RestoreOrder *o)
{
    g_autoptr(GArray) offsets = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    for (guint i = 0; i < o->visits->len; i++) {
        const Visit *visit = visit_at(o, i);
        VmaPlace place;

        if (visit->load && vma_index_find(o->fetch.index, o->device_id,
                                          visit->first, &place)) {
            g_array_append_val(offsets, place.extent_offset);
        }
    }
    io_input_cursor_expect(o->fetch.cursor, offsets);
}

/* --- Reading --- */

/* The clusters of a visit, out of the extent that is loaded. */
static Kept *copy_visit(const RestoreOrder *o, const Visit *visit)
{
    size_t bytes = (size_t)visit->blocks * VMA_BLOCK_BYTES;
    Kept *kept = g_malloc(sizeof(*kept) + bytes);
    size_t used = 0;

    kept->count = 0;
    for (unsigned i = 0; i < o->extent.cluster_count; i++) {
        const VmaCluster *cluster = &o->extent.clusters[i];
        size_t n = (size_t)vma_mask_blocks(cluster->mask) * VMA_BLOCK_BYTES;

        if (cluster->device_id != o->device_id || n == 0 ||
            cluster->number < visit->first || cluster->number > visit->last) {
            continue;
        }
        /* The extent is what the index says, so there is room. */
        g_assert(used + n <= bytes);
        memcpy(kept->blocks + used,
               restore_fetch_blocks(o->buffer, cluster->first_block), n);
        kept->number[kept->count] = cluster->number;
        kept->offset[kept->count++] = used;
        used += n;
    }
    return kept;
}

/* Before another extent comes in its place: what is planned to be kept. */
static void keep_loaded(RestoreOrder *o)
{
    guint i = o->loaded == NONE ? 0 : visit_at(o, o->loaded)->next;

    for (; i && !visit_at(o, i)->load; i = visit_at(o, i)->next) {
        if (i > o->at) {
            g_hash_table_insert(o->later, GUINT_TO_POINTER(i),
                                copy_visit(o, visit_at(o, i)));
        }
    }
    o->loaded = NONE;
}

/* The clusters of the visit that begins with a cluster at that PLACE. */
static bool open_visit(RestoreOrder *o, const VmaPlace *place, GError **error)
{
    const Visit *visit = visit_at(o, o->at);
    gpointer kept = NULL;

    g_clear_pointer(&o->kept, g_free);
    o->again = false;
    if (o->loaded != NONE && visit_at(o, o->loaded)->extent == visit->extent) {
        return true;
    }
    if (g_hash_table_steal_extended(o->later, GUINT_TO_POINTER(o->at), NULL,
                                    &kept)) {
        o->kept = kept;
        return true;
    }
    if (place->check) {
        o->again = true;
        return true;
    }
    keep_loaded(o);
    if (!restore_fetch_extent(&o->fetch, place, &o->extent, o->buffer,
                              error)) {
        return false;
    }
    o->loaded = o->at;
    return true;
}

/* The stored blocks of a cluster; NULL: it is not there. */
static const uint8_t *find_kept(const Kept *kept, uint32_t number)
{
    for (unsigned i = 0; i < kept->count; i++) {
        if (kept->number[i] == number) {
            return kept->blocks + kept->offset[i];
        }
    }
    return NULL;
}

/* The same, valid until the next call. */
static const uint8_t *get_blocks(RestoreOrder *o, uint32_t number,
                                 const VmaPlace *place, GError **error)
{
    const uint8_t *blocks = NULL;

    for (; visit_at(o, o->at)->last < number; o->at++) {
        o->open = false;
    }
    o->open = o->open || open_visit(o, place, error);
    if (!o->open) {
        return NULL;
    }
    if (o->again) {
        return restore_fetch_again(&o->fetch, place, o->cluster, error)
               ? o->cluster : NULL;
    }
    if (o->kept) {
        blocks = find_kept(o->kept, number);
    } else if (restore_fetch_find(&o->extent, o->device_id, number, place)) {
        blocks = restore_fetch_blocks(o->buffer, place->first_block);
    }
    if (!blocks) {
        restore_fetch_set_changed(&o->fetch, error);
    }
    return blocks;
}

static bool read_cluster(RestoreOrder *o, uint32_t number, size_t from,
                         uint8_t *to, size_t bytes, GError **error)
{
    const uint8_t *blocks;
    VmaPlace place;

    if (!vma_index_find(o->fetch.index, o->device_id, number, &place)) {
        memset(to, 0, bytes);
        return true;
    }
    blocks = get_blocks(o, number, &place, error);
    if (!blocks) {
        restore_fetch_prefix(&o->fetch, &place, error);
        return false;
    }
    restore_fetch_copy(to, blocks, place.mask, from, bytes);
    return true;
}

bool restore_order_read(RestoreOrder *o, uint64_t offset, void *buffer,
                        size_t bytes, GError **error)
{
    uint8_t *to = buffer;

    while (bytes > 0) {
        size_t from = offset % VMA_CLUSTER_BYTES;
        size_t n = MIN(bytes, VMA_CLUSTER_BYTES - from);

        if (!read_cluster(o, offset / VMA_CLUSTER_BYTES, from, to, n,
                          error)) {
            return false;
        }
        to += n;
        offset += n;
        bytes -= n;
    }
    return true;
}
