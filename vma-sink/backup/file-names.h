/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that a backup brings along into names of files, so that whatever the
 * backup says a file stays within the folder it is put into.
 */
#ifndef BACKUP_FILE_NAMES_H
#define BACKUP_FILE_NAMES_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Whether a character of UTF-8 is one to be seen, or a space.  It is not if it is
 * a control or a format character, which may turn the order of others round, ends
 * a line or a paragraph, or is none yet.
 */
bool backup_char_is_shown(gunichar c);

/*
 * "disk-NAME.raw" for a disk, NAME for a config: as Proxmox's tool names them.
 * '/', '%', what backup_char_is_shown() refuses, a '.' in front, and bytes that
 * are no UTF-8 become %XX, so different names stay different.  What is too long
 * for a file is cut and gets a hash.  To be freed.
 */
char *backup_disk_file(const char *name);
char *backup_config_file(const char *name);

/* The first of COUNT names that is there twice; NULL if none is. */
const char *backup_file_used_twice(char *const *names, size_t count);

/*
 * For names of others that are to become arguments: up to 128 bytes of A-Z a-z
 * 0-9 . _ + -, of which the first is a letter or a digit.  So it is no path and no
 * option.  An archive's ends in .vma or .vma.zst besides.
 */
bool backup_name_is_plain(const char *name);
bool backup_archive_name_is_plain(const char *name);

#endif /* BACKUP_FILE_NAMES_H */
