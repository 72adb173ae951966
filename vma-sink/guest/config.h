/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lines of a qemu-server.conf, the configuration of a guest of Proxmox VE.
 * What follows a line "[NAME]" is a snapshot, or what is to be changed at the next
 * start, and no part of the guest as it is.
 */
#ifndef GUEST_CONFIG_H
#define GUEST_CONFIG_H

#include <glib.h>

#include "guest/notes.h"
#include "guest/settings.h"

/* What it is called in an archive. */
#define GUEST_CONFIG_NAME "qemu-server.conf"

typedef struct GuestConfig {
    GuestSettings *settings;
    GHashTable *disks;          /* of "scsi0" the disk's name in the archive */
} GuestConfig;

/*
 * NULL, of kind DAMAGED, if DATA is no text.  A line that is none of a
 * configuration is noted, as are sections.
 */
GuestConfig *guest_config_parse(GBytes *data, GuestNotes *notes,
                                GError **error);
void guest_config_free(GuestConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestConfig, guest_config_free)

/*
 * Of "#qmdump#map:KEY:DISK:STORAGE:FORMAT:" KEY and DISK, to be freed.  False if
 * LINE is none of these.
 */
bool guest_config_parse_map(const char *line, char **key, char **disk);

/* Whether a line begins a section, and where it is: "[NAME]". */
bool guest_config_is_section(const char *line);

/*
 * KEY and VALUE of "KEY: VALUE", to be freed, without blanks at either end.
 * False if it is none.
 */
bool guest_config_parse_line(const char *line, char **key, char **value);

/* Whether KEY is of a disk that there can be: scsi0, virtio15, efidisk0 ... */
bool guest_config_is_disk_key(const char *key);

#endif /* GUEST_CONFIG_H */
