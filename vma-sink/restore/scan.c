/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an archive tells without all of it being read.
 */
#include "restore/scan.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/input.h"
#include "restore/check.h"
#include "restore/seek.h"
#include "vma/digest.h"

bool restore_scan_size(const RestoreArchive *archive, uint64_t *bytes)
{
    struct stat st;

    if (fstat(restore_archive_fd(archive), &st) < 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    *bytes = st.st_size;
    return true;
}

/* Whether these are the bytes of an end mark. */
static bool is_end_mark(VmaExtentHeader *header, const uuid_t uuid)
{
    g_autoptr(VmaDigests) digests = vma_digests_new();
    VmaExtent extent;

    if (!vma_extent_decode(header, uuid, &extent, NULL)) {
        return false;
    }
    /* It is not the first extent; but of an end mark that is all there is. */
    (void)vma_digests_verify_place(digests, &extent, NULL);
    return vma_digests_verify_end(digests, NULL);
}

bool restore_scan_end_mark(const RestoreArchive *archive,
                           RestoreEndMark *end_mark, GError **error)
{
    IoInput *input = restore_archive_input(archive);
    uint64_t size = io_input_bytes(input);
    g_autoptr(IoInputCursor) cursor = NULL;
    VmaExtentHeader header;
    size_t got;

    *end_mark = RESTORE_END_MARK_UNKNOWN;
    if (restore_archive_digest_kind(archive) != VMA_DIGEST_XXH3 ||
        !io_input_is_seekable(input) || size == 0) {
        return true;
    }
    *end_mark = RESTORE_END_MARK_MISSING;
    if (size < restore_archive_header_bytes(archive) + sizeof(header)) {
        return true;
    }
    cursor = io_input_cursor_new(input);
    if (!io_input_cursor_read(cursor, &header, sizeof(header),
                              size - sizeof(header), &got, error)) {
        g_prefix_error(error, "%s: cannot read its end: ",
                       restore_archive_label(archive));
        return false;
    }
    if (got == sizeof(header) &&
        is_end_mark(&header, restore_archive_info(archive)->uuid)) {
        *end_mark = RESTORE_END_MARK_THERE;
    }
    return true;
}

/* The course of one scan. */
typedef struct Scan {
    const RestoreArchive *archive;
    IoInputCursor *cursor;
    RestoreCheck *check;
    VmaDigests *digests;        /* NULL: the archive has none that we know */
    RestoreScanFunc *func;
    void *opaque;
    uint64_t offset;            /* of the current extent */
    uint64_t size_bytes;        /* of the archive */
} Scan;

static bool add_extent(Scan *s, const VmaExtent *extent, GError **error)
{
    if (s->digests &&
        !vma_digests_verify_place(s->digests, extent, error)) {
        return false;
    }
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        if (!restore_check_cluster(s->check, &extent->clusters[i], error)) {
            return false;
        }
    }
    return s->func(s->offset, extent, s->opaque, error);
}

static bool scan_extent(Scan *s, GError **error)
{
    const BackupInfo *info = restore_archive_info(s->archive);
    VmaExtentHeader header;
    VmaExtent extent;
    size_t got;

    if (!io_input_cursor_read(s->cursor, &header, sizeof(header), s->offset,
                              &got, error)) {
        g_prefix_error(error, "cannot read the archive at offset %"
                       G_GUINT64_FORMAT ": ", s->offset);
        return false;
    }
    if (got < sizeof(header)) {
        vma_extent_set_short(error, &header, got, s->offset);
        return false;
    }
    if (!vma_extent_decode(&header, info->uuid, &extent, error) ||
        !add_extent(s, &extent, error)) {
        g_prefix_error(error, "extent at offset %" G_GUINT64_FORMAT ": ",
                       s->offset);
        return false;
    }
    s->offset += sizeof(header) +
                 (uint64_t)extent.block_count * VMA_BLOCK_BYTES;
    if (s->offset > s->size_bytes) {
        vma_extent_set_cut(error, "an extent", s->size_bytes);
        return false;
    }
    return true;
}

static bool scan_all(Scan *s, GError **error)
{
    while (s->offset < s->size_bytes) {
        if (!scan_extent(s, error)) {
            return false;
        }
    }
    return (!s->digests || vma_digests_verify_end(s->digests, error)) &&
           restore_check_end(s->check, error);
}

/* Not what has no end that is known, or has to be read from the front. */
static bool is_seekable(const RestoreArchive *archive)
{
    IoInput *input = restore_archive_input(archive);

    return io_input_is_seekable(input) && io_input_bytes(input) > 0;
}

/* WHY is of what is compressed. */
static bool set_not_seekable(const RestoreArchive *archive, const char *why,
                             GError **error)
{
    bool compressed =
        io_input_is_compressed(restore_archive_input(archive));

    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                "%s: an archive is not in the order of its disks, so only of a "
                "file%s can a disk be read in order%s%s%s",
                restore_archive_label(archive),
                compressed ? " that is not compressed, or in frames," : "",
                compressed ? " (" : "", compressed ? why : "",
                compressed ? "; 'vma-restore reindex' makes such a file)" : "");
    return false;
}

