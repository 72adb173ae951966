/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How it went, told once at the end.
 */
#include "sink/result.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"

static uint64_t rate(const SinkResult *result)
{
    return backup_info_bytes(result->info) / MAX(result->seconds, 1e-6);
}

char *sink_result_text(const SinkResult *result)
{
    guint disks = result->info->devices->len;
    uint64_t bytes = backup_info_bytes(result->info);
    g_autofree char *path = strcmp(result->path, "-") == 0
                            ? g_strdup("standard output")
                            : cli_printable(result->path);
    g_autofree char *total = cli_format_size(bytes);
    g_autofree char *stored = cli_format_size(result->stored_bytes);
    g_autofree char *pace = cli_format_size(rate(result));

    return g_strdup_printf("%s: %u disk%s, %s (%.0f%% zero), stored in %s, "
                           "%.1f s, %s/s", path, disks, disks == 1 ? "" : "s",
                           total,
                           bytes ? 100.0 * result->zero_bytes / bytes : 0.0,
                           stored, result->seconds, pace);
}

static JsonArray *disks_array(const BackupInfo *info)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        JsonObject *disk = json_object_new();

        cli_json_set_text(disk, "name", device->name);
        json_object_set_int_member(disk, "bytes", device->size_bytes);
        json_array_add_object_element(array, disk);
    }
    return array;
}

static void add_info(JsonObject *object, const BackupInfo *info)
{
    char uuid[UUID_STR_LEN];

    uuid_unparse_lower(info->uuid, uuid);
    cli_json_set_text(object, "uuid", uuid);
    json_object_set_array_member(object, "disks", disks_array(info));
    json_object_set_int_member(object, "bytes", backup_info_bytes(info));
}

char *sink_result_json(const SinkResult *result, const GError *error)
{
    g_autoptr(JsonObject) object = json_object_new();

    cli_json_set_text(object, "result", error ? "failed" : "done");
    json_object_set_int_member(object, "exit-code",
                               error ? cli_exit_code(error) : 0);
    if (error) {
        cli_json_set_text(object, "error", error->message);
    }
    if (result->path) {
        cli_json_set_text(object, "output", result->path);
    }
    if (result->format) {
        cli_json_set_text(object, "format", result->format->name);
    }
    if (result->info) {
        add_info(object, result->info);
    }
    if (!error) {
        json_object_set_int_member(object, "zero-bytes", result->zero_bytes);
        json_object_set_int_member(object, "stored-bytes",
                                   result->stored_bytes);
        cli_json_set_seconds(object, "seconds", result->seconds);
        json_object_set_int_member(object, "rate", rate(result));
    }
    return cli_json_line(object);
}
