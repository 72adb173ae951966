/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plain and compressed archives as one kind of input.
 *
 * PLAIN    the descriptor is read as it is
 * STREAM   one thread reads the descriptor and decompresses
 * FRAMES   several threads read and decompress a frame each, by the seek table;
 *          or one thread a frame in parts, where there are large ones
 *
 * In the latter two the threads are ahead of the reader in a ring of buffers
 * (io/ahead.h); of FRAMES they make all of them, or those that a cursor expects,
 * never both.  A thread that waits for a pipe is woken up through "stop".
 *
 * So there is no more than one large frame in memory, where one is read at any
 * place, by a cursor that decompresses it itself.
 */
#include "io/input.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "backup/error.h"
#include "io/ahead.h"
#include "io/io.h"
#include "io/zstd-reader.h"

/* RFC 8878, 3.1.1.1. */
#define FRAME_HEADER_MAX_BYTES 18u

/* Of the stream and of large frames, and how many of them are ahead. */
#define PIECE_BYTES (UINT32_C(1) << 20)
#define PIECES 4u

/* Frames ahead have this much memory together, or there is one for a thread. */
#define FRAMES_AHEAD_BYTES (UINT64_C(128) << 20)

typedef enum InputKind {
    INPUT_PLAIN,
    INPUT_STREAM,
    INPUT_FRAMES,
} InputKind;

typedef struct Worker {
    IoInput *input;
    IoZstdFrames *frames;
    uint32_t first;             /* the frame that is number 0; in parts: next */
    uint32_t from;              /* in parts: of that frame */
} Worker;

struct IoInput {
    /* Set at creation, never changed. */
    int fd;                     /* borrowed */
    InputKind kind;
    unsigned threads;
    bool seekable;              /* the file is */
    bool bad_table;             /* it has a seek table that is wrong */
    bool had_table;             /* a wrong one too, before frames were found */
    uint64_t start;             /* of the input in the file; 0 with a table */
    uint64_t file_bytes;        /* from there on; 0: not known */
    uint8_t head[IO_INPUT_HEAD_BYTES];  /* what was read to look at it */
    size_t head_bytes;
    IoZstdTable *table;         /* FRAMES; STREAM: one that is not used */
    uint32_t largest;           /* FRAMES: of what a frame decompresses to */

    size_t head_used;           /* PLAIN */
    IoInputDamageFunc *func;
    void *opaque;
    uint64_t read_bytes;

    /* Compressed: the piece that is being read. */
    uint8_t *piece;
    size_t piece_bytes;
    bool ended;
    uint32_t next_frame;        /* FRAMES: to be begun */
    uint32_t frame_left;        /* FRAMES: of the one before, still to come */
    uint8_t *own;               /* FRAMES: a piece not made by the threads */

    /* The threads, once they are needed. */
    IoAhead *ahead;
    GPtrArray *workers;         /* FRAMES: of Worker */
    IoZstdStream *stream;
    int stop_fd;                /* -1: no thread waits for a descriptor */
    _Atomic uint64_t stream_offset;     /* of the thread in the file */
    _Atomic uint64_t stream_frames;     /* that the thread has read */

    IoZstdFrames *frames;       /* FRAMES: for "own"; NULL: not used */

    /* FRAMES, for the cursor that tells what it is going to read. */
    GArray *expected;           /* of uint32_t, frames; NULL: not known */
    guint next_expected;
};

/* What is not set for FRAMES alone is not used with a plain file. */
struct IoInputCursor {
    IoInput *input;
    bool expecting;             /* the threads of the input make frames for it */
    IoZstdFrames *frames;
    uint8_t *buffer;
    uint8_t *piece;             /* in it, or the threads' */
    uint32_t frame;             /* that is there; UINT32_MAX: none */
};

/* --- What it is --- */

