/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive into another one with the same contents.
 *
 * In the archive's own order it is read once, and each cluster goes from the
 * extent in memory to the one that is built.  Sorted, it is read to its end
 * first, and it is noted where everything is; so what is known to be good then
 * is what was read, and not what an index says.  The output has no name before
 * its end is written, and is discarded wherever something fails.
 */
#include "restore/reindex.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "cli/outcome.h"
#include "cli/stale.h"
#include "io/output.h"
#include "restore/archive.h"
#include "restore/order.h"
#include "vma/index.h"
#include "vma/writer.h"

typedef struct Reindex {
    const RestoreReindex *options;
    int64_t start_us;
    IoOutput *output;
    RestoreArchive *archive;
    const BackupInfo *info;                 /* of the archive */
    const BackupDevice *devices[BACKUP_DEVICE_IDS];     /* NULL: none */
    VmaParts *parts;
    VmaWriter *writer;
    bool lacks_table;                       /* the file, as io/input.h says */
} Reindex;

static Reindex *reindex_new(const RestoreReindex *options)
{
    Reindex *x = g_new0(Reindex, 1);

    x->options = options;
    x->start_us = g_get_monotonic_time();
    return x;
}

static void reindex_free(Reindex *x)
{
    vma_writer_free(x->writer);
    vma_parts_free(x->parts);
    restore_archive_free(x->archive);
    io_output_free(x->output);
    g_free(x);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reindex, reindex_free)

/* --- Before anything is written --- */

/*
 * A file that replaces the archive is another one until it is whole.  Standard
 * output is written as it comes.
 */
static bool check_not_itself(const Reindex *x, GError **error)
{
    struct stat in, out;

    if (fstat(restore_archive_fd(x->archive), &in) == 0 &&
        fstat(io_output_fd(x->output), &out) == 0 && S_ISREG(in.st_mode) &&
        in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "%s is the archive itself", io_output_path(x->output));
        return false;
    }
    return true;
}

static bool check_devices(Reindex *x, GError **error)
{
    for (guint i = 0; i < x->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(x->info->devices, i);

        if (restore_is_vmstate(device)) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "%s: it has the guest's memory ('%s'), the size of "
                        "which is an estimate: such an archive can't be "
                        "written", restore_archive_label(x->archive),
                        device->name);
            return false;
        }
        x->devices[device->id] = device;
    }
    return true;
}

/* It is read for all else that is wrong with it. */
static bool check_sortable(const Reindex *x, GError **error)
{
    const IoInput *input = restore_archive_input(x->archive);
    g_autoptr(GError) none = NULL;

    if (x->options->sort && !io_input_is_seekable(input) &&
        !io_input_can_find_frames(input, &none) &&
        none->code == BACKUP_ERROR_USAGE) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "%s: only an archive that is a file%s can be sorted (first "
                    "make one without --sort)",
                    restore_archive_label(x->archive),
                    io_input_is_compressed(input)
                    ? " that is not compressed, or in frames with their sizes,"
                    : "");
        return false;
    }
    return true;
}

static bool open_all(Reindex *x, GError **error)
{
    cli_remove_stale(x->options->output);
    /* A wrong path should not cost a pipe's data. */
    x->output = io_output_new(x->options->output, x->options->overwrite, error);
    if (!x->output) {
        return false;
    }
    x->archive = restore_archive_new_damaged(x->options->archive,
                                             g_get_num_processors(), NULL,
                                             NULL, error);
    if (!x->archive) {
        return false;
    }
    x->info = restore_archive_info(x->archive);
    return check_not_itself(x, error) && check_devices(x, error) &&
           check_sortable(x, error);
}

static bool begin(Reindex *x, GError **error)
{
    const VmaSeekableOptions *seekable = x->options->seekable;

    x->parts = seekable ? vma_seekable_new(x->output, x->info->uuid, seekable,
                                           error)
                        : vma_parts_new_plain(x->output, error);
    if (!x->parts) {
        return false;
    }
    x->writer = vma_writer_new_parts(x->info, x->parts, error);
    return x->writer != NULL;
}

