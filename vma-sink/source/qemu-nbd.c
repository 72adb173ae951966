/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the disks of a QEMU without patches are kept as they are at one point in
 * time.  For each of them, from the guest's device down:
 *
 *     device -> filter -> disk
 *                 |\
 *                 | snapshot        read by us, over NBD
 *                 v
 *               guard -> image      first choice
 *                     -> null       takes what the image can't
 *
 * The filter (QEMU's copy-before-write) belongs to a job, blockdev-backup with
 * sync=none, because jobs are what a transaction can start on all disks at once.
 * It copies what the guest is about to overwrite to its target.  The snapshot
 * (snapshot-access) reads what has been copied from there, and all else from the
 * disk, with the right locks in between.  What we have read we discard in it, so
 * that it is not copied any more.
 *
 * A job of QEMU before 10.1 knows but one answer to a target that can't be
 * written: an I/O error for the guest.  So the target is a guard (quorum, of
 * which one vote is enough), and the second choice takes every write.  That the
 * first one has failed is told by an event, which QEMU sends before anything
 * that is read could be wrong because of it; so qemu_nbd_confirm(), whose
 * question comes after the last read, gets its answer after the event.
 *
 * The same error for a disk that can't be read where the guest is about to write
 * can only be avoided from 10.1 on.
 */
#include "source/qemu-nbd.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/io.h"
#include "source/fleecing.h"
#include "source/freeze-again.h"
#include "source/freeze.h"
#include "source/nbd-links.h"
#include "source/private-socket.h"
#include "source/qemu-bitmaps.h"
#include "source/qemu-claim.h"
#include "source/qemu-disks.h"

#define CONNECT_SECONDS 10
/* After an interruption. */
#define CLEANUP_SECONDS 30
/* While file systems are frozen, QEMU has so long to set the point in time. */
#define START_SECONDS 60
#define WATCH_US (200 * 1000)
#define MIN_VERSION 702
/*
 * Before, a snapshot gives what is on the disk now for a range that begins with
 * clusters that were copied and goes on with others (hbitmap_status() returns
 * false there), and says of it what is a hole now.
 */
#define RANGES_VERSION 800
/*
 * Before 8.2.1 (8.1.5) QEMU aborts when it is asked what is a hole in a snapshot
 * of some images, such as qcow2 with metadata that was preallocated: it passes
 * on, with the answer, that the file below is still to be asked
 * (BDRV_BLOCK_RECURSE).
 */
#define HOLES_VERSION 802
#define HOLES_VERSION_MICRO 1
/*
 * Before, blockdev-add above a disk with requests under way in an I/O thread
 * gives back that thread's lock, which it never took, and QEMU aborts.
 */
#define IO_THREADS_VERSION 900
/* From here on the guest gets no error for a disk that can't be read. */
#define CBW_ERROR_VERSION 1001
/* As in qemu.c: what a client that was killed has passed is replaced by it. */
#define FD_NAME "vma-dump-nbd"

struct QemuNbd {
    /* Set at creation, never changed. */
    const QemuOptions *options;
    Progress *progress;

    /* Set when it is started. */
    Qmp *owned_qmp;             /* NULL: the caller's is used */
    Qmp *qmp;
    QemuClaim *claim;           /* NULL: nothing has been done in QEMU */
    Freeze *freeze;             /* NULL: no freezing */
    FreezeAgain *again;         /* that has it, or NULL: we have */
    Fleecing *fleecing;
    GPtrArray *disks;           /* of QemuDisk */
    QemuBitmaps *bitmaps;       /* NULL: none */

    int socket_fd;              /* -1: none; see private-socket.h */
    bool interrupted;           /* by a signal, which has been dealt with */
    bool started;               /* the jobs are there */
    bool stopping;              /* jobs may end */
    bool finished;
    char *failure;              /* NULL: the point in time is not lost */
    int64_t start_us;           /* of the sending, for the speed; 0: not yet */
    int64_t watched_us;
};

QemuNbd *qemu_nbd_new(const QemuOptions *options, Progress *progress)
{
    QemuNbd *n = g_new0(QemuNbd, 1);

    n->options = options;
    n->progress = progress;
    n->socket_fd = -1;
    return n;
}

void qemu_nbd_free(QemuNbd *n)
{
    if (n) {
        if (n->socket_fd >= 0) {
            close(n->socket_fd);
        }
        g_clear_pointer(&n->bitmaps, qemu_bitmaps_free);
        g_clear_pointer(&n->claim, qemu_claim_free);
        g_clear_pointer(&n->owned_qmp, qmp_free);
        g_clear_pointer(&n->again, freeze_again_stop);
        g_clear_pointer(&n->freeze, freeze_free);
        g_clear_pointer(&n->fleecing, fleecing_free);
        g_clear_pointer(&n->disks, g_ptr_array_unref);
        g_free(n->failure);
        g_free(n);
    }
}

/* Events */

static const char *disk_name_of(const QemuNbd *n, QemuKind kind,
                                const char *name)
{
    unsigned index;
    QemuDisk *disk;

    if (!n->disks || !qemu_claim_index(n->claim, kind, name, &index) ||
        index >= n->disks->len) {
        return NULL;
    }
    disk = g_ptr_array_index(n->disks, index);
    return disk->name;
}

static void on_event(const char *event, JsonObject *data, void *opaque)
{
    QemuNbd *n = opaque;
    const char *disk;

    if (!data || n->failure || n->stopping || !n->started) {
        return;
    }
    if (strcmp(event, "QUORUM_REPORT_BAD") == 0) {
        const char *why = json_lines_get_string(data, "error");

        disk = disk_name_of(n, QEMU_IMAGE,
                            json_lines_get_string(data, "node-name"));
        if (disk) {
            n->failure = g_strdup_printf(
                "the temporary image of disk '%s' in '%s' has failed: %s", disk,
                n->options->fleecing, why ? why : "QEMU does not say why");
        }
    } else if (strcmp(event, "BLOCK_JOB_CANCELLED") == 0 ||
               strcmp(event, "BLOCK_JOB_COMPLETED") == 0) {
        disk = disk_name_of(n, QEMU_JOB, json_lines_get_string(data, "device"));
        if (disk) {
            n->failure = g_strdup_printf(
                "disk '%s' was removed from QEMU, or somebody has cancelled "
                "its job", disk);
        }
    }
}

/* For freeze.h; after this the monitor can be talked to again, for a while. */
static void note_interruption(void *opaque)
{
    QemuNbd *n = opaque;

    if (io_interrupted(NULL)) {
        n->interrupted = true;
        io_clear_interrupt();
        qmp_set_deadline(n->qmp, CLEANUP_SECONDS);
    }
}

/* Before the point in time */

static bool connect_monitor(QemuNbd *n, GError **error)
{
    n->qmp = n->options->qmp;
    if (!n->qmp) {
        n->owned_qmp = qmp_connect(n->options->socket, CONNECT_SECONDS, NULL,
                                   NULL, error);
        n->qmp = n->owned_qmp;
    }
    if (!n->qmp) {
        return false;
    }
    if (qmp_version(n->qmp) < MIN_VERSION) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "this QEMU is older than %d.%d", MIN_VERSION / 100,
                    MIN_VERSION % 100);
        return false;
    }
    qmp_set_events(n->qmp, on_event, n);
    return true;
}

