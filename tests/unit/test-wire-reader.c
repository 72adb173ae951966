/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream's reader: the test vectors, and every truncation.
 */
#include <string.h>
#include <sys/socket.h>

#include "util.h"
#include "wire/reader.h"

#ifndef VECTORS
#define VECTORS "tests/data/stream"
#endif

/*
 * Reads a stream to its end; the payload in parts of odd sizes, which are
 * appended to CONTENT, if that is not NULL.
 */
static bool read_content(int fd, GByteArray *content, GError **error)
{
    g_autoptr(WireReader) reader = wire_reader_new(fd, error);
    g_autofree uint8_t *buffer = g_malloc(WIRE_CLUSTER_BYTES);

    while (reader) {
        WireRun run;
        WireEvent event = wire_reader_next(reader, &run, error);

        if (event == WIRE_EVENT_END) {
            return true;
        }
        if (event == WIRE_EVENT_ERROR) {
            return false;
        }
        for (size_t left = event == WIRE_EVENT_DATA ? run.payload_bytes : 0;
             left > 0;) {
            size_t part = MIN(left, 8000);

            if (!wire_reader_payload(reader, buffer, part, error)) {
                return false;
            }
            if (content) {
                g_byte_array_append(content, buffer, part);
            }
            left -= part;
        }
    }
    return false;
}

static bool read_stream(int fd, GError **error)
{
    return read_content(fd, NULL, error);
}

static void check_outcome(const char *name, bool whole, const GError *error,
                          const char *outcome, const char *words)
{
    if (strcmp(outcome, "ok") == 0) {
        g_assert_no_error(error);
        g_assert_true(whole);
        return;
    }
    g_assert_false(whole);
    g_assert_nonnull(error);
    if (error->code != (strcmp(outcome, "damaged") == 0
                        ? BACKUP_ERROR_DAMAGED : BACKUP_ERROR_INCOMPLETE) ||
        !strstr(error->message, words)) {
        g_error("%s: expected %s with \"%s\", got %d: %s", name, outcome,
                words, error->code, error->message);
    }
}

static void test_vector(gconstpointer data)
{
    char *const *fields = (char *const *)data;
    g_autofree char *path = g_strdup_printf(VECTORS "/%s.qbs", fields[0]);
    g_autofree char *stream = NULL;
    g_autoptr(GError) error = NULL;
    gsize bytes;
    bool whole;
    int fd;

    g_assert_true(g_file_get_contents(path, &stream, &bytes, NULL));
    fd = fd_of_bytes(stream, bytes);
    whole = read_stream(fd, &error);
    close(fd);
    check_outcome(fields[0], whole, error, fields[1], fields[3]);
}

/* One test for each line of the list; returns how many. */
static int add_vectors(void)
{
    g_autofree char *list = NULL;
    g_auto(GStrv) lines = NULL;
    int count = 0;

    g_assert_true(g_file_get_contents(VECTORS "/VECTORS", &list, NULL, NULL));
    lines = g_strsplit(list, "\n", -1);
    for (char **line = lines; *line; line++) {
        char **fields;
        g_autofree char *name = NULL;

        if (**line == '#' || **line == '\0') {
            continue;
        }
        fields = g_strsplit(*line, "\t", -1);
        g_assert_cmpuint(g_strv_length(fields), ==, 4);
        name = g_strdup_printf("/wire-reader/vector/%s/%s", fields[2],
                               fields[0]);
        g_test_add_data_func_full(name, fields, test_vector,
                                  (GDestroyNotify)g_strfreev);
        count++;
    }
    return count;
}

/* A stream cut after any byte is incomplete, never whole and never damaged. */
static void test_every_truncation(void)
{
    static const char *const names[] = { "example", "any-order", "ignorable",
                                         "payload-hash" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_strdup_printf(VECTORS "/%s.qbs", names[i]);
        g_autofree char *stream = NULL;
        gsize bytes;

        g_assert_true(g_file_get_contents(path, &stream, &bytes, NULL));
        for (gsize cut = 0; cut < bytes; cut++) {
            g_autoptr(GError) error = NULL;
            int fd = fd_of_bytes(stream, cut);

            g_assert_false(read_stream(fd, &error));
            assert_kind(error, BACKUP_ERROR_INCOMPLETE);
            close(fd);
        }
    }
}

static uint32_t get_u32(const uint8_t *data)
{
    return GUINT32_FROM_BE(*(const uint32_t *)(const void *)data);
}

/*
 * Which bytes of a stream no check covers: the payload of an ignorable record,
 * and that of DATA without PAYLOAD_HASH, [F1].  Marked with the record's type.
 */