static bool look_at_start(IoInput *in, GError **error)
{
    off_t start = lseek(in->fd, 0, SEEK_CUR);
    struct stat st;

    in->seekable = start >= 0;
    in->start = MAX(start, 0);
    if (fstat(in->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        in->file_bytes = MAX(st.st_size - (off_t)in->start, 0);
    }
    if (!io_read(in->fd, in->head, sizeof(in->head), &in->head_bytes, error)) {
        return false;
    }
    if (io_zstd_is_magic(in->head, in->head_bytes)) {
        in->kind = INPUT_STREAM;
    }
    return true;
}

/* Frames that are too large to be held in memory are for the stream. */
static bool frames_fit(IoInput *in)
{
    for (uint32_t i = 0; i < io_zstd_table_frames(in->table); i++) {
        in->largest = MAX(in->largest,
                          io_zstd_table_frame(in->table, i).content_bytes);
    }
    return in->largest > 0 && in->largest <= IO_ZSTD_FRAME_MAX_BYTES;
}

static bool look_at_end(IoInput *in, char **note, GError **error)
{
    g_autoptr(GError) bad = NULL;

    if (in->kind != INPUT_STREAM || !in->seekable || in->start > 0 ||
        in->file_bytes == 0) {
        return true;
    }
    if (!io_zstd_table_read(in->fd, in->file_bytes, &in->table, &bad)) {
        if (bad->code == BACKUP_ERROR_FAILED) {
            g_propagate_error(error, g_steal_pointer(&bad));
            return false;
        }
        *note = g_strdup(bad->message);
        in->bad_table = true;
    }
    if (in->table && frames_fit(in)) {
        in->kind = INPUT_FRAMES;
    }
    return true;
}

static void worker_free(void *opaque)
{
    Worker *worker = opaque;

    io_zstd_frames_free(worker->frames);
    g_free(worker);
}

IoInput *io_input_new(int fd, unsigned threads, char **note, GError **error)
{
    g_autoptr(IoInput) in = g_new0(IoInput, 1);

    g_assert(threads >= 1);
    *note = NULL;
    in->fd = fd;
    in->threads = threads;
    in->stop_fd = -1;
    in->workers = g_ptr_array_new_with_free_func(worker_free);
    if (!look_at_start(in, error) || !look_at_end(in, note, error)) {
        return NULL;
    }
    return g_steal_pointer(&in);
}

static void end_threads(IoInput *in)
{
    if (in->stop_fd >= 0) {
        eventfd_write(in->stop_fd, 1);
    }
    g_clear_pointer(&in->ahead, io_ahead_free);
    if (in->stop_fd >= 0) {
        close(in->stop_fd);
        in->stop_fd = -1;
    }
    g_clear_pointer(&in->stream, io_zstd_stream_free);
    g_ptr_array_set_size(in->workers, 0);
    g_clear_pointer(&in->own, g_free);
    g_clear_pointer(&in->frames, io_zstd_frames_free);
    in->piece_bytes = 0;
    in->ended = true;
}

void io_input_stop(IoInput *in)
{
    g_assert(!in->expected);
    end_threads(in);
}

void io_input_free(IoInput *in)
{
    if (!in) {
        return;
    }
    end_threads(in);
    g_ptr_array_free(in->workers, TRUE);
    g_clear_pointer(&in->expected, g_array_unref);
    io_zstd_table_free(in->table);
    g_free(in);
}

void io_input_go_on(IoInput *in, IoInputDamageFunc *func, void *opaque)
{
    in->func = func;
    in->opaque = opaque;
}

/* --- The threads --- */

/* IoZstdReadFunc: waits for the input or for the end of the program. */
static bool read_or_stop(void *opaque, void *buffer, size_t bytes, size_t *got,
                         GError **error)
{
    const IoInput *in = opaque;

    return io_read_or_stop(in->fd, in->stop_fd, buffer, bytes, got, error);
}

static bool make_stream_piece(void *worker, uint64_t number, void *buffer,
                              size_t *bytes, GError **error)
{
    IoInput *in = worker;
    bool ok = io_zstd_stream_read_some(in->stream, buffer, PIECE_BYTES, bytes,
                                       error);

    (void)number;
    in->stream_offset = io_zstd_stream_offset(in->stream);
    in->stream_frames = io_zstd_stream_frames(in->stream);
    if (!ok && *bytes > 0) {
        /* These are good; the error comes again. */
        g_clear_error(error);
        return true;
    }
    if (ok && *bytes == 0) {
        *bytes = IO_AHEAD_END;
    }
    return ok;
}

/* The frame that is made as that piece, or as many as there are frames. */
static uint64_t frame_of_piece(const Worker *worker, uint64_t number)
{
    const IoInput *in = worker->input;

    if (!in->expected) {
        return worker->first + number;
    }
    return number < in->expected->len
           ? g_array_index(in->expected, uint32_t, number)
           : io_zstd_table_frames(in->table);
}

static bool make_frame_piece(void *opaque, uint64_t number, void *buffer,
                             size_t *bytes, GError **error)
{
    Worker *worker = opaque;
    const IoZstdTable *table = worker->input->table;
    uint64_t frame = frame_of_piece(worker, number);

    if (frame >= io_zstd_table_frames(table)) {
        *bytes = IO_AHEAD_END;
        return true;
    }
    *bytes = io_zstd_table_frame(table, frame).content_bytes;
    return io_zstd_frames_read(worker->frames, frame, buffer, error);
}

static bool in_parts(const IoInput *in)
{
    return in->largest > IO_ZSTD_FRAME_LARGE_BYTES;
}

/* By the only thread.  The next frame begins behind what is damaged. */
static bool make_part(void *opaque, uint64_t number, void *buffer,
                      size_t *bytes, GError **error)
{
    Worker *worker = opaque;
    const IoZstdTable *table = worker->input->table;
    uint32_t frame = worker->first;
    uint32_t from = worker->from;
    uint32_t left;
    bool ok;

    (void)number;
    if (frame == io_zstd_table_frames(table)) {
        *bytes = IO_AHEAD_END;
        return true;
    }
    left = io_zstd_table_frame(table, frame).content_bytes - from;
    *bytes = MIN(left, PIECE_BYTES);
    ok = left > 0 ? io_zstd_frames_read_part(worker->frames, frame, from,
                                             buffer, *bytes, error)
                  : io_zstd_frames_read(worker->frames, frame, buffer, error);
    worker->from += *bytes;
    if (!ok || *bytes == left) {
        worker->first++;
        worker->from = 0;
    }
    return ok;
}

static bool start_stream(IoInput *in, GError **error)
{
    void *worker = in;

    in->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (in->stop_fd < 0) {
        backup_error_set_errno(error, errno, "cannot create an eventfd");
        return false;
    }
    in->stream = io_zstd_stream_new(in->fd, in->head, in->head_bytes, error);
    if (!in->stream) {
        return false;
    }
    io_zstd_stream_set_read(in->stream, read_or_stop, in);
    in->ahead = io_ahead_new(make_stream_piece, &worker, 1, PIECES,
                             PIECE_BYTES, error);
    return in->ahead != NULL;
}

/* FIRST is the frame that the threads begin with, unless some are expected. */
static bool start_frames(IoInput *in, uint32_t first, GError **error)
{
    unsigned fit = CLAMP(FRAMES_AHEAD_BYTES / in->largest, 1, UINT16_MAX);
    unsigned threads = in_parts(in) ? 1 : MIN(in->threads, fit);

    for (unsigned i = 0; i < threads; i++) {
        Worker *worker = g_new0(Worker, 1);

        g_ptr_array_add(in->workers, worker);
        worker->input = in;
        worker->first = first;
        worker->frames = io_zstd_frames_new(in->fd, in->table, error);
        if (!worker->frames) {
            return false;
        }
    }
    /* One that is used, and one that waits, for threads to find room. */
    in->ahead = in_parts(in)
                ? io_ahead_new(make_part, in->workers->pdata, 1, PIECES,
                               PIECE_BYTES, error)
                : io_ahead_new(make_frame_piece, in->workers->pdata, threads,
                               MIN(threads + 2, fit + 1), in->largest, error);
    return in->ahead != NULL;
}

/* --- Front to back --- */

/* By who has *frames, which is made when it is first needed. */
static bool read_frame(const IoInput *in, IoZstdFrames **frames,
                       uint32_t frame, uint8_t *buffer, GError **error)
{
    if (!*frames) {
        *frames = io_zstd_frames_new(in->fd, in->table, error);
    }
    return *frames && io_zstd_frames_read(*frames, frame, buffer, error);
}

/*
 * The first frame, an archive's header, is not for the threads: who wants no
 * more than that should not have to wait for what they would do.  And where
 * damage is passed over nothing of a bad frame may come out, so there a large
 * one is whole before any of it is used.
 */
static bool is_read_here(const IoInput *in, uint32_t frame)
{
    return in_parts(in) ? in->func || (frame == 0 && in->frame_left <=
                                       IO_ZSTD_FRAME_LARGE_BYTES)
                        : frame == 0;
}

/* The next frame, or in parts the next one of those. */
static bool next_frame(IoInput *in, GError **error)
{
    uint32_t frame = in->next_frame;

    if (in->frame_left == 0) {
        if (frame == io_zstd_table_frames(in->table)) {
            in->piece_bytes = IO_AHEAD_END;
            return true;
        }
        in->frame_left = io_zstd_table_frame(in->table, frame).content_bytes;
        in->next_frame++;
    }
    if (!is_read_here(in, frame)) {
        return (in->ahead || start_frames(in, frame, error)) &&
               io_ahead_next(in->ahead, &in->piece, &in->piece_bytes, error);
    }
    g_free(in->own);
    in->own = g_malloc(in->frame_left);
    in->piece = in->own;
    in->piece_bytes = in->frame_left;
    return read_frame(in, &in->frames, frame, in->own, error);
}

/* Whether reading goes on past *error, which is taken then. */
static bool pass_over(IoInput *in, GError **error)
{
    if (!in->func || (*error)->code == BACKUP_ERROR_FAILED) {
        return false;
    }
    in->func(g_steal_pointer(error), in->opaque);
    if (in->kind == INPUT_FRAMES) {
        /* Without any memory as long as it is only read. */
        in->piece_bytes = in->frame_left;
        g_free(in->own);
        in->own = g_malloc0(in->piece_bytes);
        in->piece = in->own;
    } else {
        in->piece_bytes = IO_AHEAD_END;
    }
    return true;
}

static bool next_piece(IoInput *in, GError **error)
{
    GError *local = NULL;

    if (in->kind == INPUT_FRAMES) {
        (void)next_frame(in, &local);
    } else if (in->ahead || start_stream(in, &local)) {
        (void)io_ahead_next(in->ahead, &in->piece, &in->piece_bytes, &local);
    }
    if (local && !pass_over(in, &local)) {
        in->piece_bytes = 0;
        in->frame_left = 0;
        g_propagate_error(error, local);
        return false;
    }
    if (in->piece_bytes == IO_AHEAD_END) {
        in->ended = true;
        in->piece_bytes = 0;
    }
    in->frame_left -= MIN(in->frame_left, in->piece_bytes);
    return true;
}

/* Sees to a piece of which something is left, unless the input has ended. */
static bool have_piece(IoInput *in, GError **error)
{
    while (in->piece_bytes == 0 && !in->ended) {
        if (!next_piece(in, error)) {
            return false;
        }
    }
    return true;
}

static bool read_compressed(IoInput *in, uint8_t *buffer, size_t bytes,
                            size_t *got, GError **error)
{
    while (*got < bytes) {
        size_t part;

        if (!have_piece(in, error)) {
            return false;
        }
        part = MIN(bytes - *got, in->piece_bytes);
        if (part == 0) {
            break;
        }
        memcpy(buffer + *got, in->piece, part);
        in->piece += part;
        in->piece_bytes -= part;
        *got += part;
    }
    return true;
}

static bool read_plain(IoInput *in, uint8_t *buffer, size_t bytes,
                       size_t *got, GError **error)
{
    size_t head = MIN(bytes, in->head_bytes - in->head_used);
    bool ok = true;

    memcpy(buffer, in->head + in->head_used, head);
    in->head_used += head;
    if (head < bytes) {
        ok = io_read(in->fd, buffer + head, bytes - head, got, error);
    }
    *got += head;
    return ok;
}

bool io_input_read(IoInput *in, void *buffer, size_t bytes, size_t *got,
                   GError **error)
{
    bool ok;

    g_assert(!in->expected);
    *got = 0;
    ok = in->kind == INPUT_PLAIN
         ? read_plain(in, buffer, bytes, got, error)
         : read_compressed(in, buffer, bytes, got, error);
    in->read_bytes += *got;
    return ok;
}

bool io_input_take(IoInput *in, uint8_t **data, size_t *bytes, GError **error)
{
    g_assert(!in->expected);
    *bytes = 0;
    if (in->kind == INPUT_PLAIN) {
        return true;
    }
    if (!have_piece(in, error)) {
        return false;
    }
    *data = in->piece;
    *bytes = in->piece_bytes;
    in->piece_bytes = 0;
    in->read_bytes += *bytes;
    return true;
}

/* --- At any place --- */

bool io_input_is_seekable(const IoInput *in)
{
    return in->seekable && in->kind != INPUT_STREAM;
}

bool io_input_lacks_table(const IoInput *in)
{
    return in->seekable && in->kind == INPUT_STREAM && !in->table &&
           !in->bad_table && in->stream_frames > 1;
}

/* Where there is one, frames should be, unless it tells of too large ones. */
static bool has_any_table(const IoInput *in)
{
    return in->bad_table || in->kind == INPUT_FRAMES;
}

/* A table whose end is another one's: frames are found up to what is damaged. */
static bool ends_alike(const IoZstdTable *a, const IoZstdTable *b)
{
    return io_zstd_table_frame(a, io_zstd_table_frames(a)).offset ==
           io_zstd_table_frame(b, io_zstd_table_frames(b)).offset;
}

static bool find_table(const IoInput *in, IoZstdTable **table, GError **error)
{
    g_autoptr(GError) none = NULL;

    if (in->kind == INPUT_PLAIN || !in->seekable || in->start > 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "it can only be read from front to back");
        return false;
    }
    if (!io_zstd_table_find(in->fd, in->file_bytes, IO_ZSTD_FRAME_MAX_BYTES,
                            table, &none)) {
        if (none->code == BACKUP_ERROR_DAMAGED && !has_any_table(in)) {
            none->code = BACKUP_ERROR_USAGE;
        }
        g_propagate_error(error, g_steal_pointer(&none));
        return false;
    }
    return true;
}

