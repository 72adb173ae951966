/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QMP client: ids, events and the handshake.
 */
#include "source/qmp.h"

#include <string.h>

#include "backup/error.h"

#define NOBODY \
    " (is QEMU running, with -qmp unix:SOCKET,server=on,wait=off?)"

struct Qmp {
    /* Set by qmp_connect(), never changed after it. */
    JsonLines *lines;
    bool oob;                   /* out of band commands are enabled */
    unsigned version;
    unsigned version_micro;

    QmpEventFunc *on_event;
    void *opaque;

    int64_t last_id;
};

static void dispatch_event(Qmp *q, JsonObject *message)
{
    const char *event = json_lines_get_string(message, "event");

    if (event && q->on_event) {
        q->on_event(event, json_lines_get_object(message, "data"), q->opaque);
    }
}

bool qmp_wait(Qmp *q, unsigned milliseconds, GError **error)
{
    g_autoptr(JsonObject) message = NULL;

    if (!json_lines_poll(q->lines, milliseconds, &message, error)) {
        return false;
    }
    if (message) {
        dispatch_event(q, message);
    }
    return true;
}

bool qmp_poll(Qmp *q, GError **error)
{
    for (;;) {
        g_autoptr(JsonObject) message = NULL;

        if (!json_lines_poll(q->lines, 0, &message, error)) {
            return false;
        }
        if (!message) {
            return true;
        }
        dispatch_event(q, message);
    }
}

/* Commands */

JsonObject *qmp_strings(const char *name, ...)
{
    JsonObject *object = json_object_new();
    va_list list;

    va_start(list, name);
    for (; name; name = va_arg(list, const char *)) {
        json_object_set_string_member(object, name, va_arg(list, const char *));
    }
    va_end(list);
    return object;
}

static int64_t send_command(Qmp *q, const char *verb, const char *command,
                            JsonObject *arguments, int fd, GError **error)
{
    JsonObject *message = json_lines_command(verb, command, arguments);

    json_object_set_int_member(message, "id", ++q->last_id);
    return json_lines_send(q->lines, message, fd, error) ? q->last_id : 0;
}

int64_t qmp_send(Qmp *q, const char *command, JsonObject *arguments, int fd,
                 GError **error)
{
    return send_command(q, "execute", command, arguments, fd, error);
}

int64_t qmp_send_oob(Qmp *q, const char *command, JsonObject *arguments,
                     GError **error)
{
    return send_command(q, q->oob ? "exec-oob" : "execute", command, arguments,
                        -1, error);
}

/* An error without an id: the monitor could not even read the command. */
static bool is_answer(JsonObject *message, int64_t id)
{
    return json_object_has_member(message, "id")
           ? json_lines_get_int(message, "id") == id
           : json_object_has_member(message, "error");
}

static JsonNode *receive_node(Qmp *q, int64_t id, GError **error)
{
    for (;;) {
        g_autoptr(JsonObject) message = json_lines_receive(q->lines, error);

        if (!message) {
            return NULL;
        }
        if (is_answer(message, id)) {
            JsonNode *result = json_lines_get_result(q->lines, message, error);

            return result ? json_node_copy(result) : NULL;
        }
        dispatch_event(q, message);
    }
}

JsonObject *qmp_receive(Qmp *q, int64_t id, GError **error)
{
    g_autoptr(JsonNode) result = receive_node(q, id, error);

    if (result && !JSON_NODE_HOLDS_OBJECT(result)) {
        json_lines_set_nonsense(q->lines, error, "an answer has no result");
        return NULL;
    }
    return result ? json_node_dup_object(result) : NULL;
}

bool qmp_execute(Qmp *q, const char *command, JsonObject *arguments, int fd,
                 GError **error)
{
    int64_t id = qmp_send(q, command, arguments, fd, error);
    g_autoptr(JsonObject) answer = id ? qmp_receive(q, id, error) : NULL;

    return answer != NULL;
}

JsonNode *qmp_query(Qmp *q, const char *command, JsonObject *arguments,
                    GError **error)
{
    int64_t id = qmp_send(q, command, arguments, -1, error);

    return id ? receive_node(q, id, error) : NULL;
}

/* The connection */

