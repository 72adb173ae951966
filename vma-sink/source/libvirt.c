/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a guest of libvirt is backed up:
 *
 *     device -> filter -> disk
 *                 |        ^ what is not copied
 *                 v        |
 *               scratch image -> NBD server -> vma-dump
 *
 * virDomainBackupBegin() has QEMU put up the filters of all disks in one
 * transaction, the point in time.  They copy what the guest is about to
 * overwrite to the scratch images, which are files of ours (libvirt-scratch.h),
 * and these are read through QEMU's NBD server on a socket that nobody else can
 * reach. libvirt takes all of it down when the job is aborted, which is how one
 * in pull mode ends, and so when the guest is shut off.
 *
 * What is read is right as long as the job is there: QEMU lets no write of the
 * guest through that was not copied.  So libvirt_backup_confirm() asks for the
 * job after the last read, and by its scratch files, for somebody could have
 * ended ours and begun another one.
 *
 * Threads: this one, which reads and sends and may wait for the stream's
 * reader; the guard, which may not (libvirt-guard.h); one that thaws, where that
 * has failed at first (freeze-again.h); and one for each question to libvirt
 * (libvirt-guest.h).
 */
#include "source/libvirt.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/io.h"
#include "io/pace.h"
#include "source/freeze-again.h"
#include "source/freeze.h"
#include "source/libvirt-disks.h"
#include "source/libvirt-freeze.h"
#include "source/libvirt-guard.h"
#include "source/libvirt-guest.h"
#include "source/libvirt-job.h"
#include "source/libvirt-scratch.h"

#define CONFIG_NAME "libvirt.xml"
/* Before, QEMU can abort: see qemu-nbd.c.  With libvirt it was seen, too. */
#define IO_THREADS_VERSION 900
/* After an interruption. */
#define CLEANUP_SECONDS 30
/*
 * While file systems are frozen, libvirt has so long to set the point in time.
 */
#define START_SECONDS 60
/* So soon after a failure libvirt knows of what has led to it. */
#define EXPLAIN_US G_USEC_PER_SEC
#define EXPLAIN_AGAIN_US (50 * 1000)
/*
 * Where QEMU may make a socket, and AppArmor lets it, if it is there: libvirt's
 * folder for this run of the guest, by its id and the first 20 bytes of its
 * name.
 */
#define LIBVIRT_FOLDER "/var/lib/libvirt/qemu/domain-%d-%.20s"

struct LibvirtBackup {
    /* Set at creation, never changed. */
    const LibvirtOptions *options;
    Progress *progress;

    /* Set when it is started. */
    LibvirtGuest *guest;
    LibvirtXml *xml;
    GPtrArray *disks;           /* of LibvirtDisk, which are xml's */
    LibvirtScratch *scratch;
    LibvirtGuard *guard;
    Freeze *freeze;             /* NULL: no freezing */
    FreezeAgain *again;         /* that has it, or NULL: we have */

    bool resume;                /* the guest was not paused by an I/O error */
    bool started;               /* there may be a job */
    bool interrupted;           /* by a signal, which has been dealt with */
    bool explained;
    IoPace pace;
    uint64_t paced_bytes;       /* that it has seen */
};

LibvirtBackup *libvirt_backup_new(const LibvirtOptions *options,
                                  Progress *progress)
{
    LibvirtBackup *b = g_new0(LibvirtBackup, 1);

    b->options = options;
    b->progress = progress;
    b->pace.rate = options->speed;
    return b;
}

void libvirt_backup_free(LibvirtBackup *b)
{
    if (b) {
        g_clear_pointer(&b->guard, libvirt_guard_free);
        g_clear_pointer(&b->again, freeze_again_stop);
        g_clear_pointer(&b->freeze, freeze_free);
        g_clear_pointer(&b->scratch, libvirt_scratch_free);
        g_clear_pointer(&b->disks, g_ptr_array_unref);
        g_clear_pointer(&b->xml, libvirt_xml_free);
        g_clear_pointer(&b->guest, libvirt_guest_free);
        g_free(b);
    }
}

/* For freeze.h; after this libvirt can be talked to again, for a while. */
static void note_interruption(void *opaque)
{
    LibvirtBackup *b = opaque;

    if (io_interrupted(NULL)) {
        b->interrupted = true;
        io_clear_interrupt();
        libvirt_guest_set_deadline(b->guest, CLEANUP_SECONDS);
    }
}

/* Before the point in time */

