/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive's bytes, out of plain files, zstd files with a seek table and
 * without, and pipes: the same, front to back and at any place; and what
 * becomes of damage.
 */
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "backup/error.h"
#include "io/input.h"
#include "io/output.h"
#include "io/zstd-reader.h"
#include "io/zstd-writer.h"
#include "util.h"

#define FRAMES 40u
#define ROOM 70000u

typedef struct Sample {
    GByteArray *content;
    GByteArray *file;           /* with a seek table */
    size_t table_at;            /* where that begins */
    size_t frame_at[FRAMES + 1];
    size_t content_at[FRAMES + 1];
} Sample;

static void fill_frame(Sample *s, unsigned i, uint8_t *room, size_t *bytes)
{
    *bytes = 1 + i * 7919u % ROOM;
    fill_pattern(room, *bytes, i);
    s->content_at[i] = s->content->len;
    g_byte_array_append(s->content, room, *bytes);
}

static void note_frames(Sample *s, const IoZstdTable *table)
{
    for (unsigned i = 0; i <= FRAMES; i++) {
        s->frame_at[i] = io_zstd_table_frame(table, i).offset;
    }
    s->content_at[FRAMES] = s->content->len;
    s->table_at = s->frame_at[FRAMES];
}

static Sample *sample_new(void)
{
    Sample *s = g_new0(Sample, 1);
    g_autofree char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "f.zst", NULL);
    g_autoptr(IoOutput) output = io_output_new(path, false, NULL);
    g_autoptr(IoZstdWriter) writer = io_zstd_writer_new(output, 1, 2, ROOM,
                                                        NULL);
    gsize bytes;
    char *data;

    s->content = g_byte_array_new();
    for (unsigned i = 0; i < FRAMES; i++) {
        uint8_t *room = io_zstd_writer_room(writer, NULL);
        size_t n;

        fill_frame(s, i, room, &n);
        io_zstd_writer_give(writer, n);
    }
    note_frames(s, io_zstd_writer_drain(writer, NULL));
    g_assert_true(io_zstd_writer_finish(writer, NULL));
    g_assert_true(io_output_finish(output, NULL));
    g_assert_true(g_file_get_contents(path, &data, &bytes, NULL));
    s->file = g_byte_array_new_take((guint8 *)data, bytes);
    remove_folder(folder);
    return s;
}

static void sample_free(Sample *s)
{
    g_byte_array_unref(s->content);
    g_byte_array_unref(s->file);
    g_free(s);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sample, sample_free)

static IoInput *input_of(int fd, unsigned threads)
{
    g_autofree char *note = NULL;
    g_autoptr(GError) error = NULL;
    IoInput *in = io_input_new(fd, threads, &note, &error);

    g_assert_no_error(error);
    g_assert_null(note);
    return in;
}

/* All of it, in reads of odd sizes; *error may become set. */
static GByteArray *read_all(IoInput *in, GError **error)
{
    GByteArray *all = g_byte_array_new();
    uint8_t buffer[33333];
    size_t got = 1;

    for (unsigned i = 1; got > 0; i = i * 31 % 33331) {
        if (!io_input_read(in, buffer, i, &got, error)) {
            g_byte_array_append(all, buffer, got);
            break;
        }
        g_byte_array_append(all, buffer, got);
        if (got < i) {
            g_assert_true(io_input_read(in, buffer, 1, &got, error));
            g_assert_cmpuint(got, ==, 0);
        }
    }
    return all;
}

/* All of it, taken where it is, with reads in between. */
static GByteArray *take_all(IoInput *in)
{
    GByteArray *all = g_byte_array_new();
    uint8_t buffer[333];
    size_t taken, got;

    do {
        uint8_t *data;

        g_assert_true(io_input_take(in, &data, &taken, NULL));
        if (taken > 0) {
            g_byte_array_append(all, data, taken);
            /* It is the caller's. */
            memset(data, 1, taken);
        }
        g_assert_true(io_input_read(in, buffer, all->len % 3 ? 0 : 333, &got,
                                    NULL));
        g_byte_array_append(all, buffer, got);
    } while (taken > 0);
    return all;
}

