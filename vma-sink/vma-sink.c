/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vma-sink: reads a backup stream on standard input, or another descriptor, and
 * stores it as an archive or as raw images.  Exit code 0 says that they are
 * whole and on stable storage.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backup/error.h"
#include "backup/info.h"
#include "cli/cli.h"
#include "cli/compress.h"
#include "cli/outcome.h"
#include "cli/progress.h"
#include "cli/stale.h"
#include "confine/confine.h"
#include "io/enter.h"
#include "io/io.h"
#include "io/pace.h"
#include "io/read-ahead.h"
#include "io/stale.h"
#include "sink/copy.h"
#include "sink/format.h"
#include "sink/proxmox.h"
#include "sink/receive.h"
#include "sink/result.h"
#include "vma/seekable.h"
#include "wire/answer.h"
#include "wire/reader.h"

/* Of what is read ahead memory is used and given back in pieces of this size. */
#define PIECE_BYTES ((size_t)256 << 10)
#define BUFFER_MIN_BYTES ((uint64_t)1 << 20)
#define BUFFER_MAX_BYTES ((uint64_t)1 << 40)
/* Where only --spool is given. */
#define BUFFER_DEFAULT_BYTES ((uint64_t)16 << 20)
#define SHOWN_BYTES 80u         /* of a client's command, in a message */

static char *output_path;
static char *format_name;
static char **config_arguments;
static gboolean force;
static gboolean json;
static int stream_fd = STDIN_FILENO;
static int answer_fd = -1;      /* -1: nobody waits for an answer */
static char *buffer_text;
static char *spool_size_text;
static char *receive_folder;    /* NULL: -o says where the archive goes */
static char *name_pattern;
static char *vmid_text;         /* NULL: no archive for Proxmox VE */
static uint64_t vmid;
static char *named_folder;      /* of -o, where the name comes later; or NULL */
static char *max_size_text;
static char *max_total_text;
static SinkWish wish;
static IoQuota quota = {
    .file_bytes = UINT64_MAX,
    .folder_bytes = UINT64_MAX,
    .folder_fd = -1,
    .file_fd = -1,
};
static char *rate_text;
static IoPace pace;
static int stall_seconds;
static IoReadAheadOptions read_ahead = {
    .piece_bytes = PIECE_BYTES,
    .spool_bytes = UINT64_MAX,
};
static CliCompressArguments compress_arguments;
static CliCompress compress = {
    .frame_bytes = VMA_SEEKABLE_FRAME_DEFAULT_BYTES,
};

static const GOptionEntry options[] = {
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output_path,
      "The archive to create, or - for standard output; or the folder",
      "OUTPUT" },
    { "format", 0, 0, G_OPTION_ARG_STRING, &format_name,
      "vma (the default), or raw: -o names a folder to create, of an image for "
      "each disk and the configuration files", "FORMAT" },
    { "config", 'c', 0, G_OPTION_ARG_FILENAME_ARRAY, &config_arguments,
      "Add a configuration file, under another name if one is given; "
      "may be repeated", "FILE[=NAME]" },
    { "force", 'f', 0, G_OPTION_ARG_NONE, &force,
      "Replace an existing archive, or folder of raw images", NULL },
    CLI_COMPRESS_OPTIONS(compress_arguments),
    { "max-size", 0, 0, G_OPTION_ARG_STRING, &max_size_text,
      "Fail where the archive would be larger, and leave nothing: a stream of "
      "a few bytes may ask for much", "SIZE" },
    { "fd", 0, 0, G_OPTION_ARG_INT, &stream_fd,
      "Read the stream from descriptor N instead of standard input", "N" },
    { "buffer", 0, 0, G_OPTION_ARG_STRING, &buffer_text,
      "Read up to so much of the stream ahead, in memory (0; with --spool 16M): "
      "the producer need not wait where the archive can't be written for a "
      "moment", "SIZE" },
    { "spool", 0, 0, G_OPTION_ARG_FILENAME, &read_ahead.spool_folder,
      "Put what does not fit in the buffer into a temporary file in the folder "
      "DIR, on another disk than the archive", "DIR" },
    { "spool-size", 0, 0, G_OPTION_ARG_STRING, &spool_size_text,
      "Let the temporary file take so much at the most (what DIR has room for)",
      "SIZE" },
    { "rate", 0, 0, G_OPTION_ARG_STRING, &rate_text,
      "Store at most so much of the stream per second (K, M, G, T: powers of "
      "1024). The guest's writes wait for it, unless --buffer and --spool take "
      "what comes faster", "BYTES" },
    { "stall-timeout", 0, 0, G_OPTION_ARG_INT, &stall_seconds,
      "Give up, with exit code 4, when not one byte of the stream has come for "
      "so long (0: never)", "SECONDS" },
    { "proxmox", 0, 0, G_OPTION_ARG_STRING, &vmid_text,
      "Make an archive that Proxmox VE lists as one of its guest VMID, and "
      "restores: -o is a folder, and the name is vzdump's; see below", "VMID" },
    { "receive", 0, 0, G_OPTION_ARG_FILENAME, &receive_folder,
      "In place of -o, for the forced command of a key of ssh: add an archive "
      "to the folder DIR, and do nothing else, whatever the client asks for; "
      "see below", "DIR" },
    { "keep-names", 0, 0, G_OPTION_ARG_STRING, &name_pattern,
      "With --receive: take the name that the client wishes only where it "
      "matches PATTERN, with * and ? (*)", "PATTERN" },
    { "max-total", 0, 0, G_OPTION_ARG_STRING, &max_total_text,
      "With --receive: fail where all files in DIR would be larger together",
      "SIZE" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json,
      "Say how it went as JSON on standard output (on standard error with "
      "-o -, and where the answer to the producer goes out there)", NULL },
    PROGRESS_OPTION,
    CONFINE_OPTION,
    { NULL },
};

