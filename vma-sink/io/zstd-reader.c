/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zstd files, front to back and frame by frame.
 */
#include "io/zstd-reader.h"

#include <assert.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "backup/error.h"
#include "io/io.h"

#define MAGIC_BYTES 4u

/* Of frames that are read in parts. */
#define WINDOW_MAX_LOG 28
static_assert(IO_ZSTD_FRAME_MAX_BYTES == UINT32_C(1) << WINDOW_MAX_LOG,
              "the window of a whole frame");

struct IoZstdStream {
    int fd;                     /* borrowed */
    IoZstdReadFunc *read;       /* of the input */
    void *read_opaque;
    ZSTD_DCtx *context;
    uint8_t *buffer;
    size_t buffer_bytes;
    ZSTD_inBuffer in;           /* in buffer */
    uint64_t offset;            /* in the input, of the end of buffer */
    bool input_ended;
    bool output_waits;          /* there was no room for all of it */
    bool within_frame;
    bool any_frame;
    uint64_t frames;            /* whole ones, not to be skipped */
    uint8_t start[MAGIC_BYTES]; /* of the current frame, as far as it came */
    unsigned start_bytes;
    GError *error;              /* once there was one */
};

struct IoZstdFrames {
    int fd;                     /* borrowed */
    const IoZstdTable *table;   /* borrowed */
    ZSTD_DCtx *context;
    uint8_t *buffer;
    size_t buffer_bytes;

    /* The frame that is read in parts. */
    ZSTD_inBuffer in;           /* in buffer */
    uint32_t loaded;            /* of the frame's bytes */
    uint8_t *whole;             /* it, decompressed at once; else NULL */
};

/* The low four bits of a skippable frame's magic number are free. */
static bool is_magic(uint32_t magic)
{
    return magic == ZSTD_MAGICNUMBER ||
           (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/* Whether a frame that begins like this has contents. */
static bool is_data(const uint8_t start[MAGIC_BYTES])
{
    uint32_t magic;

    memcpy(&magic, start, sizeof(magic));
    return GUINT32_FROM_LE(magic) == ZSTD_MAGICNUMBER;
}

bool io_zstd_is_magic(const void *data, size_t bytes)
{
    uint32_t magic;

    if (bytes < sizeof(magic)) {
        return false;
    }
    memcpy(&magic, data, sizeof(magic));
    return is_magic(GUINT32_FROM_LE(magic));
}

/* Whether more bytes could make a magic number of them. */
static bool may_be_magic(const uint8_t *data, size_t bytes)
{
    static const uint8_t frame[MAGIC_BYTES] = { 0x28, 0xb5, 0x2f, 0xfd };
    static const uint8_t skippable[MAGIC_BYTES] = { 0x50, 0x2a, 0x4d, 0x18 };

    return memcmp(data, frame, bytes) == 0 ||
           ((data[0] & 0xf0) == skippable[0] &&
            memcmp(data + 1, skippable + 1, bytes - 1) == 0);
}

/* RESULT is an error of libzstd. */
static void set_zstd_error(GError **error, size_t result)
{
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot decompress: %s", ZSTD_getErrorName(result));
        break;
    case ZSTD_error_frameParameter_windowTooLarge:
        backup_error_set_damaged(error, "cannot decompress: a frame wants more "
                                 "than 128 MiB of memory; it is damaged, or "
                                 "made with zstd's --long: then decompress it "
                                 "with 'zstd -d --long=31'");
        break;
    case ZSTD_error_prefix_unknown:
        backup_error_set_damaged(error, "this is no frame of zstd");
        break;
    default:
        backup_error_set_damaged(error, "cannot decompress: %s",
                                 ZSTD_getErrorName(result));
        break;
    }
}

static ZSTD_DCtx *new_context(GError **error)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();

    if (!context) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "there is not enough memory to decompress");
    }
    return context;
}

/* IoZstdReadFunc */
static bool read_fd(void *opaque, void *buffer, size_t bytes, size_t *got,
                    GError **error)
{
    IoZstdStream *s = opaque;
    struct iovec iov = { .iov_base = buffer, .iov_len = bytes };

    return io_readv_some(s->fd, &iov, 1, got, error);
}

