/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives a backup inside QEMU.  Its result is asked for, not inferred: by
 * query-backup as long as that speaks of this backup, else, when another one
 * has been started meanwhile, by the event that told of this one's end.
 */
#include "source/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/io.h"
#include "source/qmp.h"

#define CONNECT_SECONDS 10
/* After an interruption; a stalled reader holds up nothing of this. */
#define CLEANUP_SECONDS 30
#define POLL_MS 200
/* QEMU takes a list in one string. */
#define DEVICE_SEPARATORS ",;:"

typedef struct Backup {
    /* Set before the backup is started, never changed. */
    const QemuOptions *options;
    Progress *progress;
    Qmp *qmp;
    char *fd_name;

    char *uuid;                 /* NULL: not started */
    bool interrupted;           /* by a signal, which has been dealt with */
    bool changed;               /* an event came: ask again now */
    char *end_state;            /* by event; NULL: it has not ended */
    char *end_message;          /* NULL: none */
} Backup;

static void backup_clear(Backup *b)
{
    g_clear_pointer(&b->qmp, qmp_free);
    g_free(b->fd_name);
    g_free(b->uuid);
    g_free(b->end_state);
    g_free(b->end_message);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Backup, backup_clear)

static bool state_is_final(const char *state)
{
    return strcmp(state, "done") == 0 || strcmp(state, "cancelled") == 0 ||
           strcmp(state, "error") == 0;
}

static void set_end(Backup *b, const char *state, const char *message)
{
    if (!b->end_state) {
        b->end_state = g_strdup(state);
        b->end_message = g_strdup(message);
    }
}

static void on_event(const char *event, JsonObject *data, void *opaque)
{
    Backup *b = opaque;
    const char *state;

    if (strcmp(event, "BACKUP_STATUS_CHANGE") != 0 || !data || !b->uuid) {
        return;
    }
    state = qmp_get_string(data, "status");
    b->changed = true;
    if (state && state_is_final(state)) {
        set_end(b, state, qmp_get_string(data, "errmsg"));
    }
}

/* Before the start */

static bool verify_stdout(GError **error)
{
    struct stat st;

    if (fstat(STDOUT_FILENO, &st) < 0) {
        backup_error_set_errno(error, errno, "cannot stat standard output");
        return false;
    }
    if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)) {
        cli_set_usage(error, "standard output must be a pipe or a socket for "
                      "QEMU to write to; for a file use: | cat > FILE");
        return false;
    }
    return true;
}

/* NULL with kind USAGE where a name can't be part of the list. */
static char *join_devices(char **devices, GError **error)
{
    for (char **name = devices; *name; name++) {
        if (!**name || strpbrk(*name, DEVICE_SEPARATORS)) {
            cli_set_usage(error, "'%s' is not the name of a device", *name);
            return NULL;
        }
    }
    return g_strjoinv(",", devices);
}

static JsonArray *encode_configs(const BackupInfo *info)
{
    JsonArray *array = json_array_new();

    for (guint i = 0; i < info->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(info->configs, i);
        JsonObject *object = json_object_new();
        gsize bytes;
        const void *data = g_bytes_get_data(config->data, &bytes);
        g_autofree char *base64 = bytes ? g_base64_encode(data, bytes)
                                        : g_strdup("");

        json_object_set_string_member(object, "name", config->name);
        json_object_set_string_member(object, "data", base64);
        json_array_add_object_element(array, object);
    }
    return array;
}

/* NULL with kind USAGE. */
static JsonObject *encode_arguments(const Backup *b, GError **error)
{
    const QemuOptions *o = b->options;
    g_autoptr(JsonObject) arguments = json_object_new();
    g_autofree char *file = g_strconcat("fd:", b->fd_name, NULL);

    json_object_set_string_member(arguments, "backup-file", file);
    if (o->devices) {
        g_autofree char *list = join_devices(o->devices, error);

        if (!list) {
            return NULL;
        }
        json_object_set_string_member(arguments, "devlist", list);
    }
    if (o->speed > 0) {
        json_object_set_int_member(arguments, "speed", o->speed);
    }
    if (o->timeout_seconds >= 0) {
        json_object_set_int_member(arguments, "timeout", o->timeout_seconds);
    }
    if (o->info->configs->len > 0) {
        json_object_set_array_member(arguments, "configs",
                                     encode_configs(o->info));
    }
    return g_steal_pointer(&arguments);
}

/* The start */

/* Nobody else may hold the pipe open, or its reader would not see it end. */
static bool drop_stdout(GError **error)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
        backup_error_set_errno(error, errno, "cannot replace standard output");
        return false;
    }
    close(fd);
    return true;
}

static JsonObject *fd_argument(const Backup *b)
{
    JsonObject *arguments = json_object_new();

    json_object_set_string_member(arguments, "fdname", b->fd_name);
    return arguments;
}

/* After this the monitor can be talked to again, for a while. */
static void note_interruption(Backup *b)
{
    if (io_interrupted(NULL)) {
        b->interrupted = true;
        io_clear_interrupt();
        qmp_set_deadline(b->qmp, CLEANUP_SECONDS);
    }
}

/*
 * What QEMU was passed and has not used it would hold open for ever.  Mostly it
 * has no such descriptor any more, so an error of this means nothing.
 */
static void take_back(Backup *b)
{
    note_interruption(b);
    qmp_set_deadline(b->qmp, CLEANUP_SECONDS);
    (void)qmp_execute(b->qmp, "closefd", fd_argument(b), -1, NULL);
}

