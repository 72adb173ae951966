/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QMP client: messages are lines of JSON on a non-blocking socket, and
 * nothing waits but wait_ready().
 */
#include "source/qmp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/io.h"

#define MESSAGE_MAX_BYTES (16u << 20)
#define MESSAGE_MAX_DEPTH 1000
#define READ_BYTES 65536
#define NEVER INT64_MAX
#define CONNECT_RETRY_MS 100

G_DEFINE_QUARK(qmp-error-quark, qmp_error)

struct Qmp {
    /* Set by qmp_connect(), never changed after it. */
    char *path;
    int fd;
    bool oob;                   /* out of band commands are enabled */
    QmpEventFunc *on_event;
    void *opaque;

    int64_t deadline_us;        /* NEVER if there is none */
    int64_t last_id;
    GByteArray *input;          /* received, not yet taken */
    size_t scanned;             /* bytes of it without a line's end */
};

const char *qmp_get_string(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_value_type(node) == G_TYPE_STRING
           ? json_node_get_string(node) : NULL;
}

int64_t qmp_get_int(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_value_type(node) == G_TYPE_INT64
           ? json_node_get_int(node) : 0;
}

static JsonObject *get_object(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node)
                                                : NULL;
}

static void set_lost(Qmp *q, GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "lost the connection to monitor '%s'", q->path);
}

static void set_nonsense(Qmp *q, GError **error, const char *what)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "cannot understand monitor '%s': %s", q->path, what);
}

static int64_t after_us(int64_t milliseconds)
{
    return g_get_monotonic_time() + milliseconds * 1000;
}

/* *ready is false where UNTIL_US has passed. */
static bool wait_ready(Qmp *q, short events, int64_t until_us, bool *ready,
                       GError **error)
{
    struct pollfd pfd = { .fd = q->fd, .events = events };

    for (;;) {
        int64_t left_us = until_us - g_get_monotonic_time();
        int timeout_ms = until_us == NEVER ? -1 :
                         CLAMP((left_us + 999) / 1000, 0, INT_MAX);
        int n;

        if (io_interrupted(error)) {
            return false;
        }
        n = poll(&pfd, 1, timeout_ms);
        if (n < 0 && errno != EINTR) {
            backup_error_set_errno(error, errno, "cannot poll");
            return false;
        }
        if (n > 0 || (n == 0 && timeout_ms < INT_MAX)) {
            *ready = n > 0;
            return true;
        }
    }
}

static void set_deadline_passed(Qmp *q, GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "no answer from monitor '%s' in time", q->path);
}

/* Messages */