IoZstdStream *io_zstd_stream_new(int fd, const void *head, size_t head_bytes,
                                 GError **error)
{
    ZSTD_DCtx *context = new_context(error);
    IoZstdStream *s;

    if (!context) {
        return NULL;
    }
    s = g_new0(IoZstdStream, 1);
    s->fd = fd;
    s->read = read_fd;
    s->read_opaque = s;
    s->context = context;
    s->buffer_bytes = MAX(ZSTD_DStreamInSize(), head_bytes);
    s->buffer = g_malloc(s->buffer_bytes);
    if (head_bytes > 0) {
        memcpy(s->buffer, head, head_bytes);
    }
    s->in = (ZSTD_inBuffer) { .src = s->buffer, .size = head_bytes };
    s->offset = head_bytes;
    return s;
}

void io_zstd_stream_free(IoZstdStream *s)
{
    if (s) {
        ZSTD_freeDCtx(s->context);
        g_clear_error(&s->error);
        g_free(s->buffer);
        g_free(s);
    }
}

uint64_t io_zstd_stream_offset(const IoZstdStream *s)
{
    return s->offset - (s->in.size - s->in.pos);
}

uint64_t io_zstd_stream_frames(const IoZstdStream *s)
{
    return s->frames;
}

void io_zstd_stream_set_read(IoZstdStream *s, IoZstdReadFunc *func,
                             void *opaque)
{
    s->read = func;
    s->read_opaque = opaque;
}

static bool refill(IoZstdStream *s, GError **error)
{
    size_t got;

    if (!s->read(s->read_opaque, s->buffer, s->buffer_bytes, &got, error)) {
        return false;
    }
    s->in = (ZSTD_inBuffer) { .src = s->buffer, .size = got };
    s->offset += got;
    s->input_ended = got == 0;
    return true;
}

/* Bytes of no known frame are told from those of one that was cut. */
static bool check_end(const IoZstdStream *s, GError **error)
{
    if (!s->within_frame && s->any_frame) {
        return true;
    }
    if (s->start_bytes == 0) {
        backup_error_set_incomplete(error, "the input is empty");
    } else if (!may_be_magic(s->start, s->start_bytes)) {
        backup_error_set_damaged(error, "this is no frame of zstd");
    } else {
        backup_error_set_incomplete(error, "the input is cut: it ends within "
                                    "a frame of zstd");
    }
    return false;
}

/*
 * The first bytes of each frame are kept, because libzstd does not say what is
 * wrong with too few of them.
 */
static void note_start(IoZstdStream *s)
{
    const uint8_t *data = s->in.src;

    if (!s->within_frame) {
        s->within_frame = true;
        s->start_bytes = 0;
    }
    for (size_t i = s->in.pos; i < s->in.size && s->start_bytes < MAGIC_BYTES;
         i++) {
        s->start[s->start_bytes++] = data[i];
    }
}

/* Whether the next step reads the input. */
static bool needs_input(const IoZstdStream *s)
{
    return s->in.pos == s->in.size && !s->input_ended && !s->output_waits;
}

/* One step; false with no error is the end. */
static bool advance(IoZstdStream *s, ZSTD_outBuffer *out, GError **error)
{
    size_t before = out->pos;
    size_t result;

    if (needs_input(s) && !refill(s, error)) {
        return false;
    }
    if (s->in.pos < s->in.size) {
        note_start(s);
    }
    if (!s->within_frame) {
        check_end(s, error);
        return false;
    }
    result = ZSTD_decompressStream(s->context, out, &s->in);
    if (ZSTD_isError(result)) {
        set_zstd_error(error, result);
        return false;
    }
    s->output_waits = result > 0 && out->pos == out->size;
    if (result == 0) {
        s->within_frame = false;
        s->any_frame = true;
        s->frames += is_data(s->start);
    } else if (s->input_ended && out->pos == before) {
        /* It had nothing more to give without more input. */
        return check_end(s, error);
    }
    return true;
}

static bool read_stream(IoZstdStream *s, void *buffer, size_t bytes, bool some,
                        size_t *got, GError **error)
{
    ZSTD_outBuffer out = { .dst = buffer, .size = bytes };

    while (!s->error && out.pos < bytes &&
           !(some && out.pos > 0 && needs_input(s))) {
        if (!advance(s, &out, &s->error)) {
            break;
        }
    }
    *got = out.pos;
    if (s->error) {
        g_propagate_error(error, g_error_copy(s->error));
        return false;
    }
    return true;
}

bool io_zstd_stream_read(IoZstdStream *s, void *buffer, size_t bytes,
                         size_t *got, GError **error)
{
    return read_stream(s, buffer, bytes, false, got, error);
}

bool io_zstd_stream_read_some(IoZstdStream *s, void *buffer, size_t bytes,
                              size_t *got, GError **error)
{
    return read_stream(s, buffer, bytes, true, got, error);
}

