/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest agent's commands.  Answers carry no id, so what is left over in the
 * channel, of us or of an earlier client, has to be skipped: see send_sync().
 */
#include "source/agent.h"

#include "backup/error.h"
#include "io/io.h"
#include "source/json-lines.h"

#define NOBODY " (is there a virtio-serial port with this socket?)"

struct Agent {
    char *path;
    JsonLines *lines;

    bool frozen;                /* may be */
    int64_t frozen_since_us;
    int64_t thawed_us;
};

static bool open_channel(Agent *a, unsigned seconds, GError **error)
{
    g_clear_pointer(&a->lines, json_lines_free);
    a->lines = json_lines_connect("guest agent", a->path, seconds, NOBODY,
                                  error);
    return a->lines != NULL;
}

static bool send_command(Agent *a, const char *command,
                         JsonObject *arguments, GError **error)
{
    JsonObject *message = json_lines_command("execute", command, arguments);

    return json_lines_send(a->lines, message, -1, error);
}

/* The result in the next message. */
static JsonNode *receive(Agent *a, GError **error)
{
    g_autoptr(JsonObject) answer = json_lines_receive(a->lines, error);
    JsonNode *result =
        answer ? json_lines_get_result(a->lines, answer, error) : NULL;

    return result ? json_node_copy(result) : NULL;
}

/*
 * The byte makes the agent drop half a command of an earlier client; its answer
 * starts with the same byte, and has the number that was asked for.
 */
static bool send_sync(Agent *a, int64_t *number, GError **error)
{
    JsonObject *arguments = json_object_new();

    *number = g_random_int_range(1, G_MAXINT32);
    json_object_set_int_member(arguments, "id", *number);
    if (!json_lines_send_sentinel(a->lines, error)) {
        json_object_unref(arguments);
        return false;
    }
    return send_command(a, "guest-sync-delimited", arguments, error);
}

/* Drops everything up to the answer with this number. */
static bool await_sync(Agent *a, int64_t number, GError **error)
{
    for (;;) {
        g_autoptr(JsonNode) result = NULL;
        g_autoptr(GError) local = NULL;

        if (!json_lines_await_sentinel(a->lines, error)) {
            return false;
        }
        result = receive(a, &local);
        if (!result && local->domain != JSON_LINES_ERROR) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
        if (result && json_node_get_value_type(result) == G_TYPE_INT64 &&
            json_node_get_int(result) == number) {
            return true;
        }
    }
}

static bool synchronize(Agent *a, GError **error)
{
    int64_t number;

    return send_sync(a, &number, error) && await_sync(a, number, error);
}

static bool verify_not_frozen(Agent *a, GError **error)
{
    g_autoptr(JsonNode) result = NULL;

    if (!send_command(a, "guest-fsfreeze-status", NULL, error)) {
        return false;
    }
    result = receive(a, error);
    if (!result) {
        if (!io_interrupted(NULL)) {
            g_prefix_error(error, "guest agent '%s' cannot freeze file "
                           "systems: ", a->path);
        }
        return false;
    }
    if (json_node_get_value_type(result) == G_TYPE_STRING &&
        g_strcmp0(json_node_get_string(result), "thawed") != 0) {
        g_autofree char *command = agent_thaw_command(a);

        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the guest's file systems are frozen already, by somebody "
                    "else; to thaw them: %s", command);
        return false;
    }
    return true;
}

Agent *agent_connect(const char *path, unsigned seconds, GError **error)
{
    g_autoptr(Agent) a = g_new0(Agent, 1);

    a->path = g_strdup(path);
    if (!open_channel(a, seconds, error)) {
        return NULL;
    }
    if (!synchronize(a, error)) {
        if (io_interrupted(NULL)) {
            return NULL;
        }
        g_prefix_error(error, "the guest agent does not answer; it has to run "
                       "in the guest, and nobody else may be connected to its "
                       "socket: ");
        return NULL;
    }
    return verify_not_frozen(a, error) ? g_steal_pointer(&a) : NULL;
}

void agent_free(Agent *a)
{
    if (a) {
        g_clear_pointer(&a->lines, json_lines_free);
        g_free(a->path);
        g_free(a);
    }
}

bool agent_freeze(Agent *a, unsigned seconds, int64_t *count, GError **error)
{
    g_autoptr(JsonNode) result = NULL;

    a->frozen = true;
    a->frozen_since_us = g_get_monotonic_time();
    json_lines_set_deadline(a->lines, seconds);
    if (!send_command(a, "guest-fsfreeze-freeze", NULL, error)) {
        return false;
    }
    result = receive(a, error);
    if (!result) {
        return false;
    }
    *count = json_node_get_value_type(result) == G_TYPE_INT64
             ? json_node_get_int(result) : 0;
    return true;
}

/*
 * The command goes out together with the sync, so that an agent that is too
 * slow for us still gets it.  It does no harm where nothing is frozen.
 */
bool agent_thaw(Agent *a, unsigned seconds, GError **error)
{
    g_autoptr(JsonNode) result = NULL;
    int64_t number;

    if (!a->lines || json_lines_is_lost(a->lines)) {
        if (!open_channel(a, seconds, error)) {
            return false;
        }
    }
    json_lines_set_deadline(a->lines, seconds);
    if (!send_sync(a, &number, error) ||
        !send_command(a, "guest-fsfreeze-thaw", NULL, error) ||
        !await_sync(a, number, error)) {
        return false;
    }
    result = receive(a, error);
    if (result) {
        a->thawed_us = g_get_monotonic_time();
        a->frozen = false;
    }
    return result != NULL;
}

bool agent_is_frozen(const Agent *a)
{
    return a->frozen;
}

int64_t agent_frozen_us(const Agent *a)
{
    return (a->frozen ? g_get_monotonic_time() : a->thawed_us) -
           a->frozen_since_us;
}

char *agent_thaw_command(const Agent *a)
{
    g_autofree char *address = g_strconcat("UNIX-CONNECT:", a->path, NULL);
    g_autofree char *quoted = g_shell_quote(address);

    /* QEMU would drop the answer to a client that has closed its half. */
    return g_strdup_printf("(echo '{\"execute\":\"guest-fsfreeze-thaw\"}'; "
                           "sleep 5) | socat - %s", quoted);
}
