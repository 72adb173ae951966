/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An output file that exists under its name only once it is whole.
 */
#include "io/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/commit.h"
#include "io/io.h"
#include "io/stale.h"

struct IoOutput {
    char *path;                 /* final name; NULL: standard output */
    char *temp;                 /* NULL: nothing to remove */
    int fd;
    int folder_fd;              /* that it is in; -1: it is not held */
    bool replaces;              /* there was a file of that name */
    uint64_t bytes;
    IoQuota *quota;             /* borrowed; NULL: there is none */
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
    output->folder_fd = -1;
    return output;
}

/* With *MODE, or where that is NULL with what the umask gives new files. */
static int create_temp(char *template, const mode_t *mode)
{
    int fd = mkostemps(template, strlen(IO_TEMP_SUFFIX), O_CLOEXEC);
    mode_t mask;

    if (fd >= 0) {
        mask = umask(0);
        umask(mask);
        /* Where the file system has no modes there is nothing to set. */
        (void)fchmod(fd, mode ? *mode : 0666 & ~mask);
    }
    return fd;
}

/*
 * Whether the folder is one of devices: what is no device there was meant to be
 * one, and would take up memory.  (/dev/shm is for files.)
 */
static bool is_for_devices(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    char *real = realpath(folder, NULL);
    bool is = real && (strcmp(real, "/dev") == 0 ||
                       (g_str_has_prefix(real, "/dev/") &&
                        strcmp(real, "/dev/shm") != 0 &&
                        !g_str_has_prefix(real, "/dev/shm/")));

    free(real);
    return is;
}

/* That of a new file. */
static bool check_folder(const char *path, GError **error)
{
    if (is_for_devices(path)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "cannot create '%s': there is no such device, and files do "
                    "not belong there", path);
        return false;
    }
    return true;
}

/*
 * The kernel is asked by what it would never do: it says that a file is no
 * folder only after it has found that it could be removed, which one of another
 * user in a sticky folder can't, for instance.  Other errors tell nothing.
 */
static bool check_replaceable(const char *path, GError **error)
{
    struct statx st;

    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) == 0 &&
        st.stx_attributes & STATX_ATTR_MOUNT_ROOT) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "cannot replace '%s': it is a mount point", path);
        return false;
    }
    if (rmdir(path) < 0 && errno == EPERM) {
        backup_error_set_errno(error, errno, "cannot replace '%s'", path);
        return false;
    }
    return true;
}

/* *replaces and *mode tell of the file that is there, if there is one. */
static bool check_target(const char *path, bool overwrite, bool *replaces,
                         mode_t *mode, GError **error)
{
    struct stat st;
    int there;

    *replaces = false;
    if (!*path) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the name of the output is empty");
        return false;
    }
    there = io_look_at_name(path, &st, error);
    if (there < 0) {
        return false;
    }
    if (!there) {
        return check_folder(path, error);
    }
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "cannot create '%s': it exists and is not a regular file",
                    path);
        return false;
    }
    if (!overwrite) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "cannot create '%s': file exists (--force replaces it)",
                    path);
        return false;
    }
    *replaces = true;
    *mode = st.st_mode & 0777;
    return check_replaceable(path, error);
}

/* MODE as of create_temp(). */
static IoOutput *output_new_file(const char *path, const mode_t *mode,
                                 GError **error)
{
    g_autofree char *temp = io_temp_template(path);
    /* A folder that finish() could not sync is found now, and not then. */
    int fd = io_open_parent(path, error);
    bool ok = fd >= 0 && io_check_parent_fd(fd, path, error);
    IoOutput *output;

    if (fd >= 0) {
        close(fd);
    }
    if (!ok) {
        return NULL;
    }
    fd = create_temp(temp, mode);
    if (fd < 0) {
        backup_error_set_errno(error, errno, "cannot create '%s'", temp);
        return NULL;
    }
    output = g_new0(IoOutput, 1);
    output->path = g_strdup(path);
    output->temp = g_steal_pointer(&temp);
    output->fd = fd;
    io_claim(fd);
    output->folder_fd = -1;
    output->replaces = mode != NULL;
    return output;
}

IoOutput *io_output_new(const char *path, bool overwrite, GError **error)
{
    bool replaces;
    mode_t mode;

    if (strcmp(path, "-") == 0) {
        return output_new_stdout(error);
    }
    return check_target(path, overwrite, &replaces, &mode, error)
           ? output_new_file(path, replaces ? &mode : NULL, error) : NULL;
}

IoOutput *io_output_new_unnamed(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, "unnamed", NULL);

    return check_folder(path, error) ? output_new_file(path, NULL, error)
                                     : NULL;
}