IoZstdFrames *io_zstd_frames_new(int fd, const IoZstdTable *table,
                                 GError **error)
{
    ZSTD_DCtx *context = new_context(error);
    IoZstdFrames *f;

    if (!context) {
        return NULL;
    }
    /* What is no larger than a frame may be is no reason to fail. */
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_MAX_LOG);
    f = g_new0(IoZstdFrames, 1);
    f->fd = fd;
    f->table = table;
    f->context = context;
    return f;
}

void io_zstd_frames_free(IoZstdFrames *f)
{
    if (f) {
        ZSTD_freeDCtx(f->context);
        g_free(f->buffer);
        g_free(f->whole);
        g_free(f);
    }
}

/*
 * Before anything is allocated.  A frame is compressed to a little more than it
 * was at the worst; what is larger is not what zstd makes.
 */
static bool check_sizes(const IoZstdFrame *frame, GError **error)
{
    if (frame->content_bytes > IO_ZSTD_FRAME_MAX_BYTES ||
        frame->bytes > ZSTD_compressBound(frame->content_bytes) + 1024) {
        backup_error_set_damaged(error, "%u bytes for %u decompressed ones "
                                 "are too many", frame->bytes,
                                 frame->content_bytes);
        return false;
    }
    return true;
}

/* BYTES bytes of the frame, from its byte FROM on, into the buffer. */
static bool load(IoZstdFrames *f, const IoZstdFrame *frame, uint32_t from,
                 size_t bytes, GError **error)
{
    size_t got;

    if (bytes > f->buffer_bytes) {
        g_free(f->buffer);
        f->buffer = g_malloc(bytes);
        f->buffer_bytes = bytes;
    }
    if (!io_pread(f->fd, f->buffer, bytes, frame->offset + from, &got,
                  error)) {
        return false;
    }
    if (got < bytes) {
        backup_error_set_incomplete(error, "the file is shorter than it was");
        return false;
    }
    return true;
}

static void set_other_size(GError **error)
{
    backup_error_set_damaged(error, "the seek table has another size for it");
}

static bool decompress(IoZstdFrames *f, const IoZstdFrame *frame, void *buffer,
                       GError **error)
{
    size_t result = ZSTD_findFrameCompressedSize(f->buffer, frame->bytes);

    if (!ZSTD_isError(result) && result != frame->bytes) {
        set_other_size(error);
        return false;
    }
    if (!ZSTD_isError(result)) {
        result = ZSTD_decompressDCtx(f->context, buffer, frame->content_bytes,
                                     f->buffer, frame->bytes);
    }
    if (ZSTD_isError(result)) {
        set_zstd_error(error, result);
        return false;
    }
    if (result != frame->content_bytes) {
        backup_error_set_damaged(error, "it holds %zu bytes, and not %u",
                                 result, frame->content_bytes);
        return false;
    }
    return true;
}

static bool load_more(IoZstdFrames *f, const IoZstdFrame *frame, GError **error)
{
    size_t bytes = MIN(ZSTD_DStreamInSize(), frame->bytes - f->loaded);

    if (!load(f, frame, f->loaded, bytes, error)) {
        return false;
    }
    f->in = (ZSTD_inBuffer) { .src = f->buffer, .size = bytes };
    f->loaded += bytes;
    return true;
}

/*
 * Until there is no room in OUT, or with the last part until the frame has
 * ended, its checksum included: *result is 0 then.
 */
static bool decompress_more(IoZstdFrames *f, const IoZstdFrame *frame,
                            ZSTD_outBuffer *out, bool last, size_t *result,
                            GError **error)
{
    size_t taken, given;

    do {
        if (f->in.pos == f->in.size && f->loaded < frame->bytes &&
            !load_more(f, frame, error)) {
            return false;
        }
        taken = f->in.pos;
        given = out->pos;
        *result = ZSTD_decompressStream(f->context, out, &f->in);
        if (ZSTD_isError(*result)) {
            set_zstd_error(error, *result);
            return false;
        }
        /* It stays where it is if it is cut, or holds more than OUT. */
    } while (*result > 0 && (last || out->pos < out->size) &&
             (f->in.pos > taken || out->pos > given));
    return true;
}

/* The next part, which may be the last one, of the frame that was begun. */
static bool decompress_part(IoZstdFrames *f, const IoZstdFrame *frame,
                            void *buffer, size_t bytes, bool last,
                            GError **error)
{
    ZSTD_outBuffer out = { .dst = buffer, .size = bytes };
    size_t result;
    bool used_up;

    if (!decompress_more(f, frame, &out, last, &result, error)) {
        return false;
    }
    used_up = f->loaded == frame->bytes && f->in.pos == f->in.size;
    if (out.pos < bytes || (last ? result > 0 || !used_up : result == 0)) {
        set_other_size(error);
        return false;
    }
    return true;
}