static bool verify_running(LibvirtBackup *b, GError **error)
{
    LibvirtState state;

    if (!libvirt_guest_state(b->guest, &state, error)) {
        return false;
    }
    if (state == LIBVIRT_OFF) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "guest '%s' does not run (back up its disks as NAME=IMAGE)",
                    b->options->name);
        return false;
    }
    b->resume = state != LIBVIRT_IO_ERROR;
    return true;
}

static void warn_of(const LibvirtDisk *disk, const char *folder)
{
    if (disk->shareable) {
        cli_note("warning: disk '%s' is shareable: what others than this guest "
                 "write to it meanwhile may be in the backup", disk->name);
    }
    if (g_strcmp0(disk->error_policy, "report") == 0 ||
        g_strcmp0(disk->error_policy, "ignore") == 0) {
        cli_note("warning: disk '%s' has error_policy='%s': the guest's writes "
                 "fail if '%s' gets full", disk->name, disk->error_policy,
                 folder);
    }
}

static bool find_disks(LibvirtBackup *b, GError **error)
{
    g_autofree char *text = libvirt_guest_xml(b->guest, false, error);
    unsigned version;

    if (!text) {
        return false;
    }
    b->xml = libvirt_xml_parse(text, error);
    if (!b->xml) {
        return false;
    }
    version = libvirt_guest_qemu_version(b->guest);
    if (b->xml->io_threads && version > 0 && version < IO_THREADS_VERSION) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "this QEMU is older than %d.%d and has I/O threads "
                    "(<iothreads>): the backup of a disk in one could abort it",
                    IO_THREADS_VERSION / 100, IO_THREADS_VERSION % 100);
        return false;
    }
    b->disks = libvirt_disks_choose(b->xml, b->options->devices, error);
    for (guint i = 0; b->disks && i < b->disks->len; i++) {
        warn_of(g_ptr_array_index(b->disks, i), b->options->fleecing);
    }
    return b->disks != NULL;
}

/* As it would be started: what is of this run alone is of no use later. */
static bool add_config(LibvirtBackup *b, BackupInfo *info, GError **error)
{
    g_autofree char *text = NULL;

    if (backup_info_find_config(info, CONFIG_NAME)) {
        return true;
    }
    text = libvirt_guest_xml(b->guest, true, error);
    if (!text) {
        return false;
    }
    if (strlen(text) > BACKUP_CONFIG_MAX_BYTES) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the guest's XML is larger than %u bytes (carry another "
                    "one, with --config FILE=" CONFIG_NAME ")",
                    BACKUP_CONFIG_MAX_BYTES);
        return false;
    }
    backup_info_add_config(info, CONFIG_NAME, text, strlen(text));
    return true;
}

/* "+64055" or "64055". */
static bool parse_number(const char *text, guint64 *number)
{
    return g_ascii_string_to_unsigned(text + (*text == '+'), 10, 0, G_MAXINT32,
                                      number, NULL);
}

/* LABEL: "+64055:+107", or the same with names. */
static bool parse_label(const char *label, uid_t *uid, gid_t *gid)
{
    g_auto(GStrv) parts = g_strsplit(label, ":", 2);
    const struct passwd *user;
    const struct group *group;
    guint64 number;

    if (!parts[0] || !parts[1]) {
        return false;
    }
    if (parse_number(parts[0], &number)) {
        *uid = number;
    } else if ((user = getpwnam(parts[0]))) {
        *uid = user->pw_uid;
    } else {
        return false;
    }
    if (parse_number(parts[1], &number)) {
        *gid = number;
        return true;
    }
    group = getgrnam(parts[1]);
    if (group) {
        *gid = group->gr_gid;
    }
    return group != NULL;
}

static bool is_in_group(gid_t gid)
{
    int count = MAX(getgroups(0, NULL), 0);
    g_autofree gid_t *groups = g_new(gid_t, count + 1);
    bool found = getegid() == gid;

    count = getgroups(count, groups);
    for (int i = 0; i < count; i++) {
        found |= groups[i] == gid;
    }
    return found;
}

/* As libvirt tells it, or, where it tells nothing, as whom we are. */
static bool find_user(const LibvirtBackup *b, LibvirtScratchOptions *options,
                      GError **error)
{
    const char *label = b->xml->dac_label;

    options->uid = geteuid();
    options->gid = getegid();
    if (label && !parse_label(label, &options->uid, &options->gid)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot tell which user QEMU runs as: '%s'", label);
        return false;
    }
    if (geteuid() != 0 && geteuid() != options->uid &&
        !is_in_group(options->gid)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "only root, and the user and the group that QEMU runs as "
                    "(%d:%d), can reach its NBD server: run vma-dump as root",
                    (int)options->uid, (int)options->gid);
        return false;
    }
    return true;
}

