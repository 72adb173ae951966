/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an archive's disks at any place, through an index.  An extent is read
 * and verified as a whole when it is first used, and the last ones are kept.  Of
 * one of a plain archive that was verified and is not kept any more only the
 * blocks that are wanted are read again, and checked by themselves; else a disk
 * whose clusters are spread over the archive, as a guest has written to them,
 * would take many times the archive's size to read.
 *
 * One of these is for one thread at a time; several may share the archive and
 * the index, and what one has verified the others need not.
 */
#ifndef RESTORE_RANDOM_H
#define RESTORE_RANDOM_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "restore/archive.h"
#include "vma/index.h"

typedef struct RestoreRandom RestoreRandom;

/*
 * Both are borrowed; INDEX is that of restore_scan(), and gets checks.  As many
 * as EXTENTS are kept, at least one, of up to VMA_EXTENT_MAX_BYTES each; of a
 * compressed archive a frame as well.
 */
RestoreRandom *restore_random_new(const RestoreArchive *archive,
                                  VmaIndex *index, unsigned extents);
void restore_random_free(RestoreRandom *random);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreRandom, restore_random_free)

/*
 * Reads bytes of a disk, which must lie within its clusters.  Every byte comes
 * out of an extent that matches its digest, where the archive has digests.
 * False: *error is of kind DAMAGED, INCOMPLETE or FAILED.
 */
bool restore_random_read(RestoreRandom *random, uint8_t device_id,
                         uint64_t offset, void *buffer, size_t bytes,
                         GError **error);

/* Whether an extent is kept, by its number in the index. */
bool restore_random_has(const RestoreRandom *random, uint32_t extent);

/* How much of the archive was read. */
uint64_t restore_random_bytes(const RestoreRandom *random);

#endif /* RESTORE_RANDOM_H */
