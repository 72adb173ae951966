/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A conversation in lines of JSON over a unix socket, which is how QEMU's
 * monitor and its guest agent are talked to.  It knows what a message and an
 * answer look like, and no commands.  For one thread.
 *
 * Every function that waits also ends on a signal (io/io.h) and at the
 * deadline.  Failures of the connection are of the domain BACKUP_ERROR.  It can
 * be used again after an interruption and a deadline; once it is lost
 * everything else fails, too.
 */
#ifndef SOURCE_JSON_LINES_H
#define SOURCE_JSON_LINES_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The command was answered with an error; the message is its description. */
#define JSON_LINES_ERROR (json_lines_error_quark())

typedef enum JsonLinesError {
    JSON_LINES_ERROR_GENERIC,
    JSON_LINES_ERROR_COMMAND_NOT_FOUND,
} JsonLinesError;

GQuark json_lines_error_quark(void);

typedef struct JsonLines JsonLines;

/*
 * Connects, within SECONDS, to the socket at PATH.  Messages call the other
 * side "KIND 'PATH'", and end in HINT if nobody can be reached there.
 */
JsonLines *json_lines_connect(const char *kind, const char *path,
                              unsigned seconds, const char *hint,
                              GError **error);
void json_lines_free(JsonLines *lines);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonLines, json_lines_free)

/* The other side has closed, or sent what can't be understood. */
bool json_lines_is_lost(const JsonLines *lines);

/* From now on waiting fails once SECONDS have passed; 0: it lasts for ever. */
void json_lines_set_deadline(JsonLines *lines, unsigned seconds);

/* A message that is a command; ARGUMENTS, which may be NULL, is taken over. */
JsonObject *json_lines_command(const char *verb, const char *command,
                               JsonObject *arguments);

/* Sends MESSAGE, which is taken over, and FD along with it unless it is -1. */
bool json_lines_send(JsonLines *lines, JsonObject *message, int fd,
                     GError **error);

/* The byte 0xFF, which is in no JSON: to send, and to drop what is before. */
bool json_lines_send_sentinel(JsonLines *lines, GError **error);
bool json_lines_await_sentinel(JsonLines *lines, GError **error);

/* The next message, of any kind. */
JsonObject *json_lines_receive(JsonLines *lines, GError **error);

/* The same, but *message is NULL if none comes within MILLISECONDS. */
bool json_lines_poll(JsonLines *lines, unsigned milliseconds,
                     JsonObject **message, GError **error);

/*
 * The result in an answer, owned by it.  NULL with the domain JSON_LINES_ERROR
 * if it is an error, or with BACKUP_ERROR if it is no answer.
 */
JsonNode *json_lines_get_result(JsonLines *lines, JsonObject *answer,
                                GError **error);

/* Sets *error, and gives the connection up as lost. */
void json_lines_set_nonsense(JsonLines *lines, GError **error,
                             const char *what);

/* Members; NULL or 0 where they are absent or of another type. */
const char *json_lines_get_string(JsonObject *object, const char *name);
int64_t json_lines_get_int(JsonObject *object, const char *name);
JsonObject *json_lines_get_object(JsonObject *object, const char *name);

#endif /* SOURCE_JSON_LINES_H */
