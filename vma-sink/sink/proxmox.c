/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What makes an archive one that Proxmox VE restores.
 */
#include "sink/proxmox.h"

#include <string.h>
#include <time.h>

#include "backup/error.h"
#include "guest/config.h"
#include "guest/settings.h"

#define VMID_MIN 100u
#define VMID_MAX 999999999u

bool sink_proxmox_parse_vmid(const char *text, uint64_t *vmid, GError **error)
{
    if (*text != '0' && g_ascii_string_to_unsigned(text, 10, VMID_MIN, VMID_MAX,
                                                   vmid, NULL)) {
        return true;
    }
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                "'%s' is no number of a guest of Proxmox VE: %u to %u", text,
                VMID_MIN, VMID_MAX);
    return false;
}

char *sink_proxmox_name(uint64_t vmid, int64_t start_time_s, bool compressed,
                        GError **error)
{
    time_t time = start_time_s;
    char text[32];
    struct tm tm;

    /* (Four digits are the year's.) */
    if (time != start_time_s || !localtime_r(&time, &tm) ||
        tm.tm_year < 70 || tm.tm_year > 9999 - 1900 ||
        strftime(text, sizeof(text), "%Y_%m_%d-%H_%M_%S", &tm) == 0) {
        backup_error_set_damaged(error, "no archive can be named after the "
                                 "backup's time: %" G_GINT64_FORMAT
                                 " seconds since 1970", start_time_s);
        return NULL;
    }
    return g_strdup_printf("vzdump-qemu-%" G_GUINT64_FORMAT "-%s.vma%s", vmid,
                           text, compressed ? ".zst" : "");
}

typedef struct Preparation {
    const BackupInfo *info;
    GString *text;              /* of the new config */
    GHashTable *values;         /* of disks' lines, by key */
    GHashTable *drives;         /* keys by disk, of lines that say so */
    GHashTable *used;           /* keys of disks */
    GPtrArray *warnings;
} Preparation;

static void warn(Preparation *p, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void warn(Preparation *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(p->warnings, g_strdup_vprintf(format, args));
    va_end(args);
}

/* Settings of the host that the configuration comes from. */
static bool is_of_host(const char *key)
{
    return g_str_equal(key, "lock") || g_str_equal(key, "parent") ||
           (g_str_has_prefix(key, "unused") && g_ascii_isdigit(key[6]));
}

/* A line of the guest itself, before any section. */
static void add_line(Preparation *p, const char *line)
{
    g_autofree char *key = NULL;
    g_autofree char *value = NULL;
    char *disk;

    if (guest_config_parse_map(line, &key, &disk)) {
        g_hash_table_replace(p->drives, disk, g_steal_pointer(&key));
        return;
    }
    if (g_str_has_prefix(line, "#qmdump#") ||
        g_str_has_prefix(line, "#vzdump#")) {
        return;
    }
    if (guest_config_parse_line(line, &key, &value) && is_of_host(key)) {
        return;
    }
    g_string_append_printf(p->text, "%s\n", line);
    if (key && guest_config_is_disk_key(key)) {
        g_hash_table_replace(p->values, g_steal_pointer(&key),
                             g_steal_pointer(&value));
    }
}

static void add_lines(Preparation *p, char **lines)
{
    for (; *lines; lines++) {
        g_strchomp(*lines);
        if (guest_config_is_section(*lines)) {
            warn(p, "snapshots and pending changes of '%s', from the line %s "
                 "on, are no part of a backup", GUEST_CONFIG_NAME, *lines);
            return;
        }
        if (**lines) {
            add_line(p, *lines);
        }
    }
}

/* What vzdump names a disk after; to be freed. */
static char *key_of_name(const char *name)
{
    const char *key = g_str_has_prefix(name, "drive-") ? name + 6 : name;

    if (g_str_equal(key, "tpmstate0-backup")) {
        return g_strdup("tpmstate0");
    }
    return guest_config_is_disk_key(key) ? g_strdup(key) : NULL;
}

/* "local-lvm" of "local-lvm:vm-100-disk-0,size=8G"; to be freed. */
static char *storage_of(const char *value)
{
    g_autoptr(GuestSettings) s = guest_settings_parse(value ? value : "",
                                                      "file");
    const char *file = guest_settings_look(s, "file");
    const char *colon = file ? strchr(file, ':') : NULL;
    g_autofree char *storage = colon ? g_strndup(file, colon - file) : NULL;

    return storage && guest_text_is_plain(storage, 64, "-_.")
           ? g_steal_pointer(&storage) : g_strdup("");
}

static void check_line(Preparation *p, const BackupDevice *device,
                       const char *key)
{
    const char *value = g_hash_table_lookup(p->values, key);
    g_autoptr(GuestSettings) s = guest_settings_parse(value ? value : "",
                                                      "file");
    bool backup = true;

    guest_settings_take_flag(s, "backup", &backup);
    if (!value || !backup) {
        warn(p, "the disk '%s' will be restored and not used: '%s' has %s '%s'",
             device->name, GUEST_CONFIG_NAME,
             value ? "backup=0 for" : "no line for", key);
    }
}

static bool add_disk(Preparation *p, const BackupDevice *device,
                     GError **error)
{
    const char *named = g_hash_table_lookup(p->drives, device->name);
    g_autofree char *key = key_of_name(named ? named : device->name);
    g_autofree char *storage = NULL;

    if (!key || strpbrk(device->name, ": \t")) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "Proxmox VE would not restore this: which drive is the disk "
                    "'%s'? call it drive-scsi0 or the like, or have a line "
                    "#qmdump#map:scsi0:%s::raw: in '%s'", device->name,
                    strpbrk(device->name, ": \t") ? "NAME" : device->name,
                    GUEST_CONFIG_NAME);
        return false;
    }
    check_line(p, device, key);
    storage = storage_of(g_hash_table_lookup(p->values, key));
    g_string_append_printf(p->text, "#qmdump#map:%s:%s:%s:raw:\n", key,
                           device->name, storage);
    if (!g_hash_table_add(p->used, g_strdup(key))) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "Proxmox VE would not restore this: two disks are %s", key);
        return false;
    }
    return true;
}

