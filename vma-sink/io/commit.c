/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a temporary file or folder becomes the one of its name.
 */
#include "io/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"

/* Of a long name only the start, for the temporary one is longer. */
#define TEMP_BASE_BYTES 200

char *io_temp_template(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *name = g_strdup_printf("%.*s.XXXXXX" IO_TEMP_SUFFIX,
                                            TEMP_BASE_BYTES, base);

    return g_build_filename(folder, name, NULL);
}

char *io_strip_slashes(const char *path)
{
    char *name = g_strdup(path);

    for (size_t i = strlen(name); i > 1 && name[i - 1] == '/'; i--) {
        name[i - 1] = '\0';
    }
    return name;
}

int io_look_at_name(const char *path, struct stat *st, GError **error)
{
    if (lstat(path, st) == 0) {
        return 1;
    }
    if (errno == ENOENT) {
        return 0;
    }
    backup_error_set_errno(error, errno, "cannot create '%s'", path);
    return -1;
}

int io_open_parent(const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        backup_error_set_errno(error, errno, "cannot open folder '%s'", folder);
    }
    return fd;
}

bool io_check_parent_fd(int fd, const char *path, GError **error)
{
    struct statx st;

    /* A file system that does not tell has no such thing, mostly. */
    if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) == 0 &&
        st.stx_attributes & STATX_ATTR_APPEND) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot create '%s': its folder is append-only (chattr "
                    "+a), so nothing in it can be renamed", path);
        return false;
    }
    return true;
}

bool io_sync_parent_fd(int fd, const char *path, GError **error)
{
    /* EINVAL: this file system has no such thing as syncing a folder. */
    if (fsync(fd) < 0 && errno != EINVAL) {
        backup_error_set_errno(error, errno, "cannot sync the folder of '%s'",
                               path);
        return false;
    }
    return true;
}

bool io_sync_parent(const char *path, GError **error)
{
    int fd = io_open_parent(path, error);
    bool ok = fd >= 0 && io_sync_parent_fd(fd, path, error);

    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

/*
 * File systems without RENAME_NOREPLACE (old NFS, for instance) say EINVAL;
 * link() refuses an existing name there too.  Where there are no links either,
 * the time between looking and renaming is all that is left.
 */
int io_rename_new(const char *from, const char *to)
{
    struct stat st;

    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return -1;
    }
    if (link(from, to) == 0) {
        /* It has its name; should the other one stay, that is all. */
        (void)unlink(from);
        return 0;
    }
    if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS) {
        return -1;
    }
    if (lstat(to, &st) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

void io_set_rename_error(GError **error, int errnum, const char *from,
                         const char *to)
{
    g_autofree char *reason = backup_strerror(errnum);

    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "cannot rename '%s' to '%s': %s%s", from, to, reason,
                errnum == EEXIST ? " (another run has made it meanwhile: take "
                                   "another name, or --force)" : "");
}
