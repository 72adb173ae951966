/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as an archive, read past all damage: an end or an error, and what
 * is given out lies within its device.
 */
#include "input.h"
#include "restore/archive.h"

static void count_finding(const char *finding, void *opaque)
{
    g_assert_nonnull(finding);
    ++*(unsigned *)opaque;
}

static void check_extent(const RestoreArchive *archive,
                         const VmaExtent *extent)
{
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];
        const uint8_t *blocks = restore_archive_blocks(archive, cluster);
        static volatile uint8_t sum;

        for (size_t b = 0; b < vma_mask_blocks(cluster->mask); b++) {
            sum ^= blocks[b * VMA_BLOCK_BYTES];
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d",
                                            input_fd(data, bytes));
    g_autoptr(GError) error = NULL;
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, &error);
    const VmaExtent *extent;
    unsigned findings = 0;
    VmaNext next;

    if (!archive) {
        g_assert_nonnull(error);
        return 0;
    }
    restore_archive_go_on(archive, count_finding, &findings);
    while ((next = restore_archive_next(archive, &extent, &error)) ==
           VMA_NEXT_EXTENT) {
        check_extent(archive, extent);
    }
    g_assert(next == VMA_NEXT_END && !error);
    g_assert(restore_archive_verdict(archive, NULL) == (findings == 0));
    return 0;
}
