/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an NBD export.  One thread, some connections (nbd-links.h; one, of a
 * guest that runs), and a ring of buffers, each for a chunk of the disk: the
 * server fills them in any order, and they are sent in the order of the disk,
 * straight from where they were received.  While the stream's reader stalls
 * nothing new is asked for.
 *
 * A QEMU that can't get rid of an answer can't pause its disk either, which much
 * of what is done to a machine makes necessary.  So all that was asked for of a
 * QEMU's snapshot is received before anything is sent that may block.
 *
 * Where the server tells which parts are zeroes ("base:allocation") those are
 * not read.  It is asked for this in between, when it is needed to go on, on the
 * first connection.  All other requests go to the one that has the least to do.
 *
 * A QEMU that exports an overlay of a disk that a guest writes to answers from
 * two images without a lock: the overlay has no copy yet, the guest's zeroes
 * come and with them the copy, and the disk has zeroes now.  By then the copy is
 * there, so a second answer is right, and it is asked twice.
 */
#include "source/nbd.h"

#include <inttypes.h>
#include <string.h>

#include "backup/error.h"
#include "io/io.h"
#include "io/nbd.h"
#include "io/nbd-uri.h"
#include "source/nbd-links.h"
#include "source/zero-map.h"

/*
 * Together 4 MiB.  On one machine neither matters much; what keeps up the speed
 * where each request takes its time (10 ms: 350 MiB/s) is their product, and
 * many small ones occupy more of a server's disks or threads than few large
 * ones.
 */
#define CHUNK_CLUSTERS 4u
#define CHUNK_BYTES (CHUNK_CLUSTERS * BACKUP_CLUSTER_BYTES)
#define DEPTH 16u
/*
 * A server that works on one request of a connection at a time is so many times
 * as fast, and one that encrypts uses more processors.  QEMU, qemu-nbd and
 * nbdkit without TLS are as fast with one, and as busy.
 */
#define CONNECTIONS 4u
G_STATIC_ASSERT(CHUNK_CLUSTERS <= WIRE_DATA_MAX_CLUSTERS);
/* How much of the disk to ask about at once. */
#define STATUS_BYTES (UINT64_C(2) << 30)
/*
 * How much has to be sent before it is discarded, most of it in one request, and
 * how many requests may then be under way.
 */
#define DISCARD_CLUSTERS 64u
#define DISCARD_MAX_CLUSTERS 16384u
#define DISCARDS_AT_ONCE 16u
/* The protocol knows no smaller block; smaller requests would be too many. */
#define MIN_REQUEST_BYTES 512u

/* A chunk that was asked for. */
typedef struct Slot {
    uint8_t *buffer;            /* CHUNK_BYTES; owned */
    uint64_t first;
    uint64_t count;
    unsigned pending;           /* requests that have not been answered */
    int errnum;                 /* of one that failed, or 0 */
} Slot;

typedef struct NbdDisk {
    Disk disk;
    /* Set while connecting, never changed. */
    NbdLinks links;
    uint32_t request_bytes;     /* most to ask for at once */
    bool snapshot;              /* see DiskOptions */
    bool whole_answers;         /* to reads */
    bool discard;               /* what has been sent */

    ZeroMap *map;               /* NULL: everything is to be read */
    bool status_asked;          /* and not yet answered */
    uint64_t next;              /* cluster that was not yet asked for */
    uint64_t kept;              /* cluster that was not yet discarded */
    Slot slots[DEPTH];
    unsigned oldest;            /* in slots */
    unsigned used;              /* of them, from the oldest on */
} NbdDisk;

/* What the server says of the export and of what it can do. */
static bool learn(NbdDisk *n, GError **error)
{
    IoNbd *nbd = &n->links.links[0];
    int64_t bytes = nbd_get_size(nbd->handle);
    int64_t block = nbd_get_block_size(nbd->handle, LIBNBD_SIZE_MINIMUM);
    int64_t most = nbd_get_block_size(nbd->handle, LIBNBD_SIZE_MAXIMUM);

    if (bytes < 0) {
        io_nbd_set_error(nbd, error);
        return false;
    }
    n->disk.source_bytes = bytes;
    if (most <= 0 || most > CHUNK_BYTES) {
        most = CHUNK_BYTES;
    }
    most -= most % MAX(block, MIN_REQUEST_BYTES);
    if (most == 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the server takes too small requests only");
        return false;
    }
    n->request_bytes = most;
    if (nbd_can_meta_context(nbd->handle,
                             LIBNBD_CONTEXT_BASE_ALLOCATION) > 0) {
        n->map = zero_map_new(bytes);
    }
    return true;
}

/* Asking for extents */

static int on_extents(void *opaque, const char *context, uint64_t offset,
                      uint32_t *entries, size_t count, int *error)
{
    NbdDisk *n = opaque;

    (void)error;
    /* A second answer to the same question is not what was asked for. */
    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0 ||
        offset != zero_map_next_byte(n->map)) {
        return 0;
    }
    /* What is only a hole, and not promised to be zeroes, may be anything. */
    for (size_t i = 0; i + 1 < count; i += 2) {
        if (!zero_map_add(n->map, entries[i],
                          entries[i + 1] & LIBNBD_STATE_ZERO)) {
            break;
        }
    }
    return 0;
}

