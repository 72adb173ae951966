/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error domain shared by all modules.
 */
#include "backup/error.h"

G_DEFINE_QUARK(backup-error-quark, backup_error)

static void set_error(GError **error, BackupError code, const char *suffix,
                      const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);

    g_set_error(error, BACKUP_ERROR, code, "%s%s%s", text,
                suffix ? ": " : "", suffix ? suffix : "");
}

void backup_error_set_errno(GError **error, int errnum, const char *format,
                            ...)
{
    va_list args;

    va_start(args, format);
    set_error(error, BACKUP_ERROR_FAILED, g_strerror(errnum), format, args);
    va_end(args);
}

void backup_error_set_damaged(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error(error, BACKUP_ERROR_DAMAGED, NULL, format, args);
    va_end(args);
}

void backup_error_set_incomplete(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error(error, BACKUP_ERROR_INCOMPLETE, NULL, format, args);
    va_end(args);
}
