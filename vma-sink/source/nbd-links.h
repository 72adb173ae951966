/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connections to one export, as many as are wanted and the server allows.
 * There is always a first one; a server that says that several are safe (it
 * sees to it that all show the same) gets more of them.  It need not take them:
 * those that do not come about are left out without a word.
 */
#ifndef SOURCE_NBD_LINKS_H
#define SOURCE_NBD_LINKS_H

#include <glib.h>
#include <stdbool.h>

#include "io/nbd.h"

#define NBD_LINKS_MAX 16u

typedef struct NbdLinks {
    IoNbd links[NBD_LINKS_MAX];
    unsigned count;             /* of them */
    unsigned last;              /* that was asked for something */
} NbdLinks;

/*
 * Opens the first one, which has the context "base:allocation" where the server
 * has it.  nbd_links_close() is called in any case.
 */
bool nbd_links_open(NbdLinks *links, const char *uri, GError **error);

/*
 * Opens more, up to COUNT in all; it takes no longer than seconds, whatever the
 * server does.  Only a signal makes it fail.
 */
bool nbd_links_add(NbdLinks *links, unsigned count, GError **error);

/* Tells the server that nothing more comes, which is only polite. */
void nbd_links_disconnect(NbdLinks *links);

/* No callback comes after this.  LINKS may be all zeroes. */
void nbd_links_close(NbdLinks *links);

/* The one that has the least to do. */
IoNbd *nbd_links_idlest(NbdLinks *links);

/* How many requests are under way. */
unsigned nbd_links_in_flight(const NbdLinks *links);

/*
 * As io_nbd_serve(), for all that have requests under way: there must be one.
 */
bool nbd_links_serve(NbdLinks *links, bool wait, GError **error);

#endif /* SOURCE_NBD_LINKS_H */
