/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames compressed by several threads, written in order.
 *
 * The slots form a ring.  A slot is filled by the caller (given), taken by the
 * first idle thread, and written by the caller again, each step in the order of
 * the frames; three counters say how far each of them is:
 *
 *     written <= taken <= given <= written + slots
 *
 * A slot's buffers belong to the caller up to "given", to the thread that took
 * it until "done" is set, then to the caller again.
 *
 * The caller waits for a thread that computes, looking for signals meanwhile,
 * and for its own write, which a signal interrupts.  Threads wait for work or
 * the order to stop, and look for that order after every piece of a large
 * frame: at the highest level one takes half a minute.
 */
#include "io/zstd-writer.h"

#include <pthread.h>
#include <signal.h>
#include <zstd.h>

#include "backup/error.h"
#include "io/io.h"

/* One being filled and one that waits, for threads to find work at once. */
#define MORE_SLOTS 2u
/*
 * From this level on a frame larger than that takes many seconds.  It is
 * compressed piece by piece, each of whole blocks of zstd: that needs a little
 * more time and memory, but can be given up.
 */
#define SLOW_LEVEL 10
#define AT_ONCE_BYTES (4u << 20)
#define PIECE_BYTES (256u << 10)
/* A signal does not end the wait for a thread, so it is looked for. */
#define SIGNAL_LATENCY_US (G_USEC_PER_SEC / 10)

typedef struct Slot {
    uint8_t *in;
    uint8_t *out;
    size_t in_bytes;
    size_t result;              /* bytes of out, or libzstd's error */
    bool done;                  /* protected by lock */
} Slot;

typedef struct Worker {
    IoZstdWriter *writer;
    ZSTD_CCtx *context;
    GThread *thread;
} Worker;

struct IoZstdWriter {
    /* Set at creation, never changed. */
    IoOutput *output;           /* borrowed */
    int level;
    size_t in_capacity;
    size_t out_capacity;
    Slot *slots;
    unsigned slot_count;
    Worker *workers;
    unsigned worker_count;

    /* The caller's alone. */
    IoZstdTable *table;
    uint64_t written;

    GMutex lock;
    GCond work;                 /* given or stop has changed */
    GCond done;                 /* a slot's done was set */
    /* Protected by lock. */
    uint64_t given;
    uint64_t taken;
    bool stop;
};

static Slot *slot_of(IoZstdWriter *w, uint64_t number)
{
    return &w->slots[number % w->slot_count];
}

static bool is_stopped(IoZstdWriter *w)
{
    bool stop;

    g_mutex_lock(&w->lock);
    stop = w->stop;
    g_mutex_unlock(&w->lock);
    return stop;
}

/*
 * A frame that says its size; once W is stopped only a part of one.  Returns
 * bytes or libzstd's error.
 */
static size_t compress_frame(IoZstdWriter *w, ZSTD_CCtx *context, void *frame,
                             size_t capacity, const void *data, size_t bytes)
{
    ZSTD_outBuffer out = { frame, capacity, 0 };
    ZSTD_inBuffer in = { data, 0, 0 };
    size_t left;

    if (w->level < SLOW_LEVEL || bytes <= AT_ONCE_BYTES) {
        return ZSTD_compress2(context, frame, capacity, data, bytes);
    }
    ZSTD_CCtx_reset(context, ZSTD_reset_session_only);
    left = ZSTD_CCtx_setPledgedSrcSize(context, bytes);
    while (!ZSTD_isError(left) && in.size < bytes && !is_stopped(w)) {
        in.size += MIN(bytes - in.size, PIECE_BYTES);
        /* There is room for all of it, so all of it is taken. */
        left = ZSTD_compressStream2(context, &out, &in, in.size < bytes
                                    ? ZSTD_e_continue : ZSTD_e_end);
    }
    return ZSTD_isError(left) ? left : out.pos;
}

