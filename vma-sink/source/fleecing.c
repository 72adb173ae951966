/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the bottom up an image is a file, where there is a limit a window of
 * that size onto it, and qcow2 in there.
 */
#include "source/fleecing.h"

#include <errno.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/io.h"

#define POLL_MS 10

struct Fleecing {
    /* Set at creation, never changed. */
    Qmp *qmp;
    const QemuClaim *claim;
    const char *folder;
    uint64_t limit_bytes;

    /*
     * The files.  They stay open here to the end, so that it is not QEMU's main
     * loop that waits for the file system to free what was in a large one.
     */
    GArray *fds;
    bool unused;                /* by QEMU, whatever it still has open */
};

Fleecing *fleecing_new(Qmp *qmp, const QemuClaim *claim, const char *folder,
                       uint64_t limit_bytes)
{
    Fleecing *f = g_new0(Fleecing, 1);

    f->qmp = qmp;
    f->claim = claim;
    f->folder = folder;
    f->limit_bytes = limit_bytes;
    f->fds = g_array_new(FALSE, FALSE, sizeof(int));
    return f;
}

void fleecing_set_unused(Fleecing *f)
{
    f->unused = true;
}

void fleecing_free(Fleecing *f)
{
    if (f) {
        for (guint i = 0; i < f->fds->len; i++) {
            int fd = g_array_index(f->fds, int, i);

            /*
             * A QEMU that is stopped may keep the descriptor for a while.  Of
             * a backup that may go on the image is what the guest has
             * overwritten, and is left alone.
             */
            if (f->unused) {
                (void)!ftruncate(fd, 0);
            }
            close(fd);
        }
        g_array_free(f->fds, TRUE);
        g_free(f);
    }
}

static int create_file(Fleecing *f, GError **error)
{
    int fd = io_open_nameless(f->folder);

    if (fd < 0) {
        backup_error_set_errno(error, errno,
                               "cannot create a temporary image in '%s'",
                               f->folder);
        return -1;
    }
    g_array_append_val(f->fds, fd);
    if (f->limit_bytes > 0 && ftruncate(fd, f->limit_bytes) < 0) {
        backup_error_set_errno(error, errno,
                               "cannot make a temporary image in '%s'",
                               f->folder);
        return -1;
    }
    return fd;
}

/* The number of a set of descriptors in QEMU that has this one; -1: an error. */
static int64_t pass_file(Fleecing *f, int fd, GError **error)
{
    JsonObject *arguments = qmp_strings("opaque", qemu_claim_mark(f->claim),
                                        NULL);
    int64_t id = qmp_send(f->qmp, "add-fd", arguments, fd, error);
    g_autoptr(JsonObject) answer = id ? qmp_receive(f->qmp, id, error) : NULL;

    return answer ? json_lines_get_int(answer, "fdset-id") : -1;
}

static bool drop_set(Fleecing *f, int64_t set, GError **error)
{
    JsonObject *arguments = json_object_new();

    json_object_set_int_member(arguments, "fdset-id", set);
    return qmp_execute(f->qmp, "remove-fd", arguments, -1, error);
}

/*
 * Nothing of it has to outlast a crash, so that a flush need not wait for the
 * file's disk.  The set is only needed to open it.
 */
static bool add_file_node(Fleecing *f, const char *node, int fd,
                          GError **error)
{
    int64_t set = pass_file(f, fd, error);
    g_autofree char *path = g_strdup_printf("/dev/fdset/%" G_GINT64_FORMAT,
                                            set);
    JsonObject *cache = json_object_new();
    JsonObject *arguments =
        qmp_strings("driver", "file", "node-name", node, "filename", path,
                    "locking", "off", "discard", "unmap", NULL);
    bool ok;

    json_object_set_boolean_member(cache, "no-flush", true);
    json_object_set_object_member(arguments, "cache", cache);
    if (set < 0) {
        json_object_unref(arguments);
        return false;
    }
    ok = qmp_execute(f->qmp, "blockdev-add", arguments, -1, error);
    return drop_set(f, set, ok ? error : NULL) && ok;
}

/* A node that has no more bytes than the limit, whatever is written to it. */
static bool add_limit_node(Fleecing *f, const char *node, const char *file,
                           GError **error)
{
    JsonObject *arguments = qmp_strings("driver", "raw", "node-name", node,
                                        "file", file, NULL);

    json_object_set_int_member(arguments, "size", f->limit_bytes);
    return qmp_execute(f->qmp, "blockdev-add", arguments, -1, error);
}

/* *done once the job has ended, well or with *error. */
static bool query_job(Fleecing *f, const char *job, bool *done, GError **error)
{
    g_autoptr(JsonNode) node = qmp_query(f->qmp, "query-jobs", NULL, error);
    JsonArray *array = node && JSON_NODE_HOLDS_ARRAY(node)
                       ? json_node_get_array(node) : NULL;

    *done = true;
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(element)
                             ? json_node_get_object(element) : NULL;
        const char *failure;

        if (!object ||
            g_strcmp0(json_lines_get_string(object, "id"), job) != 0) {
            continue;
        }
        failure = json_lines_get_string(object, "error");
        *done = g_strcmp0(json_lines_get_string(object, "status"),
                          "concluded") == 0;
        if (*done && failure) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s",
                        failure);
            return false;
        }
    }
    return node != NULL;
}

static bool run_job(Fleecing *f, const char *job, GError **error)
{
    bool done;

    for (;;) {
        if (!query_job(f, job, &done, error)) {
            return false;
        }
        if (done) {
            return qmp_execute(f->qmp, "job-dismiss",
                               qmp_strings("id", job, NULL), -1, error);
        }
        if (!qmp_wait(f->qmp, POLL_MS, error)) {
            return false;
        }
    }
}

static bool format_node(Fleecing *f, const char *job, const char *file,
                        uint64_t disk_bytes, GError **error)
{
    JsonObject *arguments = qmp_strings("job-id", job, NULL);
    JsonObject *options = qmp_strings("driver", "qcow2", "file", file, NULL);

    json_object_set_int_member(options, "size", disk_bytes);
    json_object_set_object_member(arguments, "options", options);
    return qmp_execute(f->qmp, "blockdev-create", arguments, -1, error) &&
           run_job(f, job, error);
}

bool fleecing_add(Fleecing *f, unsigned index, uint64_t disk_bytes,
                  GError **error)
{
    g_autofree char *file = qemu_claim_name(f->claim, QEMU_FILE, index);
    g_autofree char *limit = qemu_claim_name(f->claim, QEMU_LIMIT, index);
    g_autofree char *image = qemu_claim_name(f->claim, QEMU_IMAGE, index);
    g_autofree char *job = qemu_claim_name(f->claim, QEMU_JOB, index);
    const char *below = f->limit_bytes > 0 ? limit : file;
    int fd = create_file(f, error);

    if (fd < 0) {
        return false;
    }
    if (add_file_node(f, file, fd, error) &&
        (f->limit_bytes == 0 || add_limit_node(f, limit, file, error)) &&
        format_node(f, job, below, disk_bytes, error) &&
        qmp_execute(f->qmp, "blockdev-add",
                    qmp_strings("driver", "qcow2", "node-name", image, "file",
                                below, "discard", "unmap", NULL), -1, error)) {
        return true;
    }
    if (!io_interrupted(NULL)) {
        g_prefix_error(error, "cannot make a temporary image in QEMU: ");
    }
    return false;
}
