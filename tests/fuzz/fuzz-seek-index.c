/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as an index whose checksums are right: what it says lies within
 * the frames, or it is refused.
 */
#include <string.h>
#include <xxhash.h>

#include "input.h"
#include "vma/seek-index.h"

#define TABLE_DIGEST 72u        /* offset in the index */
#define HEADER_BYTES 88u

/* A header, frames of an extent or several, and the index. */
static IoZstdTable *make_table(void)
{
    static const uint32_t contents[] = { 12800, VMA_EXTENT_MAX_BYTES, 40448,
                                         512, UINT32_MAX - 511, 0 };
    IoZstdTable *table = io_zstd_table_new();

    for (size_t i = 0; i < G_N_ELEMENTS(contents); i++) {
        io_zstd_table_add(table, 100, contents[i], NULL);
    }
    return table;
}

static GBytes *make_index(const uint8_t *data, size_t bytes,
                          const IoZstdTable *table)
{
    uint8_t *copy = g_malloc(bytes + 16);
    XXH128_canonical_t checksum;

    memcpy(copy, data, bytes);
    if (bytes >= HEADER_BYTES) {
        memcpy(copy, "VMA+SEEK\1\0\0\0", 12);
        io_zstd_table_digest(table, io_zstd_table_frames(table) - 1,
                             copy + TABLE_DIGEST);
    }
    XXH128_canonicalFromHash(&checksum, XXH3_128bits(copy, bytes));
    memcpy(copy + bytes, &checksum, 16);
    return g_bytes_new_take(copy, bytes + 16);
}

static void check_run(const VmaSeekIndex *index, const IoZstdTable *table,
                      uint32_t i)
{
    VmaSeekRun run = vma_seek_index_run(index, i);
    uint64_t bytes = run.count * vma_mask_blocks(run.mask) * VMA_BLOCK_BYTES;
    uint32_t found;

    g_assert(run.device_id >= 1 && run.device_id <= 254 && run.count >= 1);
    g_assert(run.number + run.count <= UINT64_C(1) << 32);
    g_assert(vma_seek_index_find(index, run.device_id, run.number, &found));
    g_assert(found == i);
    g_assert(vma_seek_index_find(index, run.device_id,
                                 run.number + run.count - 1, &found));
    g_assert(found == i);
    if (run.mask) {
        g_assert(run.slot + run.count <= VMA_CLUSTERS_PER_EXTENT);
        g_assert(run.extent_offset + sizeof(VmaExtentHeader) <=
                 run.block_offset);
        g_assert(run.block_offset + bytes <=
                 io_zstd_table_frame(table, run.frame).content_bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    g_autoptr(IoZstdTable) table = make_table();
    g_autoptr(GError) error = NULL;
    g_autoptr(VmaSeekIndex) index = vma_seek_index_decode(
        make_index(data, bytes, table), table, &error);

    g_assert(!index == (error != NULL));
    for (uint32_t i = 0; index && i < vma_seek_index_runs(index); i++) {
        check_run(index, table, i);
    }
    return 0;
}
