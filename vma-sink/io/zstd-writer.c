/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames compressed by several threads, written in order.
 *
 * A slot of the ring (io/ring.h) is filled by the caller and compressed by a
 * thread, which also writes it to a file, when it is the frame's turn: so the
 * caller is free to fill the next one.  Where the output is no file the caller
 * writes, because only its waiting ends with a signal.
 *
 * A thread waits for its turn no longer than for the frame before, which
 * another one has taken already and passes the turn on however that ends.
 * Threads look for the order to stop after every piece of a large frame: at the
 * highest level one takes half a minute.
 */
#include "io/zstd-writer.h"

#include <zstd.h>

#include "backup/error.h"
#include "io/ring.h"

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
/* Frames whose tables are limited; the default frame size makes such. */
#define SMALL_FRAME_BYTES (8u << 20)

typedef struct Slot {
    uint8_t *in;
    uint8_t *out;
    size_t in_bytes;
    size_t result;              /* bytes of out, or libzstd's error */
    GError *error;              /* of what the thread has written */
} Slot;

struct IoZstdWriter {
    /* Set at creation, never changed. */
    IoOutput *output;           /* borrowed */
    int level;
    size_t in_capacity;
    size_t out_capacity;
    Slot *slots;
    unsigned slot_count;
    GPtrArray *contexts;        /* of ZSTD_CCtx, one a thread */
    IoRing *ring;
    bool threads_write;

    GMutex lock;
    GCond next_turn;            /* turn has changed */
    /* Protected by lock. */
    uint64_t turn;              /* the piece that may be written */

    IoZstdTable *table;         /* of the frames that were written */
};

static Slot *slot_of(IoZstdWriter *w, uint64_t number)
{
    return &w->slots[io_ring_slot(w->ring, number)];
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
    while (!ZSTD_isError(left) && in.size < bytes &&
           !io_ring_is_stopped(w->ring)) {
        in.size += MIN(bytes - in.size, PIECE_BYTES);
        /* There is room for all of it, so all of it is taken. */
        left = ZSTD_compressStream2(context, &out, &in, in.size < bytes
                                    ? ZSTD_e_continue : ZSTD_e_end);
    }
    return ZSTD_isError(left) ? left : out.pos;
}

/* RESULT is that of a compression. */
static bool write_frame(IoZstdWriter *w, const uint8_t *frame, size_t result,
                        GError **error)
{
    if (ZSTD_isError(result)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot compress: %s", ZSTD_getErrorName(result));
        return false;
    }
    return io_output_write(w->output, frame, result, error);
}

/*
 * By a thread.  Nothing is written behind what could not be, nor a part of a
 * frame that was given up.
 */
static void write_in_turn(IoZstdWriter *w, Slot *slot, uint64_t number)
{
    g_mutex_lock(&w->lock);
    while (w->turn != number) {
        g_cond_wait(&w->next_turn, &w->lock);
    }
    g_mutex_unlock(&w->lock);
    /* Only who has the turn is here. */
    if (!io_ring_is_stopped(w->ring) &&
        !write_frame(w, slot->out, slot->result, &slot->error)) {
        io_ring_stop(w->ring);
    }
    g_mutex_lock(&w->lock);
    w->turn++;
    g_cond_broadcast(&w->next_turn);
    g_mutex_unlock(&w->lock);
}

/* IoRingFunc */
static void compress_slot(void *opaque, void *context, uint64_t number)
{
    IoZstdWriter *w = opaque;
    Slot *slot = slot_of(w, number);

    slot->result = compress_frame(w, context, slot->out, w->out_capacity,
                                  slot->in, slot->in_bytes);
    if (w->threads_write) {
        write_in_turn(w, slot, number);
    }
}

static bool set_no_memory(GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "there is not enough memory to compress with so many threads "
                "and such large frames");
    return false;
}

/*
 * From level 9 on libzstd's tables take 12 to 65 MiB a thread.  Smaller ones do
 * for frames of a few MiB: some 8 MiB, for 0.1 to 0.3 % of the archive's size up to
 * level 12, and 0.5 to 0.7 % above, where a tree stands in for rows.
 */
