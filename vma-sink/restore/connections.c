/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a disk's name ends and its target begins is known only with the names
 * that the archive has, so what is behind any '=' may be the target.
 */
#include "restore/connections.h"

#include <string.h>

#include "backup/error.h"
#include "io/io.h"
#include "io/nbd-uri.h"

typedef struct Connection {
    char *uri;
    IoNbd nbd;
    GError *error;              /* NULL: it is open, or was taken */
} Connection;

struct RestoreConnections {
    GHashTable *identities;     /* of servers and exports, as a set */
    GPtrArray *list;            /* of Connection */
};

static void connection_free(gpointer data)
{
    Connection *connection = data;

    io_nbd_close(&connection->nbd);
    g_clear_error(&connection->error);
    g_free(connection->uri);
    g_free(connection);
}

/* False: a signal came. */
static bool connect_to(RestoreConnections *connections, const char *uri,
                       GError **error)
{
    Connection *connection;

    if (!g_hash_table_add(connections->identities,
                          io_nbd_uri_identity(uri))) {
        return true;
    }
    connection = g_new0(Connection, 1);
    connection->uri = g_strdup(uri);
    g_ptr_array_add(connections->list, connection);
    if (!io_nbd_open(&connection->nbd, uri, false, &connection->error) &&
        io_interrupted(error)) {
        g_prefix_error(error, "cannot connect to '%s': ",
                       connection->nbd.name);
        return false;
    }
    return true;
}

RestoreConnections *restore_connections_new(const char *const *disks,
                                            GError **error)
{
    g_autoptr(RestoreConnections) connections = g_new0(RestoreConnections, 1);

    connections->identities = g_hash_table_new_full(g_str_hash, g_str_equal,
                                                    g_free, NULL);
    connections->list = g_ptr_array_new_with_free_func(connection_free);
    for (; disks && *disks; disks++) {
        for (const char *p = *disks; (p = strchr(p, '=')); ) {
            p++;
            if (io_nbd_uri_is_meant(p) && io_nbd_uri_verify(p, NULL)) {
                if (!connect_to(connections, p, error)) {
                    return NULL;
                }
                break;
            }
        }
    }
    return g_steal_pointer(&connections);
}

void restore_connections_free(RestoreConnections *connections)
{
    if (connections) {
        g_ptr_array_unref(connections->list);
        g_hash_table_unref(connections->identities);
        g_free(connections);
    }
}

bool restore_connections_take(RestoreConnections *connections,
                              const char *uri, IoNbd *nbd, GError **error)
{
    for (guint i = 0; i < connections->list->len; i++) {
        Connection *connection = g_ptr_array_index(connections->list, i);

        if (strcmp(connection->uri, uri) != 0) {
            continue;
        }
        *nbd = connection->nbd;
        connection->nbd = (IoNbd) { };
        if (connection->error) {
            g_propagate_error(error, g_steal_pointer(&connection->error));
            return false;
        }
        return true;
    }
    /* Two spellings of one server are refused before. */
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "there is no connection to it");
    return false;
}
