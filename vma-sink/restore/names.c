/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names that an archive brings along into names of files.
 */
#include "restore/names.h"

#include <string.h>

#include "backup/error.h"
#include "restore/check.h"

static bool is_safe(gunichar c, bool first)
{
    return c != (gunichar)-1 && c != (gunichar)-2 && c != '/' && c != '%' &&
           !g_unichar_iscntrl(c) && !(c == '.' && first);
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
            /* The rest of a longer control character is no UTF-8 itself. */
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

char *restore_device_file(const BackupDevice *device)
{
    g_autofree char *name = NULL;

    if (restore_is_vmstate(device)) {
        return g_strdup("vmstate.bin");
    }
    name = g_strdup_printf("disk-%s.raw", device->name);
    return shorten(escape(name), ".raw");
}

char *restore_config_file(const BackupConfig *config)
{
    return shorten(escape(config->name), "");
}

bool restore_check_files(char *const *names, size_t count, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (size_t i = 0; i < count; i++) {
        if (!g_hash_table_add(seen, names[i])) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "two parts of the archive would both be the file '%s' "
                        "(--disk restores only the disks that it names)",
                        names[i]);
            return false;
        }
    }
    return true;
}
