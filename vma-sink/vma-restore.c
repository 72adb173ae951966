/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vma-restore: archive -> list, configs, check, disks, NBD.
 */
#include <errno.h>
#include <glib.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "cli/compress.h"
#include "cli/progress.h"
#include "confine/confine.h"
#include "io/enter.h"
#include "io/io.h"
#include "io/zstd-writer.h"
#include "restore/confine.h"
#include "restore/forced.h"
#include "restore/reindex.h"
#include "restore/restore.h"
#include "restore/translate.h"

#define PROGRAM "vma-restore"

static const GOptionEntry no_options[] = { { NULL } };

/* The option of what decompresses: the argument goes to a char *. */
#define THREADS_OPTION(argument) \
    { "threads", 'T', 0, G_OPTION_ARG_STRING, argument, \
      "Decompress with N threads; 0, the default: as many as there are " \
      "processors", "N" }

/*
 * Parses a command's own line, of which MIN to MAX parameters remain at
 * argv[1].  Its help and its usage errors carry the command's name.
 */
static bool parse(int argc, char **argv, const GOptionEntry *options,
                  const char *parameters, const char *summary, int min,
                  int max, GError **error)
{
    g_autofree char *name = g_strdup_printf(PROGRAM " %s", argv[0]);

    g_set_prgname(name);
    if (!cli_parse(&argc, &argv, options, parameters, summary, error)) {
        return false;
    }
    if (argc - 1 < min || argc - 1 > max) {
        cli_set_usage(error, "%s: expected %s",
                      argc - 1 < min ? "something is missing"
                                     : "too many arguments", parameters);
        return false;
    }
    argv[argc] = NULL;
    g_set_prgname(PROGRAM);
    return true;
}

static bool parse_threads(const char *text, unsigned *threads, GError **error)
{
    return cli_parse_threads(text, IO_ZSTD_THREADS_MAX, threads, error);
}

static bool run_list(int argc, char **argv, GError **error)
{
    gboolean json = FALSE;
    const GOptionEntry options[] = {
        { "json", 0, 0, G_OPTION_ARG_NONE, &json,
          "Print one JSON object", NULL },
        CONFINE_OPTION,
        { NULL },
    };

    return parse(argc, argv, options, "ARCHIVE",
                 "Shows what an archive contains.  Reads its header, and the "
                 "end of a file.", 1, 1, error) &&
           restore_confine(argv[1], NULL, error) &&
           restore_list(argv[1], json, error);
}

/* --as and what goes with it. */
static bool parse_translation(const char *as, RestoreTranslate *translate,
                              GError **error)
{
    if (!as && (translate->folder || translate->bridge)) {
        cli_set_usage(error, "--disks and --bridge go with --as only");
    } else if (translate->bridge &&
               !restore_translate_is_bridge(translate->bridge)) {
        cli_set_usage(error, "'%s' is no bridge's name", translate->bridge);
    } else if (as && !g_str_equal(as, "qemu") && !g_str_equal(as, "libvirt")) {
        cli_set_usage(error, "cannot translate into '%s': qemu or libvirt", as);
    } else {
        translate->form = g_strcmp0(as, "libvirt") == 0
                          ? RESTORE_TRANSLATE_LIBVIRT : RESTORE_TRANSLATE_QEMU;
        return true;
    }
    return false;
}

static const char config_summary[] =
    "Writes the configuration file NAME, or all of them, to standard output.\n\n"
    "With --as it is one of Proxmox VE (NAME is qemu-server.conf if none is "
    "given), and is\n"
    "written as a command that starts QEMU, or as the XML of a domain of "
    "libvirt.  Its\n"
    "disks are the images that extract makes of them in FOLDER, networks are "
    "QEMU's user\n"
    "networking.  What is not translated is said on standard error, and in "
    "comments.\n\n"
    "Example:\n"
    "  vma-restore extract vm1.vma restored/\n"
    "  vma-restore config --as=qemu --disks restored/ vm1.vma > vm1.sh";