static bool make_scratch(LibvirtBackup *b, GError **error)
{
    g_autofree char *socket_folder =
        g_strdup_printf(LIBVIRT_FOLDER, libvirt_guest_id(b->guest),
                        b->xml->name ? b->xml->name : "");
    LibvirtScratchOptions options = {
        .folder = b->options->fleecing,
        .limit_bytes = b->options->fleecing_bytes,
        .uuid = libvirt_guest_uuid(b->guest),
    };

    if (!find_user(b, &options, error)) {
        return false;
    }
    if (libvirt_guest_is_system(b->guest) && geteuid() == 0 &&
        g_file_test(socket_folder, G_FILE_TEST_IS_DIR)) {
        options.socket_folder = socket_folder;
    }
    b->scratch = libvirt_scratch_new(&options, error);
    for (guint i = 0; b->scratch && i < b->disks->len; i++) {
        const LibvirtDisk *disk = g_ptr_array_index(b->disks, i);
        uint64_t bytes;

        if (!libvirt_guest_disk_bytes(b->guest, disk->target, &bytes, error)) {
            return false;
        }
        if (bytes == 0 || bytes > WIRE_DEVICE_MAX_BYTES) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "device '%s' can't be backed up: its size is not "
                        "possible", disk->name);
            return false;
        }
        if (!libvirt_scratch_add(b->scratch, bytes, error)) {
            return false;
        }
    }
    return b->scratch != NULL;
}

/* The point in time */

static void extend_start_error(const LibvirtBackup *b, GError **error)
{
    bool permission = strstr((*error)->message, "Permission denied") != NULL;

    g_prefix_error(error, permission
                   ? "cannot start the backup (the user that QEMU runs as has "
                     "to get to the folder '%s'): "
                   : "cannot start the backup: ", b->options->fleecing);
}

/* Nothing waits without a limit in a moment that the guest spends frozen. */
static bool set_point_in_time(LibvirtBackup *b, BackupInfo *info,
                              GError **error)
{
    g_autofree char *xml = libvirt_job_encode(b->disks, b->scratch);
    struct timespec now;
    bool ok;

    if (!freeze_start(b->freeze, error)) {
        note_interruption(b);
        freeze_thaw(b->freeze);
        return false;
    }
    if (b->freeze) {
        libvirt_guest_set_deadline(b->guest, START_SECONDS);
    }
    b->started = true;
    ok = libvirt_guest_begin(b->guest, xml, error);
    clock_gettime(CLOCK_REALTIME, &now);
    note_interruption(b);
    freeze_thaw(b->freeze);
    if (b->interrupted) {
        g_clear_error(error);
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "interrupted");
        return false;
    }
    if (!ok) {
        extend_start_error(b, error);
        return false;
    }
    if (!freeze_again_start(b->freeze, &b->again, error)) {
        return false;
    }
    libvirt_guest_set_deadline(b->guest, 0);
    info->start_time_s = now.tv_sec;
    info->start_time_ns = now.tv_nsec;
    return true;
}

/* After it */

static bool open_disks(LibvirtBackup *b, BackupInfo *info, GPtrArray *disks,
                       GError **error)
{
    b->guard = libvirt_guard_new(b->guest, b->scratch, b->disks,
                                 b->options->fleecing, b->resume, error);
    if (!b->guard || !libvirt_scratch_hide(b->scratch, error)) {
        return false;
    }
    for (guint i = 0; i < b->disks->len; i++) {
        const LibvirtDisk *disk = g_ptr_array_index(b->disks, i);
        g_autofree char *export = g_uri_escape_string(disk->target, NULL,
                                                      false);
        g_autofree char *uri = g_strdup_printf(
            "nbd+unix:///%s?socket=/proc/self/fd/%d", export,
            libvirt_scratch_socket_fd(b->scratch));
        const DiskOptions options = {
            .name = disk->name, .snapshot = true, .overlay = true,
        };
        Disk *opened = disk_open(uri, &options, error);

        if (!opened) {
            return false;
        }
        g_ptr_array_add(disks, opened);
        backup_info_add_device(info, i + 1, disk->name,
                               disk_size_bytes(opened));
    }
    return true;
}

