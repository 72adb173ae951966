/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a disk is restored to.  It takes clusters in any order and makes them
 * large writes; each kind of target does with these what it has to:
 *
 *   file       a new one, where what is not written is a hole
 *   block      a block device, in place
 *   NBD        an export of an NBD server, in place
 *
 * In place means that the old contents are overwritten as the archive is read,
 * so zeroes have to be written as well, and a failure leaves a part of a disk.
 * All that can be known before is checked when the target is created, which
 * writes nothing.
 */
#ifndef RESTORE_TARGET_H
#define RESTORE_TARGET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/output.h"
#include "restore/connections.h"
#include "vma/extent.h"

/* For a device whose end nobody knows: the file ends with its last block. */
#define RESTORE_SIZE_UNKNOWN UINT64_MAX

typedef struct RestoreTarget RestoreTarget;

/* Gives the file its size.  OUTPUT is borrowed, and the caller's to finish. */
RestoreTarget *restore_target_new_file(IoOutput *output, uint64_t size_bytes,
                                       GError **error);

/*
 * Both are of SIZE_BYTES bytes or more; what lies behind is left as it is.
 * ZEROED: all of it reads as zeroes already, and none are written.  A block
 * device that is in use (mounted, for instance, or open in a QEMU) is refused,
 * and locked against every QEMU until it is freed.
 */
RestoreTarget *restore_target_new_block(const char *path, uint64_t size_bytes,
                                        bool zeroed, GError **error);
RestoreTarget *restore_target_new_nbd(RestoreConnections *connections,
                                      const char *uri, uint64_t size_bytes,
                                      bool zeroed, GError **error);

/* What was not flushed is dropped. */
void restore_target_free(RestoreTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreTarget, restore_target_free)

/*
 * Adds a cluster with its stored blocks, which must stay where they are until
 * the target is flushed: blocks that follow one another both there and in the
 * disk become one write.  What lies past the disk's end is left out.  No
 * cluster may be added twice.
 */
bool restore_target_add(RestoreTarget *target, const VmaCluster *cluster,
                        const uint8_t *blocks, GError **error);
bool restore_target_flush(RestoreTarget *target, GError **error);

/* Adds a run of zeroes, which is for clusters that were not added. */
bool restore_target_add_zeroes(RestoreTarget *target, uint64_t offset,
                               uint64_t bytes, GError **error);

/*
 * After this has returned true, and not before, all of the disk is in its place
 * and durable; of a file, it is all written.  May be called once.
 */
bool restore_target_finish(RestoreTarget *target, GError **error);

typedef enum RestoreTargetState {
    RESTORE_TARGET_UNTOUCHED,   /* nothing was written yet */
    RESTORE_TARGET_PARTLY,
    RESTORE_TARGET_WHOLE,
} RestoreTargetState;

RestoreTargetState restore_target_state(const RestoreTarget *target);
bool restore_target_in_place(const RestoreTarget *target);
/* For messages; valid as long as the target. */
const char *restore_target_name(const RestoreTarget *target);

/* The disk's size; and how much of it is stored blocks. */
uint64_t restore_target_bytes(const RestoreTarget *target);
uint64_t restore_target_stored_bytes(const RestoreTarget *target);

#endif /* RESTORE_TARGET_H */
