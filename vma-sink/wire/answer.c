/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The consumer's answer.
 */
#include "wire/answer.h"

#include <string.h>
#include <sys/stat.h>

#include "backup/error.h"
#include "backup/info.h"
#include "io/io.h"
#include "wire/check.h"

bool wire_answer_possible(int fd, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        backup_error_set_damaged(error, "the producer asks for an answer, but "
                                 "the stream does not come from a socket");
        return false;
    }
    return true;
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
