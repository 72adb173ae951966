/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints the configuration files that an archive carries.
 */
#include "restore/restore.h"

#include <stdio.h>
#include <unistd.h>

#include "backup/error.h"
#include "backup/file-names.h"
#include "cli/cli.h"
#include "restore/archive.h"

/*
 * Ends of lines and tabs, and what is seen as what it is.  What is no UTF-8 may
 * be control characters of more than 7 bits.
 */
static bool is_text(const char *data, gsize bytes)
{
    for (const char *p = data, *end = data + bytes; p < end; ) {
        gunichar c = g_utf8_get_char_validated(p, end - p);

        if (c == '\r' && end - p > 1 && p[1] == '\n') {
            p++;
            continue;
        }
        if (c == (gunichar)-1 || c == (gunichar)-2 ||
            (c != '\n' && c != '\t' && !backup_char_is_shown(c))) {
            return false;
        }
        p = g_utf8_next_char(p);
    }
    return true;
}

/* A terminal obeys control characters, whoever they come from. */
static bool check_terminal(const BackupConfig *config, GError **error)
{
    gsize bytes;
    const char *data = g_bytes_get_data(config->data, &bytes);

    if (isatty(STDOUT_FILENO) && !is_text(data, bytes)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "refusing to write config '%s' to a terminal: it has "
                    "control characters, or is no UTF-8", config->name);
        return false;
    }
    return true;
}

static bool print_config(const BackupConfig *config, GError **error)
{
    gsize bytes;
    const void *data = g_bytes_get_data(config->data, &bytes);

    if (!check_terminal(config, error)) {
        return false;
    }
    if (bytes > 0) {
        /* A failure is seen when standard output is flushed. */
        (void)fwrite(data, 1, bytes, stdout);
    }
    return true;
}

static bool print_all(const GPtrArray *configs, GError **error)
{
    for (guint i = 0; i < configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(configs, i);
        g_autofree char *name = cli_printable(config->name);

        if (configs->len > 1) {
            printf("%s==> %s <==\n", i > 0 ? "\n" : "", name);
        }
        if (!print_config(config, error)) {
            return false;
        }
    }
    return true;
}

bool restore_config(const char *path, const char *name, GError **error)
{
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, error);
    const BackupInfo *info;
    const BackupConfig *config;
    bool ok;

    if (!archive) {
        return false;
    }
    info = restore_archive_info(archive);
    if (name) {
        config = backup_info_find_config(info, name);
        if (!config) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "the archive has no config '%s'", name);
            return false;
        }
        ok = print_config(config, error);
    } else {
        ok = print_all(info->configs, error);
    }
    return ok && cli_flush_stdout(error);
}
