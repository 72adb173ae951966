/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the disks a damaged archive does not have.
 */
#include "restore/lost.h"

#include "cli/cli.h"

static void print_device(const RestoreCheck *check, const BackupDevice *device,
                         FILE *file)
{
    g_autofree char *name = cli_printable(device->name);
    uint64_t next = 0, first, count;

    while (restore_check_next_missing(check, device->id, next, &first,
                                      &count)) {
        uint64_t start = first * BACKUP_CLUSTER_BYTES;
        uint64_t bytes = restore_run_bytes(device, first, count);

        fprintf(file, "lost: disk '%s', bytes %" G_GUINT64_FORMAT " to %"
                G_GUINT64_FORMAT " (%" G_GUINT64_FORMAT " clusters)\n", name,
                start, start + bytes - 1, count);
        next = first + count;
    }
}

void restore_print_lost(const RestoreArchive *archive, const bool *selected,
                        FILE *file)
{
    const BackupInfo *info = restore_archive_info(archive);

    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        if (!selected || selected[device->id]) {
            print_device(restore_archive_check(archive), device, file);
        }
    }
}
