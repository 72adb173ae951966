/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in an archive the stored blocks of each cluster are: for each device an
 * array that is sorted by cluster, of those that have data.
 */
#include "vma/index.h"

#include "backup/error.h"

typedef struct Entry {
    uint32_t cluster;
    uint32_t extent;            /* in the index's table of extents */
    uint16_t mask;              /* never 0 */
    uint16_t first_block : 10;  /* of at most 59 x 16 */
    uint16_t slot : 6;
    _Atomic uint32_t check;     /* all else stays as it is once finished */
} Entry;
static_assert(sizeof(Entry) == 16, "memory for each cluster with data");
static_assert(VMA_CLUSTERS_PER_EXTENT <= 1 << 6 &&
              VMA_CLUSTERS_PER_EXTENT * VMA_BLOCKS_PER_CLUSTER <= 1 << 10,
              "the bits above");

struct VmaIndex {
    GArray *extents;            /* of uint64_t, their offsets */
    GArray *devices[VMA_DEVICES];       /* of Entry; NULL: no data */
};

VmaIndex *vma_index_new(void)
{
    VmaIndex *index = g_new0(VmaIndex, 1);

    index->extents = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    return index;
}

void vma_index_free(VmaIndex *index)
{
    if (!index) {
        return;
    }
    for (unsigned id = 0; id < VMA_DEVICES; id++) {
        g_clear_pointer(&index->devices[id], g_array_unref);
    }
    g_array_unref(index->extents);
    g_free(index);
}

/* An array of GLib ends the program where it can't count any more. */
static bool has_room(const GArray *array)
{
    return array->len < G_MAXUINT / 2;
}

static bool add_cluster(VmaIndex *index, const VmaCluster *cluster)
{
    GArray **device = &index->devices[cluster->device_id];
    Entry entry = {
        .cluster = cluster->number,
        .extent = index->extents->len - 1,
        .mask = cluster->mask,
        .first_block = cluster->first_block,
        .slot = cluster->slot,
    };

    if (!*device) {
        *device = g_array_new(FALSE, FALSE, sizeof(Entry));
    }
    if (!has_room(*device)) {
        return false;
    }
    g_array_append_val(*device, entry);
    return true;
}

bool vma_index_add(VmaIndex *index, uint64_t extent_offset,
                   const VmaExtent *extent, GError **error)
{
    bool ok = has_room(index->extents);

    if (extent->block_count == 0) {
        return true;
    }
    if (ok) {
        g_array_append_val(index->extents, extent_offset);
    }
    for (unsigned i = 0; ok && i < extent->cluster_count; i++) {
        ok = !extent->clusters[i].mask ||
             add_cluster(index, &extent->clusters[i]);
    }
    if (!ok) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the archive has too many clusters for an index");
    }
    return ok;
}

/* Sorts by 16 bits of the cluster's number, and leaves equal ones in order. */
static void sort_by_half(const Entry *from, Entry *to, guint count,
                         unsigned shift)
{
    g_autofree guint *places = g_new0(guint, (size_t)UINT16_MAX + 1);
    guint place = 0;

    for (guint i = 0; i < count; i++) {
        places[from[i].cluster >> shift & UINT16_MAX]++;
    }
    for (guint half = 0; half <= UINT16_MAX; half++) {
        guint same = places[half];

        places[half] = place;
        place += same;
    }
    for (guint i = 0; i < count; i++) {
        to[places[from[i].cluster >> shift & UINT16_MAX]++] = from[i];
    }
}

/*
 * By the lower half of the numbers, and then by the upper one: of the millions
 * of clusters of a large disk that takes a small part of qsort()'s time, in as
 * much memory, and the first byte of such a disk waits for it.
 */
void vma_index_finish(VmaIndex *index)
{
    for (unsigned id = 0; id < VMA_DEVICES; id++) {
        GArray *device = index->devices[id];

        if (device) {
            Entry *entries = (Entry *)device->data;
            g_autofree Entry *sorted = g_new(Entry, device->len);

            sort_by_half(entries, sorted, device->len, 0);
            sort_by_half(sorted, entries, device->len, 16);
        }
    }
}

