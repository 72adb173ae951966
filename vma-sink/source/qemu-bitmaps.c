/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty bitmaps in QEMU, which has no command to rename one: a new one takes
 * over what is in the old one, in a transaction, between two requests of the
 * guest.
 */
#include "source/qemu-bitmaps.h"

#include <string.h>

#include "backup/error.h"
#include "backup/info.h"
#include "cli/cli.h"
#include "source/qemu-disks.h"

struct QemuBitmaps {
    /* Set at creation, never changed. */
    Qmp *qmp;
    const QemuClaim *claim;
    GPtrArray *disks;
    const char *name;
    bool *persistent;           /* for each disk */
};

bool qemu_bitmaps_name_is_valid(const char *name)
{
    return backup_name_is_valid(name, strlen(name)) &&
           !qemu_claim_is_ours(name);
}

void qemu_bitmaps_free(QemuBitmaps *b)
{
    if (b) {
        g_free(b->persistent);
        g_free(b);
    }
}

/* Learning what there is */

static JsonObject *find_node(JsonArray *nodes, const char *name)
{
    for (guint i = 0; nodes && i < json_array_get_length(nodes); i++) {
        JsonNode *element = json_array_get_element(nodes, i);
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(element)
                             ? json_node_get_object(element) : NULL;

        if (object && g_strcmp0(json_lines_get_string(object, "node-name"),
                                name) == 0) {
            return object;
        }
    }
    return NULL;
}

static bool has_bitmap(JsonObject *node, const char *name)
{
    JsonNode *member = json_object_get_member(node, "dirty-bitmaps");
    JsonArray *array = member && JSON_NODE_HOLDS_ARRAY(member)
                       ? json_node_get_array(member) : NULL;

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);

        if (JSON_NODE_HOLDS_OBJECT(element) &&
            g_strcmp0(json_lines_get_string(json_node_get_object(element),
                                            "name"), name) == 0) {
            return true;
        }
    }
    return false;
}

/* qcow2 can store bitmaps, but for its first version; other formats can't. */
static bool can_store(JsonObject *node)
{
    JsonObject *image = json_lines_get_object(node, "image");
    JsonObject *specific = image ? json_lines_get_object(image,
                                                         "format-specific")
                                 : NULL;
    JsonObject *data = specific ? json_lines_get_object(specific, "data")
                                : NULL;

    return g_strcmp0(json_lines_get_string(node, "drv"), "qcow2") == 0 &&
           data && g_strcmp0(json_lines_get_string(data, "compat"),
                             "0.10") != 0;
}

static bool learn(QemuBitmaps *b, GError **error)
{
    JsonObject *arguments = json_object_new();
    g_autoptr(JsonNode) answer = NULL;
    JsonArray *nodes;

    json_object_set_boolean_member(arguments, "flat", true);
    answer = qmp_query(b->qmp, "query-named-block-nodes", arguments, error);
    if (!answer) {
        return false;
    }
    nodes = JSON_NODE_HOLDS_ARRAY(answer) ? json_node_get_array(answer) : NULL;
    for (guint i = 0; i < b->disks->len; i++) {
        const QemuDisk *disk = g_ptr_array_index(b->disks, i);
        JsonObject *node = find_node(nodes, disk->node);

        if (node && has_bitmap(node, b->name)) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "disk '%s' has a dirty bitmap '%s' already; give "
                        "another name, or remove it with "
                        "block-dirty-bitmap-remove (node '%s')",
                        disk->name, b->name, disk->node);
            return false;
        }
        b->persistent[i] = node && can_store(node);
    }
    return true;
}

static void note_transient(const QemuBitmaps *b)
{
    for (guint i = 0; i < b->disks->len; i++) {
        const QemuDisk *disk = g_ptr_array_index(b->disks, i);

        if (!b->persistent[i]) {
            cli_note("note: the dirty bitmap of disk '%s' will be gone when "
                     "QEMU ends: only qcow2 images can store one", disk->name);
        }
    }
}

QemuBitmaps *qemu_bitmaps_new(Qmp *qmp, const QemuClaim *claim,
                              GPtrArray *disks, const char *name,
                              GError **error)
{
    g_autoptr(QemuBitmaps) b = g_new0(QemuBitmaps, 1);

    b->qmp = qmp;
    b->claim = claim;
    b->disks = disks;
    b->name = name;
    b->persistent = g_new0(bool, disks->len);
    if (!learn(b, error)) {
        return NULL;
    }
    note_transient(b);
    return g_steal_pointer(&b);
}

/* Actions of transactions */

static void add_action(JsonArray *actions, const char *type, JsonObject *data)
{
    JsonObject *action = qmp_strings("type", type, NULL);

    json_object_set_object_member(action, "data", data);
    json_array_add_object_element(actions, action);
}

static void make_bitmap(JsonArray *actions, const char *node, const char *name,
                        bool persistent)
{
    JsonObject *data = qmp_strings("node", node, "name", name, NULL);

    json_object_set_int_member(data, "granularity", BACKUP_CLUSTER_BYTES);
    json_object_set_boolean_member(data, "persistent", persistent);
    add_action(actions, "block-dirty-bitmap-add", data);
}

static void merge_bitmap(JsonArray *actions, const char *node, const char *name,
                         const char *from)
{
    JsonObject *data = qmp_strings("node", node, "target", name, NULL);
    JsonArray *bitmaps = json_array_new();

    json_array_add_string_element(bitmaps, from);
    json_object_set_array_member(data, "bitmaps", bitmaps);
    add_action(actions, "block-dirty-bitmap-merge", data);
}

static void remove_bitmap(JsonArray *actions, const char *node,
                          const char *name)
{
    add_action(actions, "block-dirty-bitmap-remove",
               qmp_strings("node", node, "name", name, NULL));
}

void qemu_bitmaps_add_actions(const QemuBitmaps *b, JsonArray *actions)
{
    for (guint i = 0; i < b->disks->len; i++) {
        const QemuDisk *disk = g_ptr_array_index(b->disks, i);
        g_autofree char *ours = qemu_claim_name(b->claim, QEMU_BITMAP, i);

        make_bitmap(actions, disk->node, ours, false);
    }
}

JsonObject *qemu_bitmaps_encode_keep(const QemuBitmaps *b)
{
    JsonObject *arguments = json_object_new();
    JsonArray *actions = json_array_new();

    for (guint i = 0; i < b->disks->len; i++) {
        const QemuDisk *disk = g_ptr_array_index(b->disks, i);
        g_autofree char *ours = qemu_claim_name(b->claim, QEMU_BITMAP, i);

        make_bitmap(actions, disk->node, b->name, b->persistent[i]);
        merge_bitmap(actions, disk->node, b->name, ours);
        remove_bitmap(actions, disk->node, ours);
    }
    json_object_set_array_member(arguments, "actions", actions);
    return arguments;
}

/* One that is gone keeps none of the others. */
bool qemu_bitmaps_remove(const QemuBitmaps *b, GError **error)
{
    g_autoptr(GError) first = NULL;

    for (guint i = 0; i < b->disks->len; i++) {
        const QemuDisk *disk = g_ptr_array_index(b->disks, i);
        g_autofree char *ours = qemu_claim_name(b->claim, QEMU_BITMAP, i);

        (void)qmp_execute(b->qmp, "block-dirty-bitmap-remove",
                          qmp_strings("node", disk->node, "name", ours, NULL),
                          -1, first ? NULL : &first);
    }
    if (first) {
        g_propagate_error(error, g_steal_pointer(&first));
        return false;
    }
    return true;
}