static JsonObject *encode_null(const QemuNbd *n, QemuKind kind, unsigned index,
                               uint64_t bytes)
{
    g_autofree char *node = qemu_claim_name(n->claim, kind, index);
    JsonObject *arguments = qmp_strings("driver", "null-co", "node-name", node,
                                        NULL);

    json_object_set_int_member(arguments, "size", bytes);
    return arguments;
}

static bool add_guard(QemuNbd *n, unsigned index, GError **error)
{
    g_autofree char *node = qemu_claim_name(n->claim, QEMU_GUARD, index);
    g_autofree char *image = qemu_claim_name(n->claim, QEMU_IMAGE, index);
    g_autofree char *null = qemu_claim_name(n->claim, QEMU_NULL, index);
    JsonObject *arguments = qmp_strings("driver", "quorum", "node-name", node,
                                        "read-pattern", "fifo", NULL);
    JsonArray *children = json_array_new();

    json_array_add_string_element(children, image);
    json_array_add_string_element(children, null);
    json_object_set_array_member(arguments, "children", children);
    json_object_set_int_member(arguments, "vote-threshold", 1);
    return qmp_execute(n->qmp, "blockdev-add", arguments, -1, error);
}

static bool add_images(QemuNbd *n, GError **error)
{
    n->fleecing = fleecing_new(n->qmp, n->claim, n->options->fleecing,
                               n->options->fleecing_bytes);
    for (guint i = 0; i < n->disks->len; i++) {
        const QemuDisk *disk = g_ptr_array_index(n->disks, i);

        if (!fleecing_add(n->fleecing, i, disk->size_bytes, error) ||
            !qmp_execute(n->qmp, "blockdev-add",
                         encode_null(n, QEMU_NULL, i, disk->size_bytes), -1,
                         error) ||
            !add_guard(n, i, error)) {
            return false;
        }
    }
    return true;
}

