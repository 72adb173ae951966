/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several connections, served by one thread with one poll().
 */
#include "source/nbd-links.h"

#include <errno.h>
#include <poll.h>

#include "backup/error.h"
#include "io/io.h"

/* A server that takes no more clients for now just leaves them waiting. */
#define OPEN_US (2 * G_USEC_PER_SEC)

static unsigned in_flight(const IoNbd *link)
{
    return MAX(nbd_aio_in_flight(link->handle), 0);
}

unsigned nbd_links_in_flight(const NbdLinks *l)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < l->count; i++) {
        sum += in_flight(&l->links[i]);
    }
    return sum;
}

/* Of several like it the next in turn, so that all have something to do. */
IoNbd *nbd_links_idlest(NbdLinks *l)
{
    unsigned best = (l->last + 1) % l->count;

    for (unsigned i = 2; i <= l->count; i++) {
        unsigned other = (l->last + i) % l->count;

        if (in_flight(&l->links[other]) < in_flight(&l->links[best])) {
            best = other;
        }
    }
    l->last = best;
    return &l->links[best];
}

/*
 * Waits for one of those that are being opened, or of those that have requests
 * under way, and serves them.  An error of one that is being opened shows in
 * its state.
 */
static bool serve(NbdLinks *l, bool opening, int timeout_ms, GError **error)
{
    struct pollfd pfds[NBD_LINKS_MAX];
    int result;

    if (io_interrupted(error)) {
        return false;
    }
    for (unsigned i = 0; i < l->count; i++) {
        const IoNbd *link = &l->links[i];

        pfds[i] = io_nbd_wanted(link);
        if (opening ? nbd_aio_is_ready(link->handle) : in_flight(link) == 0) {
            pfds[i].fd = -1;
        }
    }
    result = poll(pfds, l->count, timeout_ms);
    if (result < 0 && errno != EINTR) {
        backup_error_set_errno(error, errno, "cannot poll");
        return false;
    }
    for (unsigned i = 0; result > 0 && i < l->count; i++) {
        if (!io_nbd_advance(&l->links[i], pfds[i].revents,
                            opening ? NULL : error) && !opening) {
            return false;
        }
    }
    return true;
}

bool nbd_links_serve(NbdLinks *l, bool wait, GError **error)
{
    return serve(l, false, wait ? -1 : 0, error);
}

bool nbd_links_open(NbdLinks *l, const char *uri, GError **error)
{
    l->count = 1;
    return io_nbd_open(&l->links[0], uri, true, error);
}

static bool some_are_opening(const NbdLinks *l)
{
    for (unsigned i = 1; i < l->count; i++) {
        if (!nbd_aio_is_ready(l->links[i].handle) &&
            !io_nbd_is_lost(&l->links[i])) {
            return true;
        }
    }
    return false;
}

/* Leaves out those that are not open, or show something else. */
static void drop_others(NbdLinks *l)
{
    int64_t bytes = nbd_get_size(l->links[0].handle);

    for (unsigned i = l->count; i-- > 1; ) {
        IoNbd *link = &l->links[i];

        if (!io_nbd_is_open(link) || nbd_get_size(link->handle) != bytes) {
            io_nbd_close(link);
            *link = l->links[--l->count];
            l->links[l->count] = (IoNbd) { };
        }
    }
}

bool nbd_links_add(NbdLinks *l, unsigned count, GError **error)
{
    int64_t until_us = g_get_monotonic_time() + OPEN_US;
    int64_t left_us;

    if (nbd_can_multi_conn(l->links[0].handle) <= 0) {
        return true;
    }
    while (l->count < MIN(count, NBD_LINKS_MAX)) {
        IoNbd *link = &l->links[l->count];

        if (!io_nbd_begin(link, l->links[0].uri, false, NULL)) {
            io_nbd_close(link);
            break;
        }
        l->count++;
    }
    while (some_are_opening(l) &&
           (left_us = until_us - g_get_monotonic_time()) > 0) {
        if (!serve(l, true, left_us / 1000 + 1, error)) {
            return false;
        }
    }
    drop_others(l);
    return true;
}

void nbd_links_disconnect(NbdLinks *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        (void)nbd_aio_disconnect(l->links[i].handle, 0);
    }
}

void nbd_links_close(NbdLinks *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        io_nbd_close(&l->links[i]);
    }
    l->count = 0;
}
