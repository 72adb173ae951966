/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zstd files: the seek table, frames written by several threads, and both ways
 * of reading.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zstd.h>

#include "io/io.h"
#include "io/zstd-reader.h"
#include "io/zstd-table.h"
#include "io/zstd-writer.h"
#include "output.h"

#define ROOM 100000u
#define FOOTER_BYTES 9
#define ENTRY_BYTES 8

/* Frame I of the files below: 1 to ROOM bytes, between all alike and random. */
static size_t fill_frame(uint8_t *data, unsigned i)
{
    size_t bytes = 1 + (i * 7919u) % ROOM;

    fill_pattern(data, bytes, i);
    for (size_t k = 0; k < bytes; k++) {
        if (k / 64 % (i % 5 + 1) != 0) {
            data[k] = i;
        }
    }
    return bytes;
}

/* A finished file of so many frames; *content is what they decompress to. */
static GBytes *make_file(unsigned frames, unsigned threads, int level,
                         GByteArray *content)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IoZstdWriter) writer = NULL;
    OutputFile f = output_file_new();
    GBytes *bytes;

    writer = io_zstd_writer_new(f.output, level, threads, ROOM, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < frames; i++) {
        uint8_t *room = io_zstd_writer_room(writer, &error);
        size_t n;

        g_assert_no_error(error);
        g_assert_cmpuint(io_zstd_writer_next_frame(writer), ==, i);
        n = fill_frame(room, i);
        if (content) {
            g_byte_array_append(content, room, n);
        }
        io_zstd_writer_give(writer, n);
    }
    g_assert_true(io_zstd_writer_finish(writer, &error));
    bytes = output_file_bytes(&f);
    output_file_clear(&f);
    return bytes;
}

static IoZstdTable *table_of(int fd, GError **error)
{
    IoZstdTable *table = NULL;
    bool ok = io_zstd_table_read(fd, lseek(fd, 0, SEEK_END), &table, error);

    g_assert_true(ok || (!table && (!error || *error)));
    return table;
}

static IoZstdTable *table_of_bytes(const void *data, size_t bytes,
                                   GError **error)
{
    int fd = fd_of_bytes(data, bytes);
    IoZstdTable *table = table_of(fd, error);

    close(fd);
    return table;
}

/* More than that no frame can decompress to. */
#define RATIO_MAX 32768u

