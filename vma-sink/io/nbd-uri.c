/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of NBD URIs.  What a URI means in all else is up to libnbd.
 */
#include "io/nbd-uri.h"

#include <stdlib.h>
#include <string.h>

#include "backup/error.h"

#define DEFAULT_PORT 10809

static const char *const schemes[] = {
    "nbd", "nbds", "nbd+unix", "nbds+unix", "nbd+vsock", "nbds+vsock", NULL
};

static size_t scheme_bytes(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  "0123456789+-.");
}

bool io_nbd_uri_is_meant(const char *text)
{
    return g_ascii_strncasecmp(text, "nbd", 3) == 0 &&
           text[scheme_bytes(text)] == ':';
}

char *io_nbd_uri_without_password(const char *uri)
{
    const char *user = uri + scheme_bytes(uri) + strlen(":");
    const char *at, *colon;

    user += strspn(user, "/");
    at = memrchr(user, '@', strcspn(user, "/?#"));
    colon = at ? memchr(user, ':', at - user) : NULL;
    return colon ? g_strdup_printf("%.*s%s", (int)(colon - uri), uri, at)
                 : g_strdup(uri);
}

bool io_nbd_uri_verify(const char *uri, GError **error)
{
    g_autofree char *scheme = g_strndup(uri, scheme_bytes(uri));
    g_autofree char *shown = io_nbd_uri_without_password(uri);

    if (g_strv_contains(schemes, scheme) &&
        g_str_has_prefix(uri + strlen(scheme), "://")) {
        return true;
    }
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                "'%s' is no NBD URI, which starts with nbd://, nbds://, "
                "nbd+unix://, nbds+unix://, nbd+vsock:// or nbds+vsock:// (if "
                "it is a file: ./%s)", shown, shown);
    return false;
}

/* Where the server is; NULL: no such thing is in the URI. */
static char *server_of(GUri *uri)
{
    const char *query = g_uri_get_query(uri);
    const char *host = g_uri_get_host(uri);
    g_autoptr(GHashTable) parameters = NULL;
    const char *socket;
    char *real;

    if (!strstr(g_uri_get_scheme(uri), "+unix")) {
        g_autofree char *lower = host ? g_ascii_strdown(host, -1) : NULL;
        int port = g_uri_get_port(uri);

        return lower ? g_strdup_printf("%s:%d", lower,
                                       port > 0 ? port : DEFAULT_PORT) : NULL;
    }
    parameters = query ? g_uri_parse_params(query, -1, "&",
                                            G_URI_PARAMS_NONE, NULL) : NULL;
    socket = parameters ? g_hash_table_lookup(parameters, "socket") : NULL;
    if (!socket) {
        return NULL;
    }
    real = realpath(socket, NULL);
    if (real) {
        char *copy = g_strdup(real);

        free(real);
        return copy;
    }
    return g_strdup(socket);
}

/* Who connects, and whether with TLS, makes no other disk of it. */
char *io_nbd_uri_identity(const char *text)
{
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_ENCODED_QUERY, NULL);
    g_autofree char *server = uri ? server_of(uri) : NULL;
    const char *path;

    if (!server) {
        return g_strdup(text);
    }
    path = g_uri_get_path(uri);
    return g_strdup_printf("nbd%s:%s:%s",
                           strstr(g_uri_get_scheme(uri), "+vsock") ? "+vsock"
                                                                   : "",
                           server, *path == '/' ? path + 1 : path);
}
