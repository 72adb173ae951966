/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The consumer's answer.
 */
#include "wire/answer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "backup/info.h"
#include "io/io.h"
#include "wire/check.h"

bool wire_answer_possible(int fd, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        backup_error_set_damaged(error, "the producer asks for an answer, but "
                                 "the stream does not come from a socket, and "
                                 "standard output is no pipe back");
        return false;
    }
    return true;
}

int wire_answer_fd(int fd, int output, GError **error)
{
    struct stat st;

    if (wire_answer_possible(fd, NULL)) {
        return fd;
    }
    if (output >= 0 && fstat(output, &st) == 0 && S_ISFIFO(st.st_mode)) {
        return output;
    }
    wire_answer_possible(fd, error);
    return -1;
}

/* The longest start of a message that is a valid text and fits. */
static size_t fitting_bytes(const char *message)
{
    size_t bytes = MIN(strlen(message), WIRE_MESSAGE_MAX_BYTES);

    while (bytes > 0 && !backup_text_is_valid(message, bytes)) {
        bytes--;
    }
    return bytes;
}

bool wire_answer_send(int fd, const uuid_t uuid, uint32_t status,
                      const char *message, GError **error)
{
    size_t bytes = fitting_bytes(message);
    WireAnswer answer = {
        .status = GUINT32_TO_BE(status),
        .message_bytes = GUINT32_TO_BE(bytes),
    };
    uint32_t check = wire_check_seed(uuid);
    struct iovec iov[3] = {
        { .iov_base = &answer, .iov_len = sizeof(answer) },
        { .iov_base = (void *)message, .iov_len = bytes },
        { .iov_base = &check, .iov_len = sizeof(check) },
    };

    memcpy(answer.magic, WIRE_ANSWER_MAGIC, sizeof(answer.magic));
    check = wire_check(check, &answer, sizeof(answer));
    check = wire_check(check, message, bytes);
    check = GUINT32_TO_BE(check);
    if (!io_writev(fd, iov, G_N_ELEMENTS(iov), error)) {
        g_prefix_error(error, "cannot send the answer: ");
        return false;
    }
    return true;
}

/* Receiving */

/* For how long poll() is to wait; negative: the time is over. */
static int64_t left_ms(int64_t deadline_us)
{
    int64_t left_us = deadline_us - g_get_monotonic_time();

    return left_us > 0 ? MIN((left_us + 999) / 1000, INT_MAX) : -1;
}

/* DEADLINE_US 0: there is none. */
static bool read_until(int fd, void *buffer, size_t bytes, int64_t deadline_us,
                       GError **error)
{
    for (size_t got = 0; got < bytes; ) {
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        int64_t wait_ms = deadline_us ? left_ms(deadline_us) : -1;
        ssize_t n;

        if (io_interrupted(error)) {
            return false;
        }
        if (deadline_us && wait_ms < 0) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "the reader did not answer in time");
            return false;
        }
        if (poll(&pfd, 1, wait_ms) <= 0) {
            continue;
        }
        n = read(fd, (char *)buffer + got, bytes - got);
        if (n == 0) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "the reader has ended without an answer");
            return false;
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            backup_error_set_errno(error, errno, "cannot read the answer");
            return false;
        }
        got += MAX(n, 0);
    }
    return true;
}

/* What is no answer is told by its first byte that is wrong: none may follow. */
static bool read_magic(int fd, uint8_t *magic, int64_t deadline_us,
                       GError **error)
{
    for (size_t i = 0; i < strlen(WIRE_ANSWER_MAGIC); i++) {
        if (!read_until(fd, magic + i, 1, deadline_us, error)) {
            return false;
        }
        if (magic[i] != WIRE_ANSWER_MAGIC[i]) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "what the reader has sent back is no answer");
            return false;
        }
    }
    return true;
}

static bool set_damaged(GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "the reader's answer is damaged");
    return false;
}

bool wire_answer_receive(int fd, const uuid_t uuid, unsigned seconds,
                         char **failure, GError **error)
{
    int64_t deadline_us = seconds ? g_get_monotonic_time() +
                                    (int64_t)seconds * G_USEC_PER_SEC : 0;
    WireAnswer answer;
    char message[WIRE_MESSAGE_MAX_BYTES];
    uint32_t status, bytes, check, wanted;

    *failure = NULL;
    if (!read_magic(fd, answer.magic, deadline_us, error) ||
        !read_until(fd, (char *)&answer + sizeof(answer.magic),
                    sizeof(answer) - sizeof(answer.magic), deadline_us,
                    error)) {
        return false;
    }
    status = GUINT32_FROM_BE(answer.status);
    bytes = GUINT32_FROM_BE(answer.message_bytes);
    if (status > WIRE_ANSWER_FAILED || bytes > sizeof(message) ||
        answer.reserved) {
        return set_damaged(error);
    }
    if (!read_until(fd, message, bytes, deadline_us, error) ||
        !read_until(fd, &check, sizeof(check), deadline_us, error)) {
        return false;
    }
    wanted = wire_check(wire_check_seed(uuid), &answer, sizeof(answer));
    wanted = wire_check(wanted, message, bytes);
    if (GUINT32_FROM_BE(check) != wanted ||
        !backup_text_is_valid(message, bytes)) {
        return set_damaged(error);
    }
    if (status == WIRE_ANSWER_FAILED) {
        *failure = g_strndup(message, bytes);
    }
    return true;
}