static void test_table_round_trip(void)
{
    static const uint32_t counts[] = { 0, 1, 2, 8191, 8192, 8193, 20000 };

    for (size_t c = 0; c < G_N_ELEMENTS(counts); c++) {
        g_autoptr(IoZstdTable) table = io_zstd_table_new();
        g_autoptr(IoZstdTable) back = NULL;
        g_autoptr(GByteArray) encoded = NULL;
        g_autoptr(GByteArray) file = g_byte_array_new();
        g_autoptr(GError) error = NULL;
        uint8_t digest[16], digest_back[16];
        uint64_t content = 0;

        for (uint32_t i = 0; i < counts[c]; i++) {
            uint32_t bytes = 8 + i % 100;
            uint32_t content_bytes = i % 7 ? bytes * RATIO_MAX : 0;

            g_assert_true(io_zstd_table_add(table, bytes, content_bytes,
                                            &error));
            content += content_bytes;
        }
        g_byte_array_set_size(file, io_zstd_table_frame(table, counts[c])
                                    .offset);
        encoded = io_zstd_table_encode(table);
        g_assert_cmpuint(encoded->len, ==, 17 + 8 * counts[c]);
        g_byte_array_append(file, encoded->data, encoded->len);
        back = table_of_bytes(file->data, file->len, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(io_zstd_table_frames(back), ==, counts[c]);
        g_assert_cmpuint(io_zstd_table_frame(back, counts[c]).content_offset,
                         ==, content);
        for (uint32_t i = 0; i <= counts[c]; i++) {
            IoZstdFrame a = io_zstd_table_frame(table, i);
            IoZstdFrame b = io_zstd_table_frame(back, i);

            g_assert_cmpmem(&a, sizeof(a), &b, sizeof(b));
        }
        io_zstd_table_digest(table, counts[c], digest);
        io_zstd_table_digest(back, counts[c], digest_back);
        g_assert_cmpmem(digest, 16, digest_back, 16);
    }
}

/* A table of these entries, 12 bytes each, as other programs write it. */
static void test_table_with_checksums(void)
{
    static const uint8_t file[] = {
        0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x',
        0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0,
        0x5e, 0x2a, 0x4d, 0x18, 33, 0, 0, 0,
        9, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4,
        8, 0, 0, 0, 6, 0, 0, 0, 1, 2, 3, 4,
        2, 0, 0, 0, 0x83, 0xb1, 0xea, 0x92, 0x8f,
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(IoZstdTable) table = table_of_bytes(file, sizeof(file), &error);

    g_assert_no_error(error);
    g_assert_cmpuint(io_zstd_table_frames(table), ==, 2);
    g_assert_cmpuint(io_zstd_table_frame(table, 1).offset, ==, 9);
    g_assert_cmpuint(io_zstd_table_frame(table, 1).content_offset, ==, 5);
    g_assert_cmpuint(io_zstd_table_frame(table, 1).content_bytes, ==, 6);
}

/* The table of three frames, with a number put somewhere; from its end. */
static void assert_table_damage(size_t from_end, uint32_t value,
                                const char *words)
{
    g_autoptr(GBytes) file = make_file(3, 1, 1, NULL);
    gsize bytes;
    g_autofree uint8_t *data = g_bytes_unref_to_data(
        g_steal_pointer(&file), &bytes);
    g_autoptr(GError) error = NULL;
    uint32_t le = GUINT32_TO_LE(value);

    memcpy(data + bytes - from_end, &le, MIN(from_end, sizeof(le)));
    g_assert_null(table_of_bytes(data, bytes, &error));
    assert_kind(error, BACKUP_ERROR_DAMAGED);
    if (!strstr(error->message, words)) {
        g_error("%zu from the end: expected \"%s\", got: %s", from_end, words,
                error->message);
    }
}

static void test_table_fields(void)
{
    const size_t entries = FOOTER_BYTES + 3 * ENTRY_BYTES;

    assert_table_damage(9, 2, "does not begin where it should");
    assert_table_damage(9, 4, "does not begin where it should");
    assert_table_damage(9, 0x7ffffff, "larger than the file");
    assert_table_damage(9, 0x8000000, "larger than the file");
    assert_table_damage(9, 0x8000001, "too many frames");
    assert_table_damage(9, 0xffffffff, "too many frames");
    assert_table_damage(5, 0x92eab104, "features that are not known");
    assert_table_damage(5, 0x92eab140, "features that are not known");
    assert_table_damage(entries + 8, 0x184d2a5d, "does not begin");
    assert_table_damage(entries + 4, 0, "size of its frame");
    assert_table_damage(entries, 7, "too small to be one");
    assert_table_damage(entries - 4, 0xffffffff, "too small for what it is");
    assert_table_damage(entries, 0xffffffff, "do not end where it begins");
}

/*
 * A cut leaves no table, for the last bytes are its mark; a flipped bit is an
 * error or takes the mark away, but for the two bits that have no meaning and
 * the sizes of what was compressed, which only who decompresses can check, as
 * far as they are possible.
 */
static void test_table_cuts_and_flips(void)
{
    g_autoptr(GBytes) file = make_file(3, 1, 1, NULL);
    gsize bytes;
    g_autofree uint8_t *data = g_bytes_unref_to_data(
        g_steal_pointer(&file), &bytes);
    const gsize start = bytes - (8 + 3 * ENTRY_BYTES + FOOTER_BYTES);

    for (gsize cut = 0; cut < bytes; cut++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(table_of_bytes(data, cut, &error));
        g_assert_no_error(error);
    }
    for (gsize bit = start * 8; bit < bytes * 8; bit++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(IoZstdTable) table = NULL;
        gsize byte = bit / 8;
        gsize in_entry = (byte - start - 8) % ENTRY_BYTES;
        bool content_bytes = byte >= start + 8 &&
                             byte < bytes - FOOTER_BYTES && in_entry >= 4;
        bool unused = byte == bytes - 5 && bit % 8 < 2;

        data[byte] ^= 1 << bit % 8;
        if (content_bytes) {
            const uint8_t *entry = data + byte - in_entry;
            uint32_t sizes[2];

            memcpy(sizes, entry, sizeof(sizes));
            content_bytes = GUINT32_FROM_LE(sizes[1]) <=
                            GUINT32_FROM_LE(sizes[0]) * RATIO_MAX;
        }
        table = table_of_bytes(data, bytes, &error);
        g_assert_true((table != NULL) == (content_bytes || unused));
        g_assert_true((error == NULL) == (content_bytes || unused ||
                                          byte >= bytes - 4));
        data[byte] ^= 1 << bit % 8;
    }
}

/* In order, every one, and the same whoever compresses. */
static void test_writer_same_bytes(void)
{
    static const int levels[] = { -7, 1, 3, 9, 13, 19 };

    for (size_t l = 0; l < G_N_ELEMENTS(levels); l++) {
        unsigned frames = levels[l] > 9 ? 30 : 100;
        g_autoptr(GByteArray) content = g_byte_array_new();
        g_autoptr(GBytes) one = make_file(frames, 1, levels[l], content);
        gsize bytes, back_bytes = content->len + 1;
        g_autofree uint8_t *back = g_malloc(back_bytes);
        const void *data = g_bytes_get_data(one, &bytes);

        /* By libzstd alone. */
        g_assert_cmpuint(ZSTD_decompress(back, back_bytes, data, bytes), ==,
                         content->len);
        g_assert_cmpmem(back, content->len, content->data, content->len);
        for (unsigned threads = 2; threads <= 7; threads += 5) {
            g_autoptr(GBytes) more = make_file(frames, threads, levels[l],
                                               NULL);

            g_assert_true(g_bytes_equal(one, more));
        }
    }
}

/* Each frame says its size and has a checksum; the table has them all. */
static void test_writer_frames(void)
{
    g_autoptr(GBytes) file = make_file(20, 2, 1, NULL);
    const uint8_t *data = g_bytes_get_data(file, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(IoZstdTable) table = table_of_bytes(data, g_bytes_get_size(file),
                                                  &error);
    g_autofree uint8_t *expected = g_malloc(ROOM);

    g_assert_cmpuint(io_zstd_table_frames(table), ==, 20);
    for (unsigned i = 0; i < 20; i++) {
        IoZstdFrame frame = io_zstd_table_frame(table, i);

        g_assert_cmpuint(frame.content_bytes, ==, fill_frame(expected, i));
        g_assert_cmpuint(ZSTD_getFrameContentSize(data + frame.offset,
                                                  frame.bytes), ==,
                         frame.content_bytes);
        g_assert_cmpuint(ZSTD_findFrameCompressedSize(data + frame.offset,
                                                      frame.bytes), ==,
                         frame.bytes);
        g_assert_true(data[frame.offset + 4] & 1 << 2);
    }
}

/* However long the file, there are no more buffers than said. */
static void test_writer_buffers(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    g_autoptr(IoZstdWriter) writer = NULL;
    g_autoptr(GError) error = NULL;
    OutputFile f = output_file_new();

    writer = io_zstd_writer_new(f.output, 1, 3, ROOM, &error);
    for (unsigned i = 0; i < 200; i++) {
        uint8_t *room = io_zstd_writer_room(writer, &error);

        g_assert_true(room == io_zstd_writer_room(writer, &error));
        g_hash_table_add(seen, room);
        io_zstd_writer_give(writer, fill_frame(room, i));
    }
    g_assert_cmpuint(g_hash_table_size(seen), ==, 3 + 2);
    /* Before the output, to which threads are still writing. */
    g_clear_pointer(&writer, io_zstd_writer_free);
    output_file_clear(&f);
}

/* Freed with frames given, being compressed, done, and with none. */
static void test_writer_freed(void)
{
    for (unsigned frames = 0; frames < 12; frames++) {
        IoZstdWriter *writer;
        g_autoptr(GError) error = NULL;
        OutputFile f = output_file_new();

        writer = io_zstd_writer_new(f.output, 5, 3, ROOM, &error);
        for (unsigned i = 0; i < frames; i++) {
            io_zstd_writer_give(writer,
                                fill_frame(io_zstd_writer_room(writer, &error),
                                           i));
        }
        io_zstd_writer_free(writer);
        output_file_clear(&f);
    }
}

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* A frame of bytes that take long to compress, at the highest level. */
static IoZstdWriter *give_large(OutputFile *f, GByteArray *content)
{
    const size_t bytes = 5 << 20;
    g_autoptr(GError) error = NULL;
    IoZstdWriter *writer = io_zstd_writer_new(f->output, IO_ZSTD_LEVEL_MAX, 1,
                                              bytes, &error);
    uint8_t *room = io_zstd_writer_room(writer, &error);

    /* Many short matches everywhere. */
    fill_pattern(room, bytes, 1);
    for (size_t i = 0; i < bytes; i++) {
        room[i] &= 0x3f;
    }
    g_byte_array_append(content, room, bytes);
    io_zstd_writer_give(writer, bytes);
    return writer;
}

/* One that takes long is whole, and says its size, or is given up. */
static void test_writer_large_frame(void)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    g_autofree uint8_t *back = NULL;
    g_autoptr(GBytes) file = NULL;
    g_autoptr(GError) error = NULL;
    OutputFile f = output_file_new();
    double begun = cpu_seconds();
    IoZstdWriter *writer = give_large(&f, content);
    double whole;

    g_assert_nonnull(io_zstd_writer_drain(writer, &error));
    whole = cpu_seconds() - begun;
    file = output_file_bytes(&f);
    io_zstd_writer_free(writer);
    output_file_clear(&f);
    back = g_malloc(content->len);
    g_assert_cmpuint(ZSTD_getFrameContentSize(g_bytes_get_data(file, NULL),
                                              g_bytes_get_size(file)), ==,
                     content->len);
    g_assert_cmpuint(ZSTD_decompress(back, content->len,
                                     g_bytes_get_data(file, NULL),
                                     g_bytes_get_size(file)), ==,
                     content->len);
    g_assert_cmpmem(back, content->len, content->data, content->len);

    /* How much was computed, not how long it took. */
    f = output_file_new();
    begun = cpu_seconds();
    writer = give_large(&f, content);
    io_catch_signals();
    raise(SIGTERM);
    g_assert_null(io_zstd_writer_drain(writer, &error));
    io_zstd_writer_free(writer);
    io_clear_interrupt();
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "SIGTERM"));
    g_assert_cmpfloat(cpu_seconds() - begun, <, whole * 2 / 3);
    output_file_clear(&f);
}