/*
 * As qmp_execute(), but a signal is no reason not to learn what became of it, nor
 * is a second one: what is not ours must not be taken for it, nor be lost.
 */
static bool insist(QemuNbd *n, const char *command, JsonObject *arguments,
                   int fd, GError **error)
{
    int64_t id = qmp_send(n->qmp, command, arguments, fd, error);
    g_autoptr(JsonObject) answer = NULL;
    g_autoptr(GError) local = NULL;

    if (!id) {
        return false;
    }
    answer = qmp_receive(n->qmp, id, &local);
    while (!answer && io_interrupted(NULL)) {
        g_clear_error(&local);
        note_interruption(n);
        answer = qmp_receive(n->qmp, id, &local);
    }
    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
    }
    return answer != NULL;
}

static bool run_server(QemuNbd *n, int fd, GError **error)
{
    JsonObject *address = json_object_new();
    JsonObject *arguments = json_object_new();

    json_object_set_string_member(address, "type", "fd");
    json_object_set_object_member(address, "data",
                                  qmp_strings("str", FD_NAME, NULL));
    json_object_set_object_member(arguments, "addr", address);
    json_object_set_int_member(arguments, "max-connections", 0);
    if (!insist(n, "getfd", qmp_strings("fdname", FD_NAME, NULL), fd, error)) {
        json_object_unref(arguments);
        return false;
    }
    return insist(n, "nbd-server-start", arguments, -1, error);
}

/* What did not start is not ours. */
static void forget_server(QemuNbd *n)
{
    g_autofree char *mark = qemu_claim_name(n->claim, QEMU_SERVER, 0);

    (void)insist(n, "blockdev-del", qmp_strings("node-name", mark, NULL), -1,
                 NULL);
    (void)insist(n, "closefd", qmp_strings("fdname", FD_NAME, NULL), -1, NULL);
}

static void set_no_server(const QemuNbd *n, const GError *reason,
                          GError **error)
{
    if (n->interrupted) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "interrupted");
        return;
    }
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "cannot start QEMU's NBD server, of which it has only one: %s "
                "(if it is in use, by another backup or a migration, wait for "
                "the end; nbd-server-stop stops one that was forgotten)",
                reason->message);
}

/*
 * QEMU has one server.  The mark is there before it is, and as long as it is.
 * So from the mark on a signal does not come in between.
 */
static bool start_server(QemuNbd *n, GError **error)
{
    g_autoptr(GError) local = NULL;
    int fd = private_socket_listen(WIRE_DEVICES_MAX * NBD_LINKS_MAX,
                                   &n->socket_fd, error);
    bool ok;

    if (fd < 0 || io_interrupted(error)) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    /*
     * QEMU's I/O thread may close the descriptor, with those of a client before
     * us that was killed in this very command.  The next one stays.
     */
    ok = insist(n, "blockdev-add", encode_null(n, QEMU_SERVER, 0, 0), -1,
                &local) &&
         (run_server(n, fd, NULL) || run_server(n, fd, &local));
    close(fd);
    if (ok && !n->interrupted) {
        return true;
    }
    if (!ok) {
        forget_server(n);
    }
    set_no_server(n, local, error);
    return false;
}

/* The point in time */

static JsonObject *encode_action(QemuNbd *n, unsigned index)
{
    const QemuDisk *disk = g_ptr_array_index(n->disks, index);
    g_autofree char *job = qemu_claim_name(n->claim, QEMU_JOB, index);
    g_autofree char *guard = qemu_claim_name(n->claim, QEMU_GUARD, index);
    g_autofree char *filter = qemu_claim_name(n->claim, QEMU_FILTER, index);
    JsonObject *data = qmp_strings("job-id", job, "device", disk->node,
                                   "target", guard, "sync", "none",
                                   "filter-node-name", filter, NULL);
    JsonObject *action = qmp_strings("type", "blockdev-backup", NULL);

    if (qmp_version(n->qmp) >= CBW_ERROR_VERSION) {
        json_object_set_string_member(data, "on-cbw-error", "break-snapshot");
    }
    json_object_set_object_member(action, "data", data);
    return action;
}

