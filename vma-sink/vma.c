/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vma: the command line of Proxmox's tool of this name, for scripts that were
 * written for it.  All else is that of vma-dump, vma-sink and vma-restore.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "confine/confine.h"
#include "io/io.h"
#include "proxmox/content.h"
#include "proxmox/proxmox.h"
#include "restore/archive.h"
#include "restore/confine.h"
#include "restore/restore.h"

static const char usage_text[] =
    "usage: vma command [command options]\n"
    "\n"
    "vma list <filename>\n"
    "vma config <filename> [-c <config>]\n"
    "vma create <filename> [-c <config>] "
    "[-d format=<format>:<device name>=<path> [-d ...]]\n"
    "vma extract <filename> [-d <drive-list>] [-r <fifo>] <targetdir>\n"
    "vma verify <filename> [-v]\n"
    "vma --version\n"
    "\n"
    "vma --no-confine ... does not give up, before the archive is read, the\n"
    "rights that are not needed.\n";

/* False, for the caller to return. */
static bool set_usage(GError **error, const char *text)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE, "%s (try 'vma -h')",
                text);
    return false;
}

typedef struct Arguments {
    bool verbose;
    const char *map;
    GPtrArray *configs;         /* borrowed strings */
    GPtrArray *disks;
} Arguments;

/* The parameters are at argv[optind] then: MIN to MAX of them. */
static bool parse(int argc, char **argv, const char *options, int min,
                  int max, Arguments *arguments, GError **error)
{
    int c;

    while ((c = getopt(argc, argv, options)) != -1) {
        switch (c) {
        case 'h':
            printf("%s", usage_text);
            exit(fflush(stdout) == 0 ? 0 : 1);
        case 'v':
            arguments->verbose = true;
            break;
        case 'c':
            g_ptr_array_add(arguments->configs, optarg);
            break;
        case 'd':
            g_ptr_array_add(arguments->disks, optarg);
            break;
        case 'r':
            arguments->map = optarg;
            break;
        default:
            return set_usage(error, "wrong option");
        }
    }
    if (argc - optind < min || argc - optind > max) {
        return set_usage(error, argc - optind < min ? "something is missing"
                                                    : "too many arguments");
    }
    return true;
}

/* The last one, as later options win; or FALLBACK. */
static const char *last_of(const GPtrArray *values, const char *fallback)
{
    return values->len ? g_ptr_array_index(values, values->len - 1) : fallback;
}

static bool run_list(int argc, char **argv, Arguments *a, GError **error)
{
    g_autoptr(RestoreArchive) archive = NULL;

    if (!parse(argc, argv, "h", 1, 1, a, error) ||
        !restore_confine(argv[optind], NULL, error)) {
        return false;
    }
    archive = restore_archive_new(argv[optind], error);
    if (!archive) {
        return false;
    }
    proxmox_print_content(restore_archive_info(archive));
    return cli_flush_stdout(error);
}

static bool run_config(int argc, char **argv, Arguments *a, GError **error)
{
    return parse(argc, argv, "hc:", 1, 1, a, error) &&
           restore_confine(argv[optind], NULL, error) &&
           restore_config(argv[optind],
                          last_of(a->configs, "qemu-server.conf"), error);
}

static bool run_verify(int argc, char **argv, Arguments *a, GError **error)
{
    g_autoptr(RestoreArchive) archive = NULL;
    ProxmoxCount count;
    const VmaExtent *extent;
    VmaNext next;

    if (!parse(argc, argv, "hv", 1, 1, a, error) ||
        !restore_confine(argv[optind], NULL, error)) {
        return false;
    }
    archive = restore_archive_new_damaged(
        argv[optind], g_get_num_processors(), NULL, NULL, error);
    if (!archive) {
        return false;
    }
    if (a->verbose) {
        proxmox_print_content(restore_archive_info(archive));
    }
    proxmox_count_start(&count, restore_archive_info(archive), NULL);
    while ((next = restore_archive_next(archive, &extent, error)) ==
           VMA_NEXT_EXTENT) {
        if (a->verbose) {
            proxmox_count_extent(&count, extent);
        }
    }
    if (next == VMA_NEXT_ERROR) {
        g_prefix_error(error, "verify failed - ");
        return false;
    }
    if (a->verbose) {
        proxmox_count_end(&count);
    }
    return cli_flush_stdout(error);
}

static bool run_extract(int argc, char **argv, Arguments *a, GError **error)
{
    ProxmoxExtract extract;

    if (!parse(argc, argv, "hvd:r:", 2, 2, a, error)) {
        return false;
    }
    extract = (ProxmoxExtract) {
        .archive = argv[optind],
        .folder = argv[optind + 1],
        .disks = last_of(a->disks, NULL),
        .map = a->map,
        .verbose = a->verbose,
    };
    return proxmox_extract(&extract, error);
}

static bool run_create(int argc, char **argv, Arguments *a, GError **error)
{
    ProxmoxCreate create;

    if (!parse(argc, argv, "hvc:d:", 1, G_MAXINT, a, error)) {
        return false;
    }
    if (a->disks->len > 0 && optind + 1 < argc) {
        return set_usage(error, "Unexpected extra argument - specify all "
                         "devices via '-d'");
    }
    for (guint i = 0; i < a->disks->len; i++) {
        if (!g_str_has_prefix(g_ptr_array_index(a->disks, i), "format=")) {
            return set_usage(error, "No format specified for a device");
        }
    }
    for (int i = optind + 1; i < argc; i++) {
        g_ptr_array_add(a->disks, argv[i]);
    }
    g_ptr_array_add(a->configs, NULL);
    g_ptr_array_add(a->disks, NULL);
    create = (ProxmoxCreate) {
        .archive = argv[optind],
        .configs = (char **)a->configs->pdata,
        .disks = (char **)a->disks->pdata,
        .verbose = a->verbose,
    };
    return proxmox_create(&create, error);
}

static const struct {
    const char *name;
    bool (*run)(int argc, char **argv, Arguments *arguments, GError **error);
} commands[] = {
    { "list", run_list },
    { "config", run_config },
    { "create", run_create },
    { "extract", run_extract },
    { "verify", run_verify },
};

static bool run(int argc, char **argv, GError **error)
{
    g_autoptr(GPtrArray) configs = g_ptr_array_new();
    g_autoptr(GPtrArray) disks = g_ptr_array_new();
    Arguments arguments = { .configs = configs, .disks = disks };

    if (argc > 1 && strcmp(argv[1], "--no-confine") == 0) {
        confine_wanted = false;
        argc--;
        argv++;
    }
    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1, &arguments, error);
        }
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        printf("vma %s\n", CLI_VERSION);
        return cli_flush_stdout(error);
    }
    if (argc > 1 && (strcmp(argv[1], "-h") == 0 ||
                     strcmp(argv[1], "--help") == 0)) {
        printf("%s", usage_text);
        return cli_flush_stdout(error);
    }
    return set_usage(error, argc > 1 ? "no such command" : "which command?");
}

int main(int argc, char **argv)
{
    GError *error = NULL;

    g_set_prgname("vma");
    cli_occupy_standard_descriptors();
    setlocale(LC_CTYPE, "");
    io_catch_signals();
    return run(argc, argv, &error) ? 0 : cli_report(error);
}