/* Until there is no room; returns how many frames were given. */
static unsigned give_frames(IoZstdWriter *writer, unsigned count,
                            GError **error)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        uint8_t *room = io_zstd_writer_room(writer, error);

        if (!room) {
            break;
        }
        fill_pattern(room, ROOM, i);
        io_zstd_writer_give(writer, ROOM);
    }
    return i;
}

/*
 * A write that fails is met by the caller, who can still free; and nothing was
 * written behind it.
 */
static void test_writer_output_fails(void)
{
    struct rlimit old, limit;
    g_autoptr(IoZstdWriter) writer = NULL;
    g_autoptr(GBytes) whole = NULL;
    g_autoptr(GBytes) part = NULL;
    g_autoptr(GError) error = NULL;
    OutputFile f = output_file_new();

    writer = io_zstd_writer_new(f.output, 1, 2, ROOM, &error);
    g_assert_cmpuint(give_frames(writer, 10, &error), ==, 10);
    g_assert_nonnull(io_zstd_writer_drain(writer, &error));
    whole = output_file_bytes(&f);
    g_clear_pointer(&writer, io_zstd_writer_free);
    output_file_clear(&f);

    f = output_file_new();
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 250000;
    signal(SIGXFSZ, SIG_IGN);
    writer = io_zstd_writer_new(f.output, 1, 4, ROOM, &error);
    setrlimit(RLIMIT_FSIZE, &limit);
    g_assert_cmpuint(give_frames(writer, 1000, &error), <, 10);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_clear_pointer(&writer, io_zstd_writer_free);
    part = output_file_bytes(&f);
    g_assert_cmpmem(g_bytes_get_data(part, NULL), g_bytes_get_size(part),
                    g_bytes_get_data(whole, NULL), limit.rlim_cur);
    output_file_clear(&f);
}

