/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vma-dump: disks in, a backup stream out, from raw images or from a running
 * QEMU.  Only the command line is understood here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "io/io.h"
#include "io/output.h"
#include "source/command.h"
#include "source/disk.h"
#include "source/fleecing.h"
#ifdef HAVE_LIBVIRT
#include "source/libvirt.h"
#endif
#include "source/qemu-bitmaps.h"
#include "source/qemu-nbd.h"
#include "source/qemu.h"
#include "wire/answer.h"
#include "wire/writer.h"

/* How long a reader may take to make room for the record of an abort. */
#define ABORT_WAIT_MS 1000
/* The same as QEMU's; large archives take a while to sync. */
#define ANSWER_SECONDS 600
/* After a write error the answer, which may say why, is there or won't come. */
#define LATE_ANSWER_SECONDS 5
#define CONNECT_SECONDS 10

static const char summary[] =
    "Writes a backup stream of raw disk images, or of the disks of a running\n"
    "QEMU, to standard output.\n"
    "\n"
    "  vma-dump NAME=IMAGE... | vma-sink -o BACKUP.vma\n"
    "  vma-dump --qmp SOCKET | vma-sink -o BACKUP.vma\n"
    "  vma-dump --qmp SOCKET --to 'ssh HOST vma-sink -o BACKUP.vma'\n"
    "  vma-dump --libvirt GUEST --fleecing FOLDER | vma-sink -o BACKUP.vma\n"
    "\n"
    "An IMAGE is a raw file, a block device, or the URI of what an NBD server\n"
    "such as qemu-nbd exports (nbd://HOST/EXPORT or nbds: with TLS,\n"
    "nbd+unix:///EXPORT?socket=PATH). Nobody may write to it meanwhile: an\n"
    "image that a QEMU has open for writing and a device that is mounted are\n"
    "refused. The disks of a running QEMU are backed up as they are when the\n"
    "backup starts, whatever the guest does then. One without the patches of\n"
    "qemu-patch needs --fleecing.";

static char *opt_qmp;
static char *opt_libvirt;
static char *opt_connect;
static char **opt_devices;
static char **opt_configs;
static char *opt_speed;
static int opt_timeout = -1;
static gboolean opt_freeze;
static char *opt_fsfreeze;      /* NULL: no socket was given */
static char *opt_method;
static char *opt_fleecing;
static char *opt_fleecing_size;
static char *opt_bitmap;
static gboolean opt_any_content;
static gboolean opt_force_share;
static char *opt_to;
static gboolean opt_answer;
static int opt_answer_timeout = -1;

/* Its value is optional: libvirt knows the channel of a guest's agent. */
static gboolean parse_fsfreeze(const gchar *name, const gchar *value,
                               gpointer opaque, GError **error)
{
    (void)name;
    (void)opaque;
    (void)error;
    opt_freeze = TRUE;
    g_free(opt_fsfreeze);
    opt_fsfreeze = g_strdup(value);
    return TRUE;
}