static bool run_config(int argc, char **argv, GError **error)
{
    g_autofree char *as = NULL;
    g_autofree char *folder = NULL;
    g_autofree char *bridge = NULL;
    g_autofree char *here = g_get_current_dir();
    g_autofree char *path = NULL;
    RestoreTranslate translate = { 0 };
    const GOptionEntry options[] = {
        { "as", 0, 0, G_OPTION_ARG_STRING, &as,
          "Translate it: qemu or libvirt", "WHAT" },
        { "disks", 0, 0, G_OPTION_ARG_FILENAME, &folder,
          "With --as: where the disks are (the working folder)", "FOLDER" },
        { "bridge", 0, 0, G_OPTION_ARG_STRING, &bridge,
          "With --as: connect the network cards to this host's bridge NAME",
          "NAME" },
        CONFINE_OPTION,
        { NULL },
    };

    if (!parse(argc, argv, options, "ARCHIVE [NAME]", config_summary, 1, 2,
               error)) {
        return false;
    }
    translate.folder = folder;
    translate.bridge = bridge;
    if (!parse_translation(as, &translate, error)) {
        return false;
    }
    /* libvirt's daemon has another working folder. */
    path = translate.form == RESTORE_TRANSLATE_LIBVIRT
           ? g_canonicalize_filename(folder ? folder : ".", here)
           : g_strdup(folder ? folder : ".");
    translate.archive = argv[1];
    translate.config = argv[2];
    translate.folder = path;
    translate.here = here;
    return restore_confine(argv[1], NULL, error) &&
           (as ? restore_translate(&translate, error)
               : restore_config(argv[1], argv[2], error));
}

/* Takes over how it went. */
static bool end(Progress *progress, GError *failure, GError **error)
{
    progress_end(progress, failure);
    if (failure) {
        g_propagate_error(error, failure);
    }
    return !failure;
}

static bool run_verify(int argc, char **argv, GError **error)
{
    g_autofree char *threads_text = NULL;
    g_autoptr(Progress) progress = NULL;
    GError *failure = NULL;
    unsigned threads;
    const GOptionEntry options[] = {
        THREADS_OPTION(&threads_text),
        PROGRESS_OPTION,
        CONFINE_OPTION,
        { NULL },
    };

    if (!parse(argc, argv, options, "ARCHIVE",
               "Reads the whole archive, checks that it is undamaged and "
               "complete, and says\nwhat is damaged, and what of which disk "
               "is lost.", 1, 1, error) ||
        !parse_threads(threads_text, &threads, error) ||
        !restore_confine(argv[1], NULL, error)) {
        return false;
    }
    progress = progress_new("verifying");
    restore_verify(argv[1], threads, progress, &failure);
    return end(progress, failure, error);
}

static const char extract_summary[] =
    "Restores disks to FOLDER/disk-NAME.raw, and configs under their names.\n"
    "No file is there before everything was read and found good.\n\n"
    "-d NAME restores only this disk, and no configs, and reads of a file no "
    "more than\n"
    "that takes: other disks' data is not checked.  -d NAME=TARGET does so to\n"
    "  a file          a new raw image, FOLDER not being needed\n"
    "  a block device  in place, if it is large enough and not in use\n"
    "  an NBD URI      (nbd://..., nbd+unix://...) in place as well\n"
    "  -               standard output; takes an ARCHIVE that is a file, plain "
    "or of zstd\n"
    "                  frames that have their sizes in them, and no other -d\n"
    "--range restores a part of one disk, to a file or standard output, out of "
    "such an\n"
    "ARCHIVE.\n"
    "In place means overwritten while the archive is read: that takes "
    "--force.\n\n"
    "After --salvage the exit code is 0 only if nothing was lost.";

/* OFFSET:LENGTH; TEXT may be NULL, then *given is false. */
static bool parse_range(const char *text, bool *given, RestoreRange *range,
                        GError **error)
{
    g_auto(GStrv) parts = text ? g_strsplit(text, ":", 2) : NULL;

    *given = text != NULL;
    if (!text) {
        return true;
    }
    if (g_strv_length(parts) != 2) {
        cli_set_usage(error, "'%s' is not a range: OFFSET:LENGTH", text);
        return false;
    }
    if (!cli_parse_size(parts[0], &range->offset, error) ||
        !cli_parse_size(parts[1], &range->bytes, error)) {
        return false;
    }
    if (range->bytes == 0) {
        cli_set_usage(error, "the range '%s' is empty", text);
        return false;
    }
    return true;
}

