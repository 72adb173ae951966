/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk being restored to a block device, in place.
 *
 * Writes go through the page cache, as blocks come in any order and from memory
 * that is not aligned for O_DIRECT.  So that the cache does not hold gigabytes
 * that wait for the fsync() at the end, which no signal interrupts, writing
 * back is started now and then.  Nobody waits for that, because waiting would
 * take the error of a failed write, which is fsync()'s to report.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/disk-lock.h"
#include "io/io.h"
#include "restore/target-kind.h"

#define WRITE_BACK_BYTES (32u << 20)
/* Less than this is written: telling a device to zero it takes longer. */
#define MIN_ZERO_BYTES VMA_CLUSTER_BYTES

static const uint8_t zeroes[1u << 20];

typedef struct BlockTarget {
    RestoreTarget target;
    int fd;
    size_t cached_bytes;        /* written since writing back was started */
    bool no_punch;              /* the device can't do it */
    bool no_zeroout;
} BlockTarget;

static bool block_write(RestoreTarget *target, const uint8_t *data,
                        size_t bytes, uint64_t offset, GError **error)
{
    BlockTarget *b = (BlockTarget *)target;

    if (!io_pwrite(b->fd, data, bytes, offset, error)) {
        return false;
    }
    b->cached_bytes += bytes;
    if (b->cached_bytes >= WRITE_BACK_BYTES) {
        /* Only advice. */
        (void)sync_file_range(b->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        b->cached_bytes = 0;
    }
    return true;
}

static bool write_zeroes(RestoreTarget *target, uint64_t offset,
                         uint64_t bytes, GError **error)
{
    while (bytes > 0) {
        size_t step = MIN(bytes, sizeof(zeroes));

        if (!block_write(target, zeroes, step, offset, error)) {
            return false;
        }
        offset += step;
        bytes -= step;
    }
    return true;
}

/*
 * Unmaps the place where that gives zeroes, else lets the kernel zero it.
 * False: it can do neither, or failed, in which case writing will tell why.
 */
static bool zero_by_kernel(BlockTarget *b, uint64_t offset, uint64_t bytes)
{
    uint64_t range[2] = { offset, bytes };

    if (!b->no_punch) {
        if (fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      offset, bytes) == 0) {
            return true;
        }
        b->no_punch = errno != EINTR;
    }
    if (!b->no_zeroout) {
        if (ioctl(b->fd, BLKZEROOUT, range) == 0) {
            return true;
        }
        b->no_zeroout = errno != EINTR;
    }
    return false;
}

static bool block_zero(RestoreTarget *target, uint64_t offset, uint64_t bytes,
                       GError **error)
{
    /* Devices have sectors of 512 or 4096 bytes. */
    uint64_t whole = bytes / VMA_BLOCK_BYTES * VMA_BLOCK_BYTES;

    if (io_interrupted(error)) {
        return false;
    }
    if (whole >= MIN_ZERO_BYTES &&
        zero_by_kernel((BlockTarget *)target, offset, whole)) {
        offset += whole;
        bytes -= whole;
    }
    return write_zeroes(target, offset, bytes, error);
}

/*
 * Syncs, and lets go of the pages: they are of no use to whoever has the guest,
 * and others are.
 */
static bool block_finish(RestoreTarget *target, GError **error)
{
    BlockTarget *b = (BlockTarget *)target;
    int fd = b->fd;

    if (io_interrupted(error)) {
        return false;
    }
    if (fsync(fd) < 0) {
        backup_error_set_errno(error, errno, "cannot sync");
        return false;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    b->fd = -1;
    if (close(fd) < 0) {
        backup_error_set_errno(error, errno, "cannot close");
        return false;
    }
    return true;
}

static void block_free(RestoreTarget *target)
{
    BlockTarget *b = (BlockTarget *)target;

    if (b->fd >= 0) {
        close(b->fd);
    }
    g_free(b);
}

static const RestoreTargetKind block_kind = {
    .write = block_write,
    .zero = block_zero,
    .finish = block_finish,
    .free = block_free,
};

static bool check_device(int fd, const char *path, uint64_t size_bytes,
                         GError **error)
{
    uint64_t bytes;
    int read_only;

    /* (What is no block device, any more, does not know these.) */
    if (ioctl(fd, BLKROGET, &read_only) < 0 ||
        ioctl(fd, BLKGETSIZE64, &bytes) < 0) {
        backup_error_set_errno(error, errno, "cannot get the size of '%s'",
                               path);
        return false;
    }
    /* Some kernels open it for writing all the same. */
    if (read_only) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' is read-only", path);
        return false;
    }
    return restore_target_check_size(path, bytes, size_bytes, error);
}

RestoreTarget *restore_target_new_block(const char *path, uint64_t size_bytes,
                                        bool zeroed, GError **error)
{
    /* O_EXCL: not while it is mounted, or used by another device. */
    int fd = open(path, O_RDWR | O_EXCL | O_CLOEXEC);
    BlockTarget *b;

    if (fd < 0) {
        backup_error_set_errno(error, errno, "cannot open '%s'%s", path,
                               errno == EBUSY ? ", which is in use (mounted, "
                                                "for instance)" : "");
        return NULL;
    }
    /* A running QEMU has it open without O_EXCL, and locks it instead. */
    if (!io_disk_lock_write(fd, error)) {
        g_prefix_error(error, "cannot open '%s': ", path);
        close(fd);
        return NULL;
    }
    if (!check_device(fd, path, size_bytes, error)) {
        close(fd);
        return NULL;
    }
    b = g_new0(BlockTarget, 1);
    b->target.kind = &block_kind;
    b->target.name = g_strdup(path);
    b->target.limit_bytes = size_bytes;
    b->target.zeroed = zeroed;
    b->fd = fd;
    return &b->target;
}
