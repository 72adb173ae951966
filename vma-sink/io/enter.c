/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For a program that somebody else may use on one folder only.
 */
#include "io/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/commit.h"

int io_enter_folder(const char *path, GError **error)
{
    g_autofree char *name = io_strip_slashes(path);
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) {
        backup_error_set_errno(error, errno, errno == ENOTDIR || errno == ELOOP
                               ? "cannot enter '%s', which must be a folder "
                                 "itself and no link to one"
                               : "cannot enter '%s'", path);
        return -1;
    }
    if (fchdir(fd) < 0) {
        backup_error_set_errno(error, errno, "cannot enter '%s'", path);
        close(fd);
        return -1;
    }
    return fd;
}