static bool run_extract(int argc, char **argv, GError **error)
{
    g_auto(GStrv) disks = NULL;
    g_autofree char *threads_text = NULL;
    g_autofree char *range_text = NULL;
    gboolean force = FALSE;
    gboolean zeroed = FALSE;
    gboolean salvage = FALSE;
    g_autoptr(RestoreConnections) connections = NULL;
    g_autoptr(Progress) progress = NULL;
    GError *failure = NULL;
    RestoreExtract extract;
    RestoreRange range;
    bool has_range;
    unsigned threads;
    const GOptionEntry options[] = {
        { "disk", 'd', 0, G_OPTION_ARG_FILENAME_ARRAY, &disks,
          "Restore only this disk, to TARGET (may be repeated)",
          "NAME[=TARGET]" },
        { "range", 0, 0, G_OPTION_ARG_STRING, &range_text,
          "Restore only this part of the disk; K, M, G and T are known",
          "OFFSET:LENGTH" },
        { "force", 'f', 0, G_OPTION_ARG_NONE, &force,
          "Replace existing files, overwrite block devices and NBD exports",
          NULL },
        { "zeroed", 0, 0, G_OPTION_ARG_NONE, &zeroed,
          "The block devices and NBD exports read as zeroes: write none",
          NULL },
        { "salvage", 0, 0, G_OPTION_ARG_NONE, &salvage,
          "Restore from a damaged archive what is whole, and list what is lost",
          NULL },
        THREADS_OPTION(&threads_text),
        PROGRESS_OPTION,
        CONFINE_OPTION,
        { NULL },
    };

    if (!parse(argc, argv, options, "ARCHIVE [FOLDER]", extract_summary, 1, 2,
               error) ||
        !parse_threads(threads_text, &threads, error) ||
        !parse_range(range_text, &has_range, &range, error)) {
        return false;
    }
    extract = (RestoreExtract) {
        .archive = argv[1],
        .folder = argv[2],
        .disks = (const char *const *)disks,
        .range = has_range ? &range : NULL,
        .overwrite = force,
        .zeroed = zeroed,
        .salvage = salvage,
        .threads = threads,
    };
    /* A connection that is not used ends many a server: no such archive? */
    if (!g_str_equal(argv[1], "-") && access(argv[1], R_OK) < 0) {
        backup_error_set_errno(error, errno,
                               "nothing was restored: '%s': cannot open",
                               argv[1]);
        return false;
    }
    connections = restore_connections_new(force ? extract.disks : NULL, error);
    /* Who reads the archive can't connect any more. */
    if (!connections || !restore_confine_extract(&extract, error)) {
        g_prefix_error(error, "nothing was restored: ");
        return false;
    }
    extract.connections = connections;
    extract.progress = progress = progress_new("copying");
    restore_extract(&extract, &failure);
    return end(progress, failure, error);
}

static const char reindex_summary[] =
    "Writes an archive of any origin anew: with a checksum of all data, and, "
    "where it is\n"
    "compressed, an index, so that a disk can be read in order and by many "
    "threads.\n"
    "It is read to its end and checked on the way.  OUTPUT is there only once "
    "it is\n"
    "whole and on stable storage; it may replace ARCHIVE, and - is standard "
    "output.\n\n"
    "Example:\n"
    "  vma-restore reindex vzdump-qemu-100.vma.zst vm1.vma.zst";

