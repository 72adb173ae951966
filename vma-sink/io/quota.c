/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How large a file may become.
 */
#include "io/quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"

#define STEP_BYTES ((uint64_t)16 << 20)

/* What goes away meanwhile, as temporary files do, is left out. */
static uint64_t sum_files(DIR *dir)
{
    struct dirent *entry;
    struct stat st;
    uint64_t sum = 0;

    while ((entry = readdir(dir))) {
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode)) {
            sum += st.st_size;
        }
    }
    return sum;
}

static bool used_bytes(const IoQuota *q, uint64_t *bytes, GError **error)
{
    int fd = openat(q->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        backup_error_set_errno(error, errno, "cannot read the folder");
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    *bytes = sum_files(dir);
    closedir(dir);
    return true;
}

static bool set_exceeded(GError **error, const char *what, uint64_t limit)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "%s would have more than the %" G_GUINT64_FORMAT " bytes that "
                "it may have", what, limit);
    return false;
}

bool io_quota_take(IoQuota *q, uint64_t bytes, GError **error)
{
    uint64_t wanted = q->taken_bytes + bytes;
    uint64_t used, left;

    if (wanted > q->file_bytes) {
        return set_exceeded(error, "the file", q->file_bytes);
    }
    if (q->folder_bytes < UINT64_MAX && wanted >= q->granted_bytes) {
        if (!used_bytes(q, &used, error)) {
            return false;
        }
        left = q->folder_bytes - MIN(used, q->folder_bytes);
        if (left < MAX(bytes, 1)) {
            return set_exceeded(error, "its folder", q->folder_bytes);
        }
        q->granted_bytes = q->taken_bytes + MIN(left, bytes + STEP_BYTES);
    }
    q->taken_bytes = wanted;
    return true;
}
