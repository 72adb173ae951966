/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk, or a range of its bytes, in order, to standard output or a new file.
 */
#ifndef RESTORE_STREAM_H
#define RESTORE_STREAM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "restore/archive.h"
#include "restore/restore.h"

/*
 * ARCHIVE was just opened and must be a file.  RANGE lies within the disk; NULL:
 * all of it.  TARGET is "-", or a file, which OVERWRITE permits to be there, and
 * which gets its name when all is written, and holes for zeroes.
 *
 * Nothing is written before it is known that no cluster is missing; the data is
 * verified as it is written.  *bytes and *zero are how much was written, on an
 * error what standard output has got, and how much of it is zeroes.  A terminal
 * is refused.
 */
bool restore_stream(const RestoreArchive *archive, const BackupDevice *device,
                    const RestoreRange *range, const char *target,
                    bool overwrite, Progress *progress, uint64_t *bytes,
                    uint64_t *zero, GError **error);

#endif /* RESTORE_STREAM_H */
