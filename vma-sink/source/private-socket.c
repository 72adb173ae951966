/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A folder that is only ours keeps others from the socket, and both lose their
 * names at once.
 */
#include "source/private-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "backup/error.h"

/* A socket that listens at PATH; -1: an error. */
static int listen_at(const char *path, int clients, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >=
        sizeof(address.sun_path)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the path '%s' is too long for a socket (TMPDIR says where "
                    "it is)", path);
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, clients) < 0) {
        backup_error_set_errno(error, errno, "cannot listen on '%s'", path);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

int private_socket_listen(int clients, int *name_fd, GError **error)
{
    g_autofree char *folder = g_dir_make_tmp("vma-dump.XXXXXX", error);
    g_autofree char *path = NULL;
    int fd;

    if (!folder) {
        return -1;
    }
    path = g_build_filename(folder, "nbd", NULL);
    fd = listen_at(path, clients, error);
    if (fd >= 0) {
        *name_fd = open(path, O_PATH | O_CLOEXEC);
        if (*name_fd < 0) {
            backup_error_set_errno(error, errno, "cannot open '%s'", path);
            close(fd);
            fd = -1;
        }
    }
    g_unlink(path);
    g_rmdir(folder);
    return fd;
}
