/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sparse bitmap in chunks.  A chunk is absent, a list of the few that were
 * seen, or a bitmap.  Which of the absent ones are not empty but full, is told
 * by a set of the same kind, one level up, so that a device read front to back
 * needs one bitmap at a time, and one that is all hole none.  An input may be
 * made to touch as many chunks as it has entries, so one of which little was
 * seen has to be small.
 */
#include "backup/clusters.h"

#define CHUNK_CLUSTERS (UINT64_C(1) << 12)
#define FEW_MAX 8
#define LOOK_AT_MAX 256
#define WORD_BITS 64
#define CHUNK_WORDS (CHUNK_CLUSTERS / WORD_BITS)

typedef struct Chunk {
    uint16_t seen;
    bool is_bitmap;
    uint16_t few[FEW_MAX];              /* the first "seen" are used */
    uint64_t bits[];                    /* CHUNK_WORDS of a bitmap, else none */
} Chunk;

struct ClusterSet {
    uint64_t count;
    uint64_t seen;
    GHashTable *chunks;                 /* by index; owned */
    ClusterSet *full;                   /* of indexes; NULL: one chunk, kept */
};

static uint64_t chunk_count(const ClusterSet *set)
{
    return (set->count + CHUNK_CLUSTERS - 1) / CHUNK_CLUSTERS;
}

static uint64_t chunk_size(const ClusterSet *set, uint64_t index)
{
    return MIN(CHUNK_CLUSTERS, set->count - index * CHUNK_CLUSTERS);
}

/* NULL: it is empty or full. */
static Chunk *get_chunk(const ClusterSet *set, uint64_t index)
{
    return g_hash_table_lookup(set->chunks, GUINT_TO_POINTER(index));
}

/* In the place of another one, if there was one, which is freed. */
static void set_chunk(ClusterSet *set, uint64_t index, Chunk *chunk)
{
    g_hash_table_insert(set->chunks, GUINT_TO_POINTER(index), chunk);
}

/* Of a chunk that has been filled. */
static void set_full(ClusterSet *set, uint64_t index)
{
    uint64_t duplicate;
    bool ok;

    g_hash_table_remove(set->chunks, GUINT_TO_POINTER(index));
    ok = cluster_set_add_run(set->full, index, 1, &duplicate);
    g_assert(ok);
}

/*
 * How many chunks from an absent one on are absent, at the most MAX; where there
 * are many others it is not worth to look further than at this one.
 */
static uint64_t absent_run(const ClusterSet *set, uint64_t index, uint64_t max)
{
    GHashTableIter iter;
    gpointer key;

    if (g_hash_table_size(set->chunks) > LOOK_AT_MAX) {
        return 1;
    }
    g_hash_table_iter_init(&iter, set->chunks);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (GPOINTER_TO_UINT(key) > index) {
            max = MIN(max, GPOINTER_TO_UINT(key) - index);
        }
    }
    return max;
}

ClusterSet *cluster_set_new(uint64_t count)
{
    ClusterSet *set = g_new0(ClusterSet, 1);

    g_assert(count <= UINT64_C(1) << 32);
    set->count = count;
    set->chunks = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    if (chunk_count(set) > 1) {
        set->full = cluster_set_new(chunk_count(set));
    }
    return set;
}

void cluster_set_free(ClusterSet *set)
{
    if (set) {
        g_hash_table_unref(set->chunks);
        cluster_set_free(set->full);
        g_free(set);
    }
}

static Chunk *make_bitmap(const Chunk *few)
{
    Chunk *chunk = g_malloc0(sizeof(Chunk) + CHUNK_WORDS * sizeof(uint64_t));

    chunk->is_bitmap = true;
    for (unsigned i = 0; few && i < few->seen; i++) {
        chunk->bits[few->few[i] / WORD_BITS] |=
            UINT64_C(1) << few->few[i] % WORD_BITS;
        chunk->seen++;
    }
    return chunk;
}