static void *work(void *opaque)
{
    Worker *worker = opaque;
    IoZstdWriter *w = worker->writer;

    g_mutex_lock(&w->lock);
    for (;;) {
        Slot *slot;

        while (!w->stop && w->taken == w->given) {
            g_cond_wait(&w->work, &w->lock);
        }
        if (w->stop) {
            break;
        }
        slot = slot_of(w, w->taken++);
        g_mutex_unlock(&w->lock);
        slot->result = compress_frame(w, worker->context, slot->out,
                                      w->out_capacity, slot->in,
                                      slot->in_bytes);
        g_mutex_lock(&w->lock);
        slot->done = true;
        g_cond_signal(&w->done);
    }
    g_mutex_unlock(&w->lock);
    return NULL;
}

static bool set_no_memory(GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "there is not enough memory to compress with so many threads "
                "and such large frames");
    return false;
}

static ZSTD_CCtx *new_context(int level, GError **error)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();

    if (!context) {
        set_no_memory(error);
        return NULL;
    }
    /* These exist in every release and take these values. */
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    return context;
}

static bool start_worker(IoZstdWriter *w, Worker *worker, GError **error)
{
    g_autoptr(GError) local = NULL;

    worker->writer = w;
    worker->context = new_context(w->level, error);
    if (!worker->context) {
        return false;
    }
    worker->thread = g_thread_try_new("zstd", work, worker, &local);
    if (!worker->thread) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start a thread: %s", local->message);
        return false;
    }
    return true;
}

/* Signals are for the caller's thread, whose calls they are to interrupt. */
static bool start_workers(IoZstdWriter *w, unsigned count, GError **error)
{
    sigset_t all, old;
    bool ok = true;

    w->workers = g_new0(Worker, count);
    w->worker_count = count;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    for (unsigned i = 0; ok && i < count; i++) {
        ok = start_worker(w, &w->workers[i], error);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ok;
}

/* What is never written to takes no memory from the system. */
static bool allocate_slots(IoZstdWriter *w, unsigned count, GError **error)
{
    w->slots = g_new0(Slot, count);
    w->slot_count = count;
    for (unsigned i = 0; i < count; i++) {
        w->slots[i].in = g_try_malloc(w->in_capacity);
        w->slots[i].out = g_try_malloc(w->out_capacity);
        if (!w->slots[i].in || !w->slots[i].out) {
            return set_no_memory(error);
        }
    }
    return true;
}

IoZstdWriter *io_zstd_writer_new(IoOutput *output, int level, unsigned threads,
                                 size_t room_bytes, GError **error)
{
    g_autoptr(IoZstdWriter) w = g_new0(IoZstdWriter, 1);

    g_assert(threads >= 1 && threads <= IO_ZSTD_THREADS_MAX);
    w->output = output;
    w->level = level;
    w->in_capacity = room_bytes;
    w->out_capacity = ZSTD_compressBound(room_bytes);
    w->table = io_zstd_table_new();
    g_mutex_init(&w->lock);
    g_cond_init(&w->work);
    g_cond_init(&w->done);
    if (!allocate_slots(w, threads + MORE_SLOTS, error) ||
        !start_workers(w, threads, error)) {
        return NULL;
    }
    return g_steal_pointer(&w);
}

/* The frames that are being compressed are given up, the others dropped. */
static void stop_workers(IoZstdWriter *w)
{
    g_mutex_lock(&w->lock);
    w->stop = true;
    g_cond_broadcast(&w->work);
    g_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->worker_count; i++) {
        if (w->workers[i].thread) {
            g_thread_join(w->workers[i].thread);
        }
        ZSTD_freeCCtx(w->workers[i].context);
    }
    g_free(w->workers);
}

void io_zstd_writer_free(IoZstdWriter *w)
{
    if (!w) {
        return;
    }
    stop_workers(w);
    for (unsigned i = 0; i < w->slot_count; i++) {
        g_free(w->slots[i].in);
        g_free(w->slots[i].out);
    }
    g_free(w->slots);
    io_zstd_table_free(w->table);
    g_mutex_clear(&w->lock);
    g_cond_clear(&w->work);
    g_cond_clear(&w->done);
    g_free(w);
}

