/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose a temporary file or folder is, and the removal of nobody's.
 *
 * A mark comes after the lock and goes before it, so what is marked and not
 * locked has lost its writer.  Whatever fails here costs no more than
 * that a leftover is named and not removed.
 *
 * A file may be seen by several ways, such as an overlay and what is below it,
 * or an export of this machine that it mounts itself, and a lock by one of them
 * only.  So the mark has the file system's number as well: it is another one by
 * another way.  Across a network a lock may have to be waited for: there is none.
 */
#include "io/stale.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "io/commit.h"

#define MARK "user.vma-sink.temporary"
#define RANDOM_CHARS 6          /* the XXXXXX of a name */
/* Not in every release of <linux/magic.h>. */
#define CIFS_MAGIC 0xff534d42u
#define SMB2_MAGIC 0xfe534d42u
#define CEPH_MAGIC 0x00c36400u
#define FUSE_MAGIC 0x65735546u

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

/* What our mark on the file FD is; NULL: it gets none.  To be freed. */
static char *make_mark(int fd)
{
    struct stat st;

    return *boot_id() && fstat(fd, &st) == 0
           ? g_strdup_printf("%s %" G_GUINT64_FORMAT, boot_id(),
                             (guint64)st.st_dev) : NULL;
}

/* FUSE may be anything, for instance sshfs. */
bool io_is_remote(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0) {
        return true;
    }
    switch ((uint32_t)fs.f_type) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_MAGIC:
    case SMB2_MAGIC:
    case CEPH_MAGIC:
    case AFS_SUPER_MAGIC:
    case FUSE_MAGIC:
        return true;
    default:
        return false;
    }
}

void io_claim(int fd)
{
    g_autofree char *mark = io_is_remote(fd) ? NULL : make_mark(fd);

    /* Without a lock the mark would say that it is nobody's. */
    if (mark && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        (void)fsetxattr(fd, MARK, mark, strlen(mark), 0);
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
    g_autofree char *mark = make_mark(fd);
    char found[128];
    ssize_t bytes = fgetxattr(fd, MARK, found, sizeof(found));

    return mark && bytes > 0 && (size_t)bytes == strlen(mark) &&
           memcmp(found, mark, bytes) == 0;
}

/* Of what is unlocked alone it is known that nobody writes it. */
typedef enum Lock { LOCKED, UNLOCKED, UNKNOWN } Lock;

static Lock look_at_lock(int fd)
{
    if (io_is_remote(fd)) {
        return UNKNOWN;
    }
    /* A writer's lock refuses this one. */
    return flock(fd, LOCK_SH | LOCK_NB) == 0 ? UNLOCKED :
           errno == EWOULDBLOCK ? LOCKED : UNKNOWN;
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
    Lock lock;
    bool removed;

    if (fd < 0) {
        return;
    }
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
        (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
        (lock = look_at_lock(fd)) != LOCKED) {
        removed = lock == UNLOCKED && has_our_mark(fd) &&
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
