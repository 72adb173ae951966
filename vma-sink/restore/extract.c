/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restores disks and configs.  Where all disks are wanted, or the archive can't
 * be read in another way, it is read from front to back and checked as a whole;
 * else only what holds the wanted ones is read (restore/pick.h).
 */
#include "restore/restore.h"

#include <stdio.h>

#include "backup/error.h"
#include "backup/file-names.h"
#include "cli/cli.h"
#include "restore/archive.h"
#include "restore/disks.h"
#include "restore/files.h"
#include "restore/lost.h"
#include "restore/pick.h"
#include "restore/scan.h"
#include "restore/stream.h"
#include "restore/target.h"

typedef struct Extract {
    RestoreExtract own;
    const RestoreExtract *options;          /* own */
    int64_t start_us;
    RestoreArchive *archive;
    const BackupInfo *info;                 /* of the archive */
    RestoreDisks disks;
    RestorePick *pick;                      /* NULL: front to back */
    RestoreFiles *files;
    guint files_restored;
    RestoreTarget *targets[BACKUP_DEVICE_IDS];
} Extract;

static Extract *extract_new(const RestoreExtract *options)
{
    Extract *x = g_new0(Extract, 1);

    x->own = *options;
    x->options = &x->own;
    x->start_us = g_get_monotonic_time();
    return x;
}

static void extract_free(Extract *x)
{
    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        restore_target_free(x->targets[id]);
    }
    restore_files_free(x->files);
    restore_pick_free(x->pick);
    restore_archive_free(x->archive);
    g_free(x);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Extract, extract_free)

static char *device_file(const BackupDevice *device)
{
    return restore_is_vmstate(device) ? g_strdup("vmstate.bin")
                                      : backup_disk_file(device->name);
}

/* The file names of all that goes to the folder: devices, then configs. */
static GPtrArray *file_names(const Extract *x)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < x->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(x->info->devices, i);

        if (x->disks.selected[device->id] && !x->disks.targets[device->id]) {
            g_ptr_array_add(names, device_file(device));
        }
    }
    for (guint i = 0; x->disks.configs && i < x->info->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(x->info->configs, i);

        g_ptr_array_add(names, backup_config_file(config->name));
    }
    return names;
}

/* A file called NAME in the folder, or where there is a TARGET that. */
static RestoreTarget *create_file(Extract *x, const BackupDevice *device,
                                  const char *name, GError **error)
{
    const char *path = x->disks.targets[device->id];
    IoOutput *output = path ? restore_files_add_path(x->files, path, error)
                            : restore_files_add(x->files, name, error);

    return output ? restore_target_new_file(output, restore_is_vmstate(device)
                                                    ? RESTORE_SIZE_UNKNOWN
                                                    : device->size_bytes,
                                            error)
                  : NULL;
}

static RestoreTarget *create_in_place(Extract *x, const BackupDevice *device,
                                      GError **error)
{
    const char *target = x->disks.targets[device->id];

    return x->disks.forms[device->id] == RESTORE_FORM_BLOCK
           ? restore_target_new_block(target, device->size_bytes,
                                      x->options->zeroed, error)
           : restore_target_new_nbd(x->options->connections, target,
                                    device->size_bytes, x->options->zeroed,
                                    error);
}

/* Nothing is written to any of them here.  *names is moved past those used. */
static bool create_targets(Extract *x, char *const **names, GError **error)
{
    for (guint i = 0; i < x->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(x->info->devices, i);
        RestoreTarget **target = &x->targets[device->id];

        if (!x->disks.selected[device->id]) {
            continue;
        }
        switch (x->disks.forms[device->id]) {
        case RESTORE_FORM_FOLDER:
            *target = create_file(x, device, *(*names)++, error);
            break;
        case RESTORE_FORM_FILE:
            *target = create_file(x, device, NULL, error);
            break;
        default:
            *target = create_in_place(x, device, error);
            break;
        }
        if (!*target) {
            return false;
        }
    }
    return true;
}

static bool write_configs(Extract *x, char *const *names, GError **error)
{
    for (guint i = 0; x->disks.configs && i < x->info->configs->len; i++) {
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

/*
 * What is overwritten in place is lost even where the archive turns out to be
 * cut.  Of a file with an end mark that is seen before.
 */
static bool check_end_mark(const Extract *x, GError **error)
{
    RestoreEndMark end_mark;

    if (x->options->salvage ||
        restore_disks_count_in_place(&x->disks) == 0) {
        return true;
    }
    if (!restore_scan_end_mark(x->archive, &end_mark, error)) {
        return false;
    }
    if (end_mark == RESTORE_END_MARK_MISSING) {
        backup_error_set_incomplete(error, "%s: the archive does not end with "
                                    "its end mark: it was cut, or its writer "
                                    "died", restore_archive_label(x->archive));
        return false;
    }
    return true;
}

static bool create_all(Extract *x, GError **error)
{
    g_autoptr(GPtrArray) names = file_names(x);
    char *const *list = (char *const *)names->pdata;
    const char *twice = backup_file_used_twice(list, names->len);

    if (!check_end_mark(x, error)) {
        return false;
    }
    if (twice) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "two parts of the archive would both be the file '%s' "
                    "(--disk restores only the disks that it names)", twice);
        return false;
    }
    x->files = restore_files_new(x->options->folder, x->options->overwrite,
                                 error);
    return x->files &&
           restore_disks_check(&x->disks, x->info, x->options, list,
                               restore_archive_fd(x->archive), error) &&
           create_targets(x, &list, error) &&
           write_configs(x, list, error);
}

