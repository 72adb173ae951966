/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The description of a backup: a plain container with the rules for names.
 */
#include "backup/info.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backup/error.h"

#define NAME_MAX_BYTES 255
#define CONFIGS_MAX 256

static void device_free(gpointer data)
{
    BackupDevice *device = data;

    g_free(device->name);
    g_free(device);
}

static void config_free(gpointer data)
{
    BackupConfig *config = data;

    g_free(config->name);
    g_bytes_unref(config->data);
    g_free(config);
}

BackupInfo *backup_info_new(void)
{
    BackupInfo *info = g_new0(BackupInfo, 1);

    info->devices = g_ptr_array_new_with_free_func(device_free);
    info->configs = g_ptr_array_new_with_free_func(config_free);
    return info;
}

void backup_info_free(BackupInfo *info)
{
    if (info) {
        g_ptr_array_unref(info->devices);
        g_ptr_array_unref(info->configs);
        g_free(info);
    }
}

static void share_config(BackupInfo *info, const BackupConfig *config)
{
    BackupConfig *added = g_new0(BackupConfig, 1);

    added->name = g_strdup(config->name);
    added->data = g_bytes_ref(config->data);
    g_ptr_array_add(info->configs, added);
}

BackupInfo *backup_info_copy(const BackupInfo *info)
{
    BackupInfo *copy = backup_info_new();

    uuid_copy(copy->uuid, info->uuid);
    copy->start_time_s = info->start_time_s;
    copy->start_time_ns = info->start_time_ns;
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        backup_info_add_device(copy, device->id, device->name,
                               device->size_bytes);
    }
    for (guint i = 0; i < info->configs->len; i++) {
        share_config(copy, g_ptr_array_index(info->configs, i));
    }
    return copy;
}

BackupDevice *backup_info_add_device(BackupInfo *info, uint8_t id,
                                     const char *name, uint64_t size_bytes)
{
    BackupDevice *device = g_new0(BackupDevice, 1);

    device->id = id;
    device->size_bytes = size_bytes;
    device->name = g_strdup(name);
    g_ptr_array_add(info->devices, device);
    return device;
}

BackupConfig *backup_info_add_config(BackupInfo *info, const char *name,
                                     const void *data, size_t bytes)
{
    BackupConfig *config = g_new0(BackupConfig, 1);

    config->name = g_strdup(name);
    config->data = g_bytes_new(data, bytes);
    g_ptr_array_add(info->configs, config);
    return config;
}

uint64_t backup_info_bytes(const BackupInfo *info)
{
    uint64_t bytes = 0;

    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        bytes += device->size_bytes;
    }
    return bytes;
}

BackupDevice *backup_info_find_device(const BackupInfo *info, const char *name)
{
    for (guint i = 0; i < info->devices->len; i++) {
        BackupDevice *device = g_ptr_array_index(info->devices, i);

        if (strcmp(device->name, name) == 0) {
            return device;
        }
    }
    return NULL;
}

BackupConfig *backup_info_find_config(const BackupInfo *info, const char *name)
{
    for (guint i = 0; i < info->configs->len; i++) {
        BackupConfig *config = g_ptr_array_index(info->configs, i);

        if (strcmp(config->name, name) == 0) {
            return config;
        }
    }
    return NULL;
}

bool backup_text_is_valid(const char *text, size_t bytes)
{
    if (!g_utf8_validate_len(text, bytes, NULL)) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

bool backup_name_is_valid(const char *name, size_t bytes)
{
    return bytes >= 1 && bytes <= NAME_MAX_BYTES &&
           backup_text_is_valid(name, bytes);
}

/* Whether there is room for one more config, of this name. */
static bool check_config_room(const BackupInfo *info, const char *name,
                              GError **error)
{
    if (backup_info_find_config(info, name)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "cannot add config '%s': the name is taken", name);
        return false;
    }
    if (info->configs->len >= CONFIGS_MAX) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "cannot add config '%s': there are %d already", name,
                    CONFIGS_MAX);
        return false;
    }
    return true;
}

bool backup_info_take_configs(BackupInfo *info, const BackupInfo *other,
                              GError **error)
{
    for (guint i = 0; i < other->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(other->configs, i);

        if (!check_config_room(info, config->name, error)) {
            return false;
        }
        share_config(info, config);
    }
    return true;
}

/* At most BYTES bytes of a file, which may be a disk by mistake. */
static bool read_start(const char *path, char *data, size_t *bytes,
                       GError **error)
{
    FILE *file = fopen(path, "re");
    bool ok = file != NULL;

    if (ok) {
        *bytes = fread(data, 1, *bytes, file);
        ok = !ferror(file);
    }
    if (!ok) {
        backup_error_set_errno(error, errno, "cannot read config '%s'", path);
    }
    if (file) {
        fclose(file);
    }
    return ok;
}

/* The name is good and free. */
static bool add_config_file(BackupInfo *info, const char *path,
                            const char *name, GError **error)
{
    size_t bytes = BACKUP_CONFIG_MAX_BYTES + 1;
    g_autofree char *data = g_malloc(bytes);

    if (!read_start(path, data, &bytes, error)) {
        return false;
    }
    if (bytes > BACKUP_CONFIG_MAX_BYTES) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot add config '%s': it has more than %u bytes",
                    path, BACKUP_CONFIG_MAX_BYTES);
        return false;
    }
    backup_info_add_config(info, name, data, bytes);
    return true;
}

bool backup_info_load_config(BackupInfo *info, const char *path,
                             const char *name, GError **error)
{
    g_autofree char *base = g_path_get_basename(path);

    name = name ? name : base;
    if (!backup_name_is_valid(name, strlen(name))) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "cannot add config '%s': the name must be 1 to %d bytes "
                    "of UTF-8 without control characters",
                    name, NAME_MAX_BYTES);
        return false;
    }
    return check_config_room(info, name, error) &&
           add_config_file(info, path, name, error);
}
