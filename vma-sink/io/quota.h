/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How large a file may become: by itself, and together with all other files of
 * its folder, folders in there not counted.
 *
 * Of several who write at a time each sees what the others have been granted,
 * before it is written, so together they do not pass the limit; all of them
 * have to have one, and to be the same user.  Across a network, where a lock may
 * take long, they may pass it by 16 MiB each.
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

    /* Set by the caller to -1, and later to the file's own; borrowed. */
    int file_fd;

    /* Set to 0 by the caller. */
    uint64_t taken_bytes;       /* written to the file */
    uint64_t granted_bytes;     /* may be without another look */
    uint64_t left_bytes;        /* ungranted, at the last look */
} IoQuota;

/*
 * Before BYTES more are appended to the file, which is in the folder, under a
 * temporary name (io/commit.h), with all that was appended before.  False, of
 * kind FAILED: that is too much, or the folder can't be read.  Before there is
 * a file BYTES is 0, which asks whether there is any room left.
 */
bool io_quota_take(IoQuota *quota, uint64_t bytes, GError **error);

/* Nothing more is appended: what was granted beyond that is for others. */
void io_quota_give_back(IoQuota *quota);

/*
 * For a change of the file's name: nobody with a quota reads the folder until
 * the descriptor is closed.  Waits for a moment at the most.  -1: it is not
 * locked, or need not be.
 */
int io_quota_lock(const IoQuota *quota);

#endif /* IO_QUOTA_H */
