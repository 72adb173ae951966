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
 *
 * That a writer ran before this machine was started says that it is gone, but
 * two machines may have the same id, being copies.  So the id is in the mark, and
 * looked at, on file systems of one machine only, and not on what is laid over
 * them; there the lock of one that runs, in whatever container, is seen.
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
#include <time.h>
#include <unistd.h>

#include "io/commit.h"

#define MARK "user.vma-sink.temporary"
#define RANDOM_CHARS 6          /* the XXXXXX of a name */
/* Not in every release of <linux/magic.h>. */
#define CIFS_MAGIC 0xff534d42u
#define SMB2_MAGIC 0xfe534d42u
#define CEPH_MAGIC 0x00c36400u
#define FUSE_MAGIC 0x65735546u
#define XFS_MAGIC 0x58465342u
#define ZFS_MAGIC 0x2fc12fc1u

/* How often a look at a new file is waited for, which has it for a moment. */
#define LOCK_TRIES 20
#define LOCK_PAUSE_US 5000
/* So long what is new may lack a lock, as its writer is about to take it. */
#define NEW_SECONDS 2
#define NEW_TRIES 100
#define NEW_PAUSE_US 20000

#define MACHINE_ID_FILE "/etc/machine-id"
#define MACHINE_ID_CHARS 32
#define MACHINE_CHARS 16        /* of the hash, in a mark */

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

/*
 * A hash of the machine's id, which is not for everybody to see; empty: nobody
 * knows, as where an image's is only made at the first start.
 */
static const char *machine(void)
{
    static char *hash;
    g_autofree char *id = NULL;
    g_autofree char *text = NULL;

    if (!hash) {
        hash = g_strdup("");
        if (g_file_get_contents(MACHINE_ID_FILE, &id, NULL, NULL) &&
            strlen(g_strchomp(id)) == MACHINE_ID_CHARS) {
            text = g_strdup_printf("vma-sink %s", id);
            g_free(hash);
            hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
            hash[MACHINE_CHARS] = '\0';
        }
    }
    return hash;
}

/* Whether it is damaged if two machines have it in use. */
static bool is_of_one_machine(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0) {
        return false;
    }
    switch ((uint32_t)fs.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case ZFS_MAGIC:
        return true;
    default:
        return false;
    }
}

/*
 * What our mark on the file FD is, "BOOT FILE-SYSTEM" or "BOOT FILE-SYSTEM
 * MACHINE"; NULL: it gets none.  To be freed.
 */
static char *make_mark(int fd)
{
    const char *ours = is_of_one_machine(fd) ? machine() : "";
    struct stat st;

    return *boot_id() && fstat(fd, &st) == 0
           ? g_strdup_printf("%s %" G_GUINT64_FORMAT "%s%s", boot_id(),
                             (guint64)st.st_dev, *ours ? " " : "", ours)
           : NULL;
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

static bool lock_new(int fd)
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES) {
            return false;
        }
        g_usleep(LOCK_PAUSE_US);
    }
    return true;
}

void io_claim(int fd)
{
    g_autofree char *mark = NULL;

    /* First of all: till then it looks left over. */
    if (io_is_remote(fd) || !lock_new(fd)) {
        return;
    }
    /* (Without a lock this would say that it is nobody's.) */
    mark = make_mark(fd);
    if (mark) {
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

/* Made on this machine, before it was started for the last time. */
static bool is_of_earlier_boot(const char *found, const char *mark)
{
    g_auto(GStrv) theirs = g_strsplit(found, " ", 0);
    g_auto(GStrv) ours = g_strsplit(mark, " ", 0);

    return g_strv_length(theirs) == 3 && g_strv_length(ours) == 3 &&
           *theirs[0] && strcmp(theirs[0], ours[0]) != 0 &&
           strcmp(theirs[2], ours[2]) == 0;
}

/* What is not locked has lost its writer. */
static bool has_our_mark(int fd)
{
    g_autofree char *mark = make_mark(fd);
    char found[128];
    ssize_t bytes = fgetxattr(fd, MARK, found, sizeof(found) - 1);

    if (!mark || bytes <= 0) {
        return false;
    }
    found[bytes] = '\0';
    return strcmp(found, mark) == 0 || is_of_earlier_boot(found, mark);
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

/* Whether FD is open on NAME in the folder FOLDER_FD, still. */
static bool is_named(int folder_fd, const char *name, int fd)
{
    struct stat st, now;

    return fstat(fd, &st) == 0 &&
           fstatat(folder_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_dev == now.st_dev && st.st_ino == now.st_ino;
}

static bool is_new(int fd)
{
    struct stat st;
    int64_t age = fstat(fd, &st) == 0 ? time(NULL) - st.st_ctim.tv_sec : -1;

    return age >= 0 && age <= NEW_SECONDS;
}

/*
 * What is UNLOCKED and new is waited for, as its writer may go on; but no
 * longer, should somebody else be changing it.
 */
static bool looks_left_over(int folder_fd, const char *name, int fd, Lock lock)
{
    for (int i = 0; lock == UNLOCKED && is_new(fd) && i < NEW_TRIES &&
                    is_named(folder_fd, name, fd); i++) {
        (void)flock(fd, LOCK_UN);
        g_usleep(NEW_PAUSE_US);
        lock = look_at_lock(fd);
    }
    return lock != LOCKED && is_named(folder_fd, name, fd);
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
        /* (With another name by now it is finished.) */
        removed = lock == UNLOCKED && has_our_mark(fd) &&
                  is_named(folder_fd, name, fd) &&
                  remove_temp(folder_fd, name, fd, S_ISDIR(st.st_mode));
        if (func && (removed || looks_left_over(folder_fd, name, fd, lock))) {
            func(path, removed, opaque);
        }
    }
    close(fd);
}

void io_stale_remove(const char *path, IoStaleFunc *func, void *opaque)
{
    g_autofree char *name = io_strip_slashes(path);
    g_autofree char *folder = g_path_get_dirname(name);
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
