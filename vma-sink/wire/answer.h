/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The consumer's answer: wire-format.md, section 6.
 */
#ifndef WIRE_ANSWER_H
#define WIRE_ANSWER_H

#include <glib.h>
#include <stdbool.h>
#include <uuid/uuid.h>

#include "wire/format.h"

/* Whether an answer can come or go over FD itself, which is a socket then. */
bool wire_answer_possible(int fd, GError **error);

/*
 * [A3]: where the answer to a stream that is read from FD goes: to FD, or, where
 * that is no socket, to OUTPUT, if it is a pipe: so it is below sshd, which takes
 * what comes there back.  OUTPUT -1: there is none.  -1: nowhere, *error is set.
 */
int wire_answer_fd(int fd, int output, GError **error);

/*
 * Sends STATUS (WIRE_ANSWER_...) and a message, which is cut to what fits.
 * Blocks for as long as the producer does not read it, which is never long: an
 * answer is small.
 */
bool wire_answer_send(int fd, const uuid_t uuid, uint32_t status,
                      const char *message, GError **error);

/*
 * [A4]: waits for the answer, for SECONDS at most, 0 for any time; reads it,
 * and not a byte more.  True: it is valid; *failure is NULL if the backup is
 * committed, else the consumer's message, which may be empty; to be freed.
 * False with kind FAILED: no or a damaged answer [A5], or a signal (io/io.h);
 * what does not begin as an answer does is not waited for.
 */
bool wire_answer_receive(int fd, const uuid_t uuid, unsigned seconds,
                         char **failure, GError **error);

#endif /* WIRE_ANSWER_H */