void qmp_set_events(Qmp *q, QmpEventFunc *on_event, void *opaque)
{
    q->on_event = on_event;
    q->opaque = opaque;
}

unsigned qmp_version(const Qmp *q)
{
    return q->version;
}

unsigned qmp_version_micro(const Qmp *q)
{
    return q->version_micro;
}

void qmp_set_deadline(Qmp *q, unsigned seconds)
{
    json_lines_set_deadline(q->lines, seconds);
}

static void note_version(Qmp *q, JsonObject *greeting)
{
    JsonObject *version = json_lines_get_object(greeting, "version");
    JsonObject *qemu = version ? json_lines_get_object(version, "qemu") : NULL;

    if (qemu) {
        q->version = CLAMP(json_lines_get_int(qemu, "major"), 0, 9999) * 100 +
                     CLAMP(json_lines_get_int(qemu, "minor"), 0, 99);
        q->version_micro = CLAMP(json_lines_get_int(qemu, "micro"), 0, 9999);
    }
}

/*
 * What QEMU still has to say to the client before us, if that one was killed,
 * may come before the greeting.
 */
static bool is_for_another(JsonObject *message)
{
    return json_object_has_member(message, "return") ||
           json_object_has_member(message, "error") ||
           json_object_has_member(message, "event");
}

/* Returns: the first message that is for us, NULL on error */
static JsonObject *receive_first(Qmp *q, const char *path, unsigned seconds,
                                 GError **error)
{
    int64_t end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;

    while (true) {
        int64_t left = MAX(end - g_get_monotonic_time(), 0);
        g_autoptr(JsonObject) message = NULL;

        if (!json_lines_poll(q->lines, left / 1000, &message, error)) {
            return NULL;
        }
        if (!message) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "monitor '%s' has not greeted within %u s: it is in "
                        "use by another client (start QEMU with one more "
                        "-qmp), or is not a QMP monitor", path, seconds);
            return NULL;
        }
        if (left == 0 || !is_for_another(message)) {
            return g_steal_pointer(&message);
        }
    }
}

static bool receive_greeting(Qmp *q, const char *path, unsigned seconds,
                             GError **error)
{
    g_autoptr(JsonObject) message = receive_first(q, path, seconds, error);
    JsonObject *greeting;
    JsonNode *capabilities;
    JsonArray *array;

    if (!message) {
        return false;
    }
    greeting = json_lines_get_object(message, "QMP");
    if (!greeting) {
        json_lines_set_nonsense(q->lines, error,
                                "it does not greet as QMP does");
        return false;
    }
    note_version(q, greeting);
    capabilities = json_object_get_member(greeting, "capabilities");
    if (capabilities && JSON_NODE_HOLDS_ARRAY(capabilities)) {
        array = json_node_get_array(capabilities);
        for (guint i = 0; i < json_array_get_length(array); i++) {
            JsonNode *node = json_array_get_element(array, i);

            q->oob |= json_node_get_value_type(node) == G_TYPE_STRING &&
                      strcmp(json_node_get_string(node), "oob") == 0;
        }
    }
    return true;
}

static bool negotiate(Qmp *q, GError **error)
{
    JsonObject *arguments = json_object_new();
    JsonArray *enable = json_array_new();

    if (q->oob) {
        json_array_add_string_element(enable, "oob");
    }
    json_object_set_array_member(arguments, "enable", enable);
    if (!qmp_execute(q, "qmp_capabilities", arguments, -1, error)) {
        g_prefix_error(error, "cannot negotiate: ");
        return false;
    }
    return true;
}

Qmp *qmp_connect(const char *path, unsigned seconds, QmpEventFunc *on_event,
                 void *opaque, GError **error)
{
    g_autoptr(Qmp) q = g_new0(Qmp, 1);

    qmp_set_events(q, on_event, opaque);
    q->lines = json_lines_connect("monitor", path, seconds, NOBODY, error);
    if (!q->lines || !receive_greeting(q, path, seconds, error) ||
        !negotiate(q, error)) {
        return NULL;
    }
    qmp_set_deadline(q, 0);
    return g_steal_pointer(&q);
}

void qmp_free(Qmp *q)
{
    if (q) {
        g_clear_pointer(&q->lines, json_lines_free);
        g_free(q);
    }
}
