/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a compressed archive for measurements: one device of the given size in
 * GiB, all of it data.  It is the same block again and again, so the file is
 * small, but it has as many frames as any, of the same size when they are
 * decompressed.  Each sixteenth cluster stands somewhere else, as if a guest had
 * written to it, so the index is as large as that of a disk that was in use.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "vma/seekable.h"
#include "vma/writer.h"

#define STRAY 16u

static void fill(uint8_t *cluster)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    for (size_t i = 0; i < VMA_BLOCK_BYTES; i++) {
        cluster[i] = g_rand_int(rand);
    }
    for (size_t i = VMA_BLOCK_BYTES; i < VMA_CLUSTER_BYTES; i++) {
        cluster[i] = cluster[i - VMA_BLOCK_BYTES];
    }
}

/* Of the clusters that are a multiple of STRAY, in any order. */
static uint64_t number_of(uint64_t i, uint64_t clusters)
{
    return i % STRAY ? i : i / STRAY * 7919 % (clusters / STRAY) * STRAY;
}

static bool write_device(VmaWriter *writer, const BackupDevice *device,
                         GError **error)
{
    uint64_t clusters = backup_clusters(device->size_bytes);
    uint8_t cluster[VMA_CLUSTER_BYTES];

    fill(cluster);
    for (uint64_t i = 0; i < clusters; i++) {
        unsigned room;
        uint8_t *to = vma_writer_room(writer, &room, error);

        if (!to) {
            return false;
        }
        memcpy(to, cluster, sizeof(cluster));
        vma_writer_add_data(writer, device, number_of(i, clusters), 1);
    }
    return vma_writer_finish(writer, error);
}

static bool write_archive(const char *path, uint64_t bytes, GError **error)
{
    VmaSeekableOptions options = {
        1, MIN(g_get_num_processors(), 8), VMA_SEEKABLE_FRAME_DEFAULT_BYTES
    };
    g_autoptr(BackupInfo) info = backup_info_new();
    g_autoptr(IoOutput) output = io_output_new(path, false, error);
    g_autoptr(VmaParts) parts = NULL;
    g_autoptr(VmaWriter) writer = NULL;
    BackupDevice *device;

    uuid_generate(info->uuid);
    device = backup_info_add_device(info, 1, "disk", bytes);
    if (!output) {
        return false;
    }
    parts = vma_seekable_new(output, info->uuid, &options, error);
    writer = parts ? vma_writer_new_parts(info, parts, error) : NULL;
    return writer && write_device(writer, device, error) &&
           io_output_finish(output, error);
}

int main(int argc, char **argv)
{
    GError *error = NULL;

    if (argc != 3) {
        fprintf(stderr, "usage: %s GIB ARCHIVE\n", argv[0]);
        return 2;
    }
    g_set_prgname("bench-archive");
    if (!write_archive(argv[2], strtoull(argv[1], NULL, 10) << 30, &error)) {
        return cli_report(error);
    }
    return 0;
}