static const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_configs,
      "Carry a configuration file in the backup, by default under its own name "
      "(repeatable)", "FILE[=NAME]" },
    { "any-content", 0, 0, G_OPTION_ARG_NONE, &opt_any_content,
      "Take an IMAGE as a raw disk also where it looks like qcow2 and the like",
      NULL },
    { "force-share", 'U', 0, G_OPTION_ARG_NONE, &opt_force_share,
      "Read an IMAGE also where it is in use: for what surely does not change, "
      "such as a disk of a paused guest or one that is mounted read-only",
      NULL },
    { "to", 0, 0, G_OPTION_ARG_FILENAME, &opt_to,
      "Start COMMAND, such as ssh with a vma-sink, and send the stream to it in "
      "place of standard output; succeed only when it has said that the backup "
      "is stored. Words and quotes are as in a shell, but none is run",
      "COMMAND" },
    { "answer", 0, 0, G_OPTION_ARG_NONE, &opt_answer,
      "Succeed only when the reader of the stream has said that the backup is "
      "stored; standard output must be a socket", NULL },
    { "answer-timeout", 0, 0, G_OPTION_ARG_INT, &opt_answer_timeout,
      "With --to or --answer: wait for it so long (600); 0: for ever",
      "SECONDS" },
    { "qmp", 0, 0, G_OPTION_ARG_FILENAME, &opt_qmp,
      "Back up the QEMU whose monitor (QMP) is the unix socket SOCKET",
      "SOCKET" },
    { "libvirt", 0, 0, G_OPTION_ARG_STRING, &opt_libvirt,
      "Back up this guest of libvirt, which carries out the backup; takes "
      "--fleecing", "GUEST" },
    { "connect", 0, 0, G_OPTION_ARG_STRING, &opt_connect,
      "With --libvirt: connect to this one of this host, as virsh does; the "
      "default is libvirt's", "URI" },
    { "device", 'd', 0, G_OPTION_ARG_STRING_ARRAY, &opt_devices,
      "With --qmp or --libvirt: back up this disk (repeatable); the default is "
      "all writable disks", "NAME" },
    { "speed", 0, 0, G_OPTION_ARG_STRING, &opt_speed,
      "With --qmp or --libvirt: read at most SIZE bytes per second (K, M, G, "
      "T: powers of 1024)", "SIZE" },
    { "timeout", 0, 0, G_OPTION_ARG_INT, &opt_timeout,
      "Give up after the reader of the stream has stalled for so long; 0: "
      "never; the default is 30 where QEMU writes it (the method pipe), else 0",
      "SECONDS" },
    { "fsfreeze", 0, G_OPTION_FLAG_OPTIONAL_ARG | G_OPTION_FLAG_FILENAME,
      G_OPTION_ARG_CALLBACK, parse_fsfreeze,
      "Freeze the guest's file systems while the backup starts, by the QEMU "
      "guest agent: with --qmp the one whose channel is the unix socket "
      "SOCKET, with --libvirt, and without SOCKET, the guest's", "SOCKET" },
    { "fleecing", 0, 0, G_OPTION_ARG_FILENAME, &opt_fleecing,
      "With --qmp or --libvirt: keep what the guest overwrites while it is "
      "backed up in temporary files in FOLDER, so that it does not wait for "
      "the reader of the stream; they have no names, and where they get no "
      "more space the backup fails", "FOLDER" },
    { "fleecing-size", 0, 0, G_OPTION_ARG_STRING, &opt_fleecing_size,
      "At most SIZE for each disk there", "SIZE" },
    { "method", 0, 0, G_OPTION_ARG_STRING, &opt_method,
      "With --qmp: pipe (QEMU writes the stream, which takes qemu-patch), nbd "
      "(vma-dump reads from any QEMU since 7.2, which takes --fleecing), or "
      "auto: with --fleecing whichever QEMU can do, else pipe", "HOW" },
    { "bitmap", 0, 0, G_OPTION_ARG_STRING, &opt_bitmap,
      "With --qmp: leave a dirty bitmap NAME on each disk, which has what the "
      "guest writes from the start of this backup on; takes the method nbd",
      "NAME" },
    PROGRESS_OPTION,
    { NULL },
};

/* Images */

/* A guest that runs, whose disks are read as they were at one moment. */
typedef struct Guest {
    /* After the last read: whether all of it is of that moment. */
    bool (*confirm)(void *opaque, GError **error);
    /* After a failure: says it better, where more is known. */
    void (*explain)(void *opaque, GError **error);
    /* Lets go of the moment; a second call does nothing more. */
    bool (*finish)(void *opaque, GError **error);
    /* The last one, which knows whether it is stored; may be NULL. */
    bool (*settle)(void *opaque, bool stored, GError **error);
} Guest;

typedef struct Images {
    BackupInfo *info;
    GPtrArray *images;          /* of Disk, in the order of info's devices */
    const Guest *guest;         /* that they are read from, or NULL */
    void *guest_opaque;         /* for it */
    GError *left;               /* what is left over in it after the end */
    DiskTotals totals;
} Images;

static void note_padding(const Disk *image)
{
    if (disk_padding_bytes(image) > 0) {
        cli_note("note: '%s' is no multiple of 512 bytes, %u zero bytes are "
                 "added", disk_name(image), disk_padding_bytes(image));
    }
}

static bool add_image(Images *images, const char *argument, GError **error)
{
    const char *source = strchr(argument, '=');
    g_autofree char *name = NULL;
    const DiskOptions options = {
        .any_content = opt_any_content,
        .force_share = opt_force_share,
    };
    g_autoptr(Disk) image = NULL;

    if (!source || source == argument || !source[1]) {
        cli_set_usage(error, "'%s' is not NAME=IMAGE", argument);
        return false;
    }
    name = g_strndup(argument, source++ - argument);
    if (!backup_name_is_valid(name, strlen(name))) {
        cli_set_usage(error, "'%s' is not a name: 1 to 255 bytes of UTF-8 "
                      "without control characters", name);
        return false;
    }
    if (backup_info_find_device(images->info, name)) {
        cli_set_usage(error, "the name '%s' is used twice", name);
        return false;
    }
    image = disk_open(source, &options, error);
    if (!image) {
        return false;
    }
    note_padding(image);
    images->totals.total_bytes += disk_size_bytes(image);
    backup_info_add_device(images->info, images->images->len + 1, name,
                           disk_size_bytes(image));
    g_ptr_array_add(images->images, g_steal_pointer(&image));
    return true;
}

