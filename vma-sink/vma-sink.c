/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vma-sink: reads a backup stream on standard input and stores it as an
 * archive.  Exit code 0 says that the archive is whole and on stable storage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "cli/compress.h"
#include "io/io.h"
#include "io/output.h"
#include "sink/archive.h"
#include "vma/seekable.h"
#include "vma/writer.h"
#include "wire/answer.h"
#include "wire/reader.h"

static char *output_path;
static char **config_arguments;
static gboolean force;
static CliCompressArguments compress_arguments;
static CliCompress compress = {
    .frame_bytes = VMA_SEEKABLE_FRAME_DEFAULT_BYTES,
};

static const GOptionEntry options[] = {
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output_path,
      "The archive to create, or - for standard output", "ARCHIVE" },
    { "config", 'c', 0, G_OPTION_ARG_FILENAME_ARRAY, &config_arguments,
      "Add a configuration file, under another name if one is given; "
      "may be repeated", "FILE[=NAME]" },
    { "force", 'f', 0, G_OPTION_ARG_NONE, &force,
      "Replace an existing archive", NULL },
    { "compress", 0, 0, G_OPTION_ARG_STRING, &compress_arguments.compress,
      "none, zstd or zstd:LEVEL, 1 to 19 (3) or -7 to -1; by default zstd if "
      "the archive's name ends in .zst, else none", "METHOD" },
    { "threads", 'T', 0, G_OPTION_ARG_STRING, &compress_arguments.threads,
      "Compress with N threads, 0: as many as processors; by default as well, "
      "but 8 at the most", "N" },
    { "frame-size", 0, 0, G_OPTION_ARG_STRING, &compress_arguments.frame_size,
      "Compress so much at a time (1M): what random access has to read; more "
      "needs more memory", "SIZE" },
    { NULL },
};

/* One line for the user: what was stored. */
static void print_summary(const WireReader *reader, const VmaWriter *writer,
                          const IoOutput *output, gint64 started_us)
{
    const BackupInfo *info = wire_reader_info(reader);
    double seconds = (g_get_monotonic_time() - started_us) / 1e6;
    uint64_t total = 0;
    g_autofree char *total_text = NULL;
    g_autofree char *stored = NULL;
    g_autofree char *path = cli_printable(io_output_path(output));

    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        total += device->size_bytes;
    }
    total_text = cli_format_size(total);
    stored = cli_format_size(io_output_bytes(output));
    fprintf(stderr, "%s: %u %s, %s (%.0f%% zero), stored in %s, %.1f s\n",
            path, info->devices->len,
            info->devices->len == 1 ? "disk" : "disks", total_text,
            total ? 100.0 * vma_writer_zero_bytes(writer) / total : 0.0,
            stored, seconds);
}

static VmaParts *new_parts(const BackupInfo *info, IoOutput *output,
                           GError **error)
{
    const VmaSeekableOptions seekable = {
        .level = compress.level,
        .threads = compress.threads,
        .frame_bytes = compress.frame_bytes,
    };

    return compress.zstd ? vma_seekable_new(output, info->uuid, &seekable,
                                            error)
                         : vma_parts_new_plain(output);
}

/* From the verified preamble to the archive under its name. */
static bool store(WireReader *reader, BackupInfo *info, IoOutput *output,
                  GError **error)
{
    gint64 started_us = g_get_monotonic_time();
    g_autoptr(VmaParts) parts = new_parts(info, output, error);
    g_autoptr(VmaWriter) writer = NULL;

    if (!parts) {
        return false;
    }
    writer = vma_writer_new_parts(info, parts, error);
    if (!writer || !sink_archive(reader, writer, error) ||
        !io_output_finish(output, error)) {
        return false;
    }
    print_summary(reader, writer, output, started_us);
    return true;
}

/* [A1], [A2]: tells a producer that waits for it how it went. */
static void answer(const WireReader *reader, const GError *failure)
{
    g_autoptr(GError) error = NULL;

    if (!(wire_reader_features(reader) & WIRE_FEATURE_ANSWER)) {
        return;
    }
    /* Also where a signal is the reason. */
    io_clear_interrupt();
    if (!wire_answer_send(STDIN_FILENO, wire_reader_info(reader)->uuid,
                          failure ? WIRE_ANSWER_FAILED : WIRE_ANSWER_COMMITTED,
                          failure ? failure->message : "", &error)) {
        /* What was stored stays stored; it is the producer that won't know. */
        fprintf(stderr, "%s: warning: %s\n", g_get_prgname(), error->message);
    }
}

static bool run(GError **error)
{
    g_autoptr(BackupInfo) configs = backup_info_new();
    g_autoptr(IoOutput) output = NULL;
    g_autoptr(WireReader) reader = NULL;
    g_autoptr(BackupInfo) info = NULL;
    g_autoptr(GError) failure = NULL;

    /* Before anything is read: a wrong path should not cost a backup. */
    if (!cli_load_configs(configs, config_arguments, error)) {
        return false;
    }
    output = io_output_new(output_path, force, error);
    if (!output) {
        return false;
    }
    io_enlarge_pipe(STDIN_FILENO);
    reader = wire_reader_new(STDIN_FILENO, error);
    if (!reader) {
        return false;
    }
    if (wire_reader_features(reader) & WIRE_FEATURE_ANSWER &&
        !wire_answer_possible(STDIN_FILENO, error)) {
        return false;
    }
    info = backup_info_copy(wire_reader_info(reader));
    if (backup_info_take_configs(info, configs, &failure)) {
        store(reader, info, output, &failure);
    }
    answer(reader, failure);
    if (failure) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    return true;
}

static bool check_arguments(int argc, GError **error)
{
    if (argc > 1) {
        cli_set_usage(error, "the stream is read from standard input only");
    } else if (!output_path) {
        cli_set_usage(error, "no output given (-o)");
    } else if (isatty(STDIN_FILENO)) {
        cli_set_usage(error, "refusing to read a stream from a terminal");
    } else {
        return cli_compress_parse(&compress_arguments, output_path,
                                  VMA_SEEKABLE_FRAME_MAX_BYTES, &compress,
                                  error);
    }
    return false;
}

int main(int argc, char **argv)
{
    static const char summary[] =
        "Reads a backup stream, as vma-dump or QEMU's backup command writes\n"
        "it, on standard input and stores it as a VMA archive.  The archive\n"
        "appears under its name only once it is whole and on stable storage.\n"
        "\n"
        "Example:\n"
        "  vma-dump --qmp /run/vm1.qmp | vma-sink -o vm1.vma.zst";
    GError *error = NULL;

    g_set_prgname("vma-sink");
    if (!cli_parse(&argc, &argv, options, "< STREAM", summary, &error) ||
        !check_arguments(argc, &error)) {
        return cli_report(error);
    }
    io_catch_signals();
    if (!run(&error)) {
        return cli_report(error);
    }
    return EXIT_SUCCESS;
}