/* Under a name that the stream says later, if there is none. */
static SinkOutput *open_output(const SinkFormat *format, GError **error)
{
    const char *folder = named_folder ? named_folder : ".";
    g_autofree char *inside = g_build_filename(folder, ".", NULL);
    const VmaSeekableOptions seekable = {
        .level = compress.level,
        .threads = compress.threads,
        .frame_bytes = compress.frame_bytes,
    };
    const SinkOptions sink = {
        .path = output_path ? output_path : folder,
        .unnamed = !output_path,
        .overwrite = force,
        .seekable = compress.zstd ? &seekable : NULL,
        .quota = &quota,
    };

    if (!receive_folder) {
        cli_remove_stale(output_path ? output_path : inside);
    }
    /* What is opened keeps copies of what it needs of this. */
    /* cppcheck-suppress returnDanglingLifetime */
    return format->open(&sink, error);
}

/* WireReadFunc; AHEAD is NULL where nothing is read ahead. */
static bool read_stream(void *ahead, struct iovec *iov, int count, size_t *got,
                        GError **error)
{
    size_t part = io_pace_part(&pace);

    *got = 0;
    if (part < iov->iov_len) {
        iov->iov_len = part;
        count = 1;
    }
    if (ahead) {
        return io_read_ahead_readv(ahead, iov, count, got, error) &&
               io_pace_wait(&pace, *got, error);
    }
    return (stall_seconds == 0 ||
            io_wait_readable(stream_fd, -1, stall_seconds, error)) &&
           io_readv_some(stream_fd, iov, count, got, error) &&
           io_pace_wait(&pace, *got, error);
}

/* ProgressBufferedFunc */
static uint64_t read_ahead_bytes(void *opaque)
{
    return io_read_ahead_bytes(opaque);
}

/* From the verified preamble to the output under its name. */
static bool store(WireReader *reader, IoReadAhead *ahead, SinkOutput *output,
                  Progress *progress, SinkResult *result, GError **error)
{
    gint64 started_us = g_get_monotonic_time();

    if (!output->format->begin(output, result->info, error) ||
        !sink_copy(reader, output, progress, error)) {
        return false;
    }
    /* [E6]: nothing follows, and who has the other end may keep it open. */
    if (ahead) {
        io_read_ahead_stop(ahead);
    }
    progress_phase(progress, "syncing");
    if (!output->format->finish(output, error)) {
        return false;
    }
    result->zero_bytes = output->zero_bytes;
    result->stored_bytes = output->stored_bytes;
    result->seconds = (g_get_monotonic_time() - started_us) / 1e6;
    if (output->leftover) {
        progress_clear(progress);
        cli_note("warning: not all of what was replaced is removed, as it has "
                 "changed meanwhile or can't be: it is '%s' now",
                 output->leftover);
    }
    return true;
}

