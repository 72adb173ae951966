/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a descriptor ahead of the one who wants its bytes: into memory, and what
 * does not fit there into a temporary file.  Whoever writes to the other end of
 * a pipe waits only when both are full.
 *
 * Memory is what is given for it, and 100 bytes or so for each piece in the file.
 *
 * A thread of its own reads whatever is there, so it may take more than the
 * caller ever asks for.  It blocks all signals.
 */
#ifndef IO_READ_AHEAD_H
#define IO_READ_AHEAD_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct IoReadAhead IoReadAhead;

typedef struct IoReadAheadOptions {
    size_t piece_bytes;         /* in which memory is used and given back */
    unsigned pieces;            /* of memory: at least 2, or 3 with a folder */
    const char *spool_folder;   /* NULL: no temporary file */
    uint64_t spool_bytes;       /* its limit; UINT64_MAX: none */
    unsigned stall_seconds;     /* without a byte: INCOMPLETE; 0: any time */
} IoReadAheadOptions;

/* With its memory and its file.  The descriptor is borrowed. */
IoReadAhead *io_read_ahead_new(int fd, const IoReadAheadOptions *options,
                               GError **error);
void io_read_ahead_free(IoReadAhead *ahead);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoReadAhead, io_read_ahead_free)

/* Starts to read; once, and before anything is taken. */
bool io_read_ahead_start(IoReadAhead *ahead, GError **error);

/*
 * As io_readv_some(): waits for the first byte, and takes what is there.  *got
 * is 0 at the end of the input; an error of the descriptor comes after the bytes
 * before it, and for a second time if it is called again.
 */
bool io_read_ahead_readv(IoReadAhead *ahead, struct iovec *iov, int count,
                         size_t *got, GError **error);

/*
 * From now on nothing is read from the descriptor; a read that waits for it, or
 * for room, ends.  May be called again.
 */
void io_read_ahead_stop(IoReadAhead *ahead);

/* Bytes that were read and not yet taken.  For any thread. */
uint64_t io_read_ahead_bytes(IoReadAhead *ahead);

/*
 * After io_read_ahead_stop(): why the temporary file was given up, although no
 * bytes are lost by that; NULL: it was not.
 */
const char *io_read_ahead_warning(const IoReadAhead *ahead);

#endif /* IO_READ_AHEAD_H */
