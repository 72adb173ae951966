/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs of zero clusters, from extents that know no clusters.
 */
#include "source/zero-map.h"

#include "backup/info.h"

/* A megabyte; more than what QEMU tells of at once, half of nbdkit's most. */
#define MAX_RUNS 65536u

typedef struct Run {
    uint64_t first;
    uint64_t end;               /* the cluster behind it */
} Run;

struct ZeroMap {
    uint64_t disk_bytes;        /* never changed */
    uint64_t known_bytes;
    uint64_t zero_from;         /* known_bytes is in zeroes since this byte */
    GArray *runs;               /* of Run, of known zeroes, in order, apart */
    guint asked;                /* runs before this one are forgotten */
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
        g_free(map);
    }
}

uint64_t zero_map_known_bytes(const ZeroMap *map)
{
    return map->known_bytes;
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

bool zero_map_add(ZeroMap *map, uint64_t bytes, bool zero)
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
