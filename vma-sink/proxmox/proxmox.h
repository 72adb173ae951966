/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of Proxmox's tool "vma" that write.  Results and progress go to
 * standard output, as scripts expect them; messages to standard error.
 */
#ifndef PROXMOX_PROXMOX_H
#define PROXMOX_PROXMOX_H

#include <glib.h>
#include <stdbool.h>

typedef struct ProxmoxExtract {
    const char *archive;        /* "-": standard input */
    const char *folder;         /* must not exist */
    const char *disks;          /* separated by commas; NULL: all */
    const char *map;            /* the file with the map; NULL: none */
    bool verbose;
} ProxmoxExtract;

/*
 * Restores configs and disks to the folder, or disks to the targets that the
 * map names: in place, as they are, by a qemu-nbd where they are no block device
 * with a raw image.
 */
bool proxmox_extract(const ProxmoxExtract *options, GError **error);

typedef struct ProxmoxCreate {
    const char *archive;        /* a file, a named pipe, or exec:COMMAND */
    char **configs;             /* files; end in NULL */
    char **disks;               /* [format=FORMAT:][NAME=]PATH; end in NULL */
    bool verbose;
} ProxmoxCreate;

/* Runs vma-dump and vma-sink, which are beside this program or in PATH. */
bool proxmox_create(const ProxmoxCreate *options, GError **error);

#endif /* PROXMOX_PROXMOX_H */