/* Signals go to the caller: the other threads let none in. */
static void test_writer_blocks_signals(void)
{
    g_autoptr(IoZstdWriter) writer = NULL;
    g_autoptr(GDir) tasks = NULL;
    g_autoptr(GError) error = NULL;
    OutputFile f = output_file_new();
    const char *name;
    unsigned workers = 0;

    writer = io_zstd_writer_new(f.output, 1, 2, ROOM, &error);
    tasks = g_dir_open("/proc/self/task", 0, NULL);
    while ((name = g_dir_read_name(tasks))) {
        g_autofree char *path = g_strdup_printf("/proc/self/task/%s/status",
                                                name);
        g_autofree char *status = NULL;
        uint64_t blocked;

        if (atoi(name) == getpid()) {
            continue;
        }
        g_assert_true(g_file_get_contents(path, &status, NULL, NULL));
        blocked = g_ascii_strtoull(strstr(status, "SigBlk:") + 7, NULL, 16);
        g_assert_true(blocked >> (SIGINT - 1) & blocked >> (SIGTERM - 1) &
                      blocked >> (SIGHUP - 1) & blocked >> (SIGALRM - 1) & 1);
        workers++;
    }
    g_assert_cmpuint(workers, ==, 2);
    g_clear_pointer(&writer, io_zstd_writer_free);
    output_file_clear(&f);
}