/* Reads every extent's header. */
static bool scan_headers(const RestoreArchive *archive, RestoreScanFunc *func,
                         void *opaque, GError **error)
{
    int fd = restore_archive_fd(archive);
    IoInput *input = restore_archive_input(archive);
    g_autoptr(IoInputCursor) cursor = io_input_cursor_new(input);
    g_autoptr(RestoreCheck) check =
        restore_check_new(restore_archive_info(archive));
    g_autoptr(VmaDigests) digests =
        restore_archive_digest_kind(archive) == VMA_DIGEST_XXH3
        ? vma_digests_new() : NULL;
    Scan scan = {
        .archive = archive,
        .cursor = cursor,
        .check = check,
        .digests = digests,
        .func = func,
        .opaque = opaque,
        .offset = restore_archive_header_bytes(archive),
        .size_bytes = io_input_bytes(input),
    };

    /* Only advice: most of the file is passed over. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    if (!scan_all(&scan, error)) {
        return false;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL);
    return true;
}

/* RestoreScanFunc */
static bool add_to_index(uint64_t extent_offset, const VmaExtent *extent,
                         void *index, GError **error)
{
    return vma_index_add(index, extent_offset, extent, error);
}

/* Frames are looked for where no seek table leads to them. */
static bool make_seekable(const RestoreArchive *archive, GError **error)
{
    g_autoptr(GError) none = NULL;

    if (is_seekable(archive)) {
        return true;
    }
    if (io_input_find_frames(restore_archive_input(archive), &none)) {
        cli_note("%s: it has no seek table that can be used: its frames were "
                 "looked for", restore_archive_label(archive));
        return true;
    }
    if (none->code == BACKUP_ERROR_USAGE) {
        return set_not_seekable(archive, none->message, error);
    }
    g_propagate_prefixed_error(error, g_steal_pointer(&none), "%s: ",
                               restore_archive_label(archive));
    return false;
}

/* What looks cut may go on with what is no frame that can be used. */
static void explain_end(const RestoreArchive *archive, GError **error)
{
    const IoInput *input = restore_archive_input(archive);
    GError *rest = NULL;

    if ((*error)->code == BACKUP_ERROR_INCOMPLETE &&
        io_input_is_compressed(input) && !io_input_check_rest(input, &rest)) {
        g_clear_error(error);
        *error = rest;
    }
}

/* By an index, if there is one; TOLERANT: if it is right. */
static VmaIndex *scan_any(const RestoreArchive *archive, bool tolerant,
                          GError **error)
{
    g_autoptr(VmaIndex) index = vma_index_new();
    g_autoptr(GError) wrong = NULL;
    bool found;

    if (!restore_seek_load(archive, add_to_index, index, &found, &wrong)) {
        if (!tolerant || wrong->code != BACKUP_ERROR_DAMAGED) {
            g_propagate_error(error, g_steal_pointer(&wrong));
            return NULL;
        }
        found = false;
    }
    if (!found && !scan_headers(archive, add_to_index, index, error)) {
        return NULL;
    }
    vma_index_finish(index);
    return g_steal_pointer(&index);
}

/*
 * A wrong index can be done without, and a wrong seek table makes a right one
 * look wrong, or a frame.  So then the frames are looked for, and if that does
 * not make the index right all that they hold is, which says what is damaged.
 */
VmaIndex *restore_scan(const RestoreArchive *archive, GError **error)
{
    IoInput *input = restore_archive_input(archive);
    g_autoptr(GError) wrong = NULL;
    VmaIndex *index;

    if (!make_seekable(archive, error)) {
        return NULL;
    }
    index = scan_any(archive, false, &wrong);
    if (wrong && wrong->code == BACKUP_ERROR_DAMAGED &&
        io_input_is_compressed(input)) {
        cli_note("%s: %s: its frames and extents are looked for",
                 restore_archive_label(archive), wrong->message);
        g_clear_error(&wrong);
        index = io_input_find_frames(input, &wrong)
                ? scan_any(archive, true, &wrong) : NULL;
    }
    if (!wrong) {
        return index;
    }
    explain_end(archive, &wrong);
    if (wrong->code == BACKUP_ERROR_USAGE) {
        set_not_seekable(archive, wrong->message, error);
    } else {
        g_propagate_prefixed_error(error, g_steal_pointer(&wrong), "%s: ",
                                   restore_archive_label(archive));
    }
    return NULL;
}

/* An index that is wrong is not used; that says nothing of the archive. */
static bool load_index(const RestoreArchive *archive, RestoreScanFunc *func,
                       void *opaque, bool *found, GError **error)
{
    g_autoptr(GError) wrong = NULL;

    if (restore_seek_load(archive, func, opaque, found, &wrong)) {
        return true;
    }
    *found = false;
    if (wrong->code != BACKUP_ERROR_DAMAGED) {
        g_propagate_error(error, g_steal_pointer(&wrong));
        return false;
    }
    cli_note("%s: %s: all of the archive is read",
             restore_archive_label(archive), wrong->message);
    return true;
}

bool restore_scan_extents(const RestoreArchive *archive, RestoreScanFunc *func,
                          void *opaque, bool *done, GError **error)
{
    bool ok = true;

    *done = false;
    if (is_seekable(archive)) {
        *done = !io_input_is_compressed(restore_archive_input(archive));
        ok = *done ? scan_headers(archive, func, opaque, error)
                   : load_index(archive, func, opaque, done, error);
    }
    if (!ok) {
        g_prefix_error(error, "%s: ", restore_archive_label(archive));
    }
    return ok;
}