bool io_input_find_frames(IoInput *in, GError **error)
{
    IoZstdTable *table;

    g_assert(!in->expected);
    if (!find_table(in, &table, error)) {
        return false;
    }
    if (in->kind == INPUT_FRAMES && !ends_alike(table, in->table)) {
        io_zstd_table_free(table);
        return true;
    }
    end_threads(in);
    in->had_table = has_any_table(in);
    io_zstd_table_free(in->table);
    in->table = table;
    in->largest = 0;
    (void)frames_fit(in);
    in->kind = INPUT_FRAMES;
    return true;
}

static bool check_rest(const IoInput *in, const IoZstdTable *table,
                       bool had_table, GError **error)
{
    uint64_t offset = io_zstd_table_frame(
        table, io_zstd_table_frames(table)).offset;
    uint8_t data[FRAME_HEADER_MAX_BYTES];
    unsigned long long content_bytes;
    size_t bytes;

    if (!io_pread(in->fd, data, sizeof(data), offset, &bytes, error)) {
        return false;
    }
    if (bytes < IO_INPUT_HEAD_BYTES) {
        return true;
    }
    if (!io_zstd_is_magic(data, bytes)) {
        backup_error_set_damaged(error, "what begins at offset %"
                                 G_GUINT64_FORMAT " of the file is no frame "
                                 "of zstd", offset);
        return false;
    }
    content_bytes = ZSTD_getFrameContentSize(data, bytes);
    if (content_bytes == ZSTD_CONTENTSIZE_ERROR ||
        content_bytes <= IO_ZSTD_FRAME_MAX_BYTES) {
        return true;
    }
    /* Who writes a table writes frames that fit it. */
    g_set_error(error, BACKUP_ERROR, had_table ? BACKUP_ERROR_DAMAGED
                                               : BACKUP_ERROR_USAGE,
                "the frame at offset %" G_GUINT64_FORMAT " of the file %s",
                offset, content_bytes == ZSTD_CONTENTSIZE_UNKNOWN
                        ? "does not have its size in it" : "is too large");
    return false;
}

