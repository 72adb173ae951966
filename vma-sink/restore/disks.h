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

typedef enum RestoreForm {
    RESTORE_FORM_FOLDER,        /* a file in the folder; there is no TARGET */
    RESTORE_FORM_FILE,
    RESTORE_FORM_BLOCK,         /* a block device */
    RESTORE_FORM_NBD,           /* a URI */
    RESTORE_FORM_STDOUT,        /* "-" */
} RestoreForm;

typedef struct RestoreDisks {
    bool all;                   /* no disk was named: configs as well */
    bool selected[BACKUP_DEVICE_IDS];
    RestoreForm forms[BACKUP_DEVICE_IDS];
    const char *targets[BACKUP_DEVICE_IDS];     /* borrowed; NULL: FOLDER */
} RestoreDisks;

/*
 * ARGUMENTS ends in NULL, is borrowed, and may be NULL: all disks to the
 * folder.  An argument that is a disk's name as a whole is that; otherwise it
 * is split at the first '=' that has a disk's name on its left.  False, of kind
 * USAGE: there is no such disk, or it was named before.
 */
bool restore_disks_parse(RestoreDisks *disks, const BackupInfo *info,
                         const char *const *arguments, GError **error);

/* How many are selected; how many of them are of this form. */
guint restore_disks_count(const RestoreDisks *disks);
guint restore_disks_count_form(const RestoreDisks *disks, RestoreForm form);

/*
 * What tells a file, a block device or a URI from others, by whatever path it
 * is named, and whether it exists or not.  To be freed.
 */
char *restore_identity(const char *target);
char *restore_identity_fd(int fd);

#endif /* RESTORE_DISKS_H */