/*
 * Whether the frame that is begun wants a window larger than any frame (RFC
 * 8878, 3.1.1.1.2): as a stream it would take that much memory.
 */
static bool has_large_window(const IoZstdFrames *f)
{
    const uint8_t *start = f->in.src;
    bool single_segment = f->in.size > 5 && start[4] & 1 << 5;

    return f->in.size > 5 && !single_segment &&
           start[5] > (WINDOW_MAX_LOG - 10) << 3;
}

/* With a large window all of it at once, without one. */
static bool begin_frame(IoZstdFrames *f, const IoZstdFrame *frame,
                        GError **error)
{
    ZSTD_DCtx_reset(f->context, ZSTD_reset_session_only);
    g_clear_pointer(&f->whole, g_free);
    f->loaded = 0;
    if (!load_more(f, frame, error)) {
        return false;
    }
    if (has_large_window(f)) {
        f->whole = g_malloc(frame->content_bytes);
        return load(f, frame, 0, frame->bytes, error) &&
               decompress(f, frame, f->whole, error);
    }
    return true;
}

/* Of the frame that was decompressed at once. */
static void copy_part(IoZstdFrames *f, uint32_t from, void *buffer,
                      size_t bytes, bool last)
{
    memcpy(buffer, f->whole + from, bytes);
    if (last) {
        g_clear_pointer(&f->whole, g_free);
    }
}

/* The next part of the frame that was begun, however that is read. */
static bool next_part(IoZstdFrames *f, const IoZstdFrame *frame, uint32_t from,
                      void *buffer, size_t bytes, GError **error)
{
    bool last = from + bytes == frame->content_bytes;

    if (!f->whole) {
        return decompress_part(f, frame, buffer, bytes, last, error);
    }
    copy_part(f, from, buffer, bytes, last);
    return true;
}

/* Of a skippable frame only the start is read: what is in it is others'. */
static bool check_skippable(IoZstdFrames *f, const IoZstdFrame *frame,
                            bool *skippable, GError **error)
{
    uint32_t start[2] = { 0 };  /* magic number, size of the rest */
    size_t got;

    *skippable = false;
    if (frame->content_bytes > 0) {
        return true;
    }
    if (!io_pread(f->fd, start, sizeof(start), frame->offset, &got, error)) {
        return false;
    }
    *skippable = (GUINT32_FROM_LE(start[0]) & ZSTD_MAGIC_SKIPPABLE_MASK) ==
                 ZSTD_MAGIC_SKIPPABLE_START;
    if (*skippable &&
        GUINT32_FROM_LE(start[1]) != frame->bytes - sizeof(start)) {
        set_other_size(error);
        return false;
    }
    return true;
}

static void prefix_frame(uint32_t number, const IoZstdFrame *frame,
                         GError **error)
{
    g_prefix_error(error, "frame %u at offset %" G_GUINT64_FORMAT ": ", number,
                   frame->offset);
}

bool io_zstd_frames_read(IoZstdFrames *f, uint32_t number, void *buffer,
                         GError **error)
{
    IoZstdFrame frame = io_zstd_table_frame(f->table, number);
    bool skippable;

    g_assert(number < io_zstd_table_frames(f->table));
    if (frame.content_bytes > IO_ZSTD_FRAME_LARGE_BYTES) {
        return io_zstd_frames_read_part(f, number, 0, buffer,
                                        frame.content_bytes, error);
    }
    if (!check_skippable(f, &frame, &skippable, error) ||
        (!skippable && (!check_sizes(&frame, error) ||
                        !load(f, &frame, 0, frame.bytes, error) ||
                        !decompress(f, &frame, buffer, error)))) {
        prefix_frame(number, &frame, error);
        return false;
    }
    return true;
}

bool io_zstd_frames_read_part(IoZstdFrames *f, uint32_t number, uint32_t from,
                              void *buffer, size_t bytes, GError **error)
{
    IoZstdFrame frame = io_zstd_table_frame(f->table, number);

    g_assert(number < io_zstd_table_frames(f->table));
    g_assert(bytes > 0 && bytes <= frame.content_bytes - from);
    if (!check_sizes(&frame, error) ||
        (from == 0 && !begin_frame(f, &frame, error)) ||
        !next_part(f, &frame, from, buffer, bytes, error)) {
        prefix_frame(number, &frame, error);
        return false;
    }
    return true;
}
