/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map of targets of "vma extract -r".
 */
#include "proxmox/map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backup/error.h"
#include "io/io.h"

/* What Proxmox's tool takes. */
#define LINE_MAX_BYTES 8192

void proxmox_target_free(ProxmoxTarget *target)
{
    if (target) {
        g_free(target->disk);
        g_free(target->path);
        g_free(target->format);
        g_free(target->cache);
        g_free(target);
    }
}

/* False, for the caller to return. */
static bool set_usage(GError **error, const char *what, const char *line)
{
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                "the map of targets: %s: '%s'", what, line);
    return false;
}

/*
 * Where *at begins with NAME=, takes the value up to the next colon.  False:
 * it has no end, or is there twice.
 */
static bool take_option(const char **at, const char *name, char **value,
                        GError **error)
{
    size_t bytes = strlen(name);
    const char *from = *at + bytes + 1;
    const char *colon;

    if (strncmp(*at, name, bytes) != 0 || (*at)[bytes] != '=') {
        return true;
    }
    colon = strchr(from, ':');
    if (!colon) {
        return set_usage(error, "an option without a colon behind it", *at);
    }
    if (*value) {
        return set_usage(error, "an option that is there twice", *at);
    }
    *value = g_strndup(from, colon - from);
    *at = colon + 1;
    return true;
}

/* They come in any order. */
static bool take_options(const char **at, ProxmoxTarget *target, char **rate,
                         char **group, GError **error)
{
    const char *before;

    do {
        before = *at;
        if (!take_option(at, "format", &target->format, error) ||
            !take_option(at, "throttling.bps", rate, error) ||
            !take_option(at, "throttling.group", group, error) ||
            !take_option(at, "cache", &target->cache, error)) {
            return false;
        }
    } while (*at != before);
    return true;
}

static bool parse_target(ProxmoxTarget *target, const char *line,
                         GError **error)
{
    g_autofree char *rate = NULL;
    g_autofree char *group = NULL;      /* each disk has a limit of its own */
    const char *at = line;
    const char *equals;

    if (!take_options(&at, target, &rate, &group, error)) {
        return false;
    }
    if (rate && !g_ascii_string_to_unsigned(rate, 10, 1, G_MAXINT64,
                                            &target->rate, NULL)) {
        return set_usage(error, "no number of bytes per second", rate);
    }
    if ((at[0] != '0' && at[0] != '1') || at[1] != ':') {
        return set_usage(error, "no 0: or 1: before the disk", line);
    }
    target->zeroed = at[0] == '0';
    at += 2;
    equals = strchr(at, '=');
    if (!equals || equals == at || !equals[1]) {
        return set_usage(error, "no DISK=PATH", line);
    }
    target->disk = g_strndup(at, equals - at);
    target->path = g_strdup(equals + 1);
    return true;
}

ProxmoxTarget *proxmox_target_parse(const char *line, GError **error)
{
    g_autoptr(ProxmoxTarget) target = g_new0(ProxmoxTarget, 1);

    if (g_str_has_prefix(line, "skip=") && line[5]) {
        target->skip = true;
        target->disk = g_strdup(line + 5);
    } else if (!parse_target(target, line, error)) {
        return NULL;
    }
    return g_steal_pointer(&target);
}

static bool read_lines(FILE *file, GHashTable *map, GError **error)
{
    char line[LINE_MAX_BYTES];

    while (fgets(line, sizeof(line), file)) {
        ProxmoxTarget *target;

        g_strchomp(line);
        if (!*line || strcmp(line, "done") == 0) {
            return true;
        }
        target = proxmox_target_parse(line, error);
        if (!target) {
            return false;
        }
        /* Not insert(): of a disk that is named again the old key goes, too. */
        g_hash_table_replace(map, target->disk, target);
    }
    if (ferror(file) && !io_interrupted(error)) {
        backup_error_set_errno(error, errno, "cannot read the map of targets");
    }
    return !ferror(file);
}

GHashTable *proxmox_map_read(const char *path, GError **error)
{
    g_autoptr(GHashTable) map =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
                              (GDestroyNotify)proxmox_target_free);
    FILE *file = fopen(path, "re");
    bool ok;

    if (!file) {
        if (!io_interrupted(error)) {
            backup_error_set_errno(error, errno, "cannot open '%s'", path);
        }
        return NULL;
    }
    ok = read_lines(file, map, error);
    fclose(file);
    return ok ? g_steal_pointer(&map) : NULL;
}
