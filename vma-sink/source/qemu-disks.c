/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes from query-block what it needs of the guest's disks, and then chooses.
 */
#include "source/qemu-disks.h"

#include <string.h>

#include "backup/error.h"
#include "backup/info.h"
#include "wire/format.h"

/* Where devices with an id of their own are found in QEMU's tree of objects. */
#define NAMED_DEVICES "/machine/peripheral/"

/* What QEMU says of one; the strings are owned by its answer. */
typedef struct Drive {
    const char *backend;        /* name of its block backend, or "" */
    const char *path;           /* of its device, or NULL: no guest has it */
    char *id;                   /* of its device, or NULL; owned */
    const char *node;           /* NULL: no medium */
    int64_t size_bytes;
    bool read_only;
} Drive;

static void drive_free(Drive *drive)
{
    g_free(drive->id);
    g_free(drive);
}

static void qemu_disk_free(QemuDisk *disk)
{
    g_free(disk->name);
    g_free(disk->node);
    g_free(disk->device);
    g_free(disk);
}

static bool get_bool(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_value_type(node) == G_TYPE_BOOLEAN &&
           json_node_get_boolean(node);
}

/* The id by which a user knows a device, which may be that of an ancestor. */
static char *device_id(const char *path)
{
    if (!path || *path != '/') {
        return g_strdup(path);
    }
    if (!g_str_has_prefix(path, NAMED_DEVICES)) {
        return NULL;
    }
    path += strlen(NAMED_DEVICES);
    return g_strndup(path, strcspn(path, "/"));
}

/* INFO: of a node, as query-block and query-named-block-nodes give it. */
static void parse_node(Drive *drive, JsonObject *info)
{
    JsonObject *image = json_lines_get_object(info, "image");

    drive->node = json_lines_get_string(info, "node-name");
    drive->read_only = get_bool(info, "ro");
    drive->size_bytes = image ? json_lines_get_int(image, "virtual-size") : 0;
}

static Drive *parse_drive(JsonObject *object)
{
    Drive *drive = g_new0(Drive, 1);
    JsonObject *inserted = json_lines_get_object(object, "inserted");

    drive->backend = json_lines_get_string(object, "device");
    drive->path = json_lines_get_string(object, "qdev");
    drive->id = device_id(drive->path);
    if (inserted) {
        parse_node(drive, inserted);
    }
    return drive;
}

/* Of the answer to query-block or, if BARE, to query-named-block-nodes. */
static GPtrArray *parse_drives(JsonNode *answer, bool bare)
{
    GPtrArray *drives =
        g_ptr_array_new_with_free_func((GDestroyNotify)drive_free);
    JsonArray *array = JSON_NODE_HOLDS_ARRAY(answer)
                       ? json_node_get_array(answer) : NULL;

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);

        if (!JSON_NODE_HOLDS_OBJECT(element)) {
            continue;
        }
        if (bare) {
            Drive *drive = g_new0(Drive, 1);

            parse_node(drive, json_node_get_object(element));
            g_ptr_array_add(drives, drive);
        } else {
            g_ptr_array_add(drives,
                            parse_drive(json_node_get_object(element)));
        }
    }
    return drives;
}

/* Choosing */

static QemuDisk *find_disk(GPtrArray *disks, const char *node,
                           const char *name)
{
    for (guint i = 0; i < disks->len; i++) {
        QemuDisk *disk = g_ptr_array_index(disks, i);

        if (g_strcmp0(disk->node, node) == 0 ||
            g_strcmp0(disk->name, name) == 0) {
            return disk;
        }
    }
    return NULL;
}

static bool add_disk(GPtrArray *disks, const Drive *drive, const char *name,
                     GError **error)
{
    QemuDisk *disk;

    if (!backup_name_is_valid(name, strlen(name)) || drive->size_bytes <= 0 ||
        (uint64_t)drive->size_bytes > WIRE_DEVICE_MAX_BYTES ||
        disks->len >= WIRE_DEVICES_MAX) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "device '%s' can't be backed up: %s", name,
                    !backup_name_is_valid(name, strlen(name))
                    ? "a backup can't have such a name"
                    : disks->len >= WIRE_DEVICES_MAX ? "there are too many"
                    : "its size is not possible");
        return false;
    }
    disk = g_new0(QemuDisk, 1);
    disk->name = g_strdup(name);
    disk->node = g_strdup(drive->node);
    disk->size_bytes = drive->size_bytes;
    g_ptr_array_add(disks, disk);
    return true;
}

static const Drive *find_drive(GPtrArray *drives, GPtrArray *nodes,
                               const char *name)
{
    for (guint i = 0; i < drives->len; i++) {
        const Drive *drive = g_ptr_array_index(drives, i);

        if (g_strcmp0(drive->backend, name) == 0) {
            return drive;
        }
    }
    for (guint i = 0; i < drives->len; i++) {
        const Drive *drive = g_ptr_array_index(drives, i);

        if (g_strcmp0(drive->id, name) == 0 ||
            g_strcmp0(drive->path, name) == 0) {
            return drive;
        }
    }
    for (guint i = 0; i < nodes->len; i++) {
        const Drive *drive = g_ptr_array_index(nodes, i);

        if (g_strcmp0(drive->node, name) == 0) {
            return drive;
        }
    }
    return NULL;
}

