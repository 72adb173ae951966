/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The index of a compressed archive (vma/seekable.md), brought into memory.
 */
#ifndef RESTORE_SEEK_H
#define RESTORE_SEEK_H

#include <glib.h>
#include <stdbool.h>

#include "restore/archive.h"
#include "restore/scan.h"

/*
 * Tells FUNC of each extent with data, with its clusters with data and no
 * others.  *found says whether the archive has an index; most have none, which
 * is no error.  False, of kind DAMAGED: it has one that is wrong or of another
 * archive; FUNC was not called then.
 */
bool restore_seek_load(const RestoreArchive *archive, RestoreScanFunc *func,
                       void *opaque, bool *found, GError **error);

/*
 * The same checks, and a comparison with every extent that is read from front to
 * back: what an index says of zeroes shows only there.  ARCHIVE, which is
 * borrowed, was just opened.  NULL without an error: it has no index.
 */
typedef struct RestoreSeekCheck RestoreSeekCheck;

RestoreSeekCheck *restore_seek_check_new(const RestoreArchive *archive,
                                         GError **error);
void restore_seek_check_free(RestoreSeekCheck *check);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreSeekCheck, restore_seek_check_free)

/* The current one, each time a later one.  False, of kind DAMAGED. */
bool restore_seek_check_extent(RestoreSeekCheck *check,
                               const VmaExtent *extent, GError **error);

#endif /* RESTORE_SEEK_H */
