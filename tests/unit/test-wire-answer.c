/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The consumer's answer, there and back.
 */
#include <string.h>
#include <sys/socket.h>

#include "util.h"
#include "wire/answer.h"
#include "wire/check.h"

static const uuid_t uuid = "0123456789abcde";

/* The bytes of an answer. */
static GBytes *encode(uint32_t status, const char *message)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    GBytes *bytes;

    g_assert_true(wire_answer_send(fd, uuid, status, message, NULL));
    bytes = bytes_of_fd(fd);
    close(fd);
    return bytes;
}

/* Receives what is sent and then closed; SECONDS must not matter. */
static bool decode(const void *data, size_t bytes, char **failure,
                   GError **error)
{
    int fds[2];
    bool ok;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_assert_true(io_write(fds[1], data, bytes, NULL));
    close(fds[1]);
    ok = wire_answer_receive(fds[0], uuid, 0, failure, error);
    close(fds[0]);
    return ok;
}

static void test_round_trip(void)
{
    g_autofree char *longest = g_strnfill(WIRE_MESSAGE_MAX_BYTES, 'x');
    g_autoptr(GBytes) committed = encode(WIRE_ANSWER_COMMITTED, "");
    const char *messages[] = { "", "no space left on 'd\303\274'", longest };
    char *failure = NULL;
    gsize size;
    const void *data = g_bytes_get_data(committed, &size);

    g_assert_true(decode(data, size, &failure, NULL));
    g_assert_null(failure);
    for (size_t i = 0; i < G_N_ELEMENTS(messages); i++) {
        g_autoptr(GBytes) failed = encode(WIRE_ANSWER_FAILED, messages[i]);

        data = g_bytes_get_data(failed, &size);
        g_assert_true(decode(data, size, &failure, NULL));
        g_assert_cmpstr(failure, ==, messages[i]);
        g_free(failure);
    }
}

static void test_damage(void)
{
    g_autoptr(GBytes) bytes = encode(WIRE_ANSWER_FAILED, "some reason");
    gsize size;
    const uint8_t *data = g_bytes_get_data(bytes, &size);

    for (gsize i = 0; i < size * 8; i++) {
        g_autofree uint8_t *copy = g_memdup2(data, size);
        g_autoptr(GError) error = NULL;
        char *failure;

        copy[i / 8] ^= 1 << i % 8;
        g_assert_false(decode(copy, size, &failure, &error));
        assert_kind(error, BACKUP_ERROR_FAILED);
        g_assert_null(failure);
    }
}

static void test_truncation(void)
{
    g_autoptr(GBytes) bytes = encode(WIRE_ANSWER_COMMITTED, "ab");
    gsize size;
    const uint8_t *data = g_bytes_get_data(bytes, &size);

    for (gsize i = 0; i < size; i++) {
        g_autoptr(GError) error = NULL;
        char *failure;

        g_assert_false(decode(data, i, &failure, &error));
        assert_kind(error, BACKUP_ERROR_FAILED);
        g_assert_nonnull(strstr(error->message, "without an answer"));
    }
}

/* A message that is no text, with a right check. */
static void test_message_is_no_text(void)
{
    static const char *const bad[] = { "a\nb", "\177", "\377" };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        WireAnswer answer = {
            .magic = WIRE_ANSWER_MAGIC,
            .message_bytes = GUINT32_TO_BE(strlen(bad[i])),
        };
        g_autoptr(GByteArray) out = g_byte_array_new();
        uint32_t check = wire_check_seed(uuid);
        char *failure;

        g_byte_array_append(out, (void *)&answer, sizeof(answer));
        g_byte_array_append(out, (void *)bad[i], strlen(bad[i]));
        check = GUINT32_TO_BE(wire_check(check, out->data, out->len));
        g_byte_array_append(out, (void *)&check, sizeof(check));
        g_assert_false(decode(out->data, out->len, &failure, NULL));
    }
}

static void test_nothing_behind_is_read(void)
{
    g_autoptr(GBytes) bytes = encode(WIRE_ANSWER_COMMITTED, "ab");
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    char *failure;
    char next;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_assert_true(io_write(fds[1], data, size, NULL));
    g_assert_true(io_write(fds[1], "x", 1, NULL));
    g_assert_true(wire_answer_receive(fds[0], uuid, 0, &failure, NULL));
    g_assert_cmpint(read(fds[0], &next, 1), ==, 1);
    g_assert_cmpint(next, ==, 'x');
    close(fds[0]);
    close(fds[1]);
}

/* Nothing more may come, so nothing more is waited for. */
static void test_wrong_magic_is_told_at_once(void)
{
    for (size_t i = 0; i < strlen(WIRE_ANSWER_MAGIC); i++) {
        char magic[] = WIRE_ANSWER_MAGIC;
        g_autoptr(GError) error = NULL;
        char *failure;
        int fds[2];

        magic[i] ^= 1;
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
        g_assert_true(io_write(fds[1], magic, i + 1, NULL));
        g_assert_false(wire_answer_receive(fds[0], uuid, 0, &failure, &error));
        assert_kind(error, BACKUP_ERROR_FAILED);
        g_assert_nonnull(strstr(error->message, "no answer"));
        close(fds[0]);
        close(fds[1]);
    }
}

static void test_time_is_limited(void)
{
    g_autoptr(GError) error = NULL;
    char *failure;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_assert_true(io_write(fds[1], WIRE_ANSWER_MAGIC, 4, NULL));
    g_assert_false(wire_answer_receive(fds[0], uuid, 1, &failure, &error));
    g_assert_nonnull(strstr(error->message, "in time"));
    close(fds[0]);
    close(fds[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire-answer/round-trip", test_round_trip);
    g_test_add_func("/wire-answer/every-flipped-bit-is-found", test_damage);
    g_test_add_func("/wire-answer/every-truncation-is-found", test_truncation);
    g_test_add_func("/wire-answer/message-is-no-text",
                    test_message_is_no_text);
    g_test_add_func("/wire-answer/nothing-behind-it-is-read",
                    test_nothing_behind_is_read);
    g_test_add_func("/wire-answer/wrong-magic-is-told-at-once",
                    test_wrong_magic_is_told_at_once);
    g_test_add_func("/wire-answer/time-is-limited", test_time_is_limited);
    return g_test_run();
}