static void assert_same(const GByteArray *a, const GByteArray *b)
{
    g_assert_cmpmem(a->data, a->len, b->data, b->len);
}

static void assert_reads(IoInput *in, const GByteArray *content)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) all = read_all(in, &error);

    g_assert_no_error(error);
    assert_same(all, content);
}

static void assert_random(IoInput *in, const GByteArray *content)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    g_autofree uint8_t *buffer = g_malloc(200000);
    g_autoptr(IoInputCursor) cursor = io_input_cursor_new(in);

    g_assert_true(io_input_is_seekable(in));
    g_assert_cmpuint(io_input_bytes(in), ==, content->len);
    for (unsigned i = 0; i < 300; i++) {
        size_t offset = g_rand_int_range(rand, 0, content->len + 10);
        size_t bytes = g_rand_int_range(rand, 0, i % 10 ? 5000 : 200000);
        size_t there = content->len - MIN(offset, content->len);
        size_t got;

        g_assert_true(io_input_cursor_read(cursor, buffer, bytes, offset, &got,
                                           NULL));
        g_assert_cmpuint(got, ==, MIN(bytes, there));
        g_assert_true(memcmp(buffer, content->data + offset, got) == 0);
    }
}

static void test_plain(void)
{
    g_autoptr(Sample) s = sample_new();

    for (size_t bytes = 0; bytes <= s->content->len;
         bytes = bytes < 10 ? bytes + 1 : bytes * 5) {
        g_autoptr(GByteArray) part = g_byte_array_new();
        int fd = fd_of_bytes(s->content->data, bytes);
        g_autoptr(IoInput) in = input_of(fd, 1);

        g_byte_array_append(part, s->content->data, bytes);
        g_assert_false(io_input_is_compressed(in));
        assert_reads(in, part);
        if (bytes > 0) {
            assert_random(in, part);
        }
        close(fd);
    }
}

static void test_frames(void)
{
    static const unsigned threads[] = { 1, 2, 5, 100 };
    g_autoptr(Sample) s = sample_new();

    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
        int fd = fd_of_bytes(s->file->data, s->file->len);
        g_autoptr(IoInput) in = input_of(fd, threads[i]);

        g_assert_true(io_input_is_compressed(in));
        g_assert_nonnull(io_input_table(in));
        assert_random(in, s->content);
        assert_reads(in, s->content);
        assert_random(in, s->content);
        g_assert_cmpuint(io_input_bytes_read(in), ==, s->content->len);
        close(fd);
    }
}

static void assert_reads_frame(IoInputCursor *cursor, const Sample *s,
                               unsigned frame)
{
    size_t bytes = s->content_at[frame + 1] - s->content_at[frame];
    g_autofree uint8_t *buffer = g_malloc(bytes);
    g_autoptr(GError) error = NULL;
    size_t got;

    /* Its first byte, and then all of it. */
    io_input_cursor_read(cursor, buffer, 1, s->content_at[frame], &got,
                         &error);
    g_assert_no_error(error);
    io_input_cursor_read(cursor, buffer, bytes, s->content_at[frame], &got,
                         &error);
    g_assert_no_error(error);
    g_assert_cmpmem(buffer, got, s->content->data + s->content_at[frame],
                    bytes);
}

/* The places that FRAMES stand for, and one that does not exist. */
static void expect_frames(IoInputCursor *cursor, const Sample *s,
                          const unsigned *frames, unsigned count)
{
    g_autoptr(GArray) offsets = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    uint64_t offset = s->content->len;

    for (unsigned i = 0; i < count; i++) {
        uint64_t first = s->content_at[frames[i]];
        uint64_t last = s->content_at[frames[i] + 1] - 1;

        g_array_append_val(offsets, first);
        g_array_append_val(offsets, last);
    }
    g_array_append_val(offsets, offset);
    io_input_cursor_expect(cursor, offsets);
}

/*
 * In any order, more than once, and with others that nobody spoke of; after all
 * that was read from the front, by threads if there is more than a frame of it.
 */
