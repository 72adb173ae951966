/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Some disks of an archive, without reading the rest: the extents that have
 * data of theirs, in the archive's order.
 *
 * Which ones these are is known before, by a scan (restore/scan.h), and what is
 * read has to be what the scan has seen; so with the last extent all data of
 * the disks has come.  Whatever did not come then is zeroes.  Extents that hold
 * nothing of these disks are not looked at, but for what the scan checks.
 */
#ifndef RESTORE_PICK_H
#define RESTORE_PICK_H

#include <glib.h>
#include <stdbool.h>

#include "restore/archive.h"

typedef struct RestorePick RestorePick;

/*
 * SELECTED is indexed by device id.  *pick becomes NULL where the archive can
 * only be read from front to back: a pipe, or compressed without an index.
 * False: it is damaged or incomplete, by its scan.
 *
 * Memory: 16 bytes for each extent that is to be read.  ARCHIVE is borrowed, and
 * must not be read with restore_archive_next() once there is a pick.
 */
bool restore_pick_new(const RestoreArchive *archive, const bool *selected,
                      RestorePick **pick, GError **error);
void restore_pick_free(RestorePick *pick);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestorePick, restore_pick_free)

/*
 * As restore_archive_next() and restore_archive_blocks(), with the clusters of
 * these disks alone.
 */
VmaNext restore_pick_next(RestorePick *pick, const VmaExtent **extent,
                          GError **error);
const uint8_t *restore_pick_blocks(const RestorePick *pick,
                                   const VmaCluster *cluster);

/* Has seen the clusters that restore_pick_next() gave, none of a vmstate. */
const RestoreCheck *restore_pick_check(const RestorePick *pick);

/* Shows how much of the disks' data has been read. */
void restore_pick_show(const RestorePick *pick, Progress *progress);

#endif /* RESTORE_PICK_H */
