/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An output folder that exists under its name only once all its files are
 * whole.
 */
#include "io/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/commit.h"
#include "io/io.h"

typedef struct File {
    char *name;
    int fd;                     /* -1: closed */
} File;

struct IoFolder {
    /* Set at creation, never changed. */
    char *path;
    int fd;
    bool replaces;              /* there was a folder of that name */
    mode_t mode;                /* of that one */

    char *temp;                 /* what is to be removed; NULL: nothing */
    bool finished;              /* then that is what was replaced */
    GPtrArray *files;           /* of File */
};

static void file_free(gpointer data)
{
    File *file = data;

    if (file->fd >= 0) {
        close(file->fd);
    }
    g_free(file->name);
    g_free(file);
}

/* Before anything is created */

typedef bool EntryFunc(int folder_fd, const char *name);

/*
 * Calls FUNC with the name of each entry until it returns false: *stopped is
 * that name then, to be freed, or NULL where the folder can't be opened.
 */
static bool for_each_entry(const char *path, EntryFunc *func, char **stopped)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    *stopped = NULL;
    if (!dir) {
        return false;
    }
    while (!*stopped && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0 &&
            !func(dirfd(dir), entry->d_name)) {
            *stopped = g_strdup(entry->d_name);
        }
    }
    closedir(dir);
    return !*stopped;
}

static bool entry_is_file(int folder_fd, const char *name)
{
    struct stat st;

    return fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode);
}

static bool set_usage(GError **error, const char *path, const char *why)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                "cannot create '%s': %s", path, why);
    return false;
}

/* A folder that would be replaced, and so removed in the end. */
static bool check_old(const char *path, GError **error)
{
    g_autofree char *other = NULL;

    if (for_each_entry(path, entry_is_file, &other)) {
        return true;
    }
    if (other) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "cannot replace '%s': it holds '%s', and only a folder of "
                    "regular files is replaced", path, other);
    } else {
        backup_error_set_errno(error, errno, "cannot open folder '%s'", path);
    }
    return false;
}

/* *old tells of the folder that is there; its mode is 0 if there is none. */
static bool check_target(const char *path, bool overwrite, struct stat *old,
                         GError **error)
{
    g_autofree char *base = g_path_get_basename(path);

    if (!*path) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the name of the output is empty");
        return false;
    }
    if (strcmp(base, ".") == 0 || strcmp(base, "..") == 0 ||
        strcmp(base, "/") == 0) {
        return set_usage(error, path, "it is no name for a new folder");
    }
    if (lstat(path, old) < 0) {
        old->st_mode = 0;
        return true;
    }
    if (!S_ISDIR(old->st_mode)) {
        return set_usage(error, path, "it exists and is not a folder");
    }
    if (!overwrite) {
        return set_usage(error, path, "folder exists (--force replaces it)");
    }
    return check_old(path, error);
}

/* A folder that finish() could not sync is found now, and not then. */
static bool check_parent(const char *path, const struct stat *old,
                         GError **error)
{
    int fd = io_open_parent(path, error);
    struct stat st;
    bool ok;

    if (fd < 0) {
        return false;
    }
    ok = !old->st_mode || fstat(fd, &st) < 0 || st.st_dev == old->st_dev ||
         set_usage(error, path, "it is a mount point");
    close(fd);
    return ok;
}

