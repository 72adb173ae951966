/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages are lines of JSON on a non-blocking socket, and nothing waits but
 * wait_ready() and connect_socket().
 */
#include "source/json-lines.h"

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
#define SENTINEL 0xff

G_DEFINE_QUARK(json-lines-error-quark, json_lines_error)

struct JsonLines {
    /* Set by json_lines_connect(), never changed after it. */
    char *peer;
    int fd;

    bool lost;
    int64_t deadline_us;        /* NEVER if there is none */
    GByteArray *input;          /* received, not yet taken */
    size_t scanned;             /* bytes of it without a line's end */
};

const char *json_lines_get_string(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_value_type(node) == G_TYPE_STRING
           ? json_node_get_string(node) : NULL;
}

int64_t json_lines_get_int(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_value_type(node) == G_TYPE_INT64
           ? json_node_get_int(node) : 0;
}

JsonObject *json_lines_get_object(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node)
                                                : NULL;
}

bool json_lines_is_lost(const JsonLines *l)
{
    return l->lost;
}

static void set_lost(JsonLines *l, GError **error)
{
    l->lost = true;
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "lost the connection to %s", l->peer);
}

void json_lines_set_nonsense(JsonLines *l, GError **error, const char *what)
{
    l->lost = true;
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "cannot understand %s: %s", l->peer, what);
}

static int64_t after_us(int64_t milliseconds)
{
    return g_get_monotonic_time() + milliseconds * 1000;
}

/* *ready is false where UNTIL_US has passed. */
static bool wait_ready(JsonLines *l, short events, int64_t until_us,
                       bool *ready, GError **error)
{
    struct pollfd pfd = { .fd = l->fd, .events = events };

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

static void set_deadline_passed(JsonLines *l, GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "no answer from %s in time", l->peer);
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

static JsonObject *parse_message(JsonLines *l, const char *text, size_t bytes,
                                 GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();
    JsonNode *root;

    if (!depth_is_sane(text, bytes) ||
        !json_parser_load_from_data(parser, text, bytes, NULL)) {
        json_lines_set_nonsense(l, error, "what it sends is not JSON");
        return NULL;
    }
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
        json_lines_set_nonsense(l, error, "a message is not an object");
        return NULL;
    }
    return json_node_dup_object(root);
}

/* The first line received, if there is a whole one; else *message is NULL. */
static bool take_message(JsonLines *l, JsonObject **message, GError **error)
{
    size_t left = l->input->len - l->scanned;
    const char *start = (const char *)l->input->data;
    const char *end = left > 0 ? memchr(start + l->scanned, '\n', left) : NULL;
    const char *sentinel;
    size_t line_bytes;

    *message = NULL;
    if (!end) {
        l->scanned = l->input->len;
        if (l->scanned > MESSAGE_MAX_BYTES) {
            json_lines_set_nonsense(l, error, "a message is too long");
            return false;
        }
        return true;
    }
    line_bytes = end - start + 1;
    /* What is before a sentinel is the rest of something else. */
    sentinel = memrchr(start, SENTINEL, end - start);
    start = sentinel ? sentinel + 1 : start;
    *message = parse_message(l, start, end - start, error);
    g_byte_array_remove_range(l->input, 0, line_bytes);
    l->scanned = 0;
    return *message != NULL;
}

static bool receive_bytes(JsonLines *l, GError **error)
{
    size_t used = l->input->len;
    ssize_t n;

    g_byte_array_set_size(l->input, used + READ_BYTES);
    n = recv(l->fd, l->input->data + used, READ_BYTES, 0);
    g_byte_array_set_size(l->input, used + MAX(n, 0));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        set_lost(l, error);
        return false;
    }
    return true;
}

/* *message is NULL where UNTIL_US has passed. */
static bool next_message(JsonLines *l, int64_t until_us, JsonObject **message,
                         GError **error)
{
    bool ready;

    for (;;) {
        if (!take_message(l, message, error)) {
            return false;
        }
        if (*message) {
            return true;
        }
        if (!wait_ready(l, POLLIN, until_us, &ready, error)) {
            return false;
        }
        if (!ready) {
            return true;
        }
        if (!receive_bytes(l, error)) {
            return false;
        }
    }
}

bool json_lines_poll(JsonLines *l, unsigned milliseconds,
                     JsonObject **message, GError **error)
{
    return next_message(l, after_us(milliseconds), message, error);
}

JsonObject *json_lines_receive(JsonLines *l, GError **error)
{
    JsonObject *message;

    if (next_message(l, l->deadline_us, &message, error) && !message) {
        set_deadline_passed(l, error);
    }
    return message;
}

