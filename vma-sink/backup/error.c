/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error domain shared by all modules.
 */
#include "backup/error.h"

#include <errno.h>

G_DEFINE_QUARK(backup-error-quark, backup_error)

static void set_error(GError **error, BackupError code, const char *suffix,
                      const char *format, va_list args)
{
    g_autofree char *text = g_strdup_vprintf(format, args);

    g_set_error(error, BACKUP_ERROR, code, "%s%s%s", text,
                suffix ? ": " : "", suffix ? suffix : "");
}

static const char *advice(int errnum)
{
    switch (errnum) {
    case ENOSPC:
        return "free some, or write elsewhere";
    case EDQUOT:
        return "free some space, or have the quota raised";
    case EROFS:
        return "mount it read-write, or write elsewhere";
    case EFBIG:
        return "the file system or a limit, ulimit -f, allows no more";
    case EIO:
        return "the kernel's log, dmesg, may say more";
    default:
        return NULL;
    }
}

char *backup_strerror(int errnum)
{
    const char *more = advice(errnum);

    return more ? g_strdup_printf("%s (%s)", g_strerror(errnum), more)
                : g_strdup(g_strerror(errnum));
}

void backup_error_set_errno(GError **error, int errnum, const char *format,
                            ...)
{
    g_autofree char *reason = backup_strerror(errnum);
    va_list args;

    va_start(args, format);
    set_error(error, BACKUP_ERROR_FAILED, reason, format, args);
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
