/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of vma-restore.  ARCHIVE is a path, or "-" for standard input;
 * results go to standard output, which is flushed when they return true.
 */
#ifndef RESTORE_RESTORE_H
#define RESTORE_RESTORE_H

#include <glib.h>
#include <stdbool.h>

/* Prints what the archive's header tells; reads nothing behind it. */
bool restore_list(const char *archive, GError **error);

/*
 * Prints the config NAME, or where NAME is NULL all of them: a single one as it
 * is, several with a line "==> NAME <==" before each.  Reads the header only.
 */
bool restore_config(const char *archive, const char *name, GError **error);

/* Reads and checks the whole archive and prints what was checked. */
bool restore_verify(const char *archive, GError **error);

/*
 * Restores the disks named in DISKS (ends in NULL), or all disks and configs
 * where DISKS is NULL, into FOLDER, which is created if it is missing.  Every
 * file gets its name only after the whole archive was read and found good; when
 * this fails there is none, nor the folder if it was created here.  OVERWRITE
 * permits files to be replaced.
 */
bool restore_extract(const char *archive, const char *folder,
                     const char *const *disks, bool overwrite, GError **error);

#endif /* RESTORE_RESTORE_H */