bool io_input_check_rest(const IoInput *in, GError **error)
{
    g_assert(in->kind == INPUT_FRAMES);
    return check_rest(in, in->table, in->had_table, error);
}

bool io_input_can_find_frames(const IoInput *in, GError **error)
{
    g_autoptr(IoZstdTable) table = NULL;

    return find_table(in, &table, error) &&
           check_rest(in, table, has_any_table(in), error);
}

/* The frame that holds a byte of the content; it is not behind the last one. */
static uint32_t find_frame(const IoInput *in, uint64_t offset)
{
    uint32_t low = 0;
    uint32_t high = io_zstd_table_frames(in->table);

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (io_zstd_table_frame(in->table, middle).content_offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

IoInputCursor *io_input_cursor_new(IoInput *in)
{
    IoInputCursor *c = g_new0(IoInputCursor, 1);

    g_assert(io_input_is_seekable(in));
    c->input = in;
    c->frame = UINT32_MAX;
    return c;
}

void io_input_cursor_free(IoInputCursor *c)
{
    if (!c) {
        return;
    }
    io_zstd_frames_free(c->frames);
    g_free(c->buffer);
    g_free(c);
}

void io_input_cursor_expect(IoInputCursor *c, const GArray *offsets)
{
    IoInput *in = c->input;
    uint32_t last = UINT32_MAX;

    g_assert(!in->expected);
    if (in->kind == INPUT_PLAIN) {
        return;
    }
    /* Of an archive's header that is longer than the first frame. */
    end_threads(in);
    if (in_parts(in)) {
        return;
    }
    in->expected = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    for (guint i = 0; i < offsets->len; i++) {
        uint64_t offset = g_array_index(offsets, uint64_t, i);
        uint32_t frame = find_frame(in, offset);

        if (offset < io_input_bytes(in) && frame != last) {
            g_array_append_val(in->expected, frame);
            last = frame;
        }
    }
    c->expecting = true;
    /* The first one is the threads', too. */
    c->frame = UINT32_MAX;
}

static bool is_expected(const IoInputCursor *c, uint32_t frame)
{
    const IoInput *in = c->input;

    return c->expecting && in->next_expected < in->expected->len &&
           g_array_index(in->expected, uint32_t, in->next_expected) == frame;
}

static bool take_expected(IoInputCursor *c, GError **error)
{
    IoInput *in = c->input;
    size_t bytes;

    in->next_expected++;
    return (in->ahead || start_frames(in, 0, error)) &&
           io_ahead_next(in->ahead, &c->piece, &bytes, error);
}

static bool load_frame(IoInputCursor *c, uint32_t frame, GError **error)
{
    bool ok;

    if (c->frame == frame) {
        return true;
    }
    c->frame = UINT32_MAX;
    if (is_expected(c, frame)) {
        ok = take_expected(c, error);
    } else {
        if (!c->buffer) {
            c->buffer = g_malloc(c->input->largest);
        }
        c->piece = c->buffer;
        ok = read_frame(c->input, &c->frames, frame, c->buffer, error);
    }
    if (ok) {
        c->frame = frame;
    }
    return ok;
}

bool io_input_cursor_read(IoInputCursor *c, void *buffer, size_t bytes,
                          uint64_t offset, size_t *got, GError **error)
{
    const IoInput *in = c->input;

    *got = 0;
    if (in->kind == INPUT_PLAIN) {
        return io_pread(in->fd, buffer, bytes, in->start + offset, got, error);
    }
    while (*got < bytes && offset < io_input_bytes(in)) {
        uint32_t number = find_frame(in, offset);
        IoZstdFrame frame = io_zstd_table_frame(in->table, number);
        uint64_t start = offset - frame.content_offset;
        size_t part = MIN(bytes - *got, frame.content_bytes - start);

        if (!load_frame(c, number, error)) {
            return false;
        }
        memcpy((uint8_t *)buffer + *got, c->piece + start, part);
        *got += part;
        offset += part;
    }
    return true;
}

uint32_t io_input_frame_bytes(const IoInput *in)
{
    return in->largest;
}

/* --- What is known of it --- */

uint64_t io_input_bytes(const IoInput *in)
{
    return in->kind == INPUT_FRAMES
           ? io_zstd_table_frame(in->table, io_zstd_table_frames(in->table))
                 .content_offset
           : in->file_bytes;
}

uint64_t io_input_bytes_read(const IoInput *in)
{
    return in->kind == INPUT_STREAM ? in->stream_offset : in->read_bytes;
}

bool io_input_is_compressed(const IoInput *in)
{
    return in->kind != INPUT_PLAIN;
}

size_t io_input_head(const IoInput *in, uint8_t head[IO_INPUT_HEAD_BYTES])
{
    memcpy(head, in->head, in->head_bytes);
    return in->head_bytes;
}

const IoZstdTable *io_input_table(const IoInput *in)
{
    return in->kind == INPUT_FRAMES ? in->table : NULL;
}

const IoZstdTable *io_input_any_table(const IoInput *in)
{
    return in->table;
}
