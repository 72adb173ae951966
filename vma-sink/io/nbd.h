/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to an NBD server, through libnbd's asynchronous calls: it is
 * made here, and waited for.  What is asked of the server is the caller's.
 *
 * The server may be silent for as long as it likes; a signal (io/io.h) ends the
 * waiting, except for the look-up of a host's name.
 */
#ifndef IO_NBD_H
#define IO_NBD_H

#include <glib.h>
#include <libnbd.h>
#include <poll.h>
#include <stdbool.h>

typedef struct IoNbd {
    /* Set when it is opened, never changed. */
    struct nbd_handle *handle;
    char *uri;                  /* with a password, if there is one */
    char *name;                 /* without: for messages */
} IoNbd;

/*
 * Connects.  NBD->name is set from the start, and io_nbd_close() is called in
 * any case.  EXTENTS: asks for the context "base:allocation".  False with kind
 * USAGE where the URI is wrong.
 */
bool io_nbd_open(IoNbd *nbd, const char *uri, bool extents, GError **error);

/* The same without waiting: io_nbd_is_open() tells of the end. */
bool io_nbd_begin(IoNbd *nbd, const char *uri, bool extents, GError **error);
bool io_nbd_is_open(IoNbd *nbd);

/* No callback comes after this.  NBD may be all zeroes. */
void io_nbd_close(IoNbd *nbd);

/*
 * Moves bytes, and calls back what has ended; waits for that to be possible if
 * WAIT.  False: the connection is of no more use, or a signal came.
 */
bool io_nbd_serve(IoNbd *nbd, bool wait, GError **error);

/*
 * The two halves of that, for who waits for several: what to poll for, and what
 * is done about its result.
 */
struct pollfd io_nbd_wanted(const IoNbd *nbd);
bool io_nbd_advance(IoNbd *nbd, int revents, GError **error);

/* Nothing more can come of this connection. */
bool io_nbd_is_lost(const IoNbd *nbd);

/* What a request ended with, in words. */
const char *io_nbd_strerror(int errnum);

/* libnbd's last error in this thread, without its function and passwords. */
void io_nbd_set_error(const IoNbd *nbd, GError **error);

#endif /* IO_NBD_H */