/* --- In the archive's order --- */

/* Bytes of the archive, and where it is sorted of the disks after that. */
static void show(const Reindex *x, uint64_t disk_bytes)
{
    const IoInput *input = restore_archive_input(x->archive);
    uint64_t total = io_input_bytes(input);
    uint64_t more = x->options->sort ? backup_info_bytes(x->info) : 0;

    progress_update(x->options->progress,
                    io_input_bytes_read(input) + disk_bytes, PROGRESS_UNKNOWN,
                    total > 0 ? total + more : PROGRESS_UNKNOWN);
}

static void expand(uint8_t *to, const uint8_t *blocks, uint16_t mask)
{
    for (unsigned i = 0; i < VMA_BLOCKS_PER_CLUSTER; i++) {
        if (mask >> i & 1) {
            memcpy(to, blocks, VMA_BLOCK_BYTES);
            blocks += VMA_BLOCK_BYTES;
        } else {
            memset(to, 0, VMA_BLOCK_BYTES);
        }
        to += VMA_BLOCK_BYTES;
    }
}

static bool add_cluster(Reindex *x, const VmaCluster *cluster, GError **error)
{
    const BackupDevice *device = x->devices[cluster->device_id];
    unsigned room;
    uint8_t *to;

    /* Some writers put clusters without data behind a device's end. */
    if (cluster->number >= backup_clusters(device->size_bytes)) {
        return true;
    }
    if (!cluster->mask) {
        return vma_writer_add_zero(x->writer, device, cluster->number, 1,
                                   error);
    }
    to = vma_writer_room(x->writer, &room, error);
    if (!to) {
        return false;
    }
    expand(to, restore_archive_blocks(x->archive, cluster), cluster->mask);
    vma_writer_add_data(x->writer, device, cluster->number, 1);
    return true;
}

/* Notes the extent's places in INDEX; where that is NULL it is written. */
static bool take_extent(Reindex *x, const VmaExtent *extent, VmaIndex *index,
                        GError **error)
{
    if (index) {
        return vma_index_add(index, restore_archive_offset(x->archive), extent,
                             error);
    }
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        if (!add_cluster(x, &extent->clusters[i], error)) {
            return false;
        }
    }
    return true;
}

/* True: all of the archive was read, and is good. */
static bool read_archive(Reindex *x, VmaIndex *index, GError **error)
{
    const VmaExtent *extent;
    VmaNext next;

    do {
        show(x, 0);
        next = restore_archive_next(x->archive, &extent, error);
        if (next == VMA_NEXT_EXTENT && !take_extent(x, extent, index, error)) {
            next = VMA_NEXT_ERROR;
        }
    } while (next == VMA_NEXT_EXTENT);
    show(x, 0);
    x->lacks_table = io_input_lacks_table(restore_archive_input(x->archive));
    return next == VMA_NEXT_END;
}

/* --- Sorted --- */

/* Clusters of zeroes from NUMBER on, maybe none. */
static uint64_t count_zero(const VmaIndex *index, const BackupDevice *device,
                           uint64_t number)
{
    uint64_t from = number * VMA_CLUSTER_BYTES;
    uint64_t end;

    if (vma_index_run(index, device->id, from, device->size_bytes, &end)) {
        return 0;
    }
    return (end >= device->size_bytes ? backup_clusters(device->size_bytes)
                                      : end / VMA_CLUSTER_BYTES) - number;
}

static bool add_from(Reindex *x, RestoreOrder *order,
                     const BackupDevice *device, uint64_t number,
                     GError **error)
{
    unsigned room;
    uint8_t *to = vma_writer_room(x->writer, &room, error);

    if (!to ||
        !restore_order_read(order, number * VMA_CLUSTER_BYTES, to,
                            backup_run_bytes(device->size_bytes, number, 1),
                            error)) {
        return false;
    }
    vma_writer_add_data(x->writer, device, number, 1);
    return true;
}

