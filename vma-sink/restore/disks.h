/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which disks are to be restored, and to what: the arguments NAME or
 * NAME=TARGET of --disk, seen against what the archive has.
 */
#ifndef RESTORE_DISKS_H
#define RESTORE_DISKS_H

#include <glib.h>
#include <stdbool.h>

#include "backup/info.h"
#include "restore/restore.h"

typedef enum RestoreForm {
    RESTORE_FORM_FOLDER,        /* a file in the folder; there is no TARGET */
    RESTORE_FORM_FILE,
    RESTORE_FORM_BLOCK,         /* a block device */
    RESTORE_FORM_NBD,           /* a URI */
    RESTORE_FORM_STDOUT,        /* "-" */
} RestoreForm;

typedef struct RestoreDisks {
    bool all;                   /* no disk was named */
    bool configs;               /* these as well */
    bool selected[BACKUP_DEVICE_IDS];
    RestoreForm forms[BACKUP_DEVICE_IDS];
    const char *targets[BACKUP_DEVICE_IDS];     /* borrowed; NULL: FOLDER */
} RestoreDisks;

/*
 * An argument that is a disk's name as a whole is that; otherwise it is split
 * at the first '=' that has a disk's name on its left.  What is in OPTIONS is
 * borrowed.  False, of kind USAGE: there is no such disk, it is named twice, or
 * its target does not go with the others, or with the other options.
 */
bool restore_disks_parse(RestoreDisks *disks, const BackupInfo *info,
                         const RestoreExtract *options, GError **error);

/* The disk of this name.  NULL, of kind USAGE: there is none, or two. */
const BackupDevice *restore_disks_find(const BackupInfo *info,
                                       const char *name, GError **error);

/*
 * Before any target is opened, and with the folder in its place: whether they
 * may be written.  NAMES are the files in the folder, in the order of devices,
 * and where disks->configs of configs.
 * False, of kind USAGE: something would be overwritten without --force, be
 * written twice, or is the archive.
 */
bool restore_disks_check(const RestoreDisks *disks, const BackupInfo *info,
                         const RestoreExtract *options, char *const *names,
                         int archive_fd, GError **error);

/* The same for a disk that goes to standard output. */
bool restore_disks_check_stdout(int archive_fd, GError **error);

/* How many are selected; how many of them are of this form; or in place. */
guint restore_disks_count(const RestoreDisks *disks);
guint restore_disks_count_form(const RestoreDisks *disks, RestoreForm form);
guint restore_disks_count_in_place(const RestoreDisks *disks);

#endif /* RESTORE_DISKS_H */
