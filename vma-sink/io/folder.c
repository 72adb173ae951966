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
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/commit.h"
#include "io/io.h"
#include "io/stale.h"

/* In a temporary folder, for a moment. */
#define PLACEHOLDER "not-empty"

typedef struct File {
    char *name;
    int fd;                     /* -1: closed */
} File;

struct IoFolder {
    /* Set at creation, never changed. */
    char *path;
    int fd;
    int parent_fd;
    /* A folder that was there and is to be replaced; open, so that no other
     * one gets its number. */
    int old_fd;                 /* -1: there was none */
    struct stat old;
    GPtrArray *old_files;       /* of IoFolderEntry: all that may be removed */


    char *temp;                 /* what is to be removed; NULL: nothing */
    bool finished;              /* then that is what was replaced */
    GPtrArray *files;           /* of File */
};

static bool replaces(const IoFolder *folder)
{
    return folder->old_fd >= 0;
}

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

static void entry_free(gpointer data)
{
    IoFolderEntry *entry = data;

    g_free(entry->name);
    g_free(entry);
}

static void set_entry(IoFolderEntry *entry, const struct stat *st)
{
    entry->bytes = st->st_size;
    entry->inode = st->st_ino;
    entry->changed_ns = st->st_mtim.tv_sec * INT64_C(1000000000) +
                        st->st_mtim.tv_nsec;
}

static bool add_entry(GPtrArray *entries, int fd, const char *name,
                      GError **error)
{
    IoFolderEntry *entry;
    struct stat st;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "it holds '%s', and only a folder of regular files is "
                    "replaced", name);
        return false;
    }
    entry = g_new0(IoFolderEntry, 1);
    entry->name = g_strdup(name);
    set_entry(entry, &st);
    g_ptr_array_add(entries, entry);
    return true;
}

/* The files of a folder that has nothing else; NULL on error. */
static GPtrArray *list_files(int fd, GError **error)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(entry_free);
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    struct dirent *entry;
    bool ok = true;

    if (!dir) {
        backup_error_set_errno(error, errno, "cannot read it");
        if (own >= 0) {
            close(own);
        }
        return NULL;
    }
    while (ok && (errno = 0, entry = readdir(dir))) {
        ok = strcmp(entry->d_name, ".") == 0 ||
             strcmp(entry->d_name, "..") == 0 ||
             add_entry(entries, fd, entry->d_name, error);
    }
    if (ok && errno) {
        backup_error_set_errno(error, errno, "cannot read it");
        ok = false;
    }
    closedir(dir);
    return ok ? g_steal_pointer(&entries) : NULL;
}

static bool set_usage(GError **error, const char *path, const char *why)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                "cannot create '%s': %s", path, why);
    return false;
}

static bool is_mount_point(int fd)
{
    struct statx st;

    /* An older kernel does not tell; most have another device number. */
    return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) == 0 &&
           st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* A folder that would be replaced, and so removed in the end. */
static bool open_old(IoFolder *folder, IoFolderMayGo *may_go, GError **error)
{
    folder->old_fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
                          O_CLOEXEC);
    if (folder->old_fd < 0 || fstat(folder->old_fd, &folder->old) < 0) {
        backup_error_set_errno(error, errno, "cannot open folder '%s'",
                               folder->path);
        return false;
    }
    /* For others it is not left over when it has the temporary name. */
    (void)flock(folder->old_fd, LOCK_EX | LOCK_NB);
    io_claim_unmark(folder->old_fd);
    if (is_mount_point(folder->old_fd)) {
        return set_usage(error, folder->path, "it is a mount point");
    }
    folder->old_files = list_files(folder->old_fd, error);
    if (!folder->old_files || !may_go(folder->old_files, error)) {
        g_prefix_error(error, "cannot replace '%s': ", folder->path);
        return false;
    }
    return true;
}