/* Reads all of it in pieces of PIECE bytes. */
static bool read_stream(const void *data, size_t bytes, size_t piece,
                        size_t head, GByteArray *content, GError **error)
{
    int fd = fd_of_bytes((const uint8_t *)data + head, bytes - head);
    g_autoptr(IoZstdStream) stream = io_zstd_stream_new(fd, data, head, NULL);
    g_autofree uint8_t *buffer = g_malloc(piece);
    size_t got;
    bool ok;

    do {
        ok = io_zstd_stream_read(stream, buffer, piece, &got, error);
        g_byte_array_append(content, buffer, got);
    } while (ok && got == piece);
    if (ok) {
        g_assert_cmpuint(io_zstd_stream_offset(stream), ==, bytes);
        /* The end stays the end. */
        g_assert_true(io_zstd_stream_read(stream, buffer, 1, &got, NULL));
        g_assert_cmpuint(got, ==, 0);
    }
    close(fd);
    return ok;
}

static void test_stream_round_trip(void)
{
    static const size_t pieces[] = { 1, 4096, 99999, 1 << 22 };
    g_autoptr(GByteArray) expected = g_byte_array_new();
    g_autoptr(GBytes) file = make_file(10, 2, 1, expected);
    gsize bytes;
    const void *data = g_bytes_get_data(file, &bytes);

    for (size_t i = 0; i < G_N_ELEMENTS(pieces); i++) {
        for (size_t head = 0; head <= bytes; head = head * 3 + 4) {
            g_autoptr(GByteArray) content = g_byte_array_new();
            g_autoptr(GError) error = NULL;

            read_stream(data, bytes, pieces[i], head, content, &error);
            g_assert_no_error(error);
            g_assert_cmpmem(content->data, content->len, expected->data,
                            expected->len);
        }
    }
}