/*
 * [A3]; nothing is changed where the producer does not wait for an answer.  What
 * becomes of standard output is not known here, so with "-" nothing could ever
 * be called committed [A1]; where there is another way back that is said.
 */
static bool find_answer_fd(const WireReader *reader, GError **error)
{
    bool archive = g_strcmp0(output_path, "-") == 0;

    if (!(wire_reader_features(reader) & WIRE_FEATURE_ANSWER)) {
        return true;
    }
    answer_fd = wire_answer_fd(stream_fd, archive ? -1 : STDOUT_FILENO,
                               archive ? NULL : error);
    if (archive) {
        backup_error_set_damaged(error, "the producer asks for an answer, and "
                                 "with -o - it is not known whether the "
                                 "archive is stored");
        return false;
    }
    return answer_fd >= 0;
}

/* [A1], [A2]: tells a producer that waits for it how it went. */
static void answer(const WireReader *reader, Progress *progress,
                   const GError *failure)
{
    g_autoptr(GError) error = NULL;

    if (answer_fd < 0) {
        return;
    }
    /* Also where a signal is the reason. */
    io_clear_interrupt();
    if (!wire_answer_send(answer_fd, wire_reader_info(reader)->uuid,
                          failure ? WIRE_ANSWER_FAILED : WIRE_ANSWER_COMMITTED,
                          failure ? failure->message : "", &error)) {
        /* What was stored stays stored; it is the producer that won't know. */
        progress_clear(progress);
        cli_note("warning: %s", error->message);
    }
}

/* The archive's name, where it is only known when the stream is. */
static char *late_name(const BackupInfo *info, GError **error)
{
    g_autofree char *name = NULL;

    if (!vmid_text) {
        return sink_own_name(info->uuid, compress.zstd);
    }
    name = sink_proxmox_name(vmid, info->start_time_s, compress.zstd, error);
    if (!name || !named_folder) {
        return g_steal_pointer(&name);
    }
    return g_build_filename(named_folder, name, NULL);
}

static bool name_late(SinkOutput *output, SinkResult *result, GError **error)
{
    if (output_path) {
        return true;
    }
    output_path = late_name(result->info, error);
    result->path = output_path;
    return output_path && output->format->set_path(output, output_path, error);
}

/* All configs in one place, and fit for who is to read them. */
static bool take_configs(BackupInfo *info, const BackupInfo *configs,
                         Progress *progress, GError **error)
{
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

    if (!backup_info_take_configs(info, configs, error)) {
        return false;
    }
    if (vmid_text && !sink_proxmox_prepare(info, warnings, error)) {
        g_prefix_error(error, "nothing was stored: ");
        return false;
    }
    for (guint i = 0; i < warnings->len; i++) {
        progress_clear(progress);
        cli_note("warning: %s", (char *)g_ptr_array_index(warnings, i));
    }
    return true;
}

