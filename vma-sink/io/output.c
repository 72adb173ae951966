/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An output file that exists under its name only once it is whole.
 */
#include "io/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/io.h"

struct IoOutput {
    char *path;                 /* final name; NULL: standard output */
    char *temp;                 /* NULL: nothing to remove */
    int fd;
    bool overwrite;
    uint64_t bytes;
};

static IoOutput *output_new_stdout(GError **error)
{
    IoOutput *output;

    if (isatty(STDOUT_FILENO)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "refusing to write binary data to a terminal");
        return NULL;
    }
    output = g_new0(IoOutput, 1);
    output->fd = STDOUT_FILENO;
    return output;
}

/* A file with the permissions that the user's umask gives new files. */
static int create_temp(char *template, const char *suffix)
{
    int fd = mkostemps(template, strlen(suffix), O_CLOEXEC);
    mode_t mask;

    if (fd >= 0) {
        mask = umask(0);
        umask(mask);
        /* Where the file system has no modes there is nothing to set. */
        (void)fchmod(fd, 0666 & ~mask);
    }
    return fd;
}

IoOutput *io_output_new(const char *path, bool overwrite, GError **error)
{
    static const char suffix[] = ".partial";
    g_autofree char *temp = NULL;
    IoOutput *output;
    struct stat st;
    int fd;

    if (strcmp(path, "-") == 0) {
        return output_new_stdout(error);
    }
    if (lstat(path, &st) == 0) {
        if (!S_ISREG(st.st_mode)) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "cannot create '%s': it exists and is not a regular "
                        "file", path);
            return NULL;
        }
        if (!overwrite) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "cannot create '%s': file exists (--force replaces it)",
                        path);
            return NULL;
        }
    }
    temp = g_strconcat(path, ".XXXXXX", suffix, NULL);
    fd = create_temp(temp, suffix);
    if (fd < 0) {
        backup_error_set_errno(error, errno, "cannot create '%s'", temp);
        return NULL;
    }
    output = g_new0(IoOutput, 1);
    output->path = g_strdup(path);
    output->temp = g_steal_pointer(&temp);
    output->fd = fd;
    output->overwrite = overwrite;
    return output;
}

void io_output_free(IoOutput *output)
{
    if (!output) {
        return;
    }
    if (output->temp) {
        unlink(output->temp);
    }
    if (output->path && output->fd >= 0) {
        close(output->fd);
    }
    g_free(output->temp);
    g_free(output->path);
    g_free(output);
}

bool io_output_write(IoOutput *output, const void *buffer, size_t bytes,
                     GError **error)
{
    if (!io_write(output->fd, buffer, bytes, error)) {
        g_prefix_error(error, "cannot write '%s': ", io_output_path(output));
        return false;
    }
    output->bytes += bytes;
    return true;
}

uint64_t io_output_bytes(const IoOutput *output)
{
    return output->bytes;
}

int io_output_fd(const IoOutput *output)
{
    return output->fd;
}

const char *io_output_path(const IoOutput *output)
{
    return output->path ? output->path : "standard output";
}

/*
 * File systems without RENAME_NOREPLACE (old NFS, for instance) say EINVAL;
 * link() refuses an existing name there too.
 */
static int rename_noreplace(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return -1;
    }
    return link(from, to) == 0 ? unlink(from) : -1;
}

static bool sync_folder(const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok;

    if (fd < 0) {
        backup_error_set_errno(error, errno, "cannot open folder '%s'", folder);
        return false;
    }
    /* EINVAL: this file system has no such thing as syncing a folder. */
    ok = fsync(fd) == 0 || errno == EINVAL;
    if (!ok) {
        backup_error_set_errno(error, errno, "cannot sync folder '%s'", folder);
    }
    close(fd);
    return ok;
}

/* Standard output may be a pipe, which can't be synced; a file can. */
static bool finish_stdout(IoOutput *output, GError **error)
{
    if (fsync(output->fd) < 0 && errno != EINVAL && errno != EROFS &&
        errno != ENOTSUP) {
        backup_error_set_errno(error, errno, "cannot sync standard output");
        return false;
    }
    /* Some file systems report a full disk only here. */
    if (close(output->fd) < 0) {
        backup_error_set_errno(error, errno, "cannot close standard output");
        return false;
    }
    output->fd = -1;
    return true;
}

bool io_output_finish(IoOutput *output, GError **error)
{
    int fd = output->fd;

    if (!output->path) {
        return finish_stdout(output, error);
    }
    if (io_interrupted(error)) {
        return false;
    }
    if (fsync(fd) < 0) {
        backup_error_set_errno(error, errno, "cannot sync '%s'", output->temp);
        return false;
    }
    output->fd = -1;
    if (close(fd) < 0) {
        backup_error_set_errno(error, errno, "cannot close '%s'", output->temp);
        return false;
    }
    if ((output->overwrite ? rename(output->temp, output->path)
                           : rename_noreplace(output->temp, output->path)) < 0) {
        backup_error_set_errno(error, errno, "cannot rename '%s' to '%s'",
                               output->temp, output->path);
        return false;
    }
    g_clear_pointer(&output->temp, g_free);
    if (!sync_folder(output->path, error)) {
        /*
         * The name may not survive a loss of power, so this is no success,
         * and what is no success leaves no file.  One that replaced another
         * is whole and the only one left, so it stays.
         */
        if (!output->overwrite) {
            unlink(output->path);
        }
        return false;
    }
    return true;
}
