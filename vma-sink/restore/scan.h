/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an archive tells without all of it being read, if it is a file: its end,
 * and where everything is.  ARCHIVE was just opened, and its descriptor is read
 * at offsets only, so it can still be read from front to back.
 */
#ifndef RESTORE_SCAN_H
#define RESTORE_SCAN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "restore/archive.h"
#include "vma/index.h"

typedef enum RestoreEndMark {
    RESTORE_END_MARK_UNKNOWN,   /* no regular file, or no such archive */
    RESTORE_END_MARK_MISSING,
    RESTORE_END_MARK_THERE,
} RestoreEndMark;

/* Reads the last 512 bytes. */
bool restore_scan_end_mark(const RestoreArchive *archive,
                           RestoreEndMark *end_mark, GError **error);

/* The size of a regular file; false: it is none. */
bool restore_scan_size(const RestoreArchive *archive, uint64_t *bytes);

/*
 * Reads the header of every extent and checks what can be checked without the
 * data: each header, that all extents are there, and that every cluster is
 * there once.  Of a compressed archive its index is read instead, if it has
 * one.  Is that damaged, or the seek table, a note says so, and the frames and
 * their extents are looked for; then ARCHIVE is not read from front to back any
 * more.  NULL: the archive is damaged, incomplete, or (of kind USAGE) a pipe.
 */
VmaIndex *restore_scan(const RestoreArchive *archive, GError **error);

/*
 * The same, with each extent told to FUNC, in the archive's order.  Of those
 * without data, and of clusters without data, it may or may not be told.
 *
 * *done becomes false where that would mean to read all of the archive, or is
 * not possible: it is a pipe, or compressed without an index that is good.
 */
typedef bool RestoreScanFunc(uint64_t extent_offset, const VmaExtent *extent,
                             void *opaque, GError **error);
bool restore_scan_extents(const RestoreArchive *archive, RestoreScanFunc *func,
                          void *opaque, bool *done, GError **error);

#endif /* RESTORE_SCAN_H */