static void test_expected(void)
{
    static const unsigned frames[] = { 3, 3, 0, 39, 7, 8, 9, 7, 39, 1, 0, 20 };
    static const unsigned threads[] = { 1, 2, 5, 100 };
    g_autoptr(Sample) s = sample_new();

    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
        for (unsigned others = 0; others < 2; others++) {
            int fd = fd_of_bytes(s->file->data, s->file->len);
            g_autoptr(IoInput) in = input_of(fd, threads[i]);
            g_autoptr(IoInputCursor) cursor = io_input_cursor_new(in);
            size_t front = s->content_at[others] + 1;
            g_autofree uint8_t *buffer = g_malloc(front);
            size_t got;

            g_assert_true(io_input_read(in, buffer, front, &got, NULL));
            /* It is there already, and expected first. */
            assert_reads_frame(cursor, s, 3);
            expect_frames(cursor, s, frames, G_N_ELEMENTS(frames));
            for (unsigned f = 0; f < G_N_ELEMENTS(frames); f++) {
                assert_reads_frame(cursor, s, frames[f]);
                if (others) {
                    assert_reads_frame(cursor, s, f + 10);
                }
            }
            assert_random(in, s->content);
            close(fd);
        }
    }
}

/* Frames that nobody expects may be damaged; one that is, is an error. */
static void test_expected_bad(void)
{
    static const unsigned frames[] = { 2, 5, 6, 30 };
    g_autoptr(Sample) s = sample_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(IoInput) in = NULL;
    g_autoptr(IoInputCursor) cursor = NULL;
    uint8_t byte;
    size_t got;
    int fd;

    for (unsigned i = 3; i <= 5; i++) {
        s->file->data[(s->frame_at[i] + s->frame_at[i + 1]) / 2] ^= 4;
    }
    fd = fd_of_bytes(s->file->data, s->file->len);
    in = input_of(fd, 2);
    cursor = io_input_cursor_new(in);
    expect_frames(cursor, s, frames, G_N_ELEMENTS(frames));
    assert_reads_frame(cursor, s, 2);
    g_assert_false(io_input_cursor_read(cursor, &byte, 1, s->content_at[5],
                                        &got, &error));
    g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_DAMAGED);
    assert_reads_frame(cursor, s, 6);
    assert_reads_frame(cursor, s, 30);
    close(fd);
}

typedef struct Reading {
    IoInput *in;
    const GByteArray *content;
    unsigned number;
} Reading;

static void *read_by_cursor(void *opaque)
{
    const Reading *r = opaque;
    g_autoptr(IoInputCursor) cursor = io_input_cursor_new(r->in);
    g_autoptr(GRand) rand = g_rand_new_with_seed(r->number);
    uint8_t buffer[5000];

    for (unsigned i = 0; i < 500; i++) {
        size_t offset = g_rand_int_range(rand, 0, r->content->len);
        size_t bytes = MIN(sizeof(buffer), r->content->len - offset);
        size_t got;

        g_assert_true(io_input_cursor_read(cursor, buffer, sizeof(buffer),
                                           offset, &got, NULL));
        g_assert_cmpmem(buffer, got, r->content->data + offset, bytes);
    }
    return NULL;
}