static bool hand_over(Backup *b, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (qmp_execute(b->qmp, "getfd", fd_argument(b), STDOUT_FILENO, &local)) {
        return drop_stdout(error);
    }
    if (g_error_matches(local, QMP_ERROR, QMP_ERROR_COMMAND_NOT_FOUND)) {
        g_prefix_error(&local, "this monitor has no command 'getfd', which "
                       "passes standard output to QEMU: ");
    } else {
        g_prefix_error(&local, "cannot pass standard output to QEMU: ");
    }
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

/*
 * An interruption does not keep the backup from starting, so the answer is
 * waited for all the same: on failure b->uuid tells whether it runs.
 */
static bool start(Backup *b, JsonObject *arguments, GError **error)
{
    int64_t id = qmp_send(b->qmp, "backup", arguments, -1, error);
    g_autoptr(JsonObject) answer = NULL;
    g_autoptr(GError) local = NULL;

    if (!id) {
        return false;
    }
    answer = qmp_receive(b->qmp, id, &local);
    if (!answer) {
        note_interruption(b);
        answer = b->interrupted ? qmp_receive(b->qmp, id, NULL) : NULL;
    }
    b->uuid = answer ? g_strdup(qmp_get_string(answer, "uuid")) : NULL;
    if (g_error_matches(local, QMP_ERROR, QMP_ERROR_COMMAND_NOT_FOUND)) {
        g_prefix_error(&local, "this QEMU has no command 'backup', it was "
                       "built without qemu-patch: ");
    } else if (local) {
        g_prefix_error(&local, "cannot start the backup: ");
    } else if (!b->uuid) {
        g_set_error(&local, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start the backup: QEMU gave it no uuid");
    } else {
        return true;
    }
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

/* Until the end */

static void show(const Backup *b, JsonObject *status, const char *state)
{
    const char *phase = NULL;

    if (strcmp(state, "completing") == 0) {
        phase = "completing";
    } else if (strcmp(state, "cancelling") == 0) {
        phase = "cancelling";
    }
    progress_update(b->progress, qmp_get_int(status, "transferred"),
                    qmp_get_int(status, "zero-bytes"),
                    qmp_get_int(status, "total"));
    progress_phase(b->progress, phase);
}

/* Sets b->end_state if the backup is over. */
static bool query(Backup *b, GError **error)
{
    int64_t id = qmp_send_oob(b->qmp, "query-backup", NULL, error);
    g_autoptr(JsonObject) status = id ? qmp_receive(b->qmp, id, error) : NULL;
    const char *state;

    if (!status) {
        return false;
    }
    state = qmp_get_string(status, "status");
    if (state && g_strcmp0(qmp_get_string(status, "uuid"), b->uuid) == 0) {
        show(b, status, state);
        if (state_is_final(state)) {
            set_end(b, state, qmp_get_string(status, "errmsg"));
        }
    } else if (!b->end_state) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot tell how the backup ended: QEMU speaks of another "
                    "one now");
        return false;
    }
    return true;
}

static bool wait_for_change(Backup *b, GError **error)
{
    int64_t until_us = g_get_monotonic_time() + POLL_MS * 1000;
    int64_t left_us;

    while (!b->changed &&
           (left_us = until_us - g_get_monotonic_time()) > 0) {
        if (!qmp_wait(b->qmp, (left_us + 999) / 1000, error)) {
            return false;
        }
    }
    b->changed = false;
    return true;
}

/* A monitor that is lost after it told of the end is no failure. */
static bool watch(Backup *b, GError **error)
{
    g_autoptr(GError) local = NULL;

    while (query(b, &local) && !b->end_state && wait_for_change(b, &local)) {
        continue;
    }
    if (local && !b->end_state) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return true;
}

/* The query makes sure that it is this backup which is cancelled. */
static bool cancel(Backup *b, GError **error)
{
    g_autoptr(JsonObject) answer = NULL;
    int64_t id;

    if (!query(b, error)) {
        return false;
    }
    if (b->end_state) {
        return true;
    }
    id = qmp_send_oob(b->qmp, "backup-cancel", NULL, error);
    answer = id ? qmp_receive(b->qmp, id, error) : NULL;
    return answer && watch(b, error);
}

static bool conclude(Backup *b, GError **error)
{
    if (strcmp(b->end_state, "done") == 0) {
        return true;
    }
    if (strcmp(b->end_state, "cancelled") == 0 && !b->interrupted) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_INCOMPLETE,
                    "the backup was cancelled by somebody else%s%s",
                    b->end_message ? ": " : "",
                    b->end_message ? b->end_message : "");
    } else {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "%s: %s", b->interrupted ? "interrupted" : "QEMU failed",
                    b->end_message ? b->end_message : b->end_state);
    }
    return false;
}

/* What has been started ends here, in one way or another. */
static bool finish(Backup *b, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (!b->interrupted && !watch(b, &local)) {
        note_interruption(b);
        if (!b->interrupted) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
    }
    g_clear_error(&local);
    if (b->interrupted && !cancel(b, &local)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "interrupted; cannot cancel the backup: %s",
                    local->message);
        return false;
    }
    return conclude(b, error);
}

bool qemu_dump(const QemuOptions *options, Progress *progress, GError **error)
{
    g_autoptr(JsonObject) arguments = NULL;
    g_auto(Backup) b = {
        .options = options,
        .progress = progress,
        .fd_name = g_strdup_printf("vma-dump-%d", (int)getpid()),
    };

    arguments = encode_arguments(&b, error);
    if (!arguments || !verify_stdout(error)) {
        return false;
    }
    b.qmp = qmp_connect(options->socket, CONNECT_SECONDS, on_event, &b, error);
    if (!b.qmp) {
        return false;
    }
    if (!hand_over(&b, error) ||
        (!start(&b, g_steal_pointer(&arguments), error) && !b.uuid)) {
        take_back(&b);
        return false;
    }
    g_clear_error(error);
    return finish(&b, error);
}
