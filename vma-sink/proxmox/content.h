/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Proxmox's tool prints on standard output of an archive and of how it is
 * read: lines that scripts parse.
 */
#ifndef PROXMOX_CONTENT_H
#define PROXMOX_CONTENT_H

#include <glib.h>
#include <stdbool.h>

#include "backup/info.h"
#include "vma/extent.h"

/* Configs, disks and the time, a line each. */
void proxmox_print_content(const BackupInfo *info);

/* What was read. */
typedef struct ProxmoxCount {
    uint64_t ends[BACKUP_DEVICE_IDS];   /* of the disks, in bytes */
    uint64_t total_clusters;    /* that there are to read */
    int64_t start_us;
    uint64_t clusters;
    uint64_t zero_bytes;        /* that are not stored, none past disks' ends */
    uint64_t partial_bytes;     /* of them, in clusters with stored blocks */
    int percent;                /* that was printed; -1: none */
} ProxmoxCount;

/* SELECTED, by device id, is what will be read; NULL: all. */
void proxmox_count_start(ProxmoxCount *count, const BackupInfo *info,
                         const bool *selected);

/* Prints a line if another percent has been read. */
void proxmox_count_extent(ProxmoxCount *count, const VmaExtent *extent);

/* The last lines. */
void proxmox_count_end(ProxmoxCount *count);

#endif /* PROXMOX_CONTENT_H */
