/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to an NBD server.
 */
#include "io/nbd.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "backup/error.h"
#include "io/io.h"
#include "io/nbd-uri.h"

#define CLOSED "the server has closed the connection"

void io_nbd_set_error(const IoNbd *nbd, GError **error)
{
    const char *text = nbd_get_error();
    const char *colon = text ? strstr(text, ": ") : NULL;
    g_autoptr(GString) shown = NULL;

    if (colon && g_str_has_prefix(text, "nbd_")) {
        text = colon + strlen(": ");
    }
    shown = g_string_new(text && *text ? text : "unknown error");
    g_string_replace(shown, nbd->uri, nbd->name, 0);
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s", shown->str);
}

bool io_nbd_is_lost(const IoNbd *nbd)
{
    return nbd_aio_is_dead(nbd->handle) || nbd_aio_is_closed(nbd->handle);
}

const char *io_nbd_strerror(int errnum)
{
    return errnum == ENOTCONN ? CLOSED : g_strerror(errnum);
}

struct pollfd io_nbd_wanted(const IoNbd *nbd)
{
    unsigned direction = nbd_aio_get_direction(nbd->handle);

    return (struct pollfd) {
        .fd = nbd_aio_get_fd(nbd->handle),
        .events = (direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                  (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0),
    };
}

/*
 * One direction only, for it may change what the other one would mean.  A
 * connection that broke has the state machine find that out.
 */
bool io_nbd_advance(IoNbd *nbd, int revents, GError **error)
{
    unsigned direction = nbd_aio_get_direction(nbd->handle);
    int result = 0;

    if (revents == 0) {
        return true;
    }
    if (direction & LIBNBD_AIO_DIRECTION_READ && revents & ~POLLOUT) {
        result = nbd_aio_notify_read(nbd->handle);
    } else if (direction & LIBNBD_AIO_DIRECTION_WRITE) {
        result = nbd_aio_notify_write(nbd->handle);
    }
    if (result < 0) {
        io_nbd_set_error(nbd, error);
        return false;
    }
    return true;
}

bool io_nbd_serve(IoNbd *nbd, bool wait, GError **error)
{
    struct pollfd pfd;
    int result;

    if (io_interrupted(error)) {
        return false;
    }
    if (io_nbd_is_lost(nbd)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, CLOSED);
        return false;
    }
    pfd = io_nbd_wanted(nbd);
    result = poll(&pfd, 1, wait ? -1 : 0);
    if (result < 0 && errno != EINTR) {
        backup_error_set_errno(error, errno, "cannot poll");
        return false;
    }
    /* Nothing, or a signal: see above. */
    return result <= 0 || io_nbd_advance(nbd, pfd.revents, error);
}

/*
 * A server whose machine has died answers nothing any more, which is noticed
 * within minutes.  It also keeps a connection alive that waits for its turn.
 */
static void keep_alive(const IoNbd *nbd)
{
    static const int on = 1, idle_seconds = 60, again_seconds = 15, tries = 4;
    int fd = nbd_aio_get_fd(nbd->handle);

    /* Not all sockets have this, and none depends on it. */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds,
                     sizeof(idle_seconds));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &again_seconds,
                     sizeof(again_seconds));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
}

/*
 * The URI is the user's own, so it may name files with keys.  The end of an
 * export may be no whole block, which the server may let us use or not.
 */
bool io_nbd_begin(IoNbd *nbd, const char *uri, bool extents, GError **error)
{
    GError *local = NULL;

    nbd->uri = g_strdup(uri);
    nbd->name = io_nbd_uri_without_password(uri);
    nbd->handle = nbd_create();
    if (nbd->handle &&
        nbd_set_uri_allow_local_file(nbd->handle, true) == 0 &&
        nbd_set_strict_mode(nbd->handle, nbd_get_strict_mode(nbd->handle) &
                                         ~LIBNBD_STRICT_ALIGN) == 0 &&
        (!extents || nbd_add_meta_context(
             nbd->handle, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0) &&
        nbd_aio_connect_uri(nbd->handle, nbd->uri) == 0) {
        return true;
    }
    io_nbd_set_error(nbd, &local);
    local->code = nbd_get_errno() == EINVAL ? BACKUP_ERROR_USAGE
                                            : BACKUP_ERROR_FAILED;
    g_propagate_error(error, local);
    return false;
}

bool io_nbd_is_open(IoNbd *nbd)
{
    if (!nbd_aio_is_ready(nbd->handle)) {
        return false;
    }
    keep_alive(nbd);
    return true;
}

bool io_nbd_open(IoNbd *nbd, const char *uri, bool extents, GError **error)
{
    if (!io_nbd_begin(nbd, uri, extents, error)) {
        return false;
    }
    while (!io_nbd_is_open(nbd)) {
        if (!io_nbd_serve(nbd, true, error)) {
            return false;
        }
    }
    return true;
}

void io_nbd_close(IoNbd *nbd)
{
    nbd_close(nbd->handle);
    g_free(nbd->uri);
    g_free(nbd->name);
    *nbd = (IoNbd) { };
}
