/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing behind: what was given is in the file, in order, once it is drained;
 * a write that fails is told, and nothing is written behind it; and what is not
 * a file is written at once.
 */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "io/write-behind.h"
#include "output.h"

#define ROOM 10000u

/* Gives buffers 0 to COUNT - 1, of different sizes; how many were taken. */
static unsigned give(IoWriteBehind *behind, unsigned count, GByteArray *given,
                     GError **error)
{
    for (unsigned i = 0; i < count; i++) {
        size_t bytes = ROOM - i % 100;
        uint8_t *room = io_write_behind_room(behind, error);

        if (!room) {
            return i;
        }
        g_assert_true(room == io_write_behind_room(behind, NULL));
        fill_pattern(room, bytes, i);
        g_byte_array_append(given, room, bytes);
        if (!io_write_behind_give(behind, bytes, error)) {
            return i;
        }
    }
    return count;
}

static void test_order(void)
{
    OutputFile f = output_file_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) given = g_byte_array_new();
    g_autoptr(GBytes) written = NULL;
    IoWriteBehind *behind = io_write_behind_new(f.output, ROOM, &error);

    g_assert_no_error(error);
    g_assert_true(io_write_behind_drain(behind, &error));
    for (unsigned i = 0; i < 3; i++) {
        g_assert_cmpuint(give(behind, 200, given, &error), ==, 200);
        g_assert_true(io_write_behind_drain(behind, &error));
        g_assert_cmpuint(io_output_bytes(f.output), ==, given->len);
    }
    io_write_behind_free(behind);
    written = output_file_bytes(&f);
    g_assert_cmpmem(g_bytes_get_data(written, NULL), g_bytes_get_size(written),
                    given->data, given->len);
    output_file_clear(&f);
}

/* What is left is dropped, or written: the file is nobody's any more. */
static void test_free_at_once(void)
{
    for (unsigned count = 0; count < 10; count++) {
        OutputFile f = output_file_new();
        g_autoptr(GByteArray) given = g_byte_array_new();
        g_autoptr(GBytes) written = NULL;
        IoWriteBehind *behind = io_write_behind_new(f.output, ROOM, NULL);

        give(behind, count, given, NULL);
        io_write_behind_free(behind);
        written = output_file_bytes(&f);
        g_assert_cmpuint(g_bytes_get_size(written), <=, given->len);
        g_assert_cmpmem(g_bytes_get_data(written, NULL),
                        g_bytes_get_size(written), given->data,
                        g_bytes_get_size(written));
        output_file_clear(&f);
    }
}

/* The file can't grow any more, from the first, a middle or the last buffer. */
static void test_failed_write(void)
{
    const unsigned full_at[] = { 0, 1, 7, 19 };
    struct rlimit old, limit;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    for (unsigned i = 0; i < G_N_ELEMENTS(full_at); i++) {
        OutputFile f = output_file_new();
        g_autoptr(GByteArray) given = g_byte_array_new();
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) written = NULL;
        IoWriteBehind *behind = io_write_behind_new(f.output, ROOM, NULL);
        size_t room = full_at[i] * ROOM + ROOM / 2;

        limit = old;
        limit.rlim_cur = room;
        setrlimit(RLIMIT_FSIZE, &limit);
        if (give(behind, 20, given, &error) == 20) {
            g_assert_false(io_write_behind_drain(behind, &error));
        }
        setrlimit(RLIMIT_FSIZE, &old);
        assert_kind(error, BACKUP_ERROR_FAILED);
        g_assert_nonnull(strstr(error->message, "File too large"));
        io_write_behind_free(behind);
        written = output_file_bytes(&f);
        g_assert_cmpuint(g_bytes_get_size(written), ==, room);
        output_file_clear(&f);
    }
}

/* Standard output is a pipe: each buffer is in it when the call returns. */
static void test_pipe(void)
{
    g_autoptr(GByteArray) given = g_byte_array_new();
    g_autoptr(IoOutput) output = NULL;
    g_autoptr(IoWriteBehind) behind = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree uint8_t *back = g_malloc(ROOM);
    int saved = dup(STDOUT_FILENO);
    int ends[2];
    unsigned i;

    g_assert_cmpint(pipe(ends), ==, 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    output = io_output_new("-", false, NULL);
    behind = io_write_behind_new(output, ROOM, &error);
    for (i = 0; i < 5; i++) {
        size_t got;

        g_byte_array_set_size(given, 0);
        if (give(behind, 1, given, &error) != 1) {
            break;
        }
        if (!io_read(ends[0], back, given->len, &got, &error) ||
            got != given->len || memcmp(back, given->data, got) != 0) {
            break;
        }
    }
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    if (i == 5) {
        give(behind, 1, given, &error);
    }
    dup2(saved, STDOUT_FILENO);
    close(saved);
    g_assert_cmpuint(i, ==, 5);
    assert_kind(error, BACKUP_ERROR_FAILED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/write-behind/order", test_order);
    g_test_add_func("/write-behind/free-at-once", test_free_at_once);
    g_test_add_func("/write-behind/a-failed-write-is-told", test_failed_write);
    g_test_add_func("/write-behind/a-pipe-is-written-at-once", test_pipe);
    return g_test_run();
}
