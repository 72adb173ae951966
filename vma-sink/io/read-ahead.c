/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes are a queue of pieces, each in a buffer in memory or in the spool:
 *
 *     descriptor -> [last piece] ... [ spooled ] ... [first piece] -> caller
 *
 * The thread fills the last piece, and when that is full begins another one, in
 * a buffer that is free.  Where none is, the piece just filled, which is needed
 * last of all, goes into the spool, and the next one takes over its buffer.
 * Where there is no room in the spool either, the thread waits until the caller
 * has used up a piece.
 *
 * The caller copies from the first piece, which may be the last one as well: it
 * takes bytes that have been read, while the thread reads those behind them.  A
 * spooled piece is loaded into a buffer of the caller's own first.
 *
 * Only the thread appends pieces; only the caller removes them, once all of a
 * piece was read and taken.  "first_in_use" keeps the first one in memory.
 */
#include "io/read-ahead.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/io.h"
#include "io/spool.h"

/* A signal does not end the wait for the thread, so it is looked for. */
#define SIGNAL_LATENCY_US (G_USEC_PER_SEC / 10)

typedef struct Piece {
    uint8_t *buffer;            /* NULL: it is in the spool */
    IoSpoolPlace place;         /* there */
    size_t bytes;               /* read so far */
} Piece;

struct IoReadAhead {
    /* Set at creation, never changed. */
    int fd;                     /* borrowed */
    int stop_fd;                /* an eventfd */
    unsigned stall_seconds;     /* 0: it may take any time */
    size_t piece_bytes;
    uint8_t *memory;            /* of all buffers */
    IoSpool *spool;             /* NULL: there is none */
    uint8_t *load_buffer;       /* the caller's, with a spool */
    GThread *thread;            /* NULL after io_read_ahead_stop() */

    /* The caller's. */
    size_t taken;               /* of the first piece */
    bool loaded;                /* the first piece is in load_buffer */

    GMutex lock;
    GCond filled;               /* there are more bytes, or the end */
    GCond freed;                /* a piece was removed, or stop was set */
    /* Protected by lock. */
    GQueue pieces;              /* of Piece, the first one at the head */
    bool first_in_use;          /* it must stay in memory if it is there */
    GPtrArray *free_buffers;    /* the last one is used first: it is warm */
    uint64_t removed;           /* pieces */
    uint64_t bytes;             /* read and not yet taken */
    bool stop;
    bool ended;                 /* after these bytes, with error or well */
    GError *error;
};

/* --- The thread --- */

/* Called with lock held: waits until the caller has done away with a piece. */
static void wait_for_room(IoReadAhead *a, uint64_t removed)
{
    while (!a->stop && a->removed == removed) {
        g_cond_wait(&a->freed, &a->lock);
    }
}

/*
 * Called with lock held, and with no buffer free, so that the last piece is not
 * the first.  The buffer of the last piece once that is in the spool.  NULL:
 * something has changed meanwhile, there may be a free one.
 */
static uint8_t *empty_last(IoReadAhead *a)
{
    Piece *last = g_queue_peek_tail(&a->pieces);
    const uint8_t *data = last->buffer;
    uint64_t removed = a->removed;
    IoSpoolPlace place;
    bool ok;

    if (!a->spool) {
        wait_for_room(a, removed);
        return NULL;
    }
    /* The caller may get as far as this piece, and read it, but not change it. */
    g_mutex_unlock(&a->lock);
    ok = io_spool_put(a->spool, data, &place);
    g_mutex_lock(&a->lock);
    if (!ok) {
        wait_for_room(a, removed);
        return NULL;
    }
    if (g_queue_peek_tail(&a->pieces) != last ||
        (g_queue_peek_head(&a->pieces) == last && a->first_in_use)) {
        /* It did. */
        io_spool_drop(a->spool, &place);
        return NULL;
    }
    last->place = place;
    return g_steal_pointer(&last->buffer);
}

