/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which parts of a disk an archive has data of: a list, for people or as
 * "qemu-img map" prints it, or a picture.  Reads the extents' headers, or the
 * index of a compressed archive, and no data.
 */
#include "restore/restore.h"

#include <json-glib/json-glib.h>
#include <stdio.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "restore/archive.h"
#include "restore/check.h"
#include "restore/disks.h"
#include "restore/scan.h"

#define PICTURE_COLUMNS 64u
#define PICTURE_CELLS (16u * PICTURE_COLUMNS)

typedef struct Map {
    const BackupDevice *device;
    const VmaIndex *index;
} Map;

/* The run that begins at FROM, a multiple of 4096; it ends at LIMIT at most. */
static bool next_run(const Map *map, uint64_t from, uint64_t limit,
                     uint64_t *end)
{
    bool stored = vma_index_run(map->index, map->device->id, from, limit, end);

    *end = MIN(*end, limit);
    return stored;
}

static uint64_t stored_bytes(const Map *map, uint64_t from, uint64_t limit)
{
    uint64_t bytes = 0, end;

    for (; from < limit; from = end) {
        bytes += next_run(map, from, limit, &end) ? end - from : 0;
    }
    return bytes;
}

static void print_text(const Map *map)
{
    uint64_t limit = map->device->size_bytes, end;
    g_autofree char *stored = cli_format_size(stored_bytes(map, 0, limit));
    g_autofree char *size = cli_format_size(limit);

    printf("%-18s  %s\n", "offset", "length");
    for (uint64_t from = 0; from < limit; from = end) {
        if (next_run(map, from, limit, &end)) {
            printf("0x%-16" G_GINT64_MODIFIER "x  0x%" G_GINT64_MODIFIER "x\n",
                   from, end - from);
        }
    }
    printf("%s of %s are stored, the rest is zeroes\n", stored, size);
}

/* The keys are qemu-img's; its "offset" is one in an image, which is not here. */
static void add_run(JsonBuilder *b, uint64_t from, uint64_t end, bool stored)
{
    json_builder_begin_object(b);
    json_builder_set_member_name(b, "start");
    json_builder_add_int_value(b, from);
    json_builder_set_member_name(b, "length");
    json_builder_add_int_value(b, end - from);
    json_builder_set_member_name(b, "depth");
    json_builder_add_int_value(b, 0);
    json_builder_set_member_name(b, "present");
    json_builder_add_boolean_value(b, TRUE);
    json_builder_set_member_name(b, "zero");
    json_builder_add_boolean_value(b, !stored);
    json_builder_set_member_name(b, "data");
    json_builder_add_boolean_value(b, stored);
    json_builder_end_object(b);
}

static char *run_to_string(uint64_t from, uint64_t end, bool stored)
{
    g_autoptr(JsonBuilder) b = json_builder_new();
    g_autoptr(JsonNode) root = NULL;

    add_run(b, from, end, stored);
    root = json_builder_get_root(b);
    return json_to_string(root, FALSE);
}

/* Run by run: there may be millions. */
static void print_json(const Map *map)
{
    uint64_t limit = map->device->size_bytes, end;

    printf("[");
    for (uint64_t from = 0; from < limit; from = end) {
        bool stored = next_run(map, from, limit, &end);
        g_autofree char *text = run_to_string(from, end, stored);

        printf("%s%s", from > 0 ? ",\n" : "", text);
    }
    printf("]\n");
}

/* What stands for a part of the disk, by how much of it is stored. */
static char cell(uint64_t stored, uint64_t bytes)
{
    return stored == 0 ? '.' : stored == bytes ? '#' :
           stored > bytes / 2 ? '+' : '-';
}

static void print_picture(const Map *map)
{
    uint64_t limit = map->device->size_bytes;
    uint64_t clusters = backup_clusters(limit);
    uint64_t step = MAX((clusters + PICTURE_CELLS - 1) / PICTURE_CELLS, 1) *
                    BACKUP_CLUSTER_BYTES;
    g_autofree char *size = cli_format_size(step);
    unsigned column = 0;

    for (uint64_t from = 0; from < limit; from += step) {
        uint64_t end = MIN(from + step, limit);

        if (column == 0) {
            g_autofree char *offset = cli_format_size(from);

            printf("%11s  ", offset);
        }
        putchar(cell(stored_bytes(map, from, end), end - from));
        column = (column + 1) % PICTURE_COLUMNS;
        if (column == 0 || end == limit) {
            putchar('\n');
        }
    }
    printf("each is %s:  # stored  + more than half  - less  . zeroes\n", size);
}

/* DISK may be NULL, where there is only one. */
static const BackupDevice *choose(const BackupInfo *info, const char *disk,
                                  GError **error)
{
    const BackupDevice *device = NULL;

    if (disk) {
        device = restore_disks_find(info, disk, error);
    } else if (info->devices->len == 1) {
        device = g_ptr_array_index(info->devices, 0);
    } else {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the archive has %u disks: which one? (--disk=NAME)",
                    info->devices->len);
    }
    if (device && restore_is_vmstate(device)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "there is no map of '%s': its size is not known",
                    device->name);
        return NULL;
    }
    return device;
}

bool restore_map(const char *path, const char *disk, RestoreMapForm form,
                 GError **error)
{
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, error);
    g_autoptr(VmaIndex) index = NULL;
    Map map;

    if (!archive) {
        return false;
    }
    map.device = choose(restore_archive_info(archive), disk, error);
    if (!map.device) {
        return false;
    }
    index = restore_scan(archive, error);
    if (!index) {
        return false;
    }
    map.index = index;
    switch (form) {
    case RESTORE_MAP_TEXT:
        print_text(&map);
        break;
    case RESTORE_MAP_JSON:
        print_json(&map);
        break;
    case RESTORE_MAP_PICTURE:
        print_picture(&map);
        break;
    }
    return cli_flush_stdout(error);
}
