/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs of zero clusters, from extents that know no clusters.  With two questions
 * the extents of the first answer are kept until the second one has cut them
 * to pieces.
 */
#include "source/zero-map.h"

#include "backup/info.h"

/* A megabyte; more than what QEMU tells of at once, half of nbdkit's most. */
#define MAX_RUNS 65536u

typedef struct Run {
    uint64_t first;
    uint64_t end;               /* the cluster behind it */
} Run;

typedef struct Extent {
    uint64_t bytes;
    bool zero;
} Extent;

struct ZeroMap {
    uint64_t disk_bytes;        /* never changed */
    uint64_t known_bytes;
    uint64_t zero_from;         /* known_bytes is in zeroes since this byte */
    GArray *runs;               /* of Run, of known zeroes, in order, apart */
    guint asked;                /* runs before this one are forgotten */
    uint64_t learnt_bytes;      /* what was known when an answer ended */

    /* Where there are two questions. */
    GArray *first;              /* of Extent, of the first answer; NULL: one */
    uint64_t first_bytes;       /* in these */
    guint used;                 /* of them, by the second answer */
    bool second;                /* that is what comes now */
};

ZeroMap *zero_map_new(uint64_t disk_bytes)
{
    ZeroMap *map = g_new0(ZeroMap, 1);

    map->disk_bytes = disk_bytes;
    map->runs = g_array_new(FALSE, FALSE, sizeof(Run));
    return map;
}

void zero_map_free(ZeroMap *map)
{
    if (map) {
        g_array_unref(map->runs);
        if (map->first) {
            g_array_unref(map->first);
        }
        g_free(map);
    }
}

void zero_map_ask_twice(ZeroMap *map)
{
    map->first = g_array_new(FALSE, FALSE, sizeof(Extent));
}

uint64_t zero_map_known_bytes(const ZeroMap *map)
{
    return map->known_bytes;
}

uint64_t zero_map_question_bytes(const ZeroMap *map, uint64_t most)
{
    return MIN(map->second ? map->first_bytes
                           : map->disk_bytes - map->known_bytes, most);
}

uint64_t zero_map_next_byte(const ZeroMap *map)
{
    return map->known_bytes +
           (map->first && !map->second ? map->first_bytes : 0);
}

/* Clusters that end at or before the byte; the disk's end ends the last one. */
static uint64_t clusters_before(const ZeroMap *map, uint64_t byte)
{
    return byte == map->disk_bytes ? backup_clusters(byte)
                                   : byte / BACKUP_CLUSTER_BYTES;
}

/* The run at the end grows with every extent of zeroes. */
static void note_zeroes(ZeroMap *map)
{
    Run run = {
        .first = backup_clusters(map->zero_from),
        .end = clusters_before(map, map->known_bytes),
    };
    Run *last = map->runs->len > 0
                ? &g_array_index(map->runs, Run, map->runs->len - 1) : NULL;

    if (last && last->first == run.first) {
        last->end = run.end;
    } else if (run.first < run.end) {
        g_array_append_val(map->runs, run);
    }
}

static bool learn(ZeroMap *map, uint64_t bytes, bool zero)
{
    if (map->runs->len >= MAX_RUNS) {
        return false;
    }
    map->known_bytes += MIN(bytes, map->disk_bytes - map->known_bytes);
    if (zero) {
        note_zeroes(map);
    } else {
        map->zero_from = map->known_bytes;
    }
    return true;
}

static bool add_first(ZeroMap *map, uint64_t bytes, bool zero)
{
    Extent extent = {
        .bytes = MIN(bytes, map->disk_bytes - map->known_bytes -
                            map->first_bytes),
        .zero = zero,
    };

    if (map->first->len >= MAX_RUNS) {
        return false;
    }
    if (extent.bytes > 0) {
        g_array_append_val(map->first, extent);
        map->first_bytes += extent.bytes;
    }
    return true;
}

/* What the first answer has not told of is left for the next question. */
static bool add_second(ZeroMap *map, uint64_t bytes, bool zero)
{
    while (bytes > 0 && map->used < map->first->len) {
        Extent *extent = &g_array_index(map->first, Extent, map->used);
        uint64_t part = MIN(bytes, extent->bytes);

        if (!learn(map, part, zero && extent->zero)) {
            return false;
        }
        bytes -= part;
        extent->bytes -= part;
        map->used += extent->bytes == 0;
    }
    return true;
}

bool zero_map_add(ZeroMap *map, uint64_t bytes, bool zero)
{
    return !map->first ? learn(map, bytes, zero)
           : map->second ? add_second(map, bytes, zero)
           : add_first(map, bytes, zero);
}

bool zero_map_end_answer(ZeroMap *map)
{
    bool learnt = map->known_bytes > map->learnt_bytes;

    map->learnt_bytes = map->known_bytes;
    if (!map->first) {
        return learnt;
    }
    if (!map->second) {
        map->second = map->first_bytes > 0;
        return map->second;
    }
    g_array_set_size(map->first, 0);
    map->first_bytes = 0;
    map->used = 0;
    map->second = false;
    return learnt;
}

static void forget(ZeroMap *map, uint64_t before)
{
    while (map->asked < map->runs->len &&
           g_array_index(map->runs, Run, map->asked).end <= before) {
        map->asked++;
    }
    if (map->asked > 0 && map->asked == map->runs->len) {
        g_array_set_size(map->runs, 0);
        map->asked = 0;
    }
}

uint64_t zero_map_run(ZeroMap *map, uint64_t from, bool *zero)
{
    uint64_t known = clusters_before(map, map->known_bytes);
    const Run *run;

    forget(map, from);
    *zero = false;
    if (from >= known) {
        return 0;
    }
    if (map->asked == map->runs->len) {
        return known - from;
    }
    run = &g_array_index(map->runs, Run, map->asked);
    *zero = run->first <= from;
    return (*zero ? run->end : run->first) - from;
}