/* The parser is recursive, so what it is given must not be nested at will. */
static bool depth_is_sane(const char *text, size_t bytes)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < bytes; i++) {
        if (in_string) {
            i += text[i] == '\\';
            in_string = i >= bytes || text[i] != '"';
        } else if (text[i] == '"') {
            in_string = true;
        } else if (text[i] == '{' || text[i] == '[') {
            if (++depth > MESSAGE_MAX_DEPTH) {
                return false;
            }
        } else if ((text[i] == '}' || text[i] == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

static JsonObject *parse_message(Qmp *q, const char *text, size_t bytes,
                                 GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonNode *root;

    if (!depth_is_sane(text, bytes) ||
        !json_parser_load_from_data(parser, text, bytes, NULL)) {
        set_nonsense(q, error, "what it sends is not JSON");
        return NULL;
    }
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        set_nonsense(q, error, "a message is not an object");
        return NULL;
    }
    return json_node_dup_object(root);
}

/* The first line received, if there is a whole one; else *message is NULL. */
static bool take_message(Qmp *q, JsonObject **message, GError **error)
{
    size_t left = q->input->len - q->scanned;
    const char *start = (const char *)q->input->data;
    const char *end = left > 0 ? memchr(start + q->scanned, '\n', left) : NULL;

    *message = NULL;
    if (!end) {
        q->scanned = q->input->len;
        if (q->scanned > MESSAGE_MAX_BYTES) {
            set_nonsense(q, error, "a message is too long");
            return false;
        }
        return true;
    }
    *message = parse_message(q, start, end - start, error);
    g_byte_array_remove_range(q->input, 0, end - start + 1);
    q->scanned = 0;
    return *message != NULL;
}

static bool receive_bytes(Qmp *q, GError **error)
{
    size_t used = q->input->len;
    ssize_t n;

    g_byte_array_set_size(q->input, used + READ_BYTES);
    n = recv(q->fd, q->input->data + used, READ_BYTES, 0);
    g_byte_array_set_size(q->input, used + MAX(n, 0));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        set_lost(q, error);
        return false;
    }
    return true;
}

/* *message is NULL where UNTIL_US has passed. */
static bool next_message(Qmp *q, int64_t until_us, JsonObject **message,
                         GError **error)
{
    bool ready;

    for (;;) {
        if (!take_message(q, message, error)) {
            return false;
        }
        if (*message) {
            return true;
        }
        if (!wait_ready(q, POLLIN, until_us, &ready, error)) {
            return false;
        }
        if (!ready) {
            return true;
        }
        if (!receive_bytes(q, error)) {
            return false;
        }
    }
}

static void dispatch_event(Qmp *q, JsonObject *message)
{
    const char *event = qmp_get_string(message, "event");

    if (event && q->on_event) {
        q->on_event(event, get_object(message, "data"), q->opaque);
    }
}

bool qmp_wait(Qmp *q, unsigned milliseconds, GError **error)
{
    g_autoptr(JsonObject) message = NULL;

    if (!next_message(q, after_us(milliseconds), &message, error)) {
        return false;
    }
    if (message) {
        dispatch_event(q, message);
    }
    return true;
}

/* Commands */

static bool send_bytes(Qmp *q, const char *data, size_t bytes, int fd,
                       GError **error)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { .iov_base = (char *)data, .iov_len = bytes };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    bool ready;

    if (fd >= 0) {
        control.header.cmsg_len = CMSG_LEN(sizeof(fd));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        msg.msg_control = &control;
        msg.msg_controllen = sizeof(control);
    }
    while (iov.iov_len > 0) {
        ssize_t n = sendmsg(q->fd, &msg, MSG_NOSIGNAL);

        if (n > 0) {
            iov.iov_base = (char *)iov.iov_base + n;
            iov.iov_len -= n;
            msg.msg_control = NULL;
            msg.msg_controllen = 0;
        } else if (errno != EAGAIN && errno != EINTR) {
            /*
             * The other side has closed.  That is found by who receives, after
             * what came before it.
             */
            return true;
        } else if (!wait_ready(q, POLLOUT, q->deadline_us, &ready, error)) {
            return false;
        } else if (!ready) {
            set_deadline_passed(q, error);
            return false;
        }
    }
    return true;
}

static int64_t send_command(Qmp *q, const char *verb, const char *command,
                            JsonObject *arguments, int fd, GError **error)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *message = json_object_new();
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;

    json_object_set_string_member(message, verb, command);
    if (arguments) {
        json_object_set_object_member(message, "arguments", arguments);
    }
    json_object_set_int_member(message, "id", ++q->last_id);
    json_node_take_object(node, message);
    text = json_to_string(node, FALSE);
    line = g_strconcat(text, "\n", NULL);
    return send_bytes(q, line, strlen(line), fd, error) ? q->last_id : 0;
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

static void set_qmp_error(GError **error, JsonObject *answer)
{
    const char *class = qmp_get_string(answer, "class");
    const char *text = qmp_get_string(answer, "desc");

    g_set_error(error, QMP_ERROR,
                g_strcmp0(class, "CommandNotFound") == 0
                ? QMP_ERROR_COMMAND_NOT_FOUND : QMP_ERROR_GENERIC,
                "%s", text ? text : "unknown error");
}