static bool add_images(Images *images, char **arguments, GError **error)
{
    guint count = g_strv_length(arguments);

    if (count > WIRE_DEVICES_MAX) {
        cli_set_usage(error, "%u images are more than %u", count,
                      WIRE_DEVICES_MAX);
        return false;
    }
    for (; *arguments; arguments++) {
        if (!add_image(images, *arguments, error)) {
            return false;
        }
    }
    return true;
}

static bool send_images(Images *images, WireWriter *writer, Progress *progress,
                        GError **error)
{
    for (guint i = 0; i < images->images->len; i++) {
        if (!disk_send(g_ptr_array_index(images->images, i), writer,
                       g_ptr_array_index(images->info->devices, i),
                       &images->totals, progress, error)) {
            return false;
        }
    }
    return (!images->guest ||
            images->guest->confirm(images->guest_opaque, error)) &&
           wire_writer_finish(writer, error);
}

static void set_reader_failed(const char *failure, GError **error)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "the reader of the stream has failed: %s",
                *failure ? failure : "it does not say why");
}

/* Where one was asked for.  After END nothing may follow, not even an abort. */
static bool await_answer(int fd, const BackupInfo *info, Progress *progress,
                         GError **error)
{
    unsigned seconds = opt_answer_timeout < 0 ? ANSWER_SECONDS
                                              : opt_answer_timeout;
    g_autofree char *failure = NULL;
    g_autoptr(GError) local = NULL;

    if (!opt_answer) {
        return true;
    }
    progress_phase(progress, "completing");
    if (!wire_answer_receive(fd, info->uuid, seconds, &failure, &local)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_UNKNOWN, "it is not "
                    "known whether the backup is stored: %s", local->message);
        return false;
    }
    if (failure) {
        set_reader_failed(failure, error);
        return false;
    }
    return true;
}

/*
 * Tells the reader why nothing more comes, unless that would mean to wait for
 * one that does not read: a pipe that is ready takes a record this small whole.
 */
static void send_abort(WireWriter *writer, int fd, const GError *error)
{
    g_autofree char *message = cli_printable(error->message);
    uint32_t reason = WIRE_ABORT_SOURCE;

    if (io_interrupted(NULL)) {
        reason = WIRE_ABORT_CANCELLED;
        io_clear_interrupt();
    }
    if (!wire_writer_is_torn(writer) && io_wait_writable(fd, ABORT_WAIT_MS)) {
        wire_writer_abort(writer, reason, message);
    }
}

/* What has ended the stream, if the reader can say it better than we can. */
static void explain(const WireWriter *writer, int fd, const BackupInfo *info,
                    GError **error)
{
    g_autofree char *failure = NULL;

    if (!opt_answer || !wire_writer_is_torn(writer) || io_interrupted(NULL) ||
        !wire_answer_receive(fd, info->uuid, LATE_ANSWER_SECONDS, &failure,
                             NULL)) {
        return;
    }
    g_clear_error(error);
    if (failure) {
        set_reader_failed(failure, error);
    } else {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "the reader says "
                    "that the backup is stored, and does not have all of it");
    }
}

/* The stream from its preamble on; of IMAGES->info only the uuid is set here. */
static bool send_stream(Images *images, Progress *progress, GError **error)
{
    BackupInfo *info = images->info;
    g_autoptr(IoOutput) output = io_output_new("-", false, error);
    g_autoptr(WireWriter) writer = NULL;
    uint32_t features = WIRE_FEATURE_PAYLOAD_HASH |
                        (opt_answer ? WIRE_FEATURE_ANSWER : 0);

    if (!output) {
        return false;
    }
    io_enlarge_pipe(io_output_fd(output));
    uuid_generate(info->uuid);
    writer = wire_writer_new(io_output_fd(output), info, features, error);
    if (!writer) {
        return false;
    }
    if (!send_images(images, writer, progress, error)) {
        if (images->guest) {
            images->guest->explain(images->guest_opaque, error);
        }
        explain(writer, io_output_fd(output), info, error);
        send_abort(writer, io_output_fd(output), *error);
        return false;
    }
    /*
     * The guest should not do any longer what only the reading needs.  Whether
     * the backup is stored does not depend on how that goes.
     */
    if (images->guest) {
        images->guest->finish(images->guest_opaque, &images->left);
    }
    return await_answer(io_output_fd(output), info, progress, error) &&
           io_output_finish(output, error);
}

