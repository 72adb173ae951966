/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of NBD URIs: what is one, what of it may be shown, and which two
 * mean the same export.
 */
#ifndef IO_NBD_URI_H
#define IO_NBD_URI_H

#include <glib.h>
#include <stdbool.h>

/* Whether this is meant as an NBD URI, right or wrong, and not as a path. */
bool io_nbd_uri_is_meant(const char *text);

/* Of such a text; false with kind USAGE if it is not what it is meant to be. */
bool io_nbd_uri_verify(const char *uri, GError **error);

/*
 * The URI without the password, if there is one, to be freed; what is no URI is
 * taken as far as it is one.
 */
char *io_nbd_uri_without_password(const char *uri);

/*
 * The same for all spellings of a server and export, as far as that can be told
 * without asking: a socket's path is resolved, a host's name is not.  To be
 * freed.
 */
char *io_nbd_uri_identity(const char *uri);

#endif /* IO_NBD_URI_H */