/* An error without an id: the monitor could not even read the command. */
static bool is_answer(JsonObject *message, int64_t id)
{
    return json_object_has_member(message, "id")
           ? qmp_get_int(message, "id") == id
           : json_object_has_member(message, "error");
}

JsonObject *qmp_receive(Qmp *q, int64_t id, GError **error)
{
    for (;;) {
        g_autoptr(JsonObject) message = NULL;
        JsonObject *answer;

        if (!next_message(q, q->deadline_us, &message, error)) {
            return NULL;
        }
        if (!message) {
            set_deadline_passed(q, error);
            return NULL;
        }
        if (!is_answer(message, id)) {
            dispatch_event(q, message);
            continue;
        }
        answer = get_object(message, "error");
        if (answer) {
            set_qmp_error(error, answer);
            return NULL;
        }
        answer = get_object(message, "return");
        if (!answer) {
            set_nonsense(q, error, "an answer has no result");
            return NULL;
        }
        return json_object_ref(answer);
    }
}

bool qmp_execute(Qmp *q, const char *command, JsonObject *arguments, int fd,
                 GError **error)
{
    int64_t id = qmp_send(q, command, arguments, fd, error);
    g_autoptr(JsonObject) answer = id ? qmp_receive(q, id, error) : NULL;

    return answer != NULL;
}

/* The connection */

void qmp_set_deadline(Qmp *q, unsigned seconds)
{
    q->deadline_us = seconds ? after_us((int64_t)seconds * 1000) : NEVER;
}

/*
 * A monitor takes one client; further ones wait in the queue of its socket, and
 * where that is full, here.
 */
static bool connect_socket(Qmp *q, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t bytes = strlen(q->path);

    if (bytes >= sizeof(address.sun_path)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot connect to monitor '%s': the path is longer than "
                    "%zu bytes", q->path, sizeof(address.sun_path) - 1);
        return false;
    }
    memcpy(address.sun_path, q->path, bytes);
    while (connect(q->fd, (void *)&address, sizeof(address)) < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            backup_error_set_errno(error, errno,
                                   "cannot connect to monitor '%s'", q->path);
            return false;
        }
        if (io_interrupted(error)) {
            return false;
        }
        if (g_get_monotonic_time() >= q->deadline_us) {
            set_deadline_passed(q, error);
            return false;
        }
        g_usleep(CONNECT_RETRY_MS * 1000);
    }
    return true;
}

static bool receive_greeting(Qmp *q, unsigned seconds, GError **error)
{
    g_autoptr(JsonObject) message = NULL;
    JsonObject *greeting;
    JsonNode *capabilities;
    JsonArray *array;

    if (!next_message(q, q->deadline_us, &message, error)) {
        return false;
    }
    if (!message) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "monitor '%s' has not greeted within %u s: it is in use by "
                    "another client, or not a QMP monitor", q->path, seconds);
        return false;
    }
    greeting = get_object(message, "QMP");
    if (!greeting) {
        set_nonsense(q, error, "it does not greet as QMP does");
        return false;
    }
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

    q->path = g_strdup(path);
    q->on_event = on_event;
    q->opaque = opaque;
    q->input = g_byte_array_new();
    qmp_set_deadline(q, seconds);
    q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (q->fd < 0) {
        backup_error_set_errno(error, errno, "cannot create a socket");
        return NULL;
    }
    if (!connect_socket(q, error) || !receive_greeting(q, seconds, error) ||
        !negotiate(q, error)) {
        return NULL;
    }
    qmp_set_deadline(q, 0);
    return g_steal_pointer(&q);
}

void qmp_free(Qmp *q)
{
    if (!q) {
        return;
    }
    if (q->fd >= 0) {
        close(q->fd);
    }
    g_byte_array_unref(q->input);
    g_free(q->path);
    g_free(q);
}
