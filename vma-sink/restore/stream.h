/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk to standard output, from its first byte to its last.
 */
#ifndef RESTORE_STREAM_H
#define RESTORE_STREAM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "restore/archive.h"

/*
 * ARCHIVE was just opened and must be a file.  Nothing is written before it is
 * known that no cluster is missing; the data is verified as it is written.
 * *bytes and *zero are how much was written, also on an error, and how much of
 * it is zeroes.  A terminal is refused.
 */
bool restore_stream(const RestoreArchive *archive, const BackupDevice *device,
                    Progress *progress, uint64_t *bytes, uint64_t *zero,
                    GError **error);

#endif /* RESTORE_STREAM_H */
