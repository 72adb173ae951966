/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map of targets that "vma extract -r" reads from a pipe once it has said
 * what is in the archive: a line for each disk, and "done".
 *
 *   [format=FORMAT:][throttling.bps=N:][throttling.group=G:][cache=MODE:]Z:NAME=PATH
 *   skip=NAME
 *
 * Z is 0 where the target reads as zeroes already, else 1.
 */
#ifndef PROXMOX_MAP_H
#define PROXMOX_MAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ProxmoxTarget {
    char *disk;
    bool skip;                  /* then nothing of the rest is set */
    char *path;
    char *format;               /* NULL: not given */
    char *cache;                /* NULL: not given */
    uint64_t rate;              /* bytes per second; 0: any */
    bool zeroed;
} ProxmoxTarget;

void proxmox_target_free(ProxmoxTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProxmoxTarget, proxmox_target_free)

/* NULL, of kind USAGE: LINE is none. */
ProxmoxTarget *proxmox_target_parse(const char *line, GError **error);

/* Of ProxmoxTarget, by disk.  Waits for whoever writes to PATH. */
GHashTable *proxmox_map_read(const char *path, GError **error);

#endif /* PROXMOX_MAP_H */
