/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lines of a qemu-server.conf.
 */
#include "guest/config.h"

#include <string.h>

#include "backup/error.h"

#define MAP "#qmdump#map:"

/* (A colon ends each of the four; the last two may be empty.) */
bool guest_config_parse_map(const char *line, char **key, char **disk)
{
    g_auto(GStrv) parts = NULL;

    if (!g_str_has_prefix(line, MAP)) {
        return false;
    }
    parts = g_strsplit(line + strlen(MAP), ":", 6);
    if (g_strv_length(parts) != 5 || *parts[4] || !*parts[0] || !*parts[1]) {
        return false;
    }
    *key = g_strdup(parts[0]);
    *disk = g_strdup(parts[1]);
    return true;
}

bool guest_config_is_section(const char *line)
{
    size_t bytes = strlen(line);

    while (bytes > 0 && g_ascii_isspace(line[bytes - 1])) {
        bytes--;
    }
    return bytes >= 2 && line[0] == '[' && line[bytes - 1] == ']';
}

/* Letters, _ and -, then digits: a letter first. */
static size_t key_bytes(const char *line)
{
    size_t bytes = 0;

    if (!g_ascii_islower(*line)) {
        return 0;
    }
    while (g_ascii_islower(line[bytes]) || line[bytes] == '_' ||
           line[bytes] == '-') {
        bytes++;
    }
    while (g_ascii_isdigit(line[bytes])) {
        bytes++;
    }
    return bytes;
}

bool guest_config_parse_line(const char *line, char **key, char **value)
{
    size_t bytes = key_bytes(line);
    g_autofree char *rest = NULL;

    if (bytes == 0 || line[bytes] != ':') {
        return false;
    }
    rest = g_strstrip(g_strdup(line + bytes + 1));
    if (!*rest) {
        return false;
    }
    *key = g_strndup(line, bytes);
    *value = g_steal_pointer(&rest);
    return true;
}

bool guest_config_is_disk_key(const char *key)
{
    static const struct {
        const char *kind;
        unsigned count;
    } kinds[] = {
        { "ide", 4 }, { "sata", 6 }, { "scsi", 31 }, { "virtio", 16 },
        { "efidisk", 1 }, { "tpmstate", 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const char *number = key + strlen(kinds[i].kind);

        if (g_str_has_prefix(key, kinds[i].kind) &&
            (*number != '0' || !number[1]) &&
            g_ascii_string_to_unsigned(number, 10, 0, kinds[i].count - 1, NULL,
                                       NULL)) {
            return true;
        }
    }
    return false;
}

static void add_comment(GuestConfig *config, const char *line,
                        unsigned *comments)
{
    char *key;
    char *disk;

    if (guest_config_parse_map(line, &key, &disk)) {
        g_hash_table_replace(config->disks, key, disk);
    } else {
        *comments += 1;
    }
}

static void add_line(GuestConfig *config, const char *line, unsigned number,
                     GuestNotes *notes)
{
    g_autofree char *key = NULL;
    g_autofree char *value = NULL;

    if (!guest_text_is_valid(line)) {
        guest_notes_add(notes, "not translated: line %u has control characters "
                        "or is no UTF-8", number);
    } else if (!guest_config_parse_line(line, &key, &value)) {
        guest_notes_add(notes, "not translated: line %u, '%s', is none of a "
                        "configuration", number, line);
    } else {
        /* Once it was the name of this one. */
        guest_settings_add(config->settings,
                           g_str_equal(key, "cdrom") ? "ide2" : key, value);
    }
}

static void add_lines(GuestConfig *config, char **lines, GuestNotes *notes)
{
    unsigned comments = 0;
    bool main_section = true;

    for (unsigned i = 0; lines[i]; i++) {
        /* (The valid part of what is none is of no interest here.) */
        g_strchomp(lines[i]);
        if (guest_config_is_section(lines[i])) {
            main_section = false;
            guest_notes_add(notes, "not translated: the section %s",
                            lines[i]);
        } else if (!main_section || !*lines[i]) {
            continue;
        } else if (*lines[i] == '#') {
            add_comment(config, lines[i], &comments);
        } else {
            add_line(config, lines[i], i + 1, notes);
        }
    }
    if (comments > 0) {
        guest_notes_add(notes, "not translated: the guest's description");
    }
}

GuestConfig *guest_config_parse(GBytes *data, GuestNotes *notes,
                                GError **error)
{
    GuestConfig *config;
    gsize bytes;
    const char *text = g_bytes_get_data(data, &bytes);
    g_autofree char *copy = g_strndup(text ? text : "", bytes);
    g_auto(GStrv) lines = NULL;

    if (strlen(copy) != bytes) {
        backup_error_set_damaged(error, "the configuration is no text: it has "
                                 "a byte 0 at offset %zu", strlen(copy));
        return NULL;
    }
    lines = g_strsplit(copy, "\n", -1);
    config = g_new0(GuestConfig, 1);
    config->settings = guest_settings_new();
    config->disks = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                          g_free);
    add_lines(config, lines, notes);
    return config;
}

void guest_config_free(GuestConfig *config)
{
    if (config) {
        guest_settings_free(config->settings);
        g_hash_table_unref(config->disks);
        g_free(config);
    }
}
