/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints what an archive's header tells.
 */
#include "restore/restore.h"

#include <stdio.h>

#include "cli/cli.h"
#include "restore/archive.h"

/* An archive may claim any time, also one that no calendar has. */
static void print_time(int64_t seconds)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(seconds);
    g_autoptr(GDateTime) local = utc ? g_date_time_to_local(utc) : NULL;
    g_autofree char *utc_text = NULL;
    g_autofree char *local_text = NULL;

    if (!local) {
        printf("created  %" G_GINT64_FORMAT " seconds after 1970-01-01\n",
               seconds);
        return;
    }
    utc_text = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%SZ");
    local_text = g_date_time_format(local, "%Y-%m-%dT%H:%M:%S%:z");
    printf("created  %s (%s)\n", local_text, utc_text);
}

static void print_configs(const GPtrArray *configs)
{
    if (configs->len == 0) {
        printf("\nno configs\n");
        return;
    }
    printf("\n%10s  config\n", "bytes");
    for (guint i = 0; i < configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(configs, i);
        g_autofree char *name = cli_printable(config->name);

        printf("%10zu  %s\n", g_bytes_get_size(config->data), name);
    }
}

static void print_devices(const GPtrArray *devices)
{
    if (devices->len == 0) {
        printf("\nno devices\n");
        return;
    }
    printf("\n%3s %15s %11s  device\n", "id", "bytes", "size");
    for (guint i = 0; i < devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(devices, i);
        g_autofree char *name = cli_printable(device->name);
        g_autofree char *size = cli_format_size(device->size_bytes);

        printf("%3u %15" G_GUINT64_FORMAT " %11s  %s\n", device->id,
               device->size_bytes, size, name);
    }
}

static const char *digest_text(VmaDigestKind kind)
{
    switch (kind) {
    case VMA_DIGEST_XXH3:
        return "XXH3, and an end mark";
    case VMA_DIGEST_UNKNOWN:
        return "of a kind that this program does not know";
    case VMA_DIGEST_NONE:
        break;
    }
    return "none";
}

bool restore_list(const char *path, GError **error)
{
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, error);
    const BackupInfo *info;
    char uuid[UUID_STR_LEN];

    if (!archive) {
        return false;
    }
    info = restore_archive_info(archive);
    uuid_unparse_lower(info->uuid, uuid);
    printf("uuid     %s\n", uuid);
    print_time(info->start_time_s);
    printf("digests  %s\n", digest_text(restore_archive_digest_kind(archive)));
    print_configs(info->configs);
    print_devices(info->devices);
    return cli_flush_stdout(error);
}
