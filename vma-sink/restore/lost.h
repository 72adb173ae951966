/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the disks a damaged archive does not have.
 */
#ifndef RESTORE_LOST_H
#define RESTORE_LOST_H

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

#include "restore/archive.h"

/*
 * After the last extent: a line for each range of bytes of a disk that is
 * damaged or missing.  SELECTED is indexed by device id; NULL: all devices.
 */
void restore_print_lost(const RestoreArchive *archive, const bool *selected,
                        FILE *file);

#endif /* RESTORE_LOST_H */