/* What is wrong with an archive is salvaged from front to back. */
static bool open_pick(Extract *x, GError **error)
{
    return x->options->salvage ||
           restore_disks_count(&x->disks) == x->info->devices->len ||
           restore_pick_new(x->archive, x->disks.selected, &x->pick, error);
}

static void show(const Extract *x)
{
    if (x->pick) {
        restore_pick_show(x->pick, x->options->progress);
    } else {
        restore_archive_show(x->archive, x->options->progress);
    }
}

static VmaNext next_extent(Extract *x, const VmaExtent **extent,
                           GError **error)
{
    return x->pick ? restore_pick_next(x->pick, extent, error)
                   : restore_archive_next(x->archive, extent, error);
}

static const uint8_t *blocks_of(const Extract *x, const VmaCluster *cluster)
{
    return x->pick ? restore_pick_blocks(x->pick, cluster)
                   : restore_archive_blocks(x->archive, cluster);
}

/* Blocks are valid as long as their extent is, so each one ends in a flush. */
static bool write_extent(Extract *x, const VmaExtent *extent, GError **error)
{
    bool ok = true;

    for (unsigned i = 0; ok && i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];
        RestoreTarget *target = x->targets[cluster->device_id];

        ok = !target ||
             restore_target_add(target, cluster, blocks_of(x, cluster), error);
    }
    for (unsigned id = 0; ok && id < BACKUP_DEVICE_IDS; id++) {
        ok = !x->targets[id] || restore_target_flush(x->targets[id], error);
    }
    return ok;
}

/*
 * What did not come, for it is lost or known to be zeroes, becomes zeroes,
 * whatever was there before.
 */
static bool write_rest(Extract *x, uint8_t id, GError **error)
{
    const RestoreCheck *check = x->pick ? restore_pick_check(x->pick)
                                        : restore_archive_check(x->archive);
    uint64_t next = 0, first, count;

    while (restore_target_in_place(x->targets[id]) &&
           restore_check_next_missing(check, id, next, &first, &count)) {
        if (!restore_target_add_zeroes(x->targets[id],
                                       first * VMA_CLUSTER_BYTES,
                                       count * VMA_CLUSTER_BYTES, error)) {
            return false;
        }
        next = first + count;
    }
    return true;
}

/* Files get their names last, when nothing else can fail any more. */
static bool finish(Extract *x, GError **error)
{
    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        if (x->targets[id] && (!write_rest(x, id, error) ||
                               !restore_target_finish(x->targets[id],
                                                      error))) {
            return false;
        }
    }
    return restore_files_finish(x->files, &x->files_restored, error);
}

static bool write_disks(Extract *x, GError **error)
{
    const VmaExtent *extent;
    VmaNext next;

    if (!open_pick(x, error)) {
        return false;
    }
    do {
        show(x);
        next = next_extent(x, &extent, error);
        if (next == VMA_NEXT_EXTENT && !write_extent(x, extent, error)) {
            next = VMA_NEXT_ERROR;
        }
        if (next == VMA_NEXT_EXTENT && x->options->seen) {
            x->options->seen(extent, x->options->opaque);
        }
    } while (next == VMA_NEXT_EXTENT);
    if (next == VMA_NEXT_ERROR) {
        return false;
    }
    show(x);
    progress_phase(x->options->progress, "syncing");
    return finish(x, error);
}

/* Puts in front of an error what it leaves behind. */
static void prefix_state(const Extract *x, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        const RestoreTarget *target = x->targets[id];

        if (target && restore_target_in_place(target) &&
            restore_target_state(target) != RESTORE_TARGET_UNTOUCHED) {
            g_string_append_printf(
                text, "'%s' %s, ", restore_target_name(target),
                restore_target_state(target) == RESTORE_TARGET_WHOLE
                ? "was restored" : "has been partly overwritten");
        }
    }
    if (x->files_restored > 0) {
        g_string_append_printf(text, "%u of %u files were restored",
                               x->files_restored,
                               restore_files_count(x->files));
    } else {
        g_string_append(text, text->len ? "nothing else was restored"
                                        : "nothing was restored");
    }
    g_prefix_error(error, "%s: ", text->str);
}