/* One frame of an unknown size and without checksum, as others may write. */
static void test_stream_foreign(void)
{
    g_autofree uint8_t *content = g_malloc(3 * ROOM);
    uint8_t frame[4 * ROOM];
    g_autoptr(GByteArray) back = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_outBuffer out = { .dst = frame, .size = sizeof(frame) };
    ZSTD_inBuffer in = { .src = content, .size = 3 * ROOM };

    fill_pattern(content, 3 * ROOM, 5);
    g_assert_cmpuint(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush),
                     ==, 0);
    g_assert_cmpuint(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), ==,
                     0);
    ZSTD_freeCCtx(context);
    g_assert_cmpuint(ZSTD_getFrameContentSize(frame, out.pos), ==,
                     ZSTD_CONTENTSIZE_UNKNOWN);
    read_stream(frame, out.pos, ROOM, 0, back, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(back->data, back->len, content, 3 * ROOM);
}

/* A small file, so that all of its bytes can be gone through. */
static GBytes *small_file(void)
{
    g_autoptr(IoZstdWriter) writer = NULL;
    OutputFile f = output_file_new();
    GBytes *bytes;

    writer = io_zstd_writer_new(f.output, 3, 1, 1000, NULL);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *room = io_zstd_writer_room(writer, NULL);

        memset(room, 'a' + i, 1000);
        fill_pattern(room, 100, i);
        io_zstd_writer_give(writer, 1000);
    }
    g_assert_true(io_zstd_writer_write_skippable(writer, "\x53\x2a\x4d\x18"
                                                 "\3\0\0\0abc", 11, NULL));
    g_assert_true(io_zstd_writer_finish(writer, NULL));
    bytes = output_file_bytes(&f);
    output_file_clear(&f);
    return bytes;
}

/* A cut is incomplete, but for one between two frames. */
static void test_stream_cuts(void)
{
    g_autoptr(GBytes) file = small_file();
    gsize bytes;
    const void *data = g_bytes_get_data(file, &bytes);
    g_autoptr(IoZstdTable) table = table_of_bytes(data, bytes, NULL);

    g_assert_cmpuint(io_zstd_table_frames(table), ==, 4);
    for (gsize cut = 0; cut <= bytes; cut++) {
        g_autoptr(GByteArray) content = g_byte_array_new();
        g_autoptr(GError) error = NULL;
        bool between = cut == bytes;

        for (unsigned i = 1; i <= 4; i++) {
            between |= cut == io_zstd_table_frame(table, i).offset;
        }
        if (read_stream(data, cut, 777, 0, content, &error)) {
            g_assert_true(between);
            g_assert_cmpuint(content->len % 1000, ==, 0);
        } else {
            g_assert_false(between);
            assert_kind(error, BACKUP_ERROR_INCOMPLETE);
        }
    }
}

