/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How large a file may become.
 *
 * What a file is granted is noted as a lock on it, of as many bytes, far behind
 * all data.  Others see that in a look, and it goes with the process, however
 * that ends.  Who wants more notes it first and looks then: of two at a time at
 * least one sees both notes, so the limit holds whatever else happens.
 *
 * The lock on the folder is a courtesy.  It keeps two from refusing each other
 * what is there for one, and a file from being missed since it got its name
 * while the folder was read.  Anybody may hold it who can read the folder, and
 * not every file system has it; so it is not waited for long.
 */
#include "io/quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/commit.h"
#include "io/stale.h"

/* At most so much, and so much of what is left, is granted ahead. */
#define STEP_BYTES ((uint64_t)16 << 20)
#define STEP_PART 16
#define NOTE_START ((off_t)1 << 62)
#define LOCK_TRIES 50
#define LOCK_PAUSE_US 10000

static int open_folder(const IoQuota *q)
{
    return openat(q->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int io_quota_lock(const IoQuota *q)
{
    int fd = q->folder_bytes < UINT64_MAX && !io_is_remote(q->folder_fd)
             ? open_folder(q) : -1;

    for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES) {
            close(fd);
            return -1;
        }
        g_usleep(LOCK_PAUSE_US);
    }
    return fd;
}

static void unlock(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

/*
 * False: others see no more than what is written.  That is so across a network,
 * too, but there a look takes long as well, and steps are granted all the same.
 */
static bool note(const IoQuota *q, uint64_t bytes)
{
    struct flock noted = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = NOTE_START,
        .l_len = bytes,
    };
    struct flock rest = {
        .l_type = F_UNLCK,
        .l_whence = SEEK_SET,
        .l_start = NOTE_START + bytes,
    };

    if (q->file_fd >= 0 && io_is_remote(q->file_fd)) {
        return true;
    }
    /* (No bytes would be all, to the end of what can be locked.) */
    return q->file_fd >= 0 && bytes < (uint64_t)NOTE_START &&
           (bytes == 0 || fcntl(q->file_fd, F_OFD_SETLK, &noted) == 0) &&
           fcntl(q->file_fd, F_OFD_SETLK, &rest) == 0;
}

/* Of a file of anybody's; 0: there is no note. */
static uint64_t noted_bytes(int folder_fd, const char *name)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
                    O_CLOEXEC);
    /* Who may only read the file could not have locked it for writing. */
    struct flock found = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = NOTE_START,
        .l_len = 1,
    };
    bool is_note = fd >= 0 && !io_is_remote(fd) &&
                   fcntl(fd, F_OFD_GETLK, &found) == 0 &&
                   found.l_type == F_WRLCK && found.l_start == NOTE_START;

    if (fd >= 0) {
        close(fd);
    }
    return is_note ? found.l_len : 0;
}

/*
 * What the files but OWN have or are granted.  What goes away meanwhile, as
 * temporary files do, is left out.
 */
static uint64_t sum_files(DIR *dir, const struct stat *own)
{
    struct dirent *entry;
    struct stat st;
    uint64_t bytes, sum = 0;

    while ((entry = readdir(dir))) {
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(st.st_mode) ||
            (own && st.st_ino == own->st_ino && st.st_dev == own->st_dev)) {
            continue;
        }
        bytes = st.st_size;
        if (g_str_has_suffix(entry->d_name, IO_TEMP_SUFFIX)) {
            bytes = MAX(bytes, noted_bytes(dirfd(dir), entry->d_name));
        }
        sum += MIN(bytes, UINT64_MAX - sum);
    }
    return sum;
}

static bool others_bytes(const IoQuota *q, uint64_t *bytes, GError **error)
{
    struct stat own;
    bool has_own = q->file_fd >= 0 && fstat(q->file_fd, &own) == 0;
    int fd = open_folder(q);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        backup_error_set_errno(error, errno, "cannot read the folder");
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    *bytes = sum_files(dir, has_own ? &own : NULL);
    closedir(dir);
    return true;
}

static bool set_exceeded(GError **error, const char *what, uint64_t limit)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "%s would have more than the %" G_GUINT64_FORMAT " bytes that "
                "it may have", what, limit);
    return false;
}

/*
 * Has the file granted BYTES in all, which is a step more where there is room
 * for it, and where others can see it.
 */
static bool grant(IoQuota *q, uint64_t bytes, GError **error)
{
    uint64_t step = MIN(STEP_BYTES, q->left_bytes / STEP_PART);
    uint64_t others, room;

    for (;;) {
        step = note(q, bytes + step) ? step : 0;
        if (!others_bytes(q, &others, error)) {
            return false;
        }
        room = q->folder_bytes - MIN(others, q->folder_bytes);
        if (bytes + step <= room) {
            break;
        }
        if (step == 0) {
            note(q, q->granted_bytes);
            return set_exceeded(error, "its folder", q->folder_bytes);
        }
        step = 0;
    }
    q->granted_bytes = q->file_fd < 0 ? 0 : bytes + step;
    q->left_bytes = room - (bytes + step);
    return true;
}

bool io_quota_take(IoQuota *q, uint64_t bytes, GError **error)
{
    uint64_t wanted = q->taken_bytes + bytes;
    bool ok = true;
    int lock;

    if (wanted > q->file_bytes) {
        return set_exceeded(error, "the file", q->file_bytes);
    }
    if (q->folder_bytes < UINT64_MAX &&
        (wanted > q->granted_bytes || q->file_fd < 0)) {
        lock = io_quota_lock(q);
        ok = grant(q, MAX(wanted, 1), error);
        unlock(lock);
    }
    if (ok) {
        q->taken_bytes = wanted;
    }
    return ok;
}

void io_quota_give_back(IoQuota *q)
{
    if (q->granted_bytes > q->taken_bytes && note(q, q->taken_bytes)) {
        q->granted_bytes = q->taken_bytes;
    }
}
