/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk being restored to an export of an NBD server, in place.
 *
 * Several requests are under way at once.  The data of each is copied to a
 * buffer of its own, which is what bounds the memory: whoever has more data
 * waits until a buffer is free.  A request that fails is seen by the next call,
 * or by finish(), which waits for all of them and has the server flush.  If the
 * server dies libnbd ends all requests with an error; if it hangs, we wait for
 * it until a signal comes.
 */
#include <string.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/nbd.h"
#include "io/nbd-uri.h"
#include "restore/target-kind.h"

#define REQUESTS 16
#define REQUEST_BYTES (1u << 20)

static const uint8_t zeroes[REQUEST_BYTES];

typedef struct NbdTarget NbdTarget;

typedef struct Request {
    NbdTarget *target;
    bool busy;
    uint8_t *buffer;            /* REQUEST_BYTES; NULL: never used */
} Request;

struct NbdTarget {
    RestoreTarget target;
    IoNbd nbd;
    bool can_zero;
    bool can_flush;
    size_t max_bytes;           /* of a write */
    int errnum;                 /* of the first request that failed */
    Request requests[REQUESTS];
};

/* Whether everything has gone well so far. */
static bool check_requests(const NbdTarget *n, GError **error)
{
    if (n->errnum) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the NBD server: %s", io_nbd_strerror(n->errnum));
        return false;
    }
    return true;
}

/* Called by libnbd; 1 retires the request. */
static int on_completed(void *opaque, int *errnum)
{
    Request *request = opaque;

    request->busy = false;
    if (*errnum && !request->target->errnum) {
        request->target->errnum = *errnum;
    }
    return 1;
}

/* A request that is not under way, maybe after waiting for one. */
static Request *get_request(NbdTarget *n, GError **error)
{
    for (;;) {
        if (!check_requests(n, error)) {
            return NULL;
        }
        for (unsigned i = 0; i < REQUESTS; i++) {
            if (!n->requests[i].busy) {
                return &n->requests[i];
            }
        }
        if (!io_nbd_serve(&n->nbd, true, error)) {
            return NULL;
        }
    }
}

static bool wait_for_all(NbdTarget *n, GError **error)
{
    for (unsigned i = 0; i < REQUESTS; i++) {
        while (n->requests[i].busy) {
            if (!io_nbd_serve(&n->nbd, true, error)) {
                return false;
            }
        }
    }
    return check_requests(n, error);
}

/* What libnbd says to a request that is to begin. */
static bool begun(Request *request, int64_t cookie, GError **error)
{
    if (cookie < 0) {
        request->busy = false;
        io_nbd_set_error(&request->target->nbd, error);
        return false;
    }
    return true;
}

static bool write_some(NbdTarget *n, const uint8_t *data, size_t bytes,
                       uint64_t offset, GError **error)
{
    Request *request = get_request(n, error);
    nbd_completion_callback done = {
        .callback = on_completed,
        .user_data = request,
    };

    if (!request) {
        return false;
    }
    if (data != zeroes) {
        if (!request->buffer) {
            request->buffer = g_malloc(REQUEST_BYTES);
        }
        data = memcpy(request->buffer, data, bytes);
    }
    request->busy = true;
    return begun(request, nbd_aio_pwrite(n->nbd.handle, data, bytes, offset,
                                         done, 0),
                 error);
}

static bool nbd_write(RestoreTarget *target, const uint8_t *data, size_t bytes,
                      uint64_t offset, GError **error)
{
    NbdTarget *n = (NbdTarget *)target;

    while (bytes > 0) {
        size_t part = MIN(bytes, n->max_bytes);

        if (!write_some(n, data, part, offset, error)) {
            return false;
        }
        data += part;
        offset += part;
        bytes -= part;
    }
    return true;
}

/* BYTES is far below the 4 GiB that a request can have. */
static bool nbd_zero_by_server(NbdTarget *n, uint64_t offset, uint64_t bytes,
                               GError **error)
{
    Request *request = get_request(n, error);
    nbd_completion_callback done = {
        .callback = on_completed,
        .user_data = request,
    };

    if (!request) {
        return false;
    }
    request->busy = true;
    return begun(request, nbd_aio_zero(n->nbd.handle, bytes, offset, done, 0),
                 error);
}

