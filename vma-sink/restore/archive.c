/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive that is read from front to back and checked on the way.
 */
#include "restore/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/io.h"

struct RestoreArchive {
    char *label;                /* for messages */
    int fd;
    bool close_fd;
    IoInput *input;
    VmaReader *reader;
    RestoreCheck *check;
    VmaExtent extent;           /* the current one, without bad clusters */

    /* Set at creation, never changed. */
    RestoreFindingFunc *func;   /* NULL: the first finding ends the reading */
    void *opaque;

    bool lost;                  /* it is not known where the next extent is */
    bool damaged;               /* one finding at least is of kind DAMAGED */
    uint64_t findings;
    GError *first_finding;
};

/* What can't be read.  zstd can. */
typedef struct Compression {
    const char *name;
    uint8_t magic[4];
    size_t magic_bytes;
} Compression;

static const Compression compressions[] = {
    { "gzip", { 0x1f, 0x8b }, 2 },
    { "lzop", { 0x89, 'L', 'Z', 'O' }, 4 },
};

static bool check_compression(const IoInput *input, GError **error)
{
    uint8_t head[IO_INPUT_HEAD_BYTES];
    size_t bytes = io_input_head(input, head);

    for (size_t i = 0; i < G_N_ELEMENTS(compressions); i++) {
        const Compression *c = &compressions[i];

        if (bytes >= c->magic_bytes &&
            memcmp(head, c->magic, c->magic_bytes) == 0) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "it is compressed with %s, which can't be read (use "
                        "'%s -dc FILE | %s ... -')", c->name, c->name,
                        g_get_prgname());
            return false;
        }
    }
    return true;
}

static bool open_archive(RestoreArchive *a, const char *path, GError **error)
{
    if (strcmp(path, "-") == 0) {
        a->label = g_strdup("standard input");
        a->fd = STDIN_FILENO;
        if (isatty(a->fd)) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "%s: refusing to read an archive from a terminal",
                        a->label);
            return false;
        }
        return true;
    }
    a->label = g_strdup_printf("'%s'", path);
    a->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (a->fd < 0) {
        backup_error_set_errno(error, errno, "%s: cannot open", a->label);
        return false;
    }
    a->close_fd = true;
    /* Only advice. */
    (void)posix_fadvise(a->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return true;
}

bool restore_archive_found(RestoreArchive *a, GError *finding, GError **error)
{
    if (!a->func || finding->code == BACKUP_ERROR_FAILED) {
        g_propagate_prefixed_error(error, finding, "%s: ", a->label);
        return false;
    }
    a->findings++;
    a->damaged = a->damaged || finding->code == BACKUP_ERROR_DAMAGED;
    a->func(finding->message, a->opaque);
    if (a->first_finding) {
        g_error_free(finding);
    } else {
        a->first_finding = finding;
    }
    return true;
}

/* IoInputDamageFunc */
static void found_in_input(GError *finding, void *opaque)
{
    (void)restore_archive_found(opaque, finding, NULL);
}

static bool open_input(RestoreArchive *a, unsigned threads, GError **error)
{
    g_autofree char *note = NULL;
    GError *finding = NULL;

    a->input = io_input_new(a->fd, threads, &note, error);
    if (!a->input || !check_compression(a->input, error)) {
        return false;
    }
    if (a->func) {
        io_input_go_on(a->input, found_in_input, a);
    }
    if (note && a->func) {
        backup_error_set_damaged(&finding, "%s", note);
        found_in_input(finding, a);
    } else if (note) {
        cli_note("%s: %s: it is not used", a->label, note);
    }
    return true;
}

/* The header; what is wrong with it is told where reading goes on. */
static bool read_header(RestoreArchive *a, GError **error)
{
    g_autoptr(GPtrArray) findings = g_ptr_array_new_with_free_func(g_free);

    a->reader = a->func ? vma_reader_new_damaged(a->input, findings, error)
                        : vma_reader_new(a->input, error);
    for (guint i = 0; a->reader && i < findings->len; i++) {
        GError *finding = NULL;

        backup_error_set_damaged(&finding, "%s",
                                 (char *)g_ptr_array_index(findings, i));
        (void)restore_archive_found(a, finding, NULL);
    }
    return a->reader != NULL;
}

static bool read_start(RestoreArchive *a, unsigned threads, GError **error)
{
    if (!open_input(a, threads, error) || !read_header(a, error)) {
        g_prefix_error(error, "%s: ", a->label);
        return false;
    }
    a->check = restore_check_new(vma_reader_info(a->reader));
    return true;
}

RestoreArchive *restore_archive_new_damaged(const char *path,
                                            unsigned threads,
                                            RestoreFindingFunc *func,
                                            void *opaque, GError **error)
{
    g_autoptr(RestoreArchive) a = g_new0(RestoreArchive, 1);

    a->func = func;
    a->opaque = opaque;
    return open_archive(a, path, error) && read_start(a, threads, error)
           ? g_steal_pointer(&a) : NULL;
}