/* The chunk, which may be NULL, in the form that has room for COUNT more. */
static Chunk *make_room(ClusterSet *set, uint64_t index, Chunk *chunk,
                        uint64_t count)
{
    if (chunk && (chunk->is_bitmap || chunk->seen + count <= FEW_MAX)) {
        return chunk;
    }
    chunk = chunk || count > FEW_MAX ? make_bitmap(chunk) : g_new0(Chunk, 1);
    set_chunk(set, index, chunk);
    return chunk;
}

static bool few_has(const Chunk *chunk, uint64_t cluster)
{
    for (unsigned i = 0; i < chunk->seen; i++) {
        if (chunk->few[i] == cluster) {
            return true;
        }
    }
    return false;
}

static bool bitmap_has(const Chunk *chunk, uint64_t cluster)
{
    return chunk->bits[cluster / WORD_BITS] >> cluster % WORD_BITS & 1;
}

static bool has(const ClusterSet *set, uint64_t cluster);

/* Of a chunk that is absent. */
static bool is_full(const ClusterSet *set, uint64_t index)
{
    return set->full && has(set->full, index);
}

static bool has(const ClusterSet *set, uint64_t cluster)
{
    const Chunk *chunk = get_chunk(set, cluster / CHUNK_CLUSTERS);
    uint64_t place = cluster % CHUNK_CLUSTERS;

    return !chunk ? is_full(set, cluster / CHUNK_CLUSTERS) :
           chunk->is_bitmap ? bitmap_has(chunk, place)
                            : few_has(chunk, place);
}

static bool few_add(Chunk *chunk, uint64_t first, uint64_t count,
                    uint64_t *duplicate)
{
    for (uint64_t i = first; i < first + count; i++) {
        if (few_has(chunk, i)) {
            *duplicate = i;
            return false;
        }
        chunk->few[chunk->seen++] = i;
    }
    return true;
}

/* Sets COUNT bits from FIRST on; false at the first that is set already. */
static bool bitmap_add(Chunk *chunk, uint64_t first, uint64_t count,
                       uint64_t *duplicate)
{
    uint64_t end = first + count;

    while (first < end) {
        uint64_t *word = &chunk->bits[first / WORD_BITS];
        unsigned shift = first % WORD_BITS;
        unsigned n = MIN(WORD_BITS - shift, end - first);
        uint64_t mask = (n == WORD_BITS ? UINT64_MAX
                                        : (UINT64_C(1) << n) - 1) << shift;
        uint64_t twice = *word & mask;

        if (twice) {
            unsigned bit = __builtin_ctzll(twice);

            mask &= (UINT64_C(1) << bit) - 1;
            chunk->seen += bit - shift;
            *word |= mask;
            *duplicate = first - shift + bit;
            return false;
        }
        *word |= mask;
        chunk->seen += n;
        first += n;
    }
    return true;
}

/* A run within one chunk, which is not full; it may be NULL. */
static bool add_part(ClusterSet *set, uint64_t index, Chunk *chunk,
                     uint64_t first, uint64_t count, uint64_t *duplicate)
{
    unsigned before;
    bool ok;

    chunk = make_room(set, index, chunk, count);
    before = chunk->seen;
    ok = chunk->is_bitmap ? bitmap_add(chunk, first, count, duplicate)
                          : few_add(chunk, first, count, duplicate);
    set->seen += chunk->seen - before;
    if (set->full && chunk->seen == chunk_size(set, index)) {
        set_full(set, index);
    }
    return ok;
}

/* All of absent chunks, of COUNT clusters; *added of them were. */
static bool add_chunks(ClusterSet *set, uint64_t index, uint64_t count,
                       uint64_t *added, uint64_t *duplicate)
{
    uint64_t chunks = absent_run(set, index,
                                 count / CHUNK_CLUSTERS +
                                 (count % CHUNK_CLUSTERS != 0));
    bool ok = cluster_set_add_run(set->full, index, chunks, duplicate);

    if (!ok) {
        chunks = *duplicate - index;
        *duplicate *= CHUNK_CLUSTERS;
    }
    *added = MIN(chunks * CHUNK_CLUSTERS, count);
    set->seen += *added;
    return ok;
}