static void print_summary(const Extract *x, const char *name, uint64_t bytes,
                          uint64_t zero)
{
    double seconds = (g_get_monotonic_time() - x->start_us) / 1e6;
    g_autofree char *printable = cli_printable(name);
    g_autofree char *size = cli_format_size(bytes);
    guint disks = restore_disks_count(&x->disks);

    progress_clear(x->options->progress);
    fprintf(stderr, "%s: %u disk%s, %s (%.0f%% zero), %.1f s\n", printable,
            disks, disks == 1 ? "" : "s", size,
            bytes ? 100.0 * zero / bytes : 0.0, seconds);
}

static void print_targets(const Extract *x)
{
    const char *name = x->options->folder;
    uint64_t bytes = 0;
    uint64_t zero = 0;

    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        const RestoreTarget *target = x->targets[id];

        if (target) {
            bytes += restore_target_bytes(target);
            zero += restore_target_bytes(target) -
                    restore_target_stored_bytes(target);
            name = name ? name : restore_target_name(target);
        }
    }
    if (restore_disks_count(&x->disks) > 1 &&
        restore_disks_count_form(&x->disks, RESTORE_FORM_FOLDER) !=
        restore_disks_count(&x->disks)) {
        name = g_get_prgname();
    }
    print_summary(x, name, bytes, zero);
}

static void print_finding(const char *finding, void *opaque)
{
    g_autofree char *printable = cli_printable(finding);

    progress_clear(opaque);
    fprintf(stderr, "damage: %s\n", printable);
}

static bool open_archive(Extract *x, GError **error)
{
    x->archive = restore_archive_new_damaged(
        x->options->archive, x->options->threads,
        x->options->salvage ? print_finding : NULL, x->options->progress,
        error);
    if (!x->archive) {
        return false;
    }
    x->info = restore_archive_info(x->archive);
    if (x->own.prepare &&
        !x->own.prepare(x->info, &x->own, x->own.opaque, error)) {
        return false;
    }
    return restore_disks_parse(&x->disks, x->info, x->options, error);
}

static bool is_to_stdout(const Extract *x, const BackupDevice *device)
{
    return x->disks.forms[device->id] == RESTORE_FORM_STDOUT;
}

/* The disk, if there is one, that is read in order: it is the only one then. */
static const BackupDevice *stream_device(const Extract *x)
{
    for (guint i = 0; i < x->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(x->info->devices, i);

        if (x->disks.selected[device->id] &&
            (x->options->range || is_to_stdout(x, device))) {
            return device;
        }
    }
    return NULL;
}

static bool stream(const Extract *x, const BackupDevice *device,
                   GError **error)
{
    const RestoreRange *range = x->options->range;
    const char *target = x->disks.targets[device->id];
    int fd = restore_archive_fd(x->archive);
    uint64_t bytes = 0, zero;

    if (!(is_to_stdout(x, device)
          ? restore_disks_check_stdout(fd, error)
          : restore_disks_check(&x->disks, x->info, x->options, NULL, fd,
                                error)) ||
        !restore_stream(x->archive, device, range, target,
                        x->options->overwrite, x->options->progress, &bytes,
                        &zero, error)) {
        if (bytes > 0) {
            g_prefix_error(error, "only the first %" G_GUINT64_FORMAT
                           " bytes of %sdisk '%s' were written: ", bytes,
                           range ? "the range of " : "", device->name);
        } else {
            g_prefix_error(error, "nothing was restored: ");
        }
        return false;
    }
    print_summary(x, is_to_stdout(x, device) ? "standard output" : target,
                  bytes, zero);
    return true;
}

/* It may have been cut there; what was read is whole all the same. */
static void note_missing_table(const Extract *x)
{
    if (io_input_lacks_table(restore_archive_input(x->archive))) {
        cli_note("%s: the file has no seek table (any more): 'vma-restore "
                 "reindex' makes one", restore_archive_label(x->archive));
    }
}

/* After a restore; false, with what is lost, if it is not of the whole. */
static bool report(const Extract *x, GError **error)
{
    if (!x->options->quiet) {
        print_targets(x);
        note_missing_table(x);
    }
    if (restore_archive_verdict(x->archive, error)) {
        return true;
    }
    if (restore_archive_digest_kind(x->archive) != VMA_DIGEST_XXH3) {
        fprintf(stderr, "warning: the data has no checksums that could be "
                "checked: what was overwritten\nwithin it is restored as "
                "it is, and not listed\n");
    }
    restore_print_lost(x->archive, x->disks.selected, stderr);
    g_prefix_error(error, "restored what is whole: ");
    return false;
}

bool restore_extract(const RestoreExtract *options, GError **error)
{
    g_autoptr(Extract) x = extract_new(options);
    const BackupDevice *device;

    if (!open_archive(x, error)) {
        prefix_state(x, error);
        return false;
    }
    device = stream_device(x);
    if (device) {
        return stream(x, device, error);
    }
    if (!create_all(x, error) || !write_disks(x, error)) {
        prefix_state(x, error);
        return false;
    }
    return report(x, error);
}
