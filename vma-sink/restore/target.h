/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk being restored to a sparse raw file: stored blocks are written,
 * everything else is a hole.
 */
#ifndef RESTORE_TARGET_H
#define RESTORE_TARGET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/output.h"
#include "vma/extent.h"

/* For a device whose end nobody knows: the file ends with its last block. */
#define RESTORE_SIZE_UNKNOWN UINT64_MAX

typedef struct RestoreTarget RestoreTarget;

/* Gives the file its size.  OUTPUT is borrowed, and the caller's to finish. */
RestoreTarget *restore_target_new(IoOutput *output, uint64_t size_bytes,
                                  GError **error);

/* What was not flushed is dropped. */
void restore_target_free(RestoreTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreTarget, restore_target_free)

/*
 * Adds a cluster with its stored blocks, which must stay where they are until
 * the target is flushed: blocks that follow one another both there and in the
 * file become one write.  What lies past the file's end is left out.
 */
bool restore_target_add(RestoreTarget *target, const VmaCluster *cluster,
                        const uint8_t *blocks, GError **error);
bool restore_target_flush(RestoreTarget *target, GError **error);

/* The file's size; and how much of it is stored blocks. */
uint64_t restore_target_bytes(const RestoreTarget *target);
uint64_t restore_target_stored_bytes(const RestoreTarget *target);

#endif /* RESTORE_TARGET_H */
