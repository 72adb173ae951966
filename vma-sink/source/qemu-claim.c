/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes down what has our names.  Much of it ends only some time after it was
 * asked to, and keeps others from going; so what there is is looked at and
 * asked to go again and again, in an order that lets nothing go before its
 * users, until nothing is there.
 */
#include "source/qemu-claim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/error.h"
#include "cli/cli.h"

#define PREFIX "vma-dump-"
#define RELEASE_SECONDS 10
#define AGAIN_MS 20

struct QemuClaim {
    /* Set at creation, never changed. */
    Qmp *qmp;
    char *prefix;
    guint32 run;                /* a random number */
};

QemuClaim *qemu_claim_new(Qmp *qmp, const char *socket, GError **error)
{
    struct stat st;
    g_autofree char *identity = NULL;
    QemuClaim *c;

    if (stat(socket, &st) < 0) {
        backup_error_set_errno(error, errno, "cannot stat '%s'", socket);
        return NULL;
    }
    /* The same whatever path it is known by. */
    identity = g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT,
                               (guint64)st.st_dev, (guint64)st.st_ino);
    c = g_new0(QemuClaim, 1);
    c->qmp = qmp;
    c->prefix = g_strdup_printf(PREFIX "%08x-", g_str_hash(identity));
    c->run = g_random_int() & 0xffffff;
    return c;
}

void qemu_claim_free(QemuClaim *c)
{
    if (c) {
        g_free(c->prefix);
        g_free(c);
    }
}

/* At most 31 bytes, as a node's name. */
char *qemu_claim_name(const QemuClaim *c, QemuKind kind, unsigned index)
{
    return g_strdup_printf("%s%c%u-%06x", c->prefix, kind, index, c->run);
}

const char *qemu_claim_mark(const QemuClaim *c)
{
    return c->prefix;
}

/* Whether we, or an earlier one of us, have made this. */
static bool owns(const QemuClaim *c, QemuKind kind, const char *name)
{
    return name && g_str_has_prefix(name, c->prefix) &&
           name[strlen(c->prefix)] == (char)kind;
}

bool qemu_claim_index(const QemuClaim *c, QemuKind kind, const char *name,
                      unsigned *index)
{
    g_autofree char *same = NULL;

    if (!owns(c, kind, name)) {
        return false;
    }
    *index = strtoul(name + strlen(c->prefix) + 1, NULL, 10);
    same = qemu_claim_name(c, kind, *index);
    return strcmp(name, same) == 0;
}

bool qemu_claim_is_ours(const char *name)
{
    return g_str_has_prefix(name, PREFIX);
}

/* What there is */

/*
 * The members MEMBER of the objects that COMMAND lists, of one TYPE or, where
 * that is NULL, of all; NULL on an error.
 */
static GPtrArray *list(Qmp *qmp, const char *command, JsonObject *arguments,
                       const char *member, const char *type, GError **error)
{
    g_autoptr(JsonNode) node = qmp_query(qmp, command, arguments, error);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    JsonArray *array;

    if (!node) {
        return NULL;
    }
    array = JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(element)
                             ? json_node_get_object(element) : NULL;
        const char *name = object ? json_lines_get_string(object, member)
                                  : NULL;

        if (name && (!type || g_strcmp0(json_lines_get_string(object, "type"),
                                        type) == 0)) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    return g_steal_pointer(&names);
}

/* Of the NBD server: there are other kinds, which do without it. */
static GPtrArray *list_exports(QemuClaim *c, GError **error)
{
    return list(c->qmp, "query-block-exports", NULL, "id", "nbd", error);
}

static GPtrArray *list_nodes(QemuClaim *c, GError **error)
{
    JsonObject *arguments = json_object_new();

    json_object_set_boolean_member(arguments, "flat", true);
    return list(c->qmp, "query-named-block-nodes", arguments, "node-name",
                NULL, error);
}

static GPtrArray *list_jobs(QemuClaim *c, GError **error)
{
    return list(c->qmp, "query-jobs", NULL, "id", NULL, error);
}

/* Asking it to go */

/*
 * Whether the connection still works.  What a command is answered with, if it
 * is an error, is kept in *refusal, where the first one stays.
 */
static bool ask(QemuClaim *c, const char *command, JsonObject *arguments,
                GError **refusal, GError **error)
{
    GError *local = NULL;

    if (qmp_execute(c->qmp, command, arguments, -1, &local)) {
        return true;
    }
    if (local->domain != JSON_LINES_ERROR) {
        g_propagate_error(error, local);
        return false;
    }
    if (*refusal) {
        g_error_free(local);
    } else {
        *refusal = local;
    }
    return true;
}

