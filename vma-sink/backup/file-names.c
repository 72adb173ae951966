/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that a backup brings along into names of files.
 */
#include "backup/file-names.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define PLAIN_MAX_BYTES 128u

bool backup_char_is_shown(gunichar c)
{
    GUnicodeType type = g_unichar_type(c);

    return g_unichar_isprint(c) && type != G_UNICODE_LINE_SEPARATOR &&
           type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

static bool is_safe(gunichar c, bool first)
{
    return c != (gunichar)-1 && c != (gunichar)-2 && c != '/' && c != '%' &&
           backup_char_is_shown(c) && !(c == '.' && first);
}

static char *escape(const char *name)
{
    GString *file = g_string_new(NULL);

    for (const char *p = name; *p; ) {
        gunichar c = g_utf8_get_char_validated(p, -1);

        if (is_safe(c, p == name)) {
            g_string_append_unichar(file, c);
            p = g_utf8_next_char(p);
        } else {
            /* The rest of a longer character is no UTF-8 itself. */
            g_string_append_printf(file, "%%%02X", (unsigned char)*p);
            p++;
        }
    }
    return g_string_free(file, FALSE);
}

/* What a file name can have. */
#define FILE_MAX_BYTES 255
#define KEPT_BYTES 200

/* Of a name that is too long its start, and a hash to tell it from others. */
static char *shorten(char *file, const char *suffix)
{
    g_autofree char *owned = file;
    g_autofree char *hash = NULL;
    g_autofree char *start = NULL;
    const char *end;

    if (strlen(file) <= FILE_MAX_BYTES) {
        return g_steal_pointer(&owned);
    }
    hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, file, -1);
    end = g_utf8_find_prev_char(file, file + KEPT_BYTES + 1);
    start = g_strndup(file, end - file);
    return g_strdup_printf("%s-%.16s%s", start, hash, suffix);
}

char *backup_disk_file(const char *name)
{
    g_autofree char *file = g_strdup_printf("disk-%s.raw", name);

    return shorten(escape(file), ".raw");
}

char *backup_config_file(const char *name)
{
    return shorten(escape(name), "");
}

const char *backup_file_used_twice(char *const *names, size_t count)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (size_t i = 0; i < count; i++) {
        if (!g_hash_table_add(seen, names[i])) {
            return names[i];
        }
    }
    return NULL;
}

bool backup_name_is_plain(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789._+-";
    size_t bytes = strlen(name);

    return bytes <= PLAIN_MAX_BYTES && strspn(name, plain) == bytes &&
           g_ascii_isalnum(*name);
}

bool backup_archive_name_is_plain(const char *name)
{
    return backup_name_is_plain(name) && (g_str_has_suffix(name, ".vma") ||
                                          g_str_has_suffix(name, ".vma.zst"));
}
