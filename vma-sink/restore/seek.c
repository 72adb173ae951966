/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The index of a compressed archive, brought into memory.
 */
#include "restore/seek.h"

#include "vma/format.h"
#include "vma/seek-index.h"

/* The order of extents, and of their clusters. */
static gint compare_places(gconstpointer a, gconstpointer b)
{
    const VmaSeekRun *x = a;
    const VmaSeekRun *y = b;

    return x->frame != y->frame ? (x->frame < y->frame ? -1 : 1) :
           x->extent_offset != y->extent_offset
           ? (x->extent_offset < y->extent_offset ? -1 : 1) :
           (int)x->slot - y->slot;
}

/* The runs with data, by their places. */
static GArray *stored_runs(const VmaSeekIndex *seek)
{
    GArray *runs = g_array_new(FALSE, FALSE, sizeof(VmaSeekRun));

    for (uint32_t i = 0; i < vma_seek_index_runs(seek); i++) {
        VmaSeekRun run = vma_seek_index_run(seek, i);

        if (run.mask) {
            g_array_append_val(runs, run);
        }
    }
    g_array_sort(runs, compare_places);
    return runs;
}

/*
 * The clusters of the extent of the run AT, which are in the runs from there
 * on; returns the first run of another extent.
 */
static guint gather_extent(const GArray *runs, guint at, VmaExtent *extent)
{
    const VmaSeekRun *first = &g_array_index(runs, VmaSeekRun, at);

    *extent = (VmaExtent) { };
    for (; at < runs->len; at++) {
        const VmaSeekRun *run = &g_array_index(runs, VmaSeekRun, at);
        unsigned block = (run->block_offset - run->extent_offset -
                          sizeof(VmaExtentHeader)) / VMA_BLOCK_BYTES;

        if (run->frame != first->frame ||
            run->extent_offset != first->extent_offset ||
            extent->cluster_count + run->count > VMA_CLUSTERS_PER_EXTENT) {
            break;
        }
        for (unsigned i = 0; i < run->count; i++) {
            extent->clusters[extent->cluster_count++] = (VmaCluster) {
                .device_id = run->device_id,
                .slot = run->slot + i,
                .number = run->number + i,
                .mask = run->mask,
                .first_block = block + i * vma_mask_blocks(run->mask),
            };
        }
        extent->block_count = block + run->count * vma_mask_blocks(run->mask);
    }
    return at;
}

static bool tell_runs(const IoZstdTable *table, const VmaSeekIndex *seek,
                      RestoreScanFunc *func, void *opaque, GError **error)
{
    g_autoptr(GArray) runs = stored_runs(seek);
    guint next;

    for (guint i = 0; i < runs->len; i = next) {
        const VmaSeekRun *run = &g_array_index(runs, VmaSeekRun, i);
        uint64_t offset = io_zstd_table_frame(table, run->frame)
                              .content_offset + run->extent_offset;
        VmaExtent extent;

        next = gather_extent(runs, i, &extent);
        if (!func(offset, &extent, opaque, error)) {
            return false;
        }
    }
    return true;
}

/* *seek becomes NULL where there is no index. */
static bool read_index(const RestoreArchive *archive, const IoZstdTable *table,
                       VmaSeekIndex **seek, GError **error)
{
    *seek = NULL;
    if (table &&
        (!vma_seek_index_read(restore_archive_fd(archive), table, seek,
                              error) ||
         (*seek && !vma_seek_index_matches(*seek,
                                           restore_archive_info(archive),
                                           error)))) {
        g_clear_pointer(seek, vma_seek_index_free);
        return false;
    }
    return true;
}

bool restore_seek_load(const RestoreArchive *archive, RestoreScanFunc *func,
                       void *opaque, bool *found, GError **error)
{
    const IoZstdTable *table = io_input_table(restore_archive_input(archive));
    g_autoptr(VmaSeekIndex) seek = NULL;
    bool ok = read_index(archive, table, &seek, error);

    *found = seek != NULL;
    return ok && (!seek || tell_runs(table, seek, func, opaque, error));
}

struct RestoreSeekCheck {
    const RestoreArchive *archive;
    const IoZstdTable *table;
    VmaSeekIndex *index;
    uint32_t frame;             /* of the current extent */
};

RestoreSeekCheck *restore_seek_check_new(const RestoreArchive *archive,
                                         GError **error)
{
    const IoZstdTable *table;
    RestoreSeekCheck *check;
    VmaSeekIndex *index;

    /* A table that is not used may be one that an index shows to be wrong. */
    table = io_input_any_table(restore_archive_input(archive));
    if (!read_index(archive, table, &index, error) || !index) {
        return NULL;
    }
    check = g_new0(RestoreSeekCheck, 1);
    check->archive = archive;
    check->table = table;
    check->index = index;
    return check;
}

void restore_seek_check_free(RestoreSeekCheck *check)
{
    if (check) {
        vma_seek_index_free(check->index);
        g_free(check);
    }
}

bool restore_seek_check_extent(RestoreSeekCheck *check,
                               const VmaExtent *extent, GError **error)
{
    uint64_t offset = restore_archive_offset(check->archive);

    while (check->frame + 1 < io_zstd_table_frames(check->table) &&
           io_zstd_table_frame(check->table, check->frame + 1)
               .content_offset <= offset) {
        check->frame++;
    }
    offset -= io_zstd_table_frame(check->table, check->frame).content_offset;
    return vma_seek_index_verify_extent(check->index, extent, check->frame,
                                        offset, error);
}