static int exchange(const char *a, const char *b)
{
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

/*
 * Some file systems can't do it, and the end of a backup is too late to learn
 * that.
 */
static bool check_exchange(const IoFolder *folder, GError **error)
{
    g_autofree char *other = io_temp_template(folder->path);
    bool ok = g_mkdtemp(other) && exchange(folder->temp, other) == 0;
    int errnum = errno;

    rmdir(other);
    if (!ok) {
        backup_error_set_errno(error, errnum, "cannot replace '%s', this file "
                               "system does not exchange folders",
                               folder->path);
    }
    return ok;
}

static bool create_temp(IoFolder *folder, GError **error)
{
    g_autofree char *temp = io_temp_template(folder->path);

    if (!g_mkdtemp_full(temp, 0777)) {
        backup_error_set_errno(error, errno, "cannot create folder '%s'", temp);
        return false;
    }
    folder->temp = g_steal_pointer(&temp);
    if (folder->replaces && !check_exchange(folder, error)) {
        return false;
    }
    folder->fd = open(folder->temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0) {
        backup_error_set_errno(error, errno, "cannot open folder '%s'",
                               folder->temp);
        return false;
    }
    return true;
}

IoFolder *io_folder_new(const char *path, bool overwrite, GError **error)
{
    g_autoptr(IoFolder) folder = g_new0(IoFolder, 1);
    struct stat old;

    folder->fd = -1;
    folder->path = g_strdup(path);
    folder->files = g_ptr_array_new_with_free_func(file_free);
    for (size_t i = strlen(path); i > 1 && folder->path[i - 1] == '/'; i--) {
        folder->path[i - 1] = 0;
    }
    if (!check_target(folder->path, overwrite, &old, error) ||
        !check_parent(folder->path, &old, error)) {
        return NULL;
    }
    folder->replaces = old.st_mode != 0;
    folder->mode = old.st_mode & 0777;
    return create_temp(folder, error) ? g_steal_pointer(&folder) : NULL;
}

int io_folder_add(IoFolder *folder, const char *name, GError **error)
{
    int fd = openat(folder->fd, name,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    File *file;

    if (fd < 0) {
        backup_error_set_errno(error, errno, "cannot create '%s/%s'",
                               folder->path, name);
        return -1;
    }
    file = g_new0(File, 1);
    file->name = g_strdup(name);
    file->fd = fd;
    g_ptr_array_add(folder->files, file);
    return fd;
}

/* What was written goes to stable storage. */
static bool sync_file(const IoFolder *folder, File *file, GError **error)
{
    int fd = file->fd;

    if (io_interrupted(error)) {
        return false;
    }
    if (fsync(fd) < 0) {
        backup_error_set_errno(error, errno, "cannot sync '%s/%s'",
                               folder->path, file->name);
        return false;
    }
    file->fd = -1;
    if (close(fd) < 0) {
        backup_error_set_errno(error, errno, "cannot close '%s/%s'",
                               folder->path, file->name);
        return false;
    }
    return true;
}

static bool sync_all(const IoFolder *folder, GError **error)
{
    for (guint i = 0; i < folder->files->len; i++) {
        if (!sync_file(folder, g_ptr_array_index(folder->files, i), error)) {
            return false;
        }
    }
    if (folder->replaces) {
        /* Where the file system has no modes there is nothing to set. */
        (void)fchmod(folder->fd, folder->mode);
    }
    /* EINVAL: this file system has no such thing as syncing a folder. */
    if (fsync(folder->fd) < 0 && errno != EINVAL) {
        backup_error_set_errno(error, errno, "cannot sync '%s'", folder->temp);
        return false;
    }
    return !io_interrupted(error);
}

static bool entry_unlink(int folder_fd, const char *name)
{
    return !entry_is_file(folder_fd, name) ||
           unlinkat(folder_fd, name, 0) == 0;
}

/* What is no file, and was not there when the backup began, stays. */
static void remove_old(IoFolder *folder)
{
    g_autofree char *other = NULL;

    (void)for_each_entry(folder->temp, entry_unlink, &other);
    if (rmdir(folder->temp) == 0) {
        g_clear_pointer(&folder->temp, g_free);
    }
}

bool io_folder_finish(IoFolder *folder, GError **error)
{
    if (!sync_all(folder, error)) {
        return false;
    }
    if ((folder->replaces ? exchange(folder->temp, folder->path)
                          : io_rename_new(folder->temp, folder->path)) < 0) {
        backup_error_set_errno(error, errno, "cannot rename '%s' to '%s'",
                               folder->temp, folder->path);
        return false;
    }
    if (!io_sync_parent(folder->path, error)) {
        /* The name may not survive a loss of power, so this is no success. */
        (void)(folder->replaces ? exchange(folder->path, folder->temp)
                                : rename(folder->path, folder->temp));
        return false;
    }
    folder->finished = true;
    if (folder->replaces) {
        remove_old(folder);
    } else {
        g_clear_pointer(&folder->temp, g_free);
    }
    return true;
}

const char *io_folder_leftover(const IoFolder *folder)
{
    return folder->finished ? folder->temp : NULL;
}

void io_folder_free(IoFolder *folder)
{
    if (!folder) {
        return;
    }
    for (guint i = 0; !folder->finished && i < folder->files->len; i++) {
        const File *file = g_ptr_array_index(folder->files, i);

        unlinkat(folder->fd, file->name, 0);
    }
    if (!folder->finished && folder->temp) {
        rmdir(folder->temp);
    }
    if (folder->fd >= 0) {
        close(folder->fd);
    }
    g_ptr_array_unref(folder->files);
    g_free(folder->temp);
    g_free(folder->path);
    g_free(folder);
}
