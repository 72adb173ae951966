/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream becomes a folder: a sparse raw image for each disk, and the
 * configuration files, under the names that vma-restore would give them.
 *
 * A new file reads as zeroes, and every cluster comes once, so the blocks of
 * zeroes are left out and nothing else need be known.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "backup/error.h"
#include "backup/file-names.h"
#include "io/commit.h"
#include "io/folder.h"
#include "io/io.h"
#include "io/zero.h"
#include "sink/format.h"

/* A megabyte of data is worth a system call. */
#define ROOM_CLUSTERS 16u

typedef struct RawOutput {
    SinkOutput common;
    IoFolder *folder;
    char *path;
    int fds[BACKUP_DEVICE_IDS]; /* the images; borrowed */
    uint8_t *buffer;            /* ROOM_CLUSTERS; NULL: not begun */
} RawOutput;

/*
 * A folder that looks like one of these: at least one image, and beside the
 * images nothing that could not be a configuration.  An empty
 * folder has nothing to lose.
 */
static bool may_go(const GPtrArray *entries, GError **error)
{
    guint images = 0;

    for (guint i = 0; i < entries->len; i++) {
        const IoFolderEntry *entry = g_ptr_array_index(entries, i);
        const char *name = entry->name;

        if (g_str_has_prefix(name, "disk-") && g_str_has_suffix(name, ".raw")) {
            images++;
        } else if (entry->bytes > BACKUP_CONFIG_MAX_BYTES || *name == '.' ||
                   strstr(name, ".vma") ||
                   g_str_has_suffix(name, IO_TEMP_SUFFIX)) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "it holds '%s', and only a folder of images "
                        "disk-NAME.raw and configurations is replaced", name);
            return false;
        }
    }
    if (entries->len > 0 && images == 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "it holds files and no image disk-NAME.raw");
        return false;
    }
    return true;
}

static SinkOutput *raw_open(const SinkOptions *options, GError **error)
{
    const char *path = options->path;
    IoFolder *folder;
    RawOutput *r;

    if (strcmp(path, "-") == 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the format raw is a folder and can't go to standard "
                    "output");
        return NULL;
    }
    folder = io_folder_new(path, options->overwrite ? may_go : NULL, error);
    if (!folder) {
        return NULL;
    }
    r = g_new0(RawOutput, 1);
    r->common.format = &sink_format_raw;
    r->folder = folder;
    r->path = g_strdup(path);
    return &r->common;
}

/*
 * The files are made in the temporary folder, which changes names with one that
 * is replaced; that one is emptied and removed.
 */
static void raw_confine(const SinkOutput *output, Confine *confine)
{
    const RawOutput *r = (const RawOutput *)output;

    confine_may_change(confine, io_folder_temp(r->folder));
    confine_may_rename_folder(confine, r->path);
    if (io_folder_replaces(r->folder)) {
        confine_may_remove(confine, r->path);
        /* Somebody may have put a file or a link in its place by then. */
        confine_may_rename(confine, r->path);
    }
}

/* Of all that the backup has: devices, then configs. */
static GPtrArray *file_names(const BackupInfo *info)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        g_ptr_array_add(names, backup_disk_file(device->name));
    }
    for (guint i = 0; i < info->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(info->configs, i);

        g_ptr_array_add(names, backup_config_file(config->name));
    }
    return names;
}

static bool create_image(RawOutput *r, const BackupDevice *device,
                         const char *name, GError **error)
{
    int fd = io_folder_add(r->folder, name, error);

    if (fd < 0) {
        return false;
    }
    if (ftruncate(fd, device->size_bytes) < 0) {
        backup_error_set_errno(error, errno, "cannot give '%s/%s' its size of %"
                               G_GUINT64_FORMAT " bytes", r->path, name,
                               device->size_bytes);
        return false;
    }
    r->fds[device->id] = fd;
    return true;
}

