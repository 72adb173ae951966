/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of QEMU's monitor protocol (QMP) on a unix socket.  It knows the
 * protocol and no commands but qmp_capabilities.  For one thread.
 *
 * What json-lines.h says of waiting and of failures holds here as well; every
 * function that waits passes events on.
 */
#ifndef SOURCE_QMP_H
#define SOURCE_QMP_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "source/json-lines.h"

typedef struct Qmp Qmp;

/* DATA is NULL where the event has none.  Must not call this module. */
typedef void QmpEventFunc(const char *event, JsonObject *data, void *opaque);

/*
 * Connects, within SECONDS, to the monitor at PATH and negotiates; out of band
 * commands are enabled where the monitor offers them.
 */
Qmp *qmp_connect(const char *path, unsigned seconds, QmpEventFunc *on_event,
                 void *opaque, GError **error);
void qmp_free(Qmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

/* From now on events are passed to another function; NULL: dropped. */
void qmp_set_events(Qmp *qmp, QmpEventFunc *on_event, void *opaque);

/* The version that QEMU has greeted with, such as 702 for 7.2; 0: none. */
unsigned qmp_version(const Qmp *qmp);
/* The number after that, such as 22 for 7.2.22. */
unsigned qmp_version_micro(const Qmp *qmp);

/* From now on waiting fails once SECONDS have passed; 0: it lasts for ever. */
void qmp_set_deadline(Qmp *qmp, unsigned seconds);

/*
 * Sends a command and returns the id of its answer, or 0.  ARGUMENTS, which may
 * be NULL, is taken over.  FD is passed along with it unless it is -1.
 */
int64_t qmp_send(Qmp *qmp, const char *command, JsonObject *arguments, int fd,
                 GError **error);

/* The same, out of band where the monitor can; only for commands that may. */
int64_t qmp_send_oob(Qmp *qmp, const char *command, JsonObject *arguments,
                     GError **error);

/* Waits for an answer.  Answers to other commands are dropped. */
JsonObject *qmp_receive(Qmp *qmp, int64_t id, GError **error);

/* Sends, receives, and drops the answer. */
bool qmp_execute(Qmp *qmp, const char *command, JsonObject *arguments, int fd,
                 GError **error);

/* The same, but returns the answer, which may be of any kind. */
JsonNode *qmp_query(Qmp *qmp, const char *command, JsonObject *arguments,
                    GError **error);

/* Waits for one message of any kind, for MILLISECONDS at most. */
bool qmp_wait(Qmp *qmp, unsigned milliseconds, GError **error);

/* Takes what has come, and does not wait. */
bool qmp_poll(Qmp *qmp, GError **error);

/* Arguments that are strings: NAME, VALUE, ..., and NULL at the end. */
JsonObject *qmp_strings(const char *name, ...) G_GNUC_NULL_TERMINATED;

#endif /* SOURCE_QMP_H */
