/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive that is read from front to back and checked on the way: what comes
 * out of here obeys every rule that an archive has.  Error messages name it.
 */
#ifndef RESTORE_ARCHIVE_H
#define RESTORE_ARCHIVE_H

#include <glib.h>
#include <stdbool.h>

#include "restore/check.h"
#include "vma/reader.h"

typedef struct RestoreArchive RestoreArchive;

/*
 * Opens PATH, or takes standard input for "-", and reads the header.  A
 * terminal and compressed archives are refused.
 */
RestoreArchive *restore_archive_new(const char *path, GError **error);
void restore_archive_free(RestoreArchive *archive);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreArchive, restore_archive_free)

/* Valid as long as the archive. */
const BackupInfo *restore_archive_info(const RestoreArchive *archive);
const RestoreCheck *restore_archive_check(const RestoreArchive *archive);

/*
 * Reads and checks the next extent, which is valid until the next call.
 * VMA_NEXT_END means that the archive is good as a whole.
 */
VmaNext restore_archive_next(RestoreArchive *archive, const VmaExtent **extent,
                             GError **error);

/* The stored blocks of a cluster of the current extent, one after another. */
const uint8_t *restore_archive_blocks(const RestoreArchive *archive,
                                      const VmaCluster *cluster);

#endif /* RESTORE_ARCHIVE_H */
