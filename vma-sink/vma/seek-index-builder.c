/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gathers runs of clusters while a compressed archive is written, and makes its
 * index of them.  They are in memory as they are going to be in the file.
 */
#include "vma/seek-index.h"

#include "vma/seek-index-format.h"

struct VmaSeekIndexBuilder {
    uint32_t max_runs;          /* set at creation, never changed */
    GArray *runs;               /* of SeekRawRun; NULL: there were too many */
    /* By device: the last one of runs, plus one; 0: none yet. */
    uint32_t last[VMA_DEVICES];
    VmaSeekTotals totals;
};

VmaSeekIndexBuilder *vma_seek_index_builder_new(uint32_t max_runs)
{
    VmaSeekIndexBuilder *b = g_new0(VmaSeekIndexBuilder, 1);

    b->max_runs = max_runs;
    b->runs = g_array_new(FALSE, FALSE, sizeof(SeekRawRun));
    return b;
}

void vma_seek_index_builder_free(VmaSeekIndexBuilder *b)
{
    if (b) {
        g_clear_pointer(&b->runs, g_array_unref);
        g_free(b);
    }
}

/* Whether NEXT goes on where RUN ends, so that both can be one. */
static bool goes_on(const SeekRawRun *run, const SeekRawRun *next)
{
    uint32_t clusters = GUINT32_FROM_LE(run->last) -
                        GUINT32_FROM_LE(run->first) + 1;

    if (run->device_id != next->device_id || run->mask != next->mask ||
        (uint64_t)GUINT32_FROM_LE(run->last) + 1 !=
        GUINT32_FROM_LE(next->first)) {
        return false;
    }
    return !run->mask || (run->frame == next->frame &&
                          run->extent_offset == next->extent_offset &&
                          run->slot + clusters == next->slot);
}

/* Zeroes go on where their device's last run was, wherever that is. */
static void add_run(VmaSeekIndexBuilder *b, const SeekRawRun *next)
{
    uint32_t *last = &b->last[next->device_id];

    if (*last) {
        SeekRawRun *run = &g_array_index(b->runs, SeekRawRun, *last - 1);

        if (goes_on(run, next)) {
            run->last = next->last;
            return;
        }
    }
    if (b->runs->len >= b->max_runs) {
        g_clear_pointer(&b->runs, g_array_unref);
        return;
    }
    g_array_append_val(b->runs, *next);
    *last = b->runs->len;
}

void vma_seek_index_builder_add(VmaSeekIndexBuilder *b, const VmaExtent *extent,
                                uint32_t frame, uint32_t extent_offset)
{
    unsigned blocks = 0;

    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];
        SeekRawRun run = {
            .first = GUINT32_TO_LE(cluster->number),
            .last = GUINT32_TO_LE(cluster->number),
            .device_id = cluster->device_id,
        };

        if (cluster->mask) {
            run.frame = GUINT32_TO_LE(frame);
            run.extent_offset = GUINT32_TO_LE(extent_offset);
            run.first_block = GUINT16_TO_LE(blocks);
            run.mask = GUINT16_TO_LE(cluster->mask);
            run.slot = i;
        }
        if (b->runs) {
            add_run(b, &run);
        }
        blocks += vma_mask_blocks(cluster->mask);
    }
    b->totals.extents++;
    b->totals.clusters += extent->cluster_count;
    b->totals.blocks += blocks;
}

static bool in_order(const GArray *runs)
{
    for (guint i = 1; i < runs->len; i++) {
        if (seek_compare_runs(&g_array_index(runs, SeekRawRun, i - 1),
                              &g_array_index(runs, SeekRawRun, i)) > 0) {
            return false;
        }
    }
    return true;
}

/* Sorts, and joins what the order has brought together: zeroes only. */
static void sort_runs(GArray *runs)
{
    guint kept = 0;

    if (!in_order(runs)) {
        g_array_sort(runs, seek_compare_runs);
    }
    for (guint i = 0; i < runs->len; i++) {
        SeekRawRun *run = &g_array_index(runs, SeekRawRun, i);
        SeekRawRun *place = &g_array_index(runs, SeekRawRun, kept);

        if (kept > 0 && goes_on(place - 1, run)) {
            place[-1].last = run->last;
        } else {
            *place = *run;
            kept++;
        }
    }
    g_array_set_size(runs, kept);
}

GByteArray *vma_seek_index_builder_encode(VmaSeekIndexBuilder *b,
                                          const uuid_t uuid,
                                          const IoZstdTable *table)
{
    uint32_t frames = io_zstd_table_frames(table);
    SeekHeader header = {
        .version = GUINT32_TO_LE(INDEX_VERSION),
        .total_bytes = GUINT64_TO_LE(
            io_zstd_table_frame(table, frames).content_offset),
        .total_extents = GUINT64_TO_LE(b->totals.extents),
        .total_clusters = GUINT64_TO_LE(b->totals.clusters),
        .total_blocks = GUINT64_TO_LE(b->totals.blocks),
        .frames = GUINT32_TO_LE(frames),
    };
    SeekFrameHeader frame = { .magic = GUINT32_TO_LE(INDEX_FRAME_MAGIC) };
    uint8_t checksum[INDEX_CHECKSUM_BYTES];
    GByteArray *out;
    size_t bytes;

    if (!b->runs) {
        return NULL;
    }
    sort_runs(b->runs);
    bytes = INDEX_MIN_BYTES + b->runs->len * sizeof(SeekRawRun);
    memcpy(header.magic, INDEX_MAGIC, sizeof(header.magic));
    memcpy(header.uuid, uuid, sizeof(uuid_t));
    header.runs = GUINT32_TO_LE(b->runs->len);
    io_zstd_table_digest(table, frames, header.table_digest);
    frame.bytes = GUINT32_TO_LE(bytes);

    out = g_byte_array_sized_new(sizeof(frame) + bytes);
    g_byte_array_append(out, (uint8_t *)&frame, sizeof(frame));
    g_byte_array_append(out, (uint8_t *)&header, sizeof(header));
    g_byte_array_append(out, (uint8_t *)b->runs->data,
                        b->runs->len * sizeof(SeekRawRun));
    seek_checksum(checksum, out->data + sizeof(frame),
                  bytes - INDEX_CHECKSUM_BYTES);
    g_byte_array_append(out, checksum, sizeof(checksum));
    return out;
}