/* *bytes counts those of all disks. */
static bool write_device(Reindex *x, RestoreOrder *order,
                         const VmaIndex *index, const BackupDevice *device,
                         uint64_t *bytes, GError **error)
{
    uint64_t clusters = backup_clusters(device->size_bytes);
    uint64_t number = 0;

    while (number < clusters) {
        uint64_t zero = count_zero(index, device, number);
        uint64_t count = MAX(zero, 1);

        if (!(zero > 0 ? vma_writer_add_zero(x->writer, device, number, zero,
                                             error)
                       : add_from(x, order, device, number, error))) {
            return false;
        }
        *bytes += backup_run_bytes(device->size_bytes, number, count);
        number += count;
        show(x, *bytes);
    }
    return true;
}

static bool sort_device(Reindex *x, VmaIndex *index,
                        const BackupDevice *device, uint64_t *bytes,
                        GError **error)
{
    g_autoptr(RestoreOrder) order = restore_order_new(
        x->archive, index, device->id, 0, device->size_bytes,
        RESTORE_ORDER_KEPT_BYTES, error);

    return order && write_device(x, order, index, device, bytes, error);
}

/* After all of it was read in its own order. */
static bool make_seekable(const Reindex *x, GError **error)
{
    IoInput *input = restore_archive_input(x->archive);

    if (!io_input_is_seekable(input) &&
        (!io_input_find_frames(input, error) ||
         !io_input_check_rest(input, error))) {
        g_prefix_error(error, "%s: ", restore_archive_label(x->archive));
        return false;
    }
    return true;
}

static bool sort(Reindex *x, GError **error)
{
    g_autoptr(VmaIndex) index = vma_index_new();
    uint64_t bytes = 0;

    progress_phase(x->options->progress, "verifying");
    if (!read_archive(x, index, error) || !make_seekable(x, error)) {
        return false;
    }
    progress_phase(x->options->progress, NULL);
    vma_index_finish(index);
    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        if (x->devices[id] &&
            !sort_device(x, index, x->devices[id], &bytes, error)) {
            return false;
        }
    }
    return true;
}

/* --- All of it --- */

static bool finish(Reindex *x, GError **error)
{
    if (!vma_writer_finish(x->writer, error)) {
        return false;
    }
    progress_phase(x->options->progress, "syncing");
    return io_output_finish(x->output, error);
}

/* A digest says that data is what was read, not that this was right. */
static void warn(const Reindex *x)
{
    if (restore_archive_digest_kind(x->archive) != VMA_DIGEST_XXH3) {
        cli_note("%s: the data has no checksums that could be checked: a bit "
                 "that has flipped in it before goes unseen",
                 restore_archive_label(x->archive));
    }
    if (x->lacks_table) {
        cli_note("%s: the file has no seek table (any more)",
                 restore_archive_label(x->archive));
    }
}

static void report(const Reindex *x)
{
    double seconds = (g_get_monotonic_time() - x->start_us) / 1e6;
    uint64_t bytes = backup_info_bytes(x->info);
    guint disks = x->info->devices->len;
    g_autofree char *path = cli_printable(io_output_path(x->output));
    g_autofree char *total = cli_format_size(bytes);
    g_autofree char *stored = cli_format_size(io_output_bytes(x->output));

    progress_clear(x->options->progress);
    warn(x);
    fprintf(stderr, "%s: %u disk%s, %s (%.0f%% zero), stored in %s, %.1f s\n",
            path, disks, disks == 1 ? "" : "s", total,
            bytes ? 100.0 * vma_writer_zero_bytes(x->writer) / bytes : 0.0,
            stored, seconds);
}

bool restore_reindex(const RestoreReindex *options, GError **error)
{
    g_autoptr(Reindex) x = reindex_new(options);
    CliOutcome outcome;

    cli_outcome_before(&outcome, options->output);
    if (!open_all(x, error) || !begin(x, error) ||
        !(options->sort ? sort(x, error) : read_archive(x, NULL, error)) ||
        !finish(x, error)) {
        cli_outcome_prefix(&outcome, error);
        return false;
    }
    report(x);
    return true;
}
