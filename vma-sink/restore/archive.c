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
#include "io/io.h"

struct RestoreArchive {
    char *label;                /* for messages */
    int fd;
    bool close_fd;
    VmaReader *reader;
    RestoreCheck *check;
};

typedef struct Compression {
    const char *name;
    const char *command;
    uint8_t magic[4];
    size_t magic_bytes;
} Compression;

static const Compression compressions[] = {
    { "zstd", "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4 },
    { "gzip", "gzip", { 0x1f, 0x8b }, 2 },
    { "lzop", "lzop", { 0x89, 'L', 'Z', 'O' }, 4 },
};

/*
 * The first bytes of a file or a pipe without taking them from it; fewer or
 * none where that is not possible.
 */
static ssize_t peek(int fd, uint8_t *start, size_t bytes)
{
    ssize_t got = pread(fd, start, bytes, lseek(fd, 0, SEEK_CUR));
    int pipefd[2];

    if (got >= 0 || pipe2(pipefd, O_CLOEXEC) < 0) {
        return got;
    }
    got = tee(fd, pipefd[1], bytes, 0);
    if (got > 0) {
        got = read(pipefd[0], start, got);
    }
    close(pipefd[0]);
    close(pipefd[1]);
    return got;
}

static bool check_uncompressed(int fd, GError **error)
{
    uint8_t start[4];
    ssize_t got = peek(fd, start, sizeof(start));

    for (size_t i = 0; got > 0 && i < G_N_ELEMENTS(compressions); i++) {
        const Compression *c = &compressions[i];

        if ((size_t)got >= c->magic_bytes &&
            memcmp(start, c->magic, c->magic_bytes) == 0) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "it is compressed with %s, which can't be read yet (use"
                        " '%s -dc FILE | %s ... -')", c->name, c->command,
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
                        "refusing to read an archive from a terminal");
            return false;
        }
        return true;
    }
    a->label = g_strdup_printf("'%s'", path);
    a->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (a->fd < 0) {
        backup_error_set_errno(error, errno, "cannot open");
        return false;
    }
    a->close_fd = true;
    /* Only advice. */
    (void)posix_fadvise(a->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return true;
}

RestoreArchive *restore_archive_new(const char *path, GError **error)
{
    g_autoptr(RestoreArchive) a = g_new0(RestoreArchive, 1);

    if (!open_archive(a, path, error) || !check_uncompressed(a->fd, error) ||
        !(a->reader = vma_reader_new(a->fd, error))) {
        g_prefix_error(error, "%s: ", a->label);
        return NULL;
    }
    a->check = restore_check_new(vma_reader_info(a->reader));
    return g_steal_pointer(&a);
}

void restore_archive_free(RestoreArchive *a)
{
    if (!a) {
        return;
    }
    restore_check_free(a->check);
    vma_reader_free(a->reader);
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

VmaNext restore_archive_next(RestoreArchive *a, const VmaExtent **extent,
                             GError **error)
{
    VmaNext next = vma_reader_next(a->reader, extent, error);

    if (next == VMA_NEXT_EXTENT &&
        (!vma_reader_verify_data(a->reader, error) ||
         !restore_check_extent(a->check, *extent, error))) {
        g_prefix_error(error, "extent at offset %" G_GUINT64_FORMAT ": ",
                       vma_reader_offset(a->reader));
        next = VMA_NEXT_ERROR;
    } else if (next == VMA_NEXT_END && !restore_check_end(a->check, error)) {
        next = VMA_NEXT_ERROR;
    }
    if (next == VMA_NEXT_ERROR) {
        g_prefix_error(error, "%s: ", a->label);
    }
    return next;
}