static bool check_target(IoFolder *folder, IoFolderMayGo *may_go,
                         GError **error)
{
    const char *path = folder->path;
    g_autofree char *base = g_path_get_basename(path);
    struct stat st;
    int there;

    if (!*path) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the name of the output is empty");
        return false;
    }
    if (strcmp(base, ".") == 0 || strcmp(base, "..") == 0 ||
        strcmp(base, "/") == 0) {
        return set_usage(error, path, "it is no name for a new folder");
    }
    there = io_look_at_name(path, &st, error);
    if (there <= 0) {
        return there == 0;
    }
    if (!S_ISDIR(st.st_mode)) {
        return set_usage(error, path, "it exists and is not a folder");
    }
    if (!may_go) {
        return set_usage(error, path, "folder exists (--force replaces it)");
    }
    return open_old(folder, may_go, error);
}

/* A folder that finish() could not sync is found now, and not then. */
static bool open_parent(IoFolder *folder, GError **error)
{
    struct stat st;

    folder->parent_fd = io_open_parent(folder->path, error);
    if (folder->parent_fd < 0 ||
        !io_check_parent_fd(folder->parent_fd, folder->path, error)) {
        return false;
    }
    return !replaces(folder) || fstat(folder->parent_fd, &st) < 0 ||
           st.st_dev == folder->old.st_dev ||
           set_usage(error, folder->path, "it is a mount point");
}