/* A flipped bit of a compressed frame is never overlooked. */
static void test_flips(void)
{
    g_autoptr(GBytes) file = small_file();
    gsize bytes;
    g_autofree uint8_t *data = g_bytes_unref_to_data(
        g_steal_pointer(&file), &bytes);
    g_autoptr(IoZstdTable) table = table_of_bytes(data, bytes, NULL);
    uint8_t expected[1000], buffer[1000];

    fill_pattern(expected, 100, 1);
    memset(expected + 100, 'b', 900);
    for (gsize bit = 0; bit < io_zstd_table_frame(table, 3).offset * 8; bit++) {
        g_autoptr(GByteArray) content = g_byte_array_new();
        g_autoptr(IoZstdFrames) frames = NULL;
        g_autoptr(GError) error = NULL;
        bool second = bit / 8 >= io_zstd_table_frame(table, 1).offset &&
                      bit / 8 < io_zstd_table_frame(table, 2).offset;
        int fd;

        data[bit / 8] ^= 1 << bit % 8;
        fd = fd_of_bytes(data, bytes);
        frames = io_zstd_frames_new(fd, table, NULL);
        /* One bit of a frame's header may be used by nobody. */
        if (!read_stream(data, bytes, 4096, 0, content, &error)) {
            g_assert_true(error->domain == BACKUP_ERROR);
        } else {
            g_assert_cmpuint(content->len, ==, 3000);
        }
        g_clear_error(&error);
        if (io_zstd_frames_read(frames, 1, buffer, &error)) {
            g_assert_cmpmem(buffer, 1000, expected, 1000);
        } else {
            g_assert_true(second);
            g_assert_true(strstr(error->message, "frame 1 at offset "));
        }
        data[bit / 8] ^= 1 << bit % 8;
        close(fd);
    }
}

static void assert_stream_error(const char *data, size_t bytes, int kind)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    g_assert_false(read_stream(data, bytes, 100, 0, content, &error));
    assert_kind(error, kind);
}

static void test_stream_garbage(void)
{
    g_autoptr(GBytes) file = small_file();
    gsize bytes;
    const void *data = g_bytes_get_data(file, &bytes);

    assert_stream_error("", 0, BACKUP_ERROR_INCOMPLETE);
    assert_stream_error("\x28\xb5", 2, BACKUP_ERROR_INCOMPLETE);
    assert_stream_error("\x5f\x2a\x4d", 3, BACKUP_ERROR_INCOMPLETE);
    assert_stream_error("VM", 2, BACKUP_ERROR_DAMAGED);
    assert_stream_error("\x60\x2a\x4d", 3, BACKUP_ERROR_DAMAGED);
    assert_stream_error("VMA", 4, BACKUP_ERROR_DAMAGED);
    assert_stream_error("VMA garbage", 11, BACKUP_ERROR_DAMAGED);
    for (gsize n = 1; n <= 20; n++) {
        g_autoptr(GByteArray) more = g_byte_array_new();

        g_byte_array_append(more, data, bytes);
        g_byte_array_append(more, (const uint8_t *)"garbage behind the end",
                            n);
        assert_stream_error((char *)more->data, more->len,
                            BACKUP_ERROR_DAMAGED);
    }
}

static void test_magic(void)
{
    g_assert_true(io_zstd_is_magic("\x28\xb5\x2f\xfd", 4));
    g_assert_true(io_zstd_is_magic("\x50\x2a\x4d\x18", 4));
    g_assert_true(io_zstd_is_magic("\x5f\x2a\x4d\x18x", 5));
    g_assert_false(io_zstd_is_magic("\x60\x2a\x4d\x18", 4));
    g_assert_false(io_zstd_is_magic("\x28\xb5\x2f", 3));
    g_assert_false(io_zstd_is_magic("VMA", 4));
}

typedef struct Reading {
    int fd;
    const IoZstdTable *table;
    unsigned seed;
} Reading;

static void *read_frames(void *opaque)
{
    const Reading *reading = opaque;
    g_autoptr(IoZstdFrames) frames = io_zstd_frames_new(reading->fd,
                                                        reading->table, NULL);
    g_autofree uint8_t *buffer = g_malloc(ROOM);
    g_autofree uint8_t *expected = g_malloc(ROOM);

    for (unsigned i = 0; i < 200; i++) {
        g_autoptr(GError) error = NULL;
        unsigned n = (i * 37 + reading->seed) % 50;

        io_zstd_frames_read(frames, n, buffer, &error);
        g_assert_no_error(error);
        g_assert_cmpmem(buffer, io_zstd_table_frame(reading->table, n)
                        .content_bytes, expected, fill_frame(expected, n));
    }
    return NULL;
}