static void read_by_cursors(const GByteArray *file, const GByteArray *content)
{
    int fd = fd_of_bytes(file->data, file->len);
    g_autoptr(IoInput) in = input_of(fd, 1);
    GThread *threads[4];
    Reading readings[4];

    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        readings[i] = (Reading) { in, content, i };
        threads[i] = g_thread_new("cursor", read_by_cursor, &readings[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_thread_join(threads[i]);
    }
    close(fd);
}

static void test_cursors(void)
{
    g_autoptr(Sample) s = sample_new();

    read_by_cursors(s->content, s->content);
    read_by_cursors(s->file, s->content);
}

static unsigned count_threads(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/task", 0, NULL);
    unsigned count = 0;

    while (g_dir_read_name(dir)) {
        count++;
    }
    return count;
}

/* In the midst of it, at its start and its end, and twice. */
static void test_stop(void)
{
    g_autoptr(Sample) s = sample_new();
    unsigned before = count_threads();

    for (size_t bytes = 0; bytes <= s->content->len;
         bytes += s->content->len / 3) {
        g_autofree uint8_t *buffer = g_malloc(bytes + 1);
        int fd = fd_of_bytes(s->file->data, s->file->len);
        g_autoptr(IoInput) in = input_of(fd, 3);
        size_t got;

        g_assert_true(io_input_read(in, buffer, bytes, &got, NULL));
        io_input_stop(in);
        g_assert_cmpuint(count_threads(), ==, before);
        assert_random(in, s->content);
        g_assert_cmpuint(count_threads(), ==, before);
        io_input_stop(in);
        close(fd);
    }
}

static void test_stream(void)
{
    g_autoptr(Sample) s = sample_new();
    int fd = fd_of_bytes(s->file->data, s->table_at);
    g_autoptr(IoInput) in = input_of(fd, 4);

    g_assert_true(io_input_is_compressed(in));
    g_assert_false(io_input_is_seekable(in));
    assert_reads(in, s->content);
    g_assert_cmpuint(io_input_bytes_read(in), ==, s->table_at);
    close(fd);
}

static void test_take(void)
{
    g_autoptr(Sample) s = sample_new();
    size_t sizes[] = { s->file->len, s->table_at };     /* frames, stream */
    uint8_t *data;
    size_t taken;

    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        int fd = fd_of_bytes(s->file->data, sizes[i]);
        g_autoptr(IoInput) in = input_of(fd, 2);
        g_autoptr(GByteArray) all = take_all(in);

        assert_same(all, s->content);
        g_assert_true(io_input_take(in, &data, &taken, NULL));
        g_assert_cmpuint(taken, ==, 0);
        close(fd);
    }
    {
        int fd = fd_of_bytes(s->content->data, s->content->len);
        g_autoptr(IoInput) in = input_of(fd, 2);

        g_assert_true(io_input_take(in, &data, &taken, NULL));
        g_assert_cmpuint(taken, ==, 0);
        assert_reads(in, s->content);
        close(fd);
    }
}

typedef struct Feed {
    int fd;
    const uint8_t *data;
    size_t bytes;
} Feed;

static void *feed(void *opaque)
{
    Feed *f = opaque;

    for (size_t done = 0; done < f->bytes; ) {
        ssize_t n = write(f->fd, f->data + done, MIN(f->bytes - done, 999));

        g_assert_cmpint(n, >, 0);
        done += n;
    }
    close(f->fd);
    return NULL;
}

static void assert_pipe_reads(const GByteArray *file, const GByteArray *content)
{
    int fds[2];
    GThread *thread;
    g_autoptr(IoInput) in = NULL;
    Feed f;

    g_assert_cmpint(pipe(fds), ==, 0);
    f = (Feed) { .fd = fds[1], .data = file->data, .bytes = file->len };
    thread = g_thread_new("feed", feed, &f);
    in = input_of(fds[0], 4);
    g_assert_false(io_input_is_seekable(in));
    assert_reads(in, content);
    g_thread_join(thread);
    close(fds[0]);
}

static void test_pipe(void)
{
    g_autoptr(Sample) s = sample_new();

    assert_pipe_reads(s->file, s->content);
    assert_pipe_reads(s->content, s->content);
}

/* One frame without a size in its header, as a pipe through zstd gives it. */
static void test_foreign(void)
{
    g_autoptr(Sample) s = sample_new();
    size_t capacity = ZSTD_compressBound(s->content->len);
    g_autofree uint8_t *data = g_malloc(capacity);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_inBuffer from = { .src = s->content->data, .size = s->content->len };
    ZSTD_outBuffer to = { .dst = data, .size = capacity };
    int fd;

    while (from.pos < from.size) {
        ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue);
    }
    g_assert_cmpuint(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end),
                     ==, 0);
    ZSTD_freeCCtx(context);
    fd = fd_of_bytes(data, to.pos);
    {
        g_autoptr(IoInput) in = input_of(fd, 4);

        assert_reads(in, s->content);
    }
    close(fd);
}

