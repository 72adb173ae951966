/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The locks of QEMU's block/file-posix.c, the permissions of its
 * include/block/block-common.h.
 *
 * A user of an image has a shared lock on byte 100 + i for each permission i
 * that it has, and on byte 200 + i for each that it does not share with others.
 * Whoever wants permission i looks whether byte 200 + i is locked, and whoever
 * won't share it whether byte 100 + i is; always after taking its own locks, so
 * that of two at once at least one sees the other.  The bytes need not exist.
 */
#include "io/disk-lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backup/error.h"

#define PERMISSION_BASE 100
#define NOT_SHARED_BASE 200
/* Read consistently, write, write what is there already, resize. */
#define PERMISSIONS 4
#define PERMISSION_WRITE 1

/* False with errno set; that of somebody else's lock is EAGAIN or EACCES. */
static bool call(int fd, int command, struct flock *lock)
{
    int result;

    do {
        result = fcntl(fd, command, lock);
    } while (result < 0 && errno == EINTR);
    return result == 0;
}

static bool take(int fd, off_t first, off_t count)
{
    struct flock lock = {
        .l_type = F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = first,
        .l_len = count,
    };

    return call(fd, F_OFD_SETLK, &lock) ||
           (errno != EAGAIN && errno != EACCES);
}

/* Whether somebody else has a lock of any kind on one of the bytes. */
static bool is_locked(int fd, off_t first, off_t count)
{
    struct flock lock = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = first,
        .l_len = count,
    };

    return call(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

static bool set_in_use(const char *how, GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "it is in use%s, by a QEMU or another program with its locks",
                how);
    return false;
}

bool io_disk_lock_write(int fd, GError **error)
{
    if (!take(fd, PERMISSION_BASE, PERMISSIONS) ||
        !take(fd, NOT_SHARED_BASE, PERMISSIONS) ||
        is_locked(fd, PERMISSION_BASE, PERMISSIONS) ||
        is_locked(fd, NOT_SHARED_BASE, PERMISSIONS)) {
        return set_in_use("", error);
    }
    return true;
}

bool io_disk_check_unused(int fd, GError **error)
{
    return !is_locked(fd, PERMISSION_BASE + PERMISSION_WRITE, 1) ||
           set_in_use(" for writing", error);
}
