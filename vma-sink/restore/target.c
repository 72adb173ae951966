/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a disk is restored to: clusters become large writes and runs of zeroes.
 */
#include "restore/target.h"

#include "backup/error.h"
#include "cli/cli.h"
#include "restore/target-kind.h"

/*
 * A run of zeroes can be as large as the disk.  It is made of requests that any
 * server or device takes, and that a signal need not wait for for long.
 */
#define MAX_ZERO_BYTES (UINT64_C(64) << 20)

void restore_target_free(RestoreTarget *target)
{
    if (target) {
        g_free(target->name);
        target->kind->free(target);
    }
}

bool restore_target_check_size(const char *name, uint64_t have, uint64_t need,
                               GError **error)
{
    if (have < need) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' is too small: it has %" G_GUINT64_FORMAT
                    " bytes, the disk has %" G_GUINT64_FORMAT, name, have,
                    need);
        return false;
    }
    if (have > need) {
        cli_note("'%s' is larger than the disk: its last %" G_GUINT64_FORMAT
                 " bytes are left as they are", name, have - need);
    }
    return true;
}

/* Bytes of the run that lie within the disk. */
static uint64_t within(const RestoreTarget *target, uint64_t offset,
                       uint64_t bytes)
{
    return MIN(bytes, target->limit_bytes - MIN(offset, target->limit_bytes));
}

bool restore_target_flush(RestoreTarget *target, GError **error)
{
    size_t bytes = within(target, target->run_offset, target->run_bytes);

    target->run_bytes = 0;
    if (bytes == 0) {
        return true;
    }
    target->state = RESTORE_TARGET_PARTLY;
    if (!target->kind->write(target, target->run, bytes, target->run_offset,
                             error)) {
        g_prefix_error(error, "cannot write '%s': ", target->name);
        return false;
    }
    target->stored_bytes += bytes;
    target->end_bytes = MAX(target->end_bytes, target->run_offset + bytes);
    return true;
}

static bool flush_zeroes(RestoreTarget *target, GError **error)
{
    uint64_t bytes = within(target, target->zero_offset, target->zero_bytes);

    target->zero_bytes = 0;
    if (bytes == 0) {
        return true;
    }
    target->state = RESTORE_TARGET_PARTLY;
    if (!target->kind->zero(target, target->zero_offset, bytes, error)) {
        g_prefix_error(error, "cannot write '%s': ", target->name);
        return false;
    }
    return true;
}

static bool writes_zeroes(const RestoreTarget *target)
{
    return target->kind->zero && !target->zeroed;
}

bool restore_target_add_zeroes(RestoreTarget *target, uint64_t offset,
                               uint64_t bytes, GError **error)
{
    if (!writes_zeroes(target)) {
        return true;
    }
    if (offset != target->zero_offset + target->zero_bytes) {
        if (!flush_zeroes(target, error)) {
            return false;
        }
        target->zero_offset = offset;
    }
    while (bytes > 0) {
        uint64_t step = MIN(bytes, MAX_ZERO_BYTES - target->zero_bytes);

        target->zero_bytes += step;
        bytes -= step;
        if (target->zero_bytes == MAX_ZERO_BYTES) {
            uint64_t end = target->zero_offset + MAX_ZERO_BYTES;

            if (!flush_zeroes(target, error)) {
                return false;
            }
            target->zero_offset = end;
        }
    }
    return true;
}

/* The zeroes of a cluster that has stored blocks as well. */
static bool add_zero_blocks(RestoreTarget *target, uint16_t mask,
                            uint64_t offset, GError **error)
{
    for (unsigned i = 0; i < VMA_BLOCKS_PER_CLUSTER; i++) {
        if (!(mask & 1u << i) &&
            !restore_target_add_zeroes(target, offset + i * VMA_BLOCK_BYTES,
                                       VMA_BLOCK_BYTES, error)) {
            return false;
        }
    }
    return true;
}

bool restore_target_add(RestoreTarget *target, const VmaCluster *cluster,
                        const uint8_t *blocks, GError **error)
{
    uint64_t offset = (uint64_t)cluster->number * VMA_CLUSTER_BYTES;

    if (cluster->mask == 0) {
        return restore_target_add_zeroes(target, offset, VMA_CLUSTER_BYTES,
                                         error);
    }
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
    return !writes_zeroes(target) ||
           add_zero_blocks(target, cluster->mask, offset, error);
}

bool restore_target_finish(RestoreTarget *target, GError **error)
{
    if (!restore_target_flush(target, error) || !flush_zeroes(target, error)) {
        return false;
    }
    if (target->kind->finish && !target->kind->finish(target, error)) {
        g_prefix_error(error, "cannot finish '%s': ", target->name);
        return false;
    }
    target->state = RESTORE_TARGET_WHOLE;
    return true;
}

RestoreTargetState restore_target_state(const RestoreTarget *target)
{
    return target->state;
}

bool restore_target_in_place(const RestoreTarget *target)
{
    return target->kind->zero != NULL;
}

const char *restore_target_name(const RestoreTarget *target)
{
    return target->name;
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
