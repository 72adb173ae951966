/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that an archive brings along into names of files, so that whatever the
 * archive says a file stays within the folder it is restored to.
 */
#ifndef RESTORE_NAMES_H
#define RESTORE_NAMES_H

#include <glib.h>
#include <stdbool.h>

#include "backup/info.h"

/*
 * "disk-NAME.raw" for a disk, "vmstate.bin" for the guest's memory, NAME for a
 * config: as Proxmox's tool names them.  '/', '%', control characters, a '.' in
 * front, and bytes that are no UTF-8 become %XX, so different names stay
 * different.  What is too long for a file is cut and gets a hash.  To be freed.
 */
char *restore_device_file(const BackupDevice *device);
char *restore_config_file(const BackupConfig *config);

/* False, of kind USAGE, if two of the COUNT names are the same. */
bool restore_check_files(char *const *names, size_t count, GError **error);

#endif /* RESTORE_NAMES_H */