static JsonObject *encode_transaction(QemuNbd *n)
{
    JsonObject *arguments = json_object_new();
    JsonArray *actions = json_array_new();

    if (n->bitmaps) {
        qemu_bitmaps_add_actions(n->bitmaps, actions);
    }
    for (guint i = 0; i < n->disks->len; i++) {
        json_array_add_object_element(actions, encode_action(n, i));
    }
    json_object_set_array_member(arguments, "actions", actions);
    return arguments;
}

/* Nothing waits without a limit in a moment that the guest spends frozen. */
static bool set_point_in_time(QemuNbd *n, BackupInfo *info, GError **error)
{
    g_autoptr(JsonObject) arguments = encode_transaction(n);
    struct timespec now;
    bool ok;

    if (!freeze_start(n->freeze, error)) {
        note_interruption(n);
        freeze_thaw(n->freeze);
        return false;
    }
    if (n->freeze) {
        qmp_set_deadline(n->qmp, START_SECONDS);
    }
    n->started = true;
    ok = qmp_execute(n->qmp, "transaction", g_steal_pointer(&arguments), -1,
                     error);
    clock_gettime(CLOCK_REALTIME, &now);
    note_interruption(n);
    freeze_thaw(n->freeze);
    if (!ok) {
        g_prefix_error(error, "cannot start the backup: ");
        return false;
    }
    if (n->interrupted) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "interrupted");
        return false;
    }
    if (!freeze_again_start(n->freeze, &n->again, error)) {
        return false;
    }
    qmp_set_deadline(n->qmp, 0);
    info->start_time_s = now.tv_sec;
    info->start_time_ns = now.tv_nsec;
    return true;
}

/* After it */

static bool export_snapshot(QemuNbd *n, unsigned index, GError **error)
{
    g_autofree char *filter = qemu_claim_name(n->claim, QEMU_FILTER, index);
    g_autofree char *node = qemu_claim_name(n->claim, QEMU_SNAPSHOT, index);
    g_autofree char *export = qemu_claim_name(n->claim, QEMU_EXPORT, index);
    JsonObject *arguments = qmp_strings("type", "nbd", "id", export,
                                        "node-name", node, "name", export,
                                        NULL);

    json_object_set_boolean_member(arguments, "writable", true);
    if (!qmp_execute(n->qmp, "blockdev-add",
                     qmp_strings("driver", "snapshot-access", "node-name", node,
                                 "file", filter, "discard", "unmap", NULL), -1,
                     error)) {
        json_object_unref(arguments);
        return false;
    }
    return qmp_execute(n->qmp, "block-export-add", arguments, -1, error);
}

static bool can_tell_holes(const Qmp *qmp)
{
    unsigned version = qmp_version(qmp);

    return version > HOLES_VERSION ||
           (version == HOLES_VERSION &&
            qmp_version_micro(qmp) >= HOLES_VERSION_MICRO);
}

static Disk *open_snapshot(QemuNbd *n, unsigned index, GError **error)
{
    const QemuDisk *disk = g_ptr_array_index(n->disks, index);
    g_autofree char *export = qemu_claim_name(n->claim, QEMU_EXPORT, index);
    g_autofree char *uri =
        g_strdup_printf("nbd+unix:///%s?socket=/proc/self/fd/%d", export,
                        n->socket_fd);
    const DiskOptions options = {
        .name = disk->name,
        .snapshot = true,
        .by_clusters = qmp_version(n->qmp) < RANGES_VERSION,
        .no_extents = !can_tell_holes(n->qmp),
    };

    return disk_open(uri, &options, error);
}

static bool open_disks(QemuNbd *n, BackupInfo *info, GPtrArray *disks,
                       GError **error)
{
    for (guint i = 0; i < n->disks->len; i++) {
        const QemuDisk *disk = g_ptr_array_index(n->disks, i);
        Disk *opened;

        if (!export_snapshot(n, i, error)) {
            g_prefix_error(error, "cannot export disk '%s': ", disk->name);
            return false;
        }
        opened = open_snapshot(n, i, error);
        if (!opened) {
            return false;
        }
        g_ptr_array_add(disks, opened);
        backup_info_add_device(info, i + 1, disk->name,
                               disk_size_bytes(opened));
    }
    return true;
}