/* The writer of the pipe says nothing and does not go: freeing does not hang. */
static void test_free_while_waiting(void)
{
    g_autoptr(Sample) s = sample_new();

    for (unsigned part = 0; part < 2; part++) {
        IoInput *in;
        uint8_t buffer[1];
        size_t got;
        int fds[2];

        g_assert_cmpint(pipe(fds), ==, 0);
        g_assert_cmpint(write(fds[1], s->file->data, 60000), ==, 60000);
        in = input_of(fds[0], 4);
        if (part == 1) {
            g_assert_true(io_input_read(in, buffer, 1, &got, NULL));
        }
        io_input_free(in);
        close(fds[0]);
        close(fds[1]);
    }
}

/* IoInputDamageFunc */
static void append_line(GError *finding, void *opaque)
{
    g_string_append_printf(opaque, "%s\n", finding->message);
    g_error_free(finding);
}

/* A frame that can't be decompressed is an error there, or zeroes. */
static void test_bad_frame(void)
{
    static const unsigned bad[] = { 0, 1, 17, FRAMES - 1 };
    g_autoptr(Sample) s = sample_new();

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        size_t at = (s->frame_at[bad[i]] + s->frame_at[bad[i] + 1]) / 2;
        size_t from = s->content_at[bad[i]];
        size_t to = s->content_at[bad[i] + 1];
        g_autoptr(GString) told = g_string_new(NULL);
        g_autoptr(GByteArray) before = NULL;
        g_autoptr(GError) error = NULL;
        g_autoptr(IoInput) in = NULL;
        int fd;

        s->file->data[at] ^= 4;
        fd = fd_of_bytes(s->file->data, s->file->len);
        s->file->data[at] ^= 4;
        in = input_of(fd, 3);
        before = read_all(in, &error);
        g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_DAMAGED);
        g_assert_cmpmem(before->data, before->len, s->content->data, from);

        io_input_free(in);
        in = NULL;
        g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
        in = input_of(fd, 3);
        io_input_go_on(in, append_line, told);
        {
            g_autoptr(GByteArray) zeroed = g_byte_array_new();

            g_byte_array_append(zeroed, s->content->data, s->content->len);
            memset(zeroed->data + from, 0, to - from);
            assert_reads(in, zeroed);
        }
        g_assert_nonnull(strstr(told->str, "frame "));
        close(fd);
    }
}

/* --- Large frames --- */

#define LARGE_BYTES (IO_ZSTD_FRAME_LARGE_BYTES + 12345)

/* Appends a frame with a checksum; the table says so much more of its size. */
static void add_frame(GByteArray *file, IoZstdTable *table, const void *data,
                      size_t bytes, int64_t table_error)
{
    size_t capacity = ZSTD_compressBound(bytes);
    g_autofree uint8_t *frame = g_malloc(capacity);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t n;

    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    n = ZSTD_compress2(context, frame, capacity, data, bytes);
    g_assert_false(ZSTD_isError(n));
    ZSTD_freeCCtx(context);
    g_byte_array_append(file, frame, n);
    g_assert_true(io_zstd_table_add(table, n, bytes + table_error, NULL));
}

typedef struct Large {
    GByteArray *content;
    GByteArray *file;           /* with a seek table */
    size_t frame_at;            /* of the large frame */
    size_t frame_end;
    size_t content_at;
} Large;

/*
 * A large frame between small ones, or at the start; its size in the table is
 * wrong by TABLE_ERROR.
 */
static Large *large_new(bool first, int64_t table_error)
{
    g_autoptr(IoZstdTable) table = io_zstd_table_new();
    g_autoptr(GByteArray) encoded = NULL;
    Large *l = g_new0(Large, 1);

    l->content = g_byte_array_new();
    l->file = g_byte_array_new();
    if (!first) {
        g_byte_array_set_size(l->content, 1000);
        fill_pattern(l->content->data, 1000, 1);
        add_frame(l->file, table, l->content->data, 1000, 0);
    }
    l->content_at = l->content->len;
    l->frame_at = l->file->len;
    g_byte_array_set_size(l->content, l->content->len + LARGE_BYTES);
    memset(l->content->data + l->content_at, 3, LARGE_BYTES);
    for (size_t i = 0; i < LARGE_BYTES; i += 1 << 20) {
        fill_pattern(l->content->data + l->content_at + i, 3000, i);
    }
    add_frame(l->file, table, l->content->data + l->content_at, LARGE_BYTES,
              table_error);
    l->frame_end = l->file->len;
    g_byte_array_append(l->content, (const guint8 *)"end", 3);
    add_frame(l->file, table, "end", 3, 0);
    encoded = io_zstd_table_encode(table);
    g_byte_array_append(l->file, encoded->data, encoded->len);
    return l;
}