/* Of the run as much as can be at once; *added of it was. */
static bool add_some(ClusterSet *set, uint64_t first, uint64_t count,
                     uint64_t *added, uint64_t *duplicate)
{
    uint64_t index = first / CHUNK_CLUSTERS;
    uint64_t base = index * CHUNK_CLUSTERS;
    Chunk *chunk = get_chunk(set, index);
    uint64_t whole = first + count == set->count
                     ? count : count / CHUNK_CLUSTERS * CHUNK_CLUSTERS;

    if (!chunk && set->full && first == base && whole > 0) {
        return add_chunks(set, index, whole, added, duplicate);
    }
    if (!chunk && is_full(set, index)) {
        *duplicate = first;
        return false;
    }
    *added = MIN(count, base + CHUNK_CLUSTERS - first);
    if (!add_part(set, index, chunk, first - base, *added, duplicate)) {
        *duplicate += base;
        return false;
    }
    return true;
}

bool cluster_set_add_run(ClusterSet *set, uint64_t first, uint64_t count,
                         uint64_t *duplicate)
{
    uint64_t added;

    g_assert(first <= set->count && count <= set->count - first);
    for (; count > 0; first += added, count -= added) {
        if (!add_some(set, first, count, &added, duplicate)) {
            return false;
        }
    }
    return true;
}

uint64_t cluster_set_missing(const ClusterSet *set)
{
    return set->count - set->seen;
}

/* Where within the chunk the stretch ends that FROM is in, seen or missing. */
static uint64_t few_end(const Chunk *chunk, uint64_t from, bool *seen)
{
    uint64_t end = CHUNK_CLUSTERS;

    *seen = few_has(chunk, from);
    if (*seen) {
        return from + 1;
    }
    for (unsigned i = 0; i < chunk->seen; i++) {
        if (chunk->few[i] > from) {
            end = MIN(end, chunk->few[i]);
        }
    }
    return end;
}

/* Within one word: how many bits alike from there on. */
static uint64_t bitmap_end(const Chunk *chunk, uint64_t from, bool *seen)
{
    uint64_t word = chunk->bits[from / WORD_BITS] >> from % WORD_BITS;
    unsigned left = WORD_BITS - from % WORD_BITS;

    *seen = word & 1;
    word = *seen ? ~word : word;
    return from + (word ? MIN(left, (unsigned)__builtin_ctzll(word)) : left);
}

static uint64_t stretch_end(const ClusterSet *set, uint64_t from, bool *seen);

/* The same from a chunk on that is absent: where it and more like it end. */
static uint64_t absent_end(const ClusterSet *set, uint64_t index, bool *seen)
{
    uint64_t end = index + 1;

    *seen = false;
    if (set->full) {
        end = stretch_end(set->full, index, seen);
    }
    if (!*seen) {
        end = index + absent_run(set, index, end - index);
    }
    return MIN(set->count, end * CHUNK_CLUSTERS);
}

/*
 * An end of the stretch of one kind, seen or missing, that FROM is in: what
 * follows may be of the same kind.
 */
static uint64_t stretch_end(const ClusterSet *set, uint64_t from, bool *seen)
{
    uint64_t index = from / CHUNK_CLUSTERS;
    uint64_t base = index * CHUNK_CLUSTERS;
    const Chunk *chunk = get_chunk(set, index);

    if (!chunk) {
        return absent_end(set, index, seen);
    }
    return MIN(base + chunk_size(set, index),
               base + (chunk->is_bitmap
                       ? bitmap_end(chunk, from - base, seen)
                       : few_end(chunk, from - base, seen)));
}

bool cluster_set_next_missing(const ClusterSet *set, uint64_t from,
                              uint64_t *first, uint64_t *count)
{
    bool seen = true;
    uint64_t end;

    while (from < set->count && seen) {
        end = stretch_end(set, from, &seen);
        if (seen) {
            from = end;
        }
    }
    *first = from;
    for (end = from; end < set->count && !seen;) {
        uint64_t next = stretch_end(set, end, &seen);

        end = seen ? end : next;
    }
    *count = end - *first;
    return *count > 0;
}

uint64_t cluster_set_first_missing(const ClusterSet *set)
{
    uint64_t first, count;
    bool missing = cluster_set_next_missing(set, 0, &first, &count);

    g_assert(missing);
    return first;
}
