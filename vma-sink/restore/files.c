/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of one restore.
 */
#include "restore/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/stale.h"
#include "io/io.h"

typedef struct RestoreFile {
    IoOutput *output;
    struct stat st;             /* of the output, while finishing */
    bool replaces;              /* there was a file of its name */
} RestoreFile;

struct RestoreFiles {
    char *folder;               /* NULL: there is none */
    bool overwrite;
    bool remove_folder;         /* it was created here and is not finished */
    GPtrArray *files;           /* of RestoreFile */
};

static void file_free(gpointer data)
{
    RestoreFile *file = data;

    io_output_free(file->output);
    g_free(file);
}

RestoreFiles *restore_files_new(const char *folder, bool overwrite,
                                GError **error)
{
    RestoreFiles *files;
    bool created = folder && mkdir(folder, 0777) == 0;
    struct stat st;

    if (folder && !created && errno != EEXIST) {
        backup_error_set_errno(error, errno, "cannot create folder '%s'",
                               folder);
        return NULL;
    }
    if (folder && !created &&
        (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' is not a folder", folder);
        return NULL;
    }
    files = g_new0(RestoreFiles, 1);
    files->folder = g_strdup(folder);
    files->overwrite = overwrite;
    files->remove_folder = created;
    if (folder && !created) {
        g_autofree char *inside = g_build_filename(folder, "x", NULL);

        cli_remove_stale(inside);
    }
    files->files = g_ptr_array_new_with_free_func(file_free);
    return files;
}

void restore_files_free(RestoreFiles *files)
{
    if (!files) {
        return;
    }
    g_ptr_array_unref(files->files);
    if (files->remove_folder) {
        /* It stays if somebody else has put something there. */
        rmdir(files->folder);
    }
    g_free(files->folder);
    g_free(files);
}

static IoOutput *add(RestoreFiles *files, const char *path, GError **error)
{
    IoOutput *output = io_output_new(path, files->overwrite, error);
    RestoreFile *file;

    if (output) {
        file = g_new0(RestoreFile, 1);
        file->output = output;
        g_ptr_array_add(files->files, file);
    }
    return output;
}

IoOutput *restore_files_add(RestoreFiles *files, const char *name,
                            GError **error)
{
    g_autofree char *path = g_build_filename(files->folder, name, NULL);

    return add(files, path, error);
}

IoOutput *restore_files_add_path(RestoreFiles *files, const char *path,
                                 GError **error)
{
    cli_remove_stale(path);
    return add(files, path, error);
}

guint restore_files_count(const RestoreFiles *files)
{
    return files->files->len;
}

/* Makes the entry of a new folder durable. */
static bool sync_parent(const char *folder, GError **error)
{
    g_autofree char *parent = g_build_filename(folder, "..", NULL);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok;

    /* EINVAL: this file system has no such thing as syncing a folder. */
    ok = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
    if (!ok) {
        backup_error_set_errno(error, errno, "cannot sync folder '%s'", parent);
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

/* All that takes time or is likely to fail, before the first file's name. */
static bool sync_files(RestoreFiles *files, GError **error)
{
    for (guint i = 0; i < files->files->len; i++) {
        RestoreFile *file = g_ptr_array_index(files->files, i);
        int fd = io_output_fd(file->output);

        if (io_interrupted(error)) {
            return false;
        }
        if (fsync(fd) < 0 || fstat(fd, &file->st) < 0) {
            backup_error_set_errno(error, errno, "cannot sync '%s'",
                                   io_output_path(file->output));
            return false;
        }
    }
    return !files->remove_folder || sync_parent(files->folder, error);
}

/*
 * Takes the names back from the first COUNT files and returns how many had
 * replaced another file: these are the only ones of their name, and stay.
 */
static guint take_back(RestoreFiles *files, guint count)
{
    guint replaced = 0;

    for (guint i = 0; i < count; i++) {
        RestoreFile *file = g_ptr_array_index(files->files, i);
        const char *path = io_output_path(file->output);
        struct stat st;

        if (lstat(path, &st) < 0 || st.st_dev != file->st.st_dev ||
            st.st_ino != file->st.st_ino) {
            continue;
        }
        if (file->replaces) {
            replaced++;
        } else {
            unlink(path);
        }
    }
    return replaced;
}

bool restore_files_finish(RestoreFiles *files, guint *restored, GError **error)
{
    struct stat st;

    *restored = 0;
    if (!sync_files(files, error)) {
        return false;
    }
    for (guint i = 0; i < files->files->len; i++) {
        RestoreFile *file = g_ptr_array_index(files->files, i);

        file->replaces = lstat(io_output_path(file->output), &st) == 0;
        if (!io_output_finish(file->output, error)) {
            *restored = take_back(files, i + 1);
            return false;
        }
    }
    *restored = files->files->len;
    files->remove_folder = false;
    return true;
}