static bool is_expected(const char *value)
{
    g_autoptr(GuestSettings) s = guest_settings_parse(value, "file");
    const char *file = guest_settings_look(s, "file");
    bool backup = true;

    guest_settings_take_flag(s, "backup", &backup);
    return backup && file && !g_str_equal(file, "none") &&
           g_strcmp0(guest_settings_look(s, "media"), "cdrom") != 0;
}

/* Drives without a disk go on naming what they named on the old host. */
static void check_drives(Preparation *p)
{
    g_autoptr(GList) keys = g_list_sort(g_hash_table_get_keys(p->values),
                                        (GCompareFunc)strcmp);

    for (const GList *k = keys; k; k = k->next) {
        const char *value = g_hash_table_lookup(p->values, k->data);

        if (!g_hash_table_contains(p->used, k->data) && is_expected(value)) {
            warn(p, "'%s' of '%s' is not in the backup: a restored guest has "
                 "what is '%s' on its host, if anything", (char *)k->data,
                 GUEST_CONFIG_NAME, value);
        }
    }
}

static bool write_config(Preparation *p, const char *old, GError **error)
{
    g_auto(GStrv) lines = g_strsplit(old, "\n", -1);

    add_lines(p, lines);
    for (guint i = 0; i < p->info->devices->len; i++) {
        if (!add_disk(p, g_ptr_array_index(p->info->devices, i), error)) {
            return false;
        }
    }
    check_drives(p);
    if (p->text->len > BACKUP_CONFIG_MAX_BYTES) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' is too long: with its disks it has %zu bytes, and "
                    "%u are possible", GUEST_CONFIG_NAME, p->text->len,
                    BACKUP_CONFIG_MAX_BYTES);
        return false;
    }
    return true;
}

/* The config as a string; NULL, of kind USAGE: there is none.  To be freed. */
static char *old_text(const BackupConfig *config, GError **error)
{
    gsize bytes = 0;
    const char *data = config ? g_bytes_get_data(config->data, &bytes) : NULL;

    if (!config) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "Proxmox VE would not restore this: there is no config "
                    "'%s' (vma-dump -c FILE=%s)", GUEST_CONFIG_NAME,
                    GUEST_CONFIG_NAME);
        return NULL;
    }
    if (bytes > 0 && memchr(data, '\0', bytes)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the config '%s' is no text", GUEST_CONFIG_NAME);
        return NULL;
    }
    return g_strndup(data ? data : "", bytes);
}

bool sink_proxmox_prepare(BackupInfo *info, GPtrArray *warnings,
                          GError **error)
{
    BackupConfig *config = backup_info_find_config(info, GUEST_CONFIG_NAME);
    g_autofree char *old = old_text(config, error);
    Preparation p;
    bool ok;

    if (!old) {
        return false;
    }
    p = (Preparation) {
        .info = info,
        .text = g_string_new(NULL),
        .values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                        g_free),
        .drives = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                        g_free),
        .used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .warnings = warnings,
    };
    ok = write_config(&p, old, error);
    if (ok) {
        g_bytes_unref(config->data);
        config->data = g_bytes_new(p.text->str, p.text->len);
    }
    g_string_free(p.text, TRUE);
    g_hash_table_unref(p.values);
    g_hash_table_unref(p.drives);
    g_hash_table_unref(p.used);
    return ok;
}