static bool dump_images(char **arguments, Command *command,
                        Progress *progress, GError **error)
{
    g_autoptr(BackupInfo) info = backup_info_new();
    g_autoptr(GPtrArray) list =
        g_ptr_array_new_with_free_func((GDestroyNotify)disk_free);
    Images images = { .info = info, .images = list };
    struct timespec now;

    if (!add_images(&images, arguments, error) ||
        !cli_load_configs(info, opt_configs, error) ||
        (command && !command_start(command, error))) {
        return false;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    info->start_time_s = now.tv_sec;
    info->start_time_ns = now.tv_nsec;
    return send_stream(&images, progress, error);
}

/* Guests */

/* STARTED: the moment is set.  If not FAILURE, which is taken over, is why. */
static bool dump_guest(Images *images, bool started, Progress *progress,
                       bool *stored, GError *failure, GError **error)
{
    g_autoptr(GError) local = failure;

    if (started) {
        images->totals.total_bytes = backup_info_bytes(images->info);
        *stored = send_stream(images, progress, &local);
    }
    /* Connections that are open, and not read from, would hold QEMU up. */
    g_ptr_array_set_size(images->images, 0);
    images->guest->finish(images->guest_opaque, &local);
    if (images->guest->settle) {
        images->guest->settle(images->guest_opaque, *stored, &local);
    }
    if (!local) {
        local = g_steal_pointer(&images->left);
    } else if (images->left) {
        cli_note("warning: %s", images->left->message);
    }
    g_clear_error(&images->left);
    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    return true;
}

static bool confirm_qemu(void *qemu, GError **error)
{
    return qemu_nbd_confirm(qemu, error);
}

static void explain_qemu(void *qemu, GError **error)
{
    qemu_nbd_explain(qemu, error);
}

static bool finish_qemu(void *qemu, GError **error)
{
    return qemu_nbd_finish(qemu, error);
}

static bool settle_qemu(void *qemu, bool stored, GError **error)
{
    return qemu_nbd_settle(qemu, stored, error);
}

static bool dump_qemu_nbd(const QemuOptions *options, BackupInfo *info,
                          Progress *progress, bool *stored, GError **error)
{
    static const Guest guest = {
        .confirm = confirm_qemu,
        .explain = explain_qemu,
        .finish = finish_qemu,
        .settle = settle_qemu,
    };
    g_autoptr(QemuNbd) qemu = qemu_nbd_new(options, progress);
    g_autoptr(GPtrArray) list =
        g_ptr_array_new_with_free_func((GDestroyNotify)disk_free);
    Images images = {
        .info = info,
        .images = list,
        .guest = &guest,
        .guest_opaque = qemu,
        .totals = { .watch = qemu_nbd_watch, .opaque = qemu },
    };
    g_autoptr(GError) local = NULL;
    bool started = qemu_nbd_start(qemu, info, list, &local);

    return dump_guest(&images, started, progress, stored,
                      g_steal_pointer(&local), error);
}

/* Which method it is to be; *qmp is connected if that had to be asked for. */
static bool choose_method(Qmp **qmp, bool *nbd, GError **error)
{
    bool has_backup;

    *nbd = g_strcmp0(opt_method, "nbd") == 0 || opt_bitmap;
    if (*nbd || !opt_fleecing || g_strcmp0(opt_method, "pipe") == 0) {
        return true;
    }
    *qmp = qmp_connect(opt_qmp, CONNECT_SECONDS, NULL, NULL, error);
    if (!*qmp || !qemu_has_backup(*qmp, &has_backup, error)) {
        return false;
    }
    *nbd = !has_backup;
    return true;
}

static bool parse_sizes(uint64_t *speed, uint64_t *fleecing_bytes,
                        GError **error)
{
    if ((opt_speed && !cli_parse_size(opt_speed, speed, error)) ||
        (opt_fleecing_size &&
         !cli_parse_size(opt_fleecing_size, fleecing_bytes, error))) {
        return false;
    }
    if (*speed > INT64_MAX) {
        cli_set_usage(error, "a speed of %s is too much", opt_speed);
        return false;
    }
    if (opt_fleecing_size && (*fleecing_bytes < FLEECING_MIN_BYTES ||
                              *fleecing_bytes > INT64_MAX)) {
        cli_set_usage(error, "--fleecing-size can't be %s", opt_fleecing_size);
        return false;
    }
    return true;
}

static bool dump_qemu(Command *command, Progress *progress, bool *stored,
                      GError **error)
{
    g_autoptr(BackupInfo) info = backup_info_new();
    g_autoptr(Qmp) qmp = NULL;
    QemuOptions options = {
        .socket = opt_qmp,
        .agent = opt_fsfreeze,
        .devices = opt_devices,
        .info = info,
        .timeout_seconds = opt_timeout,
        .answer = opt_answer,
        .answer_seconds = opt_answer_timeout,
        .done = stored,
        .fleecing = opt_fleecing,
        .bitmap = opt_bitmap,
    };
    bool nbd;

    if (!parse_sizes(&options.speed, &options.fleecing_bytes, error) ||
        !cli_load_configs(info, opt_configs, error) ||
        !choose_method(&qmp, &nbd, error)) {
        return false;
    }
    options.qmp = qmp;
    if (command && !command_start(command, error)) {
        return false;
    }
    return nbd ? dump_qemu_nbd(&options, info, progress, stored, error)
               : qemu_dump(&options, progress, error);
}

#ifdef HAVE_LIBVIRT
static bool dump_libvirt(Command *command, Progress *progress, bool *stored,
                         GError **error)
{
    static const Guest guest = {
        .confirm = libvirt_backup_confirm,
        .explain = libvirt_backup_explain,
        .finish = libvirt_backup_finish,
    };
    LibvirtOptions options = {
        .uri = opt_connect,
        .name = opt_libvirt,
        .devices = opt_devices,
        .freeze = opt_freeze,
        .fleecing = opt_fleecing,
    };
    g_autoptr(BackupInfo) info = backup_info_new();
    g_autoptr(LibvirtBackup) backup = NULL;
    g_autoptr(GPtrArray) list =
        g_ptr_array_new_with_free_func((GDestroyNotify)disk_free);
    Images images = { .info = info, .images = list, .guest = &guest };
    g_autoptr(GError) local = NULL;
    bool started;

    if (!parse_sizes(&options.speed, &options.fleecing_bytes, error) ||
        !cli_load_configs(info, opt_configs, error) ||
        (command && !command_start(command, error))) {
        return false;
    }
    backup = libvirt_backup_new(&options, progress);
    images.guest_opaque = backup;
    images.totals.watch = libvirt_backup_watch;
    images.totals.opaque = backup;
    started = libvirt_backup_start(backup, info, list, &local);
    return dump_guest(&images, started, progress, stored,
                      g_steal_pointer(&local), error);
}
#else
static bool dump_libvirt(Command *command, Progress *progress, bool *stored,
                         GError **error)
{
    (void)command;
    (void)progress;
    (void)stored;
    cli_set_usage(error, "this vma-dump was built without libvirt (that needs "
                  "libvirt-dev)");
    return false;
}
#endif

static bool verify_libvirt_options(GError **error)
{
    if (opt_qmp) {
        cli_set_usage(error, "--qmp and --libvirt can't be combined");
    } else if (opt_method) {
        cli_set_usage(error, "--method makes no sense with --libvirt, which "
                      "has a method of its own");
    } else if (opt_bitmap) {
        cli_set_usage(error, "--bitmap takes --qmp and the method nbd");
    } else if (opt_fsfreeze) {
        cli_set_usage(error, "--fsfreeze has no socket with --libvirt, which "
                      "knows the guest's agent: put it last, or before another "
                      "option");
    } else if (!opt_fleecing) {
        cli_set_usage(error, "--libvirt needs a folder for what the guest "
                      "overwrites meanwhile: --fleecing FOLDER");
    } else {
        return true;
    }
    return false;
}

static bool verify_qemu_options(GError **error)
{
    bool nbd = g_strcmp0(opt_method, "nbd") == 0;

    if (opt_method && !nbd && strcmp(opt_method, "auto") != 0 &&
        strcmp(opt_method, "pipe") != 0) {
        cli_set_usage(error, "'%s' is no method: auto, pipe or nbd",
                      opt_method);
    } else if (nbd && !opt_fleecing) {
        cli_set_usage(error, "--method=nbd needs a folder for what the guest "
                      "overwrites meanwhile: --fleecing FOLDER");
    } else if (opt_bitmap && g_strcmp0(opt_method, "pipe") == 0) {
        cli_set_usage(error, "--bitmap takes the method nbd");
    } else if (opt_bitmap && !opt_fleecing) {
        cli_set_usage(error, "--bitmap takes the method nbd, and that a folder "
                      "for what the guest overwrites meanwhile: --fleecing "
                      "FOLDER");
    } else if (opt_bitmap && !qemu_bitmaps_name_is_valid(opt_bitmap)) {
        cli_set_usage(error, "'%s' can't be the name of a dirty bitmap",
                      opt_bitmap);
    } else if (opt_freeze && !opt_fsfreeze) {
        cli_set_usage(error, "--fsfreeze needs a socket with --qmp: that of "
                      "the guest agent's channel");
    } else if (opt_fleecing_size && !opt_fleecing) {
        cli_set_usage(error, "--fleecing-size needs --fleecing");
    } else {
        return true;
    }
    return false;
}

static bool verify_options(char **images, GError **error)
{
    const char *guest = opt_qmp ? "--qmp" : opt_libvirt ? "--libvirt" : NULL;

    if (!guest && !*images) {
        cli_set_usage(error, "nothing to back up: give NAME=IMAGE, --qmp or "
                      "--libvirt");
    } else if (guest && *images) {
        cli_set_usage(error, "%s and '%s' can't be combined", guest, *images);
    } else if (opt_connect && !opt_libvirt) {
        cli_set_usage(error, "--connect needs --libvirt");
    } else if (!guest && (opt_devices || opt_speed || opt_freeze ||
                          opt_method || opt_fleecing || opt_fleecing_size ||
                          opt_bitmap)) {
        cli_set_usage(error, "--device, --speed, --fsfreeze, --fleecing, "
                      "--bitmap and --method need --qmp or --libvirt");
    } else if (guest && (opt_any_content || opt_force_share)) {
        cli_set_usage(error, "%s and %s can't be combined",
                      opt_any_content ? "--any-content" : "--force-share",
                      guest);
    } else if (opt_timeout < -1) {
        cli_set_usage(error, "a timeout of %d seconds is not possible",
                      opt_timeout);
    } else if (opt_answer_timeout < -1) {
        cli_set_usage(error, "a timeout of %d seconds is not possible",
                      opt_answer_timeout);
    } else if (opt_answer_timeout != -1 && !opt_answer && !opt_to) {
        cli_set_usage(error, "--answer-timeout needs --to or --answer");
    } else if (opt_answer && !opt_to &&
               !wire_answer_possible(STDOUT_FILENO, NULL)) {
        cli_set_usage(error, "--answer needs a socket for standard output: "
                      "nothing comes back through a pipe or from a file");
    } else {
        return opt_libvirt ? verify_libvirt_options(error)
                           : !opt_qmp || verify_qemu_options(error);
    }
    return false;
}

/* With a verdict, where one was asked for, in *error or in words. */
static void dump(char **images, Command *command, Progress *progress,
                 GError **error)
{
    bool stored = false;

    if (opt_libvirt) {
        dump_libvirt(command, progress, &stored, error);
    } else if (opt_qmp) {
        dump_qemu(command, progress, &stored, error);
    } else {
        stored = dump_images(images, command, progress, error);
    }
    if (command) {
        progress_phase(progress, "completing");
        command_finish(command, stored, error);
    }
}

int main(int argc, char **argv)
{
    g_autoptr(Progress) progress = NULL;
    g_autoptr(Command) command = NULL;
    GError *error = NULL;

    if (!cli_parse(&argc, &argv, entries, "[NAME=IMAGE...]", summary,
                   &error) ||
        !verify_options(argv + 1, &error) ||
        (opt_to && !(command = command_new(opt_to, &error)))) {
        return cli_report(error);
    }
    opt_answer |= command != NULL;
    io_catch_signals();
    if (opt_timeout > 0 && !io_set_write_timeout(opt_timeout, &error)) {
        return cli_report(error);
    }
    progress = progress_new("copying");
    if (command) {
        command_set_messages_fd(command, progress_take_messages_fd(progress));
    }
    dump(argv + 1, command, progress, &error);
    progress_end(progress, error);
    if (error) {
        return cli_report(error);
    }
    progress_print(progress);
    if (opt_answer) {
        cli_note("committed: the reader has stored the backup");
    }
    return 0;
}