static int exchange(const char *a, const char *b)
{
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

/* A new one, claimed; -1 on error.  *temp is set if there is one all the same. */
static int create_claimed(const char *path, char **temp, GError **error)
{
    g_autofree char *name = io_temp_template(path);
    int fd;

    if (!g_mkdtemp_full(name, 0777)) {
        backup_error_set_errno(error, errno, "cannot create folder '%s'", name);
        return -1;
    }
    *temp = g_steal_pointer(&name);
    fd = open(*temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        backup_error_set_errno(error, errno, "cannot open folder '%s'", *temp);
        return -1;
    }
    io_claim(fd);
    return fd;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

/*
 * Nor can they rename each folder: an overlay one of its lower layers can't.  A
 * folder never takes the place of one that is not empty.  So this rename fails,
 * and how it does says whether one would that may be done.  OTHER is the folder
 * FD, empty, and is so afterwards.
 */
static bool check_movable(const IoFolder *folder, int fd, const char *other,
                          GError **error)
{
    int file = openat(fd, PLACEHOLDER, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                      0600);
    bool ok = file >= 0 && close(file) == 0;

    if (!ok) {
        backup_error_set_errno(error, errno, "cannot create '%s/%s'", other,
                               PLACEHOLDER);
    } else if (rename(folder->path, other) == 0) {
        (void)rename(other, folder->path);
        ok = set_usage(error, folder->path, "this file system lets a folder "
                       "replace one that is not empty");
    } else if (errno != ENOTEMPTY && errno != EEXIST) {
        backup_error_set_errno(error, errno, "cannot replace '%s', it can't be "
                               "renamed here (remove it, or choose another "
                               "name)", folder->path);
        ok = false;
    }
    unlinkat(fd, PLACEHOLDER, 0);
    return ok;
}

/*
 * Some file systems can't do it, and the end of a backup is too late to learn
 * that.  The temporary folder has another name then.
 */
static bool check_exchange(IoFolder *folder, GError **error)
{
    g_autofree char *other = NULL;
    int fd = create_claimed(folder->path, &other, error);
    bool ok = fd >= 0;

    if (ok && exchange(folder->temp, other) < 0) {
        backup_error_set_errno(error, errno, "cannot replace '%s', this file "
                               "system does not exchange folders",
                               folder->path);
        ok = false;
    } else if (ok) {
        char *name = folder->temp;

        folder->temp = other;
        other = name;
        ok = check_movable(folder, fd, other, error);
    }
    if (other) {
        rmdir(other);
    }
    close_if_open(fd);
    return ok;
}

static bool create_temp(IoFolder *folder, GError **error)
{
    folder->fd = create_claimed(folder->path, &folder->temp, error);
    return folder->fd >= 0 &&
           (!replaces(folder) || check_exchange(folder, error));
}

IoFolder *io_folder_new(const char *path, IoFolderMayGo *may_go,
                        GError **error)
{
    g_autoptr(IoFolder) folder = g_new0(IoFolder, 1);

    folder->fd = -1;
    folder->parent_fd = -1;
    folder->old_fd = -1;
    folder->path = io_strip_slashes(path);
    folder->files = g_ptr_array_new_with_free_func(file_free);
    return check_target(folder, may_go, error) &&
           open_parent(folder, error) &&
           create_temp(folder, error) ? g_steal_pointer(&folder) : NULL;
}

const char *io_folder_temp(const IoFolder *folder)
{
    return folder->temp;
}

bool io_folder_replaces(const IoFolder *folder)
{
    return replaces(folder);
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
    if (replaces(folder)) {
        /* Where the file system has no modes there is nothing to set. */
        (void)fchmod(folder->fd, folder->old.st_mode & 0777);
    }
    /* EINVAL: this file system has no such thing as syncing a folder. */
    if (fsync(folder->fd) < 0 && errno != EINVAL) {
        backup_error_set_errno(error, errno, "cannot sync '%s'", folder->temp);
        return false;
    }
    return !io_interrupted(error);
}

static bool is_unchanged(int fd, const IoFolderEntry *entry)
{
    IoFolderEntry now;
    struct stat st;

    if (fstatat(fd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode)) {
        return false;
    }
    set_entry(&now, &st);
    return now.inode == entry->inode && now.bytes == entry->bytes &&
           now.changed_ns == entry->changed_ns;
}

/*
 * What somebody has put there or changed since the backup began stays, and so
 * does what is not the folder that was there then.  Nothing is looked up by a
 * path, which others may change.
 */
static void remove_old(IoFolder *folder)
{
    struct stat st;

    if (lstat(folder->temp, &st) < 0 || st.st_dev != folder->old.st_dev ||
        st.st_ino != folder->old.st_ino) {
        return;
    }
    for (guint i = 0; i < folder->old_files->len; i++) {
        const IoFolderEntry *entry = g_ptr_array_index(folder->old_files, i);

        if (is_unchanged(folder->old_fd, entry)) {
            unlinkat(folder->old_fd, entry->name, 0);
        }
    }
    if (rmdir(folder->temp) == 0) {
        g_clear_pointer(&folder->temp, g_free);
    }
}

bool io_folder_finish(IoFolder *folder, GError **error)
{
    if (!sync_all(folder, error)) {
        return false;
    }
    if ((replaces(folder) ? exchange(folder->temp, folder->path)
                          : io_rename_new(folder->temp, folder->path)) < 0) {
        io_set_rename_error(error, errno, folder->temp, folder->path);
        return false;
    }
    if (!io_sync_parent_fd(folder->parent_fd, folder->path, error)) {
        /* The name may not survive a loss of power, so this is no success. */
        (void)(replaces(folder) ? exchange(folder->path, folder->temp)
                                : rename(folder->path, folder->temp));
        return false;
    }
    folder->finished = true;
    io_claim_unmark(folder->fd);
    if (replaces(folder)) {
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
        g_autofree char *name = g_path_get_basename(folder->temp);

        /* The folder that it is in may have another name by now. */
        unlinkat(folder->parent_fd, name, AT_REMOVEDIR);
    }
    close_if_open(folder->fd);
    close_if_open(folder->parent_fd);
    close_if_open(folder->old_fd);
    g_clear_pointer(&folder->old_files, g_ptr_array_unref);
    g_ptr_array_unref(folder->files);
    g_free(folder->temp);
    g_free(folder->path);
    g_free(folder);
}
