/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sparse bitmap in chunks.  A chunk is absent (nothing seen), a bitmap, or
 * the mark FULL (all seen), so that a device read front to back needs one
 * bitmap at a time and a device that is all hole none.  Chunks are small, and
 * so are the groups that hold their addresses, because an archive may be made
 * to touch as many of them as it has entries.
 */
#include "backup/clusters.h"

#define CHUNK_CLUSTERS (UINT64_C(1) << 12)
#define GROUP_CHUNKS 64
#define GROUP_CLUSTERS (GROUP_CHUNKS * CHUNK_CLUSTERS)
#define WORD_BITS 64
#define CHUNK_WORDS (CHUNK_CLUSTERS / WORD_BITS)

typedef struct Chunk {
    uint64_t seen;                      /* how many bits are set */
    uint64_t bits[CHUNK_WORDS];
} Chunk;

static Chunk full_chunk;                /* only its address is used */
#define FULL (&full_chunk)

typedef struct Group {
    Chunk *chunks[GROUP_CHUNKS];
} Group;

struct ClusterSet {
    uint64_t count;
    uint64_t seen;
    Group **groups;                     /* NULL until the first run is added */
};

static uint64_t group_count(const ClusterSet *set)
{
    return (set->count + GROUP_CLUSTERS - 1) / GROUP_CLUSTERS;
}

/* The place of a chunk's address, which is made if it is missing. */
static Chunk **make_place(ClusterSet *set, uint64_t index)
{
    Group **group;

    if (!set->groups) {
        set->groups = g_new0(Group *, group_count(set));
    }
    group = &set->groups[index / GROUP_CHUNKS];
    if (!*group) {
        *group = g_new0(Group, 1);
    }
    return &(*group)->chunks[index % GROUP_CHUNKS];
}

/* The chunk, FULL or NULL. */
static const Chunk *get_chunk(const ClusterSet *set, uint64_t index)
{
    const Group *group = set->groups ? set->groups[index / GROUP_CHUNKS] : NULL;

    return group ? group->chunks[index % GROUP_CHUNKS] : NULL;
}

static uint64_t chunk_size(const ClusterSet *set, uint64_t index)
{
    return MIN(CHUNK_CLUSTERS, set->count - index * CHUNK_CLUSTERS);
}

ClusterSet *cluster_set_new(uint64_t count)
{
    ClusterSet *set = g_new0(ClusterSet, 1);

    g_assert(count <= UINT64_C(1) << 32);
    set->count = count;
    return set;
}

void cluster_set_free(ClusterSet *set)
{
    if (!set) {
        return;
    }
    for (uint64_t i = 0; set->groups && i < group_count(set); i++) {
        Group *group = set->groups[i];

        for (unsigned c = 0; group && c < GROUP_CHUNKS; c++) {
            if (group->chunks[c] != FULL) {
                g_free(group->chunks[c]);
            }
        }
        g_free(group);
    }
    g_free(set->groups);
    g_free(set);
}

/* Sets COUNT bits from FIRST on; false at the first that is set already. */
static bool chunk_add(Chunk *chunk, uint64_t first, uint64_t count,
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

bool cluster_set_add_run(ClusterSet *set, uint64_t first, uint64_t count,
                         uint64_t *duplicate)
{
    g_assert(first <= set->count && count <= set->count - first);
    while (count > 0) {
        uint64_t index = first / CHUNK_CLUSTERS;
        uint64_t base = index * CHUNK_CLUSTERS;
        uint64_t n = MIN(count, base + CHUNK_CLUSTERS - first);
        Chunk **chunk = make_place(set, index);
        uint64_t before;
        bool ok;

        if (*chunk == FULL) {
            *duplicate = first;
            return false;
        }
        if (!*chunk && n == chunk_size(set, index)) {
            *chunk = FULL;
            set->seen += n;
        } else {
            *chunk = *chunk ? *chunk : g_new0(Chunk, 1);
            before = (*chunk)->seen;
            ok = chunk_add(*chunk, first - base, n, duplicate);
            set->seen += (*chunk)->seen - before;
            if (!ok) {
                *duplicate += base;
                return false;
            }
            if ((*chunk)->seen == chunk_size(set, index)) {
                g_free(*chunk);
                *chunk = FULL;
            }
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

/* The end of the stretch of one kind, seen or missing, that FROM is in. */
static uint64_t stretch_end(const ClusterSet *set, uint64_t from, bool *seen)
{
    uint64_t index = from / CHUNK_CLUSTERS;
    uint64_t end = MIN(set->count, (index + 1) * CHUNK_CLUSTERS);
    const Chunk *chunk = get_chunk(set, index);
    uint64_t word;
    unsigned left;

    *seen = chunk == FULL;
    if (!chunk || chunk == FULL) {
        return end;
    }
    /* Within one word: how many bits alike from here on. */
    word = chunk->bits[from % CHUNK_CLUSTERS / WORD_BITS] >> from % WORD_BITS;
    left = WORD_BITS - from % WORD_BITS;
    *seen = word & 1;
    word = *seen ? ~word : word;
    return MIN(end, from + (word ? MIN(left, (unsigned)__builtin_ctzll(word))
                                 : left));
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
