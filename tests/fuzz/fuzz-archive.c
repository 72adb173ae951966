/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as an archive, read past all damage, as verify and salvage do,
 * through an index, and for one disk alone: an end or an error; what is given
 * out can be read; and where the archive has digests it is of an extent all
 * blocks of which match theirs.
 */
#include <xxhash.h>

#include "backup/error.h"
#include "input.h"
#include "restore/pick.h"
#include "restore/random.h"
#include "restore/scan.h"
#include "restore/seek.h"

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

/* Its blocks are the extent's, from the first one on. */
static const VmaCluster first;

/* BLOCKS: of all of the extent. */
static void check_extent(const RestoreArchive *archive,
                         const VmaExtent *extent, const uint8_t *blocks)
{
    if (restore_archive_digest_kind(archive) == VMA_DIGEST_XXH3 &&
        extent->cluster_count > 0) {
        check_digest(blocks, extent->block_count);
    }
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];
        const uint8_t *own = blocks + (size_t)cluster->first_block *
                                      VMA_BLOCK_BYTES;
        static volatile uint8_t sum;

        for (size_t b = 0; b < vma_mask_blocks(cluster->mask); b++) {
            sum ^= own[b * VMA_BLOCK_BYTES];
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

/* GOOD: nothing was found from front to back, nor in an index. */
static void check_index(const char *path, bool good)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, NULL);
    g_autoptr(VmaIndex) index = archive ? restore_scan(archive, &error) : NULL;
    g_autoptr(RestoreRandom) random = NULL;
    RestoreEndMark end_mark;
    bool told;

    if (!archive) {
        g_assert(!good);
        return;
    }
    g_assert(!index == !!error);
    /* What is compressed without a seek table has no order but its own. */
    g_assert(index || !good || error->code == BACKUP_ERROR_USAGE);
    told = restore_scan_end_mark(archive, &end_mark, NULL);
    g_assert(told || !good);
    if (index) {
        const GPtrArray *devices = restore_archive_info(archive)->devices;

        /* The index of a compressed archive does not tell what is there. */
        g_assert(end_mark != RESTORE_END_MARK_MISSING || !good);
        random = restore_random_new(archive, index, 2);
        for (guint i = 0; i < devices->len; i++) {
            read_device(random, index, g_ptr_array_index(devices, i), good);
        }
    }
}

/* The archive's first disk. */
static void check_pick(const char *path, bool good)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, NULL);
    g_autoptr(RestorePick) pick = NULL;
    bool selected[BACKUP_DEVICE_IDS] = { };
    const BackupDevice *device;
    const VmaExtent *extent;
    VmaNext next;
    bool ok;

    if (!archive || restore_archive_info(archive)->devices->len == 0) {
        return;
    }
    device = g_ptr_array_index(restore_archive_info(archive)->devices, 0);
    selected[device->id] = true;
    ok = restore_pick_new(archive, selected, &pick, &error);
    g_assert(ok == !error && (ok || !good));
    if (!pick) {
        return;
    }
    while ((next = restore_pick_next(pick, &extent, &error)) ==
           VMA_NEXT_EXTENT) {
        g_assert(extent->cluster_count > 0 &&
                 extent->clusters[0].device_id == device->id);
        check_extent(archive, extent, restore_pick_blocks(pick, &first));
    }
    g_assert((next == VMA_NEXT_END) == !error && (!error || !good));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d",
                                            input_fd(data, bytes));
    g_autoptr(GError) error = NULL;
    unsigned findings = 0;
    g_autoptr(RestoreArchive) archive = restore_archive_new_damaged(
        path, 2, count_finding, &findings, &error);
    g_autoptr(RestoreSeekCheck) index = NULL;
    g_autoptr(GError) bad_index = NULL;
    const VmaExtent *extent;
    VmaNext next;
    bool good;

    if (!archive) {
        g_assert_nonnull(error);
        return 0;
    }
    index = restore_seek_check_new(archive, &bad_index);
    good = !bad_index;
    while ((next = restore_archive_next(archive, &extent, &error)) ==
           VMA_NEXT_EXTENT) {
        good = good && (!index ||
                        restore_seek_check_extent(index, extent, NULL));
        check_extent(archive, extent,
                     restore_archive_blocks(archive, &first));
    }
    g_assert(next == VMA_NEXT_END && !error);
    g_assert(restore_archive_verdict(archive, NULL) == (findings == 0));
    good = good && findings == 0;
    check_index(path, good);
    check_pick(path, good);
    return 0;
}