static bool create_config(RawOutput *r, const BackupConfig *config,
                          const char *name, GError **error)
{
    int fd = io_folder_add(r->folder, name, error);
    gsize bytes;
    const void *data = g_bytes_get_data(config->data, &bytes);

    if (fd < 0) {
        return false;
    }
    if (!io_write(fd, data, bytes, error)) {
        g_prefix_error(error, "cannot write '%s/%s': ", r->path, name);
        return false;
    }
    r->common.stored_bytes += bytes;
    return true;
}

static bool raw_begin(SinkOutput *output, const BackupInfo *info,
                      GError **error)
{
    RawOutput *r = (RawOutput *)output;
    g_autoptr(GPtrArray) names = file_names(info);
    char **list = (char **)names->pdata;
    const char *twice = backup_file_used_twice(list, names->len);

    if (twice) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "two parts of the backup would both be the file '%s'",
                    twice);
        return false;
    }
    for (guint i = 0; i < info->devices->len; i++) {
        if (!create_image(r, g_ptr_array_index(info->devices, i), *list++,
                          error)) {
            return false;
        }
    }
    for (guint i = 0; i < info->configs->len; i++) {
        if (!create_config(r, g_ptr_array_index(info->configs, i), *list++,
                           error)) {
            return false;
        }
    }
    r->buffer = g_malloc(ROOM_CLUSTERS * BACKUP_CLUSTER_BYTES);
    return true;
}

static uint8_t *raw_room(SinkOutput *output, unsigned *clusters,
                         GError **error)
{
    (void)error;
    *clusters = ROOM_CLUSTERS;
    return ((RawOutput *)output)->buffer;
}

/* The end of the stretch of blocks, of BYTES bytes, that are as the first. */
static size_t find_end(const uint8_t *data, size_t bytes, bool *zero)
{
    size_t end = MIN(BACKUP_BLOCK_BYTES, bytes);

    *zero = io_is_zero(data, end);
    while (end < bytes) {
        size_t block = MIN(BACKUP_BLOCK_BYTES, bytes - end);

        if (io_is_zero(data + end, block) != *zero) {
            break;
        }
        end += block;
    }
    return end;
}

static bool raw_add_data(SinkOutput *output, const BackupDevice *device,
                         uint64_t number, unsigned count, GError **error)
{
    RawOutput *r = (RawOutput *)output;
    uint64_t offset = number * BACKUP_CLUSTER_BYTES;
    size_t bytes = backup_run_bytes(device->size_bytes, number, count);
    size_t end;

    for (size_t start = 0; start < bytes; start = end) {
        bool zero;

        end = start + find_end(r->buffer + start, bytes - start, &zero);
        if (zero) {
            r->common.zero_bytes += end - start;
            continue;
        }
        if (!io_pwrite(r->fds[device->id], r->buffer + start, end - start,
                       offset + start, error)) {
            g_prefix_error(error, "cannot write disk '%s' to '%s': ",
                           device->name, r->path);
            return false;
        }
        r->common.stored_bytes += end - start;
    }
    return true;
}

static bool raw_add_zero(SinkOutput *output, const BackupDevice *device,
                         uint64_t number, uint64_t count, GError **error)
{
    (void)error;
    output->zero_bytes += backup_run_bytes(device->size_bytes, number, count);
    return true;
}

static bool raw_finish(SinkOutput *output, GError **error)
{
    RawOutput *r = (RawOutput *)output;

    if (!io_folder_finish(r->folder, error)) {
        return false;
    }
    r->common.leftover = io_folder_leftover(r->folder);
    return true;
}

static void raw_free(SinkOutput *output)
{
    RawOutput *r = (RawOutput *)output;

    io_folder_free(r->folder);
    g_free(r->path);
    g_free(r->buffer);
    g_free(r);
}

const SinkFormat sink_format_raw = {
    .name = "raw",
    .open = raw_open,
    .confine = raw_confine,
    .begin = raw_begin,
    .room = raw_room,
    .add_data = raw_add_data,
    .add_zero = raw_add_zero,
    .finish = raw_finish,
    .free = raw_free,
};