/* *count is how many there are; they may be gone now, or not. */
static bool remove_nodes(QemuClaim *c, QemuKind kind, GPtrArray *nodes,
                         unsigned *count, GError **refusal, GError **error)
{
    for (guint i = 0; i < nodes->len; i++) {
        const char *name = g_ptr_array_index(nodes, i);

        if (owns(c, kind, name)) {
            ++*count;
            if (!ask(c, "blockdev-del", qmp_strings("node-name", name, NULL),
                     refusal, error)) {
                return false;
            }
        }
    }
    return true;
}

static bool remove_exports(QemuClaim *c, unsigned *count, unsigned *foreign,
                           GError **refusal, GError **error)
{
    g_autoptr(GPtrArray) exports = list_exports(c, error);
    for (guint i = 0; exports && i < exports->len; i++) {
        const char *name = g_ptr_array_index(exports, i);

        if (!owns(c, QEMU_EXPORT, name)) {
            ++*foreign;
            continue;
        }
        ++*count;
        if (!ask(c, "block-export-del",
                 qmp_strings("id", name, "mode", "hard", NULL), refusal,
                 error)) {
            return false;
        }
    }
    return exports != NULL;
}

/* One that has been cancelled before refuses, which is nothing to speak of. */
static bool remove_jobs(QemuClaim *c, unsigned *count, GError **refusal,
                        GError **error)
{
    g_autoptr(GPtrArray) jobs = list_jobs(c, error);
    for (guint i = 0; jobs && i < jobs->len; i++) {
        const char *name = g_ptr_array_index(jobs, i);
        g_autoptr(GError) ignored = NULL;

        if (!owns(c, QEMU_JOB, name)) {
            continue;
        }
        ++*count;
        if (!ask(c, "job-cancel", qmp_strings("id", name, NULL), refusal,
                 error) ||
            !ask(c, "job-dismiss", qmp_strings("id", name, NULL), &ignored,
                 error)) {
            return false;
        }
    }
    return jobs != NULL;
}