static void drop_map(NbdDisk *n)
{
    g_clear_pointer(&n->map, zero_map_free);
}

static int on_status_end(void *opaque, int *error)
{
    NbdDisk *n = opaque;

    n->status_asked = false;
    /* Who can't tell, or tells nothing, may still be able to read. */
    if (*error || !zero_map_end_answer(n->map)) {
        drop_map(n);
    }
    return 1;
}

/* Called when the map does not reach as far as the next cluster. */
static bool ask_status(NbdDisk *n, GError **error)
{
    IoNbd *nbd = &n->links.links[0];
    uint64_t from = zero_map_known_bytes(n->map);
    nbd_extent_callback extents = {
        .callback = on_extents, .user_data = n,
    };
    nbd_completion_callback end = {
        .callback = on_status_end, .user_data = n,
    };

    n->status_asked = true;
    if (nbd_aio_block_status(nbd->handle,
                             zero_map_question_bytes(n->map, STATUS_BYTES),
                             from, extents, end, 0) < 0) {
        io_nbd_set_error(nbd, error);
        return false;
    }
    return true;
}

/* Asking for data */

static int on_discarded(void *opaque, int *error)
{
    (void)opaque;
    (void)error;
    return 1;                   /* nobody asks what became of it */
}

static int on_read_end(void *opaque, int *error)
{
    Slot *slot = opaque;

    slot->pending--;
    if (*error && !slot->errnum) {
        slot->errnum = *error;
    }
    return 1;
}

/* All that counts is the end of the read. */
static int on_piece(void *opaque, const void *data, size_t bytes,
                    uint64_t offset, unsigned status, int *error)
{
    (void)opaque;
    (void)data;
    (void)bytes;
    (void)offset;
    (void)status;
    (void)error;
    return 0;
}

static bool ask_read(NbdDisk *n, void *buffer, uint32_t bytes, uint64_t offset,
                     nbd_completion_callback end, GError **error)
{
    IoNbd *nbd = nbd_links_idlest(&n->links);
    nbd_chunk_callback piece = { .callback = on_piece };
    int64_t cookie = n->whole_answers
        ? nbd_aio_pread_structured(nbd->handle, buffer, bytes, offset, piece,
                                   end, LIBNBD_CMD_FLAG_DF)
        : nbd_aio_pread(nbd->handle, buffer, bytes, offset, end, 0);

    if (cookie < 0) {
        io_nbd_set_error(nbd, error);
        return false;
    }
    return true;
}

static bool ask_chunk(NbdDisk *n, uint64_t count, GError **error)
{
    Slot *slot = &n->slots[(n->oldest + n->used) % DEPTH];
    uint64_t offset = n->next * BACKUP_CLUSTER_BYTES;
    uint32_t bytes = backup_run_bytes(n->disk.source_bytes, n->next, count);
    nbd_completion_callback end = {
        .callback = on_read_end, .user_data = slot,
    };

    slot->first = n->next;
    slot->count = count;
    n->next += count;
    n->used++;
    for (uint32_t from = 0; from < bytes; from += n->request_bytes) {
        slot->pending++;
        if (!ask_read(n, slot->buffer + from,
                      MIN(n->request_bytes, bytes - from), offset + from, end,
                      error)) {
            return false;
        }
    }
    return true;
}

/* Asks for as much as there is room for. */
static bool ask(NbdDisk *n, uint64_t clusters, GError **error)
{
    while (n->used < DEPTH && n->next < clusters && !n->status_asked) {
        bool zero = false;
        uint64_t count = n->map ? zero_map_run(n->map, n->next, &zero)
                                : clusters - n->next;

        if (zero) {
            n->next += count;
        } else if (!(count > 0
                     ? ask_chunk(n, MIN(count, CHUNK_CLUSTERS), error)
                     : ask_status(n, error))) {
            return false;
        }
    }
    return true;
}

/* Receiving */

/*
 * Waits until there is something to send, DONE clusters having been sent: the
 * oldest chunk, or zeroes up to n->next if there is no chunk.
 */
static bool receive(NbdDisk *n, uint64_t done, uint64_t clusters,
                    GError **error)
{
    const Slot *slot = &n->slots[n->oldest];
    bool ready, more = !n->snapshot || n->used == 0;

    do {
        if (more && !ask(n, clusters, error)) {
            return false;
        }
        ready = n->used > 0 ? slot->pending == 0 : n->next > done;
        if (n->snapshot && nbd_links_in_flight(&n->links) > 0) {
            ready = false;
        }
        /* Keeps the server busy; one that owes us nothing may have gone. */
        if (nbd_links_in_flight(&n->links) > 0 &&
            !nbd_links_serve(&n->links, !ready, error)) {
            return false;
        }
    } while (!ready);
    if (n->used > 0 && slot->errnum) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s",
                    io_nbd_strerror(slot->errnum));
        return false;
    }
    return true;
}