/* Whether a device's root node is our filter of a disk, or still the disk's. */
static bool is_on_top(const QemuNbd *n, guint index, GPtrArray *now)
{
    const QemuDisk *disk = g_ptr_array_index(n->disks, index);
    g_autofree char *filter = qemu_claim_name(n->claim, QEMU_FILTER, index);

    for (guint i = 0; i < now->len; i++) {
        const QemuDisk *found = g_ptr_array_index(now, i);

        if (strcmp(found->node, filter) == 0 ||
            strcmp(found->node, disk->node) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * Between the list and the point in time somebody may have put another image
 * on top of a disk: then the guest writes to that, and not through our filter.
 * A node that was chosen by its name is what it was, and a disk that has come
 * meanwhile is for the next backup.
 */
static bool verify_disks(QemuNbd *n, GError **error)
{
    g_autoptr(GPtrArray) now = NULL;

    if (qemu_disks_verify_owner(n->qmp, error)) {
        now = qemu_disks_list(n->qmp, n->options->devices, error);
    }

    for (guint i = 0; now && i < n->disks->len; i++) {
        if (!is_on_top(n, i, now)) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "the guest's disks have changed while the backup was "
                        "started");
            return false;
        }
    }
    return now != NULL;
}

static bool prepare_bitmaps(QemuNbd *n, GError **error)
{
    const char *name = n->options->bitmap;

    if (name) {
        n->bitmaps = qemu_bitmaps_new(n->qmp, n->claim, n->disks, name, error);
    }
    return !name || n->bitmaps;
}

static bool verify_io_threads(QemuNbd *n, GError **error)
{
    g_autoptr(JsonNode) threads = NULL;

    if (qmp_version(n->qmp) >= IO_THREADS_VERSION) {
        return true;
    }
    threads = qmp_query(n->qmp, "query-iothreads", NULL, error);
    if (threads && JSON_NODE_HOLDS_ARRAY(threads) &&
        json_array_get_length(json_node_get_array(threads)) > 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "this QEMU is older than %d.%d and has I/O threads (-object "
                    "iothread): the backup of a disk in one could abort it",
                    IO_THREADS_VERSION / 100, IO_THREADS_VERSION % 100);
        return false;
    }
    return threads != NULL;
}

bool qemu_nbd_start(QemuNbd *n, BackupInfo *info, GPtrArray *disks,
                    GError **error)
{
    const QemuOptions *o = n->options;

    if (o->agent) {
        n->freeze = freeze_new(o->agent, n->progress, note_interruption, n,
                               error);
        if (!n->freeze) {
            return false;
        }
    }
    if (!connect_monitor(n, error) || !verify_io_threads(n, error) ||
        !qemu_disks_verify_owner(n->qmp, error)) {
        return false;
    }
    n->claim = qemu_claim_new(n->qmp, o->socket, error);
    if (!n->claim) {
        return false;
    }
    if (!qemu_claim_release(n->claim, error)) {
        g_prefix_error(error, "cannot remove from QEMU what an earlier backup "
                       "has left there: ");
        return false;
    }
    n->disks = qemu_disks_list(n->qmp, o->devices, error);
    return n->disks && qemu_disks_verify_devices(n->qmp, n->disks, error) &&
           prepare_bitmaps(n, error) && add_images(n, error) &&
           start_server(n, error) &&
           set_point_in_time(n, info, error) && verify_disks(n, error) &&
           open_disks(n, info, disks, error);
}

/* While it is read */

/* Tells about n->failure, in place of what has come of it. */
static bool verify_unbroken(QemuNbd *n, GError **error)
{
    if (n->failure) {
        g_clear_error(error);
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s",
                    n->failure);
        return false;
    }
    return true;
}

/* How long to wait before more is read; zeroes cost the guest's disk nothing. */
static int64_t ahead_us(const QemuNbd *n, const DiskTotals *totals)
{
    double data_bytes = totals->done_bytes - totals->zero_bytes;
    int64_t passed_us = g_get_monotonic_time() - n->start_us;

    return n->options->speed == 0 ? 0 :
           MIN(data_bytes / n->options->speed * G_USEC_PER_SEC, G_MAXINT64 / 2)
           - passed_us;
}

