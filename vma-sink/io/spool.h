/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces of data, all of one size, that wait in a temporary file.  The file has
 * no name, so nothing of it is left however the process ends.
 *
 * One thread puts pieces in while another one takes them out.
 */
#ifndef IO_SPOOL_H
#define IO_SPOOL_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IoSpool IoSpool;

/* Where a piece is, and by what it is known again. */
typedef struct IoSpoolPlace {
    uint64_t slot;
    uint64_t hash;
} IoSpoolPlace;

/*
 * A file in FOLDER for pieces of PIECE_BYTES bytes, and for no more than
 * LIMIT_BYTES of them together; UINT64_MAX: what the file system has room for.
 */
IoSpool *io_spool_new(const char *folder, uint64_t limit_bytes,
                      size_t piece_bytes, GError **error);
void io_spool_free(IoSpool *spool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoSpool, io_spool_free)

/*
 * Writes a piece to the file, which may block as long as a disk does.  False:
 * there is no room now, or the file can't be written; nothing of it is kept.
 */
bool io_spool_put(IoSpool *spool, const void *data, IoSpoolPlace *place);

/* Reads a piece back.  False, of kind FAILED: it is lost. */
bool io_spool_get(IoSpool *spool, const IoSpoolPlace *place, void *data,
                  GError **error);

/* Gives the piece's room back to the file system, then to io_spool_put(). */
void io_spool_drop(IoSpool *spool, const IoSpoolPlace *place);

/*
 * Why nothing is put into the file any more, which is not that it is full; NULL:
 * nothing is wrong.  Not while another thread may be in io_spool_put().
 */
const char *io_spool_failure(const IoSpool *spool);

#endif /* IO_SPOOL_H */
