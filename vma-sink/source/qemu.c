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
#include "source/fleecing.h"
#include "source/freeze.h"
#include "source/qemu-claim.h"
#include "source/qemu-disks.h"
#include "source/qmp.h"

#define CONNECT_SECONDS 10
/* After an interruption; a stalled reader holds up nothing of this. */
#define CLEANUP_SECONDS 30
#define POLL_MS 200
/* While file systems are frozen, QEMU has so long to start the backup. */
#define START_SECONDS 60
/*
 * The descriptor in QEMU.  Always the same, for QEMU keeps what a client that
 * was killed has passed, and closes it when the next one passes another under
 * its name.  (A monitor has one client at a time.)
 */
#define FD_NAME "vma-dump"
/* QEMU takes a list in one string. */
#define DEVICE_SEPARATORS ",;:"
/* How QEMU ends a message where the answer is missing or damaged. */
#define NOT_KNOWN "it is not known whether the reader has stored the backup"

typedef struct Backup {
    /* Set before the backup is started, never changed. */
    const QemuOptions *options;
    Progress *progress;
    Qmp *owned_qmp;             /* NULL: the caller's is used */
    Qmp *qmp;
    Freeze *freeze;             /* NULL: no freezing */
    QemuClaim *claim;           /* NULL: no temporary images */
    Fleecing *fleecing;

    char *uuid;                 /* NULL: not started */
    bool interrupted;           /* by a signal, which has been dealt with */
    bool late;                  /* started after the file systems were thawed */
    bool changed;               /* an event came: ask again now */
    char *end_state;            /* by event; NULL: it has not ended */
    char *end_message;          /* NULL: none */
} Backup;

static void backup_clear(Backup *b)
{
    g_clear_pointer(&b->claim, qemu_claim_free);
    g_clear_pointer(&b->owned_qmp, qmp_free);
    g_clear_pointer(&b->fleecing, fleecing_free);
    g_clear_pointer(&b->freeze, freeze_free);
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
    state = json_lines_get_string(data, "status");
    b->changed = true;
    if (state && state_is_final(state)) {
        set_end(b, state, json_lines_get_string(data, "errmsg"));
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

    json_object_set_string_member(arguments, "backup-file", "fd:" FD_NAME);
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
    if (o->answer) {
        json_object_set_boolean_member(arguments, "answer", true);
    }
    if (o->answer_seconds >= 0) {
        json_object_set_int_member(arguments, "answer-timeout",
                                   o->answer_seconds);
    }
    if (o->info->configs->len > 0) {
        json_object_set_array_member(arguments, "configs",
                                     encode_configs(o->info));
    }
    return g_steal_pointer(&arguments);
}

/* What an earlier backup has left goes first. */
static bool claim_names(Backup *b, GError **error)
{
    b->claim = qemu_claim_new(b->qmp, b->options->socket, error);
    if (!b->claim) {
        return false;
    }
    if (!qemu_claim_release(b->claim, error)) {
        g_prefix_error(error, "cannot remove from QEMU what an earlier backup "
                       "has left there: ");
        return false;
    }
    return true;
}

/* Temporary images. */
static bool add_images(Backup *b, const GPtrArray *disks, JsonArray *array,
                       GError **error)
{
    const QemuOptions *o = b->options;

    b->fleecing = fleecing_new(b->qmp, b->claim, o->fleecing,
                               o->fleecing_bytes);
    for (guint i = 0; i < disks->len; i++) {
        const QemuDisk *disk = g_ptr_array_index(disks, i);
        g_autofree char *node = qemu_claim_name(b->claim, QEMU_IMAGE, i);

        if (!fleecing_add(b->fleecing, i, disk->size_bytes, error)) {
            return false;
        }
        json_array_add_object_element(
            array, qmp_strings("device", disk->name, "node", node, NULL));
    }
    return true;
}

/* The disks are those that QEMU will choose. */
static bool prepare_disks(Backup *b, JsonObject *arguments, GError **error)
{
    const QemuOptions *o = b->options;
    g_autoptr(GPtrArray) disks = NULL;
    JsonArray *array;

    if (o->fleecing && !claim_names(b, error)) {
        return false;
    }
    disks = qemu_disks_list(b->qmp, o->devices, o->fleecing ? error : NULL);
    if (!disks) {
        /* Without images what is wrong with the choice is QEMU's to say. */
        return !o->fleecing;
    }
    if (!qemu_disks_verify_devices(b->qmp, disks, error)) {
        return false;
    }
    if (!o->fleecing) {
        return true;
    }
    array = json_array_new();
    json_object_set_array_member(arguments, "fleecing", array);
    return add_images(b, disks, array, error);
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

static JsonObject *fd_argument(void)
{
    JsonObject *arguments = json_object_new();

    json_object_set_string_member(arguments, "fdname", FD_NAME);
    return arguments;
}

/* After this the monitor can be talked to again, for a while. */
static void note_interruption(void *opaque)
{
    Backup *b = opaque;

    if (io_interrupted(NULL)) {
        b->interrupted = true;
        io_clear_interrupt();
        qmp_set_deadline(b->qmp, CLEANUP_SECONDS);
    }
}

/* In a moment that the guest spends frozen nothing waits for ever. */
static bool freeze(Backup *b, GError **error)
{
    if (!freeze_start(b->freeze, error)) {
        return false;
    }
    if (b->freeze) {
        qmp_set_deadline(b->qmp, START_SECONDS);
    }
    return true;
}

/* Starting it */

/*
 * What QEMU was passed and has not used it would hold open for ever.  Mostly it
 * has no such descriptor any more, so an error of this means nothing.
 */
static void take_back(Backup *b)
{
    note_interruption(b);
    qmp_set_deadline(b->qmp, CLEANUP_SECONDS);
    (void)qmp_execute(b->qmp, "closefd", fd_argument(), -1, NULL);
}

static bool hand_over(Backup *b, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (qmp_execute(b->qmp, "getfd", fd_argument(), STDOUT_FILENO, &local)) {
        return drop_stdout(error);
    }
    if (g_error_matches(local, JSON_LINES_ERROR,
                        JSON_LINES_ERROR_COMMAND_NOT_FOUND)) {
        g_prefix_error(&local, "this monitor has no command 'getfd', which "
                       "passes standard output to QEMU: ");
    } else {
        g_prefix_error(&local, "cannot pass standard output to QEMU: ");
    }
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

/* What to do about a failure that QEMU only names; "" if there is no more. */
static const char *hint(const Backup *b, const char *message)
{
    if (g_str_has_suffix(message, "Broken pipe")) {
        return " (what reads the stream has ended, see its message)";
    }
    if (b->options->fleecing && strstr(message, "'fleecing' is unexpected")) {
        return " (its patches are older than that; try --method=nbd)";
    }
    if (b->options->devices && g_str_has_suffix(message, "not found")) {
        return " (the monitor's 'info block' tells what disks there are)";
    }
    return "";
}

/*
 * What comes in the way of the answer does not keep the backup from starting,
 * so it is waited for all the same, but with the file systems thawed: on
 * failure b->uuid tells whether it runs.
 */
static JsonObject *receive_start(Backup *b, int64_t id, GError **error)
{
    g_autoptr(GError) local = NULL;
    JsonObject *answer = qmp_receive(b->qmp, id, &local);
    bool frozen = freeze_is_on(b->freeze);
    bool answered = answer || local->domain == JSON_LINES_ERROR;

    note_interruption(b);
    freeze_thaw(b->freeze);
    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
    }
    if (answered || (!frozen && !b->interrupted)) {
        return answer;
    }
    b->late = frozen;
    qmp_set_deadline(b->qmp, CLEANUP_SECONDS);
    return qmp_receive(b->qmp, id, NULL);
}

/* No word from QEMU, which may send all of the stream all the same. */
static void G_GNUC_PRINTF(3, 4)
set_silent(const Backup *b, GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    if (b->options->answer) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_UNKNOWN, "it is not "
                    "known whether the backup is stored: %s", text);
    } else {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s", text);
    }
}

