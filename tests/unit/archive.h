/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive for tests of what reads it.
 */
#ifndef TESTS_ARCHIVE_H
#define TESTS_ARCHIVE_H

#include <string.h>

#include "restore/archive.h"
#include "restore/scan.h"
#include "util.h"
#include "vma/seekable.h"
#include "vma/writer.h"

/* Which of COUNT clusters is the I-th in an archive. */
typedef unsigned ArchiveOrder(unsigned i, unsigned count);

/* From the front and the back in turn. */
static inline unsigned archive_both_ends(unsigned i, unsigned count)
{
    return i % 2 ? count - 1 - i / 2 : i / 2;
}

/*
 * Writes one of a device 5 of SIZE bytes, and what it holds into CONTENT, zeroed
 * and padded to whole clusters: in that order, every third zeroes, and with zero
 * blocks.
 */
static inline void write_archive_as(const char *path, uint64_t size,
                                    uint8_t *content, ArchiveOrder *order,
                                    bool compressed)
{
    static const VmaSeekableOptions options = { 1, 2, 1 };
    g_autoptr(BackupInfo) info = backup_info_new();
    BackupDevice *device = backup_info_add_device(info, 5, "disk", size);
    unsigned clusters = backup_clusters(size);
    g_autoptr(IoOutput) output = io_output_new(path, false, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(VmaParts) parts = NULL;
    g_autoptr(VmaWriter) writer = NULL;

    uuid_generate(info->uuid);
    parts = compressed ? vma_seekable_new(output, info->uuid, &options, &error)
                       : vma_parts_new_plain(output, &error);
    g_assert_no_error(error);
    writer = vma_writer_new_parts(info, parts, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < clusters; i++) {
        unsigned number = order(i, clusters);
        uint8_t *cluster = content + (size_t)number * VMA_CLUSTER_BYTES;
        size_t bytes = backup_run_bytes(size, number, 1);
        unsigned room;
        uint8_t *buffer = vma_writer_room(writer, &room, &error);

        g_assert_no_error(error);
        if (number % 3) {
            fill_pattern(cluster, bytes, number);
            memset(cluster + 8192, 0, number % 2 ? 4096 : 12288);
        }
        memcpy(buffer, cluster, bytes);
        vma_writer_add_data(writer, device, number, 1);
    }
    g_assert_true(vma_writer_finish(writer, &error));
    g_assert_true(io_output_finish(output, &error));
}

static inline void write_archive(const char *path, uint64_t size,
                                 uint8_t *content)
{
    write_archive_as(path, size, content, archive_both_ends, false);
}

/* Such an archive in a folder of its own, and an index of it. */
typedef struct ArchiveFixture {
    char *folder;
    char *path;
    uint8_t *content;           /* of the device, padded to whole clusters */
    RestoreArchive *archive;
    VmaIndex *index;
} ArchiveFixture;

/* Anew each time. */
static inline void archive_fixture_open(ArchiveFixture *f)
{
    g_clear_pointer(&f->index, vma_index_free);
    g_clear_pointer(&f->archive, restore_archive_free);
    f->archive = restore_archive_new(f->path, NULL);
    g_assert_nonnull(f->archive);
    f->index = restore_scan(f->archive, NULL);
    g_assert_nonnull(f->index);
}

static inline ArchiveFixture archive_fixture_new(uint64_t size,
                                                 ArchiveOrder *order,
                                                 bool compressed)
{
    ArchiveFixture f = {
        .folder = make_folder(),
        .content = g_malloc0(backup_clusters(size) * VMA_CLUSTER_BYTES),
    };

    f.path = g_build_filename(f.folder, "a.vma", NULL);
    write_archive_as(f.path, size, f.content, order, compressed);
    archive_fixture_open(&f);
    return f;
}

static inline void archive_fixture_clear(ArchiveFixture *f)
{
    vma_index_free(f->index);
    restore_archive_free(f->archive);
    remove_folder(f->folder);
    g_free(f->content);
    g_free(f->path);
    g_free(f->folder);
}

#endif /* TESTS_ARCHIVE_H */