static void limit_tables(ZSTD_CCtx *context, int level)
{
    if (level >= 9) {
        ZSTD_CCtx_setParameter(context, ZSTD_c_hashLog, level < 13 ? 20 : 19);
        ZSTD_CCtx_setParameter(context, ZSTD_c_chainLog, 20);
    }
}

static ZSTD_CCtx *new_context(int level, size_t frame_bytes, GError **error)
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
    if (frame_bytes <= SMALL_FRAME_BYTES) {
        limit_tables(context, level);
    }
    return context;
}

static void free_context(void *context)
{
    ZSTD_freeCCtx(context);
}

static bool start_ring(IoZstdWriter *w, unsigned threads, GError **error)
{
    for (unsigned i = 0; i < threads; i++) {
        ZSTD_CCtx *context = new_context(w->level, w->in_capacity, error);

        if (!context) {
            return false;
        }
        g_ptr_array_add(w->contexts, context);
    }
    w->ring = io_ring_new(compress_slot, w, w->contexts->pdata, threads,
                          w->slot_count, error);
    return w->ring != NULL;
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
    g_mutex_init(&w->lock);
    g_cond_init(&w->next_turn);
    w->output = output;
    w->threads_write = io_output_is_file(output);
    w->level = level;
    w->in_capacity = room_bytes;
    w->out_capacity = ZSTD_compressBound(room_bytes);
    w->contexts = g_ptr_array_new_with_free_func(free_context);
    w->table = io_zstd_table_new();
    if (!allocate_slots(w, threads + MORE_SLOTS, error) ||
        !start_ring(w, threads, error)) {
        return NULL;
    }
    return g_steal_pointer(&w);
}

void io_zstd_writer_free(IoZstdWriter *w)
{
    if (!w) {
        return;
    }
    /* The frames that are being compressed are given up, the others dropped. */
    io_ring_free(w->ring);
    g_ptr_array_free(w->contexts, TRUE);
    for (unsigned i = 0; i < w->slot_count; i++) {
        g_clear_error(&w->slots[i].error);
        g_free(w->slots[i].in);
        g_free(w->slots[i].out);
    }
    g_free(w->slots);
    io_zstd_table_free(w->table);
    g_cond_clear(&w->next_turn);
    g_mutex_clear(&w->lock);
    g_free(w);
}

static bool retire_oldest(IoZstdWriter *w, GError **error)
{
    Slot *slot = slot_of(w, io_ring_oldest(w->ring));

    if (!io_ring_wait(w->ring, error)) {
        return false;
    }
    if (slot->error) {
        g_propagate_error(error, g_steal_pointer(&slot->error));
        return false;
    }
    if ((!w->threads_write &&
         !write_frame(w, slot->out, slot->result, error)) ||
        !io_zstd_table_add(w->table, slot->result, slot->in_bytes, error)) {
        return false;
    }
    io_ring_retire(w->ring);
    return true;
}

static uint64_t in_flight(const IoZstdWriter *w)
{
    return io_ring_next(w->ring) - io_ring_oldest(w->ring);
}

uint8_t *io_zstd_writer_room(IoZstdWriter *w, GError **error)
{
    /* Also what is ready already, for an error of it to be told soon. */
    while (io_ring_is_full(w->ring) || io_ring_is_ready(w->ring)) {
        if (!retire_oldest(w, error)) {
            return NULL;
        }
    }
    return slot_of(w, io_ring_next(w->ring))->in;
}

void io_zstd_writer_give(IoZstdWriter *w, size_t bytes)
{
    g_assert(bytes > 0 && bytes <= w->in_capacity);
    slot_of(w, io_ring_next(w->ring))->in_bytes = bytes;
    io_ring_give(w->ring);
}

uint32_t io_zstd_writer_next_frame(const IoZstdWriter *w)
{
    return io_zstd_table_frames(w->table) + in_flight(w);
}

const IoZstdTable *io_zstd_writer_drain(IoZstdWriter *w, GError **error)
{
    while (in_flight(w) > 0) {
        if (!retire_oldest(w, error)) {
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
    context = new_context(w->level, bytes, error);
    if (!context) {
        return false;
    }
    frame = g_malloc(capacity);
    result = ZSTD_compress2(context, frame, capacity, data, bytes);
    ZSTD_freeCCtx(context);
    return write_frame(w, frame, result, error) &&
           io_zstd_table_add(w->table, result, bytes, error);
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
