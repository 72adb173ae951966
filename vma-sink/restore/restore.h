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

/*
 * Reads and checks the whole archive, past whatever is damaged, and prints what
 * was found, what of which disk is lost, and how far the check goes.  False if
 * anything was found.
 */
bool restore_verify(const char *archive, GError **error);

/*
 * Restores the disks named in DISKS (ends in NULL), or all disks and configs
 * where DISKS is NULL, into FOLDER, which is created if it is missing.  Every
 * file gets its name only after the whole archive was read and found good; when
 * this fails there is none, nor the folder if it was created here.  OVERWRITE
 * permits files to be replaced.
 *
 * With SALVAGE a damaged archive gives what is whole; what is lost is zeroes in
 * the files, is listed on standard error, and makes this return false.
 */
typedef struct RestoreExtract {
    const char *archive;
    const char *folder;
    const char *const *disks;
    bool overwrite;
    bool salvage;
} RestoreExtract;

bool restore_extract(const RestoreExtract *options, GError **error);

#endif /* RESTORE_RESTORE_H */