static void large_free(Large *l)
{
    g_byte_array_unref(l->content);
    g_byte_array_unref(l->file);
    g_free(l);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Large, large_free)

static GByteArray *read_large(IoInput *in, GError **error)
{
    GByteArray *all = g_byte_array_new();
    g_autofree uint8_t *buffer = g_malloc(3333333);
    size_t got;

    do {
        if (!io_input_read(in, buffer, 3333333, &got, error)) {
            g_byte_array_append(all, buffer, got);
            break;
        }
        g_byte_array_append(all, buffer, got);
    } while (got > 0);
    return all;
}

static void test_large_frame(void)
{
    for (unsigned first = 0; first < 2; first++) {
        g_autoptr(Large) l = large_new(first, 0);
        int fd = fd_of_bytes(l->file->data, l->file->len);
        g_autoptr(IoInput) in = input_of(fd, 2);
        g_autoptr(IoInputCursor) cursor = io_input_cursor_new(in);
        g_autoptr(GArray) offsets = g_array_new(FALSE, FALSE,
                                                sizeof(uint64_t));
        g_autoptr(GError) error = NULL;
        g_autoptr(GByteArray) all = read_large(in, &error);
        uint64_t offset = l->content_at + LARGE_BYTES - 100;
        uint8_t buffer[110];
        size_t got;

        g_assert_no_error(error);
        g_assert_nonnull(io_input_table(in));
        assert_same(all, l->content);
        g_array_append_val(offsets, offset);
        io_input_cursor_expect(cursor, offsets);
        g_assert_true(io_input_cursor_read(cursor, buffer, sizeof(buffer),
                                           offset, &got, NULL));
        g_assert_cmpmem(buffer, got, l->content->data + offset, 103);
        close(fd);
    }
}

/* Read on or not, at any place and in order. */
static void assert_large_bad(const Large *l)
{
    g_autoptr(GByteArray) zeroed = g_byte_array_new();
    g_autoptr(GString) told = g_string_new(NULL);
    int fd = fd_of_bytes(l->file->data, l->file->len);
    uint8_t byte;
    size_t got;

    {
        g_autoptr(IoInput) in = input_of(fd, 2);
        g_autoptr(IoInputCursor) cursor = io_input_cursor_new(in);
        g_autoptr(GError) error = NULL;
        g_autoptr(GError) error_there = NULL;
        g_autoptr(GByteArray) all = read_large(in, &error);

        g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_DAMAGED);
        g_assert_nonnull(strstr(error->message, "frame 1 "));
        g_assert_cmpuint(all->len, <=, l->content_at + LARGE_BYTES);
        g_assert_false(io_input_cursor_read(cursor, &byte, 1, l->content_at,
                                            &got, &error_there));
        g_assert_error(error_there, BACKUP_ERROR, BACKUP_ERROR_DAMAGED);
        /* What comes next is the next frame. */
        g_assert_true(io_input_read(in, &byte, 1, &got, NULL));
        g_assert_cmpuint(got, ==, 1);
        g_assert_cmpuint(byte, ==, 'e');
    }
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    {
        g_autoptr(IoInput) in = input_of(fd, 2);
        g_autoptr(GError) error = NULL;
        g_autoptr(GByteArray) all = NULL;

        io_input_go_on(in, append_line, told);
        all = read_large(in, &error);
        g_assert_no_error(error);
        g_byte_array_append(zeroed, l->content->data, l->content_at);
        g_byte_array_set_size(zeroed, io_input_bytes(in) - 3);
        memset(zeroed->data + l->content_at, 0, zeroed->len - l->content_at);
        g_byte_array_append(zeroed, (const guint8 *)"end", 3);
        assert_same(all, zeroed);
        g_assert_nonnull(strstr(told->str, "frame 1 "));
    }
    close(fd);
}