static bool add_named(GPtrArray *disks, GPtrArray *drives, GPtrArray *nodes,
                      const char *name, GError **error)
{
    const Drive *drive = find_drive(drives, nodes, name);
    const QemuDisk *other = drive && drive->node
                            ? find_disk(disks, drive->node, name) : NULL;

    if (drive && drive->node && !drive->read_only && !other) {
        return add_disk(disks, drive, name, error);
    }
    if (other) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "device '%s' is listed twice, also as '%s'", name,
                    other->name);
    } else {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "device '%s' %s", name,
                    !drive ? "not found (the monitor's 'info block' tells "
                             "what disks there are)"
                    : !drive->node ? "has no medium" : "is read-only");
    }
    return false;
}

static bool add_default(GPtrArray *disks, const Drive *drive, GError **error)
{
    const char *names[] = { drive->backend, drive->id, drive->node };

    if (!drive->path || !drive->node || drive->read_only ||
        find_disk(disks, drive->node, NULL)) {
        return true;
    }
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (names[i] && *names[i] && !find_disk(disks, NULL, names[i])) {
            return add_disk(disks, drive, names[i], error);
        }
    }
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "there is no unique name for node '%s', give --device",
                drive->node);
    return false;
}

/* A disk that was chosen by its node has a device, too. */
static void find_devices(GPtrArray *disks, const GPtrArray *drives)
{
    for (guint i = 0; i < drives->len; i++) {
        const Drive *drive = g_ptr_array_index(drives, i);
        QemuDisk *disk = drive->path && drive->node
                         ? find_disk(disks, drive->node, NULL) : NULL;

        if (disk && !disk->device) {
            disk->device = *drive->path == '/'
                           ? g_strdup(drive->path)
                           : g_strconcat(NAMED_DEVICES, drive->path, NULL);
        }
    }
}

static JsonNode *query_nodes(Qmp *qmp, GError **error)
{
    JsonObject *arguments = json_object_new();

    json_object_set_boolean_member(arguments, "flat", true);
    return qmp_query(qmp, "query-named-block-nodes", arguments, error);
}

/*
 * QEMU 10.0 and later know that of each node, and refuse to put a filter on it.
 * Once there is one, a migration fails: it can't give the disks up.
 */
bool qemu_disks_verify_owner(Qmp *qmp, GError **error)
{
    static const char *const elsewhere[] = {
        "finish-migrate", "inmigrate", "postmigrate", NULL,
    };
    g_autoptr(JsonNode) result = qmp_query(qmp, "query-status", NULL, error);
    const char *status = NULL;

    if (result && JSON_NODE_HOLDS_OBJECT(result)) {
        status = json_lines_get_string(json_node_get_object(result), "status");
    }
    if (status && g_strv_contains(elsewhere, status)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the guest is migrated: its disks are another QEMU's "
                    "(the status is '%s')", status);
        return false;
    }
    return result != NULL;
}

/* One that has just been unplugged does no harm. */
static bool verify_device(Qmp *qmp, const QemuDisk *disk, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autoptr(JsonNode) type =
        qmp_query(qmp, "qom-get", qmp_strings("path", disk->device, "property",
                                              "type", NULL), &local);
    const char *name = type && JSON_NODE_HOLDS_VALUE(type)
                       ? json_node_get_string(type) : NULL;

    if (!type && local->domain != JSON_LINES_ERROR) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    if (g_strcmp0(name, "scsi-block") == 0 ||
        g_strcmp0(name, "scsi-generic") == 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "device '%s' can't be backed up: its commands are passed "
                    "through to the device (%s) (--device chooses others)",
                    disk->name, name);
        return false;
    }
    return true;
}

bool qemu_disks_verify_devices(Qmp *qmp, const GPtrArray *disks, GError **error)
{
    for (guint i = 0; i < disks->len; i++) {
        const QemuDisk *disk = g_ptr_array_index(disks, i);

        if (disk->device && !verify_device(qmp, disk, error)) {
            return false;
        }
    }
    return true;
}

GPtrArray *qemu_disks_list(Qmp *qmp, char **devices, GError **error)
{
    g_autoptr(GPtrArray) disks =
        g_ptr_array_new_with_free_func((GDestroyNotify)qemu_disk_free);
    g_autoptr(JsonNode) blocks = qmp_query(qmp, "query-block", NULL, error);
    g_autoptr(JsonNode) named = blocks ? query_nodes(qmp, error) : NULL;
    g_autoptr(GPtrArray) drives = NULL;
    g_autoptr(GPtrArray) nodes = NULL;

    if (!named) {
        return NULL;
    }
    drives = parse_drives(blocks, false);
    nodes = parse_drives(named, true);
    for (; devices && *devices; devices++) {
        if (!add_named(disks, drives, nodes, *devices, error)) {
            return NULL;
        }
    }
    for (guint i = 0; !devices && i < drives->len; i++) {
        if (!add_default(disks, g_ptr_array_index(drives, i), error)) {
            return NULL;
        }
    }
    if (disks->len == 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "there is no writable disk of a guest, give --device");
        return NULL;
    }
    find_devices(disks, drives);
    return g_steal_pointer(&disks);
}