/* RESULT is that of a compression. */
static bool write_frame(IoZstdWriter *w, const uint8_t *frame, size_t result,
                        size_t content_bytes, GError **error)
{
    if (ZSTD_isError(result)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot compress: %s", ZSTD_getErrorName(result));
        return false;
    }
    return io_zstd_table_add(w->table, result, content_bytes, error) &&
           io_output_write(w->output, frame, result, error);
}

/* False: a signal came. */
static bool wait_for(IoZstdWriter *w, const Slot *slot, GError **error)
{
    bool interrupted = false;

    g_mutex_lock(&w->lock);
    while (!slot->done && !interrupted) {
        g_cond_wait_until(&w->done, &w->lock,
                          g_get_monotonic_time() + SIGNAL_LATENCY_US);
        interrupted = !slot->done && io_interrupted(error);
    }
    g_mutex_unlock(&w->lock);
    return !interrupted;
}

static bool write_oldest(IoZstdWriter *w, GError **error)
{
    Slot *slot = slot_of(w, w->written);

    if (!wait_for(w, slot, error) ||
        !write_frame(w, slot->out, slot->result, slot->in_bytes,
                     error)) {
        return false;
    }
    w->written++;
    return true;
}

static bool oldest_is_done(IoZstdWriter *w)
{
    bool done;

    g_mutex_lock(&w->lock);
    done = w->written < w->given && slot_of(w, w->written)->done;
    g_mutex_unlock(&w->lock);
    return done;
}

/* Only the caller changes it, so it needs no lock to read it. */
static uint64_t in_flight(const IoZstdWriter *w)
{
    return w->given - w->written;
}

uint8_t *io_zstd_writer_room(IoZstdWriter *w, GError **error)
{
    /* What is ready leaves at once; where no slot is free one has to. */
    while (in_flight(w) == w->slot_count || oldest_is_done(w)) {
        if (!write_oldest(w, error)) {
            return NULL;
        }
    }
    return slot_of(w, w->given)->in;
}

void io_zstd_writer_give(IoZstdWriter *w, size_t bytes)
{
    Slot *slot = slot_of(w, w->given);

    g_assert(bytes > 0 && bytes <= w->in_capacity &&
             in_flight(w) < w->slot_count);
    slot->in_bytes = bytes;
    g_mutex_lock(&w->lock);
    slot->done = false;
    w->given++;
    g_cond_signal(&w->work);
    g_mutex_unlock(&w->lock);
}

uint32_t io_zstd_writer_next_frame(const IoZstdWriter *w)
{
    return io_zstd_table_frames(w->table) + in_flight(w);
}

const IoZstdTable *io_zstd_writer_drain(IoZstdWriter *w, GError **error)
{
    while (in_flight(w) > 0) {
        if (!write_oldest(w, error)) {
            return NULL;
        }
    }
    return w->table;
}

bool io_zstd_writer_write(IoZstdWriter *w, const void *data, size_t bytes,
                          GError **error)
{
    size_t capacity = ZSTD_compressBound(bytes);
    g_autofree uint8_t *frame = NULL;
    ZSTD_CCtx *context;
    size_t result;

    if (!io_zstd_writer_drain(w, error)) {
        return false;
    }
    context = new_context(w->level, error);
    if (!context) {
        return false;
    }
    frame = g_malloc(capacity);
    result = ZSTD_compress2(context, frame, capacity, data, bytes);
    ZSTD_freeCCtx(context);
    return write_frame(w, frame, result, bytes, error);
}

bool io_zstd_writer_write_skippable(IoZstdWriter *w, const void *frame,
                                    size_t bytes, GError **error)
{
    g_assert(bytes >= IO_ZSTD_SKIPPABLE_HEADER_BYTES && bytes <= UINT32_MAX);
    return io_zstd_writer_drain(w, error) &&
           io_zstd_table_add(w->table, bytes, 0, error) &&
           io_output_write(w->output, frame, bytes, error);
}

bool io_zstd_writer_finish(IoZstdWriter *w, GError **error)
{
    g_autoptr(GByteArray) table = NULL;

    if (!io_zstd_writer_drain(w, error)) {
        return false;
    }
    table = io_zstd_table_encode(w->table);
    return io_output_write(w->output, table->data, table->len, error);
}
