/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an NBD server exports.  Nothing is ever written to it, and only if asked
 * to it is discarded.
 *
 * The size is the one of when the connection was made, and NBD has no way to
 * ask again, nor whether somebody has written: that nobody does is up to the
 * user, as with a block device.  An export that shrinks shows as a read error.
 *
 * The server is not trusted with more than the contents of its disk: whatever
 * it sends, memory is bounded.  It may be silent for as long as it likes; a
 * signal (io/io.h) ends the waiting, except for the look-up of a host's name.
 */
#ifndef SOURCE_NBD_H
#define SOURCE_NBD_H

#include <glib.h>
#include <stdbool.h>

#include "source/disk.h"

/* Connects.  False with kind USAGE where the URI is wrong. */
Disk *nbd_disk_open(const char *uri, const DiskOptions *options,
                    GError **error);

#endif /* SOURCE_NBD_H */
