/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk being restored to a sparse raw file.
 */
#include "restore/target.h"

#include <errno.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/io.h"

struct RestoreTarget {
    IoOutput *output;           /* borrowed */
    uint64_t limit_bytes;       /* the file's end, maybe RESTORE_SIZE_UNKNOWN */
    uint64_t end_bytes;         /* end of the last block written */
    uint64_t stored_bytes;

    /* The blocks that wait to be written. */
    const uint8_t *run;
    size_t run_bytes;
    uint64_t run_offset;        /* in the file */
};

RestoreTarget *restore_target_new(IoOutput *output, uint64_t size_bytes,
                                  GError **error)
{
    RestoreTarget *target;

    if (size_bytes != RESTORE_SIZE_UNKNOWN &&
        ftruncate(io_output_fd(output), size_bytes) < 0) {
        backup_error_set_errno(error, errno, "cannot give '%s' its size of %"
                               G_GUINT64_FORMAT " bytes",
                               io_output_path(output), size_bytes);
        return NULL;
    }
    target = g_new0(RestoreTarget, 1);
    target->output = output;
    target->limit_bytes = size_bytes;
    return target;
}

void restore_target_free(RestoreTarget *target)
{
    g_free(target);
}

bool restore_target_flush(RestoreTarget *target, GError **error)
{
    uint64_t room = target->limit_bytes -
                    MIN(target->run_offset, target->limit_bytes);
    size_t bytes = MIN(target->run_bytes, room);

    target->run_bytes = 0;
    if (!io_pwrite(io_output_fd(target->output), target->run, bytes,
                   target->run_offset, error)) {
        g_prefix_error(error, "cannot write '%s': ",
                       io_output_path(target->output));
        return false;
    }
    target->stored_bytes += bytes;
    target->end_bytes = MAX(target->end_bytes, target->run_offset + bytes);
    return true;
}

bool restore_target_add(RestoreTarget *target, const VmaCluster *cluster,
                        const uint8_t *blocks, GError **error)
{
    uint64_t offset = (uint64_t)cluster->number * VMA_CLUSTER_BYTES;

    for (unsigned i = 0; i < VMA_BLOCKS_PER_CLUSTER; i++) {
        uint64_t at = offset + i * VMA_BLOCK_BYTES;

        if (!(cluster->mask & 1u << i)) {
            continue;
        }
        if (target->run_bytes == 0 ||
            blocks != target->run + target->run_bytes ||
            at != target->run_offset + target->run_bytes) {
            if (!restore_target_flush(target, error)) {
                return false;
            }
            target->run = blocks;
            target->run_offset = at;
        }
        target->run_bytes += VMA_BLOCK_BYTES;
        blocks += VMA_BLOCK_BYTES;
    }
    return true;
}

uint64_t restore_target_bytes(const RestoreTarget *target)
{
    return target->limit_bytes == RESTORE_SIZE_UNKNOWN ? target->end_bytes
                                                       : target->limit_bytes;
}

uint64_t restore_target_stored_bytes(const RestoreTarget *target)
{
    return target->stored_bytes;
}
