/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restores disks and configs to files.  The devices that are not wanted are
 * read and checked like the others.
 */
#include "restore/restore.h"

#include <stdio.h>
#include <string.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "restore/archive.h"
#include "restore/files.h"
#include "restore/lost.h"
#include "restore/names.h"
#include "restore/target.h"

typedef struct Extract {
    RestoreArchive *archive;
    const BackupInfo *info;                 /* of the archive */
    RestoreFiles *files;
    bool selected[BACKUP_DEVICE_IDS];
    bool configs;                           /* restored as well */
    RestoreTarget *targets[BACKUP_DEVICE_IDS];
} Extract;

static void extract_free(Extract *x)
{
    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        restore_target_free(x->targets[id]);
    }
    restore_files_free(x->files);
    restore_archive_free(x->archive);
    g_free(x);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Extract, extract_free)

/* A name that several devices have stands for all of them. */
static bool select_device(Extract *x, const char *name, GError **error)
{
    bool found = false;

    for (guint i = 0; i < x->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(x->info->devices, i);

        if (!name || strcmp(device->name, name) == 0) {
            x->selected[device->id] = true;
            found = true;
        }
    }
    if (name && !found) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the archive has no disk '%s'", name);
        return false;
    }
    return true;
}

static bool select_devices(Extract *x, const char *const *disks,
                           GError **error)
{
    x->configs = !disks;
    if (!disks) {
        return select_device(x, NULL, error);
    }
    for (; *disks; disks++) {
        if (!select_device(x, *disks, error)) {
            return false;
        }
    }
    return true;
}

/* The file names of all that is selected: devices, then configs. */
static GPtrArray *file_names(const Extract *x)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < x->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(x->info->devices, i);

        if (x->selected[device->id]) {
            g_ptr_array_add(names, restore_device_file(device));
        }
    }
    for (guint i = 0; x->configs && i < x->info->configs->len; i++) {
        g_ptr_array_add(names, restore_config_file(
            g_ptr_array_index(x->info->configs, i)));
    }
    return names;
}

static bool create_targets(Extract *x, char *const *names, GError **error)
{
    for (guint i = 0; i < x->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(x->info->devices, i);
        RestoreTarget **target = &x->targets[device->id];
        IoOutput *output;

        if (!x->selected[device->id]) {
            continue;
        }
        output = restore_files_add(x->files, *names++, error);
        if (!output) {
            return false;
        }
        *target = restore_target_new(output, restore_is_vmstate(device)
                                             ? RESTORE_SIZE_UNKNOWN
                                             : device->size_bytes, error);
        if (!*target) {
            return false;
        }
    }
    return true;
}

static bool write_configs(Extract *x, char *const *names, GError **error)
{
    for (guint i = 0; x->configs && i < x->info->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(x->info->configs, i);
        IoOutput *output = restore_files_add(x->files, names[i], error);
        gsize bytes;
        const void *data = g_bytes_get_data(config->data, &bytes);

        if (!output || !io_output_write(output, data, bytes, error)) {
            return false;
        }
    }
    return true;
}

static guint count_disks(const Extract *x)
{
    guint count = 0;

    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        count += x->selected[id];
    }
    return count;
}

static bool create_files(Extract *x, const char *folder, bool overwrite,
                         GError **error)
{
    g_autoptr(GPtrArray) names = file_names(x);
    char *const *list = (char *const *)names->pdata;

    if (!restore_check_files(list, names->len, error)) {
        return false;
    }
    x->files = restore_files_new(folder, overwrite, error);
    return x->files && create_targets(x, list, error) &&
           write_configs(x, list + count_disks(x), error);
}

/* Blocks are valid as long as their extent is, so each one ends in a flush. */
static bool write_extent(Extract *x, const VmaExtent *extent, GError **error)
{
    bool ok = true;

    for (unsigned i = 0; ok && i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];
        RestoreTarget *target = x->targets[cluster->device_id];

        ok = !target ||
             restore_target_add(target, cluster,
                                restore_archive_blocks(x->archive, cluster),
                                error);
    }
    for (unsigned id = 0; ok && id < BACKUP_DEVICE_IDS; id++) {
        ok = !x->targets[id] || restore_target_flush(x->targets[id], error);
    }
    return ok;
}

static bool write_disks(Extract *x, GError **error)
{
    const VmaExtent *extent;
    VmaNext next;

    do {
        next = restore_archive_next(x->archive, &extent, error);
        if (next == VMA_NEXT_EXTENT && !write_extent(x, extent, error)) {
            next = VMA_NEXT_ERROR;
        }
    } while (next == VMA_NEXT_EXTENT);
    return next == VMA_NEXT_END;
}

static void print_summary(const Extract *x, const char *folder, int64_t start)
{
    double seconds = (g_get_monotonic_time() - start) / 1e6;
    g_autofree char *printable = cli_printable(folder);
    g_autofree char *size = NULL;
    guint disks = count_disks(x);
    uint64_t bytes = 0;
    uint64_t zero = 0;

    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        const RestoreTarget *target = x->targets[id];

        if (target) {
            bytes += restore_target_bytes(target);
            zero += restore_target_bytes(target) -
                    restore_target_stored_bytes(target);
        }
    }
    size = cli_format_size(bytes);
    fprintf(stderr, "%s: %u disk%s, %s (%.0f%% zero), %.1f s\n", printable,
            disks, disks == 1 ? "" : "s", size,
            bytes ? 100.0 * zero / bytes : 0.0, seconds);
}

static void print_finding(const char *finding, void *opaque)
{
    g_autofree char *printable = cli_printable(finding);

    (void)opaque;
    fprintf(stderr, "damage: %s\n", printable);
}

/* Reads, checks and writes everything, though nothing under its name yet. */
static bool restore_all(Extract *x, const RestoreExtract *options,
                        GError **error)
{
    x->archive = restore_archive_new_damaged(
        options->archive, options->salvage ? print_finding : NULL, NULL, error);
    if (!x->archive) {
        return false;
    }
    x->info = restore_archive_info(x->archive);
    return select_devices(x, options->disks, error) &&
           create_files(x, options->folder, options->overwrite, error) &&
           write_disks(x, error);
}

bool restore_extract(const RestoreExtract *options, GError **error)
{
    g_autoptr(Extract) x = g_new0(Extract, 1);
    int64_t start = g_get_monotonic_time();

    if (!restore_all(x, options, error)) {
        g_prefix_error(error, "nothing was restored: ");
        return false;
    }
    if (!restore_files_finish(x->files, error)) {
        return false;
    }
    print_summary(x, options->folder, start);
    if (!restore_archive_verdict(x->archive, error)) {
        if (restore_archive_digest_kind(x->archive) != VMA_DIGEST_XXH3) {
            fprintf(stderr, "warning: the data has no checksums that could be "
                    "checked: what was overwritten\nwithin it is restored as "
                    "it is, and not listed\n");
        }
        restore_print_lost(x->archive, x->selected, stderr);
        g_prefix_error(error, "restored what is whole: ");
        return false;
    }
    return true;
}
