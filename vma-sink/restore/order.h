/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a disk of an archive in the disk's order, from front to back.
 *
 * An archive has clusters in the order in which they were saved: what a guest
 * wrote meanwhile comes early, wherever it is on the disk.  So an extent can be
 * wanted several times.  It is read and verified once, if there is memory, and
 * what is wanted later is kept; where there is not enough, what is wanted
 * soonest is kept and the rest is read again, of a plain archive no more than
 * the blocks that are wanted.
 *
 * All that is known from the index before anything is read.  So the memory is
 * bounded, and the threads of a compressed archive know what to do next.
 */
#ifndef RESTORE_ORDER_H
#define RESTORE_ORDER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "restore/archive.h"
#include "vma/index.h"

typedef struct RestoreOrder RestoreOrder;

/* What makes sense: ten full extents, besides the current one. */
#define RESTORE_ORDER_KEPT_BYTES (UINT64_C(40) << 20)

/*
 * For the bytes FROM to TO of a disk.  Both are borrowed; INDEX is that of
 * restore_scan(), and gets checks.  KEPT_BYTES of data are kept at the most.
 * Memory besides: an extent, and 20 bytes for each time that the next cluster
 * is in another extent.  False, of kind FAILED: that is too often.
 */
RestoreOrder *restore_order_new(const RestoreArchive *archive, VmaIndex *index,
                                uint8_t device_id, uint64_t from, uint64_t to,
                                uint64_t kept_bytes, GError **error);
void restore_order_free(RestoreOrder *order);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreOrder, restore_order_free)

/*
 * Lets threads decompress ahead of the reading.  At the beginning only, and by
 * one that has the archive to itself.
 */
void restore_order_expect(RestoreOrder *order);

/*
 * Reads bytes of the disk, from FROM on or later, never before what was read
 * last.  Every byte comes out of an extent that matches its digest, where the
 * archive has digests.  False: *error is of kind DAMAGED, INCOMPLETE or FAILED.
 */
bool restore_order_read(RestoreOrder *order, uint64_t offset, void *buffer,
                        size_t bytes, GError **error);

/* How much of the archive was read. */
uint64_t restore_order_bytes(const RestoreOrder *order);

#endif /* RESTORE_ORDER_H */
