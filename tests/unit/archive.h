/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive for tests of what reads it.
 */
#ifndef TESTS_ARCHIVE_H
#define TESTS_ARCHIVE_H

#include <string.h>

#include "util.h"
#include "vma/writer.h"

/*
 * Writes one of a device 5 of SIZE bytes, and what it holds into CONTENT, zeroed
 * and padded to whole clusters: from the front and the back in turn, every third
 * zeroes, and with zero blocks.
 */
static inline void write_archive(const char *path, uint64_t size,
                                 uint8_t *content)
{
    g_autoptr(BackupInfo) info = backup_info_new();
    BackupDevice *device = backup_info_add_device(info, 5, "disk", size);
    unsigned clusters = backup_clusters(size);
    IoOutput *output = io_output_new(path, false, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(VmaWriter) writer = vma_writer_new(info, output, &error);

    g_assert_no_error(error);
    for (unsigned i = 0; i < clusters; i++) {
        unsigned number = i % 2 ? clusters - 1 - i / 2 : i / 2;
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
    io_output_free(output);
}

#endif /* TESTS_ARCHIVE_H */