/* Whether one of the descriptors in SET is marked as ours. */
static bool owns_set(const QemuClaim *c, JsonObject *set)
{
    JsonNode *node = json_object_get_member(set, "fds");
    JsonArray *fds = node && JSON_NODE_HOLDS_ARRAY(node)
                     ? json_node_get_array(node) : NULL;

    for (guint i = 0; fds && i < json_array_get_length(fds); i++) {
        JsonNode *fd = json_array_get_element(fds, i);

        if (JSON_NODE_HOLDS_OBJECT(fd) &&
            g_strcmp0(json_lines_get_string(json_node_get_object(fd), "opaque"),
                      c->prefix) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * What was passed and not opened; what was opened is closed with its node.  A
 * QEMU that is stopped keeps them all until it runs, so they are not counted.
 */
static bool remove_sets(QemuClaim *c, GError **refusal, GError **error)
{
    g_autoptr(JsonNode) node = qmp_query(c->qmp, "query-fdsets", NULL, error);
    JsonArray *sets = node && JSON_NODE_HOLDS_ARRAY(node)
                      ? json_node_get_array(node) : NULL;

    for (guint i = 0; sets && i < json_array_get_length(sets); i++) {
        JsonNode *set = json_array_get_element(sets, i);
        JsonObject *arguments;

        if (!JSON_NODE_HOLDS_OBJECT(set) ||
            !owns_set(c, json_node_get_object(set))) {
            continue;
        }
        arguments = json_object_new();
        json_object_set_int_member(
            arguments, "fdset-id",
            json_lines_get_int(json_node_get_object(set), "fdset-id"));
        if (!ask(c, "remove-fd", arguments, refusal, error)) {
            return false;
        }
    }
    return node != NULL;
}

/* Those of a node that are an earlier run's. */
static bool remove_bitmaps_of(QemuClaim *c, JsonObject *node, GError **refusal,
                              GError **error)
{
    const char *name = json_lines_get_string(node, "node-name");
    JsonNode *member = json_object_get_member(node, "dirty-bitmaps");
    JsonArray *bitmaps = name && member && JSON_NODE_HOLDS_ARRAY(member)
                         ? json_node_get_array(member) : NULL;
    unsigned index;

    for (guint i = 0; bitmaps && i < json_array_get_length(bitmaps); i++) {
        JsonNode *bitmap = json_array_get_element(bitmaps, i);
        const char *called = JSON_NODE_HOLDS_OBJECT(bitmap)
            ? json_lines_get_string(json_node_get_object(bitmap), "name")
            : NULL;

        if (owns(c, QEMU_BITMAP, called) &&
            !qemu_claim_index(c, QEMU_BITMAP, called, &index) &&
            !ask(c, "block-dirty-bitmap-remove",
                 qmp_strings("node", name, "name", called, NULL), refusal,
                 error)) {
            return false;
        }
    }
    return true;
}

/* One that can't be removed does no harm, so they are not counted. */
static bool remove_bitmaps(QemuClaim *c, GError **refusal, GError **error)
{
    JsonObject *arguments = json_object_new();
    g_autoptr(JsonNode) answer = NULL;
    JsonArray *nodes;

    json_object_set_boolean_member(arguments, "flat", true);
    answer = qmp_query(c->qmp, "query-named-block-nodes", arguments, error);
    nodes = answer && JSON_NODE_HOLDS_ARRAY(answer)
            ? json_node_get_array(answer) : NULL;
    for (guint i = 0; nodes && i < json_array_get_length(nodes); i++) {
        JsonNode *node = json_array_get_element(nodes, i);

        if (JSON_NODE_HOLDS_OBJECT(node) &&
            !remove_bitmaps_of(c, json_node_get_object(node), refusal, error)) {
            return false;
        }
    }
    return answer != NULL;
}

/*
 * The mark goes last, for it is what tells a later run that the server is ours.
 * Where somebody else exports on it, it is left to them.
 */
static bool stop_server(QemuClaim *c, GPtrArray *nodes, unsigned foreign,
                        unsigned *count, GError **refusal, GError **error)
{
    for (guint i = 0; i < nodes->len; i++) {
        g_autoptr(GError) ignored = NULL;

        if (owns(c, QEMU_SERVER, g_ptr_array_index(nodes, i)) &&
            foreign == 0 &&
            !ask(c, "nbd-server-stop", NULL, &ignored, error)) {
            return false;
        }
    }
    return remove_nodes(c, QEMU_SERVER, nodes, count, refusal, error);
}

/* *left is how much was there.  Each stage begins when the one before is done. */
static bool remove_some(QemuClaim *c, unsigned *left, GError **refusal,
                        GError **error)
{
    static const QemuKind rest[] = {
        QEMU_GUARD, QEMU_NULL, QEMU_IMAGE, QEMU_LIMIT, QEMU_FILE,
    };
    g_autoptr(GPtrArray) nodes = NULL;
    unsigned foreign = 0;

    *left = 0;
    if (!remove_exports(c, left, &foreign, refusal, error)) {
        return false;
    }
    nodes = list_nodes(c, error);
    if (!nodes ||
        (*left == 0 &&
         !remove_nodes(c, QEMU_SNAPSHOT, nodes, left, refusal, error)) ||
        (*left == 0 && !remove_jobs(c, left, refusal, error))) {
        return false;
    }
    if (*left > 0) {
        return true;
    }
    for (guint i = 0; i < G_N_ELEMENTS(rest); i++) {
        if (!remove_nodes(c, rest[i], nodes, left, refusal, error)) {
            return false;
        }
    }
    return remove_sets(c, refusal, error) &&
           remove_bitmaps(c, refusal, error) &&
           stop_server(c, nodes, foreign, left, refusal, error);
}

bool qemu_claim_release(QemuClaim *c, GError **error)
{
    int64_t until_us = g_get_monotonic_time() +
                       RELEASE_SECONDS * G_USEC_PER_SEC;
    unsigned left;

    for (;;) {
        g_autoptr(GError) refusal = NULL;

        if (!remove_some(c, &left, &refusal, error)) {
            return false;
        }
        if (left == 0) {
            return true;
        }
        if (g_get_monotonic_time() >= until_us) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s",
                        refusal ? refusal->message : "it does not end");
            return false;
        }
        if (!qmp_wait(c->qmp, AGAIN_MS, error)) {
            return false;
        }
    }
}

void qemu_claim_extend_error(GError **error, const GError *reason)
{
    static const char text[] = "what it needed can't be removed from QEMU, "
                               "which the next backup will try again";
    GError *before = *error;
    bool same;

    if (!before) {
        cli_note("warning: the backup has not failed, but %s: %s", text,
                 reason->message);
        return;
    }
    *error = NULL;
    same = strcmp(before->message, reason->message) == 0;
    g_set_error(error, BACKUP_ERROR,
                before->domain == BACKUP_ERROR ? before->code
                                               : BACKUP_ERROR_FAILED,
                "%s, and %s%s%s", before->message, text, same ? "" : ": ",
                same ? "" : reason->message);
    g_error_free(before);
}