/* Called with lock held.  A piece with room at the end; NULL: stop. */
static Piece *piece_to_fill(IoReadAhead *a)
{
    while (!a->stop) {
        Piece *last = g_queue_peek_tail(&a->pieces);
        uint8_t *buffer;

        if (last && last->bytes < a->piece_bytes) {
            return last;
        }
        buffer = a->free_buffers->len > 0
                 ? g_ptr_array_steal_index(a->free_buffers,
                                           a->free_buffers->len - 1)
                 : empty_last(a);
        if (buffer) {
            last = g_new0(Piece, 1);
            last->buffer = buffer;
            g_queue_push_tail(&a->pieces, last);
        }
    }
    return NULL;
}

static bool wait_for_bytes(const IoReadAhead *a, GError **error)
{
    return a->stall_seconds == 0 ||
           io_wait_readable(a->fd, a->stop_fd, a->stall_seconds, error);
}

static void *work(void *opaque)
{
    IoReadAhead *a = opaque;
    Piece *piece;

    g_mutex_lock(&a->lock);
    while (!a->ended && (piece = piece_to_fill(a))) {
        size_t got = 0;
        GError *error = NULL;

        g_mutex_unlock(&a->lock);
        (void)(wait_for_bytes(a, &error) &&
               io_read_or_stop(a->fd, a->stop_fd,
                               piece->buffer + piece->bytes,
                               a->piece_bytes - piece->bytes, &got, &error));
        g_mutex_lock(&a->lock);
        piece->bytes += got;
        a->bytes += got;
        a->error = error;
        a->ended = got == 0;
        g_cond_signal(&a->filled);
    }
    g_mutex_unlock(&a->lock);
    return NULL;
}

/* Signals are for the caller's thread, whose calls they are to interrupt. */
bool io_read_ahead_start(IoReadAhead *a, GError **error)
{
    g_autoptr(GError) local = NULL;
    sigset_t all, old;

    a->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (a->stop_fd < 0) {
        backup_error_set_errno(error, errno, "cannot create an eventfd");
        return false;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    a->thread = g_thread_try_new("read-ahead", work, a, &local);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!a->thread) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start a thread: %s", local->message);
    }
    return a->thread != NULL;
}

/* --- Its start and its end --- */

/* What is never written to takes no memory from the system. */
static bool allocate(IoReadAhead *a, const IoReadAheadOptions *options,
                     GError **error)
{
    unsigned count = options->pieces;

    a->memory = g_try_malloc_n(count, a->piece_bytes);
    if (!a->memory) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "there is not enough memory for a buffer of %u times %zu "
                    "bytes", count, a->piece_bytes);
        return false;
    }
    if (options->spool_folder) {
        a->spool = io_spool_new(options->spool_folder, options->spool_bytes,
                                a->piece_bytes, error);
        if (!a->spool) {
            return false;
        }
        count--;
        a->load_buffer = a->memory + count * a->piece_bytes;
    }
    g_assert(count >= 2);
    for (unsigned i = 0; i < count; i++) {
        g_ptr_array_add(a->free_buffers, a->memory + i * a->piece_bytes);
    }
    return true;
}

IoReadAhead *io_read_ahead_new(int fd, const IoReadAheadOptions *options,
                               GError **error)
{
    g_autoptr(IoReadAhead) a = g_new0(IoReadAhead, 1);

    a->fd = fd;
    a->stop_fd = -1;
    a->stall_seconds = options->stall_seconds;
    a->piece_bytes = options->piece_bytes;
    a->free_buffers = g_ptr_array_new();
    g_queue_init(&a->pieces);
    g_mutex_init(&a->lock);
    g_cond_init(&a->filled);
    g_cond_init(&a->freed);
    return allocate(a, options, error) ? g_steal_pointer(&a) : NULL;
}

void io_read_ahead_stop(IoReadAhead *a)
{
    if (a->thread) {
        g_mutex_lock(&a->lock);
        a->stop = true;
        g_cond_signal(&a->freed);
        g_mutex_unlock(&a->lock);
        eventfd_write(a->stop_fd, 1);
        g_thread_join(g_steal_pointer(&a->thread));
    }
}