bool qemu_nbd_watch(void *opaque, const DiskTotals *totals, GError **error)
{
    QemuNbd *n = opaque;
    int64_t now_us = g_get_monotonic_time();
    int64_t wait_us;

    if (n->start_us == 0) {
        n->start_us = now_us;
    }
    while ((wait_us = ahead_us(n, totals)) > 0) {
        if (!qmp_wait(n->qmp, MIN(wait_us, WATCH_US) / 1000 + 1, error) ||
            !verify_unbroken(n, error)) {
            return false;
        }
    }
    if (now_us - n->watched_us < WATCH_US) {
        return true;
    }
    n->watched_us = now_us;
    return qmp_poll(n->qmp, error) && verify_unbroken(n, error);
}

/* The answer comes after the events of whatever happened before the question. */
bool qemu_nbd_confirm(QemuNbd *n, GError **error)
{
    g_autoptr(JsonNode) jobs = qmp_query(n->qmp, "query-jobs", NULL, error);
    JsonArray *array = jobs && JSON_NODE_HOLDS_ARRAY(jobs)
                       ? json_node_get_array(jobs) : NULL;
    unsigned running = 0, index;

    if (!jobs || !verify_unbroken(n, error)) {
        return false;
    }
    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);
        JsonObject *job = JSON_NODE_HOLDS_OBJECT(element)
                          ? json_node_get_object(element) : NULL;
        const char *status = job ? json_lines_get_string(job, "status") : NULL;

        if (status && (strcmp(status, "running") == 0 ||
                       strcmp(status, "paused") == 0) &&
            qemu_claim_index(n->claim, QEMU_JOB,
                             json_lines_get_string(job, "id"), &index)) {
            running++;
        }
    }
    if (running != n->disks->len) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "somebody has ended a job of the backup in QEMU");
        return false;
    }
    return true;
}

/* The end */

void qemu_nbd_explain(QemuNbd *n, GError **error)
{
    if (*error && n->started && !n->stopping && !io_interrupted(NULL) &&
        qmp_poll(n->qmp, NULL)) {
        (void)verify_unbroken(n, error);
    }
}

/* Once more for every signal that comes in between. */
static bool release(QemuNbd *n, GError **error)
{
    g_autoptr(GError) local = NULL;
    bool again;

    do {
        g_clear_error(&local);
        if (qemu_claim_release(n->claim, &local)) {
            if (n->fleecing) {
                fleecing_set_unused(n->fleecing);
            }
            return true;
        }
        again = io_interrupted(NULL);
        note_interruption(n);
    } while (again);
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

bool qemu_nbd_finish(QemuNbd *n, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (n->finished) {
        return !*error;
    }
    n->finished = true;
    if (n->qmp) {
        qemu_nbd_explain(n, error);
        note_interruption(n);
        n->stopping = true;
        qmp_set_deadline(n->qmp, CLEANUP_SECONDS);
    }
    if (n->claim && !release(n, &local)) {
        qemu_claim_extend_error(error, local);
    }
    g_clear_pointer(&n->again, freeze_again_stop);
    (void)freeze_thaw_at_last(n->freeze, error);
    g_clear_pointer(&n->freeze, freeze_free);
    return !*error;
}

static void keep_bitmaps(QemuNbd *n, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (insist(n, "transaction", qemu_bitmaps_encode_keep(n->bitmaps), -1,
               &local)) {
        cli_note("the dirty bitmap '%s' begins with this backup",
                 n->options->bitmap);
        return;
    }
    if (local->domain == JSON_LINES_ERROR) {
        (void)qemu_bitmaps_remove(n->bitmaps, NULL);
    }
    if (*error) {
        g_prefix_error(error, "there is no dirty bitmap (%s), and ",
                       local->message);
    } else {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the backup is complete, and there is no dirty bitmap: %s",
                    local->message);
    }
}

/* What is not asked for in time the next backup removes. */
bool qemu_nbd_settle(QemuNbd *n, bool stored, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (!n->bitmaps || !n->started) {
        return !*error;
    }
    note_interruption(n);
    qmp_set_deadline(n->qmp, CLEANUP_SECONDS);
    if (stored) {
        keep_bitmaps(n, error);
    } else if (!qemu_bitmaps_remove(n->bitmaps, &local) &&
               local->domain != JSON_LINES_ERROR) {
        qemu_claim_extend_error(error, local);
    }
    g_clear_pointer(&n->bitmaps, qemu_bitmaps_free);
    return !*error;
}
