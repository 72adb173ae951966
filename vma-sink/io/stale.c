/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose a temporary file or folder is, and the removal of nobody's.
 *
 * A mark comes after the lock and goes before it, so what is marked and not
 * locked has lost its writer.  Whatever fails here costs no more than
 * that a leftover is named and not removed.
 */
#include "io/stale.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "io/commit.h"

#define MARK "user.vma-sink.temporary"
#define RANDOM_CHARS 6          /* the XXXXXX of a name */

/* An id that the kernel makes up when it starts; empty: nobody knows. */
static const char *boot_id(void)
{
    static char *id;

    if (!id && !g_file_get_contents("/proc/sys/kernel/random/boot_id", &id,
                                    NULL, NULL)) {
        id = g_strdup("");
    }
    return g_strchomp(id);
}

void io_claim(int fd)
{
    /* Without a lock the mark would say that it is nobody's. */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && *boot_id()) {
        (void)fsetxattr(fd, MARK, boot_id(), strlen(boot_id()), 0);
    }
}

void io_claim_unmark(int fd)
{
    (void)fremovexattr(fd, MARK);
}

/* "NAME.XXXXXX.partial", as io_temp_template() makes them. */
static bool is_temp_name(const char *name)
{
    size_t tail = 1 + RANDOM_CHARS + strlen(IO_TEMP_SUFFIX);
    const char *random;

    if (strlen(name) <= tail || !g_str_has_suffix(name, IO_TEMP_SUFFIX)) {
        return false;
    }
    random = name + strlen(name) - tail + 1;
    if (random[-1] != '.') {
        return false;
    }
    for (int i = 0; i < RANDOM_CHARS; i++) {
        if (!g_ascii_isalnum(random[i])) {
            return false;
        }
    }
    return true;
}

static bool has_our_mark(int fd)
{
    char mark[64];
    ssize_t bytes = fgetxattr(fd, MARK, mark, sizeof(mark));

    return bytes > 0 && (size_t)bytes == strlen(boot_id()) &&
           memcmp(mark, boot_id(), bytes) == 0;
}

/* All files: the temporary folders of this project have no other entries. */
static void remove_files(int folder_fd)
{
    int own = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    struct dirent *entry;

    if (!dir) {
        if (own >= 0) {
            close(own);
        }
        return;
    }
    while ((entry = readdir(dir))) {
        /* "." and ".." are refused, being folders. */
        (void)unlinkat(folder_fd, entry->d_name, 0);
    }
    closedir(dir);
}

/* FD is open on NAME in the folder FOLDER_FD, and that nobody has it is known. */
static bool remove_temp(int folder_fd, const char *name, int fd, bool is_folder)
{
    if (is_folder) {
        remove_files(fd);
    }
    return unlinkat(folder_fd, name, is_folder ? AT_REMOVEDIR : 0) == 0;
}

static void look_at(int folder_fd, const char *folder, const char *name,
                    IoStaleFunc *func, void *opaque)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    /* Never waits, should it be a named pipe. */
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
                    O_CLOEXEC);
    struct stat st;
    bool removed;

    if (fd < 0) {
        return;
    }
    /* A writer's lock refuses this one; where there are none nothing does. */
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
        (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
        (flock(fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)) {
        removed = has_our_mark(fd) &&
                  remove_temp(folder_fd, name, fd, S_ISDIR(st.st_mode));
        if (func) {
            func(path, removed, opaque);
        }
    }
    close(fd);
}

void io_stale_remove(const char *path, IoStaleFunc *func, void *opaque)
{
    g_autofree char *folder = g_path_get_dirname(path);
    DIR *dir = opendir(folder);
    struct dirent *entry;

    if (!dir) {
        return;
    }
    while ((entry = readdir(dir))) {
        if (is_temp_name(entry->d_name)) {
            look_at(dirfd(dir), folder, entry->d_name, func, opaque);
        }
    }
    closedir(dir);
}