void io_read_ahead_free(IoReadAhead *a)
{
    if (!a) {
        return;
    }
    io_read_ahead_stop(a);
    if (a->stop_fd >= 0) {
        close(a->stop_fd);
    }
    g_queue_clear_full(&a->pieces, g_free);
    g_ptr_array_free(a->free_buffers, TRUE);
    g_clear_error(&a->error);
    io_spool_free(a->spool);
    g_free(a->memory);
    g_mutex_clear(&a->lock);
    g_cond_clear(&a->filled);
    g_cond_clear(&a->freed);
    g_free(a);
}

/* --- The caller --- */

/*
 * *piece has *bytes to take and stays where it is until it is removed; NULL: the
 * input has ended.  False: it can't be read, or a signal came.
 */
static bool first_piece(IoReadAhead *a, Piece **piece, size_t *bytes,
                        GError **error)
{
    bool interrupted = io_interrupted(error);

    *piece = NULL;
    g_mutex_lock(&a->lock);
    while (!interrupted && a->bytes == 0 && !a->ended && !a->stop) {
        g_cond_wait_until(&a->filled, &a->lock,
                          g_get_monotonic_time() + SIGNAL_LATENCY_US);
        interrupted = io_interrupted(error);
    }
    if (!interrupted && a->bytes > 0) {
        *piece = g_queue_peek_head(&a->pieces);
        *bytes = (*piece)->bytes - a->taken;
        a->first_in_use = true;
    } else if (!interrupted && a->error) {
        g_propagate_error(error, g_error_copy(a->error));
        interrupted = true;
    }
    g_mutex_unlock(&a->lock);
    return !interrupted;
}

/* Where the piece's bytes are; NULL: they are lost. */
static const uint8_t *data_of(IoReadAhead *a, const Piece *piece,
                              GError **error)
{
    if (piece->buffer) {
        return piece->buffer;
    }
    if (!a->loaded) {
        a->loaded = io_spool_get(a->spool, &piece->place, a->load_buffer,
                                 error);
    }
    return a->loaded ? a->load_buffer : NULL;
}

/* The first piece has been taken as a whole. */
static void remove_piece(IoReadAhead *a, Piece *piece)
{
    if (!piece->buffer) {
        /* Its room is there before the thread is told of it. */
        io_spool_drop(a->spool, &piece->place);
    }
    a->taken = 0;
    a->loaded = false;
    g_mutex_lock(&a->lock);
    g_queue_pop_head(&a->pieces);
    if (piece->buffer) {
        g_ptr_array_add(a->free_buffers, piece->buffer);
    }
    a->first_in_use = false;
    a->removed++;
    g_cond_signal(&a->freed);
    g_mutex_unlock(&a->lock);
    g_free(piece);
}

static void count_taken(IoReadAhead *a, size_t bytes)
{
    a->taken += bytes;
    g_mutex_lock(&a->lock);
    a->bytes -= bytes;
    g_mutex_unlock(&a->lock);
}

bool io_read_ahead_readv(IoReadAhead *a, struct iovec *iov, int count,
                         size_t *got, GError **error)
{
    const uint8_t *data;
    Piece *piece;
    size_t bytes;

    *got = 0;
    if (!first_piece(a, &piece, &bytes, error)) {
        return false;
    }
    if (!piece) {
        return true;
    }
    data = data_of(a, piece, error);
    if (!data) {
        return false;
    }
    for (int i = 0; i < count && *got < bytes; i++) {
        size_t part = MIN(iov[i].iov_len, bytes - *got);

        memcpy(iov[i].iov_base, data + a->taken + *got, part);
        *got += part;
    }
    count_taken(a, *got);
    if (a->taken == a->piece_bytes) {
        remove_piece(a, piece);
    }
    return true;
}

uint64_t io_read_ahead_bytes(IoReadAhead *a)
{
    uint64_t bytes;

    g_mutex_lock(&a->lock);
    bytes = a->bytes;
    g_mutex_unlock(&a->lock);
    return bytes;
}

const char *io_read_ahead_warning(const IoReadAhead *a)
{
    return a->spool ? io_spool_failure(a->spool) : NULL;
}
