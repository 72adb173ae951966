/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as an archive, read past all damage, as verify and salvage do, and
 * through an index: an end or an error; what is given out can be read; and where
 * the archive has digests it is of an extent all blocks of which match theirs.
 */
#include <xxhash.h>

#include "input.h"
#include "restore/random.h"
#include "restore/scan.h"

static void count_finding(const char *finding, void *opaque)
{
    g_assert_nonnull(finding);
    ++*(unsigned *)opaque;
}

/* By vma/digests.md alone; in the reader's memory the header is in front. */
static void check_digest(const uint8_t *blocks, unsigned count)
{
    const uint8_t *header = blocks - sizeof(VmaExtentHeader);
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(
        blocks, (size_t)count * VMA_BLOCK_BYTES));
    for (unsigned i = 0; i < sizeof(canonical.digest); i++) {
        g_assert_cmphex(header[42 + 8 * i], ==, canonical.digest[i]);
    }
}

static void check_extent(const RestoreArchive *archive,
                         const VmaExtent *extent)
{
    const VmaCluster first = { .first_block = 0 };

    if (restore_archive_digest_kind(archive) == VMA_DIGEST_XXH3 &&
        extent->cluster_count > 0) {
        check_digest(restore_archive_blocks(archive, &first),
                     extent->block_count);
    }
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];
        const uint8_t *blocks = restore_archive_blocks(archive, cluster);
        static volatile uint8_t sum;

        for (size_t b = 0; b < vma_mask_blocks(cluster->mask); b++) {
            sum ^= blocks[b * VMA_BLOCK_BYTES];
        }
    }
}

static void read_device(RestoreRandom *random, const VmaIndex *index,
                        const BackupDevice *device, bool good)
{
    static uint8_t buffer[VMA_CLUSTER_BYTES];
    uint64_t end;

    for (uint64_t from = 0; from < device->size_bytes; from = end) {
        bool stored = vma_index_run(index, device->id, from,
                                    device->size_bytes, &end);

        g_assert(end > from && end % VMA_BLOCK_BYTES == 0);
        if (stored) {
            bool ok = restore_random_read(random, device->id, from, buffer,
                                          MIN(end - from, sizeof(buffer)),
                                          NULL);

            g_assert(ok || !good);
        }
    }
}

/* GOOD: nothing was found when it was read from front to back. */
static void check_index(const char *path, bool good)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, NULL);
    g_autoptr(VmaIndex) index = restore_scan(archive, &error);
    g_autoptr(RestoreRandom) random = NULL;
    RestoreEndMark end_mark;

    g_assert(!index == !!error);
    g_assert(index || !good);
    g_assert(restore_scan_end_mark(archive, &end_mark, NULL));
    if (index) {
        const GPtrArray *devices = restore_archive_info(archive)->devices;

        g_assert(end_mark != RESTORE_END_MARK_MISSING);
        random = restore_random_new(archive, index);
        for (guint i = 0; i < devices->len; i++) {
            read_device(random, index, g_ptr_array_index(devices, i), good);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d",
                                            input_fd(data, bytes));
    g_autoptr(GError) error = NULL;
    unsigned findings = 0;
    g_autoptr(RestoreArchive) archive = restore_archive_new_damaged(
        path, 2, count_finding, &findings, &error);
    const VmaExtent *extent;
    VmaNext next;

    if (!archive) {
        g_assert_nonnull(error);
        return 0;
    }
    while ((next = restore_archive_next(archive, &extent, &error)) ==
           VMA_NEXT_EXTENT) {
        check_extent(archive, extent);
    }
    g_assert(next == VMA_NEXT_END && !error);
    g_assert(restore_archive_verdict(archive, NULL) == (findings == 0));
    check_index(path, findings == 0);
    return 0;
}