static bool start(Backup *b, JsonObject *arguments, GError **error)
{
    int64_t id = qmp_send(b->qmp, "backup", arguments, -1, error);
    g_autoptr(JsonObject) answer = NULL;
    g_autoptr(GError) local = NULL;

    if (!id) {
        return false;
    }
    answer = receive_start(b, id, &local);
    b->uuid = answer ? g_strdup(json_lines_get_string(answer, "uuid")) : NULL;
    if (g_error_matches(local, JSON_LINES_ERROR,
                        JSON_LINES_ERROR_COMMAND_NOT_FOUND)) {
        g_prefix_error(&local, "this QEMU has no command 'backup', it was "
                       "built without qemu-patch (which is not needed with "
                       "--fleecing FOLDER): ");
    } else if (local && local->domain != JSON_LINES_ERROR) {
        set_silent(b, error, "cannot start the backup: %s", local->message);
        return false;
    } else if (local) {
        const char *more = hint(b, local->message);

        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start the backup: %s%s", local->message, more);
        return false;
    } else if (!b->uuid) {
        g_set_error(&local, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start the backup: QEMU gave it no uuid");
    } else {
        if (!b->interrupted) {
            qmp_set_deadline(b->qmp, 0);
        }
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
    progress_update(b->progress, json_lines_get_int(status, "transferred"),
                    json_lines_get_int(status, "zero-bytes"),
                    json_lines_get_int(status, "total"));
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
    state = json_lines_get_string(status, "status");
    if (state &&
        g_strcmp0(json_lines_get_string(status, "uuid"), b->uuid) == 0) {
        show(b, status, state);
        if (state_is_final(state)) {
            set_end(b, state, json_lines_get_string(status, "errmsg"));
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
        freeze_thaw_again(b->freeze);
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
    bool unknown = b->options->answer && b->end_message &&
                   g_str_has_suffix(b->end_message, NOT_KNOWN);

    if (strcmp(b->end_state, "done") == 0) {
        *b->options->done = true;
        if (!b->late) {
            return true;
        }
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the backup is complete, but QEMU took so long to start it "
                    "that the guest's file systems may not have been frozen "
                    "any more");
        return false;
    }
    if (strcmp(b->end_state, "cancelled") == 0 && !b->interrupted &&
        !b->late) {
        g_set_error(error, BACKUP_ERROR, unknown ? BACKUP_ERROR_UNKNOWN
                                                 : BACKUP_ERROR_INCOMPLETE,
                    "the backup was cancelled by somebody else%s%s",
                    b->end_message ? ": " : "",
                    b->end_message ? b->end_message : "");
    } else {
        g_set_error(error, BACKUP_ERROR, unknown ? BACKUP_ERROR_UNKNOWN
                                                 : BACKUP_ERROR_FAILED,
                    "%s: %s%s", b->interrupted ? "interrupted" :
                    b->late ? "QEMU took too long to start" : "QEMU failed",
                    b->end_message ? b->end_message : b->end_state,
                    b->end_message ? hint(b, b->end_message) : "");
    }
    return false;
}

/* What has been started ends here, in one way or another. */
static bool finish(Backup *b, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (!b->interrupted && !b->late && !watch(b, &local)) {
        note_interruption(b);
        if (!b->interrupted) {
            set_silent(b, error, "%s", local->message);
            return false;
        }
    }
    g_clear_error(&local);
    if ((b->interrupted || b->late) && !cancel(b, &local)) {
        set_silent(b, error, "%s; cannot cancel the backup: %s",
                   b->interrupted ? "interrupted"
                                  : "QEMU took too long to start",
                   local->message);
        return false;
    }
    return conclude(b, error);
}

static bool run(Backup *b, JsonObject *arguments, GError **error)
{
    g_autoptr(JsonObject) owned = arguments;

    if (!prepare_disks(b, arguments, error)) {
        return false;
    }
    /* What is killed from here on leaves the pipe in QEMU, see FD_NAME. */
    if (!freeze(b, error) || !hand_over(b, error) ||
        (!start(b, g_steal_pointer(&owned), error) && !b->uuid)) {
        note_interruption(b);
        freeze_thaw(b->freeze);
        take_back(b);
        return false;
    }
    g_clear_error(error);
    return finish(b, error);
}

static bool connect_monitor(Backup *b, GError **error)
{
    b->qmp = b->options->qmp;
    if (b->qmp) {
        qmp_set_events(b->qmp, on_event, b);
        return true;
    }
    b->owned_qmp = qmp_connect(b->options->socket, CONNECT_SECONDS, on_event, b,
                               error);
    b->qmp = b->owned_qmp;
    return b->qmp;
}

/*
 * QEMU lets go of the images when the backup ends.  *error may be set before,
 * and false is returned if it is set after.
 */
static bool remove_images(Backup *b, GError **error)
{
    g_autoptr(GError) local = NULL;
    bool released, again;

    if (!b->claim) {
        return !*error;
    }
    qmp_set_deadline(b->qmp, CLEANUP_SECONDS);
    do {
        g_clear_error(&local);
        released = qemu_claim_release(b->claim, &local);
        again = !released && io_interrupted(NULL);
        note_interruption(b);
    } while (again);
    if (!released) {
        qemu_claim_extend_error(error, local);
    } else if (b->fleecing) {
        fleecing_set_unused(b->fleecing);
    }
    return !*error;
}

bool qemu_dump(const QemuOptions *options, Progress *progress, GError **error)
{
    g_autoptr(JsonObject) arguments = NULL;
    g_autoptr(GError) local = NULL;
    g_auto(Backup) b = {
        .options = options,
        .progress = progress,
    };
    bool ok;

    arguments = encode_arguments(&b, error);
    if (!arguments || !verify_stdout(error)) {
        return false;
    }
    if (options->agent) {
        b.freeze = freeze_new(options->agent, progress, note_interruption, &b,
                              error);
        if (!b.freeze) {
            return false;
        }
    }
    if (!connect_monitor(&b, error)) {
        return false;
    }
    (void)run(&b, g_steal_pointer(&arguments), &local);
    note_interruption(&b);
    ok = remove_images(&b, &local);
    ok &= freeze_thaw_at_last(b.freeze, &local);
    if (!ok) {
        g_propagate_error(error, g_steal_pointer(&local));
    }
    return ok;
}

bool qemu_has_backup(Qmp *qmp, bool *has, GError **error)
{
    g_autoptr(JsonNode) node = qmp_query(qmp, "query-commands", NULL, error);
    JsonArray *array = node && JSON_NODE_HOLDS_ARRAY(node)
                       ? json_node_get_array(node) : NULL;

    *has = false;
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);

        *has |= JSON_NODE_HOLDS_OBJECT(element) &&
                g_strcmp0(json_lines_get_string(json_node_get_object(element),
                                                "name"), "backup") == 0;
    }
    return node != NULL;
}
