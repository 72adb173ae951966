/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints the configuration files that an archive carries.
 */
#include "restore/restore.h"

#include <stdio.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "restore/archive.h"

/* A terminal obeys control characters, whoever they come from. */
static bool check_terminal(const BackupConfig *config, GError **error)
{
    gsize bytes;
    const char *data = g_bytes_get_data(config->data, &bytes);

    for (gsize i = 0; isatty(STDOUT_FILENO) && i < bytes; i++) {
        if (g_ascii_iscntrl(data[i]) && !g_ascii_isspace(data[i])) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "refusing to write config '%s' to a terminal: it has "
                        "control characters", config->name);
            return false;
        }
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