static bool run_reindex(int argc, char **argv, GError **error)
{
    static CliCompressArguments arguments;
    CliCompress compress = {
        .frame_bytes = VMA_SEEKABLE_FRAME_DEFAULT_BYTES,
    };
    gboolean sort = FALSE;
    gboolean force = FALSE;
    g_autoptr(Progress) progress = NULL;
    GError *failure = NULL;
    VmaSeekableOptions seekable;
    RestoreReindex reindex;
    const GOptionEntry options[] = {
        { "sort", 0, 0, G_OPTION_ARG_NONE, &sort,
          "Put the disks in order, one after another; reads ARCHIVE, a file, "
          "twice", NULL },
        { "force", 'f', 0, G_OPTION_ARG_NONE, &force,
          "Replace an existing OUTPUT", NULL },
        CLI_COMPRESS_OPTIONS(arguments),
        PROGRESS_OPTION,
        CONFINE_OPTION,
        { NULL },
    };

    if (!parse(argc, argv, options, "ARCHIVE OUTPUT", reindex_summary, 2, 2,
               error) ||
        !cli_compress_parse(&arguments, argv[2], VMA_SEEKABLE_FRAME_MAX_BYTES,
                            &compress, error) ||
        !restore_confine(argv[1], argv[2], error)) {
        return false;
    }
    seekable = (VmaSeekableOptions) {
        .level = compress.level,
        .threads = compress.threads,
        .frame_bytes = compress.frame_bytes,
    };
    progress = progress_new("copying");
    reindex = (RestoreReindex) {
        .archive = argv[1],
        .output = argv[2],
        .overwrite = force,
        .sort = sort,
        .seekable = compress.zstd ? &seekable : NULL,
        .progress = progress,
    };
    restore_reindex(&reindex, &failure);
    return end(progress, failure, error);
}

static bool parse_map_form(const char *text, RestoreMapForm *form,
                           GError **error)
{
    static const char *const names[] = {
        [RESTORE_MAP_TEXT] = "human",
        [RESTORE_MAP_JSON] = "json",
        [RESTORE_MAP_PICTURE] = "picture",
    };

    *form = RESTORE_MAP_TEXT;
    for (size_t i = 0; text && i < G_N_ELEMENTS(names); i++) {
        if (g_str_equal(text, names[i])) {
            *form = i;
            return true;
        }
    }
    if (text) {
        cli_set_usage(error, "unknown output '%s': human, json or picture",
                      text);
    }
    return !text;
}

static bool run_map(int argc, char **argv, GError **error)
{
    g_autofree char *disk = NULL;
    g_autofree char *output = NULL;
    RestoreMapForm form;
    const GOptionEntry options[] = {
        { "disk", 'd', 0, G_OPTION_ARG_FILENAME, &disk,
          "The disk; not needed where there is only one", "NAME" },
        { "output", 0, 0, G_OPTION_ARG_STRING, &output,
          "human (the default), json, as qemu-img map prints it, or picture",
          "HOW" },
        CONFINE_OPTION,
        { NULL },
    };

    return parse(argc, argv, options, "ARCHIVE",
                 "Shows which parts of a disk an archive has data of: the rest "
                 "is zeroes.\nReads the extents' headers, or an index, and no "
                 "data.", 1, 1, error) &&
           parse_map_form(output, &form, error) &&
           restore_confine(argv[1], NULL, error) &&
           restore_map(argv[1], disk, form, error);
}

static const char serve_summary[] =
    "Serves the disks over NBD, read-only, each as the export of its name,\n"
    "without restoring them: at a socket, until it is ended, or for a command,\n"
    "which finds the URI in $uri.  The same as\n"
    "  nbdkit -f -r -U SOCKET vma ARCHIVE\n"
    "  nbdkit -f -r -U - vma ARCHIVE --run COMMAND\n"
    "The exit code is nbdkit's then, or the command's.";

static bool run_serve(int argc, char **argv, GError **error)
{
    g_autofree char *disk = NULL;
    g_autofree char *socket = NULL;
    g_autofree char *command = NULL;
    g_autofree char *cache_size = NULL;
    uint64_t cache_bytes;
    const GOptionEntry options[] = {
        { "disk", 'd', 0, G_OPTION_ARG_FILENAME, &disk,
          "The default export, that of an empty name (of one disk: that one)",
          "NAME" },
        { "unix", 'U', 0, G_OPTION_ARG_FILENAME, &socket,
          "Listen at this socket", "SOCKET" },
        { "run", 0, 0, G_OPTION_ARG_FILENAME, &command,
          "Run this with the shell, and end with it", "COMMAND" },
        { "cache-size", 0, 0, G_OPTION_ARG_STRING, &cache_size,
          "Memory for the archive's data (128M)", "SIZE" },
        CONFINE_OPTION,
        { NULL },
    };
    RestoreServe serve;

    if (!parse(argc, argv, options, "ARCHIVE", serve_summary, 1, 1, error)) {
        return false;
    }
    if (!socket == !command) {
        cli_set_usage(error, "serve: expected one of --unix and --run");
        return false;
    }
    if (cache_size && !cli_parse_size(cache_size, &cache_bytes, error)) {
        return false;
    }
    serve = (RestoreServe) {
        .archive = argv[1],
        .disk = disk,
        .socket = socket,
        .command = command,
        .cache_size = cache_size,
    };
    return restore_serve(&serve, error);
}