/* Until no more requests than this are under way. */
static bool await(NbdDisk *n, unsigned requests, GError **error)
{
    while (nbd_links_in_flight(&n->links) > requests) {
        if (!nbd_links_serve(&n->links, true, error)) {
            return false;
        }
    }
    return true;
}

/*
 * Tells the server that nobody will read again what comes before cluster DONE.
 * Whether it makes use of that is not looked at.
 */
static bool discard(NbdDisk *n, uint64_t done, GError **error)
{
    bool last = done == backup_clusters(n->disk.source_bytes);

    if (!n->discard || (!last && done - n->kept < DISCARD_CLUSTERS)) {
        return true;
    }
    while (n->kept < done) {
        IoNbd *nbd = nbd_links_idlest(&n->links);
        uint64_t count = MIN(done - n->kept, DISCARD_MAX_CLUSTERS);
        nbd_completion_callback end = { .callback = on_discarded };

        if (nbd_aio_trim(nbd->handle,
                         backup_run_bytes(n->disk.source_bytes, n->kept, count),
                         n->kept * BACKUP_CLUSTER_BYTES, end, 0) < 0) {
            io_nbd_set_error(nbd, error);
            return false;
        }
        n->kept += count;
        /* Answers that nobody takes hold up who sends them. */
        if (!await(n, DISCARDS_AT_ONCE, error)) {
            return false;
        }
    }
    return true;
}

static bool send_clusters(NbdDisk *n, DiskSender *sender, GError **error)
{
    uint64_t clusters = backup_clusters(n->disk.source_bytes);
    uint64_t done = 0;

    while (done < clusters) {
        const Slot *slot = &n->slots[n->oldest];
        uint64_t data;

        if (!receive(n, done, clusters, error)) {
            if (!io_interrupted(NULL)) {
                g_prefix_error(error, "cannot read '%s' at offset %" PRIu64
                               ": ", n->disk.name,
                               done * BACKUP_CLUSTER_BYTES);
            }
            return false;
        }
        data = n->used > 0 ? slot->first : n->next;
        disk_send_zeroes(sender, done, data - done);
        done = data;
        if (n->used > 0 && slot->pending == 0) {
            if (!disk_send_data(sender, slot->first, slot->count, slot->buffer,
                                error)) {
                return false;
            }
            done += slot->count;
            n->oldest = (n->oldest + 1) % DEPTH;
            n->used--;
        }
        if (!discard(n, done, error)) {
            return false;
        }
    }
    return true;
}

static bool export_send(Disk *disk, DiskSender *sender, GError **error)
{
    NbdDisk *n = (NbdDisk *)disk;

    for (unsigned i = 0; i < DEPTH; i++) {
        n->slots[i].buffer = g_malloc(CHUNK_BYTES);
    }
    /*
     * Not before: a server takes only so many clients, QEMU 100, and the disks
     * that come later wait for theirs without a limit.  And not of a guest that
     * runs: a connection that is made while its disk is drained, and is not used
     * then, hangs QEMU (seen on 10.0.13), which works no faster for several.
     */
    if (!n->snapshot && !nbd_links_add(&n->links, CONNECTIONS, error)) {
        return false;
    }
    if (!send_clusters(n, sender, error) || !await(n, 0, error)) {
        return false;
    }
    /* What was received is all that counts; others may need them now. */
    nbd_links_disconnect(&n->links);
    return true;
}

/* Nothing is written to the buffers once the handle is closed. */
static void export_free(Disk *disk)
{
    NbdDisk *n = (NbdDisk *)disk;

    nbd_links_close(&n->links);
    for (unsigned i = 0; i < DEPTH; i++) {
        g_free(n->slots[i].buffer);
    }
    drop_map(n);
    g_free(n);
}

static const DiskKind export_kind = {
    .send = export_send,
    .free = export_free,
};

Disk *nbd_disk_open(const char *uri, const DiskOptions *options,
                    GError **error)
{
    g_autoptr(Disk) disk = NULL;
    NbdDisk *n;

    if (!io_nbd_uri_verify(uri, error)) {
        return NULL;
    }
    n = g_new0(NbdDisk, 1);
    disk = &n->disk;
    disk->kind = &export_kind;
    disk->name = options->name ? g_strdup(options->name)
                               : io_nbd_uri_without_password(uri);
    if (!nbd_links_open(&n->links, uri, error) || !learn(n, error)) {
        if (!io_interrupted(NULL)) {
            g_prefix_error(error, "cannot open '%s': ", disk->name);
        }
        return NULL;
    }
    if (options->by_clusters) {
        n->request_bytes = MIN(n->request_bytes, BACKUP_CLUSTER_BYTES);
    }
    if (options->by_clusters || options->no_extents) {
        drop_map(n);
    }
    if (n->map && options->overlay) {
        zero_map_ask_twice(n->map);
    }
    n->snapshot = options->snapshot;
    if (n->snapshot) {
        struct nbd_handle *first = n->links.links[0].handle;

        n->discard = nbd_can_trim(first) > 0;
        /* Where it may answer in pieces, QEMU hangs up when one can't be read. */
        n->whole_answers = nbd_can_df(first) > 0;
    }
    return g_steal_pointer(&disk);
}