/* Everything from the stream's first byte on. */
static bool receive(IoReadAhead *ahead, SinkOutput *output,
                    BackupInfo *configs, Progress *progress,
                    SinkResult *result, GError **error)
{
    g_autoptr(WireReader) reader = wire_reader_new_from(read_stream, ahead,
                                                        error);
    g_autoptr(GError) failure = NULL;

    if (!reader) {
        return false;
    }
    if (find_answer_fd(reader, &failure)) {
        result->info = backup_info_copy(wire_reader_info(reader));
        if (take_configs(result->info, configs, progress, &failure) &&
            name_late(output, result, &failure)) {
            store(reader, ahead, output, progress, result, &failure);
        }
    }
    answer(reader, progress, failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    return true;
}

static bool start_reading(IoReadAhead *ahead, Progress *progress,
                          GError **error)
{
    if (!io_read_ahead_start(ahead, error)) {
        return false;
    }
    progress_watch_buffer(progress, read_ahead_bytes, ahead);
    return true;
}

static void stop_reading(IoReadAhead *ahead, Progress *progress)
{
    io_read_ahead_stop(ahead);
    progress_watch_buffer(progress, NULL, NULL);
    if (io_read_ahead_warning(ahead)) {
        progress_clear(progress);
        cli_note("warning: %s: from then on it was not used",
                 io_read_ahead_warning(ahead));
    }
}

/* Says at once, and not after the backup, that there is no room or right. */
static bool enter_folder(GError **error)
{
    if (read_ahead.spool_folder) {
        /* The working folder is another one from here on. */
        read_ahead.spool_folder =
            g_canonicalize_filename(read_ahead.spool_folder, NULL);
    }
    quota.folder_fd = io_enter_folder(receive_folder, error);
    if (quota.folder_fd < 0) {
        return false;
    }
    if (faccessat(quota.folder_fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
        backup_error_set_errno(error, errno, "cannot receive into '%s'",
                               receive_folder);
        return false;
    }
    /* These are not to count.  A client is not told what else there is. */
    io_stale_remove(".", NULL, NULL);
    if (!io_quota_take(&quota, 0, error)) {
        g_prefix_error(error, "cannot receive: ");
        return false;
    }
    return true;
}

/* As above, of the folder that the name comes for when the stream does. */
static bool check_named_folder(GError **error)
{
    g_autofree char *inside = g_build_filename(named_folder, ".", NULL);

    if (faccessat(AT_FDCWD, inside, W_OK | X_OK, AT_EACCESS) < 0) {
        backup_error_set_errno(error, errno, "cannot store in the folder '%s'",
                               named_folder);
        return false;
    }
    return true;
}

/*
 * Before anything is read: a wrong path should not cost a backup, and who
 * breaks in finds open what is needed, and can open no more.
 */
static bool open_all(BackupInfo *configs, SinkOutput **output,
                     IoReadAhead **ahead, const SinkFormat *format,
                     GError **error)
{
    if (!cli_load_configs(configs, config_arguments, error) ||
        (receive_folder && !enter_folder(error)) ||
        (named_folder && !check_named_folder(error))) {
        return false;
    }
    *output = open_output(format, error);
    if (*output && read_ahead.pieces > 0) {
        *ahead = io_read_ahead_new(stream_fd, &read_ahead, error);
    }
    return *output && (*ahead || read_ahead.pieces == 0);
}

static bool confine_self(const SinkOutput *output, GError **error)
{
    g_autoptr(Confine) confine = confine_new();

    output->format->confine(output, confine);
    if (max_total_text) {
        /* What is there, and is being written (io/quota.h). */
        confine_may_read(confine, ".");
    }
    return confine_enter(confine, CONFINE_PROGRAM, error);
}

static bool run(SinkResult *result, Progress **progress, GError **error)
{
    g_autoptr(BackupInfo) configs = backup_info_new();
    g_autoptr(SinkOutput) output = NULL;
    g_autoptr(IoReadAhead) ahead = NULL;
    bool ok = open_all(configs, &output, &ahead, result->format, error) &&
              confine_self(output, error);

    /* From here on there are threads, which are confined, too. */
    *progress = progress_new("copying");
    if (!ok) {
        return false;
    }
    io_enlarge_pipe(stream_fd);
    if (!ahead) {
        return receive(NULL, output, configs, *progress, result, error);
    }
    ok = start_reading(ahead, *progress, error) &&
         receive(ahead, output, configs, *progress, result, error);
    stop_reading(ahead, *progress);
    return ok;
}

/* --rate and --stall-timeout. */
static bool check_pace(GError **error)
{
    if (rate_text && !cli_parse_size(rate_text, &pace.rate, error)) {
        return false;
    }
    if (rate_text && pace.rate == 0) {
        cli_set_usage(error, "nothing comes at a --rate of %s", rate_text);
    } else if (stall_seconds < 0) {
        cli_set_usage(error, "a --stall-timeout of %d seconds is not possible",
                      stall_seconds);
    } else {
        read_ahead.stall_seconds = stall_seconds;
        return true;
    }
    return false;
}

/* --buffer and what goes with it; nothing is changed where none is given. */
static bool check_buffer(GError **error)
{
    uint64_t bytes = read_ahead.spool_folder ? BUFFER_DEFAULT_BYTES : 0;

    if ((buffer_text && !cli_parse_size(buffer_text, &bytes, error)) ||
        (spool_size_text &&
         !cli_parse_size(spool_size_text, &read_ahead.spool_bytes, error))) {
        return false;
    }
    if (bytes > BUFFER_MAX_BYTES || (bytes > 0 && bytes < BUFFER_MIN_BYTES)) {
        cli_set_usage(error, "--buffer is 0 or between 1M and 1T");
    } else if (spool_size_text && !read_ahead.spool_folder) {
        cli_set_usage(error, "--spool-size goes with --spool only");
    } else if (read_ahead.spool_folder && bytes == 0) {
        cli_set_usage(error, "--spool needs a --buffer");
    } else {
        read_ahead.pieces = bytes / PIECE_BYTES;
        return true;
    }
    return false;
}

static bool check_stream_fd(GError **error)
{
    int flags = fcntl(stream_fd, F_GETFL);

    if (flags < 0) {
        cli_set_usage(error, "descriptor %d is not open", stream_fd);
    } else if ((flags & O_ACCMODE) == O_WRONLY) {
        cli_set_usage(error, "descriptor %d is not open for reading",
                      stream_fd);
    } else if (isatty(stream_fd)) {
        cli_set_usage(error, "refusing to read a stream from a terminal");
    } else {
        return true;
    }
    return false;
}

/* Only an archive can be compressed. */
static bool check_compression(const SinkFormat *format, GError **error)
{
    const CliCompressArguments *given = &compress_arguments;

    if (format->compresses) {
        const char *name = output_path ? output_path : wish.name;

        return cli_compress_parse(given, name ? name : "",
                                  VMA_SEEKABLE_FRAME_MAX_BYTES, &compress,
                                  error);
    }
    if (given->compress || given->threads || given->frame_size) {
        cli_set_usage(error, "the format %s is not compressed", format->name);
        return false;
    }
    return true;
}

/* What the client wishes, as far as it may: a name, and how to compress. */
static void take_wish(void)
{
    const char *command = g_getenv("SSH_ORIGINAL_COMMAND");

    if (sink_wish_parse(command, name_pattern, &wish)) {
        /* (Of one that is Proxmox VE's only how it is compressed is theirs.) */
        output_path = vmid_text ? NULL : wish.name;
        if (!compress_arguments.compress) {
            compress_arguments.compress = wish.compress;
        }
    } else if (command && *command) {
        g_autofree char *start = g_strndup(command, SHOWN_BYTES);

        cli_note("note: the command '%s%s' is not taken: a backup is received, "
                 "and gets a name of ours", start,
                 strlen(command) > SHOWN_BYTES ? "..." : "");
    }
}

/* --receive and what goes with it. */
static bool check_receive(GError **error)
{
    if (!receive_folder && (name_pattern || max_total_text)) {
        cli_set_usage(error, "--keep-names and --max-total go with --receive "
                      "only");
        return false;
    }
    if (max_size_text && g_strcmp0(format_name, "raw") == 0) {
        cli_set_usage(error, "--max-size is for archives only");
        return false;
    }
    if (receive_folder && (output_path || force || format_name)) {
        cli_set_usage(error, "--receive and %s can't be combined",
                      output_path ? "-o" : force ? "--force" : "--format");
        return false;
    }
    return (!max_size_text ||
            cli_parse_size(max_size_text, &quota.file_bytes, error)) &&
           (!max_total_text ||
            cli_parse_size(max_total_text, &quota.folder_bytes, error));
}

/* --proxmox and what goes with it; before --receive takes a name. */
static bool check_proxmox(GError **error)
{
    g_autoptr(GError) local = NULL;

    if (!vmid_text) {
        return true;
    }
    if (!sink_proxmox_parse_vmid(vmid_text, &vmid, &local)) {
        cli_set_usage(error, "%s", local->message);
    } else if (format_name && !g_str_equal(format_name, "vma")) {
        cli_set_usage(error, "--proxmox and --format=%s can't be combined",
                      format_name);
    } else if (name_pattern) {
        cli_set_usage(error, "--proxmox and --keep-names can't be combined");
    } else if (g_strcmp0(output_path, "-") == 0) {
        cli_set_usage(error, "with --proxmox -o is a folder");
    } else if (g_strcmp0(output_path, "") == 0) {
        cli_set_usage(error, "the name of the output is empty");
    } else {
        /* From here on, as long as files can be read. */
        tzset();
        named_folder = g_steal_pointer(&output_path);
        return true;
    }
    return false;
}

static bool check_arguments(int argc, SinkResult *result, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (!check_receive(error) || !check_proxmox(error)) {
        return false;
    }
    if (receive_folder) {
        take_wish();
    }
    result->path = output_path;
    result->format = sink_format_find(format_name ? format_name : "vma",
                                      &local);
    if (argc > 1) {
        cli_set_usage(error, "the stream is read from standard input or --fd "
                      "only");
    } else if (!output_path && !named_folder && !receive_folder) {
        cli_set_usage(error, "no output given (-o)");
    } else if (!result->format) {
        cli_set_usage(error, "%s", local->message);
    } else {
        return check_stream_fd(error) && check_pace(error) &&
               check_buffer(error) &&
               check_compression(result->format, error);
    }
    return false;
}

/* Where that is the stream's socket, too, nothing but an answer may go there. */
static bool stdout_is_way_back(void)
{
    struct stat in, out;

    return answer_fd == STDOUT_FILENO ||
           (fstat(stream_fd, &in) == 0 && S_ISSOCK(in.st_mode) &&
            fstat(STDOUT_FILENO, &out) == 0 && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino);
}

/* The line for the user or the object for a machine. */
static void print_result(const SinkResult *result, const GError *error)
{
    bool on_stdout = json && g_strcmp0(output_path, "-") != 0 &&
                     !stdout_is_way_back();
    g_autoptr(GError) failure = NULL;
    g_autofree char *text = NULL;

    if (json) {
        text = sink_result_json(result, error);
    } else if (!error) {
        text = sink_result_text(result);
    } else {
        return;
    }
    fprintf(on_stdout ? stdout : stderr, "%s\n", text);
    if (on_stdout && !cli_flush_stdout(&failure)) {
        /* What was stored stays stored. */
        cli_note("warning: %s", failure->message);
    }
}

int main(int argc, char **argv)
{
    static const char summary[] =
        "Reads a backup stream, as vma-dump or QEMU's backup command writes\n"
        "it, on standard input and stores it as a VMA archive, or as a folder\n"
        "of raw images (--format=raw), which appears under its name only once\n"
        "it is whole and on stable storage.\n"
        "\n"
        "Examples:\n"
        "  vma-dump --qmp /run/vm1.qmp | vma-sink -o vm1.vma.zst\n"
        "  vma-dump --qmp /run/vm1.qmp | vma-sink --format=raw -o vm1/\n"
        "\n"
        "With --proxmox VMID the archive gets the name that Proxmox VE looks for,\n"
        "  vzdump-qemu-VMID-YYYY_MM_DD-HH_MM_SS.vma, or .vma.zst,\n"
        "of the local time when the backup began, in the folder of -o or of\n"
        "--receive, and its qemu-server.conf is made what vzdump stores. There has\n"
        "to be one: vma-dump -c FILE=qemu-server.conf.\n"
        "\n"
        "With --receive, for a key in sshd's authorized_keys that may only add\n"
        "archives, as in\n"
        "  restrict,command=\"vma-sink --receive /srv/backup\" ssh-ed25519 AAAA...\n"
        "the archive's name is the client's wish, where its command is exactly\n"
        "  vma-sink [--compress=METHOD] [-o] NAME\n"
        "METHOD being none, zstd, or zstd:1 to zstd:9, and NAME up to 128 letters,\n"
        "digits and . _ + - that begin with a letter or a digit and end in .vma\n"
        "or .vma.zst. After any other command, and without one, the name is made\n"
        "of the time and the backup's uuid. No file is replaced or read.";
    g_autoptr(Progress) progress = NULL;
    SinkResult result = { 0 };
    CliOutcome outcome;
    GError *error = NULL;

    g_set_prgname("vma-sink");
    cli_set_about("confinement", confine_describe);
    if (cli_parse(&argc, &argv, options, "< STREAM", summary, &error) &&
        check_arguments(argc, &result, &error)) {
        io_catch_signals();
        /* Who has no say in the name is not told what there is. */
        cli_outcome_before(&outcome, receive_folder || !output_path
                                     ? "-" : output_path);
        if (!run(&result, &progress, &error)) {
            cli_outcome_prefix(&outcome, &error);
            confine_explain(error);
        }
        progress_end(progress, error);
    }
    print_result(&result, error);
    g_clear_pointer(&result.info, backup_info_free);
    return error ? cli_report(error) : EXIT_SUCCESS;
}