static bool nbd_zero_bytes(RestoreTarget *target, uint64_t offset,
                           uint64_t bytes, GError **error)
{
    NbdTarget *n = (NbdTarget *)target;

    if (n->can_zero) {
        return nbd_zero_by_server(n, offset, bytes, error);
    }
    while (bytes > 0) {
        size_t part = MIN(bytes, n->max_bytes);

        if (!write_some(n, zeroes, part, offset, error)) {
            return false;
        }
        offset += part;
        bytes -= part;
    }
    return true;
}

static bool flush(NbdTarget *n, GError **error)
{
    Request *request = get_request(n, error);
    nbd_completion_callback done = {
        .callback = on_completed,
        .user_data = request,
    };

    if (!request) {
        return false;
    }
    request->busy = true;
    return begun(request, nbd_aio_flush(n->nbd.handle, done, 0), error) &&
           wait_for_all(n, error);
}

/* A flush covers the writes that were answered before it. */
static bool nbd_finish(RestoreTarget *target, GError **error)
{
    NbdTarget *n = (NbdTarget *)target;

    if (!wait_for_all(n, error) || (n->can_flush && !flush(n, error))) {
        return false;
    }
    if (!n->can_flush) {
        cli_note("the server of '%s' can't flush: whether it has stored the "
                 "disk is not known", target->name);
    }
    /* Only politeness: everything is done. */
    (void)nbd_aio_disconnect(n->nbd.handle, 0);
    return true;
}

/* The connection first: then no request uses a buffer. */
static void nbd_free(RestoreTarget *target)
{
    NbdTarget *n = (NbdTarget *)target;

    io_nbd_close(&n->nbd);
    for (unsigned i = 0; i < REQUESTS; i++) {
        g_free(n->requests[i].buffer);
    }
    g_free(n);
}

static const RestoreTargetKind nbd_kind = {
    .write = nbd_write,
    .zero = nbd_zero_bytes,
    .finish = nbd_finish,
    .free = nbd_free,
};

/* Before the first write, what the server says of its export. */
static bool check_export(NbdTarget *n, GError **error)
{
    int64_t bytes = nbd_get_size(n->nbd.handle);
    int64_t max = nbd_get_block_size(n->nbd.handle, LIBNBD_SIZE_MAXIMUM);
    int64_t min = nbd_get_block_size(n->nbd.handle, LIBNBD_SIZE_MINIMUM);
    const char *name = n->target.name;

    if (bytes < 0) {
        io_nbd_set_error(&n->nbd, error);
        g_prefix_error(error, "cannot get the size of '%s': ", name);
        return false;
    }
    if (nbd_is_read_only(n->nbd.handle) != 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' is read-only", name);
        return false;
    }
    if (min > VMA_BLOCK_BYTES || (min > 0 && n->target.limit_bytes % min)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' can only be written in units of %" G_GINT64_FORMAT
                    " bytes, which does not fit the disk", name, min);
        return false;
    }
    n->max_bytes = max > 0 ? MIN(max, REQUEST_BYTES) : REQUEST_BYTES;
    n->max_bytes = MAX(n->max_bytes / VMA_BLOCK_BYTES, 1) * VMA_BLOCK_BYTES;
    n->can_zero = nbd_can_zero(n->nbd.handle) == 1;
    n->can_flush = nbd_can_flush(n->nbd.handle) == 1;
    return restore_target_check_size(name, bytes, n->target.limit_bytes,
                                     error);
}

RestoreTarget *restore_target_new_nbd(RestoreConnections *connections,
                                      const char *uri, uint64_t size_bytes,
                                      bool zeroed, GError **error)
{
    NbdTarget *n = g_new0(NbdTarget, 1);
    g_autoptr(RestoreTarget) target = &n->target;

    target->kind = &nbd_kind;
    target->name = io_nbd_uri_without_password(uri);
    target->limit_bytes = size_bytes;
    target->zeroed = zeroed;
    for (unsigned i = 0; i < REQUESTS; i++) {
        n->requests[i].target = n;
    }
    if (!restore_connections_take(connections, uri, &n->nbd, error)) {
        g_prefix_error(error, "cannot connect to '%s': ", target->name);
        return NULL;
    }
    if (!check_export(n, error)) {
        return NULL;
    }
    return g_steal_pointer(&target);
}