RestoreArchive *restore_archive_new_fd(int fd, const char *path,
                                       GError **error)
{
    g_autoptr(RestoreArchive) a = g_new0(RestoreArchive, 1);

    a->label = g_strdup_printf("'%s'", path);
    a->fd = fd;
    a->close_fd = true;
    /* Who had it before may have read from it. */
    if (lseek(fd, 0, SEEK_SET) < 0) {
        backup_error_set_errno(error, errno, "%s: cannot read from its start",
                               a->label);
        return NULL;
    }
    return read_start(a, 1, error) ? g_steal_pointer(&a) : NULL;
}

RestoreArchive *restore_archive_new(const char *path, GError **error)
{
    return restore_archive_new_damaged(path, 1, NULL, NULL, error);
}

void restore_archive_free(RestoreArchive *a)
{
    if (!a) {
        return;
    }
    g_clear_error(&a->first_finding);
    restore_check_free(a->check);
    vma_reader_free(a->reader);
    io_input_free(a->input);
    if (a->close_fd) {
        close(a->fd);
    }
    g_free(a->label);
    g_free(a);
}

const BackupInfo *restore_archive_info(const RestoreArchive *a)
{
    return vma_reader_info(a->reader);
}

const RestoreCheck *restore_archive_check(const RestoreArchive *a)
{
    return a->check;
}

const uint8_t *restore_archive_blocks(const RestoreArchive *a,
                                      const VmaCluster *cluster)
{
    return vma_reader_blocks(a->reader, cluster);
}

static void prefix_extent(RestoreArchive *a, GError **finding)
{
    g_prefix_error(finding, "extent at offset %" G_GUINT64_FORMAT ": ",
                   vma_reader_offset(a->reader));
}

/*
 * Drops the clusters that break a rule, and tells of the first one; false:
 * reading does not go on.
 */
static bool check_clusters(RestoreArchive *a, const VmaExtent *extent,
                           GError **error)
{
    GError *finding = NULL;
    unsigned bad;

    a->extent.block_count = extent->block_count;
    a->extent.cluster_count = 0;
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        if (restore_check_cluster(a->check, &extent->clusters[i],
                                  finding ? NULL : &finding)) {
            a->extent.clusters[a->extent.cluster_count++] =
                extent->clusters[i];
        }
    }
    if (!finding) {
        return true;
    }
    bad = extent->cluster_count - a->extent.cluster_count;
    prefix_extent(a, &finding);
    if (bad > 1) {
        g_autofree char *message = finding->message;

        finding->message = g_strdup_printf("%s (and %u more of its clusters)",
                                           message, bad - 1);
    }
    return restore_archive_found(a, finding, error);
}

/* Bytes of a disk that stand in the current extent, which may be wrong. */
static void tell_doubtful(RestoreArchive *a, const VmaCluster *c,
                          unsigned count)
{
    const BackupDevice *device = vma_reader_device(a->reader, c->device_id);
    uint64_t start = (uint64_t)c->number * BACKUP_CLUSTER_BYTES;
    uint64_t bytes = restore_run_bytes(device, c->number, count);
    g_autofree char *text = NULL;

    if (bytes > 0) {
        text = g_strdup_printf(
            "extent at offset %" G_GUINT64_FORMAT ": no other one follows "
            "where one should, so this may be wrong: disk '%s', bytes %"
            G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " (%u clusters)",
            vma_reader_offset(a->reader), device->name, start,
            start + bytes - 1, count);
        a->func(text, a->opaque);
    }
}

/* No finding by itself: there is always one on what is behind the extent. */
static void check_followed(RestoreArchive *a)
{
    const VmaCluster *c = a->extent.clusters;
    unsigned left = a->extent.cluster_count;

    if (!a->func || vma_reader_is_followed(a->reader) ||
        vma_reader_digest_kind(a->reader) == VMA_DIGEST_XXH3) {
        return;
    }
    while (left > 0) {
        unsigned count = 1;

        while (count < left && c[count].device_id == c->device_id &&
               c[count].number == c->number + count) {
            count++;
        }
        tell_doubtful(a, c, count);
        c += count;
        left -= count;
    }
}

/* One extent, or the first that can be read behind a damaged place. */
static VmaNext read_extent(RestoreArchive *a, const VmaExtent **extent,
                           GError **finding)
{
    if (a->lost) {
        g_autofree char *text = NULL;
        uint64_t skipped;

        a->lost = false;
        if (!vma_reader_resync(a->reader, &skipped, finding)) {
            return VMA_NEXT_ERROR;
        }
        text = g_strdup_printf("%" G_GUINT64_FORMAT " bytes of the archive, up "
                               "to offset %" G_GUINT64_FORMAT ", are passed "
                               "over", skipped, vma_reader_offset(a->reader));
        a->func(text, a->opaque);
    }
    return vma_reader_next(a->reader, extent, finding);
}