bool libvirt_backup_start(LibvirtBackup *b, BackupInfo *info, GPtrArray *disks,
                          GError **error)
{
    const LibvirtOptions *o = b->options;

    b->guest = libvirt_guest_open(o->uri, o->name, error);
    if (!b->guest || !verify_running(b, error) || !find_disks(b, error) ||
        !libvirt_job_end_left(b->guest, error) || !verify_running(b, error)) {
        return false;
    }
    if (o->freeze) {
        b->freeze = libvirt_freeze_new(b->guest, o->uri, o->name, b->progress,
                                       note_interruption, b, error);
        if (!b->freeze) {
            return false;
        }
    }
    return add_config(b, info, error) && make_scratch(b, error) &&
           set_point_in_time(b, info, error) &&
           open_disks(b, info, disks, error);
}

/* While it is read */

/* Tells why the guard has ended the backup, in place of what has come of it. */
static bool verify_guarded(LibvirtBackup *b, GError **error)
{
    g_autofree char *failure = b->guard ? libvirt_guard_failure(b->guard)
                                        : NULL;

    if (failure) {
        g_clear_error(error);
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s", failure);
    }
    return !failure;
}

/* Zeroes cost the guest's disk nothing. */
bool libvirt_backup_watch(void *opaque, const DiskTotals *totals,
                          GError **error)
{
    LibvirtBackup *b = opaque;
    uint64_t data_bytes = totals->done_bytes - totals->zero_bytes;

    do {
        size_t bytes = MIN(data_bytes - b->paced_bytes,
                           io_pace_part(&b->pace));

        if (!io_pace_wait(&b->pace, bytes, error) ||
            !verify_guarded(b, error)) {
            return false;
        }
        b->paced_bytes += bytes;
    } while (b->paced_bytes < data_bytes);
    return true;
}

bool libvirt_backup_confirm(void *opaque, GError **error)
{
    LibvirtBackup *b = opaque;
    bool is_mine;

    if (!verify_guarded(b, error)) {
        return false;
    }
    if (!libvirt_job_is_mine(b->guest, b->scratch, &is_mine, error)) {
        if (!io_interrupted(NULL)) {
            g_prefix_error(error, "libvirt can't tell whether the backup is "
                           "whole: ");
        }
        return false;
    }
    if (!is_mine) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "somebody has ended the backup in libvirt");
    }
    return is_mine;
}

/* The end */

/* The guard soon knows, if it is not the stream's reader that has failed. */
void libvirt_backup_explain(void *opaque, GError **error)
{
    LibvirtBackup *b = opaque;
    int64_t until_us = g_get_monotonic_time() + EXPLAIN_US;

    if (!*error || !b->guard || b->explained) {
        return;
    }
    b->explained = true;
    while (!io_interrupted(NULL) && verify_guarded(b, error) &&
           g_get_monotonic_time() < until_us) {
        g_usleep(EXPLAIN_AGAIN_US);
    }
}

/* Once more for every signal that comes in between. */
static bool end_job(LibvirtBackup *b, GError **error)
{
    g_autoptr(GError) local = NULL;
    bool again;

    do {
        g_clear_error(&local);
        if (libvirt_job_end(b->guest, b->scratch, &local) &&
            (!b->resume || libvirt_job_resume(b->guest, &local))) {
            return true;
        }
        again = io_interrupted(NULL);
        note_interruption(b);
    } while (again);
    g_propagate_error(error, g_steal_pointer(&local));
    return false;
}

static void extend_error(GError **error, const GError *reason)
{
    g_autoptr(GError) before = g_steal_pointer(error);

    g_set_error(error, BACKUP_ERROR,
                before && before->domain == BACKUP_ERROR
                ? before->code : BACKUP_ERROR_FAILED,
                "%s, and its job can't be ended in libvirt, which the next "
                "backup will try again: %s",
                before ? before->message : "the backup is complete",
                reason->message);
}

bool libvirt_backup_finish(void *opaque, GError **error)
{
    LibvirtBackup *b = opaque;
    g_autoptr(GError) local = NULL;

    if (b->guest) {
        libvirt_backup_explain(b, error);
    }
    /* It may have a question under way, whose time is not ours. */
    g_clear_pointer(&b->guard, libvirt_guard_free);
    if (b->guest) {
        note_interruption(b);
        libvirt_guest_set_deadline(b->guest, CLEANUP_SECONDS);
    }
    if (b->started && !end_job(b, &local)) {
        extend_error(error, local);
    }
    b->started = false;
    g_clear_pointer(&b->scratch, libvirt_scratch_free);
    g_clear_pointer(&b->again, freeze_again_stop);
    (void)freeze_thaw_at_last(b->freeze, error);
    g_clear_pointer(&b->freeze, freeze_free);
    return !*error;
}
