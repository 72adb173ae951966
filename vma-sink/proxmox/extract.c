/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "vma extract": turns its options and map into those of restore/extract.c.
 */
#include "proxmox/proxmox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "proxmox/content.h"
#include "proxmox/map.h"
#include "proxmox/server.h"
#include "restore/check.h"
#include "restore/confine.h"
#include "restore/restore.h"

typedef struct Extract {
    const ProxmoxExtract *options;
    GPtrArray *arguments;       /* for restore/extract.c; ends in NULL */
    GPtrArray *servers;         /* of ProxmoxServer */
    RestoreConnections *connections;    /* to the servers */
    ProxmoxCount count;
} Extract;

static bool is_wanted(const Extract *x, const char *name)
{
    g_auto(GStrv) names = x->options->disks
                          ? g_strsplit(x->options->disks, ",", 254) : NULL;

    return !names || g_strv_contains((const char *const *)names, name);
}

static bool is_block_device(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

/* A path without a format is raw if it looks like that, as ever. */
static const char *format_of(const ProxmoxTarget *target)
{
    return target->format ? target->format :
           g_str_has_suffix(target->path, ".raw") ||
           g_str_has_prefix(target->path, "/dev/") ? "raw" : NULL;
}

/* NAME=TARGET; NULL: its server can't be started. */
static char *argument_for(Extract *x, const ProxmoxTarget *target,
                          GError **error)
{
    const char *format = format_of(target);
    ProxmoxServer *server;
    ProxmoxImage image = {
        .path = target->path,
        .format = format,
        .cache = target->cache,
        .rate = target->rate,
    };

    if (is_block_device(target->path) && g_strcmp0(format, "raw") == 0 &&
        !target->rate) {
        return g_strdup_printf("%s=%s", target->disk, target->path);
    }
    server = proxmox_server_new(&image, error);
    if (!server) {
        return NULL;
    }
    g_ptr_array_add(x->servers, server);
    return g_strdup_printf("%s=%s", target->disk,
                           proxmox_server_uri(server));
}

static bool add_disk(Extract *x, const BackupDevice *device, GHashTable *map,
                     bool *zeroed, GError **error)
{
    const ProxmoxTarget *target = map ? g_hash_table_lookup(map, device->name)
                                      : NULL;
    char *argument;

    if (restore_is_vmstate(device) || !map) {
        g_ptr_array_add(x->arguments, g_strdup(device->name));
        return true;
    }
    if (!target) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the map of targets has no disk '%s'", device->name);
        return false;
    }
    if (target->skip) {
        return true;
    }
    *zeroed = *zeroed && target->zeroed;
    argument = argument_for(x, target, error);
    if (!argument) {
        return false;
    }
    g_ptr_array_add(x->arguments, argument);
    return true;
}

static void print_disks(const Extract *x, const BackupInfo *info)
{
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        g_autofree char *name = cli_printable(device->name);

        if (!restore_is_vmstate(device) && is_wanted(x, device->name)) {
            printf("DEVINFO %s/tmp-disk-%s.raw %" G_GUINT64_FORMAT "\n",
                   x->options->folder, name, device->size_bytes);
        }
    }
    fflush(stdout);
}

/* The map, for which whoever writes it waits for the contents. */
static bool read_map(const Extract *x, const BackupInfo *info,
                     GHashTable **map, GError **error)
{
    *map = NULL;
    if (!x->options->map) {
        print_disks(x, info);
        return true;
    }
    proxmox_print_content(info);
    *map = proxmox_map_read(x->options->map, error);
    return *map != NULL;
}

/* RestorePrepareFunc */
static bool prepare(const BackupInfo *info, RestoreExtract *options,
                    void *opaque, GError **error)
{
    Extract *x = opaque;
    g_autoptr(GHashTable) map = NULL;
    bool selected[BACKUP_DEVICE_IDS] = { false };
    bool zeroed = true;

    if (!read_map(x, info, &map, error)) {
        return false;
    }
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        selected[device->id] = restore_is_vmstate(device) ||
                               is_wanted(x, device->name);
        if (selected[device->id] &&
            !add_disk(x, device, map, &zeroed, error)) {
            return false;
        }
    }
    proxmox_count_start(&x->count, info, selected);
    g_ptr_array_add(x->arguments, NULL);
    options->disks = (const char *const *)x->arguments->pdata;
    options->zeroed = zeroed && x->servers->len > 0;
    /* Names out of the archive are no places to connect to. */
    x->connections = restore_connections_new(map ? options->disks : NULL,
                                             error);
    options->connections = x->connections;
    return x->connections != NULL;
}

/* RestoreSeenFunc */
static void seen(const VmaExtent *extent, void *opaque)
{
    Extract *x = opaque;

    if (x->options->verbose) {
        proxmox_count_extent(&x->count, extent);
    }
}

static bool end_servers(Extract *x, GError **error)
{
    bool ok = true;

    for (guint i = 0; i < x->servers->len; i++) {
        ProxmoxServer *server = g_ptr_array_index(x->servers, i);

        ok = proxmox_server_end(server, ok ? error : NULL) && ok;
    }
    return ok;
}

/* As mkdir() would have it: what is in there is not looked at. */
static bool check_folder(const char *folder, GError **error)
{
    struct stat st;

    if (lstat(folder, &st) == 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "unable to create target directory %s - %s", folder,
                    g_strerror(EEXIST));
        return false;
    }
    return true;
}

/*
 * Confined before the archive is read, and before there are threads; but where
 * there is a map programs are started once the header was read.
 */
static bool confine_self(const ProxmoxExtract *options,
                         const RestoreExtract *extract, GError **error)
{
    return options->map || restore_confine_extract(extract, error);
}

bool proxmox_extract(const ProxmoxExtract *options, GError **error)
{
    g_autoptr(GPtrArray) arguments = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) servers = g_ptr_array_new_with_free_func(
        (GDestroyNotify)proxmox_server_free);
    g_autoptr(Progress) progress = NULL;
    Extract x = {
        .options = options,
        .arguments = arguments,
        .servers = servers,
    };
    RestoreExtract extract = {
        .archive = options->archive,
        .folder = options->folder,
        .configs = true,
        .overwrite = true,
        .quiet = true,
        .threads = g_get_num_processors(),
        .prepare = prepare,
        .seen = seen,
        .opaque = &x,
    };
    bool ok;

    if (!check_folder(options->folder, error) ||
        !confine_self(options, &extract, error)) {
        return false;
    }
    extract.progress = progress = progress_new("copying");
    ok = restore_extract(&extract, error) && end_servers(&x, error);
    restore_connections_free(x.connections);
    if (ok && options->verbose) {
        proxmox_count_end(&x.count);
    }
    return ok && cli_flush_stdout(error);
}
