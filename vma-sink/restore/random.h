/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an archive's disks at any place, through an index.  An extent is read
 * and verified as a whole; the last ones that were used are kept, in no more
 * than 64 MiB.  One thread.
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

/* Both are borrowed; INDEX is that of restore_scan(). */
RestoreRandom *restore_random_new(const RestoreArchive *archive,
                                  const VmaIndex *index);
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

/* How often an extent was read. */
uint64_t restore_random_loads(const RestoreRandom *random);

#endif /* RESTORE_RANDOM_H */
