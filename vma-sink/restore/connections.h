/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections to the NBD servers that --disk names, made before the archive is
 * read: who reads it can't connect to anywhere (confine/confine.h).
 */
#ifndef RESTORE_CONNECTIONS_H
#define RESTORE_CONNECTIONS_H

#include <glib.h>
#include <stdbool.h>

#include "io/nbd.h"

typedef struct RestoreConnections RestoreConnections;

/*
 * Of DISKS (ends in NULL, or is NULL) those that look as if they went to a
 * server, and of several to the same one the first.  That one can't be reached
 * is told by restore_connections_take(), for it may not be needed.  NULL: a
 * signal came.
 */
RestoreConnections *restore_connections_new(const char *const *disks,
                                            GError **error);
void restore_connections_free(RestoreConnections *connections);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreConnections, restore_connections_free)

/* As io_nbd_open(), once for each URI. */
bool restore_connections_take(RestoreConnections *connections,
                              const char *uri, IoNbd *nbd, GError **error);

#endif /* RESTORE_CONNECTIONS_H */
