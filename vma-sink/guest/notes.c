/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sentences about a translation.
 */
#include "guest/notes.h"

#include <stdbool.h>
#include <string.h>

#include "backup/file-names.h"

#define NOTE_MAX_BYTES 1000u

struct GuestNotes {
    GPtrArray *list;            /* of char *, with a NULL at its end */
};

GuestNotes *guest_notes_new(void)
{
    GuestNotes *notes = g_new0(GuestNotes, 1);

    notes->list = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(notes->list, NULL);
    return notes;
}

void guest_notes_free(GuestNotes *notes)
{
    if (notes) {
        g_ptr_array_unref(notes->list);
        g_free(notes);
    }
}

/* It is, so, one of XML as well. */
static bool is_text(gunichar c)
{
    return c != (gunichar)-1 && c != (gunichar)-2 && backup_char_is_shown(c);
}

static char *one_line(const char *text)
{
    GString *line = g_string_new(NULL);
    const char *p = text;

    while (*p && line->len < NOTE_MAX_BYTES) {
        gunichar c = g_utf8_get_char_validated(p, -1);

        if (is_text(c)) {
            g_string_append_unichar(line, c);
            p = g_utf8_next_char(p);
        } else {
            g_string_append_printf(line, "\\x%02X", (unsigned char)*p);
            p++;
        }
    }
    if (*p) {
        g_string_append(line, "...");
    }
    return g_string_free(line, FALSE);
}

void guest_notes_add(GuestNotes *notes, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_insert(notes->list, (int)notes->list->len - 1, one_line(text));
}

const char *const *guest_notes_list(GuestNotes *notes)
{
    return (const char *const *)notes->list->pdata;
}
