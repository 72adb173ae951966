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

/* Of a chunk that is absent or has been filled. */
static void set_full(ClusterSet *set, uint64_t index)
{
    uint64_t duplicate;
    bool ok;

    g_hash_table_remove(set->chunks, GUINT_TO_POINTER(index));
    ok = cluster_set_add_run(set->full, index, 1, &duplicate);
    g_assert(ok);
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

bool cluster_set_add_run(ClusterSet *set, uint64_t first, uint64_t count,
                         uint64_t *duplicate)
{
    g_assert(first <= set->count && count <= set->count - first);
    while (count > 0) {
        uint64_t index = first / CHUNK_CLUSTERS;
        uint64_t base = index * CHUNK_CLUSTERS;
        uint64_t n = MIN(count, base + CHUNK_CLUSTERS - first);
        Chunk *chunk = get_chunk(set, index);

        if (!chunk && is_full(set, index)) {
            *duplicate = first;
            return false;
        }
        if (!chunk && set->full && n == chunk_size(set, index)) {
            set_full(set, index);
            set->seen += n;
        } else if (!add_part(set, index, chunk, first - base, n, duplicate)) {
            *duplicate += base;
            return false;
        }
        first += n;
        count -= n;
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

/*
 * An end of the stretch of one kind, seen or missing, that FROM is in: what
 * follows may be of the same kind.
 */
static uint64_t stretch_end(const ClusterSet *set, uint64_t from, bool *seen)
{
    uint64_t index = from / CHUNK_CLUSTERS;
    uint64_t base = index * CHUNK_CLUSTERS;
    uint64_t end = MIN(set->count, base + CHUNK_CLUSTERS);
    const Chunk *chunk = get_chunk(set, index);

    if (!chunk) {
        *seen = is_full(set, index);
        return end;
    }
    return MIN(end, base + (chunk->is_bitmap
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
