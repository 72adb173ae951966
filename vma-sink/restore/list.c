/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints what an archive tells without all of it being read.
 */
#include "restore/restore.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "restore/archive.h"
#include "restore/scan.h"

typedef struct Listed {
    const BackupInfo *info;
    VmaDigestKind digests;
    RestoreEndMark end_mark;
    bool has_size;
    uint64_t size_bytes;        /* of the file */
} Listed;

/* An archive may claim any time, also one that no calendar has. */
static void print_time(int64_t seconds)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(seconds);
    g_autoptr(GDateTime) local = utc ? g_date_time_to_local(utc) : NULL;
    g_autofree char *utc_text = NULL;
    g_autofree char *local_text = NULL;

    if (!local) {
        printf("created  %" G_GINT64_FORMAT " seconds after 1970-01-01\n",
               seconds);
        return;
    }
    utc_text = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%SZ");
    local_text = g_date_time_format(local, "%Y-%m-%dT%H:%M:%S%:z");
    printf("created  %s (%s)\n", local_text, utc_text);
}

static void print_configs(const GPtrArray *configs)
{
    if (configs->len == 0) {
        printf("\nno configs\n");
        return;
    }
    printf("\n%10s  config\n", "bytes");
    for (guint i = 0; i < configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(configs, i);
        g_autofree char *name = cli_printable(config->name);

        printf("%10zu  %s\n", g_bytes_get_size(config->data), name);
    }
}

static void print_devices(const GPtrArray *devices)
{
    if (devices->len == 0) {
        printf("\nno devices\n");
        return;
    }
    printf("\n%3s %15s %11s  device\n", "id", "bytes", "size");
    for (guint i = 0; i < devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(devices, i);
        g_autofree char *name = cli_printable(device->name);
        g_autofree char *size = cli_format_size(device->size_bytes);

        printf("%3u %15" G_GUINT64_FORMAT " %11s  %s\n", device->id,
               device->size_bytes, size, name);
    }
}

static const char *end_mark_text(const Listed *l)
{
    switch (l->end_mark) {
    case RESTORE_END_MARK_THERE:
        return "XXH3, and an end mark";
    case RESTORE_END_MARK_MISSING:
        return "XXH3, but the end mark is MISSING: the archive was cut";
    case RESTORE_END_MARK_UNKNOWN:
        break;
    }
    return l->has_size
           ? "XXH3, and an end mark if it is whole (the file has no seek table "
             "to find it by: 'verify' does)"
           : "XXH3, and an end mark if it is whole (only of a file can that be "
             "seen)";
}

static void print_text(const Listed *l)
{
    char uuid[UUID_STR_LEN];

    uuid_unparse_lower(l->info->uuid, uuid);
    printf("uuid     %s\n", uuid);
    print_time(l->info->start_time_s);
    printf("digests  %s\n",
           l->digests == VMA_DIGEST_XXH3 ? end_mark_text(l) :
           l->digests == VMA_DIGEST_NONE ? "none" :
           "of a kind that this program does not know");
    print_configs(l->info->configs);
    print_devices(l->info->devices);
}

/*
 * A JSON string is Unicode, and a name in an archive need not be: then what is
 * none is replaced by U+FFFD, and "name-hex" has the name's bytes.
 */
static void add_name(JsonBuilder *b, const char *name)
{
    g_autofree char *valid = g_utf8_make_valid(name, -1);

    json_builder_set_member_name(b, "name");
    json_builder_add_string_value(b, valid);
    if (strcmp(name, valid) != 0) {
        g_autoptr(GString) hex = g_string_new(NULL);

        for (const char *p = name; *p; p++) {
            g_string_append_printf(hex, "%02x", (unsigned char)*p);
        }
        json_builder_set_member_name(b, "name-hex");
        json_builder_add_string_value(b, hex->str);
    }
}

static void add_int(JsonBuilder *b, const char *member, int64_t value)
{
    json_builder_set_member_name(b, member);
    json_builder_add_int_value(b, value);
}

/* TEXT may be NULL. */
static void add_text(JsonBuilder *b, const char *member, const char *text)
{
    json_builder_set_member_name(b, member);
    if (text) {
        json_builder_add_string_value(b, text);
    } else {
        json_builder_add_null_value(b);
    }
}

static void add_header(JsonBuilder *b, const BackupInfo *info)
{
    g_autoptr(GDateTime) utc =
        g_date_time_new_from_unix_utc(info->start_time_s);
    g_autofree char *time = utc
        ? g_date_time_format(utc, "%Y-%m-%dT%H:%M:%SZ") : NULL;
    char uuid[UUID_STR_LEN];

    uuid_unparse_lower(info->uuid, uuid);
    add_text(b, "uuid", uuid);
    add_text(b, "time", time);
    add_int(b, "time-seconds", info->start_time_s);
}

static void add_end(JsonBuilder *b, const Listed *l)
{
    static const char *const kinds[] = {
        [VMA_DIGEST_NONE] = "none",
        [VMA_DIGEST_XXH3] = "xxh3",
        [VMA_DIGEST_UNKNOWN] = "unknown",
    };

    add_text(b, "digests", kinds[l->digests]);
    if (l->end_mark == RESTORE_END_MARK_UNKNOWN) {
        add_text(b, "end-mark", NULL);
    } else {
        json_builder_set_member_name(b, "end-mark");
        json_builder_add_boolean_value(
            b, l->end_mark == RESTORE_END_MARK_THERE);
    }
    if (l->has_size) {
        add_int(b, "file-size", l->size_bytes);
    } else {
        add_text(b, "file-size", NULL);
    }
}

static void add_contents(JsonBuilder *b, const BackupInfo *info)
{
    json_builder_set_member_name(b, "configs");
    json_builder_begin_array(b);
    for (guint i = 0; i < info->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(info->configs, i);

        json_builder_begin_object(b);
        add_name(b, config->name);
        add_int(b, "size", g_bytes_get_size(config->data));
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
    json_builder_set_member_name(b, "devices");
    json_builder_begin_array(b);
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        json_builder_begin_object(b);
        add_int(b, "id", device->id);
        add_name(b, device->name);
        add_int(b, "size", device->size_bytes);
        json_builder_end_object(b);
    }
    json_builder_end_array(b);
}

/*
 * The members are the program's interface: none is removed or changes what it
 * means; new ones may come.  cli/progress.md describes them.
 */
static void print_json(const Listed *l)
{
    g_autoptr(JsonBuilder) b = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(b);
    add_header(b, l->info);
    add_end(b, l);
    add_contents(b, l->info);
    json_builder_end_object(b);
    root = json_builder_get_root(b);
    text = cli_json_to_string(root, true);
    printf("%s\n", text);
}

bool restore_list(const char *path, bool json, GError **error)
{
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, error);
    Listed listed;

    if (!archive) {
        return false;
    }
    listed = (Listed) {
        .info = restore_archive_info(archive),
        .digests = restore_archive_digest_kind(archive),
    };
    listed.has_size = restore_scan_size(archive, &listed.size_bytes);
    if (!restore_scan_end_mark(archive, &listed.end_mark, error)) {
        return false;
    }
    if (json) {
        print_json(&listed);
    } else {
        print_text(&listed);
    }
    return cli_flush_stdout(error);
}