static uint8_t *mark_unchecked(const uint8_t *stream, size_t bytes)
{
    uint8_t *marks = g_malloc0(bytes);
    bool hashed = get_u32(stream + 16) & WIRE_FEATURE_PAYLOAD_HASH;
    size_t at = get_u32(stream + 12);

    while (at < bytes) {
        uint8_t type = stream[at + 4];
        uint32_t payload = get_u32(stream + at + 24);

        at += sizeof(WireRecord);
        if (type >= WIRE_RECORD_IGNORABLE ||
            (type == WIRE_RECORD_DATA && !hashed)) {
            memset(marks + at, type, payload);
        }
        at += payload;
    }
    return marks;
}

/* Bits in which the two differ. */
static unsigned differing_bits(const GByteArray *a, const GByteArray *b)
{
    unsigned bits = 0;

    g_assert_cmpuint(a->len, ==, b->len);
    for (guint i = 0; i < a->len; i++) {
        bits += __builtin_popcount(a->data[i] ^ b->data[i]);
    }
    return bits;
}

static void flip_every_bit(uint8_t *stream, size_t bytes)
{
    g_autofree uint8_t *unchecked = mark_unchecked(stream, bytes);
    g_autoptr(GByteArray) whole = g_byte_array_new();
    int fd = fd_of_bytes(stream, bytes);

    g_assert_true(read_content(fd, whole, NULL));
    close(fd);
    for (gsize bit = 0; bit < bytes * 8; bit++) {
        g_autoptr(GByteArray) content = g_byte_array_new();
        g_autoptr(GError) error = NULL;
        uint8_t mark = unchecked[bit / 8];

        stream[bit / 8] ^= 1 << bit % 8;
        fd = fd_of_bytes(stream, bytes);
        stream[bit / 8] ^= 1 << bit % 8;
        g_assert_cmpint(read_content(fd, content, &error), ==, mark != 0);
        close(fd);
        if (mark) {
            g_assert_cmpuint(differing_bits(content, whole), ==,
                             mark == WIRE_RECORD_DATA);
        } else {
            g_assert_cmpint(error->code, >=, BACKUP_ERROR_DAMAGED);
        }
    }
}

/*
 * Each flipped bit of a stream is found, but for those that no check covers: a
 * bit of DATA without a hash comes through, one of an ignorable record means
 * nothing.
 */
static void test_every_bit_flip(void)
{
    static const char *const names[] = { "payload-hash", "example",
                                         "any-order", "ignorable" };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_strdup_printf(VECTORS "/%s.qbs", names[i]);
        g_autofree char *stream = NULL;
        gsize bytes;

        g_assert_true(g_file_get_contents(path, &stream, &bytes, NULL));
        flip_every_bit((uint8_t *)stream, bytes);
    }
}

/* Bytes arrive one by one, and nothing behind the end is taken. */
static gpointer drip(gpointer data)
{
    int fd = GPOINTER_TO_INT(data);
    g_autofree char *stream = NULL;
    gsize bytes;

    g_assert_true(g_file_get_contents(VECTORS "/example.qbs", &stream, &bytes,
                                      NULL));
    for (gsize i = 0; i < bytes; i++) {
        g_assert_true(io_write(fd, stream + i, 1, NULL));
    }
    g_assert_true(io_write(fd, "next", 4, NULL));
    return NULL;
}

static void test_byte_by_byte(void)
{
    g_autoptr(GError) error = NULL;
    char rest[5] = "";
    int fds[2];
    GThread *thread;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    thread = g_thread_new("drip", drip, GINT_TO_POINTER(fds[1]));
    /* The writer keeps its end open: the reader must not wait for its close. */
    g_assert_true(read_stream(fds[0], &error));
    g_assert_no_error(error);
    g_thread_join(thread);
    g_assert_cmpint(read(fds[0], rest, 4), ==, 4);
    g_assert_cmpstr(rest, ==, "next");
    close(fds[0]);
    close(fds[1]);
}

static void test_unreadable(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(read_stream(-1, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpint(add_vectors(), >, 70);
    g_test_add_func("/wire-reader/every-truncation-is-incomplete",
                    test_every_truncation);
    g_test_add_func("/wire-reader/every-checked-bit-flip-is-found",
                    test_every_bit_flip);
    g_test_add_func("/wire-reader/byte-by-byte-and-not-beyond-the-end",
                    test_byte_by_byte);
    g_test_add_func("/wire-reader/unreadable-input", test_unreadable);
    return g_test_run();
}
