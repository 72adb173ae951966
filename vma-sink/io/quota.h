/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How large a file may become: by itself, and together with all other files of
 * its folder, folders in there not counted.
 *
 * The folder is looked at again for each 16 MiB, so that several who write at a
 * time are seen by each other; together they may pass the limit by as much each.
 */
#ifndef IO_QUOTA_H
#define IO_QUOTA_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct IoQuota {
    /* Set by the caller, never changed; UINT64_MAX: no limit. */
    uint64_t file_bytes;
    uint64_t folder_bytes;
    int folder_fd;              /* borrowed; of the file's folder */

    /* Set to 0 by the caller. */
    uint64_t taken_bytes;       /* written to the file */
    uint64_t granted_bytes;     /* may be without another look */
} IoQuota;

/*
 * Before BYTES more are appended to the file, which is in the folder with all
 * that was appended before.  False, of kind FAILED: that is too much, or the
 * folder can't be read.  BYTES 0 asks whether there is any room left.
 */
bool io_quota_take(IoQuota *quota, uint64_t bytes, GError **error);

#endif /* IO_QUOTA_H */
