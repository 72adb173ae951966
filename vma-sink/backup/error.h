/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kinds of failure that a user or a script tells apart.  Every module
 * sets a GError of this domain; the kind becomes the program's exit code.
 *
 * Messages are lower case, failure first, subject quoted, place given, without
 * a full stop: cannot decode extent at offset 12288: checksum mismatch
 */
#ifndef BACKUP_ERROR_H
#define BACKUP_ERROR_H

#include <glib.h>

#define BACKUP_ERROR (backup_error_quark())

typedef enum BackupError {
    /* The values are the programs' exit codes. */
    BACKUP_ERROR_FAILED = 1,        /* I/O error, no space, peer failed */
    BACKUP_ERROR_USAGE = 2,         /* the command line makes no sense */
    BACKUP_ERROR_DAMAGED = 3,       /* the input violates its format */
    BACKUP_ERROR_INCOMPLETE = 4,    /* the input ended early or was aborted */
    BACKUP_ERROR_UNKNOWN = 5,       /* whether what was sent is stored [A5] */
} BackupError;

GQuark backup_error_quark(void);

/* "No space left on device (free some, or write elsewhere)"; to be freed. */
char *backup_strerror(int errnum);

/* Sets *error from a message and errno value: "MESSAGE: No space left". */
void backup_error_set_errno(GError **error, int errnum, const char *format,
                            ...) G_GNUC_PRINTF(3, 4);

/* Shorthands for the two kinds of bad input. */
void backup_error_set_damaged(GError **error, const char *format, ...)
    G_GNUC_PRINTF(2, 3);
void backup_error_set_incomplete(GError **error, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

#endif /* BACKUP_ERROR_H */