static bool run(int argc, char **argv, GError **error);

static const char read_only_summary[] =
    "For the forced command of a key of ssh: does what the client has asked for\n"
    "(SSH_ORIGINAL_COMMAND), if that is exactly one of\n"
    "  vma-restore list [--json] ARCHIVE\n"
    "  vma-restore verify ARCHIVE\n"
    "  vma-restore config ARCHIVE [NAME]\n"
    "  vma-restore extract -d DISK=- [--range OFFSET:LENGTH] ARCHIVE\n"
    "with an ARCHIVE of the folder DIR. Names are of letters, digits and . _ + -,\n"
    "begin with a letter or a digit, and that of an archive ends in .vma or\n"
    ".vma.zst.";

static bool run_read_only(int argc, char **argv, GError **error)
{
    g_auto(GStrv) words = NULL;
    g_autofree char **list = NULL;
    guint count;
    int fd;

    if (!parse(argc, argv, no_options, "DIR", read_only_summary, 1, 1,
               error)) {
        return false;
    }
    fd = io_enter_folder(argv[1], error);
    if (fd < 0) {
        return false;
    }
    close(fd);
    words = restore_forced(g_getenv("SSH_ORIGINAL_COMMAND"), error);
    if (!words) {
        return false;
    }
    /* The parser of options takes some out of its list. */
    count = g_strv_length(words);
    list = g_memdup2(words, sizeof(*words) * (count + 1));
    return run(count, list, error);
}

static const struct {
    const char *name;
    bool (*run)(int argc, char **argv, GError **error);
} commands[] = {
    { "list", run_list },
    { "config", run_config },
    { "verify", run_verify },
    { "extract", run_extract },
    { "map", run_map },
    { "reindex", run_reindex },
    { "serve", run_serve },
    { "read-only", run_read_only },
};

/* The command line has no known command, but may ask for help. */
static bool run_none(int argc, char **argv, GError **error)
{
    if (!cli_parse(&argc, &argv, no_options, "COMMAND …",
                   "Reads VMA archives.  ARCHIVE is a file, or - for standard "
                   "input.\n\n"
                   "Commands (each has its own --help):\n"
                   "  list ARCHIVE               show what it contains\n"
                   "  config ARCHIVE [NAME]      print configuration files\n"
                   "  verify ARCHIVE             check all of it\n"
                   "  extract ARCHIVE [FOLDER]   restore disks and configs\n"
                   "  map ARCHIVE                show what of a disk is stored\n"
                   "  reindex ARCHIVE OUTPUT     write it anew, with an index\n"
                   "  serve ARCHIVE              serve disks over NBD\n"
                   "  read-only DIR              for a key of ssh: some of these",
                   error)) {
        return false;
    }
    if (argc > 1) {
        cli_set_usage(error, "unknown command '%s'", argv[1]);
    } else {
        cli_set_usage(error, "no command given");
    }
    return false;
}

static bool run(int argc, char **argv, GError **error)
{
    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(commands); i++) {
        if (g_str_equal(argv[1], commands[i].name)) {
            return commands[i].run(argc - 1, argv + 1, error);
        }
    }
    return run_none(argc, argv, error);
}

int main(int argc, char **argv)
{
    GError *error = NULL;

    g_set_prgname(PROGRAM);
    cli_set_about("confinement", confine_describe);
    io_catch_signals();
    if (run(argc, argv, &error)) {
        return 0;
    }
    confine_explain(error);
    return cli_report(error);
}