/* How many entries of a device come before that cluster. */
static guint count_before(const GArray *device, uint64_t cluster)
{
    guint from = 0, to = device->len;

    while (from < to) {
        guint middle = from + (to - from) / 2;

        if (g_array_index(device, Entry, middle).cluster < cluster) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* The device's entry at I if it is that of CLUSTER, else NULL. */
static Entry *entry_at(const GArray *device, guint i, uint64_t cluster)
{
    Entry *entry = i < device->len ? &g_array_index(device, Entry, i) : NULL;

    return entry && entry->cluster == cluster ? entry : NULL;
}

/* NULL: the cluster is all zeroes. */
static Entry *find(const VmaIndex *index, uint8_t device_id, uint32_t cluster)
{
    const GArray *device = index->devices[device_id];

    return device ? entry_at(device, count_before(device, cluster), cluster)
                  : NULL;
}

static VmaPlace place_of(const VmaIndex *index, const Entry *entry)
{
    return (VmaPlace) {
        .extent = entry->extent,
        .extent_offset = g_array_index(index->extents, uint64_t,
                                       entry->extent),
        .mask = entry->mask,
        .first_block = entry->first_block,
        .check = entry->check,
    };
}

bool vma_index_find(const VmaIndex *index, uint8_t device_id, uint32_t cluster,
                    VmaPlace *place)
{
    const Entry *entry = find(index, device_id, cluster);

    if (!entry) {
        return false;
    }
    *place = place_of(index, entry);
    return true;
}

bool vma_index_next(const VmaIndex *index, uint8_t device_id, uint64_t from,
                    uint32_t *cluster, VmaPlace *place)
{
    const GArray *device = index->devices[device_id];
    guint i = device ? count_before(device, from) : 0;
    const Entry *entry;

    if (!device || i == device->len) {
        return false;
    }
    entry = &g_array_index(device, Entry, i);
    *cluster = entry->cluster;
    *place = place_of(index, entry);
    return true;
}

bool vma_index_has(const VmaIndex *index, uint32_t extent,
                   const VmaCluster *cluster)
{
    const Entry *entry = find(index, cluster->device_id, cluster->number);

    return entry && entry->extent == extent && entry->mask == cluster->mask &&
           entry->first_block == cluster->first_block &&
           entry->slot == cluster->slot;
}

void vma_index_set_check(VmaIndex *index, const VmaCluster *cluster,
                         uint32_t check)
{
    Entry *entry = find(index, cluster->device_id, cluster->number);

    g_assert(entry && check);
    entry->check = check;
}

/* Whether a block is stored; I is the entry of its cluster, or of a later. */
static bool is_stored(const GArray *device, guint i, uint64_t block)
{
    const Entry *entry = entry_at(device, i, block / VMA_BLOCKS_PER_CLUSTER);

    return entry && (entry->mask >> block % VMA_BLOCKS_PER_CLUSTER & 1);
}

/* The first block of the entry I, or as good as infinity. */
static uint64_t first_block_of(const GArray *device, guint i)
{
    return i < device->len
           ? (uint64_t)g_array_index(device, Entry, i).cluster *
             VMA_BLOCKS_PER_CLUSTER : UINT64_MAX;
}

bool vma_index_run(const VmaIndex *index, uint8_t device_id, uint64_t from,
                   uint64_t limit, uint64_t *end)
{
    const GArray *device = index->devices[device_id];
    uint64_t block = from / VMA_BLOCK_BYTES;
    uint64_t last = (limit + VMA_BLOCK_BYTES - 1) / VMA_BLOCK_BYTES;
    bool stored;
    guint i;

    *end = last * VMA_BLOCK_BYTES;
    if (!device) {
        return false;
    }
    i = count_before(device, block / VMA_BLOCKS_PER_CLUSTER);
    stored = is_stored(device, i, block);
    while (block < last && is_stored(device, i, block) == stored) {
        if (!stored && first_block_of(device, i) > block) {
            /* No need to look at each block of a long way. */
            block = MIN(first_block_of(device, i), last);
            continue;
        }
        block++;
        if (block % VMA_BLOCKS_PER_CLUSTER == 0) {
            i++;
        }
    }
    *end = block * VMA_BLOCK_BYTES;
    return stored;
}

uint64_t vma_index_end(const VmaIndex *index, uint8_t device_id)
{
    const GArray *device = index->devices[device_id];
    const Entry *last;
    unsigned blocks = VMA_BLOCKS_PER_CLUSTER;

    if (!device || device->len == 0) {
        return 0;
    }
    last = &g_array_index(device, Entry, device->len - 1);
    while (!(last->mask >> (blocks - 1) & 1)) {
        blocks--;
    }
    return (uint64_t)last->cluster * VMA_CLUSTER_BYTES +
           blocks * VMA_BLOCK_BYTES;
}

uint32_t vma_index_extents(const VmaIndex *index)
{
    return index->extents->len;
}

size_t vma_index_bytes(const VmaIndex *index)
{
    size_t bytes = sizeof(*index) + index->extents->len * sizeof(uint64_t);

    for (unsigned id = 0; id < VMA_DEVICES; id++) {
        bytes += index->devices[id] ? index->devices[id]->len * sizeof(Entry)
                                    : 0;
    }
    return bytes;
}
