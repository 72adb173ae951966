/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive that Proxmox VE lists and restores: what its file is called, and
 * what has to be in its qemu-server.conf.  (The facts are those of Storage.pm in
 * its pve-storage, of VZDump.pm in pve-manager, and of VZDump/QemuServer.pm and
 * QemuServer.pm in qemu-server.)
 */
#ifndef SINK_PROXMOX_H
#define SINK_PROXMOX_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/info.h"

/* A guest's number: 100 to 999999999.  False, of kind USAGE, if TEXT is none. */
bool sink_proxmox_parse_vmid(const char *text, uint64_t *vmid, GError **error);

/*
 * "vzdump-qemu-100-2026_11_23-01_30_00.vma", with the local time of the backup's
 * start; with ".zst" if it is compressed.  To be freed.  tzset() has to be called
 * before files can't be opened any more.  NULL: that time has no such text.
 */
char *sink_proxmox_name(uint64_t vmid, int64_t start_time_s, bool compressed,
                        GError **error);

/*
 * Makes the config of INFO what vzdump would have stored: without snapshots and
 * settings of the old host, and with a line for each disk that says which drive
 * it is.  That is the drive which such a line names already, or the disk's name:
 * scsi0, or drive-scsi0.  Appends to WARNINGS, of char *, what will not be after a
 * restore as somebody may expect.
 *
 * False, of kind USAGE, where Proxmox VE would restore nothing: there is no
 * qemu-server.conf, or a disk that is no drive.
 */
bool sink_proxmox_prepare(BackupInfo *info, GPtrArray *warnings,
                          GError **error);

#endif /* SINK_PROXMOX_H */
