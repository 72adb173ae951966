/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The preamble between its bytes and a BackupInfo, without I/O.
 */
#ifndef WIRE_PREAMBLE_H
#define WIRE_PREAMBLE_H

#include <glib.h>

#include "backup/info.h"
#include "wire/format.h"

/*
 * Checks the first sizeof(WirePreamble) bytes as far as is needed to find the
 * preamble's end: [P1], [P2].  False: *error is of kind DAMAGED.
 */
bool wire_preamble_size(const WirePreamble *start, size_t *bytes,
                        GError **error);

/*
 * Decodes a whole preamble of the size that wire_preamble_size() gave,
 * verifying every requirement of section 3.  NULL: *error is of kind DAMAGED.
 */
BackupInfo *wire_preamble_decode(const uint8_t *data, size_t bytes,
                                 uint32_t *features, GError **error);

/* False with kind FAILED where the description breaks a limit. */
GByteArray *wire_preamble_encode(const BackupInfo *info, uint32_t features,
                                 GError **error);

#endif /* WIRE_PREAMBLE_H */