bool json_lines_await_sentinel(JsonLines *l, GError **error)
{
    GByteArray *input = l->input;
    bool ready;

    for (;;) {
        const guint8 *found =
            input->len > 0 ? memchr(input->data, SENTINEL, input->len) : NULL;

        l->scanned = 0;
        if (found) {
            g_byte_array_remove_range(input, 0, found - input->data + 1);
            return true;
        }
        g_byte_array_set_size(input, 0);
        if (!wait_ready(l, POLLIN, l->deadline_us, &ready, error)) {
            return false;
        }
        /* Who never stops sending something else must not hold us up. */
        if (!ready || g_get_monotonic_time() >= l->deadline_us) {
            set_deadline_passed(l, error);
            return false;
        }
        if (!receive_bytes(l, error)) {
            return false;
        }
    }
}

static void set_remote_error(GError **error, JsonObject *answer)
{
    const char *class = json_lines_get_string(answer, "class");
    const char *text = json_lines_get_string(answer, "desc");

    g_set_error(error, JSON_LINES_ERROR,
                g_strcmp0(class, "CommandNotFound") == 0
                ? JSON_LINES_ERROR_COMMAND_NOT_FOUND : JSON_LINES_ERROR_GENERIC,
                "%s", text ? text : "unknown error");
}

JsonNode *json_lines_get_result(JsonLines *l, JsonObject *answer,
                                GError **error)
{
    JsonObject *failure = json_lines_get_object(answer, "error");
    JsonNode *result = json_object_get_member(answer, "return");

    if (failure) {
        set_remote_error(error, failure);
        return NULL;
    }
    if (!result) {
        json_lines_set_nonsense(l, error, "an answer has no result");
    }
    return result;
}

/* Sending */

static bool send_bytes(JsonLines *l, const char *data, size_t bytes, int fd,
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
        ssize_t n = sendmsg(l->fd, &msg, MSG_NOSIGNAL);

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
        } else if (!wait_ready(l, POLLOUT, l->deadline_us, &ready, error)) {
            return false;
        } else if (!ready) {
            set_deadline_passed(l, error);
            return false;
        }
    }
    return true;
}

bool json_lines_send_sentinel(JsonLines *l, GError **error)
{
    const char sentinel = (char)SENTINEL;

    return send_bytes(l, &sentinel, 1, -1, error);
}

JsonObject *json_lines_command(const char *verb, const char *command,
                               JsonObject *arguments)
{
    JsonObject *message = json_object_new();

    json_object_set_string_member(message, verb, command);
    if (arguments) {
        json_object_set_object_member(message, "arguments", arguments);
    }
    return message;
}

bool json_lines_send(JsonLines *l, JsonObject *message, int fd, GError **error)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *text = NULL;
    g_autofree char *line = NULL;

    json_node_take_object(node, message);
    text = json_to_string(node, FALSE);
    line = g_strconcat(text, "\n", NULL);
    return send_bytes(l, line, strlen(line), fd, error);
}

/* The connection */

void json_lines_set_deadline(JsonLines *l, unsigned seconds)
{
    l->deadline_us = seconds ? after_us((int64_t)seconds * 1000) : NEVER;
}

/* What to do about it, where that is known. */
static void set_connect_error(JsonLines *l, GError **error, int errnum,
                              const char *hint)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "cannot connect to %s: %s%s", l->peer, g_strerror(errnum),
                errnum == ENOENT || errnum == ECONNREFUSED ? hint :
                errnum == EACCES ? " (run this as root or as the user that "
                                   "QEMU runs as)" : "");
}

/*
 * Where the other side takes one client at a time, further ones wait in the
 * queue of its socket, and where that is full, here.
 */
static bool connect_socket(JsonLines *l, const char *path, const char *hint,
                           GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t bytes = strlen(path);

    if (bytes >= sizeof(address.sun_path)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot connect to %s: the path is longer than %zu bytes",
                    l->peer, sizeof(address.sun_path) - 1);
        return false;
    }
    memcpy(address.sun_path, path, bytes);
    while (connect(l->fd, (void *)&address, sizeof(address)) < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            set_connect_error(l, error, errno, hint);
            return false;
        }
        if (io_interrupted(error)) {
            return false;
        }
        if (g_get_monotonic_time() >= l->deadline_us) {
            set_deadline_passed(l, error);
            return false;
        }
        g_usleep(CONNECT_RETRY_MS * 1000);
    }
    return true;
}

JsonLines *json_lines_connect(const char *kind, const char *path,
                              unsigned seconds, const char *hint,
                              GError **error)
{
    g_autoptr(JsonLines) l = g_new0(JsonLines, 1);

    l->peer = g_strdup_printf("%s '%s'", kind, path);
    l->input = g_byte_array_new();
    json_lines_set_deadline(l, seconds);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0) {
        backup_error_set_errno(error, errno, "cannot create a socket");
        return NULL;
    }
    return connect_socket(l, path, hint, error) ? g_steal_pointer(&l) : NULL;
}

void json_lines_free(JsonLines *l)
{
    if (!l) {
        return;
    }
    if (l->fd >= 0) {
        close(l->fd);
    }
    g_byte_array_unref(l->input);
    g_free(l->peer);
    g_free(l);
}
