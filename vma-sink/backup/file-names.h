/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that a backup brings along into names of files, so that whatever the
 * backup says a file stays within the folder it is put into.
 */
#ifndef BACKUP_FILE_NAMES_H
#define BACKUP_FILE_NAMES_H

#include <stddef.h>

/*
 * "disk-NAME.raw" for a disk, NAME for a config: as Proxmox's tool names them.
 * '/', '%', control characters, a '.' in front, and bytes that are no UTF-8
 * become %XX, so different names stay different.  What is too long for a file
 * is cut and gets a hash.  To be freed.
 */
char *backup_disk_file(const char *name);
char *backup_config_file(const char *name);

/* The first of COUNT names that is there twice; NULL if none is. */
const char *backup_file_used_twice(char *const *names, size_t count);

#endif /* BACKUP_FILE_NAMES_H */
