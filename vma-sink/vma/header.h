/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The archive's header between its bytes and a BackupInfo, without I/O.
 */
#ifndef VMA_HEADER_H
#define VMA_HEADER_H

#include <glib.h>

#include "backup/info.h"
#include "vma/format.h"

/*
 * Checks the fixed part as far as is needed to find the header's end.
 * False: *error is of kind DAMAGED.
 */
bool vma_header_size(const VmaHeader *start, size_t *bytes, GError **error);

/*
 * Decodes a whole header of the size that vma_header_size() gave.  What
 * Proxmox's reader skips (a slot without name, a config without data) is
 * skipped.  Names are NUL-terminated bytes, not necessarily UTF-8, and may be
 * doubled.  DATA is changed.  NULL: *error is of kind DAMAGED.
 */
BackupInfo *vma_header_decode(uint8_t *data, size_t bytes, GError **error);

/*
 * The same for a header whose checksum is wrong, of which not everything can
 * be right.  A device without a name that can be read gets one made up, a
 * device of an impossible size and a config that can't be read are left out,
 * and a sentence (char *) on each is appended to FINDINGS.  The blob buffer is
 * taken to be where all known writers put it.  NULL: there is no device.
 */
BackupInfo *vma_header_decode_damaged(const uint8_t *data, size_t bytes,
                                      GPtrArray *findings, GError **error);

/*
 * A header with the mark for digests.  The same info and time give the same
 * bytes.  NULL: a limit is broken.
 */
GByteArray *vma_header_encode(const BackupInfo *info, GError **error);

#endif /* VMA_HEADER_H */
