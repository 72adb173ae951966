/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk being restored to a new sparse file: stored blocks are written,
 * everything else is a hole.
 */
#include <errno.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/io.h"
#include "restore/target-kind.h"

typedef struct FileTarget {
    RestoreTarget target;
    int fd;                     /* borrowed */
} FileTarget;

static bool file_write(RestoreTarget *target, const uint8_t *data,
                       size_t bytes, uint64_t offset, GError **error)
{
    return io_pwrite(((FileTarget *)target)->fd, data, bytes, offset, error);
}

static void file_free(RestoreTarget *target)
{
    g_free(target);
}

static const RestoreTargetKind file_kind = {
    .write = file_write,
    .free = file_free,
};

RestoreTarget *restore_target_new_file(IoOutput *output, uint64_t size_bytes,
                                       GError **error)
{
    FileTarget *f;

    if (size_bytes != RESTORE_SIZE_UNKNOWN &&
        ftruncate(io_output_fd(output), size_bytes) < 0) {
        backup_error_set_errno(error, errno, "cannot give '%s' its size of %"
                               G_GUINT64_FORMAT " bytes",
                               io_output_path(output), size_bytes);
        return NULL;
    }
    f = g_new0(FileTarget, 1);
    f->target.kind = &file_kind;
    f->target.name = g_strdup(io_output_path(output));
    f->target.limit_bytes = size_bytes;
    f->fd = io_output_fd(output);
    return &f->target;
}