bool io_output_hold_folder(IoOutput *output, GError **error)
{
    if (!output->path) {
        return true;
    }
    output->folder_fd = io_open_parent(output->path, error);
    return output->folder_fd >= 0;
}

bool io_output_set_path(IoOutput *output, const char *path, bool overwrite,
                        GError **error)
{
    mode_t mode = 0;

    if (!check_target(path, overwrite, &output->replaces, &mode, error)) {
        return false;
    }
    if (output->replaces) {
        /* Where the file system has no modes there is nothing to set. */
        (void)fchmod(output->fd, mode);
    }
    g_free(output->path);
    output->path = g_strdup(path);
    return true;
}

/* A folder that is held may have another name by now. */
static void remove_temp(const IoOutput *output)
{
    g_autofree char *name = g_path_get_basename(output->temp);

    if (output->folder_fd >= 0) {
        unlinkat(output->folder_fd, name, 0);
    } else {
        unlink(output->temp);
    }
}

void io_output_free(IoOutput *output)
{
    if (!output) {
        return;
    }
    if (output->temp) {
        remove_temp(output);
    }
    if (output->path && output->fd >= 0) {
        close(output->fd);
    }
    if (output->folder_fd >= 0) {
        close(output->folder_fd);
    }
    g_free(output->temp);
    g_free(output->path);
    g_free(output);
}

void io_output_set_quota(IoOutput *output, IoQuota *quota)
{
    output->quota = quota;
    if (quota) {
        quota->file_fd = output->fd;
    }
}

bool io_output_write(IoOutput *output, const void *buffer, size_t bytes,
                     GError **error)
{
    if ((output->quota && !io_quota_take(output->quota, bytes, error)) ||
        !io_write(output->fd, buffer, bytes, error)) {
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

bool io_output_is_file(const IoOutput *output)
{
    struct stat st;

    return fstat(output->fd, &st) == 0 && S_ISREG(st.st_mode);
}

const char *io_output_temp(const IoOutput *output)
{
    return output->temp;
}

const char *io_output_path(const IoOutput *output)
{
    return output->path ? output->path : "standard output";
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

/*
 * Closes the file, which may be when a failed write is told; the claim on it is
 * held by a duplicate, to be closed, or -1: then there is none any more.
 */
static bool close_file(IoOutput *output, int *claim, GError **error)
{
    int fd = output->fd;

    *claim = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (*claim < 0) {
        io_claim_unmark(fd);
    }
    output->fd = -1;
    if (close(fd) < 0) {
        backup_error_set_errno(error, errno, "cannot close '%s'", output->temp);
        return false;
    }
    return true;
}

static bool rename_file(IoOutput *output, GError **error)
{
    if ((output->replaces ? rename(output->temp, output->path)
                          : io_rename_new(output->temp, output->path)) < 0) {
        io_set_rename_error(error, errno, output->temp, output->path);
        return false;
    }
    g_clear_pointer(&output->temp, g_free);
    return true;
}

/* From the synced file to its name. */
static bool name_file(IoOutput *output, GError **error)
{
    int claim;
    int lock = output->quota ? io_quota_lock(output->quota) : -1;
    bool ok = close_file(output, &claim, error) && rename_file(output, error);

    if (lock >= 0) {
        close(lock);
    }
    if (claim >= 0) {
        if (ok) {
            io_claim_unmark(claim);
        }
        close(claim);
    }
    return ok;
}

static bool sync_folder(const IoOutput *output, GError **error)
{
    return output->folder_fd >= 0
           ? io_sync_parent_fd(output->folder_fd, output->path, error)
           : io_sync_parent(output->path, error);
}

bool io_output_finish(IoOutput *output, GError **error)
{
    if (!output->path) {
        return finish_stdout(output, error);
    }
    if (io_interrupted(error)) {
        return false;
    }
    if (output->quota) {
        io_quota_give_back(output->quota);
    }
    if (fsync(output->fd) < 0) {
        backup_error_set_errno(error, errno, "cannot sync '%s'", output->temp);
        return false;
    }
    /* That may take a minute, and no signal makes it shorter. */
    if (io_interrupted(error) || !name_file(output, error)) {
        return false;
    }
    if (!sync_folder(output, error)) {
        /*
         * The name may not survive a loss of power, so this is no success,
         * and what is no success leaves no file.  One that replaced another
         * is whole and the only one left, so it stays.
         */
        if (output->replaces) {
            g_prefix_error(error, "'%s' is the new one, and whole, but a loss "
                           "of power may bring back the old one: ",
                           output->path);
        } else {
            unlink(output->path);
        }
        return false;
    }
    return true;
}
