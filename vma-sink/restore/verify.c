/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a whole archive and says what was checked, and what can't be.
 */
#include "restore/restore.h"

#include <stdio.h>

#include "cli/cli.h"
#include "restore/archive.h"

static void print_result(const RestoreArchive *archive)
{
    const BackupInfo *info = restore_archive_info(archive);
    const RestoreCheck *check = restore_archive_check(archive);
    bool vmstate = false;

    printf("%3s %15s %10s      device\n", "id", "bytes", "clusters");
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        g_autofree char *name = cli_printable(device->name);

        printf("%3u %15" G_GUINT64_FORMAT " %10" G_GUINT64_FORMAT
               "  ok  %s\n", device->id, device->size_bytes,
               restore_check_clusters(check, device->id), name);
        vmstate = vmstate || restore_is_vmstate(device);
    }
    printf("\nEvery header is intact, and every cluster of every disk is there "
           "exactly once.\n"
           "The data has no checksums in a VMA archive: a bit that has flipped "
           "in it goes\n"
           "unseen.\n");
    if (vmstate) {
        printf("The size of vmstate is an estimate, so nobody can say whether "
               "all of it is\n"
               "there.\n");
    }
}

bool restore_verify(const char *path, GError **error)
{
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, error);
    const VmaExtent *extent;
    VmaNext next;

    if (!archive) {
        return false;
    }
    do {
        next = restore_archive_next(archive, &extent, error);
    } while (next == VMA_NEXT_EXTENT);
    if (next == VMA_NEXT_ERROR) {
        return false;
    }
    print_result(archive);
    return cli_flush_stdout(error);
}