/* In any order, by several threads at once. */
static void test_frames_threads(void)
{
    g_autoptr(GBytes) file = make_file(50, 2, 1, NULL);
    gsize bytes;
    const void *data = g_bytes_get_data(file, &bytes);
    int fd = fd_of_bytes(data, bytes);
    g_autoptr(IoZstdTable) table = table_of(fd, NULL);
    Reading readings[4];
    GThread *threads[4];

    for (unsigned i = 0; i < 4; i++) {
        readings[i] = (Reading) { fd, table, i * 11 };
        threads[i] = g_thread_new("reader", read_frames, &readings[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        g_thread_join(threads[i]);
    }
    close(fd);
}

/* A table that lies about the second of three frames. */
static void assert_frame_error(int bytes, int content_bytes, const char *words)
{
    g_autoptr(GBytes) file = small_file();
    gsize size;
    const void *data = g_bytes_get_data(file, &size);
    int fd = fd_of_bytes(data, size);
    g_autoptr(IoZstdTable) table = table_of(fd, NULL);
    g_autoptr(IoZstdTable) wrong = io_zstd_table_new();
    g_autoptr(IoZstdFrames) frames = io_zstd_frames_new(fd, wrong, NULL);
    g_autoptr(GError) error = NULL;
    IoZstdFrame frame = io_zstd_table_frame(table, 1);
    uint8_t buffer[4000];

    io_zstd_table_add(wrong, frame.offset, 1000, NULL);
    io_zstd_table_add(wrong, frame.bytes + bytes,
                      frame.content_bytes + content_bytes, NULL);
    g_assert_false(io_zstd_frames_read(frames, 1, buffer, &error));
    assert_kind(error, BACKUP_ERROR_DAMAGED);
    if (!strstr(error->message, words)) {
        g_error("expected \"%s\", got: %s", words, error->message);
    }
    close(fd);
}

static void test_frames_lies(void)
{
    assert_frame_error(1, 0, "another size");
    assert_frame_error(-1, 0, "cannot decompress");
    assert_frame_error(0, 1, "it holds 1000 bytes, and not 1001");
    assert_frame_error(0, -1, "cannot decompress");
    /* Refused before memory is asked for. */
    assert_frame_error(INT32_MAX, 0, "too many");
    assert_frame_error(0, INT32_MAX - 1000, "too many");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/zstd-table/round-trip", test_table_round_trip);
    g_test_add_func("/zstd-table/checksums-are-skipped",
                    test_table_with_checksums);
    g_test_add_func("/zstd-table/every-field-is-checked", test_table_fields);
    g_test_add_func("/zstd-table/cuts-and-flips-are-found",
                    test_table_cuts_and_flips);
    g_test_add_func("/zstd-writer/same-bytes-by-any-threads",
                    test_writer_same_bytes);
    g_test_add_func("/zstd-writer/frames-say-their-size", test_writer_frames);
    g_test_add_func("/zstd-writer/bounded-buffers", test_writer_buffers);
    g_test_add_func("/zstd-writer/freed-at-any-moment", test_writer_freed);
    g_test_add_func("/zstd-writer/large-frame-can-be-given-up",
                    test_writer_large_frame);
    g_test_add_func("/zstd-writer/a-failed-write-is-an-error",
                    test_writer_output_fails);
    g_test_add_func("/zstd-writer/threads-block-signals",
                    test_writer_blocks_signals);
    g_test_add_func("/zstd-stream/round-trip", test_stream_round_trip);
    g_test_add_func("/zstd-stream/foreign-frame", test_stream_foreign);
    g_test_add_func("/zstd-stream/cut-is-incomplete", test_stream_cuts);
    g_test_add_func("/zstd-stream/garbage-is-damaged", test_stream_garbage);
    g_test_add_func("/zstd/magic", test_magic);
    g_test_add_func("/zstd/flips-are-found", test_flips);
    g_test_add_func("/zstd-frames/any-order-by-threads", test_frames_threads);
    g_test_add_func("/zstd-frames/lies-of-the-table", test_frames_lies);
    return g_test_run();
}
