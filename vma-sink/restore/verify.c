/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a whole archive and says what was checked, what is wrong, and what
 * can't be known.
 */
#include "restore/restore.h"

#include <stdio.h>

#include "cli/cli.h"
#include "restore/archive.h"
#include "restore/lost.h"
#include "restore/seek.h"

static void print_finding(const char *finding, void *opaque)
{
    g_autofree char *printable = cli_printable(finding);

    progress_clear(opaque);
    printf("damage: %s\n", printable);
}

static void print_devices(const RestoreArchive *archive)
{
    const BackupInfo *info = restore_archive_info(archive);
    const RestoreCheck *check = restore_archive_check(archive);

    printf("%3s %15s %10s        device\n", "id", "bytes", "clusters");
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        g_autofree char *name = cli_printable(device->name);
        uint64_t first, count;
        bool lost = restore_check_next_missing(check, device->id, 0, &first,
                                               &count);

        printf("%3u %15" G_GUINT64_FORMAT " %10" G_GUINT64_FORMAT
               "  %-4s  %s\n", device->id, device->size_bytes,
               restore_check_clusters(check, device->id), lost ? "LOST" : "ok",
               name);
    }
}

/* How much the result is worth. */
static void print_extent_of_check(const RestoreArchive *archive)
{
    const BackupInfo *info = restore_archive_info(archive);

    switch (restore_archive_digest_kind(archive)) {
    case VMA_DIGEST_XXH3:
        printf("Every header and all data match their checksums, every cluster "
               "of every disk is\nthere exactly once, and the archive ends "
               "with its end mark.\n");
        break;
    case VMA_DIGEST_UNKNOWN:
        printf("Every header is intact, and every cluster of every disk is "
               "there exactly once.\n"
               "The data has checksums of a kind that this program does not "
               "know: not checked.\n");
        break;
    case VMA_DIGEST_NONE:
        printf("Every header is intact, and every cluster of every disk is "
               "there exactly once.\n"
               "The data has no checksums in this archive: a bit that has "
               "flipped in it goes\nunseen.\n");
        break;
    }
    for (guint i = 0; i < info->devices->len; i++) {
        if (restore_is_vmstate(g_ptr_array_index(info->devices, i)) &&
            restore_archive_digest_kind(archive) != VMA_DIGEST_XXH3) {
            printf("The size of vmstate is an estimate, so nobody can say "
                   "whether all of it is\nthere.\n");
        }
    }
}

/* No damage: all of the archive is there. */
static void print_missing_table(const RestoreArchive *archive)
{
    if (io_input_lacks_table(restore_archive_input(archive))) {
        printf("The file has no seek table (any more): what reaches into it "
               "has to look for its\nframes first, if they have their sizes in "
               "them.  'vma-restore reindex' makes one.\n");
    }
}

/* What of a compressed archive reading front to back has no use for. */
static bool open_index(RestoreArchive *archive, RestoreSeekCheck **index,
                       GError **error)
{
    GError *finding = NULL;

    *index = restore_seek_check_new(archive, &finding);
    return !finding || restore_archive_found(archive, finding, error);
}

/* After the first place that is wrong the others are not worth a word. */
static bool verify_places(RestoreArchive *archive, RestoreSeekCheck **index,
                          const VmaExtent *extent, GError **error)
{
    GError *finding = NULL;

    if (!*index || restore_seek_check_extent(*index, extent, &finding)) {
        return true;
    }
    g_clear_pointer(index, restore_seek_check_free);
    return restore_archive_found(archive, finding, error);
}

/* False: it can't be read. */
static bool read_all(RestoreArchive *archive, Progress *progress,
                     GError **error)
{
    g_autoptr(RestoreSeekCheck) index = NULL;
    const VmaExtent *extent;
    VmaNext next;

    if (!open_index(archive, &index, error)) {
        return false;
    }
    do {
        restore_archive_show(archive, progress);
        next = restore_archive_next(archive, &extent, error);
        if (next == VMA_NEXT_EXTENT &&
            !verify_places(archive, &index, extent, error)) {
            next = VMA_NEXT_ERROR;
        }
    } while (next == VMA_NEXT_EXTENT);
    restore_archive_show(archive, progress);
    return next == VMA_NEXT_END;
}

bool restore_verify(const char *path, unsigned threads, Progress *progress,
                    GError **error)
{
    g_autoptr(RestoreArchive) archive = restore_archive_new_damaged(
        path, threads, print_finding, progress, error);
    g_autoptr(GError) verdict = NULL;

    if (!archive || !read_all(archive, progress, error)) {
        return false;
    }
    progress_clear(progress);
    if (!restore_archive_verdict(archive, &verdict)) {
        printf("\n");
    }
    print_devices(archive);
    printf("\n");
    if (verdict) {
        restore_print_lost(archive, NULL, stdout);
    } else {
        print_extent_of_check(archive);
        print_missing_table(archive);
    }
    if (!cli_flush_stdout(error)) {
        return false;
    }
    if (verdict) {
        g_propagate_error(error, g_steal_pointer(&verdict));
        return false;
    }
    return true;
}