/* In the midst, and of nothing but the checksum. */
static void test_large_frame_bad(void)
{
    g_autoptr(Large) l = large_new(false, 0);
    size_t places[] = { (l->frame_at + l->frame_end) / 2, l->frame_end - 1 };

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        l->file->data[places[i]] ^= 4;
        assert_large_bad(l);
        l->file->data[places[i]] ^= 4;
    }
}

/* It holds more than the table says, or less: also by a part or by none. */
static void test_large_frame_size(void)
{
    static const int64_t errors[] = { 1, -1, -12345, 2000000 };

    for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
        g_autoptr(Large) l = large_new(false, errors[i]);

        assert_large_bad(l);
    }
}

/* Without a table nobody knows how much is behind a bad place: it ends there. */
static void test_bad_stream(void)
{
    g_autoptr(Sample) s = sample_new();
    size_t at = (s->frame_at[20] + s->frame_at[21]) / 2;
    g_autoptr(GString) told = g_string_new(NULL);
    g_autoptr(GByteArray) all = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(IoInput) in = NULL;
    int fd;

    s->file->data[at] ^= 4;
    fd = fd_of_bytes(s->file->data, s->table_at);
    in = input_of(fd, 3);
    io_input_go_on(in, append_line, told);
    all = read_all(in, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(all->len, >=, s->content_at[20]);
    g_assert_cmpuint(all->len, <=, s->content_at[21]);
    g_assert_true(memcmp(all->data, s->content->data, s->content_at[20]) == 0);
    g_assert_cmpuint(told->len, >, 0);
    close(fd);
}

/* It is read as a stream then, and the caller is told why. */
static void test_bad_table(void)
{
    g_autoptr(Sample) s = sample_new();
    g_autofree char *note = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(IoInput) in = NULL;
    int fd;

    s->file->data[s->table_at + 8] ^= 1;
    fd = fd_of_bytes(s->file->data, s->file->len);
    in = io_input_new(fd, 2, &note, &error);
    g_assert_no_error(error);
    g_assert_nonnull(note);
    g_assert_false(io_input_is_seekable(in));
    assert_reads(in, s->content);
    close(fd);
}

/* Every place where a file can be cut: all before it comes out, then an error. */
static void test_cut(void)
{
    g_autoptr(Sample) s = sample_new();

    for (size_t bytes = s->table_at; bytes > 5; bytes -= MIN(bytes, 4999)) {
        g_autoptr(GByteArray) all = NULL;
        g_autoptr(GError) error = NULL;
        int fd = fd_of_bytes(s->file->data, bytes);
        g_autoptr(IoInput) in = input_of(fd, 2);

        all = read_all(in, &error);
        g_assert_true(memcmp(all->data, s->content->data, all->len) == 0);
        if (bytes < s->table_at) {
            g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_INCOMPLETE);
        }
        close(fd);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/input/plain", test_plain);
    g_test_add_func("/input/frames", test_frames);
    g_test_add_func("/input/expected-places-come-ahead", test_expected);
    g_test_add_func("/input/expected-place-is-damaged", test_expected_bad);
    g_test_add_func("/input/cursors-of-threads", test_cursors);
    g_test_add_func("/input/stop-ends-the-threads", test_stop);
    g_test_add_func("/input/stream", test_stream);
    g_test_add_func("/input/taken-without-a-copy", test_take);
    g_test_add_func("/input/pipe", test_pipe);
    g_test_add_func("/input/foreign", test_foreign);
    g_test_add_func("/input/free-while-waiting-does-not-hang",
                    test_free_while_waiting);
    g_test_add_func("/input/bad-frame", test_bad_frame);
    g_test_add_func("/input/large-frame", test_large_frame);
    g_test_add_func("/input/large-frame-is-bad", test_large_frame_bad);
    g_test_add_func("/input/large-frame-of-another-size",
                    test_large_frame_size);
    g_test_add_func("/input/bad-stream", test_bad_stream);
    g_test_add_func("/input/bad-table", test_bad_table);
    g_test_add_func("/input/cut", test_cut);
    return g_test_run();
}