/* After the last extent; what is lost to a finding is no other finding. */
static VmaNext end(RestoreArchive *a, GError **error)
{
    GError *finding = NULL;

    return a->findings > 0 || restore_check_end(a->check, &finding) ||
           restore_archive_found(a, finding, error)
           ? VMA_NEXT_END : VMA_NEXT_ERROR;
}

VmaNext restore_archive_next(RestoreArchive *a, const VmaExtent **extent,
                             GError **error)
{
    for (;;) {
        GError *finding = NULL;
        const VmaExtent *whole;

        switch (read_extent(a, &whole, &finding)) {
        case VMA_NEXT_END:
            return end(a, error);
        case VMA_NEXT_EXTENT:
            /* What stands in a wrong place is still what it says it is. */
            if (!vma_reader_verify_place(a->reader, &finding)) {
                prefix_extent(a, &finding);
                if (!restore_archive_found(a, g_steal_pointer(&finding),
                                           error)) {
                    return VMA_NEXT_ERROR;
                }
            }
            if (vma_reader_verify_data(a->reader, &finding)) {
                *extent = &a->extent;
                if (!check_clusters(a, whole, error)) {
                    return VMA_NEXT_ERROR;
                }
                check_followed(a);
                return VMA_NEXT_EXTENT;
            }
            prefix_extent(a, &finding);
            /* Are bytes missing, the next extent begins within this one. */
            a->lost = !vma_reader_is_followed(a->reader);
            break;
        case VMA_NEXT_ERROR:
            a->lost = true;
            break;
        }
        if (a->lost && finding->code == BACKUP_ERROR_INCOMPLETE) {
            return restore_archive_found(a, finding, error)
                   ? end(a, error) : VMA_NEXT_ERROR;
        }
        if (!restore_archive_found(a, finding, error)) {
            return VMA_NEXT_ERROR;
        }
    }
}

bool restore_archive_read_at(IoInputCursor *cursor, void *buffer, size_t bytes,
                             uint64_t offset, GError **error)
{
    size_t got;

    if (!io_input_cursor_read(cursor, buffer, bytes, offset, &got, error)) {
        return false;
    }
    if (got < bytes) {
        backup_error_set_incomplete(error, "the archive is cut");
        return false;
    }
    return true;
}

bool restore_archive_read_extent(const RestoreArchive *a,
                                 IoInputCursor *cursor, uint64_t offset,
                                 VmaExtent *extent, uint8_t *buffer,
                                 GError **error)
{
    VmaExtentHeader *header = (VmaExtentHeader *)buffer;
    uint8_t *blocks = buffer + sizeof(*header);

    return restore_archive_read_at(cursor, header, sizeof(*header), offset,
                                   error) &&
           vma_extent_decode(header, vma_reader_info(a->reader)->uuid, extent,
                             error) &&
           restore_archive_read_at(cursor, blocks,
                                   (size_t)extent->block_count *
                                   VMA_BLOCK_BYTES, offset + sizeof(*header),
                                   error) &&
           (vma_reader_digest_kind(a->reader) != VMA_DIGEST_XXH3 ||
            vma_digests_verify_data(extent, blocks, error));
}

bool restore_archive_verdict(const RestoreArchive *a, GError **error)
{
    g_autofree char *more = NULL;

    if (a->findings == 0) {
        return true;
    }
    more = g_strdup_printf(" (and %" G_GUINT64_FORMAT " more)",
                           a->findings - 1);
    g_set_error(error, BACKUP_ERROR, a->damaged ? BACKUP_ERROR_DAMAGED
                                                : BACKUP_ERROR_INCOMPLETE,
                "%s: %s%s", a->label, a->first_finding->message,
                a->findings > 1 ? more : "");
    return false;
}

void restore_archive_show(const RestoreArchive *a, Progress *progress)
{
    uint64_t total = io_input_bytes(a->input);

    progress_update(progress, io_input_bytes_read(a->input), PROGRESS_UNKNOWN,
                    total > 0 ? total : PROGRESS_UNKNOWN);
}

VmaDigestKind restore_archive_digest_kind(const RestoreArchive *a)
{
    return vma_reader_digest_kind(a->reader);
}

int restore_archive_fd(const RestoreArchive *a)
{
    return a->fd;
}

IoInput *restore_archive_input(const RestoreArchive *a)
{
    return a->input;
}

uint64_t restore_archive_header_bytes(const RestoreArchive *a)
{
    return vma_reader_header_bytes(a->reader);
}

uint64_t restore_archive_offset(const RestoreArchive *a)
{
    return vma_reader_offset(a->reader);
}

const char *restore_archive_label(const RestoreArchive *a)
{
    return a->label;
}
